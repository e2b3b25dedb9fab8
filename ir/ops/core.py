"""Structural ops: constants, terminators, fused groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..attributes import CONSTANT, QUANTIZED, SPARSE, AttributeKind, Attributes, BadAttributeError
from ..constants import Array, Constant
from ..errors import TypeInferenceError
from ..opdef import (
    Cost,
    OpDef,
    OperandTypes,
    RegionFunction,
    Trait,
    attribute,
    operand,
    register,
    sum_dims,
    traffic,
)
from ..types import Quantized, Sparse, TensorType

if TYPE_CHECKING:
    from ..core import Block


def _encoding(value: object) -> tuple[Quantized | Sparse, ...]:
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        if not isinstance(item, (Quantized, Sparse)):
            raise BadAttributeError(f"expected {QUANTIZED} or {SPARSE}, got {item!r}")
    if len(items) > 1:
        raise BadAttributeError("expected at most one encoding")
    return items


ENCODING = AttributeKind("encoding", _encoding)


@register
class ConstantOp(OpDef):
    """Compile-time data, shared by handle."""

    name = "core.constant"
    traits = frozenset({Trait.CONSTANT})
    value = attribute(CONSTANT, "the data")
    encoding = attribute(ENCODING, "what the stored numbers mean, in a list of at most one", ())

    def infer(self, a: Attributes) -> TensorType:
        data: Constant = a.value
        encoding = a.encoding[0] if a.encoding else None
        return TensorType(data.shape, data.dtype, None, encoding)

    def evaluate(self, a: Attributes) -> Array:
        data: Constant = a.value
        return data.array

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost()


class _Terminator(OpDef):
    traits = frozenset({Trait.TERMINATOR})
    values = operand("the results", optional=True, variadic=True)

    def infer(self, a: Attributes, *values: TensorType | None) -> list[TensorType]:
        if any(value is None for value in values):
            raise TypeInferenceError("a result is missing")
        return []

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost()


@register
class Return(_Terminator):
    """Ends a function and hands out its results."""

    name = "core.return"


@register
class Yield(_Terminator):
    """Ends a nested region and hands its results to the op around it."""

    name = "core.yield"


@register
class Group(OpDef):
    """A fused set of ops, computed as one: the region's arguments are the operands.

    Fusion makes groups; backends turn each into one kernel.  A group means exactly what its
    ops mean one after another, each rounding to its own result type.
    """

    name = "core.group"
    regions = ("body",)
    operands_ = operand("what the body reads", optional=True, variadic=True)

    def infer_regions(
        self, a: Attributes, operands: OperandTypes, regions: Sequence[Block]
    ) -> list[TensorType]:
        (body,) = regions
        if [arg.type for arg in body.args] != list(operands):
            raise TypeInferenceError("the body's arguments do not have the operands' types")
        return [value.type for value in body.results]

    def evaluate_regions(
        self, a: Attributes, operands: Sequence[Array], regions: Sequence[RegionFunction]
    ) -> Sequence[Array]:
        return regions[0](*operands)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        """Traffic of the whole group; arithmetic is the sum over its ops (see cost of blocks)."""
        return Cost(flops=sum_dims(r.elements for r in results), **traffic(operands, results))
