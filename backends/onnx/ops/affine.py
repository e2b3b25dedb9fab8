"""Scaling and shifting channels, which is what is left of a batch norm."""

from __future__ import annotations

import numpy as np

from burnish.ir import Array, DType, TensorType, Value

from ..context import Context
from ..forms import form, producer
from ..graph import Edge

_FLOATS = (DType.F16, DType.F32, DType.F64)


@form("math.add")
def _batch_norm(c: Context) -> Edge | None:
    """x · scale + shift, both constant per channel: a batch norm of mean 0 and variance 1."""
    for product, shift in (c.op.inputs, c.op.inputs[::-1]):
        multiply = producer(product, "math.mul")
        if multiply is None or not product.has_one_use:
            continue
        for x, scale in (multiply.inputs, multiply.inputs[::-1]):
            result = _normalized(c, x, scale, shift)
            if result is not None:
                return result
    return None


def _normalized(c: Context, x: Value, scale: Value, shift: Value) -> Edge | None:
    type_ = x.type
    if type_ != c.op.result.type or type_.dtype not in _FLOATS or type_.rank < 2:
        return None
    channels = type_.shape[1]
    factors, terms = (_per_channel(type_, value) for value in (scale, shift))
    if not isinstance(channels, int) or factors is None or terms is None:
        return None
    if factors.size == terms.size == 1:
        return None
    kind = type_.dtype.numpy
    columns = [np.broadcast_to(v, channels).astype(kind) for v in (factors, terms)]
    zeros, ones = (c.constant(np.full(channels, value, kind)) for value in (0, 1))
    parameters = (*map(c.constant, columns), zeros, ones)
    return c.node("BatchNormalization", c.edge(x), *parameters, epsilon=0.0)


def _per_channel(type_: TensorType, value: Value) -> Array | None:
    """A constant that varies along axis 1 of a tensor of ``type_`` only, as a list."""
    if value.constant is None:
        return None
    shape = (*[1] * (type_.rank - value.type.rank), *value.constant.shape)
    if len(shape) != type_.rank or any(n != 1 for i, n in enumerate(shape) if i != 1):
        return None
    return value.constant.array.reshape(-1)
