"""Shapes: what only moves, repeats or cuts."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "shapes": (
        "canonicalize",
        """func @main(%x: tensor<f32[1, 4]>, %e: tensor<f32[0, 4]>) -> ("a": tensor<f32[1, 4]>,
            "b": tensor<f32[2, 4]>, "c": tensor<f32[1, 1, 4]>, "d": tensor<f32[1, 4]>,
            "e": tensor<f32[1, 4]>, "f": tensor<f32[1, 1]>) {
          %a = tensor.reshape(%x) {shape = [1, 4]}
          %0 = tensor.broadcast(%x) {shape = [1, 1, 4]}
          %1 = tensor.broadcast(%x) {shape = [1, 4]}
          %b = tensor.broadcast(%1) {shape = [2, 4]}
          %2 = tensor.broadcast(%x) {shape = [2, 4]}
          %3 = tensor.broadcast(%2) {shape = [3, 2, 4]}
          %4 = tensor.concat(%x, %e) {axis = 0}
          %d = tensor.concat(%4) {axis = 0}
          %5 = tensor.transpose(%x) {permutation = [1, 0]}
          %6 = tensor.transpose(%5) {permutation = [1, 0]}
          %7 = tensor.reduce(%6) {kind = "max", axes = [0], keep_dims = true}
          %8 = tensor.reduce(%7) {kind = "max", axes = [1], keep_dims = true}
          %9 = math.exp(%3)
          core.return(%a, %b, %0, %d, %6, %8)
        }""",
    ),
    "transposed-right": (
        "shape-cleanup",
        """func @main(%a: tensor<f32[3, 4]>, %b: tensor<f32[5, 4]>, %x: tensor<f32[2, 3, 4]>)
            -> ("y": tensor<f32[3, 5]>, "z": tensor<f32[4, 1, 2]>) {
          %0 = tensor.transpose(%b) {permutation = [1, 0]}
          %y = nn.matmul(%a, %0)
          %1 = tensor.transpose(%x) {permutation = [2, 1, 0]}
          %z = tensor.reduce(%1) {kind = "max", axes = [1], keep_dims = true}
          core.return(%y, %z)
        }""",
    ),
    "views": (
        "canonicalize",
        """func @main(%x: tensor<f32[2, 1, 6]>) -> ("y": tensor<f32[6, 2]>) {
          %0 = tensor.reshape(%x) {shape = [12]}
          %1 = tensor.reshape(%0) {shape = [1, 2, 6]}
          %2 = tensor.transpose(%1) {permutation = [1, 0, 2]}
          %3 = tensor.reshape(%2) {shape = [2, 6]}
          %4 = tensor.transpose(%3) {permutation = [1, 0]}
          %5 = tensor.transpose(%4) {permutation = [1, 0]}
          %6 = tensor.transpose(%5) {permutation = [1, 0]}
          core.return(%6)
        }""",
    ),
    "slices-and-concats": (
        "canonicalize",
        """func @main(%x: tensor<f32[2, 8]>, %y: tensor<f32[2, 3]>)
            -> ("a": tensor<f32[2, 8]>, "b": tensor<f32[2, 2]>, "c": tensor<f32[2, 14]>) {
          %0 = tensor.slice(%x) {starts = [0, 0], sizes = [2, 3], steps = [1, 1]}
          %1 = tensor.slice(%x) {starts = [0, 3], sizes = [2, 5], steps = [1, 1]}
          %a = tensor.concat(%0, %1) {axis = 1}
          %2 = tensor.concat(%x, %y) {axis = 1}
          %3 = tensor.slice(%2) {starts = [0, 8], sizes = [2, 3], steps = [1, 1]}
          %b = tensor.slice(%3) {starts = [0, 2], sizes = [2, 2], steps = [1, -1]}
          %4 = tensor.concat(%x, %y) {axis = 1}
          %c = tensor.concat(%4, %y) {axis = 1}
          core.return(%a, %b, %c)
        }""",
    ),
    "pads-around-nothing": (
        "fold-pad",
        """func @main(%x: tensor<f32[1, 1, 0]>) -> ("y": tensor<f32[1, 1, 1]>) {
          %0 = math.exp(%x)
          %1 = tensor.pad(%0) {mode = "constant", before = [0, 0, 1], after = [0, 0, 2]}
          %y = nn.max_pool(%1) {kernel = [3], strides = [1], pads = [0, 0], dilations = [1],
            overhang = [0]}
          core.return(%y)
        }""",
    ),
    "slices-that-may-not-fit": (
        "canonicalize",
        """symbols {N = 0..8}
        func @main(%x: tensor<f32[N, 8]>) -> ("a": tensor<f32[1, 1]>, "b": tensor<f32[1, 1]>) {
          %0 = tensor.slice(%x) {starts = [0, 2], sizes = [1, N], steps = [1, 1]}
          %a = tensor.slice(%0) {starts = [0, 1], sizes = [1, 1], steps = [1, 1]}
          %1 = tensor.slice(%x) {starts = [0, 2], sizes = [N, 6], steps = [1, 1]}
          %b = tensor.slice(%1) {starts = [0, 1], sizes = [1, 1], steps = [1, 1]}
          core.return(%a, %b)
        }""",
    ),
    "rotary-by-one-angle": (
        "canonicalize,recover",
        """func @main(%x: tensor<f32[2, 1, 1, 4]>, %c: tensor<f32[2, 1, 1, 1]>,
            %s: tensor<f32[2, 1, 1, 1]>) -> ("y": tensor<f32[2, 1, 1, 4]>) {
          %a = tensor.slice(%x) {starts = [0, 0, 0, 0], sizes = [2, 1, 1, 2], steps = [1, 1, 1, 1]}
          %b = tensor.slice(%x) {starts = [0, 0, 0, 2], sizes = [2, 1, 1, 2], steps = [1, 1, 1, 1]}
          %0 = math.mul(%a, %c)
          %1 = math.mul(%b, %s)
          %2 = math.sub(%0, %1)
          %3 = math.mul(%a, %s)
          %4 = math.mul(%b, %c)
          %5 = math.add(%3, %4)
          %y = tensor.concat(%2, %5) {axis = 3}
          core.return(%y)
        }""",
    ),
    "pads-and-tiles": (
        "canonicalize",
        """func @main(%x: tensor<f32[1, 4]>) -> ("y": tensor<f32[3, 7]>) {
          %zero = core.constant() {value = dense<f32[], [0.0]>}
          %0 = tensor.pad(%x) {before = [0, 1], after = [0, 0]}
          %1 = tensor.pad(%0, %zero) {before = [0, 1], after = [0, 1]}
          %2 = tensor.pad(%1) {before = [0, 0], after = [0, 0]}
          %3 = tensor.tile(%2) {repeats = [3, 1]}
          core.return(%3)
        }""",
    ),
    "broadcast-in-vain": (
        "canonicalize",
        """func @main(%x: tensor<f32[4, 8]>, %y: tensor<f32[8]>) -> ("z": tensor<f32[4, 8]>) {
          %0 = tensor.broadcast(%y) {shape = [4, 8]}
          %1 = math.add(%x, %0)
          core.return(%1)
        }""",
    ),
    "reductions": (
        "canonicalize",
        """func @main(%x: tensor<f32[2, 1, 4]>) -> ("y": tensor<f32[2]>, "z": tensor<f32[]>) {
          %0 = tensor.reduce(%x) {kind = "sum", axes = [1], keep_dims = false}
          %1 = tensor.reduce(%0) {kind = "max", axes = [1], keep_dims = false}
          %2 = tensor.reduce(%0) {kind = "max", axes = [1], keep_dims = false}
          %3 = tensor.reduce(%2) {kind = "max", axes = [0], keep_dims = false}
          core.return(%1, %3)
        }""",
    ),
    "reductions-with-axes": (
        "canonicalize",
        """func @main(%x: tensor<f32[2, 3, 4]>)
            -> ("a": tensor<f32[2, 3, 1]>, "b": tensor<f32[2]>, "c": tensor<f32[1, 2]>) {
          %0 = tensor.reduce(%x) {kind = "max", axes = [2], keep_dims = false}
          %a = tensor.reshape(%0) {shape = [2, 3, 1]}
          %1 = tensor.reduce(%x) {kind = "mean", axes = [1, 2], keep_dims = true}
          %b = tensor.reshape(%1) {shape = [2]}
          %2 = tensor.reduce(%x) {kind = "sum", axes = [1, 2], keep_dims = true}
          %c = tensor.reshape(%2) {shape = [1, 2]}
          core.return(%a, %b, %c)
        }""",
    ),
    "gather-one": (
        "canonicalize",
        """func @main(%x: tensor<f32[3, 4]>) -> ("y": tensor<f32[4]>) {
          %last = core.constant() {value = dense<i64[], [-1]>}
          %0 = tensor.gather(%x, %last) {axis = 0}
          core.return(%0)
        }""",
    ),
    "depth-to-space-and-back": (
        "canonicalize,dce",
        """func @main(%x: tensor<f32[1, 8, 3, 3]>) -> ("y": tensor<f32[1, 8, 3, 3]>) {
          %0 = tensor.reshape(%x) {shape = [1, 2, 2, 2, 3, 3]}
          %1 = tensor.transpose(%0) {permutation = [0, 3, 4, 1, 5, 2]}
          %2 = tensor.reshape(%1) {shape = [1, 2, 6, 6]}
          %3 = tensor.reshape(%2) {shape = [1, 2, 3, 2, 3, 2]}
          %4 = tensor.transpose(%3) {permutation = [0, 3, 5, 1, 2, 4]}
          %5 = tensor.reshape(%4) {shape = [1, 8, 3, 3]}
          core.return(%5)
        }""",
    ),
    "symbolic-dimensions": (
        "canonicalize,shape-cleanup,fuse,dce",
        """func @main(%x: tensor<f32[N, 3, 4]>) -> ("y": tensor<f32[N, 12]>) {
          %0 = tensor.transpose(%x) {permutation = [0, 2, 1]}
          %1 = math.relu(%0)
          %2 = math.exp(%1)
          %3 = tensor.transpose(%2) {permutation = [0, 2, 1]}
          %4 = tensor.reshape(%3) {shape = [N, 12]}
          %5 = tensor.slice(%4) {starts = [0, 0], sizes = [N, 12], steps = [1, 1]}
          core.return(%5)
        }""",
    ),
}
