"""Batch norms, scales and shifts in weights."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "batch-norm-into-conv": (
        "fold-batch-norm",
        """func @main(%x: tensor<f32[1, 1, 2, 2]>) -> ("y": tensor<f32[1, 2, 2, 2]>) {
          %w = core.constant() {value = dense<f32[2, 1, 1, 1], [1.0, 2.0]>}
          %scale = core.constant() {value = dense<f32[2], [2.0, 3.0]>}
          %bias = core.constant() {value = dense<f32[2], [1.0, -1.0]>}
          %mean = core.constant() {value = dense<f32[2], [0.5, 0.25]>}
          %variance = core.constant() {value = dense<f32[2], [3.0, 0.0]>}
          %0 = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %1 = nn.batch_norm(%0, %scale, %bias, %mean, %variance) {epsilon = 1.0}
          core.return(%1)
        }""",
    ),
    "batch-norm-alone": (
        "fold-batch-norm",
        """func @main(%x: tensor<f32[1, 2, 2]>) -> ("y": tensor<f32[1, 2, 2]>) {
          %scale = core.constant() {value = dense<f32[2], [2.0, 3.0]>}
          %bias = core.constant() {value = dense<f32[2], [1.0, -1.0]>}
          %mean = core.constant() {value = dense<f32[2], [0.5, 0.25]>}
          %variance = core.constant() {value = dense<f32[2], [3.0, 0.0]>}
          %0 = nn.batch_norm(%x, %scale, %bias, %mean, %variance) {epsilon = 1.0}
          %1 = math.relu(%0)
          core.return(%1)
        }""",
    ),
    "scales-and-shifts": (
        "fold-batch-norm",
        """func @main(%x: tensor<f32[2, 2]>) -> ("y": tensor<f32[2, 3]>) {
          %w = core.constant() {value = dense<f32[2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>}
          %s = core.constant() {value = dense<f32[2], [2.0, 3.0]>}
          %t = core.constant() {value = dense<f32[], [0.5]>}
          %u = core.constant() {value = dense<f32[1, 3], [1.0, 2.0, 4.0]>}
          %0 = math.mul(%x, %s)
          %1 = math.add(%0, %t)
          %2 = nn.matmul(%1, %w)
          %3 = math.div(%2, %u)
          %4 = math.sub(%3, %t)
          core.return(%4)
        }""",
    ),
    "scale-of-shifted-product": (
        "fold-batch-norm,dce",
        """func @main(%x: tensor<f32[2, 2]>) -> ("y": tensor<f32[2, 2]>) {
          %w = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
          %b = core.constant() {value = dense<f32[2], [0.5, 0.25]>}
          %s = core.constant() {value = dense<f32[2], [2.0, 4.0]>}
          %0 = nn.matmul(%x, %w)
          %1 = math.add(%0, %b)
          %2 = math.mul(%1, %s)
          core.return(%2)
        }""",
    ),
    "scale-below-shift": (
        "fold-batch-norm,dce",
        """func @main(%x: tensor<f32[1, 2, 3, 3]>)
            -> ("a": tensor<f32[1, 1, 3, 3]>, "b": tensor<f32[1, 1, 3, 3]>) {
          %w = core.constant() {value = splat<f32[1, 2, 3, 3], 0.5>}
          %s = core.constant() {value = dense<f32[2, 1, 1], [2.0, 4.0]>}
          %t = core.constant() {value = dense<f32[1], [3.0]>}
          %0 = math.mul(%x, %s)
          %1 = math.sub(%0, %t)
          %a = nn.conv(%1, %w) {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1]}
          %v = core.constant() {value = splat<f32[1, 2, 3, 3], 0.25>}
          %z = core.constant() {value = dense<f32[2, 1, 1], [2.0, 0.0]>}
          %2 = math.mul(%x, %z)
          %3 = math.add(%2, %t)
          %b = nn.conv(%3, %v) {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1]}
          core.return(%a, %b)
        }""",
    ),
}
