"""Positions and weights of resizing along an axis whose size is known at run time only.

The formulas are those of :mod:`burnish.ir.ops.resize`, in the same types and the same order, so
that both round alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import DType
from burnish.ir.dims import Dim
from burnish.ir.ops.resize import tap_count

from ..code import Expr, cast, conditional, index
from .buffer import Buffer
from .builder import ERROR_SIZE, KernelBuilder

_F32, _F64 = DType.F32, DType.F64

_SOURCES = {
    "half_pixel": "(o + 0.5) / scale - 0.5",
    "pytorch_half_pixel": "(o + 0.5) / scale - 0.5 if new > 1 else 0",
    "asymmetric": "o / scale",
    "align_corners": "o * (old - 1) / (exact - 1) if new > 1 else 0",
    "half_pixel_symmetric": "offset + (o + 0.5) / scale - 0.5",
    "tf_crop_and_resize": (
        "start * (old - 1) + o * (end - start) * (old - 1) / (new - 1)"
        " if new > 1 else 0.5 * (start + end) * (old - 1)"
    ),
}
"""The coordinate in the source, of size ``old``, of position ``o`` of the result."""

_ROUNDED = {
    "floor": "floor(s)",
    "ceil": "floor(s) + 1 if s - floor(s) > 0 else floor(s)",
    "round_prefer_floor": "floor(s) + 1 if s - floor(s) > 0.5 else floor(s)",
    "round_prefer_ceil": "floor(s) + 1 if s - floor(s) >= 0.5 else floor(s)",
}

_TRIANGLE = "max(0, 1 - abs(d))"
_CUBIC = (
    "((a + 2) * abs(d) - (a + 3)) * abs(d) * abs(d) + 1 if abs(d) <= 1 else"
    " (((a * abs(d) - 5 * a) * abs(d) + 8 * a) * abs(d) - 4 * a if abs(d) < 2 else 0)"
)


@dataclass(frozen=True, slots=True)
class AxisTaps:
    """Tables of an axis that is resized: [result positions, taps].

    ``outside`` is 1 where the extrapolation value goes.
    """

    positions: Buffer
    weights: Buffer
    taps: int
    outside: Buffer | None


def stays(k: KernelBuilder, axis: int, old: Dim) -> bool:
    """Whether an axis stays as it is, whatever its size turns out to be."""
    a = k.attributes
    if old != a.shape[axis] or a.scales[axis] != 1:
        return False
    is_whole: bool = a.roi[axis :: len(a.shape)] == (0, 1)
    return a.coordinates != "tf_crop_and_resize" or is_whole


def computed_taps(k: KernelBuilder, axis: int, old: Dim, work: DType) -> AxisTaps:
    """Tables in scratch memory, filled here."""
    a, new = k.attributes, k.attributes.shape[axis]
    is_nearest = a.mode == "nearest"
    taps = tap_count(a, axis)
    positions = k.scratch(f"position{axis}", DType.I32, (new, taps))
    weights = positions if is_nearest else k.scratch(f"weight{axis}", work, (new, taps))
    outside = None
    if a.coordinates == "tf_crop_and_resize":
        outside = k.scratch(f"outside{axis}", DType.U8, (new,))
    k.fail_when(k.less(old, 1) & k.less(0, new), ERROR_SIZE)
    k.comment(f"Where the positions along axis {axis} come from.")
    with k.loop("o", new) as o:
        source = k.let("source", _F32, _source(k, axis, old, o))
        if outside is not None:
            last = k.size_value(old - 1, _F32)
            beyond = k.value("s < 0 or s > last", _F32, s=source, last=last)
            k.statement(f"{outside.at([o])} = {beyond}")
        if is_nearest:
            place = k.value(_ROUNDED[a.rounding], _F32, s=source)
            _place(k, positions, [o, index(0)], cast("ptrdiff_t", place), old)
        else:
            _fill(k, AxisTaps(positions, weights, taps, outside), axis, old, o, source)
    return AxisTaps(positions, weights, taps, outside)


def _source(k: KernelBuilder, axis: int, old: Dim, o: Expr) -> Expr:
    a, new = k.attributes, k.attributes.shape[axis]
    values = {
        "o": cast("float", o),
        "old": k.size_value(old, _F32),
        "new": k.size_value(new, _F32),
        "scale": k.literal(a.scales[axis], _F32),
    }
    if a.coordinates == "tf_crop_and_resize":
        values["start"] = k.literal(a.roi[axis], _F32)
        values["end"] = k.literal(a.roi[axis + len(a.shape)], _F32)
    if a.coordinates == "align_corners":
        ratio = k.value("new / old", _F64, new=k.size_value(new, _F64), old=k.size_value(old, _F64))
        exact = k.value(
            "new if ratio == scale else scale * old",
            _F32,
            ratio=k.convert(ratio, _F64, _F32),
            **{name: values[name] for name in ("new", "old", "scale")},
        )
        values["exact"] = k.let("exact", _F32, exact)
    if a.coordinates != "half_pixel_symmetric":
        return k.value(_SOURCES[a.coordinates], _F32, **values)
    offset = k.value("old / 2 * (1 - new / (scale * old))", _F32, **values)
    wide = {"offset": offset, "o": values["o"], "scale": values["scale"]}
    wide = {name: k.convert(value, _F32, _F64) for name, value in wide.items()}
    return k.convert(k.value(_SOURCES[a.coordinates], _F64, **wide), _F64, _F32)


def _place(k: KernelBuilder, positions: Buffer, at: list[Expr], place: Expr, old: Dim) -> None:
    """Write a position, moved into the axis."""
    place = k.let_index("place", place)
    last = index(old) - 1
    inside = conditional(place < 0, index(0), Expr(f"({conditional(last < place, last, place)})"))
    k.write(positions, at, cast("int32_t", Expr(f"({inside})")))


def _fill(k: KernelBuilder, table: AxisTaps, axis: int, old: Dim, o: Expr, source: Expr) -> None:
    """The taps of one position: weights in f64, rounded to f32 at the end."""
    a, reach = k.attributes, table.taps // 2
    work = table.weights.dtype
    base = k.let("base", _F32, k.value("floor(s)", _F32, s=source))
    shrink = min(a.scales[axis], 1.0) if a.antialias else 1.0
    normalizes = a.exclude_outside or a.antialias
    raw = k.scratch(f"raw{axis}", _F64, (table.taps,)) if normalizes else None
    total = k.variable("total", _F64, 0.0) if normalizes else None
    with k.loop("t", table.taps) as t:
        offset = k.let_index("offset", t + (1 - reach))
        place = k.let_index("from", cast("ptrdiff_t", base) + offset)
        distance = k.value(
            "(offset - fraction) * shrink",
            _F64,
            offset=cast("double", offset),
            fraction=k.convert(k.value("s - b", _F32, s=source, b=base), _F32, _F64),
            shrink=k.convert(k.literal(shrink, _F32), _F32, _F64),
        )
        distance = k.let("distance", _F64, distance)
        text = _TRIANGLE if a.mode == "linear" else _CUBIC
        values = {"d": distance}
        if a.mode == "cubic":
            values["a"] = k.literal(a.cubic_coefficient, _F64)
        weight = k.let("weight", _F64, k.value(text, _F64, **values))
        _place(k, table.positions, [o, t], place, old)
        if raw is None or total is None:
            k.write(table.weights, [o, t], _narrowed(k, weight, work))
        else:
            if a.exclude_outside:
                inside = (index(0) <= place) & (place < old)
                weight = conditional(inside, weight, k.literal(0, _F64))
            k.write(raw, [t], weight)
            k.assign(total, k.value("a + w", _F64, a=total, w=k.load(raw, [t])))
    if raw is not None and total is not None:
        with k.loop("t", table.taps) as t:
            share = k.value("w / t if t != 0 else w", _F64, w=k.load(raw, [t]), t=total)
            k.write(table.weights, [o, t], _narrowed(k, share, work))


def _narrowed(k: KernelBuilder, weight: Expr, work: DType) -> Expr:
    """Weights are f32, whatever they are multiplied with."""
    return k.convert(k.convert(weight, _F64, _F32), _F32, work)
