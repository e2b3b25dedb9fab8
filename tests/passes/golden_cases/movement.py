"""Transposes, reshapes and shuffles on their way."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "transposes-cancel": (
        "shape-cleanup,fold,dce",
        """func @main(%x: tensor<f32[1, 2, 3, 3]>) -> ("y": tensor<f32[1, 2, 3, 3]>) {
          %scale = core.constant() {value = dense<f32[2], [2.0, 3.0]>}
          %0 = tensor.transpose(%x) {permutation = [0, 2, 3, 1]}
          %1 = math.mul(%0, %scale)
          %2 = math.relu(%1)
          %3 = tensor.transpose(%2) {permutation = [0, 3, 1, 2]}
          core.return(%3)
        }""",
    ),
    "transposes-sink": (
        "shape-cleanup",
        """func @main(%x: tensor<f32[1, 2, 3, 4]>)
            -> ("y": tensor<f32[1, 2]>, "z": tensor<f32[1, 3, 2, 2]>,
                "u": tensor<f32[1, 6, 4, 2]>) {
          %0 = tensor.transpose(%x) {permutation = [0, 2, 3, 1]}
          %y = tensor.reduce(%0) {kind = "mean", axes = [1, 2], keep_dims = false}
          %1 = tensor.transpose(%x) {permutation = [0, 2, 3, 1]}
          %z = tensor.slice(%1) {starts = [0, 0, 1, 0], sizes = [1, 3, 2, 2], steps = [1, 1, 1, 1]}
          %2 = tensor.transpose(%x) {permutation = [0, 2, 3, 1]}
          %3 = tensor.transpose(%x) {permutation = [0, 2, 3, 1]}
          %u = tensor.concat(%2, %3) {axis = 1}
          core.return(%y, %z, %u)
        }""",
    ),
    "pad-below-transpose": (
        "shape-cleanup,fold-pad",
        """func @main(%x: tensor<f32[1, 4, 4, 1]>, %w: tensor<f32[1, 1, 3, 3]>)
            -> ("y": tensor<f32[1, 1, 4, 4]>) {
          %0 = tensor.pad(%x) {before = [0, 1, 1, 0], after = [0, 1, 1, 0]}
          %1 = tensor.transpose(%0) {permutation = [0, 3, 1, 2]}
          %2 = nn.conv(%1, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          core.return(%2)
        }""",
    ),
    "matmul-flags": (
        "shape-cleanup",
        """func @main(%a: tensor<f32[2, 4, 3]>, %b: tensor<f32[2, 5, 4]>)
            -> ("y": tensor<f32[2, 5, 3]>) {
          %0 = tensor.transpose(%a) {permutation = [0, 2, 1]}
          %1 = tensor.transpose(%b) {permutation = [0, 2, 1]}
          %2 = nn.matmul(%0, %1)
          %3 = tensor.transpose(%2) {permutation = [0, 2, 1]}
          core.return(%3)
        }""",
    ),
    "reshape-around-matmul": (
        "shape-cleanup",
        """func @main(%a: tensor<f32[1, 4, 3]>, %b: tensor<f32[3, 5]>, %c: tensor<f32[5]>)
            -> ("y": tensor<f32[1, 4, 5]>) {
          %0 = tensor.reshape(%a) {shape = [4, 3]}
          %1 = nn.matmul(%0, %b, %c)
          %2 = tensor.reshape(%1) {shape = [1, 4, 5]}
          core.return(%2)
        }""",
    ),
    "reshape-below-activation": (
        "shape-cleanup,fuse",
        """func @main(%a: tensor<f32[4, 3]>, %b: tensor<f32[3, 6]>) -> ("y": tensor<f32[2, 2, 6]>) {
          %0 = nn.matmul(%a, %b)
          %1 = tensor.reshape(%0) {shape = [2, 2, 6]}
          %2 = math.relu(%1)
          core.return(%2)
        }""",
    ),
    "below-a-shuffle": (
        "shape-cleanup,fold,fold-batch-norm,dce",
        """func @main(%x: tensor<f32[1, 1, 2, 2]>) -> ("y": tensor<f32[1, 4, 2, 2]>) {
          %w = core.constant() {value = dense<f32[4, 1, 1, 1], [1.0, 2.0, 3.0, 4.0]>}
          %0 = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
          %1 = tensor.reshape(%0) {shape = [1, 2, 2, 2, 2]}
          %2 = tensor.transpose(%1) {permutation = [0, 2, 1, 3, 4]}
          %3 = tensor.reshape(%2) {shape = [1, 4, 2, 2]}
          %s = core.constant() {value = dense<f32[4], [1.0, 10.0, 100.0, 1000.0]>}
          %b = core.constant() {value = dense<f32[4], [1.0, 2.0, 3.0, 4.0]>}
          %m = core.constant() {value = splat<f32[4], 0.0>}
          %v = core.constant() {value = splat<f32[4], 1.0>}
          %4 = nn.batch_norm(%3, %s, %b, %m, %v) {epsilon = 0.0}
          %5 = math.relu(%4)
          core.return(%5)
        }""",
    ),
    "shifted-windows": (
        "gather-rows,dce",
        """func @main(%x: tensor<f32[1, 16, 4]>) -> ("y": tensor<f32[4, 4, 4]>) {
          %0 = tensor.reshape(%x) {shape = [1, 4, 4, 4]}
          %1 = tensor.slice(%0) {starts = [0, 0, 0, 0], sizes = [1, 1, 4, 4], steps = [1, 1, 1, 1]}
          %2 = tensor.slice(%0) {starts = [0, 1, 0, 0], sizes = [1, 3, 4, 4], steps = [1, 1, 1, 1]}
          %3 = tensor.concat(%2, %1) {axis = 1}
          %4 = tensor.reshape(%3) {shape = [2, 2, 2, 2, 4]}
          %5 = tensor.transpose(%4) {permutation = [0, 2, 1, 3, 4]}
          %6 = tensor.reshape(%5) {shape = [4, 4, 4]}
          core.return(%6)
        }""",
    ),
    "halves-of-a-shuffle": (
        "gather-rows,dce",
        """func @main(%x: tensor<f32[1, 4, 5]>)
            -> ("a": tensor<f32[1, 2, 5]>, "b": tensor<f32[1, 2, 5]>) {
          %0 = tensor.reshape(%x) {shape = [1, 2, 2, 5]}
          %1 = tensor.transpose(%0) {permutation = [0, 2, 1, 3]}
          %2 = tensor.reshape(%1) {shape = [1, 4, 5]}
          %a = tensor.slice(%2) {starts = [0, 0, 0], sizes = [1, 2, 5], steps = [1, 1, 1]}
          %b = tensor.slice(%2) {starts = [0, 2, 0], sizes = [1, 2, 5], steps = [1, 1, 1]}
          core.return(%a, %b)
        }""",
    ),
    "moves-that-stay": (
        "gather-rows,dce",
        """func @main(%x: tensor<f32[2, 6, 4]>, %y: tensor<f32[1, 4, 2]>)
            -> ("h": tensor<f32[2, 2, 6, 2]>, "a": tensor<f32[2, 6, 2]>,
                "b": tensor<f32[2, 6, 2]>, "s": tensor<f32[1, 4, 2]>) {
          %0 = tensor.reshape(%x) {shape = [2, 6, 2, 2]}
          %h = tensor.transpose(%0) {permutation = [0, 2, 1, 3]}
          %z = math.relu(%x)
          %a = tensor.slice(%z) {starts = [0, 0, 0], sizes = [2, 6, 2], steps = [1, 1, 1]}
          %b = tensor.slice(%z) {starts = [0, 0, 2], sizes = [2, 6, 2], steps = [1, 1, 1]}
          %1 = tensor.reshape(%y) {shape = [1, 2, 2, 2]}
          %2 = tensor.transpose(%1) {permutation = [0, 2, 1, 3]}
          %small = tensor.reshape(%2) {shape = [1, 4, 2]}
          core.return(%h, %a, %b, %small)
        }""",
    ),
}
