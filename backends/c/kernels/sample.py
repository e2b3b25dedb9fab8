"""Reading between elements, at positions that data gives."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Dim, DType, scalar
from burnish.ir.dims import ceildiv
from burnish.ir.ops.sample import FIRST_TAP, MARGIN, WEIGHTS, limits, period, settling

from ..code import Expr, cast, conditional, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .windows import axis_names, maximum, minimum


@register
class Sample(KernelFamily):
    """Elements and weights are found once per position and serve all channels."""

    name = "sample"
    ops = ("nn.sample",)

    def emit(self, k: KernelBuilder) -> None:
        x, positions = k.operand("x"), k.operand("positions")
        batch, channels, *sizes = k.op.inputs[0].type.shape
        counts = k.op.inputs[1].type.shape[1:-1]
        work = x.dtype.compute
        taps = len(WEIGHTS[k.attributes.mode])
        for size in sizes:
            k.require(1, size)
        elements = k.scratch("element", DType.I32, (len(sizes), taps))
        weights = k.scratch("weight", work, (len(sizes), taps)) if taps > 1 else None
        with k.loop("n", batch) as n, k.loops("o", counts) as at:
            for axis, size in enumerate(sizes):
                position = k.load(positions, [n, *at, axis])
                _taps(k, axis, size, position, elements, weights)
            with k.loop("c", channels) as c:
                read = _Reader(k, x, elements, weights, taps)
                k.store([n, c, *at], read.along(0, [n, c], index(1)))


def _taps(
    k: KernelBuilder,
    axis: int,
    size: Dim,
    position: Expr,
    elements: Buffer,
    weights: Buffer | None,
) -> None:
    """Write which elements along ``axis`` are read (-1: none), and their weights."""
    a = k.attributes
    dtype = k.operand("positions").dtype
    known = {"p": k.variable("p", dtype, position), **_limits(k, size)}
    for name, expression in settling(a, is_single=None if k.low(size) < 2 else False):
        value = k.value(expression, dtype, **known)
        if name == "p":
            k.assign(known["p"], value)
        else:
            known[name] = k.let(name, dtype, value)
    before = k.let("before", dtype, k.value("floor(p)", dtype, p=known["p"]))
    first = k.let_index("first", cast("ptrdiff_t", before) + FIRST_TAP[a.mode])
    if weights is not None:
        work = weights.dtype
        past = k.value("p - q", dtype, p=known["p"], q=before)
        t = k.let("t", work, k.convert(past, dtype.compute, work))
        for number, expression in enumerate(WEIGHTS[a.mode]):
            k.write(weights, [axis, number], k.value(expression, work, t=t))
    with k.loop("tap", elements.shape[1]) as tap:
        place = k.let_index("place", first + tap)
        k.write(elements, [axis, tap], cast("int32_t", _element(k, place, size)))


def _limits(k: KernelBuilder, size: Dim) -> dict[str, Expr]:
    """Where an axis of ``size`` elements ends: numbers where that is known."""
    dtype = k.operand("positions").dtype
    if not isinstance(size, int):
        elements = k.size_value(size, dtype)
        return {
            name: k.let(name, dtype, k.value(expression, dtype, size=elements))
            for name, expression in limits(k.attributes).items()
        }
    return {
        name: k.literal(
            scalar.evaluate(scalar.parse(expression), {"size": size}, dtype.compute).item(), dtype
        )
        for name, expression in limits(k.attributes).items()
    }


def _element(k: KernelBuilder, place: Expr, size: Dim) -> Expr:
    a = k.attributes
    if a.padding == "zeros":
        return conditional((place < 0) | (place >= size), index(-1), place)
    if a.padding == "border":
        return maximum(minimum(place, size - 1), 0)
    turn = period(a, size)
    # C's remainder has the sign of the dividend, so that is made positive first.
    lead = ceildiv(2 * MARGIN, turn) * turn
    position = k.let_index("position", (place + lead) % turn)
    mirrored = (turn if a.align_corners else turn - 1) - position
    return conditional(position < size, position, mirrored)


class _Reader:
    """Interpolates at one position of one channel, the last axis first."""

    def __init__(
        self, k: KernelBuilder, x: Buffer, elements: Buffer, weights: Buffer | None, taps: int
    ) -> None:
        self._k = k
        self._x = x
        self._elements = elements
        self._weights = weights
        self._taps = taps
        self._names = axis_names("t", len(x.shape) - 2)

    def along(self, axis: int, at: Sequence[Expr], inside: Expr) -> Expr:
        """The value when the axes before ``axis`` are at ``at``, elements where ``inside``."""
        k, work = self._k, self._x.dtype.compute
        if axis == len(self._names):
            zero = k.literal(0, self._x.dtype)
            return conditional(inside, k.load(self._x, at), zero)
        if self._weights is None:
            element = k.let_index("e", k.load(self._elements, [axis, 0]))
            return self.along(axis + 1, [*at, element], self._exists(inside, element))
        total = k.variable("sum", work, 0.0)
        with k.loop(self._names[axis], self._taps) as tap:
            element = k.let_index("e", k.load(self._elements, [axis, tap]))
            value = self.along(axis + 1, [*at, element], self._exists(inside, element))
            weight = k.load(self._weights, [axis, tap])
            k.assign(total, k.value("a + x * w", work, a=total, x=value, w=weight))
        return total

    def _exists(self, inside: Expr, element: Expr) -> Expr:
        return inside & (element >= 0) if self._k.attributes.padding == "zeros" else inside
