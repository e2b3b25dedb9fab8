"""Intervals of numbers, one per channel, and scalar expressions on them.

An interval bounds what the elements of a channel can be, whatever the inputs are.  Ends are f64,
which holds every integer up to 2^53; an infinite end means that nothing is known on that side.
An interval that is one number is a constant channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, DType, scalar

_EXACT_INTEGERS = float(1 << 53)
_ULPS = 8
"""How far a rounded operation or a library function of a backend may be off, in units of the last
place; correctly rounded ones are off by less than one."""


@dataclass(frozen=True)
class Interval:
    """Bounds ``low <= x <= high``: 1-D arrays with one entry per channel, or one for all."""

    low: Array
    high: Array

    @classmethod
    def single(cls, low: float, high: float) -> Interval:
        """The same bounds for all channels."""
        return cls(np.array([low], np.float64), np.array([high], np.float64))

    @classmethod
    def of_dtype(cls, dtype: DType) -> Interval:
        """All numbers of an element type."""
        if dtype.is_float or dtype.bits > 64 or dtype in (DType.C64, DType.C128):
            return cls.single(-np.inf, np.inf)
        return cls.single(*map(float, dtype.integer_range))

    @property
    def constant(self) -> Array:
        """Which channels hold one number only."""
        constant: Array = np.isfinite(self.low) & (self.low == self.high)
        return constant

    @property
    def finite(self) -> Array:
        """Which channels have two finite ends."""
        return np.isfinite(self.low) & np.isfinite(self.high)

    @property
    def magnitude(self) -> Array:
        """The largest absolute value of each channel."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def hull(self) -> Interval:
        """One interval that holds every channel's."""
        if not self.low.size:
            return self
        return Interval(self.low.min(keepdims=True), self.high.max(keepdims=True))

    def compact(self) -> Interval:
        """With one entry, if all are the same."""
        low, high = self.low, self.high
        if low.size > 1 and (low == low[0]).all() and (high == high[0]).all():
            return Interval(low[:1], high[:1])
        return self

    def spread(self, channels: int) -> Interval:
        """With one entry per channel; entries of other counts are united first."""
        source = self if self.low.size == channels else self.hull()
        return Interval(*(np.broadcast_to(end, channels) for end in (source.low, source.high)))

    def with_number(self, number: float) -> Interval:
        """The smallest intervals that also hold ``number``."""
        return Interval(np.minimum(self.low, number), np.maximum(self.high, number))

    def widened(self, by: Array | float) -> Interval:
        """Both ends moved outwards."""
        return Interval(self.low - by, self.high + by)

    def within(self, dtype: DType) -> Interval:
        """What a value of ``dtype`` computed within these bounds can be.

        Ends are rounded to the type, which keeps order; integers that may have wrapped can be
        anything, as can numbers of which an end is not a number.
        """
        everything = Interval.of_dtype(dtype)
        if dtype.is_float:
            ends = [
                scalar.convert(scalar.convert(end, dtype), DType.F64)
                for end in (self.low, self.high)
            ]
            fits = ~(np.isnan(ends[0]) | np.isnan(ends[1]))
        else:
            ends = [self.low, self.high]
            limits = everything.low[0], everything.high[0]
            fits = (self.low >= limits[0]) & (self.high <= limits[1])
            fits &= (self.magnitude <= _EXACT_INTEGERS) & ~np.isnan(self.low + self.high)
        return choose(fits, Interval(*ends), everything)


def choose(condition: Array, yes: Interval, no: Interval) -> Interval:
    """Per channel one interval or the other."""
    return Interval(np.where(condition, yes.low, no.low), np.where(condition, yes.high, no.high))


def unite(intervals: Sequence[Interval]) -> Interval:
    """The smallest intervals that hold all of these, channel by channel."""
    return Interval(
        np.minimum.reduce([i.low for i in intervals]),
        np.maximum.reduce([i.high for i in intervals]),
    )


def product(x: Interval, y: Interval) -> Interval:
    """x · y, where 0 times any number is 0."""
    with np.errstate(all="ignore"):
        ends = [
            np.where((a == 0) | (b == 0), 0.0, a * b)
            for a in (x.low, x.high)
            for b in (y.low, y.high)
        ]
    return Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))


# Scalar expressions ----------------------------------------------------------------------

_UNKNOWN = Interval.single(-np.inf, np.inf)
_EITHER = Interval.single(0.0, 1.0)

_EXACT = frozenset(
    {"neg", "abs", "min", "max", "floor", "ceil", "trunc", "round_even", "select"}
    | {"lt", "le", "gt", "ge", "eq", "ne", "is_nan", "is_inf"}
    | {"logical_and", "logical_or", "logical_xor", "logical_not"}
)
"""Primitives that never round."""

_DOMAINS: Mapping[str, float] = {
    **dict.fromkeys(("floor", "ceil", "trunc", "round_even", "exp", "expm1"), -np.inf),
    **dict.fromkeys(("sinh", "asinh", "tanh", "atan", "erf"), -np.inf),
    "sqrt": 0.0,
    "log": 0.0,
    "log1p": -1.0,
}
"""Increasing functions, and where they begin."""


