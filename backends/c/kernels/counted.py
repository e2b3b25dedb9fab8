"""Finding elements, of which there are as many as the data has."""

from __future__ import annotations

from burnish.ir import Dim, DType

from ..code import Expr, Index, conditional, index
from .buffer import Buffer
from .builder import ERROR_SHAPE, KernelBuilder
from .family import KernelFamily, register
from .strided import split_at


def settle_size(k: KernelBuilder, found: Expr) -> Dim:
    """The number of elements found: what the op defines, or checked against what is declared."""
    size: Dim = k.attributes.size
    if isinstance(size, int):
        k.fail_when(found.differs(size), ERROR_SHAPE)
    else:
        k.define_size(size, found)
    return size


def is_set(k: KernelBuilder, value: Expr, dtype: DType) -> Expr:
    """Whether a value is not 0."""
    return k.value("x != 0", dtype, x=value) if dtype is not DType.BOOL else value


@register
class NonZero(KernelFamily):
    """Counts first: where a position is stored depends on how many there are."""

    name = "non_zero"
    ops = ("tensor.non_zero",)
    checks_data = True

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        shape = x.shape or (1,)
        x = x.reshaped(shape)
        found = k.index_variable("found", 0)
        with k.loops("i", shape) as at, k.when(is_set(k, k.load(x, at), x.dtype)):
            k.assign(found, found + 1)
        size = settle_size(k, found)
        if size == 0:
            return
        k.assign(found, 0)
        with k.loops("i", shape) as at, k.when(is_set(k, k.load(x, at), x.dtype)):
            for axis, position in enumerate(at):
                k.statement(f"{k.result.at((axis, found))} = {position}")
            k.assign(found, found + 1)


@register
class Unique(KernelFamily):
    """Keeps the positions of distinct slices in ascending order and inserts what is new.

    Each slice is looked up by bisection, once to collect the distinct ones and once to number
    all.  A slice is inserted when it is met first, so that the first position of equal ones is
    kept.
    """

    name = "unique"
    ops = ("tensor.unique",)
    checks_data = True

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        before, count, after = split_at(x.shape, k.attributes.axis)
        x = x.reshaped((before, count, after))
        distinct = k.scratch("distinct", DType.I64, (count,))
        found = k.index_variable("found", 0)
        with k.loop("i", count) as i:
            place, is_known = _look_up(k, x, i, distinct, found)
            with k.when(Expr(f"!{is_known}")):
                with k.block(f"for (ptrdiff_t j = {found}; j > {place}; j--)"):
                    k.statement(f"{distinct.at((Expr('j'),))} = {distinct.at((Expr('j') - 1,))}")
                k.statement(f"{distinct.at((place,))} = {i}")
                k.assign(found, found + 1)
        size = settle_size(k, found)
        if size != 0:
            self._store(k, x, distinct, size)

    def _store(self, k: KernelBuilder, x: Buffer, distinct: Buffer, size: Dim) -> None:
        before, count, after = x.shape
        values, indices, inverse, counts = k.results
        values = values.reshaped((before, size, after))
        with k.loop("n", size) as n:
            k.write(counts, (n,), index(0))
        numbers = None
        if not k.attributes.sorted:
            numbers = k.scratch("number", DType.I64, (count,))
            k.assign(next_number := k.index_variable("next", 0), 0)
        with k.loop("i", count) as i:
            place, _ = _look_up(k, x, i, distinct, index(size))
            number = place
            if numbers is not None:
                k.comment("Distinct slices are numbered as they occur.")
                with k.when(distinct.at((place,)).equals(i)):
                    k.statement(f"{numbers.at((place,))} = {next_number}")
                    k.assign(next_number, next_number + 1)
                number = k.let_index("n", Expr(f"(ptrdiff_t){numbers.at((place,))}"))
            k.statement(f"{inverse.at((i,))} = {number}")
            k.statement(f"{counts.at((number,))} += 1")
            with k.when(distinct.at((place,)).equals(i)):
                k.statement(f"{indices.at((number,))} = {i}")
                with k.loops("b a", (before, after)) as (b, a):
                    k.statement(f"{values.at((b, number, a))} = {x.at((b, i, a))}")


def _look_up(
    k: KernelBuilder, x: Buffer, i: Index, distinct: Buffer, end: Index
) -> tuple[Expr, Expr]:
    """Where slice ``i`` of x stands among the distinct ones, or belongs; and whether it is there.

    The first ``end`` entries of ``distinct`` are positions of slices in ascending order.
    """
    low, high = k.index_variable("low", 0), k.index_variable("high", end)
    is_known = Expr(k.variable("known", DType.I32, 0).text)
    with k.block(f"while (!{is_known} && {low} < {high})"):
        middle = k.let_index("middle", low + Expr(f"({high} - {low}) / 2"))
        order = Expr(k.variable("order", DType.I32, 0).text)
        before, count, after = x.shape
        if x.elements != 0 and count != 1:
            other = k.let_index("other", Expr(f"(ptrdiff_t){distinct.at((middle,))}"))
            with k.loops("b a", (before, after)) as (b, a), k.when(order.equals(0)):
                mine, theirs = k.load(x, (b, i, a)), k.load(x, (b, other, a))
                k.statement(f"{order} = {_follows(k, mine, theirs, x.dtype)}")
                with k.when(order.equals(0)):
                    k.statement(f"{order} = -{_follows(k, theirs, mine, x.dtype)}")
        k.statement(f"{is_known} = {order} == 0")
        with k.when(order < 0):
            k.assign(high, middle)
        with k.when(order > 0):
            k.assign(low, middle + 1)
        with k.when(order.equals(0)):
            k.assign(low, middle)
    return low, is_known


def _follows(k: KernelBuilder, p: Expr, q: Expr, dtype: DType) -> str:
    """1 where ``p`` stands after ``q`` in ascending order (NaN is largest), else 0."""
    if dtype is DType.BOOL:
        return f"({conditional(p & Expr(f'!{q}'), index(1), index(0))})"
    return f"{k.helper(f'after_ascending_{dtype.compute}')}({p}, 0, {q}, 0)"
