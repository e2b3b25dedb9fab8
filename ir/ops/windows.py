"""Sliding windows over spatial axes: the shape rules and views convolutions and pools share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..attributes import Attributes
from ..constants import Array
from ..dims import Dim
from ..errors import TypeInferenceError
from ..types import TensorType
from .checks import require_length, require_minimum, show


def check_windows(a: Attributes, x: TensorType, names: Sequence[str]) -> int:
    """The number of spatial axes of ``x`` [N, C, ...], after checking the lists in ``names``.

    Raises:
        TypeInferenceError: no spatial axis, or an attribute does not have one entry per spatial
            axis (``pads`` two).
    """
    spatial = x.rank - 2
    if spatial < 1:
        raise TypeInferenceError(
            f"x of shape {show(x.shape)} has no spatial axes; it must be [N, C, ...]"
        )
    for name in names:
        values: tuple[int, ...] = getattr(a, name)
        require_length(values, spatial * (2 if name == "pads" else 1), name)
        require_minimum(values, 0 if name in ("pads", "overhang", "output_padding") else 1, name)
    return spatial


def window_counts(
    extents: Sequence[Dim],
    kernel: Sequence[Dim],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    overhang: Sequence[int] | None = None,
) -> list[Dim]:
    """How many windows fit per spatial axis: ``(padded - reach) // stride + 1``.

    Raises:
        TypeInferenceError: the window is larger than the padded input.
    """
    spatial = len(extents)
    counts: list[Dim] = []
    for axis, extent in enumerate(extents):
        padded = extent + pads[axis] + pads[axis + spatial] + (overhang[axis] if overhang else 0)
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        count = (padded - reach) // strides[axis] + 1
        if isinstance(count, int) and count < 0:
            raise TypeInferenceError(
                f"a window of {reach} does not fit spatial axis {axis}, "
                f"which has {padded} elements with padding"
            )
        counts.append(count)
    return counts


def pad_spatial(
    x: Array, pads: Sequence[int], overhang: Sequence[int] | None, value: float
) -> Array:
    """``x`` [N, C, ...] with spatial axes padded by ``value``."""
    spatial = x.ndim - 2
    widths = [
        (pads[i], pads[i + spatial] + (overhang[i] if overhang else 0)) for i in range(spatial)
    ]
    if not any(map(any, widths)):
        return x
    padded: Array = np.pad(x, [(0, 0), (0, 0), *widths], constant_values=value)
    return padded


def taps(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    counts: Sequence[int],
    positions: Sequence[range] | None = None,
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """For each position in the kernel, the padded elements that all windows see there.

    Yields ``(position, view of shape [N, C, *counts])`` in row-major order of positions; with
    ``positions``, of those per spatial axis only.
    """
    for position in itertools.product(*(positions or map(range, kernel))):
        yield position, x[trailing(_strided(position, strides, dilations, counts))]


def meeting(a: Attributes, sizes: Sequence[int], counts: Sequence[int]) -> list[range]:
    """Per spatial axis the positions in the kernel at which some window meets more than padding.

    Position p of window o lies at o * stride + p * dilation - pad: those are left out that lie
    before the axis in the last window, or behind it in the first.  Kernels can be as large as
    padding, which only these need not walk through.
    """
    found = []
    for axis, (size, count) in enumerate(zip(sizes, counts)):
        pad, step = a.pads[axis], a.dilations[axis]
        last = max(count - 1, 0) * a.strides[axis]
        first = max(0, -((last - pad) // step))
        found.append(range(first, min(a.kernel[axis], -(-(size + pad) // step))))
    return found


def trailing(index: Iterable[int | slice]) -> tuple[Any, ...]:
    """``index`` applied to the last axes: ``x[..., i, j]``."""
    return (..., *index)


def static(dimensions: Iterable[Dim]) -> list[int]:
    """Dimensions of arrays, which are integers."""
    return [dim for dim in dimensions if isinstance(dim, int)]


def _strided(
    position: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    counts: Sequence[int],
) -> list[slice]:
    starts = [p * d for p, d in zip(position, dilations)]
    return [
        slice(start, start + (count - 1) * stride + 1, stride) if count else slice(0, 0)
        for start, stride, count in zip(starts, strides, counts)
    ]
