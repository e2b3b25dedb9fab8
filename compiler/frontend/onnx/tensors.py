"""ONNX tensors: sizes checked when the model is loaded, data decoded when it is asked for.

Every element type of ONNX is one row of :data:`ELEMENT_TYPES`; every layout of the payload (a
typed field, ``raw_data``, a span of the model file, external data) ends in :class:`Tensor`.
Where the layout permits, ``Tensor.array`` is a view of the file, not a copy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from burnish.ir.dtypes import DType
from burnish.ir.errors import Error, ModelError, UnsupportedError, clip

from .external_data import ExternalFiles, parse_reference
from .text import text_of
from .wire import payload_span

Array = npt.NDArray[Any]

MAX_ELEMENTS = 1 << 40
"""Tensors of this many elements and more are refused, whatever the file claims."""

MAX_RANK = 32
"""As many axes as every supported NumPy can hold."""

MAX_DENSIFIED_BYTES = 1 << 30
"""A sparse tensor is stored densely up to this size: a few bytes must not become terabytes."""


class ElementType(NamedTuple):
    """One row of ``TensorProto.DataType``.

    ``dtype`` is None for what burnish has no type for; ``field`` is the typed field that holds
    elements when there is no raw data; ``per_element`` counts entries of it per element.
    """

    name: str
    dtype: DType | None
    field: str
    per_element: int = 1


ELEMENT_TYPES: dict[int, ElementType] = {
    1: ElementType("FLOAT", DType.F32, "float_data"),
    2: ElementType("UINT8", DType.U8, "int32_data"),
    3: ElementType("INT8", DType.I8, "int32_data"),
    4: ElementType("UINT16", DType.U16, "int32_data"),
    5: ElementType("INT16", DType.I16, "int32_data"),
    6: ElementType("INT32", DType.I32, "int32_data"),
    7: ElementType("INT64", DType.I64, "int64_data"),
    8: ElementType("STRING", None, "string_data"),
    9: ElementType("BOOL", DType.BOOL, "int32_data"),
    10: ElementType("FLOAT16", DType.F16, "int32_data"),
    11: ElementType("DOUBLE", DType.F64, "double_data"),
    12: ElementType("UINT32", DType.U32, "uint64_data"),
    13: ElementType("UINT64", DType.U64, "uint64_data"),
    14: ElementType("COMPLEX64", DType.C64, "float_data", 2),
    15: ElementType("COMPLEX128", DType.C128, "double_data", 2),
    16: ElementType("BFLOAT16", DType.BF16, "int32_data"),
    17: ElementType("FLOAT8E4M3FN", DType.F8E4M3FN, "int32_data"),
    18: ElementType("FLOAT8E4M3FNUZ", DType.F8E4M3FNUZ, "int32_data"),
    19: ElementType("FLOAT8E5M2", DType.F8E5M2, "int32_data"),
    20: ElementType("FLOAT8E5M2FNUZ", DType.F8E5M2FNUZ, "int32_data"),
    21: ElementType("UINT4", DType.U4, "int32_data"),
    22: ElementType("INT4", DType.I4, "int32_data"),
    23: ElementType("FLOAT4E2M1", DType.F4E2M1, "int32_data"),
    24: ElementType("FLOAT8E8M0", DType.F8E8M0, "int32_data"),
    25: ElementType("UINT2", DType.U2, "int32_data"),
    26: ElementType("INT2", DType.I2, "int32_data"),
    27: ElementType("FLOAT6E2M3", None, "int32_data"),
    28: ElementType("FLOAT6E3M2", None, "int32_data"),
}

ELEMENT_CODES: dict[DType, int] = {
    row.dtype: code for code, row in ELEMENT_TYPES.items() if row.dtype is not None
}
_STRING = 8
_FIELD_DTYPES: dict[str, Any] = {
    "float_data": np.float32,
    "double_data": np.float64,
    "int32_data": np.int32,
    "int64_data": np.int64,
    "uint64_data": np.uint64,
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """A constant tensor of the model; its data is decoded on first use.

    Attributes:
        name: as in the model; may be empty or hostile.
        element: ONNX name of the element type, such as ``FLOAT`` or ``STRING``.
        dtype: the element type; None for strings, whose array holds ``str`` objects.
        shape: dimensions, checked to be in range.
    """

    name: str
    element: str
    dtype: DType | None
    shape: tuple[int, ...]
    _decode: Callable[[], Array]

    @cached_property
    def array(self) -> Array:
        """The data, read-only, shaped; sub-byte elements lie one per byte.

        Raises:
            ModelError: strings that are no UTF-8, or sparse indices out of range.
        """
        array = self._decode().reshape(self.shape)
        array.flags.writeable = False
        return array

    @property
    def elements(self) -> int:
        """Number of elements."""
        return element_count(self.shape)

    @staticmethod
    def of(array: Array, name: str = "") -> Tensor:
        """A tensor around an array (of a dtype burnish knows, or of ``str`` objects)."""
        if array.dtype == object:
            return Tensor(name, "STRING", None, array.shape, lambda: array)
        dtype = DType.from_numpy(array.dtype)
        element = ELEMENT_TYPES[ELEMENT_CODES[dtype]].name
        return Tensor(name, element, dtype, array.shape, lambda: array)


@dataclass(frozen=True)
class Payloads:
    """Where the data of a model's tensors may lie: the model's own bytes, and files beside it."""

    buffer: memoryview
    files: ExternalFiles


def element_count(shape: tuple[int, ...]) -> int:
    """Product of the dimensions."""
    count = 1
    for dim in shape:
        count *= dim
    return count


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse shapes that no array can have.

    Raises:
        ModelError: negative dimensions, too many axes, or absurdly many elements.
    """
    if len(shape) > MAX_RANK:
        raise ModelError(f"it has {len(shape)} axes; burnish reads tensors of up to {MAX_RANK}")
    extent = 1
    for dim in shape:
        if dim < 0:
            raise ModelError(f"it has the negative dimension {dim}")
        extent *= max(dim, 1)
    if extent >= MAX_ELEMENTS:
        raise ModelError(f"its shape {list(shape)} means {extent} elements; burnish refuses 2^40")


