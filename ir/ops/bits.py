"""Reading the same bits as another element type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import DTYPE, Attributes
from ..constants import Array
from ..dtypes import DType
from ..errors import TypeInferenceError
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType


def _bits(dtype: DType) -> int:
    """How many bits an element takes; a bool takes a byte."""
    return 8 if dtype is DType.BOOL else dtype.bits


@register
class Bitcast(OpDef):
    """The bits of each element read as another element type of the same width.  ONNX BitCast.

    Bits that are no bool (any byte but 0 and 1) are true.
    """

    name = "tensor.bitcast"
    x = operand("the data")
    to = attribute(DTYPE, "element type of the result, as wide as that of x")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if _bits(a.to) != _bits(x.dtype):
            raise TypeInferenceError(f"{a.to} is not as wide as {x.dtype}")
        return TensorType(x.shape, a.to)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        to: DType = a.to
        x = np.ascontiguousarray(x).reshape(x.shape)
        if to is DType.BOOL:
            return np.asarray(x.view(np.uint8) != 0)
        if to.bits >= 8:
            return np.asarray(x.view(to.numpy))
        # One element per byte, of which only the low bits count.
        low = np.asarray(x.view(np.uint8) & np.uint8((1 << to.bits) - 1))
        if not to.is_integer:
            return np.asarray(low.view(to.numpy))
        sign = (1 << (to.bits - 1)) if to.is_signed else 0
        return np.asarray(((low ^ sign).astype(np.int8) - sign).astype(to.numpy))

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(**traffic(operands, results))
