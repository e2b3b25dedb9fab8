"""What each rewrite does, as text: the golden file shows a function before and after.

The function is also interpreted before and after, so that a golden file nobody read cannot bless
a wrong rewrite.
"""

from __future__ import annotations

import numpy as np
import pytest

from burnish.ir import DType, interpret, parse
from burnish.passes import run_pipeline
from burnish.passes.rules import read_rules, rule_files
from burnish.testing import Golden

CASES: dict[str, tuple[str, str]] = {
    "identities": (
        "canonicalize",
        """func @main(%x: tensor<f32[2, 3]>, %b: tensor<bool[2, 3]>)
            -> ("y": tensor<f32[2, 3]>, "c": tensor<bool[2, 3]>) {
          %zero = core.constant() {value = dense<f32[], [0.0]>}
          %negative_zero = core.constant() {value = dense<f32[], [-0.0]>}
          %one = core.constant() {value = splat<f32[2, 3], 1.0>}
          %yes = core.constant() {value = dense<bool[], [true]>}
          %0 = math.sub(%x, %zero)
          %1 = math.add(%negative_zero, %0)
          %2 = math.mul(%one, %1)
          %kept = math.add(%2, %zero)
          %3 = math.neg(%kept)
          %4 = math.neg(%3)
          %5 = math.logical_and(%yes, %b)
          core.return(%4, %5)
        }""",
    ),
    "signs": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>, %y: tensor<f32[4]>) -> ("z": tensor<f32[4]>) {
          %0 = math.neg(%y)
          %1 = math.add(%0, %x)
          %2 = math.neg(%1)
          %3 = math.sub(%1, %2)
          %c = core.constant() {value = dense<f32[], [-1.0]>}
          %4 = math.mul(%3, %c)
          %four = core.constant() {value = dense<f32[], [4.0]>}
          %5 = math.div(%4, %four)
          %three = core.constant() {value = dense<f32[], [3.0]>}
          %6 = math.div(%5, %three)
          core.return(%6)
        }""",
    ),
    "clamps": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
          %zero = core.constant() {value = dense<f32[], [0.0]>}
          %six = core.constant() {value = dense<f32[], [6.0]>}
          %0 = math.max(%x, %zero)
          %1 = math.min(%0, %six)
          %2 = math.relu(%1)
          %3 = math.clamp(%2) {low = -1.0, high = 4.0}
          core.return(%3)
        }""",
    ),
    "comparisons": (
        "canonicalize",
        """func @main(%i: tensor<i32[4]>, %j: tensor<i32[4]>,
            %x: tensor<f32[4]>, %y: tensor<f32[4]>)
            -> ("a": tensor<bool[4]>, "b": tensor<bool[4]>) {
          %0 = math.less(%i, %j)
          %1 = math.logical_not(%0)
          %2 = math.less(%x, %y)
          %3 = math.logical_not(%2)
          core.return(%1, %3)
        }""",
    ),
    "casts": (
        "canonicalize",
        """func @main(%i: tensor<i32[4]>) -> ("y": tensor<f32[4]>, "z": tensor<i32[4]>) {
          %0 = math.cast(%i) {to = i64}
          %1 = math.cast(%0) {to = f32}
          %2 = math.cast(%i) {to = i8}
          %3 = math.cast(%2) {to = i32}
          %4 = math.cast(%3) {to = i32}
          core.return(%1, %4)
        }""",
    ),
    "square": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
          %two = core.constant() {value = dense<f32[], [2.0]>}
          %0 = math.pow(%x, %two)
          core.return(%0)
        }""",
    ),
    "signs-and-squares": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>, %y: tensor<f32[4]>) -> ("a": tensor<f32[4]>,
            "b": tensor<f32[4]>, "c": tensor<f32[4]>, "d": tensor<f32[4]>, "e": tensor<f32[4]>,
            "f": tensor<f32[4]>, "g": tensor<f32[4]>, "h": tensor<f32[4]>, "i": tensor<f32[4]>,
            "j": tensor<f32[4]>) {
          %minus_zero = core.constant() {value = dense<f32[], [-0.0]>}
          %two = core.constant() {value = dense<f32[], [2.0]>}
          %nx = math.neg(%x)
          %ny = math.neg(%y)
          %ax = math.abs(%x)
          %a = math.sub(%minus_zero, %x)
          %b = math.mul(%nx, %ny)
          %c = math.div(%nx, %ny)
          %d = math.mul(%nx, %two)
          %0 = math.mul(%y, %two)
          %e = math.neg(%0)
          %f = math.abs(%nx)
          %g = math.cos(%ax)
          %h = math.mul(%ax, %ax)
          %1 = math.mul(%y, %y)
          %i = math.abs(%1)
          %j = math.max(%x, %nx)
          core.return(%a, %b, %c, %d, %e, %f, %g, %h, %i, %j)
        }""",
    ),
    "powers-and-roots": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>) -> ("a": tensor<f32[4]>, "b": tensor<f32[4]>,
            "c": tensor<f32[4]>, "d": tensor<f32[4]>, "e": tensor<f32[4]>, "f": tensor<f32[4]>) {
          %zero = core.constant() {value = dense<f32[], [0.0]>}
          %one = core.constant() {value = dense<f32[], [1.0]>}
          %three = core.constant() {value = dense<f32[], [3.0]>}
          %minus_one = core.constant() {value = dense<f32[], [-1.0]>}
          %0 = math.exp(%x)
          %1 = math.sqrt(%0)
          %a = math.div(%one, %1)
          %b = math.pow(%x, %zero)
          %c = math.pow(%one, %x)
          %d = math.pow(%x, %three)
          %e = math.pow(%0, %minus_one)
          %f = math.relu(%0)
          core.return(%a, %b, %c, %d, %e, %f)
        }""",
    ),
    "integers": (
        "canonicalize",
        """func @main(%x: tensor<i32[4]>, %y: tensor<i32[4]>) -> ("a": tensor<i32[4]>,
            "b": tensor<i32[4]>, "c": tensor<i32[4]>, "d": tensor<i32[4]>, "e": tensor<i32[4]>,
            "f": tensor<i32[4]>, "g": tensor<i32[4]>, "h": tensor<i32[4]>, "i": tensor<f32[4]>,
            "j": tensor<i32[4]>, "k": tensor<i32[4]>, "l": tensor<i32[4]>, "m": tensor<i32[4]>) {
          %zero = core.constant() {value = dense<i32[], [0]>}
          %six = core.constant() {value = dense<i32[], [6]>}
          %ten = core.constant() {value = dense<i32[], [10]>}
          %ones = core.constant() {value = dense<i32[], [-1]>}
          %a = math.add(%x, %zero)
          %b = math.sub(%zero, %x)
          %0 = math.sub(%x, %y)
          %c = math.neg(%0)
          %d = math.sub(%x, %x)
          %e = math.bit_xor(%x, %x)
          %1 = math.bit_not(%x)
          %f = math.bit_and(%x, %1)
          %2 = math.add(%x, %six)
          %g = math.add(%2, %ten)
          %3 = math.bit_and(%x, %six)
          %h = math.bit_and(%3, %ten)
          %4 = math.cast(%x) {to = f32}
          %5 = math.floor(%4)
          %i = math.ceil(%5)
          %j = math.mul(%x, %zero)
          %k = math.bit_and(%x, %ones)
          %l = math.bit_or(%x, %ones)
          %m = math.bit_and(%x, %zero)
          core.return(%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m)
        }""",
    ),
    "bounds": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>) -> ("a": tensor<f32[4]>, "b": tensor<f32[4]>,
            "c": tensor<f32[4]>, "d": tensor<f32[4]>, "e": tensor<f32[4]>) {
          %0 = math.relu(%x)
          %a = math.clamp(%0) {low = -1.0, high = 4.0}
          %1 = math.clamp(%x) {low = -1.0, high = 4.0}
          %b = math.relu(%1)
          %2 = math.clamp(%x) {low = -2.0, high = 3.0}
          %c = math.clamp(%2) {low = 0.0, high = 5.0}
          %d = math.clamp(%x) {low = -inf, high = inf}
          %3 = math.floor(%x)
          %e = math.round(%3)
          core.return(%a, %b, %c, %d, %e)
        }""",
    ),
    "logic": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>, %y: tensor<f32[4]>, %i: tensor<i32[4]>,
            %p: tensor<bool[4]>, %q: tensor<bool[4]>) -> ("a": tensor<bool[4]>,
            "b": tensor<bool[4]>, "c": tensor<bool[4]>, "d": tensor<bool[4]>,
            "e": tensor<bool[4]>, "f": tensor<bool[4]>, "g": tensor<bool[4]>,
            "h": tensor<bool[4]>, "i": tensor<bool[4]>, "j": tensor<bool[4]>,
            "k": tensor<bool[4]>, "l": tensor<bool[4]>, "m": tensor<bool[4]>) {
          %true = core.constant() {value = dense<bool[], [true]>}
          %false = core.constant() {value = dense<bool[], [false]>}
          %a = math.less(%x, %x)
          %b = math.equal(%i, %i)
          %nx = math.neg(%x)
          %ny = math.neg(%y)
          %c = math.less(%nx, %ny)
          %0 = math.cast(%i) {to = f32}
          %d = math.is_nan(%0)
          %e = math.equal(%p, %true)
          %f = math.not_equal(%p, %true)
          %g = math.not_equal(%p, %false)
          %np = math.logical_not(%p)
          %h = math.logical_and(%p, %np)
          %i2 = math.logical_xor(%p, %p)
          %1 = math.logical_not(%p)
          %2 = math.logical_not(%q)
          %j = math.logical_and(%1, %2)
          %3 = math.logical_or(%q, %p)
          %k = math.logical_and(%p, %3)
          %4 = math.equal(%x, %y)
          %l = math.logical_not(%4)
          %m = math.logical_and(%q, %false)
          core.return(%a, %b, %c, %d, %e, %f, %g, %h, %i2, %j, %k, %l, %m)
        }""",
    ),
    "choices": (
        "canonicalize",
        """func @main(%c: tensor<bool[4]>, %x: tensor<i32[4]>, %y: tensor<i32[4]>,
            %z: tensor<i32[4]>) -> ("a": tensor<i32[4]>, "b": tensor<bool[4]>,
            "d": tensor<bool[4]>, "e": tensor<i32[4]>, "f": tensor<i32[4]>, "g": tensor<i32[4]>,
            "h": tensor<i32[4]>, "i": tensor<i32[4]>, "j": tensor<i32[4]>, "k": tensor<i32[4]>) {
          %true = core.constant() {value = splat<bool[4], true>}
          %false = core.constant() {value = splat<bool[4], false>}
          %n = math.logical_not(%c)
          %a = math.select(%n, %x, %y)
          %b = math.select(%c, %true, %false)
          %d = math.select(%c, %false, %true)
          %0 = math.select(%c, %x, %z)
          %e = math.select(%c, %0, %y)
          %1 = math.select(%c, %z, %y)
          %f = math.select(%c, %x, %1)
          %2 = math.less(%x, %y)
          %g = math.select(%2, %x, %y)
          %h = math.select(%2, %y, %x)
          %i = math.select(%true, %x, %y)
          %j = math.select(%false, %x, %y)
          %k = math.select(%c, %x, %x)
          core.return(%a, %b, %d, %e, %f, %g, %h, %i, %j, %k)
        }""",
    ),
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
    "repeated": (
        "canonicalize",
        """func @main(%x: tensor<f32[2, 3]>, %p: tensor<bool[2]>)
            -> ("a": tensor<f32[2, 3]>, "b": tensor<f32[1, 1]>, "c": tensor<bool[2]>) {
          %0 = math.relu(%x)
          %a = math.relu(%0)
          %1 = tensor.reduce(%x) {kind = "max", axes = [0], keep_dims = true}
          %b = tensor.reduce(%1) {kind = "max", axes = [1], keep_dims = true}
          %c = math.logical_and(%p, %p)
          core.return(%a, %b, %c)
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
    "fast-math": (
        "canonicalize{fast-math=true}",
        """func @main(%x: tensor<f32[4]>, %y: tensor<f32[4]>, %z: tensor<f32[4]>)
            -> ("a": tensor<f32[4]>, "b": tensor<f32[4]>, "c": tensor<f32[4]>,
                "d": tensor<f32[4]>, "e": tensor<f32[4]>,
                "h": tensor<f32[4]>, "i": tensor<f32[4]>,
                "j": tensor<f32[4]>, "k": tensor<f32[4]>, "l": tensor<f32[4]>,
                "m": tensor<f32[4]>, "n": tensor<f32[4]>, "o": tensor<f32[4]>,
                "p": tensor<f32[4]>, "q": tensor<f32[4]>) {
          %zero = core.constant() {value = dense<f32[], [0.0]>}
          %half = core.constant() {value = dense<f32[], [0.5]>}
          %three = core.constant() {value = dense<f32[], [3.0]>}
          %five = core.constant() {value = dense<f32[], [5.0]>}
          %a = math.add(%x, %zero)
          %b = math.sub(%zero, %x)
          %c = math.mul(%x, %zero)
          %d = math.sub(%x, %x)
          %0 = math.add(%x, %three)
          %e = math.add(%0, %five)
          %3 = math.div(%x, %three)
          %h = math.mul(%3, %five)
          %4 = math.mul(%x, %three)
          %i = math.div(%4, %five)
          %5 = math.mul(%x, %y)
          %6 = math.mul(%z, %x)
          %j = math.add(%5, %6)
          %7 = math.mul(%x, %y)
          %8 = math.mul(%z, %x)
          %k = math.sub(%7, %8)
          %9 = math.div(%x, %y)
          %l = math.div(%9, %z)
          %ex = math.exp(%x)
          %ey = math.exp(%y)
          %m = math.mul(%ex, %ey)
          %10 = math.exp(%z)
          %n = math.log(%10)
          %11 = math.mul(%y, %y)
          %o = math.sqrt(%11)
          %12 = math.abs(%z)
          %p = math.pow(%12, %half)
          %13 = math.div(%y, %three)
          %q = math.div(%13, %five)
          core.return(%a, %b, %c, %d, %e, %h, %i, %j, %k, %l, %m, %n, %o, %p, %q)
        }""",
    ),
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
    "decided-if": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
          %no = core.constant() {value = dense<bool[], [false]>}
          %0 = control.if(%no, %x) region(%a: tensor<f32[4]>) {
            %1 = math.exp(%a)
            core.yield(%1)
          } region(%b: tensor<f32[4]>) {
            %2 = math.neg(%b)
            core.yield(%2)
          }
          core.return(%0)
        }""",
    ),
    "captures-and-dead-results": (
        "canonicalize,fold,dce",
        """func @main(%c: tensor<bool[]>, %x: tensor<f32[2]>, %y: tensor<f32[2]>)
            -> ("z": tensor<f32[2]>) {
          %two = core.constant() {value = dense<f32[], [2.0]>}
          %dead = math.exp(%y)
          %0, %1 = control.if(%c, %x, %two, %dead)
          region(%a: tensor<f32[2]>, %b: tensor<f32[]>, %d: tensor<f32[2]>) {
            %2 = math.mul(%b, %b)
            %3 = math.mul(%a, %2)
            %4 = math.add(%d, %a)
            core.yield(%3, %4)
          } region(%a: tensor<f32[2]>, %b: tensor<f32[]>, %d: tensor<f32[2]>) {
            core.yield(%a, %d)
          }
          core.return(%0)
        }""",
    ),
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
    "unroll-loop": (
        "unroll-loops,canonicalize,fold,dce",
        """func @main(%x: tensor<f32[3]>, %k: tensor<f32[3]>)
            -> ("y": tensor<f32[3]>, "scan": tensor<f32[2, 3]>) {
          %n = core.constant() {value = dense<i64[], [2]>}
          %y, %scan = control.loop(%n, _, %x, %k) {carried = 1, iterations = 2}
            region(%i: tensor<i64[]>, %go: tensor<bool[]>,
                   %s: tensor<f32[3]>, %c: tensor<f32[3]>) {
            %f = math.cast(%i) {to = f32}
            %0 = math.mul(%c, %f)
            %1 = math.add(%s, %0)
            core.yield(%go, %1, %0)
          }
          core.return(%y, %scan)
        }""",
    ),
    "hoist-invariants": (
        "hoist-invariants,dce",
        """func @main(%x: tensor<f32[2, 2]>, %w: tensor<f32[2, 2]>, %n: tensor<i64[]>)
            -> ("y": tensor<f32[2, 2]>) {
          %y = control.loop(%n, _, %x, %w) {carried = 1}
            region(%i: tensor<i64[]>, %go: tensor<bool[]>,
                   %s: tensor<f32[2, 2]>, %c: tensor<f32[2, 2]>) {
            %one = core.constant() {value = dense<f32[], [1.0]>}
            %0 = tensor.transpose(%c) {permutation = [1, 0]}
            %1 = math.add(%0, %one)
            %2 = nn.matmul(%s, %1)
            %3 = math.sub(%2, %one)
            core.yield(%go, %3)
          }
          core.return(%y)
        }""",
    ),
    "cse-of-region": (
        "cse,dce",
        """func @main(%x: tensor<f32[3]>, %c: tensor<bool[]>)
            -> ("y": tensor<f32[3]>, "z": tensor<f32[3]>) {
          %0 = math.exp(%x)
          %1 = math.relu(%0)
          %y = control.if(%c, %x) region(%a: tensor<f32[3]>) {
            %2 = math.exp(%a)
            %3 = math.relu(%2)
            %4 = math.neg(%3)
            core.yield(%4)
          } region(%a: tensor<f32[3]>) {
            core.yield(%a)
          }
          core.return(%y, %1)
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


SHOWN = (
    *("algebra", "conversions", "fast-math", "kernels", "logic", "movement", "pads", "shapes"),
    *("single-windows", "space-to-depth"),
)
"""Rule files, each rule of which is applied in one of the cases."""


@pytest.mark.parametrize("case", CASES)
def test_rewrite(case: str, golden: Golden) -> None:
    pipeline, source = CASES[case]
    module = parse(f'module "golden" {{ {source} }}')
    original = module.copy()
    run_pipeline(module, pipeline, verify="each")
    golden(f"{original}// {pipeline}\n{module}")

    rng = np.random.default_rng(0)
    inputs = {}
    for value, name in zip(original.main.args, original.main.arg_names):
        shape = [2 if not isinstance(dim, int) else dim for dim in value.type.shape]
        numbers = rng.normal(size=shape) * (3 if value.type.dtype is DType.F32 else 60)
        inputs[name] = np.asarray(numbers).astype(value.type.dtype.numpy)
    before, after = interpret(original, inputs), interpret(module, inputs)
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_rule_is_shown() -> None:
    """Each rule of these files is applied in one of the cases."""
    shown: set[str] = set()
    for pipeline, source in CASES.values():
        module = parse(f'module "golden" {{ {source} }}')
        shown |= run_pipeline(module, pipeline).rewrites.keys()
    files = {path.stem: path for path in rule_files()}
    missing = {
        rule.name
        for name in SHOWN
        for rule in read_rules(files[name]).rules
        if rule.name not in shown
    }
    assert sorted(missing) == []
