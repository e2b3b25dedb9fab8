"""Rows of weights by pieces of the inputs: what a tile sees of a piece fits into the first cache.

A sparse product walks over the rows of one output after the other, each of which is for any input.
Sorted by pieces of neighbouring inputs first, and by outputs then, all that is read until the next
piece begins is what the tile sees of few inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, Constant

from .family import Preparation
from .unit import Unit


@dataclass(frozen=True)
class Pieces:
    """How inputs are cut: ``count`` runs of ``size`` inputs, of which the last may be shorter."""

    count: int
    size: int

    def order(self, inputs: Array, starts: Array) -> Array:
        """Rows in the order in which they are stored: by pieces, outputs, and as they were."""
        outputs = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        return np.lexsort((outputs, inputs // self.size))


@dataclass(frozen=True)
class SortedRows(Preparation):
    """Weights, or the inputs they are for, in the order of pieces."""

    pieces: Pieces
    beside: tuple[int, ...]

    def __call__(self, *constants: Constant) -> Constant:
        rows, inputs, starts = (constant.array for constant in constants)
        return Constant(np.ascontiguousarray(rows[self.pieces.order(inputs, starts)]))


@dataclass(frozen=True)
class PieceStarts(Preparation):
    """The first row of each output in each piece, and the end: [pieces * outputs + 1]."""

    pieces: Pieces
    beside: tuple[int, ...]

    def __call__(self, *constants: Constant) -> Constant:
        starts, inputs = (constant.array for constant in constants)
        count = len(starts) - 1
        outputs = np.repeat(np.arange(count), np.diff(starts))
        places = inputs // self.pieces.size * count + outputs
        sizes = np.bincount(places, minlength=self.pieces.count * count)
        return Constant(np.concatenate([[0], np.cumsum(sizes)]).astype(starts.dtype))


def piece_preparations(unit: Unit, pieces: Pieces) -> Mapping[int, Preparation]:
    """How the constants of a sparse product with one output in a tile are stored."""
    values, inputs, starts = (unit.operands[value] for value in unit.main.inputs[1:4])
    return {
        values: SortedRows(pieces, (inputs, starts)),
        inputs: SortedRows(pieces, (inputs, starts)),
        starts: PieceStarts(pieces, (inputs,)),
    }


def can_be_sorted(unit: Unit) -> bool:
    """Whether rows are constants that are stored, so that their order is known now."""
    return all(
        value in unit.operands and unit.constant(value) is not None
        for value in unit.main.inputs[1:4]
    )
