"""Weights that are mostly zeros, without these: compressed rows of numbers or of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burnish.ir import Array, DType

from .builder import Term

if TYPE_CHECKING:
    from .context import Context

_MOST_FILLED = 0.25
"""Share of weights that are no zeros, where zeros are left out: each brings its place along."""

_SIZES = (16, 8, 4, 2, 1)
"""Heights and widths of blocks that are looked for."""


def is_sparse(weights: Term) -> bool:
    """Whether weights of 32-bit floats are mostly zeros."""
    if weights.constant is None or weights.dtype is not DType.F32:
        return False
    array = weights.constant.array
    return bool(np.count_nonzero(array) <= _MOST_FILLED * array.size)


@dataclass(frozen=True)
class Compressed:
    """A matrix as Relay takes it.

    Attributes:
        data: the blocks that hold more than zeros [blocks, height, width].
        indices: the column of each, counted in blocks.
        starts: where the blocks of each row begin, and where the last row ends.
    """

    data: Term
    indices: Term
    starts: Term


def compressed(c: Context, weights: Term, matrix: Array) -> Compressed:
    """``matrix``, which is what ``weights`` hold and has more than zeros."""
    height, width = best_block(matrix)
    tiles = _tiles(matrix, height, width)
    rows, columns = np.nonzero(tiles.any(axis=(2, 3)))
    starts = np.searchsorted(rows, np.arange(tiles.shape[0] + 1))
    return Compressed(
        c.builder.changed(weights, np.ascontiguousarray(tiles[rows, columns])),
        c.ints(columns, DType.I32),
        c.ints(starts, DType.I32),
    )


def best_block(matrix: Array) -> tuple[int, int]:
    """Height and width of the blocks by which the fewest numbers are kept, with their places."""

    def kept(block: tuple[int, int]) -> int:
        height, width = block
        count = np.count_nonzero(_tiles(matrix, height, width).any(axis=(2, 3)))
        return int(count) * (height * width + 1)

    rows, columns = matrix.shape
    blocks = [(h, w) for h in _SIZES for w in _SIZES if rows % h == 0 and columns % w == 0]
    return min(blocks, key=kept)


def _tiles(matrix: Array, height: int, width: int) -> Array:
    """The blocks of a matrix: [rows of blocks, columns of blocks, height, width]."""
    rows, columns = matrix.shape
    split: Array = matrix.reshape(rows // height, height, columns // width, width)
    return np.swapaxes(split, 1, 2)
