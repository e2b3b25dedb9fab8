"""Quantized operators of com.microsoft: taken for what they mean, as the standard ones are."""

from __future__ import annotations

import numpy as np

from burnish.ir import DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from ..tensors import Array
from .contrib import MICROSOFT
from .conv import less_zero_point
from .matmul import multiply
from .pool import average_pool, channels_first, channels_last
from .quant import dequantize, dynamic_quantize, parameters_of, quantize
from .registry import Converter, converter


def _real(node: NodeContext, first: int) -> Value:
    """The numbers of a quantized input followed by its scale and perhaps its zero point."""
    x = node.input(first)
    scale, zero_point = node.input(first + 1), node.optional(first + 2)
    return dequantize(node, x, parameters_of(node, x, scale, zero_point, x.type.dtype))


def _stored(node: NodeContext, y: Value, first: int) -> Value:
    """``y`` quantized by the scale at input ``first`` and perhaps the zero point after it."""
    scale, zero_point = node.input(first), node.optional(first + 1)
    storage = node.input(0).type.dtype if zero_point is None else zero_point.type.dtype
    return quantize(node, y, parameters_of(node, y, scale, zero_point, storage))


def _binary(op: str) -> Converter:
    return lambda node: _stored(node, node.op(op, _real(node, 0), _real(node, 3)), 6)


for _op_type, _op in {"QLinearAdd": "math.add", "QLinearMul": "math.mul"}.items():
    converter(_op_type, domain=MICROSOFT)(_binary(_op))


@converter("QLinearSigmoid", domain=MICROSOFT)
def _sigmoid(node: NodeContext) -> Value:
    return _stored(node, node.op("math.sigmoid", _real(node, 0)), 3)


@converter("QLinearLeakyRelu", domain=MICROSOFT)
def _leaky_relu(node: NodeContext) -> Value:
    alpha = node.number("alpha", 0.01)
    return _stored(node, node.op("math.leaky_relu", _real(node, 0), alpha=alpha), 3)


@converter("QLinearSoftmax", domain=MICROSOFT)
def _softmax(node: NodeContext) -> Value:
    """Along one axis, or before operator set 13 along all from it on."""
    x = _real(node, 0)
    axis = node.axis(node.integer("axis", -1), x.type.rank)
    shape = x.type.shape
    if node.integer("opset") < 13 and axis < x.type.rank - 1:
        x = node.reshape(x, (*shape[:axis], dimension.product(shape[axis:])))
    return _stored(node, node.reshape(node.op("nn.softmax", x, axis=axis), shape), 3)


@converter("QLinearGlobalAveragePool", domain=MICROSOFT)
def _global_average(node: NodeContext) -> Value:
    x = _real(node, 0)
    rank = x.type.rank
    axes = range(1, rank - 1) if node.flag("channels_last") else range(2, rank)
    return _stored(node, node.reduce(x, "mean", axes), 3)


@converter("QLinearAveragePool", domain=MICROSOFT)
def _average(node: NodeContext) -> Value:
    x = _real(node, 0)
    if not node.flag("channels_last"):
        return _stored(node, average_pool(node, x), 3)
    y = average_pool(node, channels_first(node, x))
    return _stored(node, channels_last(node, y), 3)


@converter("QLinearConcat", domain=MICROSOFT)
def _concat(node: NodeContext) -> Value:
    """Scale and zero point of the result come first, then three inputs per part."""
    if len(node.items) < 5 or len(node.items) % 3 != 2:
        raise ModelError(f"it has {len(node.items)} inputs, needs 2 and 3 for each part")
    parts = [_real(node, first) for first in range(2, len(node.items), 3)]
    y = node.op("tensor.concat", *parts, axis=node.axis(node.integer("axis"), parts[0].type.rank))
    storage = node.input(1).type.dtype
    parameters = parameters_of(node, y, node.input(0), node.input(1), storage)
    return quantize(node, y, parameters)


@converter("QuantizeLinear", domain=MICROSOFT)
def _quantize(node: NodeContext) -> Value:
    zero_point = node.optional(2)
    storage = DType.U8 if zero_point is None else zero_point.type.dtype
    x = node.input(0)
    return quantize(node, x, parameters_of(node, x, node.input(1), zero_point, storage))


@converter("DequantizeLinear", domain=MICROSOFT)
def _dequantize(node: NodeContext) -> Value:
    return _real(node, 0)


# Products ----------------------------------------------------------------------------


def _product(
    node: NodeContext, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None
) -> Value:
    """The exact product of integers less their zero points (of b perhaps one per column)."""
    left = less_zero_point(node, a, a_zero, None)
    right = less_zero_point(node, b, b_zero, b.type.rank - 1)
    return multiply(node, left, right)