def read_tensor(proto: onnx.TensorProto, payloads: Payloads) -> Tensor:
    """Check the sizes of ``proto`` and return it undecoded.

    Raises:
        ModelError: element type, shape and payload do not fit together; the error names the
            tensor.
        ExternalDataError: its data lies in a file that may not be opened, or does not fit.
        UnsupportedError: an element type that burnish has no type for.
    """
    name = text_of(proto.name)
    try:
        return _read_tensor(name, proto, payloads)
    except Error as error:
        raise error.located(f'tensor "{clip(name)}"') from None


def _read_tensor(name: str, proto: onnx.TensorProto, payloads: Payloads) -> Tensor:
    row = element_type(proto.data_type)
    shape = tuple(proto.dims)
    check_shape(shape)
    count = element_count(shape)
    if proto.data_type == _STRING:
        _expect("strings", len(proto.string_data), count)
        return Tensor(name, row.name, None, shape, partial(_decode_strings, proto))
    if row.dtype is None:
        raise UnsupportedError(f"burnish has no element type for {row.name}")
    size = (count * _stored_bits(row.dtype) + 7) // 8
    decode = _payload(proto, row, size, payloads)
    return Tensor(name, row.name, row.dtype, shape, partial(decode, row.dtype, count))


def element_type(code: int) -> ElementType:
    """The row of that ``TensorProto.DataType``.

    Raises:
        ModelError: there is no such element type.
    """
    row = ELEMENT_TYPES.get(code)
    if row is None:
        what = "it says no element type" if code == 0 else f"{code} is no element type of ONNX"
        raise ModelError(what)
    return row


def _stored_bits(dtype: DType) -> int:
    """Bits per element in raw data: packed below a byte, but a bool takes a whole one."""
    return dtype.bits if dtype.bits in (2, 4) else 8 * dtype.bytes


def _payload(
    proto: onnx.TensorProto, row: ElementType, size: int, payloads: Payloads
) -> Callable[[DType, int], Array]:
    """How to decode the tensor, with the payload's size checked against ``size`` bytes."""
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        entries = [(text_of(e.key), text_of(e.value)) for e in proto.external_data]
        view = payloads.files.view(parse_reference(entries), size)
        return partial(_decode_raw, lambda: view)
    span = payload_span(proto)
    if span is not None:
        begin, end = span
        _expect("bytes", end - begin, size)
        view = payloads.buffer[begin:end]
        _expect("bytes", len(view), size)
        return partial(_decode_raw, lambda: view)
    if proto.HasField("segment"):
        raise UnsupportedError("it is one segment of a tensor that is split over several")
    if proto.HasField("raw_data"):
        _expect("bytes", len(proto.raw_data), size)
        return partial(_decode_raw, lambda: proto.raw_data)
    dtype = row.dtype
    packed = dtype is not None and dtype.bits in (2, 4)
    entries_needed = size if packed else _entries(row, size)
    _expect("values", len(getattr(proto, row.field)), entries_needed)
    return partial(_decode_field, proto, row)


def _entries(row: ElementType, size: int) -> int:
    """Entries of the typed field for ``size`` bytes of elements."""
    assert row.dtype is not None
    return size // row.dtype.bytes * row.per_element


def _expect(what: str, found: int, needed: int) -> None:
    if found != needed:
        raise ModelError(
            f"it holds {found} {what}, its shape and element type need {needed}",
            help="the model file is damaged, or was written wrongly; export it again",
        )


