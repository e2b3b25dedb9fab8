"""Per-channel scales and shifts, batch norms among them, into weights and biases.

A convolution or matmul is linear: (w·x + b)·s + t = (w·s)·x + (b·s + t).  New weights are
computed in f64 and rounded once.  This changes rounding, not more; where a new weight would
overflow nothing is done.  Weights that others use too, and results that others need unscaled,
are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from burnish.ir import Array, Op, Value

from ..pattern import Match, Outcome
from ..pattern.table import ROUNDING
from .sets import AFFINE

LINEAR = ("nn.conv", "nn.conv_transpose", "nn.matmul")


def _vector(m: Match, value: Value, axis: int, rank: int, channels: int) -> Array:
    """The f64 vector [channels] that the constant ``value`` is, varying along ``axis`` only.

    ``value`` broadcasts to a tensor of ``rank`` axes, of which ``axis`` has size ``channels``.
    """
    data = m.constant(value)
    m.require(data.dtype.kind == "f", "not floating", value)
    m.require(data.ndim <= rank, "the constant has a higher rank", value)
    shape = (1,) * (rank - data.ndim) + data.shape
    others = shape[:axis] + shape[axis + 1 :]
    m.require(all(dim == 1 for dim in others), "the constant varies along other axes", value)
    return np.broadcast_to(data.reshape(-1).astype(np.float64), channels)


class Linear:
    """A convolution or matmul as a linear map whose channels can be scaled and shifted.

    Attributes:
        op: the convolution or matmul.
        axis: the axis of its result that holds channels.
        channels: how many there are.
    """

    def __init__(self, m: Match, op: Op) -> None:
        self.op = op
        self._match = m
        self._value = m.needed(op.operands[1])
        result = op.result.type
        m.require(result.dtype.numpy.kind == "f", "not floating", op.result)
        self.axis = result.rank - 1 if op.name == "nn.matmul" else 1
        (self.channels,) = m.static([result.shape[self.axis]])

    @cached_property
    def weights(self) -> Array:
        """The weights in f64; they must be constant."""
        return self._match.constant(self._value).astype(np.float64)

    @property
    def _groups(self) -> int:
        return 1 if self.op.name == "nn.matmul" else int(self.op.attributes.groups)

    def scaled(self, by: Array) -> Array:
        """Weights that give the result scaled by ``by`` [channels]."""
        if self.op.name == "nn.matmul":
            column = self.op.attributes.transpose_b
            return self.weights * (by[:, np.newaxis] if column else by)
        spatial = [1] * (self.weights.ndim - 2)
        if self.op.name == "nn.conv":
            return self.weights * by.reshape(-1, 1, *spatial)
        each = self.channels // self._groups
        return self._split_inputs() * by.reshape(self._groups, 1, each, *spatial)

    def with_scaled_input(self, by: Array) -> Array:
        """Weights that give the same for an input whose channels are divided by ``by``."""
        if self.op.name == "nn.matmul":
            row = self.op.attributes.transpose_b
            return self.weights * (by if row else by[:, np.newaxis])
        spatial = [1] * (self.weights.ndim - 2)
        if self.op.name == "nn.conv_transpose":
            return self.weights * by.reshape(-1, 1, *spatial)
        each = by.size // self._groups
        return self._split_outputs() * by.reshape(self._groups, 1, each, *spatial)

    def response(self, shift: Array) -> Array:
        """What a constant input (one number per channel, no padding) adds to the result."""
        scaled = self.with_scaled_input(shift)
        if self.op.name == "nn.matmul":
            return np.asarray(scaled.sum(axis=-1 if self.op.attributes.transpose_b else -2))
        return np.asarray(scaled.sum(axis=tuple(range(2, scaled.ndim))).reshape(self.channels))

    def _split_inputs(self) -> Array:
        """conv_transpose weights [C, M/g, k...] as [g, C/g, M/g, k...]."""
        return self._split()

    def _split_outputs(self) -> Array:
        """Convolution weights [M, C/g, k...] as [g, M/g, C/g, k...]."""
        return self._split()

    def _split(self) -> Array:
        first, *rest = self.weights.shape
        return self.weights.reshape(self._groups, first // self._groups, *rest)

    def bias(self) -> Array:
        """The bias [channels] in f64; 0 where there is none."""
        if len(self.op.operands) < 3 or self.op.operands[2] is None:
            return np.zeros(self.channels)
        rank = 1 if self.op.name != "nn.matmul" else self.op.result.type.rank
        return _vector(self._match, self.op.operands[2], rank - 1, rank, self.channels)

    def rebuilt(
        self, x: Value | Callable[[], Value] | None, weights: Array | None, bias: Array
    ) -> Value:
        """The op with another input, new weights (None: the old ones) and bias, before the root.

        Refuses, before anything is built (``x`` too, where it is a function), if a number
        overflows, or if the old weights would be kept beside the new ones.
        """
        m, dtype = self._match, self.op.result.type.dtype.numpy
        m.require(self.op.result.type.dtype.bits >= 16, "new weights would lose too many digits")
        new_bias = bias.astype(dtype)
        m.require(bool(np.isfinite(new_bias).all()), "a new bias is not finite")
        w = self._value
        if weights is not None:
            m.require(w.has_one_use, "the weights are used elsewhere too", w)
            new_weights = weights.reshape(w.type.static_shape).astype(dtype)
            m.require(bool(np.isfinite(new_weights).all()), "a new weight is not finite")
            w = m.build_constant(new_weights, w.name)
        b = m.build_constant(new_bias) if bias.any() else None
        return m.rebuild(self.op, [x() if callable(x) else x, w, b])


def _normalization(m: Match, op: Op) -> tuple[Array, Array]:
    """(scale, shift) [C] in f64 of a batch norm with constant parameters."""
    scale, bias, mean, variance = (m.constant(v).astype(np.float64) for v in op.operands[1:5])
    factor = scale / np.sqrt(variance + op.attributes.epsilon)
    shift = bias - mean * factor
    m.require(bool(np.isfinite(factor).all() and np.isfinite(shift).all()), "not finite")
    return factor, shift


@AFFINE.pattern("batch-norm-into-weights", "nn.batch_norm", benefit=3, promise=ROUNDING, depth=2)
def batch_norm_into_weights(m: Match) -> Outcome:
    """A batch norm after a convolution or matmul."""
    op = m.producer(m.operand(0), *LINEAR, one_use=True)
    linear = Linear(m, op)
    m.require(linear.axis == 1, "the batch norm's channels are not those of the matmul")
    scale, shift = _normalization(m, m.op)
    bias = linear.bias() * scale + shift
    return linear.rebuilt(op.operands[0], linear.scaled(scale), bias)


@AFFINE.pattern("batch-norm-to-scale", "nn.batch_norm", promise=ROUNDING)
def batch_norm_to_scale(m: Match) -> Outcome:
    """A batch norm elsewhere is a multiplication and an addition, which fuse."""
    x = m.operand(0)
    # The norm rounds once: two roundings of narrow floats lose more, or overflow in between.
    m.require(x.type.dtype.compute is x.type.dtype, "the floats are narrow")
    scale, shift = _normalization(m, m.op)
    dtype = x.type.dtype.numpy
    shape = (-1, *[1] * (x.type.rank - 2))
    factors, shifts = (v.astype(dtype).reshape(shape) for v in (scale, shift))
    m.require(bool(np.isfinite(factors).all() and np.isfinite(shifts).all()), "not finite")
    scaled = m.build("math.mul", x, m.build_constant(factors))
    return m.build("math.add", scaled, m.build_constant(shifts))


def _constant_operand(m: Match, linear: Linear) -> Array:
    """The root's right operand as a vector per channel of ``linear``; the root keeps the shape."""
    result = linear.op.result.type
    m.require(m.op.result.type.shape == result.shape, "the constant broadcasts")
    return _vector(m, m.operand(1), linear.axis, result.rank, linear.channels)


