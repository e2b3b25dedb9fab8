"""One product, or convolution, of several."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "one-product-of-three": (
        "fuse-horizontal,dce",
        """func @main(%x: tensor<f32[b, 3, 2]>)
            -> ("q": tensor<f32[b, 3, 2]>, "k": tensor<f32[b, 3, 2]>, "v": tensor<f32[b, 3, 1]>) {
          %wq = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
          %wk = core.constant() {value = dense<f32[2, 2], [5.0, 6.0, 7.0, 8.0]>}
          %wv = core.constant() {value = dense<f32[2, 1], [9.0, 10.0]>}
          %bq = core.constant() {value = dense<f32[2], [0.5, 1.5]>}
          %bv = core.constant() {value = dense<f32[], [2.5]>}
          %q = nn.matmul(%x, %wq, %bq) loc("q": "Gemm")
          %k = nn.matmul(%x, %wk) loc("k": "MatMul")
          %v = nn.matmul(%x, %wv, %bv) loc("v": "Gemm")
          core.return(%q, %k, %v)
        }""",
    ),
    "one-convolution-of-two": (
        "fuse-horizontal{launch=0},dce",
        """func @main(%x: tensor<f32[1, 8, 2, 2]>, %p: tensor<bool[]>)
            -> ("a": tensor<f32[1, 1, 2, 2]>, "b": tensor<f32[1, 2, 2, 2]>) {
          %a, %b = control.if(%p, %x) region(%y: tensor<f32[1, 8, 2, 2]>) {
            %w1 = core.constant() {value = splat<f32[1, 8, 1, 1], 2.0>}
            %w2 = core.constant() {value = splat<f32[1, 8, 1, 1], 3.0>}
            %1 = nn.conv(%y, %w1) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
            %2 = nn.conv(%y, %w2) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
            %3 = tensor.concat(%2, %2) {axis = 1}
            core.yield(%1, %3)
          } region(%z: tensor<f32[1, 8, 2, 2]>) {
            %4 = tensor.slice(%z) {starts = [0, 0, 0, 0], sizes = [1, 1, 2, 2],
                steps = [1, 1, 1, 1]}
            %5 = tensor.slice(%z) {starts = [0, 1, 0, 0], sizes = [1, 2, 2, 2],
                steps = [1, 1, 1, 1]}
            core.yield(%4, %5)
          }
          core.return(%a, %b)
        }""",
    ),
    "quantized-weights-side-by-side": (
        "fuse-horizontal,dce",
        """func @main(%x: tensor<f32[1, 2]>)
            -> ("a": tensor<f32[1, 2]>, "b": tensor<f32[1, 1]>, "c": tensor<f32[1, 1]>) {
          %wa = core.constant() {value = dense<i8[2, 2], [1, 2, 3, 4]>, encoding = [quant(0.5, 1)]}
          %wb = core.constant() {value = dense<i8[1, 2], [5, 6]>,
              encoding = [quant([0.25], 0, axis = 0)]}
          %wc = core.constant() {value = dense<i8[1, 2], [7, 8]>, encoding = [quant(0.125, 3)]}
          %a1 = quant.dequantize(%wa)
          %b1 = quant.dequantize(%wb)
          %c1 = quant.dequantize(%wc)
          %a = nn.matmul(%x, %a1) {transpose_b = true}
          %b = nn.matmul(%x, %b1) {transpose_b = true}
          %c = nn.matmul(%x, %c1) {transpose_b = true}
          core.return(%a, %b, %c)
        }""",
    ),
    "products-apart": (
        "fuse-horizontal,dce",
        """func @main(%x: tensor<f32[2, 2]>, %w: tensor<f32[2, 2]>) -> ("a": tensor<f32[2, 2]>,
            "b": tensor<f32[2, 2]>, "c": tensor<f32[2, 2]>, "d": tensor<f32[2, 2]>,
            "e": tensor<f32[2, 2]>, "f": tensor<f32[2, 2]>) {
          %shared = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
          %w1 = core.constant() {value = dense<f32[2, 2], [5.0, 6.0, 7.0, 8.0]>}
          %w2 = core.constant() {value = dense<f32[2, 2], [9.0, 10.0, 11.0, 12.0]>}
          %rows = core.constant() {value = dense<f32[2, 1], [1.0, 2.0]>}
          %a = nn.matmul(%x, %shared)
          %b = math.mul(%a, %shared)
          %c = nn.matmul(%x, %w)
          %d = nn.matmul(%x, %w1)
          %w3 = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 5.0, 4.0]>}
          %e = nn.matmul(%x, %w2) {transpose_b = true}
          %f = nn.matmul(%x, %w3, %rows)
          core.return(%a, %b, %c, %d, %e, %f)
        }""",
    ),
    "shared-weights-stay": (
        "fold-batch-norm",
        """func @main(%x: tensor<f32[2, 2]>) -> ("y": tensor<f32[2, 2]>, "z": tensor<f32[2, 2]>) {
          %w = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
          %s = core.constant() {value = dense<f32[2], [2.0, 3.0]>}
          %0 = nn.matmul(%x, %w)
          %1 = math.mul(%0, %s)
          %2 = nn.matmul(%1, %w)
          core.return(%1, %2)
        }""",
    ),
}
