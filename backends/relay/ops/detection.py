"""Object detection."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import DType

from ..builder import Term
from ..context import Context
from ..registry import lowering
from .counted import check_count, declared_size


@lowering("nn.non_max_suppression")
def _non_max_suppression(c: Context) -> Term:
    """Relay's operator lists as many rows as there are boxes; those found come first.

    It leaves out boxes that overlap by the threshold or more, ONNX those that do by more.
    """
    size = declared_size(c)
    boxes, scores, limit, overlap = (c.input(index) for index in range(4))
    least = c.optional(4) or c.scalar(-math.inf, DType.F32)
    result = c.call(
        "vision.all_class_non_max_suppression",
        _corners(c, boxes) if c.a.centered else boxes,
        scores,
        limit,
        _next(c, overlap),
        least,
        output_format="onnx",
    )
    check_count(c, c.reshape(c.project(result, 1), ()))
    return c.slice(c.project(result, 0), 0, 0, size)


def _next(c: Context, x: Term) -> Term:
    """The next larger f32 of one that is not negative: its bits, as an integer, plus 1.

    Of a negative one the next smaller, which overlaps exceed just as they do that.
    """
    least = np.nextafter(np.float32(0), np.float32(1))
    if x.constant is not None:
        return c.array(np.nextafter(x.constant.array, np.float32(np.inf)))
    bits = c.call("add", c.call("reinterpret", x, dtype="int32"), c.scalar(1, DType.I32))
    is_zero = c.call("equal", x, c.scalar(0.0, x.dtype))
    return c.where(is_zero, c.scalar(least, x.dtype), c.call("reinterpret", bits, dtype="float32"))


def _corners(c: Context, boxes: Term) -> Term:
    """Two corners from center, width and height."""
    center, extent = c.slice(boxes, 2, 0, 2), c.slice(boxes, 2, 2, 4)
    half = c.call("multiply", extent, c.scalar(0.5, boxes.dtype))
    return c.concat([c.call(op, center, half) for op in ("subtract", "add")], 2)
