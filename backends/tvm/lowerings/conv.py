"""Convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm import te, tirx

from burnish.ir import DType

from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .fragments import NOTHING, Factor, fragments_form
from .indices import is_number, ravelled, unravelled
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
    """Weights [m, channels·taps] by windows [channels·taps, positions] (implicit GEMM).

    Columns of weights run over taps first, then channels; a schedule takes both matrices for index
    arithmetic in front of its tiles.
    """
    batch, outputs, *out = shape
    depth, *kernel = w.shape[1:]
    positions, taps = math.prod(out), math.prod(kernel)

    def window(n: Scalar, column: Scalar, position: Scalar) -> Scalar:
        channel, tap = tirx.floordiv(column, taps), tirx.floormod(column, taps)
        where = zip(unravelled(position, out), unravelled(tap, kernel))
        places = [_source(c, o, k, axis) for axis, (o, k) in enumerate(where)]
        return _seen(c, x, [n, channel], places)

    def weight(m: Scalar, column: Scalar) -> Scalar:
        channel, tap = tirx.floordiv(column, taps), tirx.floormod(column, taps)
        return w(m, channel, *unravelled(tap, kernel))

    form = fragments_form(c, dtype, [batch], (outputs, positions, depth * taps))
    if form is None:
        return _by_rows(window, weight, shape, depth * taps, dtype)
    product = form.product(
        Factor(lambda lead, m, k: weight(m, k), inner=depth * taps),
        Factor(lambda lead, k, at: window(lead[0], k, at), inner=_run(c, kernel, positions)),
        dtype,
    )
    return compute(shape, lambda n, m, *index: product(n, m, ravelled(index, out)))


def _run(c: Context, kernel: Sequence[Scalar], positions: Scalar) -> Scalar:
    """How many positions of a window's tap lie behind one another in memory."""
    steps = {*c.a.strides, *(size.value for size in kernel if is_number(size))}
    plain = steps == {1} and all(map(is_number, kernel)) and not any(c.a.pads)
    return positions if plain else NOTHING


def _by_rows(
    window: Callable[..., Scalar],
    weight: Callable[..., Scalar],
    shape: Sequence[Scalar],
    columns: Scalar,
    dtype: DType,
) -> Tensor:
    """The same product, rows being positions of all images, in the form TVM's schedules take."""
    batch, outputs, *out = shape
    positions = math.prod(out)

    def unfolded(row: Scalar, column: Scalar) -> Scalar:
        return window(tirx.floordiv(row, positions), column, tirx.floormod(row, positions))

    windows = compute([batch * positions, columns], unfolded, "windows")
    weights = compute([outputs, columns], weight, "weights")
    k = some_axis(columns)

    def total(row: Scalar, m: Scalar) -> Scalar:
        return te.sum(multiplied(windows(row, k), weights(m, k), dtype, [(k, columns)]), axis=k)

    product = compute([batch * positions, outputs], total, "product")
    return compute(shape, lambda n, m, *index: product(ravelled([n, *index], [batch, *out]), m))


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
