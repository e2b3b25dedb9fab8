"""Convolutions and matrix products with constant weights, as matrices over channels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from burnish.ir import Array, Op, Value

from .constants import ConstantData, is_constant

OPS = ("nn.conv", "nn.conv_transpose", "nn.matmul")


@dataclass(frozen=True)
class Linear:
    """A linear op: result channel m is the sum of weights[m, c, k] · x[c] over channels and taps.

    Attributes:
        op: the op.
        x_axis: the axis of operand 0 along which channels are summed over.
        axis: the axis of the result along which its channels lie.
        in_axis: the axis of the weights (operand 1) that belongs to x's channels.
        out_axis: the one that belongs to the result's.
        groups: groups of channels; the weights are then [groups, out, in, taps].
    """

    op: Op
    x_axis: int
    axis: int
    in_axis: int
    out_axis: int
    groups: int

    @cached_property
    def inside(self) -> Array:
        """Per tap, whether it meets an element of x for every element of the result.

        The others sometimes meet padding, which adds nothing.
        """
        return _inside(self.op)

    @property
    def x(self) -> Value:
        """What is multiplied by the weights."""
        return self.op.inputs[0]

    @property
    def w(self) -> Value:
        """The weights."""
        return self.op.inputs[1]

    @property
    def bias(self) -> Value | None:
        """What is added, if anything."""
        return self.op.operands[2] if len(self.op.operands) > 2 else None

    def weights(self, data: ConstantData) -> Array:
        """The weights in f64 as [groups, out, in, taps], 0 where they are negligible."""
        array: Array = data.significant(data(self.w).astype(np.float64))
        if self.op.name == "nn.matmul":
            matrix = array if self.out_axis == 0 else array.T
            return np.expand_dims(matrix, (0, 3))
        per_group = array.shape[0] // self.groups
        array = array.reshape(self.groups, per_group, array.shape[1], len(self.inside))
        return array if self.op.name == "nn.conv" else array.swapaxes(1, 2)

    def bias_data(self, data: ConstantData) -> Array | None:
        """The addend per channel [out] in f64; None where it is not such a constant."""
        channels = self.op.result.type.shape[self.axis]
        assert isinstance(channels, int)  # other axes may be dynamic
        if self.bias is None:
            return np.zeros(channels)
        array = data(self.bias).astype(np.float64)
        if array.size not in (1, array.shape[-1] if array.ndim else 1):
            return None
        return np.broadcast_to(array.reshape(-1), channels)


def linear(op: Op) -> Linear | None:
    """``op`` as a linear op, if it is one: channels counted, constants for weights and bias.

    Weights that other ops use too are theirs as well, and stay as they are.
    """
    if op.name not in OPS:
        return None
    x, w = op.inputs[:2]
    x_axis, axis, in_axis, out_axis = _axes(op)
    fits = is_constant(w) and w.has_one_use and w.type.is_static
    bias = op.operands[2] if len(op.operands) > 2 else None
    fits = fits and (bias is None or is_constant(bias))
    if not fits or not all(
        isinstance(value.type.shape[where], int)
        for value, where in ((x, x_axis), (op.result, axis))
    ):
        return None
    if op.name == "nn.matmul" and w.type.rank != 2:
        return None
    groups = 1 if op.name == "nn.matmul" else int(op.attributes.groups)
    return Linear(op, x_axis, axis, in_axis, out_axis, groups)


def _axes(op: Op) -> tuple[int, int, int, int]:
    if op.name == "nn.conv":
        return 1, 1, 1, 0
    if op.name == "nn.conv_transpose":
        return 1, 1, 0, 1
    a = op.attributes
    x_axis = op.inputs[0].type.rank - (2 if a.transpose_a else 1)
    in_axis = 1 if a.transpose_b else 0
    return x_axis, op.result.type.rank - 1, in_axis, 1 - in_axis


def _inside(op: Op) -> Array:
    """Per tap of the kernel, in row-major order, whether it never meets padding."""
    if op.name == "nn.matmul":
        return np.ones(1, bool)
    a, kernel = op.attributes, op.inputs[1].type.static_shape[2:]
    if op.name == "nn.conv_transpose":
        # An element of the result meets only some taps, unless every element is one of x.
        plain = math.prod(kernel) == 1 and set(a.strides) == {1} and not any(a.output_padding)
        return np.full(math.prod(kernel), plain and not any(a.pads))
    extents, counts = op.inputs[0].type.shape[2:], op.result.type.shape[2:]
    per_axis = [
        _inside_axis(extents[i], counts[i], kernel[i], a.strides[i], a.dilations[i], a.pads, i)
        for i in range(len(kernel))
    ]
    return np.array([all(taps) for taps in itertools.product(*per_axis)], bool)


def _inside_axis(
    extent: object,
    count: object,
    kernel: int,
    stride: int,
    dilation: int,
    pads: Sequence[int],
    axis: int,
) -> list[bool]:
    before, after = pads[axis], pads[axis + len(pads) // 2]
    if not before and not after:
        return [True] * kernel
    if not isinstance(extent, int) or not isinstance(count, int):
        return [False] * kernel
    first = [tap * dilation - before for tap in range(kernel)]
    return [start >= 0 and start + (count - 1) * stride < extent for start in first]
