"""Gathering and scattering.

Several updates of one element must not race.  So every element looks for its updates, not the
other way round: that needs no order among threads, and gives the same result each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm import te, tirx

from burnish.ir import DType
from burnish.ir.dims import product

from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .reduce import combining, present, some_axis
from .scalars import Scalar, constant, primitive, select


def position(index: Scalar, size: Scalar) -> Scalar:
    """An index counted from 0; what is out of range reads the nearest element."""
    index = tirx.Cast("int64", index)
    index = select(index < 0, index + size, index)
    return tirx.max(tirx.min(index, size - 1), 0)


@te_lowering("tensor.gather")
def _gather(c: Context) -> Expr:
    axis, rank = c.a.axis, c.type(1).rank

    def function(x: Tensor, indices: Tensor) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            at = position(indices(*index[axis : axis + rank]), x.shape[axis])
            return x(*index[:axis], at, *index[axis + rank :])

        return compute([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]], element)

    return c.te(function, c.input(0), c.input(1))


@te_lowering("tensor.gather_elements")
def _gather_elements(c: Context) -> Expr:
    axis = c.a.axis

    def function(x: Tensor, indices: Tensor) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            at = position(indices(*index), x.shape[axis])
            return x(*index[:axis], at, *index[axis + 1 :])

        return compute(indices.shape, element)

    return c.te(function, c.input(0), c.input(1))


@te_lowering("tensor.gather_nd")
def _gather_nd(c: Context) -> Expr:
    batch = c.a.batch_dims
    lead = c.type(1).rank - 1
    (depth,) = c.static(c.type(1).shape[-1:], "a depth of index tuples")

    def function(x: Tensor, indices: Tensor) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            places = [
                position(indices(*index[:lead], axis), x.shape[batch + axis])
                for axis in range(depth)
            ]
            return x(*index[:batch], *places, *index[lead:])

        return compute([*indices.shape[:-1], *x.shape[batch + depth :]], element)

    return c.te(function, c.input(0), c.input(1))


@te_lowering("tensor.scatter_elements")
def _scatter_elements(c: Context) -> Expr:
    axis = c.a.axis

    def search(x: Tensor, indices: Tensor) -> _Search:
        step = some_axis(indices.shape[axis])

        def meets(index: Sequence[Scalar]) -> Scalar:
            """Whether an update is of the element; indices may be fewer along other axes."""
            place = [*index[:axis], step, *index[axis + 1 :]]
            inside = [
                at < size
                for other, (at, size) in enumerate(zip(index, indices.shape))
                if other != axis
            ]
            target = position(indices(*place), x.shape[axis])
            same = target.equal(index[axis])
            return tirx.if_then_else(tirx.all(*inside), same, False) if inside else same

        def update(index: Sequence[Scalar], at: Scalar) -> list[Scalar]:
            return [*index[:axis], at, *index[axis + 1 :]]

        return step, indices.shape[axis], x.shape, meets, update

    return _scattered(c, search, c.type().rank)


@te_lowering("tensor.scatter_nd")
def _scatter_nd(c: Context) -> Expr:
    (depth,) = c.static(c.type(1).shape[-1:], "a depth of index tuples")
    size = c.size(product(c.type(1).shape[:-1]))
    flat = c.reshape(c.input(1), [size, c.size(depth)])
    rest = c.sizes(c.type().shape[depth:])
    updates = c.reshape(c.wide(2) if _combines(c) else c.input(2), [size, *rest])

    def search(x: Tensor, indices: Tensor) -> _Search:
        step = some_axis(indices.shape[0])

        def meets(index: Sequence[Scalar]) -> Scalar:
            same = [
                position(indices(step, axis), x.shape[axis]).equal(index[axis])
                for axis in range(depth)
            ]
            return tirx.all(*same) if same else tirx.const(True, "bool")

        def update(index: Sequence[Scalar], at: Scalar) -> list[Scalar]:
            return [at, *index[depth:]]

        return step, indices.shape[0], x.shape[:depth], meets, update

    return _scattered(c, search, depth, flat, updates)


_Search = tuple[
    object, Scalar, Sequence[Scalar], Callable[..., Scalar], Callable[..., list[Scalar]]
]
"""The axis along which updates lie and its size, the shape of places, whether an update is of a
place, and the index of an update of an element."""

_NEUTRAL = {"add": 0, "mul": 1}
"""What an update leaves as it is; for extremes that depends on the type."""


def _combines(c: Context) -> bool:
    return bool(c.a.reduction != "none")


def _scattered(
    c: Context,
    search: Callable[[Tensor, Tensor], _Search],
    depth: int,
    indices: Expr | None = None,
    updates: Expr | None = None,
) -> Expr:
    """``depth`` is the number of axes that indices choose among."""
    combines = _combines(c)
    indices = c.input(1) if indices is None else indices
    if updates is None:
        updates = c.wide(2) if combines else c.input(2)
    if not combines:
        return c.te(lambda x, i, u: _last(search, x, i, u, depth), c.input(0), indices, updates)
    dtype = c.type().dtype
    y = c.te(
        lambda x, i, u: _combined(search, x, i, u, c.a.reduction, dtype.compute),
        c.wide(0),
        indices,
        updates,
    )
    return c.cast(y, dtype.compute, dtype)


def _last(
    search: Callable[[Tensor, Tensor], _Search],
    x: Tensor,
    indices: Tensor,
    updates: Tensor,
    depth: int,
) -> Tensor:
    """Of several updates of one place the last."""
    step, size, places, meets, update = search(x, indices)
    none = tirx.IntImm("int64", -1)

    def number(*index: Scalar) -> Scalar:
        found = present(
            [(step, size)],
            lambda: select(meets(index), tirx.Cast("int64", step), none),
            none,
        )
        return te.max(found, axis=step)

    winner = compute(places, number, "winner")

    def element(*index: Scalar) -> Scalar:
        at = winner(*index[:depth])
        return tirx.if_then_else(at >= 0, updates(*update(index, tirx.max(at, 0))), x(*index))

    return compute(x.shape, element)


def _combined(
    search: Callable[[Tensor, Tensor], _Search],
    x: Tensor,
    indices: Tensor,
    updates: Tensor,
    reduction: str,
    dtype: DType,
) -> Tensor:
    step, size, _, meets, update = search(x, indices)
    low, high = (-math.inf, math.inf) if dtype.is_float else dtype.integer_range
    start = {**_NEUTRAL, "min": high, "max": low}[reduction]
    neutral = constant(start, dtype)
    reducer = combining(reduction, dtype, start)

    def total(*index: Scalar) -> Scalar:
        def value() -> Scalar:
            return tirx.if_then_else(meets(index), updates(*update(index, step)), neutral)

        return reducer(present([(step, size)], value, neutral), axis=step)

    found = compute(x.shape, total, "combined")
    return compute(x.shape, lambda *index: primitive(reduction, dtype, x(*index), found(*index)))
