"""What is stored of a matrix with zeros: rows of weights, which input each is for, and tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from burnish.ir import Array


@dataclass(frozen=True)
class SparseForm:
    """The operands of ``nn.sparse_product``: see there.

    Attributes:
        values: weights [entries, width].
        inputs: which input each row is for [entries], ascending in each tile.
        starts: first row of each tile, and the end [tiles + 1].
    """

    values: Array
    inputs: Array
    starts: Array


def kept_rows(matrix: Array, width: int) -> Array:
    """Which inputs each tile of ``width`` outputs needs: bools [tiles, inputs]."""
    starts = np.arange(0, matrix.shape[0], width)
    filled = np.asarray(matrix != 0)
    return filled if width == 1 else np.logical_or.reduceat(filled, starts, axis=0)


def stored_weights(matrix: Array, width: int) -> int:
    """Rows that :func:`sparse_form` stores."""
    return int(np.count_nonzero(kept_rows(matrix, width)))


def sparse_form(matrix: Array, width: int) -> SparseForm:
    """``matrix`` [outputs, inputs] without the zeros that fill ``width`` outputs of a tile."""
    outputs, inputs = matrix.shape
    kept = kept_rows(matrix, width)
    tiles, columns = np.nonzero(kept)
    padded = np.pad(matrix, ((0, -outputs % width), (0, 0)))
    values = padded.reshape(-1, width, inputs)[tiles, :, columns]
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(kept, axis=1))])
    return SparseForm(
        np.ascontiguousarray(values), columns.astype(np.int32), starts.astype(np.int32)
    )
