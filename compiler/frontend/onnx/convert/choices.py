"""Axes that are known only when the model runs.

The declared shape of the result leaves few sets of axes that it may mean.  The result is computed
for each of them, and the run-time value decides which one is taken; a value that is none of them
is an error of the check that every such result passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import numpy as np

from burnish.ir import Dim, DType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext

MAX_CHOICES = 64
"""More results than this are not computed to take one of them."""

Axes = tuple[int, ...]


def by_axes(
    node: NodeContext,
    axes: Value,
    rank: int,
    possible: Callable[[Axes], bool],
    convert: Callable[[Axes], Value],
) -> Value:
    """``convert(axes)`` for axes of a tensor of ``rank`` that are known at run time only.

    Of all sets of as many axes those that are ``possible`` count.

    Raises:
        ModelError: none is.
        UnsupportedError: too many are.
    """
    count = node.static([axes.type.elements], "number of axes")[0]
    candidates = [found for found in combinations(range(rank), count) if possible(found)]
    if not candidates:
        raise ModelError(f"no {count} axes give the declared shape of its output")
    if len(candidates) > MAX_CHOICES:
        node.refuse(f"{len(candidates)} choices of axes give the declared shape of its output")
    hits = _matches(node, axes, rank, candidates)
    results = [convert(candidate) for candidate in candidates]
    return choose(node, hits, results, "axes")


def by_axis(node: NodeContext, axis: Value, rank: int, convert: Callable[[int], Value]) -> Value:
    """``convert(axis)`` for a single axis; any may be meant."""
    return by_axes(node, axis, rank, lambda _: True, lambda axes: convert(axes[0]))


def choose(node: NodeContext, hits: Value, results: Sequence[Value], what: str) -> Value:
    """The first of ``results`` whose entry in ``hits``, bool[n], holds; one has to (checked).

    Results must agree in their types.
    """
    chosen = results[-1]
    for number in reversed(range(len(results) - 1)):
        hit = node.op("tensor.gather", hits, node.scalar(number, DType.I64), axis=0)
        chosen = node.op("math.select", hit, results[number], chosen)
    any_hit = node.reduce(hits, "any", (0,))
    return node.require(chosen, any_hit, (1,), f"being one of the possible {what}")


def _matches(node: NodeContext, axes: Value, rank: int, candidates: Sequence[Axes]) -> Value:
    """Which candidate the run-time axes are: bool[number of candidates]."""
    flat = node.reshape(node.cast(axes, DType.I64), (axes.type.elements, 1))
    negative = node.op("math.less", flat, node.scalar(0, DType.I64))
    positive = node.op("math.add", flat, node.scalar(rank, DType.I64))
    normal = node.op("math.select", negative, positive, flat)
    named = node.op("math.equal", normal, node.arange(rank, 1, 2))
    # An axis that is named twice, or does not exist, leaves too few named ones.
    mask = node.reshape(node.reduce(named, "any", (0,)), (1, rank))
    table = np.zeros((len(candidates), rank), np.bool_)
    for row, candidate in enumerate(candidates):
        table[row, list(candidate)] = True
    same = node.op("math.equal", mask, node.constant(table))
    return node.reduce(same, "all", (1,), keep_dims=False)


def without(shape: Sequence[Dim], axes: Iterable[int]) -> tuple[Dim, ...]:
    """``shape`` with ``axes`` left out."""
    dropped = set(axes)
    return tuple(dim for axis, dim in enumerate(shape) if axis not in dropped)
