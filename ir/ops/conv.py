"""Convolutions over any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import dims
from ..attributes import INT, INTS, Attributes
from ..constants import Array
from ..dims import Dim
from ..errors import TypeInferenceError
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_equal, require_shape, show, widen
from .math import NUMERIC
from .windows import check_windows, pad_spatial, static, taps, trailing, window_counts

_BLOCK = 1 << 26
"""Elements of unfolded input to hold at a time."""


@register
class Conv(OpDef):
    """Convolution (cross-correlation) of x [N, C, ...] with w [M, C/groups, k...].  ONNX Conv.

    y[n, m, o...] = b[m] + Σ_c,k  w[m, c, k...] · x[n, c, (o·stride + k·dilation - pad)...]
    over the channels of m's group; positions outside x count as 0.  Result [N, M, ...] with
    (size + pads - dilation·(k - 1) - 1) // stride + 1 elements along each spatial axis.
    Whether infinity or NaN as a weight there gives 0 or NaN is left open.
    """

    name = "nn.conv"
    x = operand("input [N, C, spatial...], at least one spatial axis", dtypes=NUMERIC, group="T")
    w = operand("weights [M, C/groups, kernel...]", dtypes=NUMERIC, group="T")
    b = operand("bias [M]", dtypes=NUMERIC, rank=1, optional=True, group="T")
    strides = attribute(INTS, "step between windows, per spatial axis")
    pads = attribute(INTS, "zeros added: all begins, then all ends")
    dilations = attribute(INTS, "distance between kernel elements, per spatial axis")
    groups = attribute(INT, "groups of channels that are convolved separately", 1)

    def infer(
        self, a: Attributes, x: TensorType, w: TensorType, b: TensorType | None
    ) -> TensorType:
        check_windows(a, x, ("strides", "pads", "dilations"))
        _check_weights(a, x, w)
        require_equal(w.shape[1] * a.groups, x.shape[1], "input channels of w times groups")
        _require_divisible(w.shape[0], a.groups, "output channels")
        require_shape(b, w.shape[:1], "b")
        counts = window_counts(x.shape[2:], w.shape[2:], a.strides, a.pads, a.dilations)
        return TensorType((x.shape[0], w.shape[0], *counts), x.dtype)

    def evaluate(self, a: Attributes, x: Array, w: Array, b: Array | None) -> Array:
        kernel = w.shape[2:]
        counts = window_counts(x.shape[2:], kernel, a.strides, a.pads, a.dilations)
        out = static(counts)
        padded = pad_spatial(widen(x), a.pads, None, 0)
        with np.errstate(all="ignore"):
            y = np.zeros((x.shape[0], w.shape[0], *out), padded.dtype)
            if y.size and w.size:
                convolve = _by_taps if w.shape[1] == 1 else _by_matmul
                convolve(a, padded, widen(w), y)
            if b is not None:
                y += widen(b).reshape(-1, *[1] * len(out))
        return narrow(y, x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        w = operands[1]
        assert w is not None
        each = dims.product(w.shape[1:])
        return Cost(macs=results[0].elements * each, **traffic(operands, results))


def _check_weights(a: Attributes, x: TensorType, w: TensorType) -> None:
    if a.groups < 1:
        raise TypeInferenceError(f"groups is {a.groups}, needs 1 at least")
    if w.rank != x.rank:
        raise TypeInferenceError(
            f"w of shape {show(w.shape)} does not have the rank of x {show(x.shape)}"
        )
    if any(extent == 0 for extent in w.shape[2:]):
        raise TypeInferenceError(f"w of shape {show(w.shape)} has an empty kernel")


def _require_divisible(dim: Dim, groups: int, what: str) -> None:
    if dim % groups != 0:
        raise TypeInferenceError(f"{dim} {what} do not divide into {groups} groups")


def _by_taps(a: Attributes, x: Array, w: Array, y: Array) -> None:
    """Convolve one channel per group: one multiplication of whole planes per kernel element."""
    grouped = y.reshape(y.shape[0], a.groups, -1, *y.shape[2:])
    plane = [1] * (y.ndim - 2)
    weights = w.reshape(a.groups, -1, *w.shape[2:])
    for position, seen in taps(x, w.shape[2:], a.strides, a.dilations, y.shape[2:]):
        factor = weights[trailing(position)].reshape(*weights.shape[:2], *plane)
        grouped += factor * seen[:, :, np.newaxis]


def _by_matmul(a: Attributes, x: Array, w: Array, y: Array) -> None:
    """Unfold windows into columns and multiply by the weights, as much at a time as fits."""
    kernel, out = w.shape[2:], y.shape[2:]
    weights = w.reshape(a.groups, w.shape[0] // a.groups, -1)
    depth = weights.shape[2]
    rows = max(1, _BLOCK // max(1, a.groups * depth * math.prod(out[1:])))
    for image, result in zip(x, y):
        for start in range(0, out[0], rows):
            count = min(rows, out[0] - start)
            part = image[np.newaxis, :, start * a.strides[0] :]
            counts = (count, *out[1:])
            columns = np.empty((image.shape[0], math.prod(kernel), *counts), x.dtype)
            seen_by_tap = taps(part, kernel, a.strides, a.dilations, counts)
            for index, (_, seen) in enumerate(seen_by_tap):
                columns[:, index] = seen[0]
            product = np.matmul(weights, columns.reshape(a.groups, depth, -1))
            result[:, start : start + count] = product.reshape(-1, *counts)


@register
class ConvTranspose(OpDef):
    """Transposed convolution of x [N, C, ...] with w [C, M/groups, k...].  ONNX ConvTranspose.

    Every x[n, c, i...] adds w[c, m, k...] times itself to y[n, m, (i·stride + k·dilation -
    pad)...].  Along each spatial axis the result has (size - 1)·stride + dilation·(k - 1) + 1 +
    output_padding - pads elements.
    """

    name = "nn.conv_transpose"
    x = operand("input [N, C, spatial...], at least one spatial axis", dtypes=NUMERIC, group="T")
    w = operand("weights [C, M/groups, kernel...]", dtypes=NUMERIC, group="T")
    b = operand("bias [M]", dtypes=NUMERIC, rank=1, optional=True, group="T")
    strides = attribute(INTS, "distance between inputs in the result, per spatial axis")
    pads = attribute(INTS, "elements cut off: all begins, then all ends")
    dilations = attribute(INTS, "distance between kernel elements, per spatial axis")
    output_padding = attribute(INTS, "elements added at the end, per spatial axis")
    groups = attribute(INT, "groups of channels that are convolved separately", 1)

    def infer(
        self, a: Attributes, x: TensorType, w: TensorType, b: TensorType | None
    ) -> TensorType:
        check_windows(a, x, ("strides", "pads", "dilations", "output_padding"))
        _check_weights(a, x, w)
        require_equal(w.shape[0], x.shape[1], "input channels of w")
        _require_divisible(x.shape[1], a.groups, "input channels")
        channels = w.shape[1] * a.groups
        require_shape(b, [channels], "b")
        spatial = _transposed_extents(a, x.shape[2:], w.shape[2:])
        for axis, extent in enumerate(spatial):
            if isinstance(extent, int) and extent < 0:
                raise TypeInferenceError(f"spatial axis {axis} of the result has {extent} elements")
        return TensorType((x.shape[0], channels, *spatial), x.dtype)

    def evaluate(self, a: Attributes, x: Array, w: Array, b: Array | None) -> Array:
        kernel, wide = w.shape[2:], widen(x)
        spatial = static(_transposed_extents(a, x.shape[2:], kernel))
        n, groups, outer = x.shape[0], a.groups, w.shape[1]
        half = len(spatial)
        full = [s + a.pads[i] + a.pads[i + half] for i, s in enumerate(spatial)]
        y = np.zeros((n, groups * outer, *full), wide.dtype)
        columns = wide.reshape(n, groups, x.shape[1] // groups, math.prod(x.shape[2:]))
        weights = widen(w).reshape(groups, x.shape[1] // groups, outer, *kernel)
        with np.errstate(all="ignore"):
            if x.size and w.size:
                for position, target in taps(y, kernel, a.strides, a.dilations, x.shape[2:]):
                    factor = weights[trailing(position)].swapaxes(1, 2)
                    np.add(target, np.matmul(factor, columns).reshape(target.shape), out=target)
            y = y[trailing(slice(p, p + s) for p, s in zip(a.pads, spatial))]
            if b is not None:
                y = y + widen(b).reshape(-1, *[1] * half)
        return narrow(y, x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        x, w = operands[:2]
        assert x is not None
        assert w is not None
        return Cost(macs=x.elements * dims.product(w.shape[1:]), **traffic(operands, results))


def _transposed_extents(a: Attributes, extents: Sequence[Dim], kernel: Sequence[Dim]) -> list[Dim]:
    spatial = len(extents)
    return [
        (extent - 1) * a.strides[i]
        + (kernel[i] - 1) * a.dilations[i]
        + 1
        + a.output_padding[i]
        - a.pads[i]
        - a.pads[i + spatial]
        for i, extent in enumerate(extents)
    ]
