"""Resampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import Dim

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from ..sizes import shape

_NEW_COORDINATES = {"half_pixel_symmetric": 19}
"""The opset since when Resize knows a way to map coordinates."""


@exporter("nn.resize")
def _resize(c: Context) -> Edge:
    x = c.input(0)
    since = _NEW_COORDINATES.get(c.a.coordinates, 0)
    if c.opset < since:
        raise Refusal(f"Resize does not know {c.a.coordinates}", since)
    attributes: dict[str, Any] = {
        "mode": c.a.mode,
        "coordinate_transformation_mode": c.a.coordinates,
    }
    if c.a.mode == "nearest":
        attributes["nearest_mode"] = c.a.rounding
    if c.a.mode == "cubic":
        attributes["cubic_coeff_a"] = c.a.cubic_coefficient
    if c.a.exclude_outside:
        attributes["exclude_outside"] = 1
    if c.a.antialias:
        attributes["antialias"] = 1
    roi = None
    if c.a.coordinates == "tf_crop_and_resize":
        attributes["extrapolation_value"] = c.a.extrapolation_value
        roi = c.constant(np.array(c.a.roi, np.float32))
    scales = sizes = None
    if roi is None and _follow_scales(c):
        scales = c.constant(np.array(c.a.scales, np.float32))
    elif (roi is not None and not c.a.antialias) or _give_scales(c):
        sizes = shape(c, c.a.shape)
    else:
        raise Refusal("Resize takes scales or sizes, which here do not follow from one another")
    return c.node("Resize", x, roi, scales, sizes, **attributes)


def _follow_scales(c: Context) -> bool:
    """Whether sizes are what Resize computes from the scales."""
    return all(map(_scaled, c.type().shape, c.a.scales, c.a.shape))


def _scaled(old: Dim, scale: float, new: Dim) -> bool:
    if isinstance(old, int):  # runtimes multiply in single or in double precision
        products = (np.float32(old) * np.float32(scale), old * float(np.float32(scale)))
        return all(new == int(product) for product in products)
    if scale >= 1:
        return scale.is_integer() and new == old * int(scale)
    return (1 / scale).is_integer() and new == old // int(1 / scale)


def _give_scales(c: Context) -> bool:
    """Whether scales are what Resize computes from the sizes."""
    return all(
        scale == 1.0 if new == old else _ratio(new, old) == float(np.float32(scale))
        for old, scale, new in zip(c.type().shape, c.a.scales, c.a.shape)
    )


def _ratio(new: Dim, old: Dim) -> float | None:
    if isinstance(new, int) and isinstance(old, int) and old:
        return float(np.float32(new) / np.float32(old))
    return None
