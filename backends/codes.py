"""Floats of at most 8 bits as codes: tables that read them, and that round to them.

For languages that do not compute with such types, but look things up in tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from burnish.ir import Array, DType, scalar


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
    half = decoding(dtype)[: 1 << max(1, dtype.bits - dtype.is_signed)].astype(np.float64)
    finite = np.unique(half[np.isfinite(half)])
    beyond = 2 * finite[-1] - finite[-2]
    steps = np.append(finite, beyond)
    bounds = ((steps[1:] + steps[:-1]) / 2).astype(source.numpy)
    odd = np.arange(len(bounds)) % 2 == 1
    bounds = np.where(odd, np.nextafter(bounds, source.numpy.type(0)), bounds)
    with np.errstate(all="ignore"):  # far beyond the largest number there may be none
        numbers = np.append(finite, 4 * beyond).astype(np.float32)
        positive, negative, nan = (
            scalar.convert(each, dtype).view(np.uint8)
            for each in (numbers, -numbers, np.array([np.nan], np.float32))
        )
    return Rounding(bounds, positive, negative, int(nan[0]))
