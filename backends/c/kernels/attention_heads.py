"""Operands of attention as matrices, one per head."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import TensorType
from burnish.ir.dims import Dim
from burnish.ir.ops.attention import split_heads

from ..code import Index, index
from .buffer import Buffer
from .builder import KernelBuilder


@dataclass(frozen=True, slots=True)
class Heads:
    """An operand as matrices, one per head: [batch, heads, length, size]."""

    buffer: Buffer
    shape: tuple[Dim, Dim, Dim, Dim]

    @staticmethod
    def of(k: KernelBuilder, name: str, heads: int) -> Heads:
        buffer = k.operand(name)
        return Heads(buffer, split_heads(TensorType(buffer.shape, buffer.dtype), heads, name))

    @property
    def is_split(self) -> bool:
        return len(self.buffer.shape) == 4

    def indices(self, n: Index, head: Index, i: Index, c: Index) -> list[Index]:
        """Where feature ``c`` of position ``i`` stands."""
        if self.is_split:
            return [n, head, i, c]
        return [n, i, index(head) * self.shape[3] + c]

    def matrix(self, k: KernelBuilder, name: str, n: Index, head: Index) -> Buffer:
        """One head as [length, at least size]; its rows stand apart where heads interleave."""
        _, _, length, size = self.shape
        width = size if self.is_split else self.buffer.shape[2]
        start = self.buffer.offset(self.indices(n, head, 0, 0))
        return k.view(name, self.buffer, start, (length, width))
