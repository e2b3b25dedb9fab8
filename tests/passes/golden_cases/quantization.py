"""Quantized numbers."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "quantize-of-dequantize": (
        "canonicalize",
        """func @main(%q: tensor<i8[4], quant(0.5, 3)>) -> ("y": tensor<i8[4], quant(0.5, 3)>) {
          %0 = quant.dequantize(%q)
          %1 = quant.quantize(%0) {encoding = quant(0.5, 3), dtype = i8}
          core.return(%1)
        }""",
    ),
    "quantized-bounds": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>, %z: tensor<i8[4], quant(0.5, -128)>)
            -> ("a": tensor<i8[4], quant(0.5, -128)>, "b": tensor<i8[4], quant(0.5, -127)>,
                "c": tensor<u8[4], quant(0.025, 0)>, "d": tensor<u8[4], quant(0.02, 0)>,
                "e": tensor<f32[4]>, "f": tensor<f32[4]>, "g": tensor<f32[4]>) {
          %0 = math.relu(%x)
          %a = quant.quantize(%0) {encoding = quant(0.5, -128), dtype = i8}
          %1 = math.relu(%x)
          %kept = quant.quantize(%1) {encoding = quant(0.5, -127), dtype = i8}
          %2 = math.clamp(%x) {low = 0.0, high = 6.4}
          %c = quant.quantize(%2) {encoding = quant(0.025, 0), dtype = u8}
          %3 = math.clamp(%x) {low = 0.0, high = 5.0}
          %narrow = quant.quantize(%3) {encoding = quant(0.02, 0), dtype = u8}
          %4 = quant.dequantize(%z)
          %e = math.relu(%4)
          %f = math.clamp(%4) {low = 0.0, high = 127.5}
          %bounded = math.clamp(%4) {low = 0.0, high = 100.0}
          core.return(%a, %kept, %c, %narrow, %e, %f, %bounded)
        }""",
    ),
    "dequantize-of-moved": (
        "canonicalize,fold-pad",
        """func @main(%q: tensor<i8[1, 1, 4, 4], quant(0.5, 3)>, %w: tensor<f32[1, 1, 3, 3]>)
            -> ("y": tensor<f32[1, 1, 4, 4]>, "z": tensor<f32[1, 1, 4, 4]>) {
          %0 = quant.dequantize(%q)
          %1 = tensor.pad(%0) {before = [0, 0, 1, 1], after = [0, 0, 1, 1]}
          %2 = quant.quantize(%1) {encoding = quant(0.5, 3), dtype = i8}
          %3 = quant.dequantize(%2)
          %y = nn.conv(%3, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %4 = quant.quantize(%0) {encoding = quant(0.25, 3), dtype = i8}
          %z = quant.dequantize(%4)
          core.return(%y, %z)
        }""",
    ),
    "products-of-quantized-numbers": (
        "fold,integer-products,fold,dce",
        """func @main(%x: tensor<u8[1, 2, 4, 4], quant(0.5, 3)>,
            %a: tensor<i8[2, 3], quant(0.25, 0)>)
            -> ("y": tensor<u8[1, 3, 4, 4], quant(0.1, 128)>, "z": tensor<f32[2, 2]>,
                "u": tensor<f32[2, 2]>) {
          %0 = core.constant() {value = dense<i8[3, 2, 1, 1], [1, 2, 3, -4, 5, -128]>,
            encoding = [quant([0.5, 0.25, 0.125], 0, axis = 0)]}
          %1 = core.constant() {value = dense<i32[3], [100, -7, 3]>,
            encoding = [quant([0.25, 0.125, 0.0625], 0, axis = 0)]}
          %2 = quant.dequantize(%x)
          %3 = quant.dequantize(%0)
          %4 = quant.dequantize(%1)
          %5 = nn.conv(%2, %3, %4) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %6 = math.relu(%5)
          %y = quant.quantize(%6) {encoding = quant(0.1, 128), dtype = u8}
          %7 = core.constant() {value = dense<i8[3, 2], [1, 2, 3, -4, 5, -128]>,
            encoding = [quant(0.5, 2)]}
          %8 = quant.dequantize(%a)
          %9 = quant.dequantize(%7)
          %10 = core.constant() {value = dense<f32[2], [0.3, 1.0]>}
          %z = nn.matmul(%8, %9, %10)
          %11 = core.constant() {value = dense<i8[3, 2], [1, 2, 3, 4, 5, 6]>,
            encoding = [quant([0.5, 0.25, 0.5], 0, axis = 0)]}
          %12 = quant.dequantize(%11)
          %u = nn.matmul(%8, %12)
          core.return(%y, %z, %u)
        }""",
    ),
}
