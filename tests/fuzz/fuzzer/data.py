"""Random arrays, with the numbers at which programs go wrong."""

from __future__ import annotations

from random import Random

import ml_dtypes
import numpy as np

from burnish.ir import Array, DType

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 1.5, -2.5, 3.0, 6.0, 88.0, -104.0, 1e6, -1e-6, 1e30]
SPECIAL += [float("inf"), float("-inf"), float("nan")]
"""Where functions change branch, halves are rounded, and arithmetic overflows."""

SIZES = [1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 17]
"""Sizes of dimensions: below, at and beyond the widths that vectorized loops have."""


def random_shape(random: Random, rank: int, most: int) -> tuple[int, ...]:
    """A shape of at most ``most`` elements; now and then a dimension is 0."""
    shape: list[int] = []
    room = most
    for _ in range(rank):
        size = min(random.choice(SIZES), max(1, room))
        shape.append(size)
        room //= size
    random.shuffle(shape)
    if shape and random.random() < 0.03:
        shape[random.randrange(rank)] = 0
    return tuple(shape)


def numbers(
    random: Random, shape: tuple[int, ...], dtype: DType, *, special: bool, scale: float = 2.0
) -> Array:
    """Random elements: of one kind mostly, with special ones mixed in if ``special``."""
    rng = np.random.default_rng(random.getrandbits(32))
    if dtype is DType.BOOL:
        return np.asarray(rng.random(shape) < random.choice([0.0, 0.3, 0.5, 1.0]))
    if dtype.is_integer:
        return _integers(random, rng, shape, dtype, special)
    if not dtype.is_float:
        pair = rng.uniform(-scale, scale, (2, *shape))
        return np.asarray(pair[0] + 1j * pair[1]).astype(dtype.numpy)
    style = random.random()
    if style < 0.15:  # ties: halves and small integers
        values = rng.integers(-6, 6, shape) / 2
    elif style < 0.25:
        values = np.full(shape, random.choice(SPECIAL[:9]))
    else:
        values = rng.uniform(-scale, scale, shape)
    if special and random.random() < 0.4:
        chosen = rng.choice(np.array([*SPECIAL, *_extremes(dtype)]), size=shape)
        values = np.where(rng.random(shape) < random.choice([0.1, 0.5]), chosen, values)
    with np.errstate(all="ignore"):
        return np.asarray(values).astype(np.float64).astype(dtype.numpy)


def _extremes(dtype: DType) -> list[float]:
    """The largest, the smallest normal, and the smallest number of a type of floats."""
    info = ml_dtypes.finfo(dtype.numpy)
    smallest = [float(info.smallest_normal), float(info.smallest_subnormal)]
    return [float(info.max), -float(info.max), *smallest, -smallest[1]]


def _integers(
    random: Random, rng: np.random.Generator, shape: tuple[int, ...], dtype: DType, special: bool
) -> Array:
    low, high = dtype.integer_range
    bottom, top = (low, high) if random.random() < 0.2 else (max(low, -8), min(high, 8))
    values = np.asarray(
        rng.integers(bottom, top, shape, np.uint64 if high > 1 << 63 else np.int64, True)
    )
    if special and random.random() < 0.4:
        ends = np.array([low, high, max(low, -1), 0, 1], values.dtype)
        values = np.where(rng.random(shape) < 0.2, rng.choice(ends, size=shape), values)
    return values.astype(dtype.numpy)
