"""Algebraic identities, all exact: NaN, infinities and the sign of zero come out the same.

So ``x + 0`` stays (it turns -0 into 0) while ``x - 0`` goes, and ``x * 0`` stays for floats.
Most identities are rows of tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, DType, Kind, Op, Trait, Value

from ..pattern import Match, Outcome
from ..pattern.table import ROUNDING
from .sets import CANONICAL

INF = math.inf


@dataclass(frozen=True)
class Neutral:
    """``x op value`` is ``x``; also ``value op x`` for commutative ops.

    A value of None: the identity does not hold for that kind of element type.
    """

    of_float: float | None = None
    of_int: int | None = None
    of_bool: bool | None = None

    def value(self, dtype: DType) -> float | int | bool | None:
        """The neutral value for an element type, if there is one."""
        if dtype.is_float:
            return self.of_float
        return self.of_bool if dtype.kind is Kind.BOOL else self.of_int


NEUTRAL = {
    "math.add": Neutral(-0.0, 0),
    "math.sub": Neutral(0.0, 0),
    "math.mul": Neutral(1.0, 1),
    "math.div": Neutral(1.0, 1),
    "math.pow": Neutral(1.0, 1),
    "math.min": Neutral(INF),
    "math.max": Neutral(-INF),
    "math.bit_and": Neutral(None, -1),
    "math.bit_or": Neutral(None, 0),
    "math.bit_xor": Neutral(None, 0),
    "math.shift_left": Neutral(None, 0),
    "math.shift_right": Neutral(None, 0),
    "math.logical_and": Neutral(None, None, True),
    "math.logical_or": Neutral(None, None, False),
    "math.logical_xor": Neutral(None, None, False),
}

ABSORBING = {
    "math.mul": Neutral(None, 0),
    "math.bit_and": Neutral(None, 0),
    "math.bit_or": Neutral(None, -1),
    "math.logical_and": Neutral(None, None, False),
    "math.logical_or": Neutral(None, None, True),
}

SAME_OPERANDS = {
    "math.min": "x",
    "math.max": "x",
    "math.bit_and": "x",
    "math.bit_or": "x",
    "math.logical_and": "x",
    "math.logical_or": "x",
}

INVOLUTIONS = ("math.neg", "math.logical_not", "math.bit_not")

NEGATED = {
    "math.less": "math.greater_equal",
    "math.less_equal": "math.greater",
    "math.greater": "math.less_equal",
    "math.greater_equal": "math.less",
    "math.equal": "math.not_equal",
    "math.not_equal": "math.equal",
}
"""``not (x < y)`` is ``x >= y``: of floats only for (in)equality, because of NaN."""


def filled_with(value: Value, number: float | int | bool | None) -> bool:
    """Whether ``value`` is a constant, every element of which is ``number`` (-0 is not 0)."""
    data = value.constant
    if number is None or data is None or value.type.encoding is not None or data.size == 0:
        return False
    if data.dtype.kind is Kind.COMPLEX:
        return False
    first = data.array.reshape(-1)[:1]
    expected = np.asarray(number).astype(data.dtype.numpy)
    return bool(
        first[0] == expected
        and np.signbit(first.astype(np.float64))[0] == np.signbit(np.float64(number))
        and (data.size == 1 or _is_uniform(data.array))
    )


def _is_uniform(array: Array) -> bool:
    flat = np.ascontiguousarray(array).reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, -1)
    return bool((raw == raw[0]).all())


def _of_dtype(number: float | int | bool | None, dtype: DType) -> float | int | bool | None:
    """-1 stands for all bits set."""
    return dtype.integer_range[1] if number == -1 and dtype.kind is Kind.UINT else number


@CANONICAL.pattern("constant-right", Trait.COMMUTATIVE, benefit=3)
def constant_right(m: Match) -> Outcome:
    """The constant operand of a commutative op comes second."""
    x, y = m.operand(0), m.operand(1)
    m.require(x.constant is not None and y.constant is None, "not a constant on the left alone")
    return m.rebuild(m.op, [y, x, *m.op.operands[2:]])


@CANONICAL.pattern("neutral-operand", *NEUTRAL, benefit=2)
def neutral_operand(m: Match) -> Outcome:
    """x - 0, x * 1, x / 1, x and true, …: x.

    If the constant broadcasts x up, x is broadcast.
    """
    x, y = m.operand(0), m.operand(1)
    number = NEUTRAL[m.op.name].value(x.type.dtype)
    number = _of_dtype(number, x.type.dtype)
    m.require(filled_with(y, number), "the right operand is not neutral")
    return _broadcast(m, x)


@CANONICAL.pattern("absorbing-operand", *ABSORBING, benefit=2)
def absorbing_operand(m: Match) -> Outcome:
    """x and false is false; of integers, x * 0 is 0."""
    x, y = m.operand(0), m.operand(1)
    number = ABSORBING[m.op.name].value(x.type.dtype)
    number = _of_dtype(number, x.type.dtype)
    m.require(filled_with(y, number), "the right operand is not absorbing")
    return _broadcast(m, y)


def _broadcast(m: Match, value: Value) -> Value:
    """``value`` with the shape of the root's result."""
    shape = m.op.result.type.shape
    if value.type.shape == shape:
        return value
    m.require(value.type.encoding is None, "encoded", value)
    return m.build("tensor.broadcast", value, shape=shape)


