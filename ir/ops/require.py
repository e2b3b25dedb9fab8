"""Checks at run time: what a static type promises of data that only the run brings."""

from __future__ import annotations

from collections.abc import Sequence

from ..attributes import DIMS, STRING, Attributes
from ..constants import Array
from ..dtypes import DType
from ..errors import InputError
from ..opdef import Cost, OpDef, OperandTypes, Trait, attribute, operand, register
from ..types import TensorType
from .checks import require_shape, show


@register
class Require(OpDef):
    """x, provided that the integers in ``actual`` are those of ``expected``; else an error.

    It stands where ONNX hands over a shape, axes or a count as data, and the declared shape of
    a result says what they must be.  Who uses x through this op relies on the check.
    """

    name = "control.require"
    traits = frozenset({Trait.VIEW, Trait.CHECK})
    x = operand("the data")
    actual = operand("what the model got", dtypes={DType.I64}, rank=1)
    expected = attribute(DIMS, "what it must be")
    what = attribute(STRING, "what the integers are, for messages", "value")

    def infer(self, a: Attributes, x: TensorType, actual: TensorType) -> TensorType:
        require_shape(actual, (len(a.expected),), "actual")
        return x

    def evaluate(self, a: Attributes, x: Array, actual: Array) -> Array:
        if problem := self.problem(a, actual):
            raise InputError(problem)
        return x

    @staticmethod
    def problem(a: Attributes, actual: Array) -> str:
        """What is wrong with ``actual``; empty when it is as expected."""
        found = tuple(actual.tolist())
        if found == a.expected:
            return ""
        return f"its {a.what} is {show(found)}, but the declared shape needs {show(a.expected)}"

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=len(a.expected))
