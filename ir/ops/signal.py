"""Ops of audio front ends: frames of a signal, and discrete Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import dims
from ..attributes import BOOL, INT, Attributes
from ..constants import Array
from ..errors import TypeInferenceError
from ..opdef import (
    FLOATS,
    Cost,
    OpDef,
    OperandTypes,
    attribute,
    operand,
    register,
    sum_dims,
    traffic,
)
from ..types import TensorType
from .checks import narrow, require_minimum, widen


@register
class Frames(OpDef):
    """Overlapping pieces of a signal: y[b, f, n, ...] = x[b, f * step + n, ...].

    The signal lies along axis 1; samples after the last whole frame are left out.
    """

    name = "signal.frames"
    x = operand("the signal, rank >= 2")
    length = attribute(INT, "samples in a frame, positive")
    step = attribute(INT, "samples from one frame's start to the next one's, positive")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_minimum((a.length, a.step), 1, "length and step")
        if x.rank < 2:
            raise TypeInferenceError(f"{x} has no axis 1")
        samples = x.shape[1]
        if isinstance(samples, int) and samples < a.length:
            raise TypeInferenceError(f"a frame of {a.length} does not fit a signal of {samples}")
        count = dims.floordiv(samples - a.length, a.step) + 1
        return TensorType((x.shape[0], count, a.length, *x.shape[2:]), x.dtype)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        count = (x.shape[1] - a.length) // a.step + 1
        index = np.arange(count)[:, None] * a.step + np.arange(a.length)
        return np.asarray(x[:, index])


@register
class DiscreteFourierTransform(OpDef):
    """The discrete Fourier transform along the axis before the last.  ONNX DFT.

    The last axis holds real parts, or real and imaginary parts.  The signal is cut or padded
    with zeros to ``length``; the inverse transform divides by it.  One-sided, the forward
    transform of a real signal gives the first ``length // 2 + 1`` frequencies, which determine
    the others; the inverse takes those and gives real numbers.
    """

    name = "signal.dft"
    x = operand("the signal, rank >= 2, last axis of size 1 or 2", dtypes=FLOATS)
    length = attribute(INT, "points of the transform, positive")
    inverse = attribute(BOOL, "the inverse transform", False)
    onesided = attribute(BOOL, "leave out what symmetry determines", False)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_minimum((a.length,), 1, "length")
        if x.rank < 2 or x.shape[-1] not in (1, 2):
            raise TypeInferenceError(f"{x} does not end in an axis of real (and imaginary) parts")
        if a.onesided and x.shape[-1] != (2 if a.inverse else 1):
            kind = "frequencies must be complex" if a.inverse else "a signal must be real"
            raise TypeInferenceError(f"{kind} to be transformed one-sided, got {x}")
        half = a.onesided and not a.inverse
        points = a.length // 2 + 1 if half else a.length
        parts = 1 if a.onesided and a.inverse else 2
        return TensorType((*x.shape[:-2], points, parts), x.dtype)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        wide = widen(x)
        if wide.shape[-2] == 0:  # of no points at all NumPy makes no zeros
            wide = np.zeros((*wide.shape[:-2], 1, wide.shape[-1]), wide.dtype)
        work = np.complex64 if wide.dtype.itemsize == 4 else np.complex128
        signal = np.zeros(wide.shape[:-1], work)
        signal.real = wide[..., 0]
        if wide.shape[-1] == 2:
            signal.imag = wide[..., 1]
        if a.inverse:
            if a.onesided:
                real = np.fft.irfft(signal, a.length, axis=-1)
                return narrow(real[..., None], x.dtype)
            spectrum = np.fft.ifft(signal, a.length, axis=-1)
        else:
            spectrum = np.fft.fft(signal, a.length, axis=-1)
            if a.onesided:
                spectrum = spectrum[..., : a.length // 2 + 1]
        if wide.shape[-1] == 1 and a.length % 2 == 0:
            # A real signal has a real part only at half the sampling rate, whatever the rounding.
            spectrum[..., a.length // 2].imag = 0
        return narrow(np.stack([spectrum.real, spectrum.imag], axis=-1), x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        """Four multiply-accumulates per point and unit of each factor of the length."""
        (x,) = (type_ for type_ in operands if type_ is not None)
        lines = dims.product(x.shape[:-2])
        radices = sum_dims(radix for radix, _, _ in stages(a.length))
        return Cost(macs=lines * a.length * radices * 4, **traffic(operands, results))


def stages(length: int) -> list[tuple[int, int, int]]:
    """How a transform of ``length`` points splits: (radix, blocks, stride) of each pass.

    The passes of the Stockham algorithm with decimation in frequency (C. Van Loan,
    "Computational Frameworks for the Fast Fourier Transform", 1992, section 1.7): with
    ``length = stride * radix * blocks`` in each, ``stride`` growing from 1.
    """
    found = []
    stride, rest, radix = 1, length, 4
    while rest > 1:
        while rest % radix:
            radix = {4: 2, 2: 3}.get(radix, radix + 2)
            if radix * radix > rest and rest % radix:
                radix = rest
        rest //= radix
        found.append((radix, rest, stride))
        stride *= radix
    return found
