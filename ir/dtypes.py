"""Element types.

One table describes every element type: its name in IR text, kind, width, and the
NumPy dtype that holds it.  Sub-byte types are *stored* one element per byte in
arrays (NumPy has no packed form); backends pack them as they like.
"""

from __future__ import annotations

import enum
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np


class Kind(enum.Enum):
    """What arithmetic an element type has."""

    FLOAT = "float"
    INT = "int"
    UINT = "uint"
    BOOL = "bool"
    COMPLEX = "complex"


class DType(enum.Enum):
    """An element type; the value is ``(text name, kind, bits, NumPy dtype)``."""

    __hash__ = object.__hash__  # members are singletons; enum's own hash runs in Python

    F64 = ("f64", Kind.FLOAT, 64, np.dtype(np.float64))
    F32 = ("f32", Kind.FLOAT, 32, np.dtype(np.float32))
    F16 = ("f16", Kind.FLOAT, 16, np.dtype(np.float16))
    BF16 = ("bf16", Kind.FLOAT, 16, np.dtype(ml_dtypes.bfloat16))
    F8E4M3FN = ("f8e4m3fn", Kind.FLOAT, 8, np.dtype(ml_dtypes.float8_e4m3fn))
    F8E4M3FNUZ = ("f8e4m3fnuz", Kind.FLOAT, 8, np.dtype(ml_dtypes.float8_e4m3fnuz))
    F8E5M2 = ("f8e5m2", Kind.FLOAT, 8, np.dtype(ml_dtypes.float8_e5m2))
    F8E5M2FNUZ = ("f8e5m2fnuz", Kind.FLOAT, 8, np.dtype(ml_dtypes.float8_e5m2fnuz))
    F8E8M0 = ("f8e8m0", Kind.FLOAT, 8, np.dtype(ml_dtypes.float8_e8m0fnu))
    F4E2M1 = ("f4e2m1", Kind.FLOAT, 4, np.dtype(ml_dtypes.float4_e2m1fn))
    I64 = ("i64", Kind.INT, 64, np.dtype(np.int64))
    I32 = ("i32", Kind.INT, 32, np.dtype(np.int32))
    I16 = ("i16", Kind.INT, 16, np.dtype(np.int16))
    I8 = ("i8", Kind.INT, 8, np.dtype(np.int8))
    I4 = ("i4", Kind.INT, 4, np.dtype(ml_dtypes.int4))
    I2 = ("i2", Kind.INT, 2, np.dtype(ml_dtypes.int2))
    U64 = ("u64", Kind.UINT, 64, np.dtype(np.uint64))
    U32 = ("u32", Kind.UINT, 32, np.dtype(np.uint32))
    U16 = ("u16", Kind.UINT, 16, np.dtype(np.uint16))
    U8 = ("u8", Kind.UINT, 8, np.dtype(np.uint8))
    U4 = ("u4", Kind.UINT, 4, np.dtype(ml_dtypes.uint4))
    U2 = ("u2", Kind.UINT, 2, np.dtype(ml_dtypes.uint2))
    BOOL = ("bool", Kind.BOOL, 1, np.dtype(np.bool_))
    C64 = ("c64", Kind.COMPLEX, 64, np.dtype(np.complex64))
    C128 = ("c128", Kind.COMPLEX, 128, np.dtype(np.complex128))

    @cached_property
    def text(self) -> str:
        """Name in IR text."""
        return str(self.value[0])

    @cached_property
    def kind(self) -> Kind:
        kind = self.value[1]
        assert isinstance(kind, Kind)
        return kind

    @cached_property
    def bits(self) -> int:
        """Significant bits of one element (1 for bool, 4 for i4)."""
        return int(self.value[2])

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.value[3]
        return dtype

    @cached_property
    def bytes(self) -> int:
        """Bytes one element takes in an array (at least 1)."""
        return int(self.numpy.itemsize)

    @property
    def is_float(self) -> bool:
        return self.kind is Kind.FLOAT

    @property
    def is_integer(self) -> bool:
        """Signed or unsigned integer; bool is not one."""
        return self.kind in (Kind.INT, Kind.UINT)

    @property
    def is_signed(self) -> bool:
        """Whether there are negative numbers; f8e8m0 has powers of two only."""
        return self.kind in (Kind.INT, Kind.FLOAT, Kind.COMPLEX) and self is not DType.F8E8M0

    @property
    def integer_range(self) -> tuple[int, int]:
        """Smallest and largest value of an integer (or bool) type.

        Raises:
            ValueError: for floating and complex types.
        """
        if self.kind is Kind.BOOL:
            return 0, 1
        if self.kind is Kind.UINT:
            return 0, (1 << self.bits) - 1
        if self.kind is Kind.INT:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        raise ValueError(f"{self.text} is not an integer type")

    @property
    def compute(self) -> DType:
        """The type arithmetic happens in: floats narrower than f32 compute in f32."""
        return DType.F32 if self.is_float and self.bits < 32 else self

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"DType.{self.name}"

    @staticmethod
    def parse(text: str) -> DType:
        """The type of that text name.

        Raises:
            KeyError: unknown name.
        """
        return BY_TEXT[text]

    @staticmethod
    def from_numpy(dtype: np.dtype[Any] | type) -> DType:
        """The element type that a NumPy dtype holds.

        Raises:
            KeyError: no element type is held by it (strings, objects, …).
        """
        return _BY_NUMPY[np.dtype(dtype)]


BY_TEXT: dict[str, DType] = {d.text: d for d in DType}
_BY_NUMPY: dict[np.dtype[Any], DType] = {d.numpy: d for d in DType}