def _increasing(function: str) -> Callable[[Interval], Interval]:
    compute, start = scalar.PRIMITIVES[function].numpy, _DOMAINS[function]

    def apply(x: Interval) -> Interval:
        ends = Interval(np.asarray(compute(x.low)), np.asarray(compute(x.high)))
        return choose(x.low >= start, ends, _UNKNOWN)

    return apply


def _quotient(x: Interval, y: Interval) -> Interval:
    inverse = Interval(1 / y.high, 1 / y.low)
    return choose((y.low > 0) | (y.high < 0), product(x, inverse), _UNKNOWN)


def _absolute(x: Interval) -> Interval:
    least = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
    return Interval(least, x.magnitude)


def _decided(yes: Array, no: Array) -> Interval:
    return Interval(yes.astype(np.float64), (~no).astype(np.float64))


def _equal(x: Interval, y: Interval) -> Interval:
    same = x.constant & y.constant & (x.low == y.low)
    return _decided(same, (x.high < y.low) | (y.high < x.low))


def _not(x: Interval) -> Interval:
    return Interval(1 - x.high, 1 - x.low)


def _less(x: Interval, y: Interval) -> Interval:
    return _decided(x.high < y.low, x.low >= y.high)


def _less_equal(x: Interval, y: Interval) -> Interval:
    return _decided(x.high <= y.low, x.low > y.high)


def _select(c: Interval, x: Interval, y: Interval) -> Interval:
    return choose(c.low > 0, x, choose(c.high < 1, y, unite(aligned(x, y))))


def aligned(*intervals: Interval) -> list[Interval]:
    """Intervals with equally many entries."""
    count = max(i.low.size for i in intervals)
    return [i.spread(count) for i in intervals]


_PRIMITIVES: Mapping[str, Callable[..., Interval]] = {
    "add": lambda x, y: Interval(x.low + y.low, x.high + y.high),
    "sub": lambda x, y: Interval(x.low - y.high, x.high - y.low),
    "mul": product,
    "div": _quotient,
    "neg": lambda x: Interval(-x.high, -x.low),
    "abs": _absolute,
    "min": lambda x, y: Interval(np.minimum(x.low, y.low), np.minimum(x.high, y.high)),
    "max": lambda x, y: Interval(np.maximum(x.low, y.low), np.maximum(x.high, y.high)),
    "sin": lambda x: Interval.single(-1.0, 1.0),
    "cos": lambda x: Interval.single(-1.0, 1.0),
    "lt": _less,
    "le": _less_equal,
    "gt": lambda x, y: _less(y, x),
    "ge": lambda x, y: _less_equal(y, x),
    "eq": _equal,
    "ne": lambda x, y: _not(_equal(x, y)),
    "is_nan": lambda x: _EITHER,
    "is_inf": lambda x: _EITHER,
    "logical_and": lambda x, y: Interval(np.minimum(x.low, y.low), np.minimum(x.high, y.high)),
    "logical_or": lambda x, y: Interval(np.maximum(x.low, y.low), np.maximum(x.high, y.high)),
    "logical_not": _not,
    "select": _select,
    **{name: _increasing(name) for name in _DOMAINS},
}
"""Primitives that are not here can give anything."""

_INTEGER_ONLY_UNKNOWN = frozenset({"div"})
"""Primitives that are bounded for floats only."""


def evaluate(expression: scalar.Expr, values: Mapping[str, Interval], dtype: DType) -> Interval:
    """Bounds of a scalar expression with arithmetic in ``dtype``, a compute type.

    Each variable is bounded for itself, so that the result may be wider than necessary where
    one occurs twice.
    """
    if isinstance(expression, scalar.Var):
        return values[expression.name]
    if isinstance(expression, scalar.Literal):
        number = float(expression.value)
        return Interval.single(number, number)
    name = expression.function
    primitive = _PRIMITIVES.get(name)
    is_bool = scalar.PRIMITIVES[name].result == "bool"
    if primitive is None or (name in _INTEGER_ONLY_UNKNOWN and not dtype.is_float):
        return _EITHER if is_bool else Interval.of_dtype(dtype)
    args = [evaluate(arg, values, dtype) for arg in expression.args]
    with np.errstate(all="ignore"):
        found = primitive(*args)
        if is_bool:
            return found
        if name not in _EXACT and dtype.is_float:
            found = found.widened(rounding_error(found.magnitude, 1, dtype))
        return found.within(dtype)


def rounding_error(magnitude: Array, operations: int, dtype: DType) -> Array:
    """How far ``operations`` sums and products can be off that are at most ``magnitude``.

    Any order of summation is covered (Higham, "Accuracy and Stability of Numerical Algorithms",
    2002, section 4.2), as are fused multiply-adds and results below the normal numbers.
    """
    if not dtype.is_float:
        return np.zeros_like(magnitude)
    info = np.finfo(dtype.compute.numpy)
    slack = operations * float(info.tiny)
    return np.where(magnitude == 0, 0.0, magnitude * (operations + _ULPS) * float(info.eps) + slack)
