"""Pooling of regions of interest: boxes that data gives, cut into a fixed number of bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import scalar
from ..attributes import BOOL, FLOAT, INT, INTS, Attributes, choice
from ..constants import Array
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import (
    FLOATS,
    INDICES,
    Cost,
    OpDef,
    OperandTypes,
    attribute,
    operand,
    register,
    traffic,
)
from ..types import TensorType
from .checks import narrow, require_equal, require_length, require_minimum, require_shape, widen
from .indexing import positions_within

MOST_SAMPLES = 1 << 16
"""Samples of a bin along an axis; a box that needs more is refused as broken."""

ALIGN_START = "a * scale - offset"
ALIGN_BIN = {True: "(end - start) / bins", False: "max(end - start, 1) / bins"}
"""Size of a bin, by whether coordinates are of half pixels."""
ALIGN_PLACE = "start + p * bin + (i + 0.5) * bin / grid"
"""Position of sample ``i`` out of ``grid`` in bin ``p``."""

POOL_EDGE = "floor(a * scale + 0.5) if a * scale >= 0 else ceil(a * scale - 0.5)"
"""A corner of the box in elements, rounded, halves away from zero."""
POOL_BIN = "max(end - start + 1, 1) / bins"
POOL_LOW = "floor(p * bin) + start"
POOL_HIGH = "ceil((p + 1) * bin) + start"
POOL_INSIDE = "v if v > 0 and v < size else size if v >= size else 0"


def _value(expression: str, dtype: DType, **values: object) -> Array:
    arrays = {name: np.asarray(v, dtype.numpy) for name, v in values.items()}
    return scalar.evaluate(scalar.parse(expression), arrays, dtype)


class _RegionPool(OpDef):
    bins = attribute(INTS, "rows and columns of bins")
    scale = attribute(FLOAT, "elements per unit of the boxes", 1.0)

    def _shape(self, a: Attributes, x: TensorType, boxes: TensorType) -> TensorType:
        require_length(a.bins, 2, "bins")
        require_minimum(a.bins, 1, "bins")
        if 0 in x.shape[2:]:
            raise TypeInferenceError("x has no elements to pool")
        return TensorType((boxes.shape[0], x.shape[1], *a.bins), x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(macs=results[0].elements * 4, **traffic(operands, results))


@register
class RegionAlign(_RegionPool):
    """Mean or maximum of interpolated samples in the bins of boxes.  ONNX RoiAlign.

    Boxes are (x1, y1, x2, y2).  Samples form a regular grid in each bin; beyond one element
    outside x [N, C, H, W] they are 0.  ``max`` compares the four weighted elements of every
    sample, not their sums.  A box of more than 65536 samples per bin and axis is an error.
    """

    name = "nn.region_align"
    x = operand("input [N, C, H, W], H and W not 0", dtypes=FLOATS, rank=4, group="T")
    boxes = operand("[boxes, 4]", dtypes=FLOATS, rank=2, group="T")
    batch = operand("which entry of x each box is of: [boxes]", dtypes=INDICES, rank=1)
    samples = attribute(INT, "samples per bin along each axis; 0: one per element, rounded up", 0)
    mode = attribute(choice("mean", "max"), "what becomes of the samples", "mean")
    half_pixel = attribute(BOOL, "element centers lie at halves; boxes may be thinner than 1", True)

    def infer(
        self, a: Attributes, x: TensorType, boxes: TensorType, batch: TensorType
    ) -> TensorType:
        require_equal(boxes.shape[1], 4, "second axis of boxes")
        require_shape(batch, boxes.shape[:1], "batch")
        require_minimum([a.samples], 0, "samples")
        return self._shape(a, x, boxes)

    def evaluate(self, a: Attributes, x: Array, boxes: Array, batch: Array) -> Array:
        wide, corners = widen(x), widen(boxes)
        y = np.zeros((len(boxes), x.shape[1], *a.bins), wide.dtype)
        with np.errstate(all="ignore"):
            for r, entry in enumerate(positions_within(batch, x.shape[0])):
                rows = _samples(a, corners[r, 1], corners[r, 3], a.bins[0], x.shape[2])
                columns = _samples(a, corners[r, 0], corners[r, 2], a.bins[1], x.shape[3])
                y[r] = _pooled(a, wide[entry], rows, columns)
        return narrow(y, x.dtype)


class _Samples(NamedTuple):
    """Samples of all bins along an axis, ``per_bin`` of each.

    ``low`` and ``high`` [bins, samples] are the elements around each, with their weights.
    """

    low: Array
    high: Array
    low_weight: Array
    high_weight: Array
    per_bin: int


def _samples(a: Attributes, low: Array, high: Array, bins: int, size: int) -> _Samples:
    """Samples beyond the elements are alike, so few of them are listed: a box may be huge."""
    dtype = DType.from_numpy(low.dtype)
    known = {"scale": a.scale, "offset": 0.5 if a.half_pixel else 0.0}
    start, end = (_value(ALIGN_START, dtype, a=v, **known) for v in (low, high))
    width = _value(ALIGN_BIN[a.half_pixel], dtype, start=start, end=end, bins=bins)
    count = a.samples
    if not count:
        needed = float(np.ceil(width))
        if not needed <= MOST_SAMPLES:
            raise InputError(f"a bin of a box is {needed} elements wide")
        count = int(max(0.0, needed))
    place = _value(
        ALIGN_PLACE,
        dtype,
        start=start,
        bin=width,
        grid=count,
        p=np.arange(bins)[:, np.newaxis],
        i=np.arange(count),
    )
    inside = (place >= -1) & (place <= size)
    listed = np.asarray(inside.any(axis=0))
    for outside in ~inside:
        listed[np.flatnonzero(outside)[:1]] = True
    place, inside = place[:, listed], inside[:, listed]
    place = np.minimum(np.maximum(np.where(inside, place, 0), 0), size - 1)
    below = np.floor(place)
    past = place - below
    first = below.astype(np.intp)
    zero = np.zeros_like(past)
    weights = np.where(inside, 1 - past, zero), np.where(inside, past, zero)
    return _Samples(first, np.minimum(first + 1, size - 1), *weights, count)


def _pooled(a: Attributes, x: Array, rows: _Samples, columns: _Samples) -> Array:
    """Bins of ``x`` [C, H, W] from the samples of rows and columns."""
    terms = []
    for row, row_weight in ((rows.low, rows.low_weight), (rows.high, rows.high_weight)):
        for column, column_weight in (
            (columns.low, columns.low_weight),
            (columns.high, columns.high_weight),
        ):
            # [channels, row bins, row samples, column bins, column samples]
            found = x[:, row[:, :, np.newaxis, np.newaxis], column]
            terms.append(found * (row_weight[:, :, np.newaxis, np.newaxis] * column_weight))
    if not terms[0].size:
        return np.zeros((len(x), *a.bins), x.dtype)
    if a.mode == "max":
        best = np.maximum(np.maximum(terms[0], terms[1]), np.maximum(terms[2], terms[3]))
        return np.asarray(best.max(axis=(2, 4)))
    total = terms[0] + terms[1] + terms[2] + terms[3]
    count = x.dtype.type(rows.per_bin * columns.per_bin)
    return np.asarray(total.sum(axis=(2, 4)) / count)


@register
class RegionMaxPool(_RegionPool):
    """The largest element in each bin of boxes, rounded to whole elements.  ONNX MaxRoiPool.

    Boxes are (entry of x, x1, y1, x2, y2), corners included.  Bins overlap where elements do
    not divide; one without elements of x [N, C, H, W] gives 0.  NaN propagates.
    """

    name = "nn.region_max_pool"
    x = operand("input [N, C, H, W], H and W not 0", dtypes=FLOATS, rank=4, group="T")
    boxes = operand("[boxes, 5]", dtypes=FLOATS, rank=2, group="T")

    def infer(self, a: Attributes, x: TensorType, boxes: TensorType) -> TensorType:
        require_equal(boxes.shape[1], 5, "second axis of boxes")
        return self._shape(a, x, boxes)

    def evaluate(self, a: Attributes, x: Array, boxes: Array) -> Array:
        wide, corners = widen(x), widen(boxes)
        y = np.zeros((len(boxes), x.shape[1], *a.bins), wide.dtype)
        entries = scalar.convert(corners[:, 0], DType.I64)
        with np.errstate(all="ignore"):
            for r, entry in enumerate(positions_within(entries, x.shape[0])):
                rows = _spans(a, corners[r, 2], corners[r, 4], a.bins[0], x.shape[2])
                columns = _spans(a, corners[r, 1], corners[r, 3], a.bins[1], x.shape[3])
                for i, row in enumerate(rows):
                    for j, column in enumerate(columns):
                        part = wide[entry][:, slice(*row), slice(*column)]
                        if part.size:
                            y[r, :, i, j] = part.max(axis=(1, 2))
        return narrow(y, x.dtype)


def _spans(a: Attributes, low: Array, high: Array, bins: int, size: int) -> list[tuple[int, int]]:
    """First element and the one after the last, of each bin."""
    dtype = DType.from_numpy(low.dtype)
    start, end = (_value(POOL_EDGE, dtype, a=v, scale=a.scale) for v in (low, high))
    width = _value(POOL_BIN, dtype, start=start, end=end, bins=bins)
    edges = [
        _value(POOL_INSIDE, dtype, v=_value(edge, dtype, p=p, bin=width, start=start), size=size)
        for p in range(bins)
        for edge in (POOL_LOW, POOL_HIGH)
    ]
    whole = [int(edge) for edge in edges]
    return list(zip(whole[::2], whole[1::2]))
