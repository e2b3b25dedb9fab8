"""Quantized models: Q/DQ pairs become encodings in the types.

Scale and zero point that are constants become a :class:`~burnish.ir.Quantized` encoding; others
are computed with.  The operators on quantized tensors (QLinearConv, QLinearMatMul) are taken for
what they mean: dequantize, compute, quantize.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from burnish.ir import DType, Quantized, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .conv import convolve
from .math import LARGEST_FLOAT
from .matmul import multiply
from .registry import converter


@dataclass(frozen=True)
class Parameters:
    """Scale and zero point of one tensor, and the axis they vary along.

    ``storage`` is the quantized element type, ``expressed`` that of the real numbers;
    ``precision`` that of the division by the scale.  Floats beyond the largest of ``storage``
    become that, or with ``saturates`` false what a cast makes of them.
    """

    scale: Value
    zero_point: Value | None
    axis: int | None
    block: int
    storage: DType
    expressed: DType
    precision: DType | None = None
    saturates: bool = True

    def encoding(self) -> Quantized | None:
        """The encoding, when scale and zero point are constants that one can hold."""
        if self.precision not in (None, self.expressed) or not self.saturates:
            return None
        scale = self.scale.constant
        zero_point = None if self.zero_point is None else self.zero_point.constant
        if scale is None or (self.zero_point is not None and zero_point is None):
            return None
        scales = tuple(float(s) for s in scale.array.reshape(-1))
        if not all(0 < s < math.inf for s in scales):
            return None
        points = (0,) * len(scales)
        if zero_point is not None:
            if zero_point.shape != scale.shape:
                raise ModelError(
                    f"scale of shape {list(scale.shape)}, "
                    f"zero point of shape {list(zero_point.shape)}"
                )
            if self.storage.is_float and np.any(zero_point.array != 0):
                raise ModelError(f"zero points of {self.storage} must be 0")
            points = tuple(int(p) for p in zero_point.array.reshape(-1))
        return Quantized(scales, points, self.axis, self.block, self.expressed)


def parameters_of(
    node: NodeContext,
    x: Value,
    scale: Value,
    zero_point: Value | None,
    storage: DType,
    axis: int | None = None,
) -> Parameters:
    """Describe how ``x`` is (to be) quantized; ``axis`` is the node's, by default."""
    if not (storage.is_integer or storage in LARGEST_FLOAT):
        raise ModelError(f"{storage} is no element type of quantized tensors")
    if not scale.type.dtype.is_float:
        raise ModelError(f"a scale of element type {scale.type.dtype}")
    if zero_point is not None and zero_point.type.dtype is not storage:
        raise ModelError(f"a zero point of element type {zero_point.type.dtype} for {storage}")
    block = node.integer("block_size", 0)
    if block < 0:
        raise ModelError(f"attribute block_size = {block} is negative")
    rank = x.type.rank
    if scale.type.elements == 1 and not block:
        scale = node.reshape(scale, ())
        zero_point = None if zero_point is None else node.reshape(zero_point, ())
        normal = None
    else:
        normal = node.axis(node.integer("axis", 1) if axis is None else axis, rank)
        if not block and scale.type.shape != (x.type.shape[normal],):
            raise ModelError(f"a scale of type {scale.type} for axis {normal} of {x.type}")
    return Parameters(scale, zero_point, normal, block, storage, scale.type.dtype)


@converter("QuantizeLinear", since=10)
def _quantize_linear(node: NodeContext) -> Value:
    x, scale, zero_point = node.input(0), node.input(1), node.optional(2)
    storage = zero_point.type.dtype if zero_point is not None else DType.U8
    if zero_point is None and node.integer("output_dtype", 0):
        storage = node.dtype("output_dtype")
    parameters = replace(
        parameters_of(node, x, scale, zero_point, storage),
        precision=node.dtype("precision") if node.integer("precision", 0) else None,
        saturates=not storage.is_float or node.flag("saturate", True),
    )
    return quantize(node, x, parameters)


@converter("DequantizeLinear", since=10)
def _dequantize_linear(node: NodeContext) -> Value:
    x, zero_point = node.input(0), node.optional(2)
    parameters = parameters_of(node, x, node.input(1), zero_point, x.type.dtype)
    real = dequantize(node, x, parameters)
    if not node.integer("output_dtype", 0):
        return real
    return node.cast(real, node.dtype("output_dtype"))


def quantize(node: NodeContext, x: Value, parameters: Parameters) -> Value:
    """``x`` stored as ``parameters`` say."""
    encoding = parameters.encoding()
    x = node.cast(x, parameters.expressed)
    if encoding is not None:
        return node.op("quant.quantize", x, encoding=encoding, dtype=parameters.storage)
    storage, work = parameters.storage, parameters.expressed.compute
    if work.bits < 64 and storage.is_integer and storage.bits > 16:
        work = DType.F64  # so that the limits of the storage type are exact
    scale = node.cast(_spread(node, parameters.scale, x, parameters), work)
    precision = parameters.precision or work
    ratio = node.op("math.div", node.cast(x, precision), node.cast(scale, precision))
    ratio = node.cast(ratio, work)
    if storage.is_float and not parameters.saturates:
        return node.cast(ratio, storage)
    if storage.is_float:
        limit = LARGEST_FLOAT[storage]
        return node.cast(node.op("math.clamp", ratio, low=-limit, high=limit), storage)
    rounded = node.op("math.round", ratio)
    if parameters.zero_point is not None:
        point = _spread(node, parameters.zero_point, x, parameters)
        rounded = node.op("math.add", rounded, node.cast(point, work))
    low, high = storage.integer_range
    return node.cast(node.op("math.clamp", rounded, low=low, high=high), storage)


