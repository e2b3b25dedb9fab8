"""Weights: one struct with a named, aligned member per distinct constant.

The struct is the one description of their layout: filled by initializers (``array``), by a
binary file the assembler includes (``blob``), or by memory handed over at run time (``load``).
Explicit padding and static assertions make sure that compiler and blob agree on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, Constant, DType

from ..names import Names
from .elements import storage_type
from .names import identifier

_PER_LINE = 8
_CHUNK = _PER_LINE * 4096


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the weights struct: its C name, byte offset, and the data."""

    name: str
    offset: int
    constant: Constant

    @property
    def elements(self) -> int:
        """Elements of the C array (at least 1: C has no empty arrays)."""
        return max(1, self.constant.size)

    @property
    def end(self) -> int:
        return self.offset + self.elements * self.constant.dtype.bytes


@dataclass(frozen=True)
class WeightLayout:
    """All members in order, and the size of the struct in bytes."""

    members: tuple[Member, ...]
    size: int
    alignment: int

    def member(self, constant: Constant) -> Member:
        """The member that holds ``constant`` (or one equal to it)."""
        return self._by_constant[constant]

    @property
    def _by_constant(self) -> dict[Constant, Member]:
        return {member.constant: member for member in self.members}


def lay_out(constants: Iterable[tuple[Constant, str]], alignment: int) -> WeightLayout:
    """Give each distinct constant a member; equal constants share one."""
    names = Names()
    members: dict[Constant, Member] = {}
    offset = 0
    for constant, name in constants:
        if constant in members:
            continue
        member = Member(names.take(identifier(name, "w")), offset, constant)
        members[constant] = member
        offset = -(-member.end // alignment) * alignment
    return WeightLayout(tuple(members.values()), offset, alignment)


def struct_text(layout: WeightLayout, prefix: str) -> str:
    """The struct's declaration."""
    lines = [f"struct {prefix}_weights {{"]
    position = 0
    for i, member in enumerate(layout.members):
        if member.offset > position:
            lines.append(f"    unsigned char pad_{i}[{member.offset - position}];")
        shape = ", ".join(map(str, member.constant.shape))
        c_type = storage_type(member.constant.dtype)
        lines.append(
            f"    {c_type} {member.name}[{member.elements}]; /* {member.constant.dtype}[{shape}] */"
        )
        position = member.end
    if layout.size > position:
        lines.append(f"    unsigned char pad_end[{layout.size - position}];")
    return "\n".join([*lines, "};", ""])


def assertions_text(layout: WeightLayout, prefix: str) -> str:
    """Declarations that do not compile where the struct is laid out otherwise."""
    struct = f"struct {prefix}_weights"
    lines = [
        f"typedef char {prefix}_check_{member.name}"
        f"[offsetof({struct}, {member.name}) == {member.offset} ? 1 : -1];"
        for member in layout.members
    ]
    lines.append(f"typedef char {prefix}_check_size[sizeof({struct}) == {layout.size} ? 1 : -1];")
    return "".join(f"{line}\n" for line in lines)


def blob(layout: WeightLayout) -> bytes:
    """The struct's bytes (little-endian)."""
    data = bytearray(layout.size)
    for member in layout.members:
        array = np.ascontiguousarray(member.constant.array)
        raw = (
            array.astype(array.dtype.newbyteorder("<"), copy=False)
            if array.dtype.isbuiltin
            else array
        )
        data[member.offset : member.offset + raw.nbytes] = raw.reshape(-1).view(np.uint8).tobytes()
    return bytes(data)


def initializer_text(layout: WeightLayout) -> str:
    """The struct's designated initializers."""
    parts: list[str] = []
    for member in layout.members:
        parts.append(f"    .{member.name} = {{\n")
        parts.extend(_rows(member.constant))
        parts.append("    },\n")
    return "".join(parts)


def _rows(constant: Constant) -> Iterator[str]:
    """Lines of literals; formatted a whole chunk at a time, for models of millions of weights."""
    flat = np.ascontiguousarray(constant.array).reshape(-1)
    if flat.size == 0:
        yield "        0,\n"
        return
    element, flat = _format(constant.dtype, flat)
    row = "        " + ", ".join([element] * _PER_LINE) + ",\n"
    for start in range(0, flat.size, _CHUNK):
        values = flat[start : start + _CHUNK].tolist()
        full, rest = divmod(len(values), _PER_LINE)
        pattern = row * full
        if rest:
            pattern += "        " + ", ".join([element] * rest) + ",\n"
        text = pattern % tuple(values)
        yield _repaired(text, constant.dtype, flat[start : start + _CHUNK])


def _format(dtype: DType, flat: Array) -> tuple[str, Array]:
    """The format of one element, and the array of what is to be formatted."""
    if dtype is DType.F32:
        return "%#.9gf", flat  # nine digits give back every f32
    if dtype is DType.F64:
        return "%#.17g", flat
    if dtype.is_float:
        bits = flat.view(np.uint16 if dtype.bytes == 2 else np.uint8)
        return f"0x%0{2 * dtype.bytes}x", bits
    if dtype is DType.BOOL:
        return "%d", flat.astype(np.uint8)
    if dtype.bits < 8:
        return "%d", flat.view(np.uint8)
    return ("%dU" if dtype in (DType.U32, DType.U64) else "%d"), flat


def _repaired(text: str, dtype: DType, values: Array) -> str:
    """``text`` with what C writes in another way: infinities, NaN, the smallest integers."""
    if dtype in (DType.F32, DType.F64):
        if np.isfinite(values).all():
            return text
        suffix = "f" if dtype is DType.F32 else ""
        infinity = "INFINITY" if dtype is DType.F32 else "HUGE_VAL"
        return text.replace(f"nan{suffix}", "NAN").replace(f"inf{suffix}", infinity)
    if dtype in (DType.I32, DType.I64):
        low = str(dtype.integer_range[0])
        return text.replace(low, f"INT{dtype.bits}_MIN")
    return text
