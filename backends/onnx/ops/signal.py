"""Audio front ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import Dim

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from ..sizes import size


@exporter("signal.frames")
def _frames(c: Context) -> Edge:
    """The samples of each frame, gathered."""
    count: Dim = c.op.result.type.shape[1]
    within = np.arange(c.a.length, dtype=np.int64)
    if isinstance(count, int):
        places = c.constant(np.arange(count)[:, np.newaxis] * c.a.step + within)
    else:
        number = c.node("Squeeze", size(c, count), c.ints([0]))
        zero, one = (c.constant(np.array(value, np.int64)) for value in (0, 1))
        starts = c.node("Mul", c.node("Range", zero, number, one), c.ints([c.a.step]))
        places = c.node("Add", c.node("Unsqueeze", starts, c.ints([1])), c.constant(within))
    return c.node("Gather", c.input(0), places, axis=1)


@exporter("signal.dft")
def _fourier(c: Context) -> Edge:
    """Since opset 20 the axis is an operand, before it is an attribute."""
    flags: dict[str, Any] = {"inverse": int(c.a.inverse), "onesided": int(c.a.onesided)}
    x, length = c.input(0), c.constant(np.array(c.a.length, np.int64))
    if c.opset >= 20:
        axis = c.constant(np.array(-2, np.int64))
        return c.node("DFT", x, length, axis, **flags)
    if all(flags.values()):
        raise Refusal("DFT has no inverse of half a spectrum", 20)
    return c.node("DFT", x, length, axis=c.type().rank - 2, **flags)
