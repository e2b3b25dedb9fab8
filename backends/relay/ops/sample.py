"""Reading between elements, at positions that data gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import DType
from burnish.ir.ops.sample import FIRST_TAP, WEIGHTS, limits, period, settling

from ..builder import Term
from ..context import Context
from ..elementwise import Rendered, expression
from ..registry import lowering

Tap = tuple[Term, Term | None]
"""Elements that positions along an axis read, negative where outside, and their weights."""


@lowering("nn.sample")
def _sample(c: Context) -> Term:
    batch, channels, *sizes = c.type().static_shape
    places = c.wide(1)
    count = math.prod(places.shape[1:-1])
    places = c.reshape(places, (batch, count, len(sizes)))
    data = c.input(0) if c.a.mode == "nearest" else c.wide(0)
    data = c.reshape(data, (batch, channels, math.prod(sizes)))
    axes = []
    for axis, size in enumerate(sizes):
        positions = c.reshape(c.slice(places, 2, axis, axis + 1), (batch, count))
        axes.append(_taps(c, positions, size, data.dtype))
    y = _read(c, data, axes, sizes, None)
    return c.cast(c.reshape(y, c.shape()), c.type().dtype)


def _taps(c: Context, positions: Term, size: int, dtype: DType) -> list[Tap]:
    work = positions.dtype
    values: dict[str, Rendered] = {"p": positions}
    for name, text in limits(c.a).items():
        values[name] = expression(c, text, {"size": size}, work)
    for name, text in settling(c.a, is_single=size == 1):
        values[name] = c.apart(expression(c, text, values, work))
    place = values["p"]
    assert isinstance(place, Term)
    below = c.call("floor", place)
    first = c.plain_cast(below, DType.I64)
    past = c.cast(c.call("subtract", place, below), dtype) if c.a.mode != "nearest" else None
    taps: list[Tap] = []
    for tap, text in enumerate(WEIGHTS[c.a.mode], FIRST_TAP[c.a.mode]):
        at = c.call("add", first, c.scalar(tap, DType.I64))
        weight = None if past is None else expression(c, text, {"t": past}, dtype)
        taps.append((c.apart(_element(c, at, size)), None if weight is None else c.apart(weight)))
    return taps


_ELEMENT = {
    "zeros": "-1 if position < 0 or position >= size else position",
    "border": "min(max(position, 0), size - 1)",
    "reflection": "turned if turned < size else turn - edge - turned",
}
"""Which element a position reads, as a scalar expression over whole numbers."""


def _element(c: Context, position: Term, size: int) -> Term:
    values: dict[str, Rendered] = {"position": position, "size": size}
    if c.a.padding == "reflection":
        turn = period(c.a, size)
        assert isinstance(turn, int)
        turned = expression(c, "floor_mod(position, turn)", {**values, "turn": turn}, DType.I64)
        values |= {"turned": turned, "turn": turn, "edge": 0 if c.a.align_corners else 1}
    return expression(c, _ELEMENT[c.a.padding], values, DType.I64)


def _read(
    c: Context, data: Term, axes: Sequence[list[Tap]], sizes: Sequence[int], row: Term | None
) -> Term:
    """Interpolate along ``axes``, the last one first, in the rows of ``data`` [N, C, elements].

    ``row`` [N, positions] numbers the element of the axes before, negative where there is none.
    """
    if not axes:
        assert row is not None
        return _found(c, data, row)
    total = None
    for element, weight in axes[0]:
        value = _read(c, data, axes[1:], sizes[1:], _below(c, row, element, sizes[0]))
        if weight is not None:
            value = c.call("multiply", value, _for_channels(c, weight))
        total = value if total is None else c.call("add", total, value)
    assert total is not None
    return total


def _below(c: Context, row: Term | None, element: Term, size: int) -> Term:
    """The number of an element of this axis within those of the axes before."""
    if row is None:
        return element
    text = "-1 if row < 0 or element < 0 else row * size + element"
    return c.apart(expression(c, text, {"row": row, "element": element, "size": size}, DType.I64))


def _for_channels(c: Context, term: Term) -> Term:
    """[N, positions] as [N, 1, positions]."""
    return c.reshape(term, (term.shape[0], 1, term.shape[1]))


def _found(c: Context, data: Term, row: Term) -> Term:
    zero = c.scalar(0, DType.I64)
    inside = c.call("greater_equal", row, zero)
    places = _for_channels(c, c.where(inside, row, zero))
    places = c.broadcast(places, (*data.shape[:2], row.shape[1]))
    found = c.call("gather", data, places, axis=2)
    return c.where(_for_channels(c, inside), found, c.scalar(0, data.dtype))
