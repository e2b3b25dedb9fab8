"""Replacements: planned first, built only when nothing can refuse any more.

A plan holds new ops with their types, constants computed now, and values that exist.  Whatever can
fail (attributes, type inference, constant arithmetic, the type of the result) fails while
planning, when the graph is as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from burnish.ir import Array, Attributes, Builder, DType, Op, OpDef, TensorType, Value, lookup
from burnish.ir.errors import Error, TypeInferenceError
from burnish.ir.interpreter import evaluate_definition
from burnish.ir.opdef import Cost

from ..pattern.match import Refusal

FOLD_BYTES = 1 << 16
"""Bytes that a constant computed by a rule may have, or as many as its operands have."""

FOLD_WORK = 1 << 30
"""Operations that computing a constant may take."""


@dataclass(eq=False, slots=True)
class NewOp:
    """An op to be made."""

    opdef: OpDef
    operands: Sequence[Planned | None]
    attributes: Attributes
    types: tuple[TensorType, ...]
    made: Op | None = None


@dataclass(eq=False, slots=True)
class Result:
    """A result of an op to be made."""

    op: NewOp
    index: int

    @property
    def type(self) -> TensorType:
        return self.op.types[self.index]


@dataclass(eq=False, slots=True)
class Data:
    """A constant to be made."""

    array: Array
    type: TensorType = field(init=False)
    made: Value | None = None

    def __post_init__(self) -> None:
        self.type = TensorType(self.array.shape, DType.from_numpy(self.array.dtype))


Planned = Value | Result | Data


def plan_op(
    opdef: OpDef,
    operands: Sequence[Planned | None],
    attributes: Attributes | dict[str, object],
    *,
    fold: bool,
) -> NewOp | Data:
    """An op to be made; with ``fold`` the constant that it gives.

    Raises:
        TypeInferenceError: operands and attributes do not fit.
        Refusal: what should be folded is not constant, too large, or fails.
    """
    kept = list(operands)
    while kept and kept[-1] is None:
        kept.pop()
    complete = opdef.complete(attributes)
    operand_types = [None if operand is None else operand.type for operand in kept]
    types = opdef.result_types(complete, operand_types)
    if not fold:
        return NewOp(opdef, kept, complete, types)
    arrays = [None if operand is None else _data(operand) for operand in kept]
    return Data(_evaluated(opdef, complete, operand_types, types, arrays))


def _data(operand: Planned) -> Array:
    if isinstance(operand, Data):
        return operand.array
    constant = operand.constant if isinstance(operand, Value) else None
    if constant is None or operand.type.encoding is not None:
        raise Refusal("an operand of a fold is not a constant", operand)
    return constant.array


def _evaluated(
    opdef: OpDef,
    attributes: Attributes,
    operand_types: Sequence[TensorType | None],
    types: Sequence[TensorType],
    arrays: Sequence[Array | None],
) -> Array:
    size = sum(t.bytes for t in types)
    available = sum(array.nbytes for array in arrays if array is not None)
    if not isinstance(size, int) or size > max(FOLD_BYTES, available):
        raise Refusal("a folded constant is too large")
    cost: Cost = opdef.cost(attributes, operand_types, types)
    if not all(isinstance(part, int) and part <= FOLD_WORK for part in (cost.macs, cost.flops)):
        raise Refusal("folding takes too long")
    try:
        with np.errstate(all="ignore"):
            result = evaluate_definition(opdef, attributes, operand_types, arrays)[0]
    except Error:
        raise Refusal("folding fails") from None
    return np.asarray(result, order="C")


def plan_number(number: Any, dtype: DType) -> Data:
    """A constant of one element.

    Raises:
        Refusal: the element type does not have the number.
    """
    if isinstance(number, bool) != (dtype is DType.BOOL) or not isinstance(number, (int, float)):
        raise Refusal("a number does not fit the element type")
    if dtype.is_integer:
        low, high = dtype.integer_range
        if number != number // 1 or not low <= number <= high:
            raise Refusal("a number does not fit the element type")
        number = int(number)
    elif not dtype.is_float and dtype is not DType.BOOL:
        raise Refusal("a number does not fit the element type")
    with np.errstate(over="ignore"):
        array = np.asarray(number).astype(dtype.numpy)
    if np.isinf(array.astype(np.float64)) and not np.isinf(number):
        raise Refusal("a number does not fit the element type")
    return Data(array)


def plan_replacement(value: Planned, old: Value) -> Planned:
    """``value`` with the type of ``old``: broadcast to its shape if need be.

    Raises:
        Refusal: the type is another one.
    """
    if value.type == old.type:
        return value
    plain = value.type.logical == value.type and old.type.logical == old.type
    if not plain or value.type.dtype is not old.type.dtype:
        raise Refusal("the replacement has another type", (old, value.type))
    try:
        new = plan_op(lookup("tensor.broadcast"), [value], {"shape": old.type.shape}, fold=False)
    except TypeInferenceError:
        raise Refusal("the replacement has another type", (old, value.type)) from None
    assert isinstance(new, NewOp)
    return Result(new, 0)


def build(value: Planned, builder: Builder) -> Value:
    """Make what is planned, operands first; what has been made is taken."""
    if isinstance(value, Value):
        return value
    if isinstance(value, Data):
        if value.made is None:
            value.made = builder.constant(value.array)
        return value.made
    new = value.op
    if new.made is None:
        operands = [
            None if operand is None else build(operand, builder) for operand in new.operands
        ]
        op = Op(new.opdef, operands, new.attributes, new.types, (), builder.location)
        builder.insert(op)
        new.made = op
    return new.made.results[value.index]
