"""Element types that Relay lacks, kept in integers.

Integers below a byte are one per byte, as in NumPy's arrays.  Of floats that Relay does not compute
with on every CPU, the bits are kept; arithmetic happens in ``float32`` anyway.
"""

from __future__ import annotations

from collections.abc import Mapping

from burnish.ir import Array, DType

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
    DType.F8E8M0: DType.U8,
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