def _in_units(node: NodeContext, total: Value, a_scale: Value, b_scale: Value) -> Value:
    """An exact product as real numbers; the scale of b may vary by column."""
    if a_scale.type.elements == 1:
        a_scale = node.reshape(a_scale, ())
    unit = node.op("math.mul", a_scale, b_scale)
    return node.op("math.mul", node.cast(total, unit.type.dtype), unit)


@converter("MatMulIntegerToFloat", domain=MICROSOFT)
def _integer_matmul_to_float(node: NodeContext) -> Value:
    total = _product(node, node.input(0), node.input(1), node.optional(4), node.optional(5))
    y = _in_units(node, total, node.input(2), node.input(3))
    return node.op("math.add", y, node.input(6)) if node.has(6) else y


@converter("DynamicQuantizeMatMul", domain=MICROSOFT)
def _dynamic_matmul(node: NodeContext) -> Value:
    stored, scale, zero_point = dynamic_quantize(node)
    total = _product(node, stored, node.input(1), zero_point, node.optional(3))
    y = _in_units(node, total, scale, node.input(2))
    return node.op("math.add", y, node.input(4)) if node.has(4) else y


@converter("QGemm", domain=MICROSOFT)
def _gemm(node: NodeContext) -> Value:
    """The bias counts in units of the product; without a scale the result is real numbers."""
    a, b = node.input(0), node.input(3)
    if a.type.rank != 2 or b.type.rank != 2:
        raise ModelError(f"operands {a.type} and {b.type} are not matrices")
    a, b = node.raw(a), node.raw(b)
    a = node.transpose(a, (1, 0)) if node.flag("transA") else a
    b = node.transpose(b, (1, 0)) if node.flag("transB") else b
    total = _product(node, a, b, node.optional(2), node.optional(5))
    if node.has(6):
        total = node.op("math.add", total, node.raw(node.input(6)))
    y = _in_units(node, total, node.input(1), node.input(4))
    alpha = node.number("alpha", 1.0)
    if alpha != 1.0:
        y = node.op("math.mul", y, node.scalar(alpha, y.type.dtype))
    return _stored(node, y, 7) if node.has(7) else y


@converter("MatMulNBits", domain=MICROSOFT)
def _matmul_of_few_bits(node: NodeContext) -> Value:
    """Weights in blocks along the inputs: packed low bits first, a scale for each block."""
    a, bits = node.input(0), node.integer("bits", 4)
    rows, columns, block = (node.integer(name) for name in ("N", "K", "block_size"))
    if bits not in (2, 4, 8):
        node.refuse(f"weights of {bits} bits")
    if min(rows, columns, block) < 1:
        raise ModelError(f"N = {rows}, K = {columns}, block_size = {block}")
    if node.has(4):
        node.refuse("an index of groups (its input 4)")
    blocks = -(-columns // block)
    packed = node.array(node.input(1), "weight")
    weight = _unpacked(packed.reshape(-1), bits, rows * blocks, block)
    dtype = a.type.dtype
    values = node.cast(node.constant(weight.reshape(rows, blocks, block)), dtype)
    values = node.op("math.sub", values, _zero_points(node, bits, rows, blocks, dtype))
    scale = node.reshape(node.input(2), (rows, blocks, 1))
    values = node.reshape(node.op("math.mul", values, scale), (rows, blocks * block))
    values = node.op("tensor.slice", values, starts=(0, 0), sizes=(rows, columns), steps=(1, 1))
    y = multiply(node, a, node.transpose(values, (1, 0)))
    return node.op("math.add", y, node.input(5)) if node.has(5) else y


def _zero_points(node: NodeContext, bits: int, rows: int, blocks: int, dtype: DType) -> Value:
    """One per block: packed like the weights row by row, or real numbers, or the middle."""
    given = node.optional(3)
    if given is None:
        return node.scalar(1 << (bits - 1), dtype)
    if given.type.dtype is not DType.U8:
        return node.cast(node.reshape(given, (rows, blocks, 1)), dtype)
    points = _unpacked(node.array(given, "zero points").reshape(-1), bits, rows, blocks)
    return node.cast(node.constant(points.reshape(rows, blocks, 1)), dtype)


def _unpacked(packed: Array, bits: int, rows: int, count: int) -> Array:
    """``count`` numbers of each row, which begins at a byte.

    Raises:
        ModelError: there are not as many bytes.
    """
    per_byte = 8 // bits
    width = -(-count // per_byte)
    if packed.size != rows * width:
        raise ModelError(f"{packed.size} bytes for {rows} rows of {count} numbers of {bits} bits")
    shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(bits)
    numbers = (packed.reshape(rows, width, 1) >> shifts) & np.uint8((1 << bits) - 1)
    return np.ascontiguousarray(numbers.reshape(rows, -1)[:, :count])
