"""What exported models mean where ONNX's operators are narrower than the ops: imported again,
they compute the same."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import export_onnx, import_onnx, interpret, parse
from burnish.ir import Array, Module
from burnish.ir.errors import UnsupportedError


def module(result: str, body: str, inputs: str = "") -> Module:
    """A module with one result ``y``; ``%y`` in ``body`` is its value."""
    return parse(
        f'module "m" {{ func @main({inputs}) -> ("y": tensor<{result}>) {{\n'
        f"{body}\n core.return(%y) }} }}"
    )


def assert_kept(made: Module, *data: Array, tolerance: float = 0.0, opset: int = 0) -> None:
    """The exported module gives what the module gives."""
    inputs = dict(zip(made.main.arg_names, data))
    again = import_onnx(export_onnx(made, opset=opset or None))
    with np.errstate(all="ignore"):
        expected, found = interpret(made, inputs)["y"], interpret(again, inputs)["y"]
    assert found.dtype == expected.dtype
    wide = [np.asarray(array).astype(np.float64) for array in (found, expected)]
    np.testing.assert_allclose(*wide, rtol=tolerance)


SPECIAL = np.array([0.0, -3.0, 1.5, 3.0, 300.0, 2.0**-140, np.inf, np.nan], np.float32)


@pytest.mark.parametrize("dtype", ["f8e8m0", "u4", "i4", "u2", "i2"])
def test_casts_to_few_bits_saturate_as_here(dtype: str) -> None:
    """ONNX leaves open what becomes of numbers beyond the range of an integer type."""
    body = f"%y = math.cast(%x) {{to = {dtype}}}"
    assert_kept(module(f"{dtype}[8]", body, "%x: tensor<f32[8]>"), SPECIAL)


def test_bounds_that_the_element_type_lacks() -> None:
    x = np.array([0.0, 0.5, 2.0], np.float32)
    body = """%0 = math.cast(%x) {to = f8e5m2fnuz}
      %1 = math.clamp(%0) {low = -inf, high = 1.0}
      %y = math.cast(%1) {to = f32}"""
    assert_kept(module("f32[3]", body, "%x: tensor<f32[3]>"), x)


def test_a_constant_of_a_young_type_is_handed_out() -> None:
    """Identity takes u2 since opset 25."""
    made = module("u2[1]", "%y = core.constant() {value = dense<u2[1], [1]>}")
    assert export_onnx(made).opset_import[0].version == 25
    with pytest.raises(UnsupportedError, match="Identity takes no u2") as caught:
        export_onnx(made, opset=23)
    assert "opset 25" in str(caught.value)


QUANTIZED = {
    "of 32 bits": ("i32[8]", "quant(0.05, -7)", "f32"),
    "of f64": ("i8[8]", "quant(0.1, 3, f64)", "f64"),
    "of f64 per channel": (
        "u8[8]",
        f"quant([{', '.join(f'0.{n}' for n in range(1, 9))}], 9, axis = 0, f64)",
        "f64",
    ),
    "of f64 in floats": ("f8e4m3fn[8]", "quant(0.1, 0, f64)", "f64"),
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantization_without_an_operator(name: str) -> None:
    """NaN is the zero point, which ONNX leaves open."""
    stored, encoding, real = QUANTIZED[name]
    element = stored.partition("[")[0]
    inputs = f"%x: tensor<{real}[8]>"
    quantize = f"quant.quantize(%x) {{encoding = {encoding}, dtype = {element}}}"
    data = SPECIAL.astype(real.replace("f", "float"))
    assert_kept(module(f"{stored}, {encoding}", f"%y = {quantize}", inputs), data)
    both = f"%0 = {quantize}\n %y = quant.dequantize(%0)"
    assert_kept(module(f"{real}[8]", both, inputs), data)


def test_a_quantized_number() -> None:
    body = "%y = quant.quantize(%x) {encoding = quant(0.5, 58), dtype = i32}"
    assert_kept(module("i32[], quant(0.5, 58)", body, "%x: tensor<f32[]>"), np.float32(4.0))


def test_blocks_of_scales_in_old_opsets() -> None:
    """QuantizeLinear has blocks since opset 21."""
    encoding = "quant([0.5, 0.25], 3, axis = 0, block = 2)"
    body = f"""%0 = quant.quantize(%x) {{encoding = {encoding}, dtype = i8}}
      %y = quant.dequantize(%0)"""
    x = np.array([-1.3, 2.2, 0.6, 90.0], np.float32)
    assert_kept(module("f32[4]", body, "%x: tensor<f32[4]>"), x, opset=17)


DOUBLES = {
    "nn.lrn(%x) {size = 3, alpha = 0.3}",
    "nn.lrn(%x) {size = 2, bias = 0.1}",
    "nn.group_norm(%x, %a, %b) {groups = 3}",
    "nn.group_norm(%x, %a, %b) {groups = 6}",
    "nn.layer_norm(%x, %w) {axis = 2}",
    "nn.rms_norm(%x, %w) {axis = 2}",
    "nn.batch_norm(%x, %a, %b, %b, %c)",
    "math.celu(%x) {alpha = 0.3}",
    "math.elu(%x) {alpha = 2.0}",
    "math.hard_swish(%x)",
    "math.leaky_relu(%x) {alpha = 0.1}",
}


@pytest.mark.parametrize("op", sorted(DOUBLES))
def test_attributes_of_single_precision_are_not_used_for_f64(op: str) -> None:
    body = f"""%a = core.constant() {{value = splat<f64[6], -1.25>}}
      %b = core.constant() {{value = splat<f64[6], 0.1>}}
      %c = core.constant() {{value = splat<f64[6], 0.00001>}}
      %w = core.constant() {{value = splat<f64[4], 0.7>}}
      %y = {op}"""
    x = np.random.default_rng(0).normal(0, 0.01, (2, 6, 4))
    assert_kept(module("f64[2, 6, 4]", body, "%x: tensor<f64[2, 6, 4]>"), x, tolerance=1e-11)


def test_scales_of_boxes_in_f64() -> None:
    body = """%b = core.constant() {value = dense<f64[1, 5], [0.0, 0.3, 0.4, 7.1, 8.2]>}
      %y = nn.region_max_pool(%x, %b) {bins = [2, 2], scale = 0.7}"""
    x = np.arange(81.0).reshape(1, 1, 9, 9) / 7
    assert_kept(module("f64[1, 1, 2, 2]", body, "%x: tensor<f64[1, 1, 9, 9]>"), x)


def test_places_in_windows_outside() -> None:
    """A window without elements has its maximum nowhere: -1."""
    body = """%y = nn.arg_max_pool(%x) {kernel = [1], strides = [2], pads = [1, 1],
      dilations = [1], overhang = [0]}"""
    x = np.zeros((2, 1, 4), np.float32)
    assert_kept(module("i64[2, 1, 3]", body, "%x: tensor<f32[2, 1, 4]>"), x)


def test_a_loop_without_initial_values() -> None:
    """Its condition is an input that must be named, be it absent."""
    body = """%n = core.constant() {value = dense<i64[], [3]>}
      %y = control.loop(%n, _) {carried = 0, iterations = 3}
      region(%i: tensor<i64[]>, %go: tensor<bool[]>) {
        core.yield(%go, %i)
      }"""
    assert_kept(module("i64[3]", body))


def test_integers_that_wrap_at_compile_time() -> None:
    """ONNX's inference refuses to compute with them."""
    body = """%0 = core.constant() {value = dense<i64[], [6828626338351824546]>}
      %1 = core.constant() {value = dense<i64[], [2]>}
      %y = math.mul(%0, %1)"""
    assert_kept(module("i64[]", body))