@CANONICAL.pattern("same-operands", *SAME_OPERANDS)
def same_operands(m: Match) -> Outcome:
    """min(x, x), x and x, …: x."""
    m.require(m.operand(0) is m.operand(1), "operands differ")
    return m.operand(0)


@CANONICAL.pattern("idempotent", Trait.IDEMPOTENT)
def idempotent(m: Match) -> Outcome:
    """relu(relu(x)) is relu(x): an idempotent op applied twice, with equal attributes."""
    inner = m.producer(m.operand(0), m.op.name)
    m.require(inner.attributes == m.op.attributes, "attributes differ")
    return inner.result


@CANONICAL.pattern("negated-comparison", "math.logical_not")
def negated_comparison(m: Match) -> Outcome:
    """not (x < y) is x >= y."""
    comparison = m.producer(m.operand(0), *NEGATED, one_use=True)
    dtypes = {value.type.dtype for value in comparison.inputs}
    ordered = comparison.name not in ("math.equal", "math.not_equal")
    m.require(not (ordered and any(d.is_float for d in dtypes)), "NaN compares false both ways")
    return m.build(NEGATED[comparison.name], *comparison.operands)


@CANONICAL.pattern("multiply-by-minus-one", "math.mul")
def multiply_by_minus_one(m: Match) -> Outcome:
    """x * -1 is -x."""
    x, y = m.operand(0), m.operand(1)
    m.require(x.type.dtype.is_signed and filled_with(y, -1), "the factor is not -1")
    m.require(x.type.shape == m.op.result.type.shape, "the factor broadcasts")
    return m.build("math.neg", x)


@CANONICAL.pattern("divide-by-power-of-two", "math.div")
def divide_by_power_of_two(m: Match) -> Outcome:
    """x / 2^k is x * 2^-k, which is exact where both powers are normal numbers."""
    x, y = m.operand(0), m.operand(1)
    m.require(x.type.dtype in (DType.F32, DType.F64), "not f32 or f64")
    divisor = m.constant(y)
    mantissa, exponent = np.frexp(divisor)
    limit = 126 if x.type.dtype is DType.F32 else 1022
    exact = (np.abs(mantissa) == 0.5) & (np.abs(exponent) < limit)
    m.require(bool(exact.all()), "the divisor is not a power of two")
    return m.build("math.mul", x, m.build_constant(np.asarray(1 / divisor, divisor.dtype)))


@CANONICAL.pattern("square", "math.pow", promise=ROUNDING)
def square(m: Match) -> Outcome:
    """x ** 2 is x * x."""
    x, y = m.operand(0), m.operand(1)
    m.require(x.type.dtype.is_float and filled_with(y, 2), "the exponent is not 2")
    m.require(x.type.shape == m.op.result.type.shape, "the exponent broadcasts")
    return m.build("math.mul", x, x)


# Bounds ----------------------------------------------------------------------------------


def _bounds(op: Op) -> tuple[float, float] | None:
    """(low, high) of an op that clamps its first operand."""
    if op.name == "math.relu" and op.result.type.dtype.is_float:
        return 0.0, INF
    if op.name == "math.clamp":
        return float(op.attributes.low), float(op.attributes.high)
    return None


@CANONICAL.pattern("clamp-of-clamp", "math.clamp", "math.relu")
def clamp_of_clamp(m: Match) -> Outcome:
    """clamp(relu(x)), clamp(clamp(x)) …: one clamp."""
    inner = m.producer(m.operand(0), "math.clamp", "math.relu", one_use=True)
    outer_bounds, inner_bounds = _bounds(m.op), _bounds(inner)
    if outer_bounds is None or inner_bounds is None:
        m.refuse("not floating")
    low, high = outer_bounds
    m.require(inner_bounds[0] <= inner_bounds[1], "the inner bounds cross", inner_bounds)
    m.require(low <= high, "the outer bounds cross", outer_bounds)
    new_low, new_high = (min(max(bound, low), high) for bound in inner_bounds)
    return m.build("math.clamp", inner.operands[0], low=new_low, high=new_high)


@CANONICAL.pattern("clamp-to-relu", "math.clamp", benefit=2)
def clamp_to_relu(m: Match) -> Outcome:
    """clamp(x, 0, inf) is relu(x); without bounds it is x."""
    bounds = _bounds(m.op)
    if bounds == (-INF, INF):
        return m.operand(0)
    m.require(bounds == (0.0, INF), "not the bounds of relu")
    return m.build("math.relu", m.operand(0))


@CANONICAL.pattern("bound-to-clamp", "math.min", "math.max")
def bound_to_clamp(m: Match) -> Outcome:
    """max(x, c) and min(x, c) with one number c are clamps."""
    x, y = m.operand(0), m.operand(1)
    m.require(x.type.dtype.is_float, "not floating")
    bound = float(m.scalar(y))
    m.require(not math.isnan(bound), "the bound is NaN")
    m.require(x.type.shape == m.op.result.type.shape, "the bound broadcasts")
    low, high = (bound, INF) if m.op.name == "math.max" else (-INF, bound)
    return m.build("math.clamp", x, low=low, high=high)


# Choice ----------------------------------------------------------------------------------


@CANONICAL.pattern("decided-select", "math.select")
def decided_select(m: Match) -> Outcome:
    """select(true, x, y) is x; select(c, x, x) is x."""
    c, x, y = m.operand(0), m.operand(1), m.operand(2)
    if filled_with(c, True) or x is y:
        return _broadcast(m, x)
    m.require(filled_with(c, False), "the condition is not decided")
    return _broadcast(m, y)
