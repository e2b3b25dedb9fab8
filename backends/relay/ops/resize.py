"""Resampling: every axis by the places and weights of its taps, which are constants."""

from __future__ import annotations

import numpy as np

from burnish.ir import DType
from burnish.ir.ops.resize import Taps, axis_taps

from ..builder import Term
from ..context import Context
from ..registry import lowering
from ..storage_order import outer_axis, stored


@lowering("nn.resize", layouts=True)
def _resize(c: Context) -> Term:
    x, layout, sizes = c.input(0), c.layout(), c.type().static_shape
    plans = [axis_taps(c.a, axis, size) for axis, size in enumerate(sizes)]
    nearest = c.a.mode == "nearest"
    y = x if nearest else c.cast(x, x.dtype.compute if x.dtype.is_float else DType.F32)
    for axis, plan in enumerate(plans):
        if sizes[axis] != c.shape()[axis] or not plan.is_identity:
            tiled = layout is not None and axis in dict(layout.tiles)
            c.require(not tiled, f"blocks of {layout} at other places")
            y = _resampled(c, y, outer_axis(layout, axis), plan, nearest)
    y = c.cast(y, x.dtype)
    if any(plan.outside.any() for plan in plans):
        beyond = np.zeros((), bool)
        for axis, plan in enumerate(plans):
            beyond = beyond | plan.outside.reshape(-1, *[1] * (len(sizes) - axis - 1))
        filler = c.cast(c.scalar(c.a.extrapolation_value, DType.F32), x.dtype)
        outside = c.array(np.broadcast_to(beyond, c.shape()))
        y = c.where(stored(c, outside, layout), filler, y)
    return y


def _resampled(c: Context, x: Term, axis: int, plan: Taps, nearest: bool) -> Term:
    """Σ weight · x at the places of each tap, along one axis."""
    total = None
    for tap in range(plan.indices.shape[1]):
        places = c.ints(plan.indices[:, tap], DType.I32)
        part = c.call("take", x, places, axis=axis)
        if nearest:
            return part
        weights = plan.weights[:, tap].reshape(-1, *[1] * (x.rank - axis - 1))
        part = c.call("multiply", part, c.array(weights.astype(x.dtype.numpy)))
        total = part if total is None else c.call("add", total, part)
    assert total is not None
    return c.apart(total)
