"""The functions that rules may call: shapes, permutations, constants, element types."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import Array, DType, Kind, Op, Value, broadcast_shapes
from burnish.ir.dims import DimExpr, is_nonnegative, product
from burnish.ir.errors import TypeInferenceError
from burnish.ir.opdef import sum_dims
from burnish.ir.scalar import convert

from ..pattern.constants import filled_with, is_uniform, plain_constant
from ..pattern.match import Refusal
from .functions import List, Number, Undecided, Values, rule_function

# Numbers and lists -----------------------------------------------------------------------


@rule_function
def min_(a: Number, b: Number) -> Number:
    """The smaller of two numbers."""
    _decided(a, b)
    return min(a, b)


@rule_function
def max_(a: Number, b: Number) -> Number:
    """The larger of two numbers."""
    _decided(a, b)
    return max(a, b)


@rule_function
def power(base: Number, exponent: Number) -> Number:
    """``base`` to the power of ``exponent``."""
    _decided(base, exponent)
    return base**exponent


@rule_function
def is_nan(number: Number) -> bool:
    """Whether a number is NaN."""
    return isinstance(number, float) and math.isnan(number)


def _decided(*numbers: object) -> None:
    if any(isinstance(number, DimExpr) for number in numbers):
        raise Undecided


@rule_function
def length(items: List) -> int:
    """How many elements a list has."""
    return len(items)


@rule_function
def count(values: Values) -> int:
    """How many values a rest variable took."""
    return len(values)


@rule_function
def concat(a: List, b: List) -> List:
    """The elements of ``a``, then those of ``b``."""
    return (*a, *b)


@rule_function
def add(a: List, b: List) -> List:
    """Sums, element by element."""
    _same_length(a, b)
    return tuple(p + q for p, q in zip(a, b))


@rule_function
def subtract(a: List, b: List) -> List:
    """Differences, element by element."""
    _same_length(a, b)
    return tuple(p - q for p, q in zip(a, b))


@rule_function
def multiply(a: List, b: List) -> List:
    """Products, element by element."""
    _same_length(a, b)
    return tuple(p * q for p, q in zip(a, b))


def _same_length(a: List, b: List) -> None:
    if len(a) != len(b):
        raise Refusal("lists have different lengths")


@rule_function
def replaced(items: List, index: Number, item: Number) -> List:
    """``items`` with another element at ``index``."""
    if not 0 <= index < len(items):
        raise IndexError
    return (*items[:index], item, *items[index + 1 :])


@rule_function
def inserted(items: List, index: Number, item: Number) -> List:
    """``items`` with a further element in front of ``index``."""
    return (*items[:index], item, *items[index:])


@rule_function
def repeated(item: Number, times: Number) -> List:
    """A list of ``times`` equal elements."""
    _decided(times)
    return tuple([item] * times)


@rule_function
def all_(items: List, item: Number) -> bool:
    """Whether every element of a list is ``item``."""
    if any(isinstance(other, DimExpr) for other in items):
        raise Undecided
    return all(other == item for other in items)


@rule_function
def total(items: List) -> Number:
    """The sum of a list."""
    return sum_dims(items)


@rule_function
def elements(shape: List) -> Number:
    """How many elements a tensor of that shape has."""
    return product(shape)


@rule_function
def ordered(items: List) -> List:
    """The elements in ascending order, each once."""
    _decided(*items)
    return tuple(sorted(set(items)))


# Axes ------------------------------------------------------------------------------------


@rule_function
def is_identity(permutation: List) -> bool:
    """Whether a permutation leaves all axes in place."""
    return permutation == tuple(range(len(permutation)))


@rule_function
def inverse(permutation: List) -> List:
    """The permutation that undoes ``permutation``."""
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


@rule_function
def permuted(items: List, permutation: List) -> List:
    """``items[permutation[0]], items[permutation[1]], …``: also two permutations in one."""
    return tuple(items[axis] for axis in permutation)


@rule_function
def swaps_matrices(permutation: List) -> bool:
    """Whether only the last two axes change places."""
    rank = len(permutation)
    return rank >= 2 and permutation == (*range(rank - 2), rank - 1, rank - 2)


@rule_function
def kept_in_order(permutation: List, shape: List) -> bool:
    """Whether the axes whose size is not 1 keep their order: nothing moves in memory."""
    moved = [axis for axis in permutation if shape[axis] != 1]
    return moved == sorted(moved)


@rule_function
def other_axes(rank: Number, axes: List) -> List:
    """The axes of a tensor that are not in ``axes``, ascending."""
    return tuple(axis for axis in range(rank) if axis not in axes)


@rule_function
def position(item: Number, items: List) -> Number:
    """Where ``item`` stands in ``items``; refuses if it is not there."""
    if item not in items:
        raise Refusal("not in the list")
    return items.index(item)


@rule_function
def positions(wanted: List, items: List) -> List:
    """Where each of ``wanted`` stands in ``items``."""
    return tuple(position(item, items) for item in wanted)


@rule_function
def without(items: List, removed: List) -> List:
    """The elements that are not in ``removed``."""
    return tuple(item for item in items if item not in removed)


@rule_function
def one_at(axis: Number, rank: Number, extent: Number) -> List:
    """A shape with ``extent`` at ``axis`` and 1 elsewhere."""
    return tuple(extent if i == axis else 1 for i in range(rank))


@rule_function
def units_at(shape: List, axes: List) -> List:
    """``shape`` with 1 at all of ``axes``."""
    return tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))


# Shapes ----------------------------------------------------------------------------------


@rule_function
def broadcast(a: List, b: List) -> List:
    """The shape that two shapes broadcast to; refuses if there is none."""
    try:
        return broadcast_shapes(a, b)
    except TypeInferenceError:
        raise Refusal("the shapes do not broadcast") from None


@rule_function
def broadcast_all(values: Values) -> List:
    """The shape that the shapes of values broadcast to; refuses if there is none."""
    try:
        return broadcast_shapes(*(value.type.shape for value in values))
    except TypeInferenceError:  # a symbol against another size
        raise Refusal("the shapes do not broadcast") from None


@rule_function
def units_repeated(shape: List, repeats: List) -> bool:
    """Whether only axes of size 1 are repeated."""
    return all(dim == 1 or times == 1 for dim, times in zip(shape, repeats))


@rule_function
def steps_are_one(steps: List, sizes: List) -> bool:
    """Whether a slice takes neighbours in order: its steps are 1 where it takes more than one."""
    return all(step == 1 or size == 1 for step, size in zip(steps, sizes))


@rule_function
def windows_meet_input(kernel: List, pads: List, dilations: List, overhang: List) -> bool:
    """Whether no window of a pool lies in the padding alone."""
    spatial = len(kernel)
    return all(
        dilations[i] == 1 and pads[i] < kernel[i] and pads[i + spatial] + overhang[i] < kernel[i]
        for i in range(spatial)
    )


@rule_function
def not_empty(values: Values, axis: Number) -> Values:
    """The values whose size along ``axis`` is not 0; the first one if there is none."""
    full = tuple(value for value in values if value.type.shape[axis] != 0)
    return full or values[:1]


@rule_function
def is_static(shape: List) -> bool:
    """Whether no dimension is symbolic."""
    return not any(isinstance(dim, DimExpr) for dim in shape)


@rule_function
def units_added(shape: List, before: List) -> bool:
    """Whether ``shape`` is ``before`` with axes of size 1 added in front."""
    added = len(shape) - len(before)
    return shape == (1,) * added + before


@rule_function
def extents(values: Values, axis: Number) -> List:
    """The sizes of values along an axis."""
    return tuple(value.type.shape[axis] for value in values)


@rule_function
def piece(extents: List, start: Number, size: Number, step: Number) -> Number:
    """Which of several pieces of an axis a slice reads; refuses if it reads two, or nothing."""
    _decided(start, size, step, *extents)
    low, high = sorted((start, start + (size - 1) * step))
    offset = 0
    for index, extent in enumerate(extents if size > 0 else ()):
        if offset <= low and high < offset + extent:
            return index
        offset += extent
    raise Refusal("several operands are read")


@rule_function
def lies_within(shape: List, starts: List, sizes: List, steps: List) -> bool:
    """Whether a slice takes only elements that exist, whatever symbols stand for."""
    for extent, start, size, step in zip(shape, starts, sizes, steps):
        last = start + (size - 1) * step
        ends = (start, extent - 1 - last) if step > 0 else (last, extent - 1 - start)
        if size != 0 and not all(map(is_nonnegative, ends)):
            raise Undecided  # a slice of sizes that are known was verified
    return True


# Constants -------------------------------------------------------------------------------


@rule_function
def is_constant(value: Value | None) -> bool:
    """Whether a value is a constant, encoded or not."""
    return value is not None and value.constant is not None


@rule_function
def absent(value: Value | None) -> bool:
    """Whether an optional operand is not there."""
    return value is None


@rule_function
def filled(value: Value | None, number: object) -> bool:
    """Whether a value is a constant, every element of which is ``number`` (-0.0 is not 0.0)."""
    return isinstance(number, (int, float)) and filled_with(value, number)


@rule_function
def uniform(value: Value | None) -> bool:
    """Whether a value is a constant whose elements are all equal."""
    data = plain_constant(value)
    return data is not None and data.size > 0 and is_uniform(data.array)


@rule_function
def all_bits_set(value: Value | None) -> bool:
    """Whether a value is a constant of integers, all of whose bits are set."""
    data = plain_constant(value)
    if data is None or not data.dtype.is_integer or data.size == 0:
        return False
    ones = -1 if data.dtype.kind is Kind.INT else data.dtype.integer_range[1]
    return bool((data.array == np.asarray(ones).astype(data.dtype.numpy)).all())


@rule_function
def near(constant: Array, number: Number, tolerance: Number) -> bool:
    """Whether every element is within ``tolerance``, relative to ``number``, of it."""
    close = np.abs(constant.astype(np.float64) - number) <= tolerance * abs(number)
    return bool(constant.size > 0 and close.all())


@rule_function
def finite(constant: Array) -> bool:
    """Whether no element is infinite or NaN."""
    return bool(np.isfinite(constant.astype(np.float64)).all())


@rule_function
def invertible_exactly(constant: Array) -> bool:
    """Whether each element is a power of two whose reciprocal is a normal number too."""
    if constant.dtype not in (np.float32, np.float64):
        return False
    mantissa, exponent = np.frexp(constant)
    limit = 126 if constant.dtype == np.float32 else 1022
    return bool(((np.abs(mantissa) == 0.5) & (np.abs(exponent) < limit)).all())


# Element types and values ----------------------------------------------------------------

MANTISSA_BITS = {DType.F64: 53, DType.F32: 24, DType.F16: 11, DType.BF16: 8}
"""Integers of up to this many bits are floats of that type."""

WIDENED_FLOATS = {
    (DType.F16, DType.F32),
    (DType.F16, DType.F64),
    (DType.BF16, DType.F32),
    (DType.BF16, DType.F64),
    (DType.F32, DType.F64),
}


@rule_function
def lossless(source: DType, to: DType) -> bool:
    """Whether a cast keeps every value of ``source``."""
    if source is to or (source, to) in WIDENED_FLOATS:
        return True
    if source.kind is Kind.BOOL:
        return to.is_integer or to in MANTISSA_BITS
    if not source.is_integer:
        return False
    if to in MANTISSA_BITS:
        return source.bits <= MANTISSA_BITS[to]
    if not to.is_integer:
        return False
    low, high = source.integer_range
    return to.integer_range[0] <= low and high <= to.integer_range[1]


@rule_function
def survives_cast(constant: Array, to: DType) -> bool:
    """Whether every element stays the same number as ``to``."""
    back = convert(convert(constant, to), DType.from_numpy(constant.dtype))
    return bool(np.array_equal(back, constant, equal_nan=constant.dtype.kind == "f"))


@rule_function
def same(a: Op, b: Op) -> bool:
    """Whether two ops are of one kind, with equal attributes."""
    return a.opdef is b.opdef and a.attributes == b.attributes
