"""Pooling in blocks of channels."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import DType, Op

from ..code import Expr, binary
from ..isa import Isa
from .blocked import blocked
from .blocked_windows import BlockedWindows, WindowShape, WindowWriter
from .family import LaidOut, register, table_refusal
from .pool import divisors
from .strided import static


class _BlockedPool(BlockedWindows):
    def kernel(self, op: Op) -> tuple[int, ...]:
        return static(op.attributes.kernel)

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        shape = self.shape(op, isa)
        if shape is None:
            return ()
        layout = blocked(op.result.type.rank, isa.lanes)
        return [LaidOut((layout,), (layout,), shape.cycles(isa, self.held))]


@register
class BlockedMaxPool(_BlockedPool):
    """The largest element of each window; NaN propagates."""

    name = "blocked_max_pool"
    ops = ("nn.max_pool",)

    def start(self, w: WindowWriter, block: Expr) -> Expr:
        return w.vectors.splat(Expr("-INFINITY"))

    def add(self, w: WindowWriter, total: Expr, x: Expr, tap: int, b: int) -> None:
        larger = binary("|", binary(">", x, total), binary("!=", x, x))
        w.k.assign(total, w.vectors.choose(larger, x, total))


@register
class BlockedAveragePool(_BlockedPool):
    """The mean of each window; divisors that vary along an axis come from a table."""

    name = "blocked_average_pool"
    ops = ("nn.average_pool",)

    def shape(self, op: Op, isa: Isa) -> WindowShape | None:
        shape = super().shape(op, isa)
        return None if table_refusal(max(static(op.result.type.shape[2:]))) else shape

    def start(self, w: WindowWriter, block: Expr) -> Expr:
        return w.vectors.splat(Expr("0.0f"))

    def add(self, w: WindowWriter, total: Expr, x: Expr, tap: int, b: int) -> None:
        w.k.assign(total, binary("+", total, x))

    def finish(self, w: WindowWriter, total: Expr, windows: Sequence[Expr]) -> Expr:
        k = w.k
        constant, counts = divisors(k, DType.F32)
        factors = [k.literal(constant, DType.F32)] if constant != 1 else []
        factors += [count(at) for count, at in zip(counts, windows) if count is not None]
        if not factors:
            return total
        size = factors[0]
        for factor in factors[1:]:
            size = binary("*", size, factor)
        return binary("/", total, w.vectors.splat(size))
