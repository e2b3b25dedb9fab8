"""TfIdfVectorizer: what ONNX's own suite leaves out, against counting by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from burnish.frontend.onnx import import_onnx
from burnish.frontend.onnx.importer import UnsupportedModelError
from burnish.ir import interpret
from burnish.ir.errors import ModelError

F32 = np.float32
MakeModel = Callable[..., onnx.ModelProto]
ROWS = np.array([[1, 2, 2, 1, 2], [2, 2, 2, 1, 9]], np.int64)
# Pool: the numbers 1 and 2, and the pairs (1, 2) and (2, 2).
FORM: dict[str, Any] = {
    "mode": "TF",
    "min_gram_length": 1,
    "max_gram_length": 2,
    "max_skip_count": 1,
    "ngram_counts": [0, 2],
    "ngram_indexes": [0, 1, 2, 3],
    "pool_int64s": [1, 2, 1, 2, 2, 2],
}
COUNTS = np.array([[2, 3, 3, 2], [1, 3, 0, 3]], F32)
WEIGHTS = [0.5, 2.0, 3.0, 4.0]


def vectorize(make_model: MakeModel, x: np.ndarray = ROWS, **changes: Any) -> np.ndarray:
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], **{**FORM, **changes})
    model = make_model([node], {"x": (x.dtype, x.shape)}, {"y": None})
    return interpret(import_onnx(model), {"x": x})["y"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, COUNTS),
        ({"max_skip_count": 0}, [[2, 3, 2, 1], [1, 3, 0, 2]]),
        ({"max_skip_count": 100}, [[2, 3, 4, 3], [1, 3, 0, 3]]),
        ({"min_gram_length": 2}, COUNTS * [0, 0, 1, 1]),
        ({"max_gram_length": 1}, COUNTS * [1, 1, 0, 0]),
        ({"mode": "TFIDF", "weights": WEIGHTS}, COUNTS * F32(WEIGHTS)),
        ({"mode": "IDF", "weights": WEIGHTS}, (COUNTS > 0) * F32(WEIGHTS)),
        ({"mode": "IDF"}, COUNTS > 0),
        ({"ngram_indexes": [4, 0, 1, 2]}, np.c_[COUNTS[:, 1:], [0, 0], COUNTS[:, 0]]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_counts(make_model: MakeModel, changes: dict[str, Any], expected: Any) -> None:
    np.testing.assert_array_equal(vectorize(make_model, **changes), np.asarray(expected, F32))


def test_a_row_alone(make_model: MakeModel) -> None:
    actual = vectorize(make_model, ROWS[0].astype(np.int32))
    np.testing.assert_array_equal(actual, COUNTS[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mode": "FT"}, "mode is 'FT'"),
        ({"ngram_counts": [0, 3]}, "no sequences of 2"),
        ({"pool_int64s": [5], "ngram_counts": [1]}, "pool is empty"),
        ({"ngram_indexes": [0, 1]}, "does not give columns to 4 n-grams"),
        ({"mode": "IDF", "weights": [1.0]}, "1 weights for 4 n-grams"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_attributes(make_model: MakeModel, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        vectorize(make_model, **changes)


def test_strings_are_refused(make_model: MakeModel) -> None:
    with pytest.raises(UnsupportedModelError, match="a vocabulary of strings"):
        vectorize(make_model, pool_strings=["a"])
