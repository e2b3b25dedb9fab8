"""What is computed at compile time, or once."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "folding-is-bounded": (
        "fold{limit=64},dce",
        """func @main(%x: tensor<f32[64]>) -> ("y": tensor<f32[64]>, "z": tensor<f32[2, 2]>) {
          %small = core.constant() {value = dense<f32[], [2.0]>}
          %half = math.reciprocal(%small)
          %large = tensor.broadcast(%half) {shape = [64]}
          %0 = math.mul(%x, %large)
          %m = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
          %t = tensor.transpose(%m) {permutation = [1, 0]}
          core.return(%0, %t)
        }""",
    ),
    "folding-keeps-what-is-shared": (
        "fold{limit=0},dce",
        """func @main(%x: tensor<f32[1, 2]>) -> ("z": tensor<f32[1, 2]>,
            "a": tensor<f32[1, 2]>, "b": tensor<f32[1, 2]>) {
          %embedding = core.constant() {value = dense<f32[3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>}
          %transposed = tensor.transpose(%embedding) {permutation = [1, 0]}
          %y = nn.matmul(%x, %transposed)
          %0 = math.clamp(%x) {low = 0.0, high = 1.0}
          %z = nn.matmul(%y, %embedding)
          %packed = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
          %part = tensor.slice(%packed) {starts = [0, 0], sizes = [1, 2], steps = [1, 1]}
          %rest = tensor.slice(%packed) {starts = [1, 0], sizes = [1, 2], steps = [1, 1]}
          %a = math.add(%0, %part)
          %b = math.add(%0, %rest)
          core.return(%z, %a, %b)
        }""",
    ),
    "folding-in-all": (
        "fold{total=40},dce",
        """func @main(%x: tensor<f32[8]>) -> ("y": tensor<f32[8]>, "z": tensor<f32[8]>) {
          %one = core.constant() {value = dense<f32[], [1.0]>}
          %ones = tensor.broadcast(%one) {shape = [8]}
          %y = math.sub(%x, %ones)
          %two = core.constant() {value = dense<f32[], [2.0]>}
          %twos = tensor.broadcast(%two) {shape = [8]}
          %z = math.sub(%x, %twos)
          core.return(%y, %z)
        }""",
    ),
    "fold-moves-integers": (
        "fold,dce",
        """func @main(%x: tensor<f32[2, 3]>) -> ("y": tensor<f32[2, 2]>) {
          %q = core.constant() {
            value = dense<i8[2, 3], [1, 2, 3, 4, 5, 6]>,
            encoding = [quant([0.5, 0.25], 0, axis = 0)]
          }
          %w = quant.dequantize(%q)
          %t = tensor.transpose(%w) {permutation = [1, 0]}
          %y = nn.matmul(%x, %t)
          core.return(%y)
        }""",
    ),
    "common-subexpressions": (
        "cse",
        """func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>, "z": tensor<f32[4]>) {
          %a = core.constant() {value = dense<f32[], [3.0]>}
          %b = core.constant() {value = dense<f32[], [3.0]>}
          %0 = math.mul(%x, %a)
          %1 = math.mul(%b, %x)
          %2 = math.sub(%0, %a)
          %3 = math.sub(%b, %1)
          core.return(%2, %3)
        }""",
    ),
}
