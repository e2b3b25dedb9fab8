"""Functions of rules that look for a structure in the numbers of a constant."""

from __future__ import annotations

import numpy as np

from burnish.ir import Array

from .functions import Number, rule_function


@rule_function
def equal_halves(constant: Array) -> bool:
    """Whether the last axis of a constant is one half, twice."""
    half, odd = divmod(constant.shape[-1], 2) if constant.ndim else (0, 1)
    return not odd and np.array_equal(constant[..., :half], constant[..., half:])


@rule_function
def equal_pairs(constant: Array) -> bool:
    """Whether neighbours along the last axis of a constant are equal, two by two."""
    if constant.ndim == 0 or constant.shape[-1] % 2:
        return False
    return np.array_equal(constant[..., ::2], constant[..., 1::2])


@rule_function
def counts_up(constant: Array) -> bool:
    """Whether a constant is 0, 1, 2 … along its last axis, and has no other axes that count."""
    numbers = np.arange(constant.size)
    is_row = constant.ndim > 0 and constant.shape[-1] == constant.size
    return is_row and np.array_equal(constant.reshape(-1), numbers)


@rule_function
def is_causal(constant: Array, most: Number) -> bool:
    """Whether a mask adds 0 to a query's keys up to its own, and ``most`` or less to later ones.

    It is square, and the same for all heads; if it is boolean, it adds 0 or -inf.
    """
    if constant.ndim < 2:
        return False
    if constant.dtype == np.bool_:
        constant = np.where(constant, 0, -np.inf)
    rows, columns = constant.shape[-2:]
    if rows != columns or constant.size != rows * columns or rows < 2:
        return False
    matrix = constant.reshape(rows, columns).astype(np.float64)
    later = np.triu(np.ones(matrix.shape, bool), 1)
    return bool((matrix[later] <= most).all() and (matrix[~later] == 0).all())
