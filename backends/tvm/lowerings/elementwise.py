"""Elementwise ops, all from their scalar expressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.ir import DType
from burnish.ir.elementwise import ElementwiseOp

from ..registry import ELEMENTWISE, Expr
from .context import (
    Context,
    Tensor,
    broadcast,
    compute,
    is_coded,
    te_lowering,
    widened,
)
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
    stored = work if is_coded(result) else result

    def function(tensors: Sequence[Tensor], shape: Sequence[Scalar]) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            values: dict[str, Scalar] = dict(attributes)
            for name, tensor, dtype in zip(definition.operands, tensors, known):
                values[name] = widened(broadcast(tensor, index), dtype)
            return converted(expression(definition.expression, values, work), kind, stored)

        return compute(shape, element)

    kind = DType.BOOL if definition.result == "bool" else work
    y = c.te(function, operands, c.sizes(c.result().shape))
    return c.cast(y, stored, result)


@te_lowering("math.pow")
def _power(c: Context) -> Expr:
    """x ** y; of integers by squaring, bit by bit of the exponent, so that products wrap."""
    dtype = c.type().dtype
    if not dtype.is_integer:
        return _elementwise(c)
    x, y = c.input(0), c.input(1)
    result = c.constant(np.ones((), dtype.numpy))
    square, rest = x, y
    for _ in range(_exponent_bits(c)):
        values = {"r": result, "s": square, "y": rest}
        result = c.map("r * s if bit_and(y, 1) != 0 else r", dtype, values)
        square = c.map("s * s", dtype, {"s": square})
        rest = c.map("shift_right(y, 1)", dtype, {"y": rest})
    if dtype.is_signed:
        inverse = "1 if x == 1 else (1 if bit_and(y, 1) == 0 else -1) if x == -1 else 0"
        result = c.map(f"({inverse}) if y < 0 else r", dtype, {"x": x, "y": y, "r": result})
    return c.map("r", dtype, {"r": result, "x": x, "y": y})


def _exponent_bits(c: Context) -> int:
    """Bits of exponents that are not negative."""
    value, dtype = c.op.inputs[1].constant, c.type(1).dtype
    if value is None or not value.size:
        return dtype.bits - dtype.is_signed
    return max(0, int(value.array.max())).bit_length()
