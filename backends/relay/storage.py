"""Element types that Relay lacks, kept in integers.

Integers below a byte are one per byte, as in NumPy's arrays.  Of floats that Relay does not compute
with on every CPU, the bits are kept; arithmetic happens in ``float32`` anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from burnish.ir import Array, DType, scalar

CARRIERS: Mapping[DType, DType] = {
    DType.I4: DType.I8,
    DType.I2: DType.I8,
    DType.U4: DType.U8,
    DType.U2: DType.U8,
    DType.BF16: DType.U16,
    DType.F8E4M3FN: DType.U8,
    DType.F8E4M3FNUZ: DType.U8,
    DType.F8E5M2: DType.U8,
    DType.F8E5M2FNUZ: DType.U8,
    DType.F4E2M1: DType.U8,
}
"""The integers that such a type is kept in."""


def carrier(dtype: DType) -> DType:
    """The type that Relay sees."""
    return CARRIERS.get(dtype, dtype)


def stored(array: Array) -> Array:
    """An array as Relay takes it."""
    dtype = DType.from_numpy(array.dtype)
    kept = carrier(dtype).numpy
    return (
        array if array.dtype == kept else array.view(kept) if dtype.is_float else array.astype(kept)
    )


def restored(array: Array, dtype: DType) -> Array:
    """What Relay gives, as an array of ``dtype``."""
    if dtype not in CARRIERS:
        return array
    return array.view(dtype.numpy) if dtype.is_float else array.astype(dtype.numpy)


@dataclass(frozen=True)
class Rounding:
    """How numbers become floats of at most 8 bits.

    The magnitude exceeds so many of ``bounds``: that is the place of the code, in ``positive`` or
    in ``negative``.  ``nan`` is that of NaN.
    """

    bounds: Array
    positive: Array
    negative: Array
    nan: int


@cache
def decoding(dtype: DType) -> Array:
    """The number that each code of a float of at most 8 bits means, f32."""
    codes = np.arange(1 << dtype.bits, dtype=np.uint8).view(dtype.numpy)
    return codes.astype(np.float32)


@cache
def rounding(dtype: DType, source: DType) -> Rounding:
    """Rounding to nearest, ties to the even code, of numbers of type ``source``.

    Between two neighbours lies a bound; a tie that goes up is one step beyond it.  What follows
    the largest number, and what NaN is, the conversion tells.
    """
    half = decoding(dtype)[: 1 << (dtype.bits - 1)].astype(np.float64)
    finite = half[np.isfinite(half)]
    beyond = 2 * finite[-1] - finite[-2]
    steps = np.append(finite, beyond)
    bounds = ((steps[1:] + steps[:-1]) / 2).astype(source.numpy)
    odd = np.arange(len(bounds)) % 2 == 1
    bounds = np.where(odd, np.nextafter(bounds, source.numpy.type(0)), bounds)
    numbers = np.append(finite, 4 * beyond).astype(np.float32)
    positive, negative = (stored(scalar.convert(each, dtype)) for each in (numbers, -numbers))
    nan = stored(scalar.convert(np.array([np.nan], np.float32), dtype))[0]
    return Rounding(bounds, positive, negative, int(nan))
