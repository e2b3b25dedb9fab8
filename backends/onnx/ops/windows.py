"""Attributes of operators with sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..context import Context, Refusal


def windows(c: Context, pads: Sequence[int] | None = None) -> dict[str, Any]:
    """Strides, dilations and pads (by default the op's), as far as they are not the usual ones.

    Raises:
        Refusal: no window fits, and ONNX says that one does.
    """
    _require_windows(c)
    values = {
        "strides": (c.a.strides, 1),
        "dilations": (c.a.dilations, 1),
        "pads": (c.a.pads if pads is None else tuple(pads), 0),
    }
    return {name: v for name, (v, usual) in values.items() if any(n != usual for n in v)}


def _require_windows(c: Context) -> None:
    """Refuse what is less than a stride too small: ONNX rounds the quotient towards zero.

    Raises:
        Refusal: there is such an axis.
    """
    spatial = len(c.a.strides)
    kernel = c.a.kernel if "kernel" in c.a else c.type(1).shape[2:]
    for axis, (dim, count) in enumerate(zip(c.type().shape[2:], c.op.results[0].type.shape[2:])):
        if count != 0 or not isinstance(dim, int):
            continue
        reach = (kernel[axis] - 1) * c.a.dilations[axis] + 1
        room = dim + c.a.pads[axis] + c.a.pads[axis + spatial] - reach
        if -c.a.strides[axis] < room < 0:
            raise Refusal("ONNX infers one window where none fits")
