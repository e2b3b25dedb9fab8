"""What goes into weights: not for narrow floats, where it rounds too often or overflows."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.ir import DType, Module, build_function, interpret, tensor
from burnish.passes import run_pipeline


def normalized(dtype: DType, *, behind_conv: bool) -> Module:
    """A batch norm of a large scale, of an input or of a convolution's result."""
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor(dtype, 1, 2, 3, 3)}, ["y"])
    x = function.args[0]
    if behind_conv:
        weights = b.constant(np.full((2, 2, 1, 1), 0.5).astype(dtype.numpy))
        x = b("nn.conv", x, weights, strides=[1, 1], dilations=[1, 1], pads=[0] * 4)
    parameters = [(16, 16), (1, -1), (100, 90), (3, 3)]
    values = [b.constant(np.array(pair).astype(dtype.numpy)) for pair in parameters]
    b.ret(b("nn.batch_norm", x, *values, epsilon=0.0))
    return module


@pytest.mark.parametrize(
    ("dtype", "behind_conv"),
    [(DType.F8E4M3FN, True), (DType.F8E4M3FN, False), (DType.F16, False), (DType.BF16, False)],
    ids=str,
)
def test_norms_of_narrow_floats_stay(dtype: DType, behind_conv: bool) -> None:
    module = normalized(dtype, behind_conv=behind_conv)
    inputs = {"x": np.linspace(80, 120, 18).reshape(1, 2, 3, 3).astype(dtype.numpy)}
    expected = interpret(module, inputs)["y"]
    run_pipeline(module, "fold-batch-norm", verify="each")
    assert "nn.batch_norm" in str(module)
    np.testing.assert_array_equal(interpret(module, inputs)["y"], expected)


@pytest.mark.parametrize("behind_conv", [True, False])
def test_norms_of_f32_go(behind_conv: bool) -> None:
    module = normalized(DType.F32, behind_conv=behind_conv)
    run_pipeline(module, "fold-batch-norm", verify="each")
    assert "nn.batch_norm" not in str(module)


@pytest.mark.parametrize("scaling", [False, True])
def test_what_comes_before_a_convolution_of_no_channels_goes(scaling: bool) -> None:
    """A sum over no channels is 0, whatever is added to them or multiplies them."""
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor(DType.F32, 1, 0, 3)}, ["y"])
    by = b.constant(np.zeros((1, 0, 1), np.float32))
    x = b("math.mul" if scaling else "math.add", function.args[0], by)
    weights = b.constant(np.zeros((2, 0, 1), np.float32))
    bias = b.constant(np.array([1, 2], np.float32))
    b.ret(b("nn.conv", x, weights, bias, strides=[1], dilations=[1], pads=[0] * 2))
    expected = interpret(module, {"x": np.zeros((1, 0, 3), np.float32)})["y"]
    run_pipeline(module, "fold-batch-norm", verify="each")
    assert "nn.conv" not in str(module) or "math" not in str(module)
    np.testing.assert_array_equal(
        interpret(module, {"x": np.zeros((1, 0, 3), np.float32)})["y"], expected
    )


def test_no_warning_of_infinity_times_0(recwarn: pytest.WarningsRecorder) -> None:
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor(DType.F32, 1, 1, 3)}, ["y"])
    weights = b.constant(np.ones((1, 1, 1), np.float32))
    bias = b.constant(np.array([np.inf], np.float32))
    y = b("nn.conv", function.args[0], weights, bias, strides=[1], dilations=[1], pads=[0] * 2)
    b.ret(b("math.mul", y, b.constant(np.zeros((1, 1, 1), np.float32))))
    run_pipeline(module, "fold-batch-norm", verify="each")
    assert not recwarn.list
