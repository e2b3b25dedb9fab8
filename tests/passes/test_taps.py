"""Which taps of a convolution count: by trying all of them; and which numbers are finite."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from burnish.ir import DType, Module, Value, build_function, parse, tensor
from burnish.ir.errors import TypeInferenceError
from burnish.passes.rules.taps import (
    MAX_STEPS,
    always_finite,
    unmet_after,
    unmet_before,
    zeros_before,
)

GRID = list(itertools.product((1, 2, 5), (1, 2, 3), (1, 2, 3), (0, 1, 4), (0, 2, 3), (1, 3)))
"""Extent, taps, stride, pad before, pad after, dilation."""


def _convolution(name: str, case: tuple[int, ...]) -> Value | None:
    """The convolution of a case; None where it has no result."""
    extent, taps, stride, before, after, dilation = case
    module = Module("taps")
    function, b = build_function(module, "main", {"x": tensor("f32", 1, 1, extent)}, ["y"])
    further = {"output_padding": [0]} if name == "nn.conv_transpose" else {}
    window = {"strides": [stride], "pads": [before, after], "dilations": [dilation], **further}
    w = b.constant(np.ones((1, 1, taps), np.float32))
    try:
        return b(name, function.args[0], w, **window)
    except TypeInferenceError:
        return None


def _meets(name: str, case: tuple[int, ...], y: Value, tap: int) -> bool:
    """Whether some element of x, times the weight of ``tap``, is part of a result."""
    extent, _, stride, before, _, dilation = case
    size = y.type.static_shape[2]
    windows, limit = (size, extent) if name == "nn.conv" else (extent, size)
    return any(0 <= o * stride + tap * dilation - before < limit for o in range(windows))


@pytest.mark.parametrize("name", ["nn.conv", "nn.conv_transpose"])
def test_taps_that_meet_padding_only(name: str) -> None:
    found = 0
    for case in GRID:
        y = _convolution(name, case)
        if y is None or y.op is None or y.type.elements == 0:
            continue
        taps, dilation = case[1], case[5]
        met = [_meets(name, case, y, tap) for tap in range(taps)]
        (before,), (after,) = unmet_before(y.op), unmet_after(y.op)
        assert before + after < taps
        assert not any(met[:before]), case
        assert not any(met[taps - after :]), case
        if any(met):  # all that the pads make room for
            assert before == min(met.index(True), case[3] // dilation), case
            assert after == min(met[::-1].index(True), case[4] // dilation), case
        found += before + after
    assert found > 50


def test_zeros_go_as_far_as_the_pads_allow() -> None:
    w = np.zeros((2, 1, 5, 3), np.float32)
    w[:, :, 3] = 1
    assert zeros_before(w, (9, 9, 9, 9), (1, 1)) == (3, 0)
    assert zeros_before(w, (2, 0, 0, 0), (1, 1)) == (2, 0)
    assert zeros_before(w, (5, 0, 0, 0), (2, 1)) == (2, 0)
    assert zeros_before(0 * w, (9, 9, 9, 9), (1, 1)) == (4, 2)


_QUANTIZED = "%d = quant.dequantize(%q)"
FINITE = {
    "%y = math.cast(%i) {to = f32}": True,
    "%y = math.cast(%i) {to = f16}": False,
    "%y = math.clamp(%x) {low = 0.0, high = 1.0}": False,  # of NaN it is NaN
    "%y = quant.dequantize(%large)": False,
    f"{_QUANTIZED} %y = math.relu(%d)": True,
    f"{_QUANTIZED} %y = math.clamp(%d) {{low = 0.0, high = inf}}": False,
    f"{_QUANTIZED} %y = math.add(%d, %x)": False,
    f"{_QUANTIZED} %t = tensor.reshape(%d) {{shape = [2]}} %y = math.min(%t, %one)": True,
    f"{_QUANTIZED} %y = math.min(%d, %nan)": False,
    f"{_QUANTIZED} %y = math.exp(%d)": False,
}


@pytest.mark.parametrize("body", FINITE)
def test_numbers_that_are_always_finite(body: str) -> None:
    module = parse(f"""module "finite" {{
        func @main(%x: tensor<f32[2]>, %i: tensor<i32[2]>, %q: tensor<i8[2], quant(0.5, 3)>,
                   %large: tensor<i8[2], quant(1e38, 3)>) -> ("y": tensor<f32[2]>) {{
          %one = core.constant() {{value = dense<f32[], [1.0]>}}
          %nan = core.constant() {{value = dense<f32[], [nan]>}}
          {body}
          %z = math.cast(%y) {{to = f32}}
          core.return(%z)
        }}
    }}""")
    (y,) = (op.result for op in module.main.body if op.results and op.result.name == "y")
    assert always_finite(y) == FINITE[body]


def test_long_chains_are_not_followed_to_their_end() -> None:
    module = Module("chain")
    function, b = build_function(module, "main", {"i": tensor("i32", 2)}, ["y"])
    x = b("math.cast", function.args[0], to=DType.F32)
    for _ in range(MAX_STEPS - 1):
        x = b("math.neg", x)
    assert always_finite(x)
    assert not always_finite(b("math.neg", x))
