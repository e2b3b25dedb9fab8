"""Audio front ends: windows, Fourier transforms, the mel filter bank."""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import Dim, DType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .choices import by_axes
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
    if not node.has(2) or node.is_known(node.input(2)):
        return _along(node, node.known_int(node.input(2), "axis") if node.has(2) else -2)
    wanted, rank = node.declared_shape("axis"), node.input(0).type.rank
    return by_axes(
        node,
        node.input(2),
        rank,
        lambda axes: axes[0] < rank - 1 and _transformed(node, axes[0]) == wanted,
        lambda axes: _along(node, axes[0]),
    )


def _transformed(node: NodeContext, axis: int) -> tuple[Dim, ...]:
    """The shape of the transform along ``axis`` (of the length that the axis has)."""
    shape = node.input(0).type.shape
    inverse, onesided = node.flag("inverse"), node.flag("onesided")
    length = shape[axis]
    if node.has(1):
        length = node.known_int(node.input(1), "dft_length")
    elif inverse and onesided:
        length = 2 * (length - 1)
    bins = length // 2 + 1 if onesided and not inverse else length
    parts = 1 if onesided and inverse else 2
    return (*shape[:axis], bins, *shape[axis + 1 : -1], parts)


def _along(node: NodeContext, axis: int) -> Value:
    """The transform along ``axis``, which is not the last: that holds the complex parts."""
    x = node.input(0)
    rank = x.type.rank
    axis = node.axis(axis, rank)
    if axis == rank - 1:
        raise ModelError(f"axis {axis} of {x.type} holds real and imaginary parts")
    inverse, onesided = node.flag("inverse"), node.flag("onesided")
    if node.has(1):
        length = node.known_int(node.input(1), "dft_length")
    else:
        (length,) = node.static([x.type.shape[axis]], "length")
        if inverse and onesided:
            length = 2 * (length - 1)
    others = [i for i in range(rank) if i not in (axis, rank - 1)]
    moved = node.transpose(x, [*others, axis, rank - 1])
    y = node.op("signal.dft", moved, length=length, inverse=inverse, onesided=onesided)
    back = list(range(rank - 2))
    back.insert(axis, rank - 2)
    return node.transpose(y, [*back, rank - 1])


@converter("STFT", since=17)
def _short_time_fourier(node: NodeContext) -> Value:
    signal, window = node.input(0), node.optional(2)
    if signal.type.rank == 2:
        signal = node.reshape(signal, (*signal.type.shape, 1))
    step = node.known_int(node.input(1), "frame_step")
    if node.has(3):
        length = node.known_int(node.input(3), "frame_length")
    elif window is not None:
        (length,) = node.static(window.type.shape, "window")
    else:
        raise ModelError("it has neither a window nor a frame_length")
    frames = node.op("signal.frames", signal, length=length, step=step)
    if window is not None:
        frames = node.op("math.mul", frames, node.reshape(window, (length, 1)))
    return node.op(
        "signal.dft", frames, length=length, inverse=False, onesided=node.flag("onesided", True)
    )


@converter("MelWeightMatrix", since=17)
def _mel_weights(node: NodeContext) -> Value:
    """Triangles over the spectrum, equally spaced in mel, their corners rounded to bins.

    A triangle rises from its lower corner to 1 at its centre and falls to 0 at the upper one;
    where both of the first coincide it starts at 1.
    """
    bins = node.known_int(node.input(0), "num_mel_bins")
    length = node.known_int(node.input(1), "dft_length")
    corners = _mel_corners(node, bins, length)
    lower, center, upper = (
        node.op("tensor.slice", corners, starts=(start,), sizes=(bins,), steps=(1,))
        for start in range(3)
    )
    position = node.cast(node.arange(length // 2 + 1, 0, 2), DType.F64)
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
    return node.cast(weight, node.dtype("output_datatype", DType.F32))


def _slope(node: NodeContext, distance: Value, end: Value, start: Value) -> Value:
    """``distance`` in units of ``end - start``; 1 where these coincide."""
    extent = node.op("math.sub", end, start)
    is_flat = node.op("math.equal", extent, node.scalar(0, DType.F64))
    one = node.scalar(1, DType.F64)
    ratio = node.op("math.div", distance, node.op("math.select", is_flat, one, extent))
    return node.op("math.select", is_flat, one, ratio)


def _mel_corners(node: NodeContext, bins: int, length: int) -> Value:
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
    scaled = node.op("math.mul", hertz, node.scalar(length + 1, DType.F64))
    return node.op("math.floor", node.op("math.div", scaled, rate))


def _to_mel(node: NodeContext, hertz: Value) -> Value:
    one = node.scalar(1, DType.F64)
    ratio = node.op("math.div", hertz, node.scalar(_MEL_BREAK, DType.F64))
    logarithm = node.op("math.log", node.op("math.add", one, ratio))
    return node.op("math.mul", logarithm, node.scalar(_MEL_SCALE / math.log(10), DType.F64))
