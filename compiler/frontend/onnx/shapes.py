"""Contents of small integer tensors that depend on symbolic dimensions.

ONNX computes shapes with tensors: Shape → Gather → Concat → Reshape.  While a model is imported,
a value may carry a :data:`Content`: an object array whose elements are dimensions (``int`` or
``DimExpr``) or bools.  :func:`evaluate` is the meaning of IR ops on contents, in exact integer
arithmetic: what cannot be said exactly is None (unknown), never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from burnish.ir import Attributes, Dim, DimExpr, TensorType
from burnish.ir import dims as dimension
from burnish.ir.dims import Interval
from burnish.ir.errors import clip

Content = npt.NDArray[np.object_]
Element: TypeAlias = Dim | bool

MAX_KNOWN_ELEMENTS = 4096
"""Contents and folded constants are kept up to this many elements; the rest is run-time data
for the importer, and the fold pass may do better later."""


class Ranges:
    """What is known of the symbols: decides comparisons of dimensions where it can.

    ``intervals`` holds the inclusive range of every symbol of the model.
    """

    def __init__(self, intervals: Mapping[str, Interval]) -> None:
        self.intervals = dict(intervals)

    def define(self, symbol: str, interval: Interval) -> None:
        """Add a symbol."""
        self.intervals[symbol] = interval

    def bounds(self, dim: Dim) -> Interval:
        """An interval that holds ``dim``."""
        return dimension.bounds(dim, self.intervals)

    def at_least(self, a: Dim, b: Dim) -> bool | None:
        """Whether ``a >= b``; None when that depends on the symbols."""
        low, high = self.bounds(a - b)
        return True if low >= 0 else False if high < 0 else None

    def equal(self, a: Dim, b: Dim) -> bool | None:
        """Whether ``a == b``; None when that depends on the symbols."""
        low, high = self.bounds(a - b)
        return True if low == high == 0 else False if low > 0 or high < 0 else None

    def minimum(self, a: Dim, b: Dim) -> Dim:
        """The smaller dimension, without a ``min`` where the ranges decide."""
        a_is_larger, b_is_larger = self.at_least(a, b), self.at_least(b, a)
        return b if a_is_larger else a if b_is_larger else dimension.minimum(a, b)

    def maximum(self, a: Dim, b: Dim) -> Dim:
        """The larger dimension, without a ``max`` where the ranges decide."""
        a_is_larger, b_is_larger = self.at_least(a, b), self.at_least(b, a)
        return a if a_is_larger else b if b_is_larger else dimension.maximum(a, b)


def suggest_multiples(types: Iterable[TensorType]) -> str:
    """How to say that sizes divide, where types hold quotients of symbols; empty without any."""
    factors: dict[str, int] = {}
    pending = [dim for type_ in types for dim in type_.shape]
    while pending:
        dim = pending.pop()
        for atom in () if isinstance(dim, int) else (a for atoms, _ in dim.terms for a in atoms):
            if isinstance(atom, dimension.Symbol):
                continue
            pending += atom.args
            divisor = atom.args[1]
            if atom.function == "floordiv" and isinstance(divisor, int):
                for name in dimension.symbols_of(atom.args[0]):
                    factors[name] = math.lcm(factors.get(name, 1), divisor)
    if not factors:
        return ""
    said = " and ".join(f'"{clip(name)}" of {factor}' for name, factor in sorted(factors.items()))
    flags = " ".join(
        f"--dim {clip(name)}={factor}*{letter} --dim {letter}=LOW..HIGH"
        for (name, factor), letter in zip(sorted(factors.items()), _fresh_letters(factors))
    )
    return f"if sizes are always multiples ({said}), say so: {flags}"


def _fresh_letters(taken: Container[str]) -> Iterator[str]:
    names = (f"{letter}{number}" for number in ("", *range(1, 99)) for letter in "klmnpqrs")
    return (name for name in names if name not in taken)


_FLOAT_LIMIT = 2.0**53
"""Integers below this are exact as floats."""


def content_of(array: npt.NDArray[Any]) -> Content | None:
    """A constant as content; None when an element is not an integer (or bool)."""
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        if not np.all(np.abs(array) < _FLOAT_LIMIT) or np.any(array != np.trunc(array)):
            return None
        array = array.astype(np.int64)
    elif array.dtype.kind not in "iub":
        return None
    return array.astype(object)


def empty_content(type_: TensorType) -> Content | None:
    """The content of a tensor that has no elements whatever happens; else None."""
    if not type_.is_static or 0 not in type_.shape:
        return None
    content: Content = np.empty(type_.static_shape, object)
    return content


def is_static(content: Content) -> bool:
    """Whether no element depends on a symbol."""
    return not any(isinstance(element, DimExpr) for element in content.flat)


def evaluate(
    name: str, a: Attributes, result: TensorType, operands: Sequence[Content], ranges: Ranges
) -> Content | None:
    """The content of the op's result, or None when it is not known exactly."""
    if name in _ELEMENTWISE:
        return _elementwise(_ELEMENTWISE[name], result, operands, ranges)
    rule = _STRUCTURAL.get(name)
    return None if rule is None else rule(a, ranges, *operands)


