"""Parse a serialized ``ModelProto`` without copying its weights.

Protobuf copies every bytes field while parsing and again on each access, which a model of a
gigabyte cannot afford.  Before parsing, large ``raw_data`` payloads are therefore cut out of the
message and replaced by where they lie: the field ``segment``, which ONNX reserves and nobody
writes, holds ``begin`` and ``end`` as ``-1 - offset`` into the buffer, so that it cannot be
mistaken for a segment of the file (those are not negative).  The walk skips every
submessage too small to hold a large payload: its cost is the number of nodes, not of bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import onnx
from google.protobuf.message import DecodeError

from burnish.ir.errors import ModelError

LARGE_PAYLOAD = 4096
"""Payloads below this many bytes stay in the message."""

MAX_NESTING = 100
"""Depth of nested messages, as protobuf itself limits it."""

_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED_SIZES = {1: 8, 5: 4}
"""Bytes of the wire types of fixed size."""


class _Message(NamedTuple):
    """Which fields of a message type to follow, by number; ``payload`` is its ``raw_data``."""

    children: dict[int, _Message]
    payload: int
    segment: int


class _Malformed(Exception):
    """The bytes are no well-formed protobuf message."""


def parse_model(buffer: memoryview) -> onnx.ModelProto:
    """Parse ``buffer``; large payloads stay in it (see :func:`payload_span`).

    Raises:
        ModelError: the bytes are no protobuf message of that type.
    """
    cutter = _Cutter(buffer)
    model = onnx.ModelProto()
    try:
        cutter.cut(0, len(buffer), _MODEL)
        model.ParseFromString(b"".join(cutter.pieces))
    except (_Malformed, DecodeError, ValueError) as error:
        raise ModelError(
            f"the file is truncated or damaged: {error}",
            help="the download or export may have failed; repeat it",
        ) from None
    return model


def payload_span(tensor: onnx.TensorProto) -> tuple[int, int] | None:
    """Begin and end of the payload that :func:`parse_model` cut out of ``tensor``, if it did."""
    if not tensor.HasField("segment") or tensor.segment.begin >= 0:
        return None
    return -1 - tensor.segment.begin, -1 - tensor.segment.end


def _followed(descriptor: Any, known: dict[str, _Message]) -> _Message:
    """The fields through which a ``TensorProto`` can be reached, read off the descriptors."""
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    is_tensor = descriptor.full_name == onnx.TensorProto.DESCRIPTOR.full_name
    payload = descriptor.fields_by_name["raw_data"].number if is_tensor else 0
    segment = descriptor.fields_by_name["segment"].number if is_tensor else 0
    message = known[descriptor.full_name] = _Message({}, payload, segment)
    for field in descriptor.fields:
        if field.message_type is not None and not is_tensor:
            message.children[field.number] = _followed(field.message_type, known)
    return message


_MODEL = _followed(onnx.ModelProto.DESCRIPTOR, {})


class _Cutter:
    """Collects ``pieces``: the message in ``buffer`` without its large payloads."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self.pieces: list[bytes | memoryview] = []

    def cut(self, begin: int, end: int, message: _Message, depth: int = MAX_NESTING) -> int:
        """Append the message in ``[begin, end)`` of the buffer; return its new length."""
        if depth == 0:
            raise _Malformed(f"messages nest deeper than {MAX_NESTING}")
        length = 0
        kept_from = position = begin
        seen_payload = False
        while position < end:
            field_begin = position
            tag, content, position = self._field(position, end)
            number = tag >> 3
            is_payload = number == message.payload
            if (
                tag & 7 != _LENGTH_DELIMITED
                or position - content < LARGE_PAYLOAD
                or not (is_payload or number in message.children)
            ):
                continue
            self.pieces.append(self._buffer[kept_from:field_begin])
            length += field_begin - kept_from
            kept_from = position
            if is_payload:
                if seen_payload:
                    raise _Malformed(f"the tensor at byte {begin} has its data twice")
                seen_payload = True
                self.pieces.append(_segment(message.segment, content, position))
                length += len(self.pieces[-1])
            else:
                place = len(self.pieces)
                self.pieces.append(b"")
                inner = self.cut(content, position, message.children[number], depth - 1)
                self.pieces[place] = _varint(tag) + _varint(inner)
                length += len(self.pieces[place]) + inner
        self.pieces.append(self._buffer[kept_from:end])
        return length + end - kept_from

    def _field(self, position: int, end: int) -> tuple[int, int, int]:
        """Tag of the field at ``position``, where its content begins, and where it ends."""
        field_begin = position
        tag, position = _read_varint(self._buffer, position, end)
        kind = tag & 7
        content = position
        if kind == _LENGTH_DELIMITED:
            size, content = _read_varint(self._buffer, position, end)
            position = content + size
        elif kind == _VARINT:
            _, position = _read_varint(self._buffer, position, end)
        elif kind in _FIXED_SIZES:
            position += _FIXED_SIZES[kind]
        else:
            raise _Malformed(f"byte {field_begin} starts no field that ONNX knows")
        if position > end:
            raise _Malformed(
                f"the field at byte {field_begin} is {position - content} bytes long, "
                f"{end - content} are left"
            )
        return tag, content, position


def _read_varint(buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    """Value and following position of the variable-length integer at ``position``."""
    value = shift = 0
    while position < end:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise _Malformed(f"a number at byte {position} is longer than 64 bits")
    raise _Malformed(f"it ends within a number, at byte {end}")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _segment(number: int, begin: int, end: int) -> bytes:
    """The field ``segment`` of a tensor whose payload lies in ``[begin, end)`` of the buffer."""
    span = onnx.TensorProto.Segment(begin=-1 - begin, end=-1 - end)
    segment: bytes = span.SerializeToString()
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(segment)) + segment
