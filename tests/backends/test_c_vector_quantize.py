"""Quantization in the epilogues of vector kernels: equal bits, whatever the storage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from portable_vectors import PORTABLE

import burnish
from burnish.backends import find_target
from burnish.backends.c import compile_module, runner
from burnish.backends.c.isa import isa_of
from burnish.ir import interpret, parse
from burnish.passes import run_pipeline

pytestmark = pytest.mark.usefixtures("portable_vectors")


LAYOUT = "layout(0, 1, 2, 3, 1:8)"

STORAGES = [
    ("i8", -128, 0.05),
    ("i8", 0, 0.25),
    ("u8", 17, 0.1),
    ("i16", 3, 0.001),
    ("u16", 40_000, 1e-4),
]


def numbers(shape: Sequence[int], scale: float) -> np.ndarray:
    """Halves between steps, numbers out of range, infinities, NaN and zeros among others."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape).astype(np.float32)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40]
    special += [step * scale for step in (0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -127.5)]
    x.reshape(-1)[: len(special)] = special
    return x


def convolution(dtype: str, zero_point: int, scale: float, rest: str, results: str) -> str:
    """A convolution by one in blocks, quantized; ``rest`` is what follows."""
    shape, weights = "[1, 16, 5, 7]", f"{LAYOUT.replace('1:8', '0:8')}"
    return f"""module "m" {{ func @main(%x: tensor<f32{shape}>) -> ({results}) {{
      %a = tensor.relayout(%x) {{layout = {LAYOUT}}}
      %w = core.constant() {{value = splat<f32[16, 1, 1, 1], 1.0>}}
          : tensor<f32[16, 1, 1, 1], {weights}>
      %0 = nn.conv(%a, %w) {{strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0],
          groups = 16}} : tensor<f32{shape}, {LAYOUT}>
      %1 = quant.quantize(%0) {{encoding = quant({scale}, {zero_point}), dtype = {dtype}}}
          : tensor<{dtype}{shape}, {LAYOUT}, quant({scale}, {zero_point})>
      {rest}
    }} }}"""


def check(text: str, target: str, scale: float) -> burnish.CompiledModel:
    """Equal bits, as far as a NaN has any."""
    compiled = burnish.compile(parse(text), target=target, passes="fuse,dce")
    x = numbers((1, 16, 5, 7), scale)
    actual = compiled.run({"x": x})
    with np.errstate(all="ignore"):
        expected = interpret(parse(text), {"x": x})
    for name, values in expected.items():
        np.testing.assert_array_equal(actual[name], values)
    return compiled


@pytest.mark.parametrize("target", ["c", PORTABLE])
@pytest.mark.parametrize(("dtype", "zero_point", "scale"), STORAGES)
def test_epilogue(dtype: str, zero_point: int, scale: float, target: str) -> None:
    """Quantized and back in registers, between activations."""
    rest = f"""%2 = quant.dequantize(%1) : tensor<f32[1, 16, 5, 7], {LAYOUT}>
      %3 = math.relu(%2) : tensor<f32[1, 16, 5, 7], {LAYOUT}>
      %4 = tensor.relayout(%3) {{layout = layout(0, 1, 2, 3)}}
      core.return(%4)"""
    text = convolution(dtype, zero_point, scale, rest, '"y": tensor<f32[1, 16, 5, 7]>')
    compiled = check(text, target, scale)
    if isa_of(find_target(target)).lanes == 8:
        assert "rounded_f32x8" in compiled.source["m.c"]


def stored_twice(dtype: str, zero_point: int, scale: float) -> str:
    """What is quantized is a result as well, and is read again by another kernel."""
    stored = f"tensor<{dtype}[1, 16, 5, 7], quant({scale}, {zero_point})>"
    rest = f"""%2 = quant.dequantize(%1) : tensor<f32[1, 16, 5, 7], {LAYOUT}>
      %v = core.constant() {{value = splat<f32[16, 1, 2, 2], 1.0>}}
          : tensor<f32[16, 1, 2, 2], {LAYOUT.replace("1:8", "0:8")}>
      %3 = nn.conv(%2, %v) {{strides = [1, 1], dilations = [1, 1], pads = [0, 0, 1, 1],
          groups = 16}} : tensor<f32[1, 16, 5, 7], {LAYOUT}>
      %4 = quant.dequantize(%1) : tensor<f32[1, 16, 5, 7], {LAYOUT}>
      %5 = math.add(%3, %4) : tensor<f32[1, 16, 5, 7], {LAYOUT}>
      %6 = quant.quantize(%5) {{encoding = quant({scale}, {zero_point}), dtype = {dtype}}}
          : tensor<{dtype}[1, 16, 5, 7], {LAYOUT}, quant({scale}, {zero_point})>
      %7 = tensor.relayout(%1) {{layout = layout(0, 1, 2, 3)}}
      %8 = tensor.relayout(%6) {{layout = layout(0, 1, 2, 3)}}
      core.return(%7, %8)"""
    return convolution(dtype, zero_point, scale, rest, f'"a": {stored}, "b": {stored}')


@pytest.mark.parametrize("target", ["c", PORTABLE])
@pytest.mark.parametrize(("dtype", "zero_point", "scale"), STORAGES)
def test_stored(dtype: str, zero_point: int, scale: float, target: str) -> None:
    check(stored_twice(dtype, zero_point, scale), target, scale)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["c", PORTABLE])
@pytest.mark.parametrize(("dtype", "zero_point", "scale"), STORAGES)
def test_sanitizers_have_nothing_to_say(
    dtype: str, zero_point: int, scale: float, target: str
) -> None:
    """Neither of places nor of numbers, whatever is quantized."""
    module = parse(stored_twice(dtype, zero_point, scale))
    run_pipeline(module, "fuse,dce")
    artifact = compile_module(module, target)
    runner(artifact, sanitize=True).run({"x": numbers((1, 16, 5, 7), scale)})


def test_layouts_pass_through() -> None:
    """A quantized network stays in blocks between its convolutions, and is one group with them."""
    text = """module "m" { func @main(%x: tensor<f32[1, 16, 24, 24]>)
        -> ("y": tensor<f32[1, 16, 24, 24]>) {
      %w = core.constant() {value = splat<f32[16, 16, 3, 3], 0.01>}
      %0 = nn.conv(%x, %w) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}
      %1 = quant.quantize(%0) {encoding = quant(0.1, 3), dtype = i8}
      %2 = quant.dequantize(%1)
      %3 = nn.conv(%2, %w) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}
      core.return(%3)
    } }"""
    compiled = burnish.compile(parse(text), target="c:x86-64-v3")
    (group,) = [op for op in compiled.module.main.body if op.name == "core.group"]
    names = [op.name for op in group.regions[0]]
    assert names == ["nn.conv", "quant.quantize", "quant.dequantize", "core.yield"]
    assert group.result.type.layout is not None
