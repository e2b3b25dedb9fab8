"""Conversion to powers of two, against the definition in the onnx package."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret
from burnish.ir.errors import ModelError

F32 = np.float32
MakeModel = Callable[..., onnx.ModelProto]


def numbers() -> np.ndarray:
    """Every exponent with fractions around the places where rounding changes, both signs."""
    exponents = np.arange(256, dtype=np.uint32) << 23
    fractions = np.array([0, 1, 0x3FFFFF, 0x400000, 0x400001, 0x7FFFFF], np.uint32)
    bits = (exponents[:, None] | fractions).ravel()
    return np.concatenate([bits, bits | np.uint32(1 << 31)]).view(F32)


def cast(make_model: MakeModel, x: np.ndarray, **attributes: object) -> np.ndarray:
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E8M0, **attributes)
    model = make_model([node], {"x": (x.dtype, x.shape)}, {"y": None}, opset=24)
    return interpret(import_onnx(model), {"x": x})["y"]


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_rounding(make_model: MakeModel, mode: str, saturate: int) -> None:
    x = numbers()
    actual = cast(make_model, x, round_mode=mode, saturate=saturate)
    expected = numpy_helper.to_float8e8m0(x, bool(saturate), mode)
    assert actual.dtype == ml_dtypes.float8_e8m0fnu
    np.testing.assert_array_equal(actual.view(np.uint8), expected.view(np.uint8))


def test_a_rounding_mode_that_does_not_exist(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="round_mode is 'sideways'"):
        cast(make_model, numbers(), round_mode="sideways")
