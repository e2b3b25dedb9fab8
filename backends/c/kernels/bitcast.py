"""Reading bits as another element type."""

from __future__ import annotations

from burnish.ir import DType

from ..code import Expr
from .builder import KernelBuilder
from .family import KernelFamily, register


@register
class Bitcast(KernelFamily):
    """One ``memcpy``: C lets memory change its type that way, unlike through a pointer.

    Bools are made 0 or 1, and narrow elements lose the bits above them.
    """

    name = "bitcast"
    ops = ("tensor.bitcast",)

    def emit(self, k: KernelBuilder) -> None:
        x, y = k.operand("x"), k.result
        count = x.elements
        if y.dtype is not DType.BOOL and y.dtype.bits >= 8:
            size = f"(size_t){count} * sizeof *{x.pointer}"
            k.statement(f"memcpy({y.pointer}, {x.pointer}, {size})")
            return
        source, target = x.reshaped((count,)), y.reshaped((count,))
        with k.loop("i", count) as i:
            byte = source.at([i])
            if y.dtype is DType.BOOL:
                bits = Expr(f"(uint8_t)({byte} != 0)")
            else:
                bits = Expr(f"(uint8_t)({byte} & {(1 << y.dtype.bits) - 1})")
            k.statement(f"{target.at([i])} = {bits}")