def _decode_raw(data: Callable[[], bytes | memoryview], dtype: DType, count: int) -> Array:
    """Elements as laid out in ``raw_data``: little-endian, sub-byte types packed."""
    if dtype.bits in (2, 4):
        return _unpack(np.frombuffer(data(), np.uint8), dtype, count)
    if dtype is DType.BOOL:
        return np.asarray(np.frombuffer(data(), np.uint8) != 0)
    array = np.frombuffer(data(), dtype.numpy)
    return array.byteswap() if sys.byteorder == "big" else array


def _decode_field(proto: onnx.TensorProto, row: ElementType, dtype: DType, count: int) -> Array:
    """Elements from a typed field, which is wider than the narrow types stored in it."""
    field = getattr(proto, row.field)
    values: Array = np.fromiter(field, _FIELD_DTYPES[row.field], len(field))
    if dtype is DType.BOOL:
        return np.asarray(values != 0)
    if dtype.bits in (2, 4):
        return _unpack(values.astype(np.uint8), dtype, count)
    if dtype.is_float and row.field == "int32_data":
        bits = np.uint16 if dtype.bits == 16 else np.uint8
        return values.astype(bits).view(dtype.numpy)
    return values.view(dtype.numpy) if row.per_element > 1 else values.astype(dtype.numpy)


def _unpack(packed: Array, dtype: DType, count: int) -> Array:
    """One element per byte from 2 or 4 packed ones, the first in the lowest bits."""
    shifts = np.arange(0, 8, dtype.bits, dtype=np.uint8)
    mask = np.uint8((1 << dtype.bits) - 1)
    elements: Array = ((packed[:, None] >> shifts) & mask).reshape(-1)[:count]
    if dtype.is_float:
        return elements.view(dtype.numpy)
    if dtype.is_signed:
        unused = np.uint8(8 - dtype.bits)
        elements = (elements << unused).view(np.int8) >> unused.view(np.int8)
    return elements.astype(dtype.numpy)


def _decode_strings(proto: onnx.TensorProto) -> Array:
    array = np.empty(len(proto.string_data), dtype=object)
    try:
        array[:] = [text.decode("utf-8") for text in proto.string_data]
    except UnicodeDecodeError:
        raise ModelError(
            "it holds a string that is no UTF-8", at=f'tensor "{clip(text_of(proto.name))}"'
        ) from None
    return array


def read_sparse_tensor(proto: onnx.SparseTensorProto, payloads: Payloads) -> Tensor:
    """A sparse tensor as the dense one it stands for; filled in on first use.

    Raises:
        ModelError: values, indices and shape do not fit together.
        UnsupportedError: the dense tensor would be larger than :data:`MAX_DENSIFIED_BYTES`.
    """
    name = text_of(proto.values.name)
    try:
        return _read_sparse_tensor(name, proto, payloads)
    except Error as error:
        raise error.located(f'sparse tensor "{clip(name)}"') from None


def _read_sparse_tensor(name: str, proto: onnx.SparseTensorProto, payloads: Payloads) -> Tensor:
    shape = tuple(proto.dims)
    check_shape(shape)
    values = read_tensor(proto.values, payloads)
    indices = read_tensor(proto.indices, payloads)
    if values.dtype is None or len(values.shape) != 1:
        raise ModelError(f"its values are of type {values.element} and rank {len(values.shape)}")
    stored = values.shape[0]
    if indices.dtype is not DType.I64 or indices.shape not in ((stored,), (stored, len(shape))):
        raise ModelError(
            f"its indices are {indices.element} of shape {list(indices.shape)}; "
            f"{stored} values need INT64 of shape [{stored}] or [{stored}, {len(shape)}]"
        )
    dense_bytes = element_count(shape) * values.dtype.bytes
    if dense_bytes > MAX_DENSIFIED_BYTES:
        raise UnsupportedError(
            f"stored densely it would take {dense_bytes} bytes; burnish stores sparse tensors "
            f"densely, up to {MAX_DENSIFIED_BYTES}"
        )
    decode = partial(_densify, name, values, indices, shape)
    return Tensor(name, values.element, values.dtype, shape, decode)


def _densify(name: str, values: Tensor, indices: Tensor, shape: tuple[int, ...]) -> Array:
    place = f'sparse tensor "{clip(name)}"'
    at = indices.array
    if at.ndim == 2:
        if np.any(at < 0) or np.any(at >= np.array(shape, np.int64)):
            raise ModelError("an index lies outside its shape", at=place)
        strides = [element_count(shape[axis + 1 :]) for axis in range(len(shape))]
        at = at @ np.array(strides, np.int64)
    dense = np.zeros(element_count(shape), values.array.dtype)
    if at.size and (at.min() < 0 or at.max() >= dense.size):
        raise ModelError("an index lies outside its shape", at=place)
    if np.any(at[1:] <= at[:-1]):
        raise ModelError("its indices are not in ascending order", at=place)
    dense[at] = values.array
    return dense
