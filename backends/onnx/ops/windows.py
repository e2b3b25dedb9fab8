"""Attributes of operators with sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..context import Context


def windows(c: Context, pads: Sequence[int] | None = None) -> dict[str, Any]:
    """Strides, dilations and pads (by default the op's), as far as they are not the usual ones."""
    values = {
        "strides": (c.a.strides, 1),
        "dilations": (c.a.dilations, 1),
        "pads": (c.a.pads if pads is None else tuple(pads), 0),
    }
    return {name: v for name, (v, usual) in values.items() if any(n != usual for n in v)}