@AFFINE.pattern("scale-into-weights", "math.mul", "math.div", promise=ROUNDING, depth=2)
def scale_into_weights(m: Match) -> Outcome:
    """A per-channel factor or divisor after a convolution or matmul."""
    op = m.producer(m.operand(0), *LINEAR, one_use=True)
    linear = Linear(m, op)
    factor = _constant_operand(m, linear)
    if m.op.name == "math.div":
        factor = 1 / factor
    m.require(bool(np.isfinite(factor).all()), "the factor is not finite")
    bias = linear.bias() * factor
    return linear.rebuilt(op.operands[0], linear.scaled(factor), bias)


@AFFINE.pattern("shift-into-bias", "math.add", "math.sub", promise=ROUNDING, depth=2)
def shift_into_bias(m: Match) -> Outcome:
    """A per-channel addend after a convolution or matmul."""
    op = m.producer(m.operand(0), *LINEAR, one_use=True)
    linear = Linear(m, op)
    shift = _constant_operand(m, linear)
    bias = linear.bias() + (shift if m.op.name == "math.add" else -shift)
    return linear.rebuilt(op.operands[0], None, bias)


def _input_constant(m: Match, linear: Linear, before: Op) -> Array:
    """The right operand of ``before``, which makes ``linear``'s input, per input channel."""
    x = m.needed(before.operands[0])
    m.require(before.result.type.shape == x.type.shape, "the constant broadcasts")
    if linear.op.name == "nn.matmul":
        m.require(not linear.op.attributes.transpose_a, "channels are not the last axis")
    axis = x.type.rank - 1 if linear.op.name == "nn.matmul" else 1
    (channels,) = m.static([x.type.shape[axis]])
    return _vector(m, m.needed(before.operands[1]), axis, x.type.rank, channels)


