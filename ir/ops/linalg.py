"""Linear algebra beyond products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import Attributes
from ..constants import Array
from ..errors import TypeInferenceError
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_equal, show, widen


@register
class Determinant(OpDef):
    """Determinants of square matrices [..., M, M], by elimination with row pivots.  ONNX Det.

    That of an empty matrix is 1; narrow floats compute in f32.
    """

    name = "nn.determinant"
    x = operand("matrices [..., M, M]", dtypes=FLOATS)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if x.rank < 2:
            raise TypeInferenceError(f"x of shape {show(x.shape)} holds no matrices")
        require_equal(x.shape[-1], x.shape[-2], "number of columns")
        return TensorType(x.shape[:-2], x.dtype)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return narrow(np.asarray(np.linalg.det(widen(x))), x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        x = operands[0]
        assert x is not None
        return Cost(macs=x.elements * x.shape[-1] // 3, **traffic(operands, results))
