"""Softmax and its logarithm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..attributes import INT, Attributes
from ..constants import Array
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_axis, widen


class _Softmax(OpDef):
    x = operand("the logits, rank >= 1", dtypes=FLOATS)
    axis = attribute(INT, "axis to normalize along, 0 <= axis < rank")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_axis(a.axis, x.rank)
        return x.logical

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=results[0].elements * 20, **traffic(operands, results))


def _shifted(x: Array, axis: int) -> Array:
    """x minus its maximum along ``axis``; a row of -inf only becomes NaN."""
    return np.asarray(x - x.max(axis=axis, keepdims=True, initial=-math.inf))


@register
class Softmax(_Softmax):
    """e^x / Σ e^x along one axis, after subtracting the maximum.  ONNX Softmax.

    A row that holds NaN or +inf, or -inf only, is NaN.  The powers and their sum are rounded to
    the element type, as they are in the function that defines the operator.
    """

    name = "nn.softmax"

    def evaluate(self, a: Attributes, x: Array) -> Array:
        with np.errstate(all="ignore"):
            power = widen(narrow(np.exp(_shifted(widen(x), a.axis)), x.dtype))
            total = widen(narrow(power.sum(axis=a.axis, keepdims=True), x.dtype))
            return narrow(power / total, x.dtype)


@register
class LogSoftmax(_Softmax):
    """x - max - ln Σ e^(x - max) along one axis.  ONNX LogSoftmax."""

    name = "nn.log_softmax"

    def evaluate(self, a: Attributes, x: Array) -> Array:
        with np.errstate(all="ignore"):
            shifted = _shifted(widen(x), a.axis)
            total = np.exp(shifted).sum(axis=a.axis, keepdims=True)
            return narrow(shifted - np.log(total), x.dtype)
