"""Horizontal fusion: linear ops that read one tensor become one op with all their outputs.

Matmuls with constant right matrices, and dense convolutions with constant weights, compute every
output column or channel on its own: y[j] = Σ_k x[k] · w[k, j] + b[j].  So the outputs of several
are those of one whose weights and biases are put side by side, and slices of its result are what
each of them gave.  x is then read once, and one larger product runs instead of several small ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from burnish.ir import (
    Array,
    Block,
    Builder,
    Constant,
    Dim,
    Function,
    Location,
    Op,
    Quantized,
    Rewriter,
    Value,
)
from burnish.ir.dims import evaluate, product, symbols_of

from .base import FunctionPass, PassContext, register_pass
from .fusion_cost import saved_by_sharing
from .promises import EXACT, ROUNDING
from .regions import blocks_inside_out


@register_pass
@dataclass(frozen=True)
class FuseHorizontal(FunctionPass):
    """Make one op of matmuls, or convolutions, that read the same tensor; slices take it apart.

    Weights and biases, which must be constants, are put side by side.  Quantized ones stay
    integers.  Sums may be taken in another order, so floats change within rounding.

    Options:
        launch: bytes that may be moved for one op less.  Slices copy what they take, so large
            results are worth it only if the shared operand is larger still.
    """

    name = "fuse-horizontal"
    launch: int = 1 << 19

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Fuse each family of each block at the place of its first op."""
        rewriter = context.rewriter()
        for block in blocks_inside_out(function):
            if block.parent_op is not None and block.parent_op.name == "core.group":
                continue
            for family in _families(block, context):
                ops = [linear.op for linear in family]
                if not _is_gain(saved_by_sharing(ops, family[0].x, self.launch)):
                    context.refusals[self.name, "slices would cost more"] += 1
                    continue
                if not context.may_rewrite:
                    return rewriter.changes > 0
                is_float = ops[0].result.type.dtype.is_float
                root = _fuse(family, rewriter)
                promise = ROUNDING if is_float else EXACT
                context.count(f"fuse {root.name}", root=root, promise=promise)
        return rewriter.changes > 0


def _is_gain(saved: Dim) -> bool:
    """Whether bytes are saved; a size known at run time only counts as 1, as batches mostly are."""
    return evaluate(saved, dict.fromkeys(symbols_of(saved), 1)) > 0


@dataclass(frozen=True)
class SharingOp:
    """A matmul or convolution whose outputs could be computed along with others.

    Attributes:
        op: the op.
        out_axis: axis of the outputs in the weights.
        result_axis: axis of the outputs in the result.
    """

    op: Op
    out_axis: int
    result_axis: int

    @staticmethod
    def of(op: Op) -> SharingOp | None:
        """``op`` as such, or None for other ops."""
        if op.name == "nn.conv":
            return SharingOp(op, 0, 1)
        if op.name == "nn.matmul":
            rank = op.inputs[1].type.rank
            last = op.result.type.rank - 1
            return SharingOp(op, rank - 2 if op.attributes.transpose_b else rank - 1, last)
        return None

    @property
    def x(self) -> Value:
        """The operand to share."""
        return self.op.inputs[0]

    @property
    def weights(self) -> Value:
        """Operand 1."""
        return self.op.inputs[1]

    @property
    def bias(self) -> Value | None:
        """Operand 2, if there is one."""
        return self.op.operands[2] if len(self.op.operands) > 2 else None

    @property
    def outputs(self) -> int:
        """How many columns or channels the op computes."""
        return self.weights.type.static_shape[self.out_axis]

    def refusal(self) -> str:
        """Why the op cannot be computed along with any other; empty when it can.

        What ops of one family must have in common is their :attr:`key`.
        """
        if self.op.name == "nn.conv" and self.op.attributes.groups != 1:
            return "the convolution has groups"
        if self.x.type.layout is not None or self.op.result.type.layout is not None:
            return "the tensors are not stored row-major"
        if not _is_stored(self.weights):
            return "the weights are no constant that can be taken apart"
        stored = _stored(self.weights)
        if not (self.weights.has_one_use and stored.has_one_use):
            return "others use the weights too"
        if any(user.name == "quant.quantize" for user in self.op.result.users):
            return "the result is quantized, which integer kernels do themselves"
        if self.bias is None:
            return ""
        if not _is_stored(self.bias):
            return "the bias is no constant that can be taken apart"
        shape = self.bias.type.static_shape
        if product(shape) != (shape[-1] if shape else 1):
            return "the bias differs by rows"
        if _stored(self.bias) is not self.bias and shape != (self.outputs,):
            return "the quantized bias is broadcast"
        return ""

    @property
    def key(self) -> Hashable:
        """Equal for ops that one op can compute."""
        weights = self.weights.type
        shape = weights.static_shape
        others = (*shape[: self.out_axis], *shape[self.out_axis + 1 :])
        quantized_bias = self.bias is not None and _stored(self.bias) is not self.bias
        return (
            self.op.name,
            self.op.attributes,
            self.x,
            others,
            weights.rank,
            _kind(self.weights, self.out_axis),
            # A bias that is missing can be -0.0, but is no quantized number.
            _kind(self.bias, 0) if quantized_bias and self.bias is not None else None,
        )


