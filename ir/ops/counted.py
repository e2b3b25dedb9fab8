"""Ops that find elements: how many there are depends on the data.

Their attribute ``size`` is that number.  An integer is a promise, and an error at run time when
it is broken; a plain symbol is defined by the op: its size is what the op finds, and everything
computed from the result depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import BOOL, DIM, INT, Attributes
from ..constants import Array
from ..dims import Dim, plain_symbol
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import (
    NUMERIC,
    Cost,
    OpDef,
    OperandTypes,
    Trait,
    attribute,
    once_per_element,
    operand,
    register,
)
from ..types import TensorType
from .checks import require_axis, widen

SIZE_DOC = "how many there are: a number that is checked, or a symbol that the op defines"


def check_size(size: Dim) -> None:
    """Refuse a size that is neither a count nor a plain symbol."""
    if isinstance(size, int):
        if size < 0:
            raise TypeInferenceError(f"size is {size}")
    elif plain_symbol(size) is None:
        raise TypeInferenceError(f"size {size} is neither a number nor a symbol")


def check_found(size: Dim, found: int, what: str) -> None:
    """Refuse data that has another number of elements than was promised.

    Raises:
        InputError: ``size`` is a number and ``found`` is another one.
    """
    if isinstance(size, int) and found != size:
        raise InputError(f"there are {found} {what}, but the declared shape needs {size}")


@register
class NonZero(OpDef):
    """Positions of the elements that are not 0, in row-major order.  ONNX NonZero.

    Column j of the result is the position of the j-th such element; a scalar has the
    position 0, as if it were of rank 1.
    """

    name = "tensor.non_zero"
    traits = frozenset({Trait.SIZED})
    x = operand("the data", dtypes=NUMERIC | {DType.BOOL})
    size = attribute(DIM, SIZE_DOC)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        check_size(a.size)
        return TensorType((max(x.rank, 1), a.size), DType.I64)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        found = np.stack(np.nonzero(np.atleast_1d(widen(x)))).astype(np.int64)
        check_found(a.size, found.shape[1], "elements that are not 0")
        return found

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return once_per_element(operands, results)


@register
class Unique(OpDef):
    """The distinct slices along an axis.  ONNX Unique.

    Results are the slices, the position where each occurs first, for every slice of x which
    of the distinct ones it is, and how often each occurs.  Slices are ordered as their elements
    in row-major order, ascending; NaN comes last and equals itself, and 0 equals -0.
    """

    name = "tensor.unique"
    traits = frozenset({Trait.SIZED})
    result_names = ("values", "indices", "inverse", "counts")
    x = operand("the data", dtypes=NUMERIC | {DType.BOOL})
    axis = attribute(INT, "axis whose slices are compared, 0 <= axis < rank")
    sorted_ = attribute(BOOL, "ascending, else in the order of first occurrence", True)
    size = attribute(DIM, SIZE_DOC)

    def infer(self, a: Attributes, x: TensorType) -> list[TensorType]:
        check_size(a.size)
        require_axis(a.axis, x.rank)
        shape = (*x.shape[: a.axis], a.size, *x.shape[a.axis + 1 :])
        each, whole = TensorType((a.size,), DType.I64), TensorType((x.shape[a.axis],), DType.I64)
        return [TensorType(shape, x.dtype), each, whole, each]

    def evaluate(self, a: Attributes, x: Array) -> list[Array]:
        count = x.shape[a.axis]
        rows = np.moveaxis(widen(x), a.axis, 0).reshape(count, x.size // max(count, 1))
        order = np.lexsort(rows.T[::-1]) if rows.shape[1] else np.arange(count)
        ascending = rows[order]
        same = (ascending[1:] == ascending[:-1]) | (
            (ascending[1:] != ascending[1:]) & (ascending[:-1] != ascending[:-1])
        )
        starts = np.concatenate([[True], ~same.all(axis=1)])[:count]
        first = order[starts]  # the sort is stable: of equal slices the first comes first
        inverse = np.empty(count, np.int64)
        inverse[order] = np.cumsum(starts) - 1
        if not a.sorted:
            by_position = np.argsort(first, kind="stable")
            inverse = np.argsort(by_position, kind="stable")[inverse]
            first = first[by_position]
        check_found(a.size, len(first), "distinct slices")
        counts = np.bincount(inverse, minlength=len(first))
        values = np.take(x, first, a.axis)
        return [values, *(each.astype(np.int64) for each in (first, inverse, counts))]

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return once_per_element(operands, results)
