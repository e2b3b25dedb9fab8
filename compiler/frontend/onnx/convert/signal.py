"""Audio front ends: windows, Fourier transforms, the mel filter bank."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .choices import by_axes, choose
from .registry import Converter, converter

_COSINE_WINDOWS = {
    "HannWindow": (0.5, 0.5, 0.0),
    "HammingWindow": (25 / 46, 21 / 46, 0.0),
    "BlackmanWindow": (0.42, 0.5, 0.08),
}
"""Weights of 1, -cos(x) and cos(2x) over one period."""

_MEL_SCALE, _MEL_BREAK = 2595.0, 700.0
"""O'Shaughnessy's mel scale, as ONNX has it: 2595 log10(1 + f / 700)."""


def _window(weights: Sequence[float]) -> Converter:
    def convert(node: NodeContext) -> Value:
        given = node.input(0)
        if node.is_known(given):
            size = node.known_int(given, "size")
        else:
            (size,) = node.static(node.declared_shape("size"), "size")
        if size < 0:
            raise ModelError(f"a window of {size} points")
        dtype = node.dtype("output_datatype", DType.F32)
        period = node.scalar(size if node.flag("periodic", True) else size - 1, DType.F64)
        points = node.cast(node.arange(size, 0, 1), DType.F64)
        turn = node.op("math.mul", points, node.scalar(2 * math.pi, DType.F64))
        angle = node.op("math.div", turn, period)
        constant, once, twice = (node.scalar(weight, DType.F64) for weight in weights)
        total = node.op("math.sub", constant, node.op("math.mul", once, _cosine(node, angle, 1)))
        total = node.op("math.add", total, node.op("math.mul", twice, _cosine(node, angle, 2)))
        return node.require(node.cast(total, dtype), given, (size,), "size")

    return convert


def _cosine(node: NodeContext, angle: Value, multiple: int) -> Value:
    factor = node.scalar(multiple, DType.F64)
    return node.op("math.cos", node.op("math.mul", angle, factor))


for _op_type, _weights in _COSINE_WINDOWS.items():
    converter(_op_type)(_window(_weights))


@converter("DFT", since=17)
def _fourier_by_attribute(node: NodeContext) -> Value:
    return _along(node, node.integer("axis", 1))


@converter("DFT", since=20)
def _fourier(node: NodeContext) -> Value:
    axis = node.optional(2)
    if axis is None or node.is_known(axis):
        return _along(node, -2 if axis is None else node.known_int(axis, "axis"))
    wanted, x = node.declared_shape("axis"), node.input(0).type

    def is_possible(axes: tuple[int, ...]) -> bool:
        others = [i for i in range(x.rank - 1) if i not in axes]
        return x.rank - 1 not in axes and all(x.shape[i] == wanted[i] for i in others)

    return by_axes(node, axis, x.rank, is_possible, lambda axes: _along(node, axes[0]))


def _along(node: NodeContext, axis: int) -> Value:
    """The transform along ``axis``, which is not the last: that holds the complex parts."""
    x = node.input(0)
    rank = x.type.rank
    axis = node.axis(axis, rank)
    if axis == rank - 1:
        raise ModelError(f"axis {axis} of {x.type} holds real and imaginary parts")
    inverse, onesided = node.flag("inverse"), node.flag("onesided")
    others = [i for i in range(rank) if i not in (axis, rank - 1)]
    moved = node.transpose(x, [*others, axis, rank - 1])

    def transformed(length: int) -> Value:
        return node.op("signal.dft", moved, length=length, inverse=inverse, onesided=onesided)

    if not node.has(1):
        (points,) = node.static([x.type.shape[axis]], "length")
        y = transformed(2 * (points - 1) if inverse and onesided else points)
    else:
        y = _by_length(node, 1, axis, onesided and not inverse, transformed)
    back = list(range(rank - 2))
    back.insert(axis, rank - 2)
    return node.transpose(y, [*back, rank - 1])


def _by_length(
    node: NodeContext, index: int, axis: int, halved: bool, convert: Callable[[int], Value]
) -> Value:
    """``convert`` for the length that input ``index`` gives.

    Of one that is known at run time only, the declared size of the result's ``axis`` leaves one
    possibility, or two where the spectrum is ``halved``.
    """
    what = "length"
    given = node.input(index)
    if node.is_known(given):
        return convert(node.known_int(given, what))
    shape = node.declared_shape(what)
    (points,) = node.static(shape[axis : axis + 1], what)
    lengths = [n for n in (2 * points - 2, 2 * points - 1) if n > 0] if halved else [points]
    results = [convert(length) for length in lengths]
    actual = node.cast(node.reshape(given, (1,)), DType.I64)
    hits = node.op("math.equal", actual, node.constant(np.array(lengths, np.int64)))
    return choose(node, hits, results, "lengths")


@converter("STFT", since=17)
def _short_time_fourier(node: NodeContext) -> Value:
    signal, window = node.input(0), node.optional(2)
    if signal.type.rank == 2:
        signal = node.reshape(signal, (*signal.type.shape, 1))
    onesided = node.flag("onesided", True)

    def transformed(length: int) -> Value:
        frames = _frames(node, signal, length)
        if window is not None:
            frames = node.op("math.mul", frames, node.reshape(window, (length, 1)))
        return node.op("signal.dft", frames, length=length, inverse=False, onesided=onesided)

    if window is not None:
        (points,) = node.static(window.type.shape, "window")
        y, length = transformed(points), node.scalar(points, DType.I64)
        if node.has(3):
            y = node.require(y, node.input(3), (points,), "frame_length (as the window's)")
    elif node.has(3):
        y, length = _by_length(node, 3, 2, onesided, transformed), node.input(3)
    else:
        raise ModelError("it has neither a window nor a frame_length")
    return _with_checked_step(node, y, signal, length)


def _frames(node: NodeContext, signal: Value, length: int) -> Value:
    """Frames of the signal; where their distance is run-time data, as many as declared."""
    step = node.input(1)
    if node.is_known(step):
        distance = node.known_int(step, "frame_step")
        return node.op("signal.frames", signal, length=length, step=distance)
    shape = node.declared_shape("frame_step")
    (count,) = node.static(shape[1:2], "number of frames")
    step = node.cast(node.reshape(step, ()), DType.I64)
    starts = node.op("math.mul", node.arange(count, 0, 2), step)
    samples = node.op("math.add", starts, node.arange(length, 1, 2))
    (extent,) = node.static(signal.type.shape[1:2], "length of the signal")
    # A wrong step is found by the check of the result; here it must not reach beyond the signal.
    bounded = node.op("math.min", samples, node.scalar(extent - 1, DType.I64))
    bounded = node.op("math.max", bounded, node.scalar(0, DType.I64))
    return node.op("tensor.gather", signal, bounded, axis=1)


def _with_checked_step(node: NodeContext, y: Value, signal: Value, length: Value) -> Value:
    """``y``, provided that a step known at run time only gives as many frames as it has."""
    step = node.input(1)
    if node.is_known(step):
        return y
    (extent,) = node.static(signal.type.shape[1:2], "length of the signal")
    length, step = (node.cast(node.reshape(value, ()), DType.I64) for value in (length, step))
    rest = node.op("math.sub", node.scalar(extent, DType.I64), length)
    steps = node.op("math.add", node.op("math.div", rest, step), node.scalar(1, DType.I64))
    return node.require(y, steps, y.type.shape[1:2], "number of frames")


@converter("MelWeightMatrix", since=17)
def _mel_weights(node: NodeContext) -> Value:
    """Triangles over the spectrum, equally spaced in mel, their corners rounded to bins.

    A triangle rises from its lower corner to 1 at its centre and falls to 0 at the upper one;
    where both of the first coincide it starts at 1.
    """
    count, length = (node.cast(node.reshape(node.input(i), ()), DType.I64) for i in (0, 1))
    half = node.op("math.div", length, node.scalar(2, DType.I64))
    spectrum = node.op("math.add", half, node.scalar(1, DType.I64))
    if node.is_known(count) and node.is_known(spectrum):
        rows, bins = node.known_int(spectrum, "dft_length"), node.known_int(count, "num_mel_bins")
    else:
        rows, bins = node.static(node.declared_shape("num_mel_bins or dft_length"), "shape")
    corners = _mel_corners(node, bins, length)
    lower, center, upper = (
        node.op("tensor.slice", corners, starts=(start,), sizes=(bins,), steps=(1,))
        for start in range(3)
    )
    position = node.cast(node.arange(rows, 0, 2), DType.F64)
    rising = _slope(node, node.op("math.sub", position, lower), center, lower)
    falling = _slope(node, node.op("math.sub", upper, position), upper, center)
    is_left = node.op("math.less_equal", position, center)
    weight = node.op("math.select", is_left, rising, falling)
    inside = node.op(
        "math.logical_and",
        node.op("math.greater_equal", position, lower),
        node.op("math.less", position, upper),
    )
    inside = node.op("math.logical_or", inside, node.op("math.equal", position, center))
    weight = node.op("math.select", inside, weight, node.scalar(0, DType.F64))
    result = node.cast(weight, node.dtype("output_datatype", DType.F32))
    result = node.require(result, count, (bins,), "num_mel_bins")
    return node.require(result, spectrum, (rows,), "dft_length // 2 + 1")


def _slope(node: NodeContext, distance: Value, end: Value, start: Value) -> Value:
    """``distance`` in units of ``end - start``; 1 where these coincide."""
    extent = node.op("math.sub", end, start)
    is_flat = node.op("math.equal", extent, node.scalar(0, DType.F64))
    one = node.scalar(1, DType.F64)
    ratio = node.op("math.div", distance, node.op("math.select", is_flat, one, extent))
    return node.op("math.select", is_flat, one, ratio)


def _mel_corners(node: NodeContext, bins: int, length: Value) -> Value:
    """Bins of the spectrum where triangles begin, peak and end, as whole f64 numbers."""
    rate, low, high = (
        node.cast(node.reshape(node.input(index), ()), DType.F64) for index in (2, 3, 4)
    )
    low_mel, high_mel = _to_mel(node, low), _to_mel(node, high)
    extent = node.op("math.sub", high_mel, low_mel)
    step = node.op("math.div", extent, node.scalar(bins + 2, DType.F64))
    points = node.cast(node.arange(bins + 2, 0, 1), DType.F64)
    mel = node.op("math.add", node.op("math.mul", points, step), low_mel)
    power = node.op("math.div", mel, node.scalar(_MEL_SCALE / math.log(10), DType.F64))
    one = node.scalar(1, DType.F64)
    ratio = node.op("math.sub", node.op("math.exp", power), one)
    hertz = node.op("math.mul", ratio, node.scalar(_MEL_BREAK, DType.F64))
    points = node.op("math.add", node.cast(length, DType.F64), one)
    scaled = node.op("math.mul", hertz, points)
    return node.op("math.floor", node.op("math.div", scaled, rate))


def _to_mel(node: NodeContext, hertz: Value) -> Value:
    one = node.scalar(1, DType.F64)
    ratio = node.op("math.div", hertz, node.scalar(_MEL_BREAK, DType.F64))
    logarithm = node.op("math.log", node.op("math.add", one, ratio))
    return node.op("math.mul", logarithm, node.scalar(_MEL_SCALE / math.log(10), DType.F64))
