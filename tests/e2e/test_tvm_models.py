"""Real models through the target tvm, compared with onnxruntime and the interpreter.

The models lie outside the repository.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from real_models import FLOAT_FILES, QUANTIZED_FILES, dims_of

from burnish.backends.tvm import has_tvm
from burnish.verification import verify_model

pytestmark = pytest.mark.skipif(not has_tvm(), reason="apache-tvm is not installed")

EVERYDAY = ["models/digits_gru/model.onnx", "models/mlperf_tiny_kws_dscnn/int8.onnx"]
STEPS = {"models/mobilenet_v2_imagenet_int8/int8.onnx": 46}
"""Rounding ties grow over 52 layers."""


def check(path: Path, name: str) -> None:
    result = verify_model(str(path), "tvm", dims=dims_of(path), samples=1, steps=STEPS.get(name, 1))
    assert [c for c in result.comparisons if not c.ok] == []


@pytest.mark.parametrize("name", EVERYDAY)
def test_small_models_agree_with_the_references(shared: Path, name: str) -> None:
    check(shared / name, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FLOAT_FILES, *QUANTIZED_FILES])
def test_models_agree_with_the_references(shared: Path, name: str) -> None:
    check(shared / name, name)
