"""Batch norms of narrow floats stay: what they would become rounds too often, or overflows."""

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
