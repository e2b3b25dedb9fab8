"""Groups."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "fuse-residual": (
        "fuse,dce",
        """func @main(%x: tensor<f32[1, 2, 4, 4]>, %w: tensor<f32[2, 2, 1, 1]>)
            -> ("y": tensor<f32[1, 2, 4, 4]>) {
          %six = core.constant() {value = dense<f32[], [6.0]>}
          %0 = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %1 = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %2 = math.relu(%1)
          %3 = math.add(%0, %2)
          %4 = math.sigmoid(%3)
          %5 = math.mul(%3, %4)
          %6 = math.min(%5, %six)
          core.return(%6)
        }""",
    ),
    "fuse-no-prologue": (
        "fuse",
        """func @main(%x: tensor<f32[1, 2, 4, 4]>, %w: tensor<f32[2, 2, 1, 1]>)
            -> ("y": tensor<f32[1, 2, 4, 4]>) {
          %0 = math.silu(%x)
          %1 = nn.conv(%0, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %2 = math.add(%1, %0)
          core.return(%2)
        }""",
    ),
    "fuse-limits": (
        "fuse{max-inputs=3,max-ops=4}",
        """func @main(%a: tensor<f32[4]>, %b: tensor<f32[4]>, %c: tensor<f32[4]>,
            %d: tensor<f32[4]>) -> ("y": tensor<f32[4]>, "z": tensor<f32[4]>) {
          %0 = math.add(%a, %b)
          %1 = math.add(%0, %c)
          %2 = math.add(%1, %d)
          %3 = math.exp(%2)
          %4 = math.exp(%3)
          %5 = math.neg(%4)
          %6 = math.neg(%5)
          %7 = math.exp(%6)
          %8 = math.exp(%7)
          core.return(%8, %3)
        }""",
    ),
    "fuse-stores-what-others-read": (
        "fuse,dce",
        """func @main(%x: tensor<f32[1, 2, 4]>, %y: tensor<f32[1, 2, 4]>, %s: tensor<f32[4, 1]>)
            -> ("a": tensor<f32[1, 4, 4]>, "b": tensor<f32[1, 4, 2]>) {
          %0 = tensor.concat(%x, %y) {axis = 1}
          %1 = math.mul(%0, %s)
          %2 = math.relu(%1)
          %3 = tensor.slice(%0) {starts = [0, 0, 1], sizes = [1, 4, 2], steps = [1, 1, 1]}
          core.return(%2, %3)
        }""",
    ),
    "fuse-keeps-ops-with-their-anchor": (
        "fuse,dce",
        """func @main(%x: tensor<f32[2, 2]>, %w: tensor<f32[2, 2]>, %v: tensor<f32[2, 2]>)
            -> ("a": tensor<f32[2, 2]>, "b": tensor<f32[2, 1]>) {
          %0 = nn.matmul(%x, %w)
          %1 = math.relu(%0)
          %2 = nn.matmul(%x, %v)
          %3 = math.add(%2, %1)
          %4 = tensor.reduce(%1) {kind = "sum", axes = [1], keep_dims = true}
          core.return(%3, %4)
        }""",
    ),
    "fuse-before-the-anchor": (
        "fuse,dce",
        """func @main(%x: tensor<f32[2, 3, 4]>, %w: tensor<f32[2, 1, 4]>, %z: tensor<f32[2, 3, 4]>)
            -> ("distance": tensor<f32[2, 3]>, "joined": tensor<f32[2, 6, 4]>,
                "kept": tensor<f32[2, 3]>, "squared": tensor<f32[2, 3, 4]>,
                "slow": tensor<f32[2, 3]>) {
          %0 = math.sub(%x, %w)
          %1 = math.abs(%0)
          %2 = tensor.reduce(%1) {kind = "sum", axes = [2], keep_dims = false}
          %3 = math.neg(%2)
          %4 = math.relu(%z)
          %5 = tensor.concat(%4, %x) {axis = 1}
          %6 = math.mul(%x, %x)
          %7 = tensor.reduce(%6) {kind = "sum", axes = [2], keep_dims = false}
          %8 = math.tanh(%z)
          %9 = tensor.reduce(%8) {kind = "sum", axes = [2], keep_dims = false}
          core.return(%3, %5, %7, %6, %9)
        }""",
    ),
    "fuse-quantization": (
        "fuse,dce",
        """func @main(%x: tensor<i8[1, 1, 4], quant(0.5, 3)>, %w: tensor<f32[2, 1, 1]>,
                      %z: tensor<i8[1, 2, 4], quant(0.25, 0)>)
            -> ("y": tensor<i8[1, 2, 4], quant(0.25, 0)>) {
          %0 = quant.dequantize(%x)
          %1 = nn.conv(%0, %w) {strides = [1], pads = [0, 0], dilations = [1]}
          %2 = quant.quantize(%1) {encoding = quant(0.25, 0), dtype = i8}
          %3 = quant.dequantize(%2)
          %4 = quant.dequantize(%z)
          %5 = math.add(%3, %4)
          %6 = math.relu(%5)
          %7 = quant.quantize(%6) {encoding = quant(0.25, 0), dtype = i8}
          core.return(%7)
        }""",
    ),
}
