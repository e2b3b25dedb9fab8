"""What is known of constant operands."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import Array, Constant, Kind, Value


def plain_constant(value: Value | None) -> Constant | None:
    """The data of a constant that is not encoded; None for all else."""
    if value is None or value.type.encoding is not None:
        return None
    return value.constant


def filled_with(value: Value | None, number: float | int | bool) -> bool:
    """Whether ``value`` is a constant, every element of which is ``number``.

    -0.0 is not 0.0.  A number that is no integer stands for what it is rounded to in the element
    type of the constant; true and false stand for themselves only.
    """
    data = plain_constant(value)
    if data is None or data.size == 0 or data.dtype.kind is Kind.COMPLEX:
        return False
    if isinstance(number, bool) and data.dtype.kind is not Kind.BOOL:
        return False
    first = data.array.reshape(-1)[:1]
    if not _is_number(first, number, exact=not data.dtype.is_float):
        return False
    return data.size == 1 or is_uniform(data.array)


def _is_number(element: Array, number: float | int, *, exact: bool) -> bool:
    if exact and number != number // 1:
        return False
    if exact:
        negative_zero = number == 0 and math.copysign(1, number) < 0
        return int(element[0]) == number and not negative_zero
    with np.errstate(over="ignore"):
        expected = np.asarray(number).astype(element.dtype).astype(np.float64)
    found = element.astype(np.float64)[0]
    if math.isfinite(number) and number == number // 1 and expected != number:
        return False  # 3 is no power of two, as f8e8m0 would have it
    overflows = math.isinf(expected) and not math.isinf(number)
    return bool(found == expected and np.signbit(found) == np.signbit(expected) and not overflows)


def is_uniform(array: Array) -> bool:
    """Whether all elements have the same bytes."""
    flat = np.ascontiguousarray(array).reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, flat.itemsize)
    return bool((raw == raw[:1]).all())
