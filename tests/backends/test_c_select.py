"""Selecting between arrays by bytes, in loops that compilers vectorize."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import interpret, ir
from burnish.backends.c import compile_module, runner


@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64", "f16", "i8"])
@pytest.mark.parametrize("shape", [(8, 4), (1, 4, 2, 4), (3, 37)])
def test_choices_between_data_and_a_constant_row(dtype: str, shape: tuple[int, ...]) -> None:
    """GCC 12 once gave the masked loads of one such loop the masks of others."""
    element = ir.DType.parse(dtype)
    module = ir.Module("choice")
    types = {"c": ir.tensor("bool", *shape), "x": ir.tensor(element, *shape)}
    function, builder = ir.build_function(module, "main", types, ["y", "z", "m"])
    c, x = function.args
    row = builder.constant(np.arange(1, shape[-1] + 1).astype(element.numpy))
    one = builder.constant(np.ones((), element.numpy))
    builder.ret(
        builder("math.select", c, x, row),
        builder("math.select", c, row, x),
        builder("math.select", c, x, one),
    )
    rng = np.random.default_rng(0)
    inputs = {
        "c": rng.integers(0, 2, shape).astype(np.bool_),
        "x": rng.integers(2, 100, shape).astype(element.numpy),
    }
    actual, expected = runner(compile_module(module, "c")).run(inputs), interpret(module, inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array)
