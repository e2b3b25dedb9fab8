"""Audio front ends."""

from __future__ import annotations

import math

import numpy as np

from ..builder import Refusal, Term
from ..context import Context
from ..registry import lowering
from .matmul import product

_LARGEST = 1 << 24
"""Elements of the largest table."""


@lowering("signal.frames")
def _frames(c: Context) -> Term:
    """The samples of each frame, taken by their places."""
    count = c.shape()[1]
    places = np.arange(count)[:, np.newaxis] * c.a.step + np.arange(c.a.length)
    return c.call("take", c.input(0), c.ints(places), axis=1)


@lowering("signal.dft")
def _fourier(c: Context) -> Term:
    """A product with the matrix of the transform: the transform of every unit vector."""
    x, points = c.wide(0), c.a.length
    x = c.slice(x, x.rank - 2, 0, min(points, x.shape[-2]))
    inputs, outputs = math.prod(x.shape[-2:]), math.prod(c.shape()[-2:])
    if inputs * outputs > _LARGEST or inputs == 0:
        raise Refusal(f"a Fourier transform of {points} points")
    units = np.eye(inputs).reshape(inputs, *x.shape[-2:])
    matrix = np.asarray(c.op.opdef.evaluate(c.a, units))
    table = c.array(matrix.reshape(inputs, outputs).astype(x.dtype.numpy))
    y = product(c, c.reshape(x, (math.prod(x.shape[:-2]), inputs)), table)
    return c.cast(c.reshape(y, c.shape()), c.type().dtype)
