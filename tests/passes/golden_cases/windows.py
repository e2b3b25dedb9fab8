"""Kernels, pads and channels of convolutions and pools."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "pads-into-max-pools": (
        "fold-pad",
        """func @main(%x: tensor<f32[1, 1, 4, 4]>)
            -> ("y": tensor<f32[1, 1, 3, 3]>, "z": tensor<f32[1, 1, 3, 3]>) {
          %low = core.constant() {value = dense<f32[], [-inf]>}
          %0 = tensor.pad(%x, %low) {before = [0, 0, 1, 1], after = [0, 0, 1, 1]}
          %y = nn.max_pool(%0) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
              dilations = [1, 1], overhang = [0, 0]}
          %six = math.clamp(%x) {low = 0.0, high = 6.0}
          %1 = tensor.pad(%six) {before = [0, 0, 1, 1], after = [0, 0, 1, 1]}
          %z = nn.max_pool(%1) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
              dilations = [1, 1], overhang = [0, 0]}
          core.return(%y, %z)
        }""",
    ),
    "pads-into-pools": (
        "fold-pad",
        """func @main(%x: tensor<f32[1, 1, 4, 4]>)
            -> ("y": tensor<f32[1, 1, 3, 3]>, "z": tensor<f32[1, 1, 3, 3]>,
                "u": tensor<f32[1, 1, 3, 3]>) {
          %positive = math.relu(%x)
          %0 = tensor.pad(%positive) {before = [0, 0, 1, 1], after = [0, 0, 1, 1]}
          %1 = nn.max_pool(%0) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
              dilations = [1, 1], overhang = [0, 0]}
          %2 = tensor.pad(%x) {before = [0, 0, 1, 1], after = [0, 0, 1, 1]}
          %3 = nn.max_pool(%2) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
              dilations = [1, 1], overhang = [0, 0]}
          %4 = nn.average_pool(%2) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
              dilations = [1, 1], overhang = [0, 0]}
          core.return(%1, %3, %4)
        }""",
    ),
    "prune-channels": (
        "prune-channels{fast-math=true},dce",
        """func @main(%x: tensor<f32[1, 2, 3, 3]>) -> ("y": tensor<f32[1, 2, 3, 3]>) {
          %q = core.constant() {
            value = dense<i8[4, 2, 1, 1], [1, 2, 0, 0, 3, 4, 0, 0]>,
            encoding = [quant([0.5, 0.25, 0.5, 0.25], 0, axis = 0)]
          }
          %w = quant.dequantize(%q)
          %b = core.constant() {value = dense<f32[4], [0.0, 1.5, 0.25, -1.0]>}
          %0 = nn.conv(%x, %w, %b) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %1 = math.relu(%0)
          %v = core.constant() {
            value = dense<f32[2, 4, 1, 1], [1.0, 2.0, 0.0, 7.0, -1.0, 4.0, 0.0, 8.0]>
          }
          %c = core.constant() {value = dense<f32[2], [0.5, -0.5]>}
          %2 = nn.conv(%1, %v, %c) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          core.return(%2)
        }""",
    ),
    "prune-coupled-channels": (
        "prune-channels{fast-math=true},dce",
        """func @main(%x: tensor<f32[1, 2, 4, 4]>) -> ("y": tensor<f32[1, 2]>) {
          %v = core.constant() {value = dense<f32[3, 2, 1, 1], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>}
          %0 = nn.conv(%x, %v) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %d = core.constant() {value = dense<f32[3, 1, 1, 1], [1.0, 2.0, 3.0]>}
          %1 = nn.conv(%0, %d) {
            strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], groups = 3
          }
          %2 = nn.max_pool(%1) {
            kernel = [2, 1], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1],
            overhang = [0, 0]
          }
          %3 = math.add(%2, %2)
          %4 = tensor.concat(%3, %2) {axis = 1}
          %5 = tensor.slice(%4) {
            starts = [0, 1, 0, 0], sizes = [1, 3, 1, 2], steps = [1, 1, 1, 1]
          }
          %6 = tensor.reshape(%5) {shape = [1, 6]}
          %w = core.constant() {
            value = dense<f32[6, 2],
              [1.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 3.0, 5.0, 6.0, 7.0]>
          }
          %7 = nn.matmul(%6, %w)
          core.return(%7)
        }""",
    ),
    "unmet-taps": (
        "trim-kernels,fold,dce",
        """func @main(%x: tensor<f32[1, 1, 4, 1]>, %z: tensor<f32[1, 1, 2]>)
            -> ("y": tensor<f32[1, 1, 4, 1]>, "t": tensor<f32[1, 1, 1]>) {
          %w = core.constant() {
            value = dense<f32[1, 1, 3, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]>
          }
          %0 = nn.conv(%x, %w) {strides = [1, 1], pads = [4, 1, 4, 1], dilations = [4, 1]}
          %v = core.constant() {value = dense<f32[1, 1, 3], [1.0, 2.0, 3.0]>}
          %1 = nn.conv_transpose(%z, %v) {
            strides = [1], pads = [0, 3], dilations = [1], output_padding = [0]
          }
          core.return(%0, %1)
        }""",
    ),
    "zero-taps": (
        "trim-kernels,fold,dce",
        """func @main(%x: tensor<i8[1, 1, 8], quant(0.5, 3)>, %f: tensor<f32[1, 1, 8]>)
            -> ("y": tensor<f32[1, 1, 8]>, "t": tensor<f32[1, 1, 13]>, "z": tensor<f32[1, 1, 8]>) {
          %1 = quant.dequantize(%x)
          %w = core.constant() {value = dense<f32[1, 1, 5], [0.0, 2.0, 3.0, 0.0, 0.0]>}
          %2 = nn.conv(%1, %w) {strides = [1], pads = [1, 3], dilations = [1]}
          %v = core.constant() {value = dense<f32[1, 1, 3], [0.0, 2.0, 0.0]>}
          %3 = nn.conv_transpose(%1, %v) {
            strides = [2], pads = [2, 2], dilations = [1], output_padding = [0]
          }
          %u = core.constant() {value = dense<f32[1, 1, 3], [0.0, 2.0, 0.0]>}
          %4 = nn.conv(%f, %u) {strides = [1], pads = [1, 1], dilations = [1]}
          core.return(%2, %3, %4)
        }""",
    ),
    "zero-taps-of-finite": (
        "trim-kernels{fast-math=true},fold,dce",
        """func @main(%x: tensor<f32[1, 1, 8]>) -> ("y": tensor<f32[1, 1, 8]>) {
          %w = core.constant() {value = dense<f32[1, 1, 3], [0.0, 2.0, 0.0]>}
          %0 = nn.conv(%x, %w) {strides = [1], pads = [2, 2], dilations = [2]}
          core.return(%0)
        }""",
    ),
    "single-windows": (
        "conv-to-matmul,fold,canonicalize,fold,dce",
        """func @main(%x: tensor<f32[N, 2, 4, 4]>) -> ("y": tensor<f32[N, 2, 4, 4]>) {
          %0 = tensor.reduce(%x) {kind = "mean", axes = [2, 3], keep_dims = true}
          %w = core.constant() {value = dense<f32[1, 2, 1, 1], [1.0, 2.0]>}
          %b = core.constant() {value = dense<f32[1], [5.0]>}
          %1 = nn.conv(%0, %w, %b) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %2 = math.relu(%1)
          %v = core.constant() {value = dense<f32[2, 1, 1, 1], [3.0, 4.0]>}
          %3 = nn.conv(%2, %v) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %4 = math.sigmoid(%3)
          %5 = math.mul(%x, %4)
          core.return(%5)
        }""",
    ),
    "space-to-depth": (
        "space-to-depth{fast-math=true},canonicalize,fold,canonicalize,dce",
        """func @main(%x: tensor<f32[1, 1, 7]>, %z: tensor<i32[1, 1, 6, 6]>)
            -> ("y": tensor<f32[1, 2, 4]>, "p": tensor<i32[1, 1, 3, 2]>) {
          %w = core.constant() {value = dense<f32[2, 1, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>}
          %b = core.constant() {value = dense<f32[2], [1.0, 2.0]>}
          %0 = nn.conv(%x, %w, %b) {strides = [2], pads = [1, 1], dilations = [1]}
          %v = core.constant() {value = dense<i32[1, 1, 2, 2], [1, 2, 3, 4]>}
          %1 = nn.conv(%z, %v) {strides = [2, 3], pads = [0, 0, 0, 0], dilations = [1, 1]}
          core.return(%0, %1)
        }""",
    ),
}
