"""Normalizations: batch, layer, RMS, group, and local response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import FLOAT, INT, Attributes
from ..constants import Array
from ..dims import Dim
from ..errors import TypeInferenceError
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_axis, require_broadcast, require_shape, show, widen

_EPSILON = attribute(FLOAT, "added to the variance, so that nothing is divided by 0", 1e-5)


class _Normalization(OpDef):
    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=results[0].elements * 8, **traffic(operands, results))


def _require_channels(x: TensorType) -> Dim:
    if x.rank < 2:
        raise TypeInferenceError(f"x of shape {show(x.shape)} must be [N, C, ...]")
    return x.shape[1]


def _per_channel(parameter: Array, x: Array) -> Array:
    return widen(parameter).reshape(-1, *[1] * (x.ndim - 2))


@register
class BatchNorm(_Normalization):
    """(x - mean) / √(variance + ε) · scale + bias per channel.  ONNX BatchNormalization, inference.

    x is [N, C, ...], the parameters are [C].
    """

    name = "nn.batch_norm"
    x = operand("input [N, C, ...]", dtypes=FLOATS, group="T")
    scale = operand("[C]", dtypes=FLOATS, rank=1, group="T")
    bias = operand("[C]", dtypes=FLOATS, rank=1, group="T")
    mean = operand("[C]", dtypes=FLOATS, rank=1, group="T")
    variance = operand("[C]", dtypes=FLOATS, rank=1, group="T")
    epsilon = _EPSILON

    def infer(self, a: Attributes, x: TensorType, *parameters: TensorType) -> TensorType:
        channels = _require_channels(x)
        for what, parameter in zip(("scale", "bias", "mean", "variance"), parameters):
            require_shape(parameter, [channels], what)
        return x.logical

    def evaluate(
        self, a: Attributes, x: Array, scale: Array, bias: Array, mean: Array, variance: Array
    ) -> Array:
        with np.errstate(all="ignore"):
            wide = widen(variance)
            factor = widen(scale) / np.sqrt(wide + wide.dtype.type(a.epsilon))
            y = (widen(x) - _per_channel(mean, x)) * _per_channel(factor, x)
            return narrow(y + _per_channel(bias, x), x.dtype)


class _TrailingNorm(_Normalization):
    axis = attribute(INT, "first normalized axis, 0 <= axis < rank; all later ones too")
    epsilon = _EPSILON

    def _result(
        self, a: Attributes, x: TensorType, scale: TensorType, bias: TensorType | None
    ) -> TensorType:
        require_axis(a.axis, x.rank)
        require_broadcast(scale, x.shape, "scale")
        require_broadcast(bias, x.shape, "bias")
        return x.logical


@register
class LayerNorm(_TrailingNorm):
    """(x - mean) / √(variance + ε) · scale + bias over the axes from ``axis`` on.

    ONNX LayerNormalization, first result.  Mean and variance (of the population) are taken
    over those axes; scale and bias broadcast onto x.
    """

    name = "nn.layer_norm"
    x = operand("input", dtypes=FLOATS, group="T")
    scale = operand("broadcasts onto x", dtypes=FLOATS, group="T")
    bias = operand("broadcasts onto x", dtypes=FLOATS, optional=True, group="T")

    def infer(
        self, a: Attributes, x: TensorType, scale: TensorType, bias: TensorType | None
    ) -> TensorType:
        return self._result(a, x, scale, bias)

    def evaluate(self, a: Attributes, x: Array, scale: Array, bias: Array | None) -> Array:
        axes = tuple(range(a.axis, x.ndim))
        with np.errstate(all="ignore"):
            y = _standardized(widen(x), axes, a.epsilon) * widen(scale)
            return narrow(y if bias is None else y + widen(bias), x.dtype)


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    """The mean over axes, kept; NaN without a warning when there is nothing."""
    count = np.prod([x.shape[axis] for axis in axes], dtype=np.int64).astype(x.dtype)
    return np.asarray(x.sum(axis=axes, keepdims=True) / count)


def _standardized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """``x`` with mean 0 and variance 1 over ``axes``."""
    centered = x - _mean(x, axes)
    variance = _mean(centered * centered, axes)
    return np.asarray(centered / np.sqrt(variance + x.dtype.type(epsilon)))


@register
class RMSNorm(_TrailingNorm):
    """x / √(mean(x²) + ε) · scale over the axes from ``axis`` on.  ONNX RMSNormalization."""

    name = "nn.rms_norm"
    x = operand("input", dtypes=FLOATS, group="T")
    scale = operand("broadcasts onto x", dtypes=FLOATS, group="T")

    def infer(self, a: Attributes, x: TensorType, scale: TensorType) -> TensorType:
        return self._result(a, x, scale, None)

    def evaluate(self, a: Attributes, x: Array, scale: Array) -> Array:
        wide = widen(x)
        with np.errstate(all="ignore"):
            square = _mean(wide * wide, tuple(range(a.axis, x.ndim)))
            y = wide / np.sqrt(square + wide.dtype.type(a.epsilon)) * widen(scale)
        return narrow(y, x.dtype)


@register
class GroupNorm(_Normalization):
    """(x - mean) / √(variance + ε) · scale + bias per group of channels.

    ONNX GroupNormalization; InstanceNormalization is one group per channel.  x is
    [N, C, ...]; mean and variance are taken over a group's channels and all later axes,
    scale and bias are [C].
    """

    name = "nn.group_norm"
    x = operand("input [N, C, ...]", dtypes=FLOATS, group="T")
    scale = operand("[C]", dtypes=FLOATS, rank=1, group="T")
    bias = operand("[C]", dtypes=FLOATS, rank=1, group="T")
    groups = attribute(INT, "number of groups; divides C")
    epsilon = _EPSILON

    def infer(
        self, a: Attributes, x: TensorType, scale: TensorType, bias: TensorType
    ) -> TensorType:
        channels = _require_channels(x)
        require_shape(scale, [channels], "scale")
        require_shape(bias, [channels], "bias")
        if a.groups < 1 or channels % a.groups != 0:
            raise TypeInferenceError(f"{channels} channels do not divide into {a.groups} groups")
        return x.logical

    def evaluate(self, a: Attributes, x: Array, scale: Array, bias: Array) -> Array:
        shape = (x.shape[0], a.groups, x.shape[1] // a.groups, *x.shape[2:])
        grouped = widen(x).reshape(shape)
        with np.errstate(all="ignore"):
            y = _standardized(grouped, tuple(range(2, grouped.ndim)), a.epsilon).reshape(x.shape)
            return narrow(y * _per_channel(scale, x) + _per_channel(bias, x), x.dtype)


@register
class LocalResponseNorm(_Normalization):
    """x / (bias + α/size · Σ x²)^β, summed over ``size`` neighbouring channels.  ONNX LRN.

    Channel c sees channels c - ⌊(size-1)/2⌋ to c + ⌈(size-1)/2⌉ that exist.
    """

    name = "nn.lrn"
    x = operand("input [N, C, ...]", dtypes=FLOATS)
    size = attribute(INT, "channels summed over, >= 1")
    alpha = attribute(FLOAT, "scale of the sum", 1e-4)
    beta = attribute(FLOAT, "exponent", 0.75)
    bias = attribute(FLOAT, "added to the sum", 1.0)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        _require_channels(x)
        if a.size < 1:
            raise TypeInferenceError(f"size is {a.size}, needs 1 at least")
        return x.logical

    def evaluate(self, a: Attributes, x: Array) -> Array:
        wide = widen(x)
        square, total = wide * wide, np.zeros_like(wide)
        channels = x.shape[1]
        before = (a.size - 1) // 2
        with np.errstate(all="ignore"):
            for shift in range(max(-before, 1 - channels), min(a.size - before, channels)):
                low, high = max(0, -shift), min(channels, channels - shift)
                total[:, low:high] += square[:, low + shift : high + shift]
            number = wide.dtype.type
            base = number(a.bias) + number(a.alpha / a.size) * total
            return narrow(wide / np.power(base, number(a.beta)), x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=results[0].elements * (2 * a.size + 40), **traffic(operands, results))
