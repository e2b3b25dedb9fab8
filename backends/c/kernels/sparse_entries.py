"""The rows of weights that a sparse product stores: checked once, and walked tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Op, TensorType

from ..code import Expr, Index, index
from .builder import KernelBuilder


@dataclass(frozen=True)
class SparseTypes:
    """What the kernel of a sparse product depends on: the types of ``nn.sparse_product``."""

    x: TensorType
    values: TensorType
    result: TensorType
    axis: int

    @staticmethod
    def of(op: Op) -> SparseTypes:
        """Those of an op."""
        x, values = (value.type for value in op.inputs[:2])
        return SparseTypes(x, values, op.result.type, op.attributes.axis)

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return self.result.static_shape[self.axis]


def require_valid(k: KernelBuilder) -> None:
    """Fail unless rows are of inputs that there are, and tiles follow one another."""
    inputs, starts = k.operand("inputs"), k.operand("starts")
    (entries,), (count,) = inputs.shape, starts.shape
    size = k.operand("x").shape[k.attributes.axis]
    bad = k.index_variable("bad", 0)
    with k.loop("e", entries) as e:
        place = inputs.at([e])
        k.statement(f"{bad} |= {place} < 0 || {place} >= {size}")
    with k.loop("t", index(count) - 1) as t:
        k.statement(f"{bad} |= {starts.at([t])} > {starts.at([t + 1])}")
    first, last = starts.at([0]), starts.at([index(count) - 1])
    k.statement(f"{bad} |= {first} != 0 || {last} != {entries}")
    k.fail_when(Expr(f"{bad}"))


def entries_of(k: KernelBuilder, tile: Index) -> tuple[Expr, Expr]:
    """The first row of ``values`` for a tile, and the end."""
    starts = k.operand("starts")
    first = k.let_index("first", Expr(starts.at([tile]).text))
    return first, k.let_index("end", Expr(starts.at([index(tile) + 1]).text))
