"""Audio front ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..refusal import Refusal
from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .matmul import product
from .scalars import Scalar

_LARGEST = 1 << 24
"""Elements of the largest table."""


@te_lowering("signal.frames")
def _frames(c: Context) -> Expr:
    step = c.a.step

    def function(x: Tensor, shape: Sequence[Scalar]) -> Tensor:
        return compute(shape, lambda b, frame, sample, *rest: x(b, frame * step + sample, *rest))

    return c.te(function, c.input(0), c.sizes(c.result().shape))


@te_lowering("signal.dft")
def _fourier(c: Context) -> Expr:
    """A product with the matrix of the transform: the transform of every unit vector."""
    type_, shape, points = c.type(), c.result().shape, c.a.length
    dtype = type_.dtype
    samples, parts = c.static(type_.shape[-2:], "a signal")
    results = math.prod(c.static(shape[-2:], "a spectrum"))
    if samples * parts * results > _LARGEST or not samples:
        raise Refusal(f"a Fourier transform of {points} points")
    units = np.eye(samples * parts).reshape(-1, samples, parts)
    matrix = np.asarray(c.op.opdef.evaluate(c.a, units))
    table = c.constant(matrix.reshape(samples * parts, results).astype(dtype.compute.numpy))
    lead = c.sizes(type_.shape[:-2])
    rows = c.reshape(c.wide(0), [*lead, c.size(1), c.size(samples * parts)])
    y = product(c, rows, table, dtype.compute)
    return c.cast(c.reshape(y, c.sizes(shape)), dtype.compute, dtype)
