"""Elementwise ops, all from their scalar expressions."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Dim, DType
from burnish.ir.elementwise import ElementwiseOp

from ..registry import ELEMENTWISE, Expr
from .context import Context, Tensor, compute, is_coded, te_lowering, widened
from .scalars import Scalar, converted, expression


@te_lowering(ELEMENTWISE)
def _elementwise(c: Context) -> Expr:
    definition = c.op.opdef
    assert isinstance(definition, ElementwiseOp)
    dtypes = [type_.dtype for type_ in c.op.operand_types if type_ is not None]
    result = definition.result_dtype(c.a, dtypes)
    operands = [c.wide(i) if is_coded(dtype) else c.input(i) for i, dtype in enumerate(dtypes)]
    known = [dtype.compute if is_coded(dtype) else dtype for dtype in dtypes]
    work = definition.work_dtype(known).compute
    attributes = {k: v for k, v in c.a.items() if isinstance(v, (bool, int, float))}
    shapes = [c.type(index).shape for index in range(len(dtypes))]
    stored = work if is_coded(result) else result

    def function(tensors: Sequence[Tensor], shape: Sequence[Scalar]) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            values: dict[str, Scalar] = dict(attributes)
            for name, tensor, dtype, dims in zip(definition.operands, tensors, known, shapes):
                values[name] = widened(broadcast(tensor, dims, index), dtype)
            return converted(expression(definition.expression, values, work), kind, stored)

        return compute(shape, element)

    kind = DType.BOOL if definition.result == "bool" else work
    y = c.te(function, operands, c.sizes(c.result().shape))
    return c.cast(y, stored, result)


def broadcast(tensor: Tensor, shape: Sequence[Dim], index: Sequence[Scalar]) -> Scalar:
    """The element of a tensor of ``shape`` that broadcasting puts at ``index``."""
    own = index[len(index) - len(shape) :]
    return tensor(*(0 if dim == 1 else at for dim, at in zip(shape, own)))
