"""Products with sparse weights, which ONNX computes with the zeros filled in."""

from __future__ import annotations

from burnish.ir.ops.sparse import dense_weights

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter


@exporter("nn.sparse_product")
def _sparse_product(c: Context) -> Edge:
    """MatMul along the axis, which becomes the last one for it; the weights must be constants."""
    parts = [value.constant for value in c.op.inputs[1:4]]
    arrays = [part.array for part in parts if part is not None]
    if len(arrays) < 3:
        raise Refusal("ONNX has no sparse products with weights that are not constants")
    values, inputs, starts = arrays
    x, axis = c.type(0), c.a.axis
    size = x.shape[axis]
    assert isinstance(size, int)
    matrix = dense_weights(values, inputs, starts, size)[: c.a.outputs]
    others = [i for i in range(x.rank) if i != axis]
    moved = (*others, axis)
    back = sorted(range(x.rank), key=moved.__getitem__)
    y = c.node("MatMul", c.transpose(c.input(0), moved), c.constant(matrix.T.copy()))
    bias = c.optional(4)
    return c.transpose(y if bias is None else c.node("Add", y, bias), back)
