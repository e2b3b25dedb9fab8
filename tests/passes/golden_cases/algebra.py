"""Arithmetic, truth values and choices."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
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
}
