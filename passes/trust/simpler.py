"""Simpler data: for constants and inputs of what is made small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from burnish.ir import Array, DType

FEW = 64
"""Of so few elements each is tried alone: a single one is seldom the one that matters."""


def simpler_arrays(array: Array, *, one_by_one: bool = False) -> Iterator[Array]:
    """Arrays of the same shape and type that hold less, the simplest first.

    With ``one_by_one`` there are those, too, in which one element is as it is, among ones.
    """
    if not array.size:
        return
    first = array.reshape(-1)[0]
    for number in (0, 1, 2, first):
        filled = np.full(array.shape, number).astype(array.dtype)
        if filled.tobytes() == array.tobytes():
            return  # it is as simple as that already
        yield filled
    if one_by_one:
        yield from _one_element_each(array)
    if DType.from_numpy(array.dtype).is_float:
        with np.errstate(all="ignore"):
            yield np.rint(array.astype(np.float64)).astype(array.dtype)


def _one_element_each(array: Array) -> Iterator[Array]:
    """Arrays in which one element is as it is, among ones; none where there are many."""
    for index in range(array.size if array.size <= FEW else 0):
        simple = np.ones(array.size).astype(array.dtype)
        simple[index] = array.reshape(-1)[index]
        yield simple.reshape(array.shape)
