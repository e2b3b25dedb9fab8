"""Casts to narrow floats, around every number they hold and every middle between two."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import compile, interpret, ir

NARROW = ["bf16", "f16", "f8e4m3fn", "f8e5m2", "f8e4m3fnuz", "f8e5m2fnuz", "f4e2m1"]


def critical(dtype: ir.DType, source: type) -> np.ndarray:
    """Numbers at which rounding to ``dtype`` changes, their neighbours, and the extremes."""
    codes = np.arange(1 << dtype.bits).astype(np.uint16 if dtype.bits == 16 else np.uint8)
    with np.errstate(all="ignore"):
        held = codes.view(dtype.numpy).astype(np.float32).astype(np.float64)
        held = np.unique(held[np.isfinite(held)])
        middles = (held[1:] + held[:-1]) / 2
        around = [held, middles, middles * (1 + 2.0**-40), middles * (1 - 2.0**-40)]
        beyond = held.max() * np.array([1.01, 1.03, 1.06, 1.1, 2, 1e10])
        special = np.array([np.inf, -np.inf, np.nan, 1e-300, -1e-300, 1e300])
        return np.concatenate([*around, beyond, -beyond, special]).astype(source)


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("source", [np.float32, np.float64])
def test_casts_to_narrow_floats_round_once(name: str, source: type) -> None:
    dtype = ir.DType.parse(name)
    x = critical(dtype, source)
    module = ir.Module("casts")
    type_ = ir.tensor(ir.DType.from_numpy(source), len(x))
    function, builder = ir.build_function(module, "main", {"x": type_}, ["y"])
    builder.ret(builder("math.cast", function.args[0], to=dtype))
    expected = interpret(module, {"x": x})["y"]
    actual = compile(module, "c", passes="").run({"x": x})["y"]
    nan = np.isnan(expected.astype(np.float32))
    np.testing.assert_array_equal(nan, np.isnan(actual.astype(np.float32)))
    bits = np.uint16 if dtype.bits == 16 else np.uint8
    np.testing.assert_array_equal(expected[~nan].view(bits), actual[~nan].view(bits))
