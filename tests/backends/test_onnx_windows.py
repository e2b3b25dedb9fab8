"""Convolutions and pools of exported models: what they mean, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import export_onnx, import_onnx, interpret, parse
from burnish.ir import Array
from burnish.ir.errors import UnsupportedError


def meaning(text: str) -> tuple[Array, Array]:
    """The result of a module without inputs, and that of the exported one."""
    module = parse(text)
    again = import_onnx(export_onnx(module))
    return interpret(module, {})["y"], interpret(again, {})["y"]


def test_sums_of_integers_wrap() -> None:
    """ONNX convolves floats only: f64 holds the sum, but a cast to i32 is not defined for it."""
    before, after = meaning("""module "m" { func @main() -> ("y": tensor<i32[1, 1, 1]>) {
      %0 = core.constant() {value = dense<i32[1, 1, 1], [-2103764317]>}
      %1 = core.constant() {value = dense<i32[1, 1, 1], [2]>}
      %2 = nn.conv(%0, %1) {strides = [1], pads = [0, 0], dilations = [1]}
      core.return(%2)
    } }""")
    np.testing.assert_array_equal(after, before)


def test_a_bias_that_f64_does_not_hold_is_refused() -> None:
    text = """module "m" { func @main() -> ("y": tensor<i64[1, 1, 1]>) {
      %0 = core.constant() {value = dense<i64[1, 1, 1], [1]>}
      %1 = core.constant() {value = dense<i64[1], [485585202497310631]>}
      %2 = nn.conv(%0, %0, %1) {strides = [1], pads = [0, 0], dilations = [1]}
      core.return(%2)
    } }"""
    with pytest.raises(UnsupportedError, match="would not be exact"):
        meaning(text)


def test_windows_that_ceil_mode_leaves_out_are_means_of_whole_windows() -> None:
    """One axis rounds up, and along the other the last window starts in the padding."""
    text = """module "m" { func @main() -> ("y": tensor<f32[1, 1, 5, 1]>) {
      %0 = core.constant() {value = splat<f32[1, 1, 1, 1], 2.0>}
      %1 = nn.average_pool(%0) {kernel = [1, 3], strides = [1, 3], pads = [2, 0, 2, 2],
        dilations = [1, 2], overhang = [0, 2]}
      core.return(%1)
    } }"""
    before, after = meaning(text)
    np.testing.assert_array_equal(after, before)


def test_no_windows_where_onnx_infers_one_are_refused() -> None:
    text = """module "m" { func @main(%x: tensor<f32[1, 1, 2]>) -> ("y": tensor<f32[1, 1, 0]>) {
      %w = core.constant() {value = splat<f32[1, 1, 3], 1.0>}
      %1 = nn.conv(%x, %w) {strides = [2], pads = [0, 0], dilations = [1]}
      core.return(%1)
    } }"""
    with pytest.raises(UnsupportedError, match="where none fits"):
        export_onnx(parse(text))
