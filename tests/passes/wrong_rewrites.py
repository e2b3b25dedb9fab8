"""Deliberately wrong rewrites, each right nearly always, and modules in which they hide.

They show that semantic verification, bisection and reduction find what reading does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from burnish.ir import Builder, DType, Module, Value, build_function, tensor
from burnish.passes import Match, Outcome, Pass, PatternPass, PatternSet
from burnish.passes.promises import EXACT, ROUNDING

LARGEST = float(np.finfo(np.float32).max)


def neg_neg(m: Match) -> Outcome:
    """-(-x) is x: right."""
    return m.producer(m.operand(0), "math.neg").operands[0]


def double_to_sum(m: Match) -> Outcome:
    """2 x is x + x: right."""
    m.require(m.scalar(m.operand(1)) == 2, "another factor")
    return m.build("math.add", m.operand(0), m.operand(0))


def clamp_to_finite(m: Match) -> Outcome:
    """clamp(x, -largest, largest) is x: but not for infinity."""
    m.require(m.op.attributes.high == LARGEST, "other bounds")
    return m.operand(0)


def sum_of_sum(m: Match) -> Outcome:
    """The sum of x + y is the sum of x plus that of y: but not where y is broadcast."""
    m.require(m.op.attributes.kind == "sum", "another reduction")
    added = m.producer(m.operand(0), "math.add")
    x, y = (m.rebuild(m.op, [operand]) for operand in added.operands)
    return m.build("math.add", x, y)


def less_of_neg(m: Match) -> Outcome:
    """-x < -y is y < x: but not for the least integer, which is its own negative."""
    x, y = (m.producer(operand, "math.neg").operands[0] for operand in m.op.operands)
    return m.build("math.less", y, x)


def sum_to_square(m: Match) -> Outcome:
    """x + x is x x: never, but x + x is what only another rewrite makes."""
    m.require(m.operand(0) is m.operand(1), "two values")
    return m.build("math.mul", m.operand(0), m.operand(0))


def wrong_pass(
    function: Callable[[Match], Outcome], root: str, promise: str, name: str = "wrong"
) -> Pass:
    """A pass that applies one rewrite, and right ones for company."""
    patterns = PatternSet(name)
    patterns.pattern("neg-neg", "math.neg")(neg_neg)
    patterns.pattern("double-to-sum", "math.mul")(double_to_sum)
    patterns.pattern(function.__name__.replace("_", "-"), root, promise=promise)(function)

    class Wrong(PatternPass):
        """Right, but for one rewrite."""

    Wrong.name, Wrong.patterns = name, patterns
    return Wrong()


@dataclass(frozen=True)
class WrongRewrite:
    """A wrong rewrite, and what it is wrong for.

    Attributes:
        plant: adds the ops that it matches.
        dtype: of the values that it is planted among.
    """

    function: Callable[[Match], Outcome]
    root: str
    plant: Callable[[Builder, Value], Value]
    promise: str = EXACT
    dtype: DType = DType.F32

    @property
    def name(self) -> str:
        """Name of the rewrite."""
        return self.function.__name__.replace("_", "-")

    def make_pass(self) -> Pass:
        """A pass that applies it."""
        return wrong_pass(self.function, self.root, self.promise)

    def module(self, ops: int) -> Module:
        """A module of about ``ops`` harmless ops with the wrong one in the middle."""
        module = Module("wrong")
        kind = tensor(self.dtype, 4, 6)
        function, builder = build_function(module, "main", {"x": kind, "y": kind}, ["a", "b"])
        x, y = function.args
        values = [y, x]
        for index in range(ops):
            if index == ops // 2:
                values.append(self.plant(builder, values[-1]))
            name = ("math.neg", "math.neg", "math.add", "math.sub")[index % 4]
            second = (y, builder.constant(np.array(2).astype(self.dtype.numpy)))[index % 2]
            operands = (values[-1],) if name == "math.neg" else (values[-1], second)
            values.append(builder(name, *operands))
        builder.ret(values[-1], values[len(values) // 3])
        return module


def _clamp(b: Builder, x: Value) -> Value:
    bounded = b("math.clamp", x, low=-LARGEST, high=LARGEST)
    return b("math.mul", bounded, b.constant(np.array(1e-30, np.float32)))


def _sums(b: Builder, x: Value) -> Value:
    column = b.constant(np.arange(4, dtype=np.float32).reshape(4, 1))
    for addend in (x, column):  # right for x, wrong for the column
        total = b("tensor.reduce", b("math.add", x, addend), kind="sum", axes=[1], keep_dims=True)
        x = b("math.sub", x, total)
    return x


def _comparison(b: Builder, x: Value) -> Value:
    other = b.constant(np.arange(6, dtype=np.int32))
    given = b.block.args[0]
    less = b("math.less", b("math.neg", given), b("math.neg", other))
    return b("math.select", less, x, b("math.add", x, other))


def _double(b: Builder, x: Value) -> Value:
    return b("math.mul", x, b.constant(np.array(2, np.float32)))


CASES = [
    WrongRewrite(clamp_to_finite, "math.clamp", _clamp),
    WrongRewrite(sum_of_sum, "tensor.reduce", _sums, ROUNDING),
    WrongRewrite(less_of_neg, "math.less", _comparison, dtype=DType.I32),
    WrongRewrite(sum_to_square, "math.add", _double),
]
"""Wrong only at infinity; for broadcasting; at an integer extreme; together with another."""
