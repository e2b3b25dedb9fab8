"""Constants in files: NumPy's ``.npz``, and the format of TVM's own parameter files.

A parameter file is little-endian: a magic number and a reserved one (u64 each), the count and
the names (u64 length, bytes), the count again and the arrays.  An array is a magic number and a
reserved one (u64), the device (i32 type 1 for the CPU, i32 number), i32 rank, the element type
(u8 code, u8 bits, u16 lanes), i64 sizes, i64 bytes, and the data.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

from burnish.ir import Array, Constant
from burnish.ir.dtypes import Kind
from burnish.ir.errors import ParseError

_LIST_MAGIC = 0xF7E58D4F05049CB7
_ARRAY_MAGIC = 0xDD5E40F096B4A13F
_CPU = 1
_CODES = {Kind.INT: 0, Kind.UINT: 1, Kind.BOOL: 1, Kind.FLOAT: 2}
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that entries of the archive bear, so that equal parameters are equal bytes."""


def npz_bytes(constants: Mapping[str, Constant]) -> bytes:
    """The constants as an ``.npz`` archive, uncompressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in constants.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, data.array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), entry.getvalue())
    return buffer.getvalue()


def parameter_bytes(constants: Mapping[str, Constant]) -> bytes:
    """The constants as a parameter file of TVM."""
    count = struct.pack("<Q", len(constants))
    pieces = [struct.pack("<QQ", _LIST_MAGIC, 0), count]
    for name in constants:
        encoded = name.encode()
        pieces += [struct.pack("<Q", len(encoded)), encoded]
    pieces.append(count)
    for data in constants.values():
        pieces += _array_pieces(data)
    return b"".join(pieces)


def _array_pieces(data: Constant) -> list[bytes]:
    dtype, shape = data.dtype, data.shape
    head = struct.pack("<QQiii", _ARRAY_MAGIC, 0, _CPU, 0, len(shape))
    kind = struct.pack("<BBH", _CODES[dtype.kind], dtype.bits, 1)
    sizes = struct.pack(f"<{len(shape) + 1}q", *shape, data.nbytes)
    little = data.array.astype(dtype.numpy.newbyteorder("<"), copy=False)
    return [head, kind, sizes, little.tobytes()]


def read_parameters(content: bytes) -> dict[str, Array]:
    """The arrays in a parameter file of TVM.

    Raises:
        ParseError: it is none.
    """
    reader = _Reader(content)
    if reader.numbers("QQ")[0] != _LIST_MAGIC:
        raise ParseError("the file holds no parameters of TVM")
    names = []
    for _ in range(reader.numbers("Q")[0]):
        names.append(reader.take(reader.numbers("Q")[0]).decode())
    if reader.numbers("Q")[0] != len(names):
        raise ParseError("the parameter file does not have one array per name")
    return {name: reader.array() for name in names}


class _Reader:
    """Numbers and bytes, one after another."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._content[self._at : self._at + count]
        if len(piece) != count:
            raise ParseError("the parameter file ends too early")
        self._at += count
        return piece

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))

    def array(self) -> Array:
        magic, _, device, _, rank, code, bits, lanes = self.numbers("QQiiiBBH")
        if magic != _ARRAY_MAGIC or device != _CPU or lanes != 1 or code not in (0, 1, 2):
            raise ParseError("the parameter file holds an array of another format")
        *shape, size = self.numbers(f"{rank + 1}q")
        dtype = np.dtype(bool if bits == 1 else f"<{'iuf'[code]}{bits // 8}")
        return np.frombuffer(self.take(size), dtype).reshape(shape)
