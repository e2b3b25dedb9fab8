"""What the instance of a rule's pattern is drawn from: element types, shapes, numbers.

All shapes of an instance are variations of one *base shape*, and most element types are one *base
type*: independent ones would hardly ever fit together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, DType, Quantized, TensorType
from burnish.ir.dims import Dim, symbol
from burnish.ir.dtypes import Kind
from burnish.ir.scalar import convert

from ..promises import EXACT, ROUNDING
from ..trust.draws import float_info
from .choices import Choices

DTYPE_WEIGHTS: dict[DType, float] = {
    DType.F32: 8,
    DType.I32: 3,
    DType.BOOL: 2,
    DType.F64: 2,
    DType.F16: 2,
    DType.I64: 2,
    DType.I8: 2,
    DType.U8: 2,
    DType.BF16: 1,
    DType.U32: 1,
    DType.U64: 1,
    DType.I16: 0.5,
    DType.U16: 0.5,
    DType.I4: 0.5,
    DType.U4: 0.5,
    DType.F8E4M3FN: 0.3,
    DType.F8E5M2: 0.3,
    DType.C64: 0.3,
}
"""Element types from simple to rare, and how often each is drawn.  The others are drawn where an
operand can be nothing else."""

EXTENTS = (1, 2, 3, 4, 5, 0)
EXTENT_WEIGHTS = (2, 4, 4, 2, 1, 0.25)
RANK_WEIGHTS = (1, 2, 4, 3, 5, 1)
"""How often a base shape has 0, 1, … axes."""

MAX_ELEMENTS = 4096
"""Instances hold no larger tensors."""

SYMBOL_RANGE = (1, 8)

NUMBERS = (1.0, 0.0, 2.0, -1.0, -0.0, 0.5, 3.0, -2.0, math.inf, -math.inf, math.nan, 1e-3)
"""Numbers that constants of floats are filled with; types add their extremes."""


@dataclass(frozen=True)
class Wish:
    """What the user of a value hopes for; what comes may differ."""

    dtype: DType | None = None
    shape: tuple[Dim, ...] | None = None


@dataclass(frozen=True)
class Base:
    """What the shapes, element types and quantizations of one instance vary."""

    shape: tuple[Dim, ...]
    dtype: DType
    storage: DType
    encoding: Quantized

    @staticmethod
    def drawn(choices: Choices) -> Base:
        """A base: rank 0 to 5, small extents, a symbol now and then."""
        dtypes = list(DTYPE_WEIGHTS)
        dtype = choices.pick("base.dtype", dtypes, [DTYPE_WEIGHTS[d] for d in dtypes])
        rank = choices.below("base.rank", len(RANK_WEIGHTS), RANK_WEIGHTS)
        shape: list[Dim] = [extent(choices, f"base.shape.{axis}") for axis in range(rank)]
        if rank and choices.chance("base.equal", 0.2):  # axes are confused unnoticed
            shape = [shape[0]] * rank
        if rank and choices.chance("base.symbolic", 0.12):
            shape[choices.below("base.symbol", rank)] = symbol("N")
        storage = choices.pick("base.storage", STORAGE, STORAGE_WEIGHTS)
        return Base(tuple(shape), dtype, storage, per_tensor(choices, "base.encoding", storage))


STORAGE = (DType.I8, DType.U8, DType.I16, DType.U16, DType.I32, DType.I4, DType.U4)
STORAGE_WEIGHTS = (4, 4, 1, 1, 1, 1, 1)
"""Element types that quantized numbers are stored in."""

SCALES = (0.5, 1.0, 0.1, 0.003, 7.0)


def per_tensor(choices: Choices, site: str, storage: DType) -> Quantized:
    """One scale and zero point for a whole tensor."""
    scale = choices.pick(f"{site}.scale", SCALES)
    return Quantized((scale,), (choices.pick(f"{site}.zero", zero_points(storage)),))


def zero_points(storage: DType) -> list[int]:
    """Zero points to choose from."""
    low, high = storage.integer_range
    return [point for point in (0, 3, -5, 128, low, high) if low <= point <= high]


def extent(choices: Choices, site: str, *, empty: bool = True) -> int:
    """A small size of an axis; 0 seldom."""
    count = len(EXTENTS) - (not empty)
    return EXTENTS[choices.below(site, count, EXTENT_WEIGHTS[:count])]


def element_type(
    choices: Choices, site: str, allowed: Collection[DType], preferred: Sequence[DType | None]
) -> DType:
    """The first of ``preferred`` that is allowed, mostly; else any that is."""
    options = [d for d in preferred if d is not None and d in allowed]
    if options and not choices.chance(f"{site}.other", 0.05):
        return options[0]
    common = [d for d in DTYPE_WEIGHTS if d in allowed]
    if common:
        return choices.pick(site, common, [DTYPE_WEIGHTS[d] for d in common])
    return choices.pick(site, [d for d in DType if d in allowed])


def variation(
    choices: Choices, site: str, shape: Sequence[Dim], *, whole: float = 0.6
) -> tuple[Dim, ...]:
    """``shape``, or one that broadcasts to it: with axes of size 1, or without leading axes."""
    kind = choices.below(f"{site}.shape", 3, (whole, (1 - whole) / 2, (1 - whole) / 2))
    if kind == 0:
        return tuple(shape)
    kept: list[Dim] = list(shape)
    if kind == 2:
        kept = kept[choices.below(f"{site}.axes", len(kept) + 1) :]
    return tuple(
        dim if dim == 1 or choices.chance(f"{site}.keep.{i}", 0.5) else 1
        for i, dim in enumerate(kept)
    )


def small(dim: Dim) -> int:
    """``dim`` as a number: what a symbol is at least."""
    return dim if isinstance(dim, int) else SYMBOL_RANGE[0]


def static(shape: Sequence[Dim]) -> tuple[int, ...]:
    """``shape`` for a constant: symbols become 1, which broadcasts."""
    return tuple(dim if isinstance(dim, int) else 1 for dim in shape)


# Constants -------------------------------------------------------------------------------


def specials(dtype: DType, promise: str) -> list[float]:
    """Numbers of a type that rewrites forget, simple ones first.

    What is rounded differently may overflow elsewhere, so that the extremes of a float type break
    exact promises only; fast-math is about finite numbers.
    """
    if dtype is DType.BOOL:
        return [1, 0]
    if dtype.is_integer:
        low, high = dtype.integer_range
        numbers = [1, 0, 2, -1, 3, high, low, high - 1, low + 1, 7]
        return [n for n in dict.fromkeys(numbers) if low <= n <= high]
    if promise != EXACT:
        return [n for n in NUMBERS if promise == ROUNDING or math.isfinite(n)]
    real = {DType.C64: DType.F32, DType.C128: DType.F64}.get(dtype, dtype)
    info = float_info(real.numpy)
    limits = (info.max, info.tiny, info.smallest_subnormal, info.eps)
    return [*NUMBERS, *map(float, limits)]


def filled(number: float, type_: TensorType) -> Array:
    """An array of that type, all elements of which are ``number``, converted as the IR does."""
    dtype = type_.dtype
    shape = static(type_.shape)
    if dtype.is_integer and isinstance(number, int):
        low, high = dtype.integer_range
        wrapped = (number - low) % (high - low + 1) + low
        return np.full(shape, wrapped, np.uint64 if wrapped > high >> 1 else np.int64).astype(
            dtype.numpy
        )
    with np.errstate(all="ignore"):
        if dtype.kind is Kind.COMPLEX:
            return np.full(shape, number).astype(dtype.numpy)
        return convert(np.full(shape, number, np.float64), dtype)


def constant(
    choices: Choices, site: str, type_: TensorType, promise: str, likely: Sequence[float] = ()
) -> Array:
    """The data of a constant: one of ``likely`` (if any) or a special number everywhere, random
    numbers, or a mixture of both."""
    pool = [*likely, *specials(type_.dtype, promise)]
    weights = [8.0 if i < len(likely) else 1.0 for i in range(len(pool))]
    mode = choices.below(f"{site}.fill", 3, (0.6, 0.25, 0.15))
    if mode == 0:
        return filled(choices.pick(f"{site}.number", pool, weights), type_)
    generator = np.random.default_rng(choices.below(f"{site}.seed", 1 << 16))
    shape = static(type_.shape)
    array = _random(generator, shape, type_.dtype)
    if mode == 1:
        return array
    chosen = np.stack([filled(number, type_) for number in pool])
    index = generator.integers(len(pool), size=shape)
    special = np.take_along_axis(chosen, index[np.newaxis], axis=0)[0]
    return np.where(generator.random(shape) < 0.5, special, array).astype(array.dtype)


def _random(generator: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    if dtype is DType.BOOL:
        return generator.random(shape) < 0.5
    if dtype.is_integer:
        low, high = dtype.integer_range
        return generator.integers(max(low, -4), min(high, 4), shape, endpoint=True).astype(
            dtype.numpy
        )
    numbers = generator.normal(size=shape)
    if dtype is DType.F8E8M0:  # has powers of two only
        numbers = np.exp2(np.rint(numbers))
    with np.errstate(all="ignore"):
        return numbers.astype(dtype.numpy)


def indices(choices: Choices, site: str, type_: TensorType, count: int) -> Array:
    """Positions in an axis of ``count`` elements, from the front or the end."""
    generator = np.random.default_rng(choices.below(f"{site}.seed", 1 << 16))
    numbers = generator.integers(-count, max(count, 1), static(type_.shape))
    return numbers.astype(type_.dtype.numpy)