_Rule = Callable[..., Element | None]


def _elementwise(
    rule: _Rule, result: TensorType, operands: Sequence[Content], ranges: Ranges
) -> Content | None:
    arrays = np.broadcast_arrays(*operands)
    content: Content = np.empty(arrays[0].shape, object)
    for index in np.ndindex(content.shape):
        element = rule(ranges, result, *(array[index] for array in arrays))
        if element is None:
            return None
        content[index] = element
    return content


def _divide(ranges: Ranges, result: TensorType, x: Dim, y: Dim) -> Dim | None:
    """Integers truncate, floats must divide exactly to stay known."""
    if y == 0:
        return None
    if result.dtype.is_float:
        return x // y if dimension.mod(x, y) == 0 else None
    if ranges.at_least(x, 0) and ranges.at_least(y, 1):
        return dimension.floordiv(x, y)
    if isinstance(x, int) and isinstance(y, int):
        return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return None


def _truncated_mod(ranges: Ranges, _: TensorType, x: Dim, y: Dim) -> Dim | None:
    if ranges.at_least(x, 0) and ranges.at_least(y, 1):
        return dimension.mod(x, y)
    return None


def _floor_mod(ranges: Ranges, _: TensorType, x: Dim, y: Dim) -> Dim | None:
    return dimension.mod(x, y) if ranges.at_least(y, 1) else None


def _compare(test: Callable[[Ranges, Dim, Dim], bool | None]) -> _Rule:
    return lambda ranges, _, x, y: test(ranges, x, y)


def _not(known: bool | None) -> bool | None:
    return None if known is None else not known


def _cast(ranges: Ranges, result: TensorType, x: Element) -> Element | None:
    if result.dtype.text == "bool":
        return _not(ranges.equal(x, 0))
    return x + 0


def _select(
    _: Ranges, __: TensorType, condition: Element, x: Element, y: Element
) -> Element | None:
    return (x if condition else y) if isinstance(condition, bool) else None


def _absolute(ranges: Ranges, _: TensorType, x: Dim) -> Dim | None:
    positive = ranges.at_least(x, 0)
    return x if positive else None if positive is None else -x


