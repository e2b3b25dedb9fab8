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
    """How numbers of type ``source`` are rounded, as the conversion does it.

    Between two neighbours lies a bound, the last number that becomes the lower one, which is found
    by bisection of bits: neither ties nor what follows the largest number needs a rule for each
    type.
    """
    half = decoding(dtype)[: 1 << max(1, dtype.bits - dtype.is_signed)]
    finite = np.unique([0, *half[np.isfinite(half)]]).astype(source.numpy)  # not all have 0
    steps = np.append(finite, source.numpy.type(np.inf))
    bits = np.dtype(f"u{steps.itemsize}")
    low, high = (end.view(bits) for end in (steps[:-1], steps[1:]))
    with np.errstate(all="ignore"):  # far beyond the largest number there may be none
        own = _codes(finite, dtype)
        while (high - low > 1).any():
            middle = low + (high - low) // 2
            stays = _codes(middle.view(source.numpy), dtype) == own
            low, high = np.where(stays, middle, low), np.where(stays, high, middle)
        positive, negative = (_codes(sign * steps, dtype) for sign in (1, -1))
        (nan,) = _codes(np.array([np.nan], source.numpy), dtype)
    return Rounding(low.view(source.numpy), positive, negative, int(nan))


def _codes(array: Array, dtype: DType) -> Array:
    return scalar.convert(array, dtype).view(np.uint8)