@AFFINE.pattern("input-scale-into-weights", *LINEAR, promise=ROUNDING)
def input_scale_into_weights(m: Match) -> Outcome:
    """A per-channel factor before a convolution or matmul; padding stays 0 either way."""
    multiplication = m.producer(m.operand(0), "math.mul", one_use=True)
    linear = Linear(m, m.op)
    factor = _input_constant(m, linear, multiplication)
    m.require(bool(np.isfinite(factor).all()), "the factor is not finite")
    weights = linear.with_scaled_input(factor)
    return linear.rebuilt(multiplication.operands[0], weights, linear.bias())


@AFFINE.pattern("input-shift-into-bias", "nn.conv", "nn.matmul", promise=ROUNDING)
def input_shift_into_bias(m: Match) -> Outcome:
    """A per-channel addend before a convolution without padding, or before a matmul."""
    addition = m.producer(m.operand(0), "math.add", "math.sub", one_use=True)
    linear = Linear(m, m.op)
    m.require(
        m.needed(m.op.operands[1]).type.rank == 2 or m.op.name == "nn.conv", "a batch of matrices"
    )
    padded = m.op.name == "nn.conv" and any(m.op.attributes.pads)
    m.require(not padded, "padding would not be shifted")
    shift = _input_constant(m, linear, addition)
    m.require(bool(np.isfinite(shift).all()), "the addend is not finite")
    change = linear.response(shift)
    bias = linear.bias() + (change if addition.name == "math.add" else -change)
    return linear.rebuilt(addition.operands[0], None, bias)


@AFFINE.pattern("input-scale-below-shift", *LINEAR, promise=ROUNDING, depth=3)
def input_scale_below_shift(m: Match) -> Outcome:
    """x·s + t before a convolution or matmul is x + t/s, and s goes into the weights.

    So the factor is gone where the addend must stay, because padding would not be shifted.
    """
    addition = m.producer(m.operand(0), "math.add", "math.sub", one_use=True)
    multiplication = m.producer(addition.operands[0], "math.mul", one_use=True)
    linear = Linear(m, m.op)
    _input_constant(m, linear, addition)
    factor = _input_constant(m, linear, multiplication)
    m.require(bool(np.isfinite(factor).all()), "the factor is not finite")
    t, s = (m.constant(op.operands[1]).astype(np.float64) for op in (addition, multiplication))
    quotient = (t / s).astype(addition.result.type.dtype.numpy)
    m.require(bool(np.isfinite(quotient).all()), "the addend over the factor is not finite")

    def shifted() -> Value:
        return m.rebuild(addition, [multiplication.operands[0], m.build_constant(quotient)])

    return linear.rebuilt(shifted, linear.with_scaled_input(factor), linear.bias())
