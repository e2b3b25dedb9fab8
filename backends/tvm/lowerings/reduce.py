"""Reductions along axes, running sums and products, and selection of the largest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx

from burnish.ir import DType

from ..refusal import Refusal
from ..registry import Expr
from .context import Context, Tensor, compute, each, te_lowering
from .scalars import Scalar, cast, constant, primitive, reinterpret, select

_KEYS = {16: DType.I32, 32: DType.I32, 64: DType.I64}


def key_dtype(dtype: DType) -> DType:
    """The integers that :func:`key` gives."""
    return _KEYS[dtype.bits] if dtype.is_float else dtype


def key(x: Scalar, dtype: DType, nan: str = "high") -> Scalar:
    """A number as an integer of the same order; NaN is the largest, or the smallest (``low``).

    TVM reduces integers in parallel, and forgets NaN among floats.  Without the sign, the bits of
    floats are in order; those of negative ones run the other way.
    """
    if not dtype.is_float:
        return x
    integer = key_dtype(dtype)
    low, high = integer.integer_range
    zero = constant(0, dtype)  # what -0 is, too
    literal = isinstance(x, tirx.FloatImm) and x.value != 0
    x = x if literal else select(x.equal(zero), zero, x)
    bits = reinterpret(integer.text.replace("i", "int"), x)
    found = _turned(bits, integer)
    extreme = constant(high if nan == "high" else low, integer)
    return select(tirx.isnan(x), extreme, found)


def unkey(bits: Scalar, dtype: DType) -> Scalar:
    """The number of a key."""
    if not dtype.is_float:
        return bits
    integer = key_dtype(dtype)
    low, high = integer.integer_range
    name = dtype.text.replace("f", "float")
    lost = tirx.Or(bits.equal(constant(high, integer)), bits.equal(constant(low, integer)))
    number = reinterpret(name, _turned(bits, integer))
    return select(lost, constant(math.nan, dtype), number)


def _turned(bits: Scalar, integer: DType) -> Scalar:
    """Bits of negative numbers in the other order, without the sign."""
    mask = constant(integer.integer_range[1], integer)
    return select(bits < constant(0, integer), tirx.bitwise_xor(bits, mask), bits)


def some_axis(size: Scalar, name: str = "k") -> Any:
    """An axis to reduce along, which is never empty."""
    if not isinstance(size, tirx.IntImm):
        return te.reduce_axis((0, tirx.max(size, 1)), name)
    return te.reduce_axis((0, tirx.IntImm("int64", max(size.value, 1))), name)


def present(
    places: Sequence[tuple[Any, Scalar]], value: Callable[[], Scalar], neutral: Scalar
) -> Scalar:
    """A value where places lie within axes made by :func:`some_axis`, ``neutral`` elsewhere."""
    if any(isinstance(size, tirx.IntImm) and size.value == 0 for _, size in places):
        return neutral
    unknown = [place < size for place, size in places if not isinstance(size, tirx.IntImm)]
    return tirx.if_then_else(tirx.all(*unknown), value(), neutral) if unknown else value()


def reduce_over(
    x: Tensor,
    axes: Sequence[int],
    keep: bool,
    reducer: Callable[..., Any],
    element: Callable[[Scalar], Scalar],
    neutral: Scalar,
    name: str = "reduced",
) -> Tensor:
    """``reducer`` over ``element`` of the elements along ``axes``.

    TVM's reductions start when they meet the first element: where there may be none, one that is
    ``neutral`` takes its place.
    """
    steps = {axis: some_axis(x.shape[axis], f"k{axis}") for axis in axes}
    one = tirx.IntImm("int64", 1)
    shape = [one if axis in steps else size for axis, size in enumerate(x.shape)]
    kept = [size for axis, size in enumerate(shape) if keep or axis not in steps]

    def total(*index: Scalar) -> Scalar:
        places = iter(index)
        source = []
        for axis in range(len(x.shape)):
            place = next(places) if keep or axis not in steps else None
            source.append(steps.get(axis, place))
        sizes = [(step, x.shape[axis]) for axis, step in steps.items()]
        value = present(sizes, lambda: element(x(*source)), neutral)
        return reducer(value, axis=list(steps.values()))

    return compute(kept, total, name)


def combining(name: str, dtype: DType, start: float | int | bool) -> Callable[..., Any]:
    """A reducer by a primitive of scalar expressions."""
    reducer: Callable[..., Any] = te.comm_reducer(
        lambda x, y: primitive(name, dtype, x, y), lambda _: constant(start, dtype), name
    )
    return reducer


def reduced(c: Context, kind: str, x: Expr, dtype: DType, axes: Sequence[int], keep: bool) -> Expr:
    """A reduction of elements that are of their own compute type."""
    if kind in ("min", "max"):
        return c.te(lambda x: _extreme(kind, x, dtype, axes, keep), x)
    if kind in ("any", "all"):
        return c.te(lambda x: _truth(kind, x, axes, keep), x)
    if kind == "prod":
        product = combining("mul", _sum_dtype(dtype), 1)
        return c.te(lambda x: _accumulated(x, dtype, axes, keep, product, 1), x)
    if kind == "mean":
        return c.te(lambda x: _mean(x, dtype, axes, keep), x)
    return c.te(lambda x: _accumulated(x, dtype, axes, keep), x)


def _sum_dtype(dtype: DType) -> DType:
    """What sums are kept in; integers wrap when they are cast back."""
    return dtype if dtype.is_float else DType.I64 if dtype.bits == 64 else DType.I32


def _accumulated(
    x: Tensor,
    dtype: DType,
    axes: Sequence[int],
    keep: bool,
    reducer: Callable[..., Any] = te.sum,
    start: int = 0,
) -> Tensor:
    work = _sum_dtype(dtype)
    neutral = constant(start, work)
    if work is dtype:
        return reduce_over(x, axes, keep, reducer, lambda v: v, neutral)
    total = reduce_over(x, axes, keep, reducer, lambda v: cast(v, work), neutral)
    return each(total, lambda v: cast(v, dtype))


def _extreme(kind: str, x: Tensor, dtype: DType, axes: Sequence[int], keep: bool) -> Tensor:
    nan = "high" if kind == "max" else "low"
    reducer = te.max if kind == "max" else te.min
    low, high = (-math.inf, math.inf) if dtype.is_float else dtype.integer_range
    start = key(constant(low if kind == "max" else high, dtype), dtype)
    found = reduce_over(x, axes, keep, reducer, lambda v: key(v, dtype, nan), start)
    return each(found, lambda v: unkey(v, dtype)) if dtype.is_float else found


def _truth(kind: str, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    reducer = te.max if kind == "any" else te.min
    neutral = tirx.const(int(kind == "all"), "int32")
    found = reduce_over(x, axes, keep, reducer, lambda v: tirx.Cast("int32", v), neutral)
    return each(found, lambda v: v > 0)


def _mean(x: Tensor, dtype: DType, axes: Sequence[int], keep: bool) -> Tensor:
    count = tirx.IntImm("int64", 1)
    for axis in axes:
        count = count * x.shape[axis]
    if dtype.is_float:
        total = _accumulated(x, dtype, axes, keep)
        if isinstance(count, tirx.IntImm) and not count.value:
            return each(total, lambda v: constant(math.nan, dtype))
        return each(total, lambda v: tirx.div(v, cast(count, dtype)))
    widest = DType.I64 if dtype.is_signed else DType.U64
    total = _accumulated(x, dtype, axes, keep)

    def divided(v: Scalar) -> Scalar:
        return cast(primitive("div", widest, cast(v, widest), cast(count, widest)), dtype)

    return each(total, divided)


@te_lowering("tensor.reduce")
def _reduce(c: Context) -> Expr:
    dtype = c.type().dtype
    if not c.a.axes and c.a.kind != "mean":
        return c.input(0)
    y = reduced(c, c.a.kind, c.wide(0), dtype.compute, c.a.axes, c.a.keep_dims)
    return c.cast(y, dtype.compute, dtype)


@te_lowering("tensor.arg_reduce")
def _arg_reduce(c: Context) -> Expr:
    """The extreme by keys, and the first or last place where it stands."""
    dtype, axis = c.type().dtype.compute, c.a.axis
    largest = c.a.kind == "max"
    keys_start = constant(key_dtype(dtype).integer_range[0 if largest else 1], key_dtype(dtype))

    def function(x: Tensor) -> Tensor:
        nan = "high" if largest else "low"
        keys = each(x, lambda v: key(v, dtype, nan))
        reducer = te.max if largest else te.min
        best = reduce_over(keys, [axis], True, reducer, lambda v: v, keys_start, "best")
        step = te.reduce_axis((0, x.shape[axis]), "k")
        last, keep = c.a.last, c.a.keep_dims
        none = tirx.IntImm("int64", -1) if last else x.shape[axis]
        shape = [size for i, size in enumerate(best.shape) if keep or i != axis]

        def place(*index: Scalar) -> Scalar:
            around = list(index) if keep else [*index[:axis], 0, *index[axis:]]
            here = [*around[:axis], step, *around[axis + 1 :]]
            found = keys(*here).equal(best(*around))
            at = select(found, tirx.Cast("int64", step), none)
            return (te.max if last else te.min)(at, axis=step)

        return compute(shape, place, "place")

    return c.te(function, c.wide(0))


_CUMULATIVE = {"tensor.cumulative_sum": ("add", 0), "tensor.cumulative_product": ("mul", 1)}


@te_lowering(*_CUMULATIVE)
def _cumulative(c: Context) -> Expr:
    """Combined with what lies 1, 2, 4, 8 … before (Hillis and Steele 1986).

    Where the size of the axis is not known, everything before is combined for each element.
    """
    name, neutral = _CUMULATIVE[c.op.name]
    dtype, axis, extent = c.type().dtype.compute, c.a.axis, c.type().shape[c.a.axis]
    backwards = c.a.reverse
    shift = 1 if c.a.exclusive else 0

    def other(x: Tensor, index: Sequence[Scalar], at: Scalar) -> Scalar:
        return x(*index[:axis], at, *index[axis + 1 :])

    def before(x: Tensor, index: Sequence[Scalar], count: int) -> Scalar:
        """The element ``count`` places before, neutral where there is none."""
        at = index[axis] + (count if backwards else -count)
        exists = at < x.shape[axis] if backwards else at >= 0
        return tirx.if_then_else(exists, other(x, index, at), constant(neutral, dtype))

    def doubled(x: Tensor, distance: int) -> Tensor:
        """Each element together with that at a distance before."""

        def both(*index: Scalar) -> Scalar:
            return primitive(name, dtype, x(*index), before(x, index, distance))

        return compute(x.shape, both, f"within_{2 * distance}")

    def shifted(x: Tensor) -> Tensor:
        return compute(x.shape, lambda *index: before(x, index, 1), "shifted")

    def function(x: Tensor) -> Tensor:
        if shift:
            x = shifted(x)
        if not isinstance(extent, int):
            return combined(x)
        distance = 1
        while distance < extent:
            x = doubled(x, distance)
            distance *= 2
        return x if distance > 1 or shift else each(x, lambda v: v)

    def combined(x: Tensor) -> Tensor:
        step = te.reduce_axis((0, x.shape[axis]), "k")
        reducer = te.sum if name == "add" and dtype.is_float else combining(name, dtype, neutral)

        def total(*index: Scalar) -> Scalar:
            counts = step >= index[axis] if backwards else step <= index[axis]
            value = select(counts, other(x, index, step), constant(neutral, dtype))
            return reducer(value, axis=step)

        return compute(x.shape, total)

    return c.cast(c.te(function, c.wide(0)), dtype, c.type().dtype)


_MOST_SORTED = 1 << 15
"""Elements of the largest axis that is sorted, by counting for each how many precede it."""


@te_lowering("tensor.top_k")
def _top_k(c: Context) -> list[Expr]:
    """Every element's place is the number of those that precede it."""
    dtype, axis, extent = c.type().dtype, c.a.axis, c.type().shape[c.a.axis]
    if isinstance(extent, int) and extent > _MOST_SORTED:
        raise Refusal(f"sorting {extent} elements")
    work = dtype.compute

    def ranks(x: Tensor) -> Tensor:
        keys = each(x, lambda v: key(v, work))
        step = te.reduce_axis((0, x.shape[axis]), "k")

        def rank(*index: Scalar) -> Scalar:
            mine = keys(*index)
            its = keys(*index[:axis], step, *index[axis + 1 :])
            ahead = its > mine if c.a.largest else its < mine
            tied = tirx.And(its.equal(mine), step < index[axis])
            return te.sum(tirx.Cast("int32", tirx.Or(ahead, tied)), axis=step)

        return compute(x.shape, rank, "rank")

    def places(rank: Tensor, shape: Sequence[Scalar]) -> Tensor:
        step = te.reduce_axis((0, rank.shape[axis]), "k")

        def place(*index: Scalar) -> Scalar:
            its = rank(*index[:axis], step, *index[axis + 1 :])
            found = its.equal(tirx.Cast("int32", index[axis]))
            return te.sum(
                select(found, tirx.Cast("int64", step), constant(0, DType.I64)), axis=step
            )

        return compute(shape, place, "place")

    def values(x: Tensor, place: Tensor) -> Tensor:
        return compute(
            place.shape, lambda *index: x(*index[:axis], place(*index), *index[axis + 1 :])
        )

    found = c.te(places, c.te(ranks, c.wide(0)), c.sizes(c.result().shape))
    return [c.te(values, c.input(0), found), found]
