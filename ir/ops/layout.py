"""Changing how a tensor lies in memory."""

from __future__ import annotations

from ..attributes import LAYOUT, Attributes
from ..constants import Array
from ..errors import TypeInferenceError
from ..opdef import OpDef, attribute, operand, register
from ..types import TensorType


@register
class Relayout(OpDef):
    """The same tensor stored in another order: its meaning does not change, its bytes do."""

    name = "tensor.relayout"
    x = operand("the data")
    layout = attribute(LAYOUT, "storage order of the result; axes in order for row-major")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if problem := a.layout.problem(x.rank):
            raise TypeInferenceError(problem)
        return x.with_layout(a.layout)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        return x
