"""Matrix products."""

from __future__ import annotations

from burnish.ir import Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .conv import less_zero_point
from .registry import converter


@converter("MatMul")
def _matmul(node: NodeContext) -> Value:
    return multiply(node, node.input(0), node.input(1))


def multiply(node: NodeContext, a: Value, b: Value) -> Value:
    """``a @ b`` as NumPy has it: a vector is a row on the left, a column on the right."""
    if not (a.type.rank and b.type.rank):
        raise ModelError(f"cannot multiply matrices of types {a.type} and {b.type}")
    left = node.reshape(a, (1, *a.type.shape)) if a.type.rank == 1 else a
    right = node.reshape(b, (*b.type.shape, 1)) if b.type.rank == 1 else b
    y = node.op("nn.matmul", left, right)
    shape = list(y.type.shape)
    if b.type.rank == 1:
        del shape[-1]
    if a.type.rank == 1:
        del shape[-2 if b.type.rank > 1 else -1]
    return node.reshape(y, shape)


@converter("MatMulInteger")
def _integer_matmul(node: NodeContext) -> Value:
    """Exact integer arithmetic: zero points (per row of a, per column of b) come off first."""
    a, b = node.input(0), node.input(1)
    rows = None if a.type.rank < 2 else a.type.rank - 2
    columns = None if b.type.rank < 2 else b.type.rank - 1
    return multiply(
        node,
        less_zero_point(node, a, node.optional(2), rows),
        less_zero_point(node, b, node.optional(3), columns),
    )


@converter("Gemm")
def _gemm(node: NodeContext) -> Value:
    a, b, c = node.input(0), node.input(1), node.optional(2)
    dtype = a.type.dtype
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if a.type.rank != 2 or b.type.rank != 2:
        raise ModelError(f"operands {a.type} and {b.type} are not matrices")
    transposed = {"transpose_a": node.flag("transA"), "transpose_b": node.flag("transB")}
    if c is not None and beta == 0.0:
        c = None
    if c is not None and beta != 1.0:
        c = node.op("math.mul", c, node.scalar(beta, dtype))
    if alpha == 1.0:
        return node.op("nn.matmul", a, b, c, **transposed)
    product = node.op("nn.matmul", a, b, **transposed)
    scaled = node.op("math.mul", product, node.scalar(alpha, dtype))
    return scaled if c is None else node.op("math.add", scaled, c)


@converter("Det", since=11)
def _determinant(node: NodeContext) -> Value:
    return node.op("nn.determinant", node.input(0))
