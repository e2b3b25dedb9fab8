"""Layouts: in which order tensors lie in Relay's, and what Relay calls that.

A value with a layout is written as a tensor of the layout's storage shape: channels last with its
axes in another order, blocks of channels with one axis more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from burnish.ir import Layout, TensorType, tensor

from .builder import Refusal, Term

if TYPE_CHECKING:
    from .context import Context

_SPATIAL = {3: "W", 4: "HW", 5: "DHW"}


def data_letters(rank: int) -> str:
    """Relay's letters of the axes [N, C, ...]: NCW, NCHW or NCDHW."""
    return f"NC{_SPATIAL[rank]}"


def weight_letters(rank: int) -> str:
    """Relay's letters of the axes of weights [O, I, ...]: OIW, OIHW or OIDHW."""
    return f"OI{_SPATIAL[rank]}"


def layout_name(layout: Layout | None, letters: str) -> str:
    """What Relay calls a layout of axes that have these letters, such as NHWC or NCHW8c."""
    if layout is None:
        return letters
    order = "".join(letters[axis] for axis in layout.order)
    return order + "".join(f"{factor}{letters[axis].lower()}" for axis, factor in layout.tiles)


def layout_of(type_: TensorType) -> Layout | None:
    """The layout of a value; None: its axes lie in order."""
    layout = type_.layout
    return None if layout is None or layout.is_row_major else layout


def stored_shape(shape: tuple[int, ...], layout: Layout | None) -> tuple[int, ...]:
    """The shape of what is stored.

    Raises:
        Refusal: elements do not fill the blocks.
    """
    if layout is None:
        return shape
    for axis, size in enumerate(shape):
        if size % _block(layout, axis):
            raise Refusal(f"{layout} of axes {list(shape)}, which do not fill its blocks")
    return tuple(size for _, size in layout.storage_axes(shape) if isinstance(size, int))


def _block(layout: Layout, axis: int) -> int:
    """How many neighbours along an axis lie together."""
    return math.prod(factor for tiled, factor in layout.tiles if tiled == axis)


def outer_axis(layout: Layout | None, axis: int) -> int:
    """Where the blocks of a logical axis are counted: it is that axis where it has none."""
    return axis if layout is None else layout.order.index(axis)


def stored(c: Context, term: Term, layout: Layout | None) -> Term:
    """``term``, whose axes are in order, in a layout; an axis of one element stays as it is."""
    if layout is None:
        return term
    split, order = _split(term.shape, layout)
    return _ordered(c, c.reshape(term, split), order)


def in_order(c: Context, term: Term, shape: tuple[int, ...], layout: Layout | None) -> Term:
    """``term``, a tensor of ``shape`` in a layout, with its axes in order."""
    if layout is None:
        return term
    _, order = _split(shape, layout)
    back = sorted(range(len(order)), key=order.__getitem__)
    return c.reshape(_ordered(c, term, back), shape)


def _split(shape: tuple[int, ...], layout: Layout) -> tuple[list[int], list[int]]:
    """Sizes of the axes, each split into its blocks, and in which order these are stored."""
    split: list[int] = []
    outer: list[int] = []
    inner: dict[int, list[int]] = {}
    for axis, size in enumerate(shape):
        factors = [factor for tiled, factor in layout.tiles if tiled == axis]
        factors = factors if size > 1 else [1] * len(factors)
        outer.append(len(split))
        inner[axis] = list(range(len(split) + 1, len(split) + 1 + len(factors)))
        split += [size // math.prod(factors), *factors]
    order = [outer[axis] for axis in layout.order]
    return split, order + [inner[axis].pop(0) for axis, _ in layout.tiles]


def fitted(c: Context, term: Term, layout: Layout | None, rank: int) -> Term:
    """``term`` as it broadcasts onto tensors of ``rank`` axes in a layout."""
    if layout is None or term.rank == 0:
        return term
    return stored(c, c.reshape(term, (*[1] * (rank - term.rank), *term.shape)), layout)


def stored_anew(
    c: Context, term: Term, shape: tuple[int, ...], source: Layout | None, target: Layout | None
) -> Term:
    """``term``, a tensor of ``shape`` in one layout, in another."""
    type_ = tensor("f32", *shape)
    if type_.with_layout(source).storage_order() == type_.with_layout(target).storage_order():
        return c.reshape(term, stored_shape(shape, target))
    if source is None or target is None or source.tiles or target.tiles:
        return stored(c, in_order(c, term, shape, source), target)
    return _ordered(c, term, [outer_axis(source, axis) for axis in target.order])


def _ordered(c: Context, term: Term, order: list[int]) -> Term:
    """Axes in another order, by a reshape where only axes of one element move."""
    moving = [axis for axis in order if term.shape[axis] > 1]
    if moving == sorted(moving):
        return c.reshape(term, [term.shape[axis] for axis in order])
    return c.transpose(term, order)
