"""What the zeros of a matrix have in common."""

from __future__ import annotations

import numpy as np

from burnish.ir import Array, Sparse

from .forms import kept_rows
from .maps import LinearMap

WIDTHS = (32, 16, 8, 4)
"""Outputs of a block, widest first: the vectors of machines, and a few of them."""

EXCESS = 1.125
"""A coarser pattern is taken if it keeps at most so many times the weights of a finer one."""


def pattern_of(map_: LinearMap, least: float) -> Sparse | None:
    """The coarsest pattern that explains the zeros of a map's weights.

    Whole inputs (channels), blocks of some outputs by one input, or single weights.  None where
    fewer than the fraction ``least`` of the weights are zero.
    """
    matrix = map_.matrix()
    size, single = matrix.size, int(np.count_nonzero(matrix))
    if size - single < least * size:
        return None
    most = single * EXCESS
    inputs = np.count_nonzero(matrix.any(axis=0))
    if inputs * map_.outputs <= most:
        return Sparse("channel", (map_.input_axis,), int(inputs))
    for width in WIDTHS:
        if width <= map_.outputs and (blocks := _blocks(matrix, width)) * width <= most:
            return Sparse("block", map_.block(width, 1), blocks)
    return Sparse("unstructured", (), single)


def _blocks(matrix: Array, width: int) -> int:
    return int(np.count_nonzero(kept_rows(matrix, width)))
