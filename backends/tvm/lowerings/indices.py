"""Index arithmetic of tensor functions."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx

from .scalars import Scalar


def unravelled(at: Scalar, shape: Sequence[Scalar]) -> list[Scalar]:
    """The index of an element by its number in row-major order."""
    found: list[Scalar] = []
    for size in reversed(list(shape)[1:]):
        found.insert(0, tirx.floormod(at, size))
        at = tirx.floordiv(at, size)
    return [at, *found]


def ravelled(index: Sequence[Scalar], shape: Sequence[Scalar]) -> Scalar:
    """The number of an element in row-major order by its index."""
    at, *rest = index
    for size, step in zip(list(shape)[1:], rest):
        at = at * size + step
    return at


def is_number(size: Scalar) -> bool:
    """Whether a size is known."""
    return isinstance(size, tirx.IntImm)
