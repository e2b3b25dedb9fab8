"""What the conditions of a rule ask for, as far as it can be read off them.

``where conv.groups == 1, x.rank >= 2, near(c, 1.5, 1e-6)`` gives hints: instances are drawn with
those values mostly, instead of waiting for chance.  A hint that is read wrongly, or not at all,
does no harm: only the rule itself decides whether it matches.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from burnish.ir import Array, DType, TensorType
from burnish.ir.dims import Dim

from ..rules.syntax import (
    Call,
    Condition,
    Expression,
    Index,
    Literal,
    Member,
    Name,
    Operation,
    Rule,
)
from ..rules.syntax import Sequence as Listed

Evaluate = Callable[[Expression], object]
"""The value of an expression; raises LookupError where something in it is not known yet."""

Step = str | int | slice
"""``.shape``, ``[1]`` or ``[2:]``."""

OF_CONSTANTS: Mapping[str, tuple[int, ...]] = {
    "filled": (),
    "uniform": (),
    "is_constant": (),
    "all_bits_set": (-1,),
    "near": (),
    "finite": (),
    "is_causal": (),
    "counts_up": (),
    "equal_halves": (),
    "equal_pairs": (),
    "invertible_exactly": (2, 4, 1),
    "zeros_before": (),
    "zeros_after": (),
}
"""Functions that ask about constants, and numbers for which they are likely to hold."""

MADE_BY: Mapping[str, tuple[str, ...]] = {"not_negative": ("math.relu", "math.abs")}
"""Functions that ask what makes a value, and ops for which they are likely to hold."""


def causal_mask(type_: TensorType) -> Array | None:
    """0 up to the diagonal, -inf behind it."""
    if type_.rank < 2 or not type_.dtype.is_float:
        return None
    mask = np.triu(np.full(type_.static_shape, -np.inf), 1)
    return np.asarray(mask.astype(type_.dtype.numpy))


def counted(type_: TensorType) -> Array | None:
    """0, 1, 2 … along the last axis."""
    shape = type_.static_shape
    if not shape or math.prod(shape) != shape[-1]:
        return None
    return np.arange(shape[-1]).astype(type_.dtype.numpy).reshape(shape)


def _doubled(type_: TensorType, double: Callable[[Array], Array]) -> Array | None:
    """Numbers with half as many along the last axis, each of which ``double`` gives twice."""
    if type_.rank < 1 or type_.static_shape[-1] % 2 or not type_.dtype.is_float:
        return None
    *rows, last = type_.static_shape
    half = np.arange(math.prod(rows) * last // 2).reshape(*rows, last // 2)
    return double(half / 4 - 1).astype(type_.dtype.numpy)


def paired_halves(type_: TensorType) -> Array | None:
    """The last axis is one half, twice."""
    return _doubled(type_, lambda half: np.concatenate([half, half], axis=-1))


def paired_neighbours(type_: TensorType) -> Array | None:
    """Every number along the last axis stands there twice."""
    return _doubled(type_, lambda half: np.repeat(half, 2, axis=-1))


def ring_of_zeros(type_: TensorType) -> Array | None:
    """Weights, of which those of the first and the last tap along each axis are zero."""
    if type_.rank < 3 or type_.elements == 0:
        return None
    shape = type_.static_shape
    weights = np.zeros(shape)
    places = (slice(None),) * 2 + tuple(slice(1, max(extent - 1, 2)) for extent in shape[2:])
    inside = weights[places]
    inside[:] = (np.arange(inside.size) % 5 - 2.0).reshape(inside.shape)
    return np.asarray(weights.astype(type_.dtype.numpy))


TABLES: Mapping[str, Callable[[TensorType], Array | None]] = {
    "is_causal": causal_mask,
    "counts_up": counted,
    "equal_halves": paired_halves,
    "equal_pairs": paired_neighbours,
    "zeros_before": ring_of_zeros,
}
"""Functions that ask for a structure in a constant, and what has it; None: no such shape."""

_FLIPPED = {"==": "==", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "in": lambda value, options: value in options,
}


@dataclass(frozen=True)
class Hint:
    """A relation that a part of something named should have.

    Attributes:
        root: the name.
        path: which part.
        relation: ``==``, ``in``, an order, or ``is`` for a truth value.
        wanted: the other side.
    """

    root: str
    path: tuple[Step, ...]
    relation: str
    wanted: Expression | bool


class Hints:
    """The hints of one rule."""

    def __init__(self, rule: Rule) -> None:
        conditions = [step.value for step in rule.steps if isinstance(step, Condition)]
        conjuncts = [part for condition in conditions for part in _conjuncts(condition)]
        self._hints = [hint for part in conjuncts for hint in _hints(part)]
        self._numbers: dict[str, list[float]] = {}
        self._constants: set[str] = set()
        self._makers: dict[str, tuple[str, ...]] = {}
        self._tables: dict[str, Callable[[TensorType], Array | None]] = {}
        for part in conjuncts:
            for name in _names(part):
                self._numbers.setdefault(name, []).extend(_literals(part))
            for call in _calls(part):
                if call.function in OF_CONSTANTS:
                    self._constants.update(_names(call))
                for name in _names(call):
                    self._makers[name] = MADE_BY.get(call.function, ())
                if call.function in TABLES:
                    self._tables.update(dict.fromkeys(_names(call), TABLES[call.function]))

    def is_constant(self, name: str) -> bool:
        """Whether a condition asks about the data of the operand ``name``."""
        return name in self._constants

    def makers(self, name: str) -> tuple[str, ...]:
        """Ops that the operand ``name`` is best made by; none if that does not matter."""
        return self._makers.get(name, ())

    def table(self, name: str, type_: TensorType) -> Array | None:
        """Data for the constant ``name`` with the structure that a condition asks for, if any."""
        make = self._tables.get(name)
        return None if make is None or not type_.is_static else make(type_)

    def numbers(self, name: str) -> list[float]:
        """Numbers that conditions mention together with the constant ``name``."""
        found = [n for n in dict.fromkeys(self._numbers.get(name, ())) if abs(n) > 1e-4 or n == 0]
        between = [(low + high) / 2 for low, high in pairwise(sorted(found))]
        return found + [number for number in between if number]

    def value(
        self, roots: Mapping[str, tuple[Step, ...]], value: object, evaluate: Evaluate
    ) -> object:
        """``value`` changed into what is asked of it; ``roots`` are its names, with paths to it."""
        for hint in self._hints:
            prefix = roots.get(hint.root)
            if prefix is None or hint.path[: len(prefix)] != prefix:
                continue
            value = _with(value, hint.path[len(prefix) :], hint, evaluate)
        return value

    def type(self, name: str, type_: TensorType, evaluate: Evaluate) -> TensorType:
        """``type_`` changed into what is asked of the type of the operand ``name``."""
        shape: object = type_.shape
        dtype = type_.dtype
        for hint in self._hints:
            if hint.root != name or not hint.path:
                continue
            part, rest = hint.path[0], hint.path[1:]
            if part == "dtype":
                dtype = _dtype(dtype, rest, hint, evaluate)
            elif part == "shape":
                shape = _with(shape, rest, hint, evaluate)
            elif part == "rank" and isinstance(shape, (tuple, list)):
                rank = _with(len(shape), rest, hint, evaluate)
                shape = _of_rank(shape, rank if isinstance(rank, int) else len(shape))
        if not isinstance(shape, (tuple, list)):
            return type_
        return TensorType(tuple(shape), dtype, type_.layout, type_.encoding)


def _conjuncts(condition: Expression) -> Iterator[Expression]:
    if isinstance(condition, Operation) and condition.operator == "and":
        for operand in condition.operands:
            yield from _conjuncts(operand)
    else:
        yield condition


def _hints(condition: Expression) -> Iterator[Hint]:
    if isinstance(condition, Operation) and condition.operator == "or":
        yield from _hints(condition.operands[0])  # one of the alternatives will do
    elif isinstance(condition, Operation) and condition.operator == "not":
        if (place := _place(condition.operands[0])) is not None:
            yield Hint(*place, "is", wanted=False)
    elif isinstance(condition, Operation) and len(condition.operands) == 2:
        left, right = condition.operands
        if condition.operator in _HOLDS and (place := _place(left)) is not None:
            yield Hint(*place, condition.operator, right)
        if condition.operator in _FLIPPED and (place := _place(right)) is not None:
            yield Hint(*place, _FLIPPED[condition.operator], left)
    elif (place := _place(condition)) is not None:
        yield Hint(*place, "is", wanted=True)


def _place(expression: Expression) -> tuple[str, tuple[Step, ...]] | None:
    """The name at the root of an expression, and the way from there; None if it is no place."""
    if isinstance(expression, Name):
        return expression.name, ()
    if isinstance(expression, Member):
        place = _place(expression.of)
        return None if place is None else (place[0], (*place[1], expression.name))
    if isinstance(expression, Index):
        place, index = _place(expression.of), expression.index
        if place is None:
            return None
        if not isinstance(index, tuple):
            number = _integer(index)
            return None if number is None else (place[0], (*place[1], number))
        low, high = (None if bound is None else _integer(bound) for bound in index)
        return place[0], (*place[1], slice(low, high))
    return None


def _integer(expression: Expression) -> int | None:
    if isinstance(expression, Literal) and isinstance(expression.value, int):
        return expression.value
    if isinstance(expression, Operation) and expression.operator == "-":
        inner = _integer(expression.operands[-1]) if len(expression.operands) == 1 else None
        return None if inner is None else -inner
    return None


def _names(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Name):
        yield expression.name
    for part in _parts(expression):
        yield from _names(part)


def _calls(expression: Expression) -> Iterator[Call]:
    """All calls of functions."""
    if isinstance(expression, Call):
        yield expression
    for part in _parts(expression):
        yield from _calls(part)


def _literals(expression: Expression) -> Iterator[float]:
    if isinstance(expression, Call):
        yield from OF_CONSTANTS.get(expression.function, ())
    if isinstance(expression, Literal) and isinstance(expression.value, (int, float)):
        yield expression.value
        yield -expression.value
    for part in _parts(expression):
        yield from _literals(part)


def _parts(expression: Expression) -> Sequence[Expression]:
    if isinstance(expression, Operation):
        return expression.operands
    if isinstance(expression, Call):
        return expression.arguments
    if isinstance(expression, Listed):
        return expression.items
    if isinstance(expression, Member | Index):
        return (expression.of,)
    return ()


# Making it so ----------------------------------------------------------------------------


def _with(value: object, path: Sequence[Step], hint: Hint, evaluate: Evaluate) -> object:
    """``value`` with its part at ``path`` such that the hint holds; unchanged if that fails."""
    if not path:
        return _satisfying(value, hint, evaluate)
    step, rest = path[0], path[1:]
    if not isinstance(value, (tuple, list)) or isinstance(step, str):
        return value
    items = list(value)
    try:
        part = items[step]
    except IndexError:
        return value
    changed = _with(part, rest, hint, evaluate)
    if isinstance(step, int):
        items[step] = changed
    elif isinstance(changed, (tuple, list)) and len(changed) == len(items[step]):
        items[step] = list(changed)
    return tuple(items)


def _satisfying(value: object, hint: Hint, evaluate: Evaluate) -> object:
    if isinstance(hint.wanted, bool):
        return hint.wanted if isinstance(value, bool) else value
    try:
        wanted = evaluate(hint.wanted)
        if _HOLDS[hint.relation](value, wanted):
            return value
    except (LookupError, TypeError, ValueError):
        return value
    if hint.relation == "in":
        return wanted[0] if isinstance(wanted, (tuple, list)) and wanted else value
    if isinstance(wanted, float):  # a little less or more, so that two bounds can both hold
        return wanted + {"<": -3e-7, ">": 3e-7}.get(hint.relation, 0.0) * abs(wanted)
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return wanted + {"<": -1, ">": 1}.get(hint.relation, 0)
    return wanted if hint.relation == "==" else value


def _dtype(dtype: DType, path: Sequence[Step], hint: Hint, evaluate: Evaluate) -> DType:
    if not path:
        found = _satisfying(dtype, hint, evaluate)
        return found if isinstance(found, DType) else dtype
    property_ = path[0]
    if not isinstance(property_, str) or not isinstance(hint.wanted, bool):
        return dtype
    candidates = (dtype, DType.F32, DType.I32, DType.BOOL, DType.U8)
    return next((d for d in candidates if getattr(d, property_, None) is hint.wanted), dtype)


def _of_rank(shape: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    missing = rank - len(shape)
    return (*(2,) * missing, *shape) if missing >= 0 else tuple(shape)[: max(rank, 0)]