def test_sharpness_of_antialias_is_not_guessed() -> None:
    """Resize of a region takes sizes, and the filter is as wide as the scales say."""
    body = """%y = nn.resize(%x) {shape = [1, 1, 2, 2], scales = [1.0, 1.0, 0.7, 0.7],
      mode = "linear", coordinates = "tf_crop_and_resize", antialias = true,
      roi = [0.0, 0.0, 0.1, 0.1, 1.0, 1.0, 0.8, 0.8]}"""
    with pytest.raises(UnsupportedError, match="do not follow from one another"):
        export_onnx(module("f32[1, 1, 2, 2]", body, "%x: tensor<f32[1, 1, 4, 4]>"))


def test_sizes_that_ranges_show_to_be_positive_are_plain_quotients() -> None:
    made = parse("""module "m" { symbols {N = 5..9}
      func @main(%x: tensor<f32[1, N]>) -> ("y": tensor<f32[1, floordiv(N - 5, 3) + 1, 5]>) {
        %y = signal.frames(%x) {length = 5, step = 3}
        core.return(%y)
    } }""")
    assert "Mod" not in {node.op_type for node in export_onnx(made).graph.node}


def test_dynamic_windows_are_refused_by_name() -> None:
    made = parse("""module "m" { symbols {N = 5..9}
      func @main(%x: tensor<f32[1, 1, N]>) -> ("y": tensor<i64[1, 1, N - 1]>) {
        %y = nn.arg_max_pool(%x) {kernel = [2], strides = [1], pads = [0, 0], dilations = [1],
          overhang = [0]}
        core.return(%y)
    } }""")
    with pytest.raises(UnsupportedError, match=r"nn\.arg_max_pool: dimension N of .* not static"):
        export_onnx(made)
