"""Reading a tensor between its elements, at positions that data gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import scalar
from ..attributes import BOOL, Attributes, choice
from ..constants import Array
from ..dims import Dim, maximum
from ..dtypes import DType
from ..errors import TypeInferenceError
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_equal, show, widen

MARGIN = 4
"""Positions count as at most so far outside: no tap of theirs is an element."""

WEIGHTS: dict[str, tuple[str, ...]] = {
    "nearest": ("1",),
    "linear": ("1 - t", "t"),
    "cubic": (
        "((-0.75 * (t + 1) + 3.75) * (t + 1) - 6) * (t + 1) + 3",
        "(1.25 * t - 2.25) * t * t + 1",
        "(1.25 * (1 - t) - 2.25) * (1 - t) * (1 - t) + 1",
        "((-0.75 * (2 - t) + 3.75) * (2 - t) - 6) * (2 - t) + 3",
    ),
}
"""Weights of the elements around a position ``t`` past the one before it (cubic: Keys, a=-0.75)."""

FIRST_TAP = {"nearest": 0, "linear": 0, "cubic": -1}
"""The first of these elements, relative to the one at or before the position."""


def limits(a: Attributes) -> dict[str, str]:
    """What :func:`settling` takes as known of an axis: scalar expressions over its ``size``."""
    known = {"last": "size - 1", "limit": f"size + {MARGIN - 1}"}
    if a.align_corners:
        return {"low": "0", "high": "size - 1", "span": "size - 1", **known}
    return {"low": "-0.5", "high": "size - 0.5", "span": "size", **known}


def settling(a: Attributes, *, is_single: bool | None = None) -> list[tuple[str, str]]:
    """Assignments that bring position ``p`` along an axis to where it is read.

    Scalar expressions, one after another, over ``p``, the names assigned before and
    :func:`limits`.  ``is_single`` says whether the axis has one element, None that it is not known.
    """
    steps = [("p", "round_even(p)")] if a.mode == "nearest" else []
    inside = "p >= low and p <= high"
    if a.padding == "border":
        steps.append(("p", f"p if {inside} else min(max(p, 0), last)"))
    if a.padding == "reflection" and a.align_corners and is_single:
        steps.append(("p", f"p if {inside} else 0"))
    elif a.padding == "reflection":
        single = "0 if span == 0 else " if a.align_corners and is_single is None else ""
        steps += [
            ("beyond", "low - p if p < low else p - high"),
            ("turns", "floor(beyond / span)"),
            ("rest", "beyond - turns * span"),
            ("odd", "turns - 2 * floor(turns * 0.5)"),
            ("up", "low + rest if odd == 0 else high - rest"),
            ("down", "high - rest if odd == 0 else low + rest"),
            ("p", f"p if {inside} else {single}up if p < low else down"),
        ]
    # What is left outside, infinite or NaN must convert to an integer.
    confined = f"p if p > {-MARGIN} and p < limit else limit if p >= limit else {-MARGIN}"
    return [*steps, ("p", confined)]


def period(a: Attributes, size: Dim) -> Dim:
    """After how many positions reflected ones repeat."""
    return maximum(1, 2 * (size - 1)) if a.align_corners else 2 * size


@register
class Sample(OpDef):
    """x [N, C, spatial...] read at positions [N, out..., spatial axes].  ONNX GridSample, whose
    grid is scaled to positions first.

    Positions count elements, first axis first; those between elements are interpolated along
    one axis after another, the last one first, in the type of x.  Outside, x is 0 (``zeros``),
    the nearest element (``border``), or mirrored (``reflection``) at the centers
    (``align_corners``) or the edges of the outermost elements.  A position that is NaN lies
    before the first element.
    """

    name = "nn.sample"
    x = operand("input [N, C, spatial...], at least one spatial axis, not empty")
    positions = operand("[N, out..., number of spatial axes]", dtypes=FLOATS)
    mode = attribute(choice(*WEIGHTS), "interpolation; x must be of floats but for nearest")
    padding = attribute(choice("zeros", "border", "reflection"), "what lies outside", "zeros")
    align_corners = attribute(BOOL, "where x ends: at element centers, else at their edges", False)

    def infer(self, a: Attributes, x: TensorType, positions: TensorType) -> TensorType:
        spatial = x.rank - 2
        if spatial < 1 or 0 in x.shape[2:]:
            raise TypeInferenceError(f"x of shape {show(x.shape)} has no elements to read")
        if positions.rank < 2:
            raise TypeInferenceError(f"positions of rank {positions.rank}, need 2 at least")
        require_equal(positions.shape[0], x.shape[0], "first axis of positions")
        require_equal(positions.shape[-1], spatial, "last axis of positions")
        if a.mode != "nearest" and x.dtype not in FLOATS:
            raise TypeInferenceError(f"{a.mode} interpolation is not defined for {x.dtype}")
        return TensorType((*x.shape[:2], *positions.shape[1:-1]), x.dtype)

    def evaluate(self, a: Attributes, x: Array, positions: Array) -> Array:
        batch, channels, *sizes = x.shape
        out = positions.shape[1:-1]
        places = widen(positions).reshape(batch, math.prod(out), len(sizes))
        data = x if a.mode == "nearest" else widen(x)
        data = data.reshape(batch, channels, math.prod(sizes))
        axes = [_taps(a, places[..., i], size, data.dtype) for i, size in enumerate(sizes)]
        start = np.zeros(places.shape[:-1], np.intp)
        with np.errstate(all="ignore"):
            y = _read(data, axes, sizes, start, np.ones_like(start, bool))
        y = y.reshape(batch, channels, *out)
        return y if a.mode == "nearest" else narrow(y, x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        x = operands[0]
        assert x is not None
        taps = len(WEIGHTS[a.mode]) ** (x.rank - 2)
        return Cost(macs=results[0].elements * taps, **traffic(operands, results))


def _taps(
    a: Attributes, positions: Array, size: int, dtype: np.dtype[np.generic]
) -> list[tuple[Array, Array | None]]:
    """The elements that positions along an axis read, -1 where outside, and their weights."""
    work = DType.from_numpy(positions.dtype)
    values: dict[str, Array | float | int | bool] = {"p": positions}
    for name, expression in limits(a).items():
        values[name] = scalar.evaluate(scalar.parse(expression), {"size": size}, work)
    for name, expression in settling(a):
        values[name] = np.broadcast_to(
            scalar.evaluate(scalar.parse(expression), values, work), positions.shape
        )
    place = np.asarray(values["p"])
    first = np.floor(place).astype(np.intp) + FIRST_TAP[a.mode]
    if a.mode == "nearest":
        return [(_element(a, first, size), None)]
    past = (place - np.floor(place)).astype(dtype)
    kind = DType.from_numpy(dtype)
    return [
        (
            _element(a, first + tap, size),
            scalar.evaluate(scalar.parse(expression), {"t": past}, kind),
        )
        for tap, expression in enumerate(WEIGHTS[a.mode])
    ]


def _element(a: Attributes, position: Array, size: int) -> Array:
    if a.padding == "zeros":
        return np.where((position < 0) | (position >= size), -1, position)
    if a.padding == "border":
        return np.clip(position, 0, size - 1)
    turn = period(a, size)
    assert isinstance(turn, int)
    position = position % turn
    mirrored = turn - position if a.align_corners else turn - 1 - position
    return np.where(position < size, position, mirrored)


def _read(
    data: Array,
    axes: Sequence[list[tuple[Array, Array | None]]],
    sizes: Sequence[int],
    row: Array,
    inside: Array,
) -> Array:
    """Interpolate along ``axes``, the last one first, in the rows of ``data`` [N, C, elements].

    ``row`` [N, positions] numbers the element of the axes before; ``inside`` says where it exists.
    """
    if not axes:
        places = np.where(inside, row, 0)[:, np.newaxis]
        found = np.take_along_axis(data, np.broadcast_to(places, _wide(data, row)), 2)
        return np.where(inside[:, np.newaxis], found, np.zeros((), data.dtype))
    total: Array | None = None
    for element, weight in axes[0]:
        exists = inside & (element >= 0)
        value = _read(data, axes[1:], sizes[1:], row * sizes[0] + element, exists)
        if weight is not None:
            value = value * weight[:, np.newaxis]
        total = value if total is None else total + value
    assert total is not None
    return total


def _wide(data: Array, row: Array) -> tuple[int, int, int]:
    return data.shape[0], data.shape[1], row.shape[1]