_ELEMENTWISE: dict[str, _Rule] = {
    "math.add": lambda _, __, x, y: x + y,
    "math.sub": lambda _, __, x, y: x - y,
    "math.mul": lambda _, __, x, y: x * y,
    "math.div": _divide,
    "math.floor_mod": _floor_mod,
    "math.truncated_mod": _truncated_mod,
    "math.min": lambda ranges, _, x, y: ranges.minimum(x, y),
    "math.max": lambda ranges, _, x, y: ranges.maximum(x, y),
    "math.neg": lambda _, __, x: -x,
    "math.abs": _absolute,
    "math.relu": lambda ranges, _, x: ranges.maximum(x, 0),
    "math.floor": lambda _, __, x: x,
    "math.ceil": lambda _, __, x: x,
    "math.round": lambda _, __, x: x,
    "math.cast": _cast,
    "math.select": _select,
    "math.equal": _compare(lambda ranges, x, y: ranges.equal(x, y)),
    "math.not_equal": _compare(lambda ranges, x, y: _not(ranges.equal(x, y))),
    "math.greater_equal": _compare(lambda ranges, x, y: ranges.at_least(x, y)),
    "math.less_equal": _compare(lambda ranges, x, y: ranges.at_least(y, x)),
    "math.less": _compare(lambda ranges, x, y: _not(ranges.at_least(x, y))),
    "math.greater": _compare(lambda ranges, x, y: _not(ranges.at_least(y, x))),
    "math.logical_not": lambda _, __, x: not x,
    "math.logical_and": lambda _, __, x, y: x and y,
    "math.logical_or": lambda _, __, x, y: x or y,
}


def _dimension(a: Attributes, _: Ranges) -> Content:
    content: Content = np.empty((), object)
    content[()] = a.value
    return content


def _slice(a: Attributes, _: Ranges, x: Content) -> Content | None:
    if any(isinstance(dim, DimExpr) for dim in (*a.starts, *a.sizes)):
        return None
    axes = [
        start + step * np.arange(size)
        for start, size, step in zip(a.starts, a.sizes, a.steps, strict=True)
    ]
    return x[np.ix_(*axes)] if axes else x


def _gather(a: Attributes, _: Ranges, x: Content, indices: Content) -> Content | None:
    extent = x.shape[a.axis]
    inside = all(isinstance(i, int) and -extent <= i < extent for i in indices.flat)
    if not inside:
        return None
    # Taking a single element gives the element itself, not an array.
    return np.asarray(np.take(x, indices.astype(np.int64), axis=a.axis), object)


def _reduce(a: Attributes, ranges: Ranges, x: Content) -> Content | None:
    rules: dict[str, Callable[[Any, Any], Any]] = {
        "sum": lambda p, q: p + q,
        "prod": lambda p, q: p * q,
        "min": ranges.minimum,
        "max": ranges.maximum,
    }
    start = {"sum": 0, "prod": 1}.get(a.kind)
    if a.kind not in rules or (start is None and x.size == 0):
        return None
    kept = [axis for axis in range(x.ndim) if axis not in a.axes]
    rows = x.transpose(*kept, *a.axes).reshape([x.shape[axis] for axis in kept] + [-1])
    content: Content = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(content.shape):
        row = list(rows[index])
        content[index] = reduce(rules[a.kind], row) if row else start
    if a.keep_dims:
        shape = [1 if axis in a.axes else x.shape[axis] for axis in range(x.ndim)]
        return content.reshape(shape)
    return content


def _reshape(a: Attributes, _: Ranges, x: Content) -> Content | None:
    return None if any(isinstance(dim, DimExpr) for dim in a.shape) else x.reshape(a.shape)


def _broadcast(a: Attributes, _: Ranges, x: Content) -> Content | None:
    if any(isinstance(dim, DimExpr) for dim in a.shape):
        return None
    return np.broadcast_to(x, a.shape)


_STRUCTURAL: dict[str, Callable[..., Content | None]] = {
    "tensor.dimension": _dimension,
    "tensor.reshape": _reshape,
    "tensor.broadcast": _broadcast,
    "tensor.transpose": lambda a, _, x: x.transpose(a.permutation),
    "tensor.slice": _slice,
    "tensor.concat": lambda a, _, *xs: np.concatenate(xs, axis=a.axis),
    "tensor.tile": lambda a, _, x: np.tile(x, a.repeats),
    "tensor.gather": _gather,
    "tensor.reduce": _reduce,
}