def _families(block: Block, context: PassContext) -> list[list[SharingOp]]:
    """The ops of ``block`` that could be one, in order."""
    found: dict[Hashable, list[SharingOp]] = {}
    for op in block:
        linear = SharingOp.of(op)
        if linear is None or linear.x.use_count < 2:
            continue
        reason = linear.refusal()
        if reason:
            context.refusals[FuseHorizontal.name, reason] += 1
            continue
        found.setdefault(linear.key, []).append(linear)
    return [family for family in found.values() if len(family) > 1]


def _fuse(family: Sequence[SharingOp], rewriter: Rewriter) -> Op:
    """Replace ``family`` by one op, at the place of its first, and slices; returns that op."""
    first = family[0]
    location = Location.join(*(linear.op.location for linear in family))
    builder = rewriter.before(first.op, location=location)
    weights = _joined(builder, [linear.weights for linear in family], first.out_axis)
    operands = [first.x, weights, _joined_biases(builder, family)]
    fused = builder.create(first.op.name, operands, first.op.attributes)
    parts = _split(builder, fused.result, family)
    for linear, part in zip(family, parts):
        rewriter.replace(linear.op, part)
    return fused


def _split(builder: Builder, joint: Value, family: Sequence[SharingOp]) -> list[Value]:
    """The part of ``joint`` that each of ``family`` computes."""
    parts = []
    start = 0
    for linear in family:
        shape = linear.op.result.type.shape
        starts, steps = [0] * len(shape), [1] * len(shape)
        starts[linear.result_axis] = start
        start += linear.outputs
        builder.location = linear.op.location
        parts.append(builder("tensor.slice", joint, starts=starts, sizes=shape, steps=steps))
    return parts


# Constants, plain or dequantized ---------------------------------------------------------


def _stored(value: Value) -> Value:
    """What ``value`` is dequantized from, or else ``value`` itself."""
    if value.op is not None and value.op.name == "quant.dequantize":
        return value.op.inputs[0]
    return value


def _is_stored(value: Value) -> bool:
    """Whether ``value`` is a constant, or a dequantized one, whose data can be put beside others.

    Data in blocks, tiles or another order, and promises about zeros, cannot.
    """
    stored = _stored(value)
    if stored.constant is None or not stored.constant.is_resolved:
        return False
    encoding = stored.type.encoding
    if encoding is not None and (not isinstance(encoding, Quantized) or encoding.block):
        return False
    return stored.type.layout is None and (encoding is not None) == (stored is not value)


def _kind(value: Value, axis: int) -> Hashable:
    """Equal for constants that can be put side by side along ``axis``."""
    type_ = _stored(value).type
    encoding = type_.quantized
    if encoding is None:
        return type_.dtype
    if encoding.axis is None or encoding.axis == axis:
        return (type_.dtype, encoding.dtype)  # scales vary along the axis, or can
    return (type_.dtype, encoding)


def _joined(builder: Builder, values: Sequence[Value], axis: int) -> Value:
    """A constant, dequantized like ``values``, with their data side by side along ``axis``."""
    stored = [_stored(value) for value in values]
    handles = [value.constant for value in stored if value.constant is not None]
    shape = list(handles[0].shape)
    shape[axis] = sum(handle.shape[axis] for handle in handles)

    def load() -> Array:
        return np.concatenate([handle.array for handle in handles], axis)

    data = Constant.deferred(handles[0].dtype, tuple(shape), load)
    if stored[0].type.quantized is None:
        return builder.constant(data)
    encodings = [value.type.quantized for value in stored if value.type.quantized is not None]
    extents = [handle.shape[axis] for handle in handles]
    encoding = _joined_encoding(encodings, axis, extents)
    return builder("quant.dequantize", builder.constant(data, encoding=encoding))


def _joined_encoding(
    encodings: Sequence[Quantized], axis: int, extents: Sequence[int]
) -> Quantized:
    """The encoding of tensors put side by side; different scales become scales along ``axis``."""
    first = encodings[0]
    if first.axis != axis and all(encoding == first for encoding in encodings):
        return first
    scales: list[float] = []
    zero_points: list[int] = []
    for encoding, extent in zip(encodings, extents):
        times = extent if encoding.axis is None else 1
        scales += encoding.scale * times
        zero_points += encoding.zero_point * times
    return replace(first, scale=tuple(scales), zero_point=tuple(zero_points), axis=axis)


def _joined_biases(builder: Builder, family: Sequence[SharingOp]) -> Value | None:
    """One bias per output of all; where there was none it is -0.0, which changes no number."""
    biases = [linear.bias for linear in family]
    known = [bias for bias in biases if bias is not None]
    if not known:
        return None
    if _stored(known[0]) is not known[0]:
        return _joined(builder, known, 0)
    dtype = known[0].type.dtype.numpy
    parts = []
    for linear, bias in zip(family, biases):
        data = np.array(-0.0, dtype) if bias is None else _array(bias).reshape(-1)
        parts.append(np.broadcast_to(data, linear.outputs))
    return builder.constant(np.concatenate(parts))


def _array(value: Value) -> Array:
    assert value.constant is not None
    return value.constant.array