def dequantize(node: NodeContext, x: Value, parameters: Parameters) -> Value:
    """The real numbers that ``x`` stands for."""
    encoding = parameters.encoding()
    if encoding is not None:
        return node.op("quant.dequantize", _encoded(node, x, encoding))
    x, work = node.raw(x), parameters.expressed.compute
    point = parameters.zero_point
    if x.type.dtype.is_float or point is None:
        difference = node.cast(x, work)
    else:
        exact = DType.I64 if x.type.dtype is DType.I32 else DType.I32
        spread = node.cast(_spread(node, point, x, parameters), exact)
        difference = node.cast(node.op("math.sub", node.cast(x, exact), spread), work)
    scale = node.cast(_spread(node, parameters.scale, x, parameters), work)
    return node.cast(node.op("math.mul", difference, scale), parameters.expressed)


def _encoded(node: NodeContext, x: Value, encoding: Quantized) -> Value:
    """``x`` with ``encoding`` in its type; a constant gets it where it is defined."""
    if x.type.encoding == encoding:
        return x
    if x.constant is not None:
        return node.emit.constant(x.constant, x.name, encoding)
    return node.op("quant.reinterpret", x, encoding=(encoding,))


def _spread(node: NodeContext, value: Value, x: Value, parameters: Parameters) -> Value:
    """A scale or zero point in a shape that broadcasts onto ``x``."""
    axis, rank = parameters.axis, x.type.rank
    if axis is None:
        return value
    if not parameters.block:
        count = value.type.elements
        return node.reshape(value, [count if i == axis else 1 for i in range(rank)])
    blocks = node.static(value.type.shape, "blocks")
    shape = node.static(x.type.shape, "shape")
    if len(blocks) != rank or blocks[axis] * parameters.block < shape[axis]:
        raise ModelError(f"blocks of type {value.type} for {x.type}")
    index = node.table(shape[axis]) // parameters.block
    return node.op("tensor.gather", value, node.constant(index), axis=axis)


def _real(node: NodeContext, first: int, axis: int | None = None) -> Value:
    """The real numbers of a quantized input followed by its scale and zero point."""
    x, scale, zero_point = (node.input(first + offset) for offset in range(3))
    return dequantize(node, x, parameters_of(node, x, scale, zero_point, x.type.dtype, axis))


def _stored(node: NodeContext, real: Value, first: int) -> Value:
    """A result quantized by the scale and zero point at input ``first``."""
    scale, zero_point = node.input(first), node.input(first + 1)
    storage = zero_point.type.dtype
    return quantize(node, real, parameters_of(node, real, scale, zero_point, storage))


@converter("QLinearConv", since=10)
def _quantized_conv(node: NodeContext) -> Value:
    x, w = _real(node, 0), _real(node, 3, axis=0)
    bias = node.optional(8)
    if bias is not None:
        # The bias counts in units of the product of both scales.
        unit = node.op("math.mul", node.reshape(node.input(1), ()), node.input(4))
        elements = unit.type.elements
        unit = node.reshape(unit, () if elements == 1 else (elements,))
        axis = 0 if unit.type.rank else None
        parameters = Parameters(unit, None, axis, 0, bias.type.dtype, unit.type.dtype)
        bias = dequantize(node, bias, parameters)
    return _stored(node, convolve(node, x, w, bias), 6)


@converter("QLinearMatMul", since=10)
def _quantized_matmul(node: NodeContext) -> Value:
    a, b = node.input(0), node.input(3)
    left = _real(node, 0, axis=max(0, a.type.rank - 2))
    right = _real(node, 3, axis=max(0, b.type.rank - 1))
    return _stored(node, multiply(node, left, right), 6)


@converter("DynamicQuantizeLinear", since=11)
def dynamic_quantize(node: NodeContext) -> list[Value]:
    """Eight bits over the range of the data, which always includes 0."""
    x = node.input(0)
    axes = range(x.type.rank)
    zero = node.scalar(0, x.type.dtype)
    low = node.op("math.min", node.reduce(x, "min", axes, keep_dims=False), zero)
    high = node.op("math.max", node.reduce(x, "max", axes, keep_dims=False), zero)
    extent = node.op("math.sub", high, low)
    is_flat = node.op("math.equal", extent, zero)
    step = node.op("math.div", extent, node.scalar(255, x.type.dtype))
    scale = node.op("math.select", is_flat, node.scalar(1, x.type.dtype), step)
    origin = node.op("math.round", node.op("math.div", node.op("math.neg", low), scale))
    bounded = node.op("math.clamp", origin, low=0.0, high=255.0)
    zero_point = node.cast(bounded, DType.U8)
    parameters = Parameters(scale, zero_point, None, 0, DType.U8, x.type.dtype)
    return [quantize(node, x, parameters), scale, zero_point]
