"""Element types as TVM sees them.

Integers below a byte are kept one per byte, as in NumPy's arrays; of 8-bit floats, and those below,
the bits are kept in ``uint8``.  TVM's own types for these pack several elements into a byte, or
are there on some processors only.
"""

from __future__ import annotations

from collections.abc import Mapping

from burnish.ir import Array, DType

_NAMES: Mapping[DType, str] = {
    DType.BOOL: "bool",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.U8: "uint8",
    DType.U16: "uint16",
    DType.U32: "uint32",
    DType.U64: "uint64",
    DType.F16: "float16",
    DType.BF16: "bfloat16",
    DType.F32: "float32",
    DType.F64: "float64",
}


def carrier(dtype: DType) -> DType | None:
    """The type that elements are kept in; None where there is none (complex numbers)."""
    if dtype in _NAMES:
        return dtype
    if dtype.bits > 8:
        return None
    return DType.I8 if dtype in (DType.I4, DType.I2) else DType.U8


def relax_dtype(dtype: DType) -> str | None:
    """What Relax calls the type that elements of ``dtype`` are kept in; None if there is none."""
    kept = carrier(dtype)
    return None if kept is None else _NAMES[kept]


def dlpack_type(dtype: DType) -> tuple[str, int]:
    """The code, as ``dlpack.h`` calls it, and bits of what elements of ``dtype`` are kept in.

    There must be such a type.
    """
    kept = carrier(dtype)
    assert kept is not None
    if kept is DType.BOOL:
        return "kDLBool", 8
    if kept is DType.BF16:
        return "kDLBfloat", 16
    if kept.is_float:
        return "kDLFloat", kept.bits
    return ("kDLInt" if kept.is_signed else "kDLUInt"), kept.bits


def stored(array: Array) -> Array:
    """An array as TVM takes it."""
    dtype = DType.from_numpy(array.dtype)
    kept = carrier(dtype)
    if kept is None or kept is dtype:
        return array
    return array.view(kept.numpy) if dtype.is_float else array.astype(kept.numpy)


def restored(array: Array, dtype: DType) -> Array:
    """What TVM gives, as an array of ``dtype``."""
    if carrier(dtype) is dtype:
        return array
    return array.view(dtype.numpy) if dtype.is_float else array.astype(dtype.numpy)
