"""The forms that operators had before version 7 of the standard operator set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from burnish.frontend.onnx import import_onnx
from burnish.frontend.onnx.importer import UnsupportedModelError
from burnish.ir import interpret
from burnish.ir.errors import ModelError

F32 = np.float32
MakeModel = Callable[..., onnx.ModelProto]
X = np.arange(-6, 6, dtype=F32).reshape(1, 2, 2, 3)


def run(
    make_model: MakeModel,
    op_type: str,
    inputs: Sequence[Any],
    opset: int,
    constants: Sequence[Any] = (),
    attributes: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """The result of one node, whose constants follow its inputs."""
    names = [f"x{i}" for i in range(len(inputs))]
    initializers = {f"c{i}": np.asarray(c) for i, c in enumerate(constants)}
    node = onnx.helper.make_node(op_type, [*names, *initializers], ["y"], **(attributes or {}))
    model = make_model(
        [node],
        {name: (x.dtype, x.shape) for name, x in zip(names, inputs)},
        {"y": None},
        initializers,
        opset,
    )
    return interpret(import_onnx(model), dict(zip(names, inputs)))["y"]


@pytest.mark.parametrize(
    ("op_type", "opset", "constants", "attributes", "expected"),
    [
        ("Add", 6, [F32([3, -1])], {"broadcast": 1, "axis": 1}, X + F32([3, -1]).reshape(2, 1, 1)),
        ("Mul", 1, [F32([1, 2, 3])], {"broadcast": 1}, X * F32([1, 2, 3])),
        ("PRelu", 6, [F32([3, -1])], {}, np.where(X < 0, X * F32([3, -1]).reshape(2, 1, 1), X)),
        ("Cast", 1, [], {"to": "INT32"}, X.astype(np.int32)),
        ("Concat", 1, [X], {}, np.concatenate([X, X], 1)),
        ("Dropout", 6, [], {"ratio": 0.5}, X),
        ("Pad", 1, [], {"paddings": [0, 0, 1, 0, 0, 0, 0, 2], "value": 7.0},
         np.pad(X, [(0, 0), (0, 0), (1, 0), (0, 2)], constant_values=7)),
        ("Reshape", 1, [], {"shape": [0, -1]}, X.reshape(1, 12)),
        ("Tile", 1, [np.array([2]), np.array([3])], {}, np.tile(X, (1, 1, 1, 2))),
        ("Upsample", 1, [], {"height_scale": 2.0, "width_scale": 1.0}, X.repeat(2, axis=2)),
        ("GlobalLpPool", 1, [], {"p": 1.0}, np.abs(X).sum((2, 3), keepdims=True)),
        ("LpPool", 1, [], {"p": 1.0, "kernel_shape": [2, 3]}, np.abs(X).sum((2, 3), keepdims=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_old_form(
    make_model: MakeModel,
    op_type: str,
    opset: int,
    constants: Sequence[Any],
    attributes: Mapping[str, Any],
    expected: np.ndarray,
) -> None:
    actual = run(make_model, op_type, [X], opset, constants, attributes)
    np.testing.assert_array_equal(actual, expected)


def test_a_norm_of_fractional_order_is_refused(make_model: MakeModel) -> None:
    with pytest.raises(UnsupportedModelError, match=r"a norm of order 2\.5"):
        run(make_model, "GlobalLpPool", [X], 1, attributes={"p": 2.5})


def test_a_type_that_does_not_exist_is_a_broken_model(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="to = 'INT33' is no element type"):
        run(make_model, "Cast", [X], 1, attributes={"to": "INT33"})


def test_an_experimental_operator_is_not_taken_for_its_successor(make_model: MakeModel) -> None:
    with pytest.raises(UnsupportedModelError, match="MeanVarianceNormalization"):
        run(make_model, "MeanVarianceNormalization", [X], 8)
