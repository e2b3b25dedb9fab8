"""Convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm import te, tirx

from burnish.ir import DType

from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .matmul import multiplied
from .reduce import some_axis
from .scalars import Scalar, constant, primitive


def _biased(c: Context, y: Expr) -> Expr:
    dtype = c.type().dtype
    if c.has(2):
        # Without a tensor in between of the result's rank, TVM fuses this into the product.
        y = c.te(lambda y, b: _plus(y, b, dtype.compute), y, c.wide(2))
    return c.cast(y, dtype.compute, dtype)


def _plus(y: Tensor, bias: Tensor, dtype: DType) -> Tensor:
    return compute(y.shape, lambda *i: primitive("add", dtype, y(*i), bias(i[1])))


@te_lowering("nn.conv")
def _conv(c: Context) -> Expr:
    """A matrix product where channels mix, of which neither matrix is stored in memory."""
    (x, dtype), (w, _) = c.factor(0), c.factor(1)
    as_product = c.lowering.device == "cuda" and c.a.groups == 1
    write = _implicit_product if as_product else _direct
    y = c.te(lambda x, w, shape: write(c, x, w, shape, dtype), x, w, c.sizes(c.result().shape))
    return _biased(c, y)


def _source(c: Context, o: Scalar, k: Scalar, axis: int) -> Scalar:
    """Where a tap of a window lies along a spatial axis."""
    return o * c.a.strides[axis] + k * c.a.dilations[axis] - c.a.pads[axis]


def _seen(c: Context, x: Tensor, lead: Sequence[Scalar], places: Sequence[Scalar]) -> Scalar:
    """An element of the input, 0 outside."""
    half = len(places)
    dtype = str(x.dtype)
    inside = []
    for axis, (at, size) in enumerate(zip(places, x.shape[2:])):
        if c.a.pads[axis]:
            inside.append(at >= 0)
        if c.a.pads[axis + half]:
            inside.append(at < size)
    value = x(*lead, *places)
    return tirx.if_then_else(tirx.all(*inside), value, tirx.const(0, dtype)) if inside else value


def _direct(c: Context, x: Tensor, w: Tensor, shape: Sequence[Scalar], dtype: DType) -> Tensor:
    groups = c.a.groups
    depth, *kernel = w.shape[1:]
    channel = some_axis(depth, "c")
    taps = [some_axis(size, f"k{axis}") for axis, size in enumerate(kernel)]
    each = tirx.floordiv(w.shape[0], groups)

    def element(n: Scalar, m: Scalar, *out: Scalar) -> Scalar:
        group = tirx.floordiv(m, each) if groups > 1 else 0
        places = [_source(c, o, k, axis) for axis, (o, k) in enumerate(zip(out, taps))]
        seen = _seen(c, x, [n, group * depth + channel], places)
        value = multiplied(seen, w(m, channel, *taps), dtype, [(channel, depth)])
        return te.sum(value, axis=[channel, *taps])

    return compute(shape, element, "convolved")


def _implicit_product(
    c: Context, x: Tensor, w: Tensor, shape: Sequence[Scalar], dtype: DType
) -> Tensor:
    """Windows [n·positions, channels·taps] by weights [channels·taps, m] (implicit GEMM).

    Columns run over taps first, then channels; the schedule takes both matrices for index
    arithmetic in front of its tiles.
    """
    batch, outputs, *out = shape
    depth, *kernel = w.shape[1:]
    positions, taps = math.prod(out), math.prod(kernel)
    columns = depth * taps

    def unfolded(row: Scalar, column: Scalar) -> Scalar:
        n, rest = tirx.floordiv(row, positions), tirx.floormod(row, positions)
        channel, tap = tirx.floordiv(column, taps), tirx.floormod(column, taps)
        where = zip(_unravelled(rest, out), _unravelled(tap, kernel))
        places = [_source(c, o, k, axis) for axis, (o, k) in enumerate(where)]
        return _seen(c, x, [n, channel], places)

    def flattened(m: Scalar, column: Scalar) -> Scalar:
        channel, tap = tirx.floordiv(column, taps), tirx.floormod(column, taps)
        return w(m, channel, *_unravelled(tap, kernel))

    windows = compute([batch * positions, columns], unfolded, "windows")
    weights = compute([outputs, columns], flattened, "weights")
    k = some_axis(columns)

    def total(row: Scalar, m: Scalar) -> Scalar:
        return te.sum(multiplied(windows(row, k), weights(m, k), dtype, [(k, columns)]), axis=k)

    product = compute([batch * positions, outputs], total, "product")

    def element(n: Scalar, m: Scalar, *index: Scalar) -> Scalar:
        row = n
        for at, size in zip(index, out):
            row = row * size + at
        return product(row, m)

    return compute(shape, element)


def _unravelled(at: Scalar, shape: Sequence[Scalar]) -> list[Scalar]:
    """The index of an element by its number in row-major order."""
    found: list[Scalar] = []
    for size in reversed(list(shape)[1:]):
        found.insert(0, tirx.floormod(at, size))
        at = tirx.floordiv(at, size)
    return [at, *found]


@te_lowering("nn.conv_transpose")
def _conv_transpose(c: Context) -> Expr:
    """Every result gathers the inputs that reach it: o + pad - k·dilation = i·stride."""
    (x, dtype), (w, _) = c.factor(0), c.factor(1)
    y = c.te(lambda x, w, shape: _gathered(c, x, w, shape, dtype), x, w, c.sizes(c.result().shape))
    return _biased(c, y)


def _gathered(c: Context, x: Tensor, w: Tensor, shape: Sequence[Scalar], dtype: DType) -> Tensor:
    a, groups = c.a, c.a.groups
    outer, *kernel = w.shape[1:]
    depth = tirx.floordiv(x.shape[1], groups)
    channel = some_axis(depth, "c")
    taps = [some_axis(size, f"k{axis}") for axis, size in enumerate(kernel)]
    zero = constant(0, dtype)

    def element(n: Scalar, m: Scalar, *out: Scalar) -> Scalar:
        group, inner = tirx.floordiv(m, outer), tirx.floormod(m, outer)
        source = group * depth + channel
        places, inside = [], []
        for axis, (o, k) in enumerate(zip(out, taps)):
            reach = o + a.pads[axis] - k * a.dilations[axis]
            place = tirx.floordiv(reach, a.strides[axis])
            places.append(place)
            inside += [place >= 0, place < x.shape[2 + axis]]
            if a.strides[axis] > 1:
                inside.append(tirx.floormod(reach, a.strides[axis]).equal(0))
        seen = tirx.if_then_else(tirx.all(*inside), x(n, source, *places), zero)
        value = multiplied(seen, w(source, inner, *taps), dtype, [(channel, depth)])
        return te.sum(value, axis=[channel, *taps])

    return compute(shape, element, "convolved")
