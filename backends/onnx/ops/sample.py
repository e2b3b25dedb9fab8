"""Reading between elements."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import DType

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter

_OLD_MODES = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}
"""What interpolations are called before opset 20."""


@exporter("nn.sample")
def _sample(c: Context) -> Edge:
    """GridSample, whose grid counts from -1 to 1 and lists the last axis first."""
    type_, places = c.type(0), c.type(1)
    if c.opset < 20 and type_.rank != 4:
        raise Refusal("GridSample reads images only", 20)
    sizes = np.array(type_.static_shape[2:], np.int64)
    x = c.input(0)
    if c.a.align_corners and c.a.padding == "zeros" and 1 in sizes:
        # From -1 to 1 there is no way along one element: a zero behind it changes nothing.
        added = (sizes == 1).astype(np.int64)
        x = c.node("Pad", x, c.ints([0] * (4 + len(sizes)) + added.tolist()))
        sizes += added
    grid = _grid(c, sizes.astype(np.float64))
    if places.rank != type_.rank:  # it takes as many axes of places as x has
        batch, *out, spatial = places.static_shape
        grid = c.reshape(grid, (batch, math.prod(out), *[1] * (spatial - 1), spatial))
    y = c.node(
        "GridSample",
        x,
        grid,
        mode=c.a.mode if c.opset >= 20 else _OLD_MODES[c.a.mode],
        padding_mode=c.a.padding,
        align_corners=int(c.a.align_corners),
    )
    return y if places.rank == type_.rank else c.reshape(y, c.op.result.type.static_shape)


def _grid(c: Context, sizes: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Edge:
    """Positions p as 2·p/(size - 1) - 1 with aligned corners, else as (2·p + 1)/size - 1.

    With aligned corners every position along one element is that element.
    """
    dtype = DType.F64 if c.type().dtype is DType.F64 else c.type(1).dtype.compute
    positions = c.cast(c.input(1), dtype)
    span = np.maximum(sizes - 1, 1) if c.a.align_corners else sizes
    factor = c.constant((2 / span).astype(dtype.numpy))
    offset = c.constant(((0 if c.a.align_corners else 1) / span - 1).astype(dtype.numpy))
    scaled = c.node("Add", c.node("Mul", positions, factor), offset)
    order = c.ints(range(len(sizes) - 1, -1, -1))
    return c.node("Gather", scaled, order, axis=c.type(1).rank - 1)
