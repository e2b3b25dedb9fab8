"""Reading between elements, at positions that data gives."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx

from burnish.ir import Dim, DType
from burnish.ir.ops.sample import FIRST_TAP, WEIGHTS, limits, settling

from ..registry import Expr
from .context import Context, Tensor, compute, is_coded, te_lowering
from .scalars import Scalar, cast, constant

Tap = tuple[Expr, Expr | None]
"""Elements that positions along an axis read, negative where outside, and their weights."""


@te_lowering("nn.sample")
def _sample(c: Context) -> Expr:
    dtype = c.type().dtype
    nearest = c.a.mode == "nearest"
    data = c.input(0) if nearest else c.wide(0)
    kind = DType.U8 if nearest and is_coded(dtype) else dtype if nearest else dtype.compute
    places = c.wide(1)
    axes = [_taps(c, places, axis, size, kind) for axis, size in enumerate(c.type().shape[2:])]
    elements = [[element for element, _ in taps] for taps in axes]
    weights = [[weight for _, weight in taps if weight is not None] for taps in axes]

    def function(
        x: Tensor,
        elements: Sequence[Sequence[Tensor]],
        weights: Sequence[Sequence[Tensor]],
        shape: Sequence[Scalar],
    ) -> Tensor:
        def read(index: list[Scalar], out: Sequence[Scalar], axis: int) -> Scalar:
            """Interpolate along the axes that are left, the last one first."""
            if axis == len(elements):
                found = [tirx.max(at, 0) for at in index[2:]]
                inside = tirx.all(*(at >= 0 for at in index[2:]))
                return tirx.if_then_else(inside, x(*index[:2], *found), constant(0, kind))
            total = None
            for tap, element in enumerate(elements[axis]):
                value = read([*index, element(index[0], *out)], out, axis + 1)
                if weights[axis]:
                    value = value * weights[axis][tap](index[0], *out)
                total = value if total is None else total + value
            return total

        return compute(shape, lambda n, channel, *out: read([n, channel], out, 0))

    y = c.te(function, data, elements, weights, c.sizes(c.result().shape))
    return y if nearest else c.cast(y, kind, dtype)


def _taps(c: Context, places: Expr, axis: int, extent: Dim, kind: DType) -> list[Tap]:
    """What each position reads along an axis; one step after another, each in memory."""
    work = c.type(1).dtype.compute
    size: Expr | int = extent if isinstance(extent, int) else _number(c, extent, work)
    values: dict[str, Expr | int] = {
        name: c.map(text, work, {"size": size}) for name, text in limits(c.a).items()
    }
    values["p"] = c.te(lambda x: compute(x.shape[:-1], lambda *index: x(*index, axis)), places)
    for name, text in settling(c.a):
        values[name] = c.map(text, work, values)
    below = c.map("floor(p)", work, values)
    first = c.cast(below, work, DType.I64)
    whole: Expr | int = extent if isinstance(extent, int) else _number(c, extent, DType.I64)
    start = FIRST_TAP[c.a.mode]
    if c.a.mode == "nearest":
        return [(_element(c, first, start, whole), None)]
    past = c.cast(c.map("p - below", work, {"p": values["p"], "below": below}), work, kind)
    return [
        (_element(c, first, start + tap, whole), c.map(text, kind, {"t": past}))
        for tap, text in enumerate(WEIGHTS[c.a.mode])
    ]


def _number(c: Context, size: Dim, dtype: DType) -> Expr:
    """A size as a tensor."""
    return c.te(lambda size: compute((), lambda: cast(size, dtype)), c.size(size))


_TURN = {True: "max(2 * (size - 1), 1)", False: "2 * size"}
"""After how many positions reflected ones repeat, at the centers of elements or at their edges."""


def _element(c: Context, first: Expr, tap: int, size: Expr | int) -> Expr:
    """Which element a tap reads; none below 0."""
    position = c.map("p + tap", DType.I64, {"p": first, "tap": tap})
    values = {"p": position, "size": size}
    if c.a.padding == "zeros":
        return c.map("-1 if p < 0 or p >= size else p", DType.I64, values)
    if c.a.padding == "border":
        return c.map("max(min(p, size - 1), 0)", DType.I64, values)
    values["turn"] = c.map(_TURN[bool(c.a.align_corners)], DType.I64, {"size": size})
    turned = c.map("floor_mod(p, turn)", DType.I64, values)
    values |= {"p": turned, "edge": 0 if c.a.align_corners else 1}
    return c.map("p if p < size else turn - edge - p", DType.I64, values)
