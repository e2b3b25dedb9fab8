"""Matrix multiplication."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import BOOL, Attributes
from ..constants import Array
from ..dims import Dim
from ..errors import TypeInferenceError
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType, broadcast_shapes
from .checks import narrow, require_broadcast, show, widen
from .math import NUMERIC


@register
class MatMul(OpDef):
    """Product of the matrices in the last two axes, plus c.  ONNX MatMul, Gemm.

    y[..., i, j] = Σ_k a[..., i, k] · b[..., k, j] + c; the leading (batch) axes broadcast,
    c broadcasts onto the result.  ``transpose_a`` and ``transpose_b`` swap the last two axes
    of an operand first.  An empty k gives c, or 0.
    """

    name = "nn.matmul"
    a = operand("left matrices [..., M, K], rank >= 2", dtypes=NUMERIC, group="T")
    b = operand("right matrices [..., K, N], rank >= 2", dtypes=NUMERIC, group="T")
    c = operand(
        "added to the product; broadcasts onto it", dtypes=NUMERIC, optional=True, group="T"
    )
    transpose_a = attribute(BOOL, "a is stored as [..., K, M]", False)
    transpose_b = attribute(BOOL, "b is stored as [..., N, K]", False)

    def infer(
        self, a: Attributes, left: TensorType, right: TensorType, c: TensorType | None
    ) -> TensorType:
        if left.rank < 2 or right.rank < 2:
            raise TypeInferenceError(
                f"operands {show(left.shape)} and {show(right.shape)} need rank 2 at least"
            )
        m, k = _matrix(left, a.transpose_a)
        inner, n = _matrix(right, a.transpose_b)
        if k != inner:
            raise TypeInferenceError(
                f"a {show(left.shape)} has {k} columns, but b {show(right.shape)} has {inner} rows"
            )
        shape = (*broadcast_shapes(left.shape[:-2], right.shape[:-2]), m, n)
        require_broadcast(c, shape, "c")
        return TensorType(shape, left.dtype)

    def evaluate(self, a: Attributes, left: Array, right: Array, c: Array | None) -> Array:
        dtype = left.dtype
        left, right = widen(left), widen(right)
        if a.transpose_a:
            left = left.swapaxes(-1, -2)
        if a.transpose_b:
            right = right.swapaxes(-1, -2)
        with np.errstate(all="ignore"):
            y = np.matmul(left, right)
            if c is not None:
                y = y + widen(c)
        return narrow(y, dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        left = operands[0]
        assert left is not None
        _, depth = _matrix(left, a.transpose_a)
        return Cost(macs=results[0].elements * depth, **traffic(operands, results))


def _matrix(type_: TensorType, transposed: bool) -> tuple[Dim, Dim]:
    """Rows and columns of the matrices of ``type_``."""
    rows, columns = type_.shape[-2:]
    return (columns, rows) if transposed else (rows, columns)
