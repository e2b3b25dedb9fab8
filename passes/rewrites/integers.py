"""Products of quantized numbers, counted in integers.

For x = sx (X - zx) and w = sw (W - zw), w · x = sx sw Σ (W - zw)(X - zx): the sum is one of
integers, and exact, and one multiplication per element of the result is left.
(B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018, section 2.2.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, DType, Quantized, Value

from ..pattern import Match, Outcome
from ..pattern.constants import plain_constant
from ..pattern.table import ROUNDING
from .sets import INTEGERS

STORAGE_BITS = 8
MOST = 2**31 - 1
"""What an i32 holds."""


@dataclass(frozen=True)
class _Stored:
    """A tensor of quantized numbers: (integer - zero point) · scale."""

    value: Value
    scale: Array
    """In the expressed type; of one element, or one per index of ``axis``."""
    axis: int | None

    @property
    def encoding(self) -> Quantized:
        encoding = self.value.type.quantized
        assert encoding is not None
        return encoding

    def largest(self) -> int:
        """A bound of the magnitude of integers, zero point subtracted."""
        low, high = self.value.type.dtype.integer_range
        return max(max(high - z, z - low) for z in self.encoding.zero_point)


def _stored(m: Match, value: Value | None, axis: int | None) -> _Stored:
    """What ``value`` is dequantized from, as a whole or along ``axis``."""
    source = m.needed(m.producer(value, "quant.dequantize").operands[0])
    encoding = source.type.quantized
    if encoding is None:
        m.refuse("not quantized by constants", source)
    m.require(
        source.type.dtype.is_integer and source.type.dtype.bits <= STORAGE_BITS,
        "stored in too many bits",
        source,
    )
    m.require(encoding.dtype is DType.F32, "the numbers are no f32", source)
    per_axis = encoding.axis is not None and len(encoding.scale) > 1
    fits = not per_axis or (encoding.axis == axis and not encoding.block)
    m.require(fits, "quantized along an axis that is summed over", source)
    scale = np.array(encoding.scale, np.float32)
    return _Stored(source, scale, encoding.axis if per_axis else None)


def _counted(m: Match, stored: _Stored) -> Value:
    """The integers, zero point subtracted, as i32."""
    encoding, type_ = stored.encoding, stored.value.type
    plain = m.build("quant.reinterpret", stored.value, encoding=())
    wide = m.build("math.cast", plain, to=DType.I32)
    points = np.array(encoding.zero_point, np.int32)
    if not points.any():
        return wide
    if stored.axis is not None:
        points = points.reshape([-1 if i == stored.axis else 1 for i in range(type_.rank)])
    else:
        points = points.reshape(())
    return m.build("math.sub", wide, m.build_constant(points))


def _integer_bias(bias: Value | None, unit: Array) -> Array | None:
    """The constant ``bias`` as i32 that count units, if that loses nothing."""
    data = plain_constant(bias)
    if data is None:
        return None
    count = np.rint(data.array / unit.astype(np.float64))
    same = count.astype(np.float32) * unit == data.array
    exact = count.shape == data.shape and same.all() and (np.abs(count) < 2.0**24).all()
    return count.astype(np.int32) if exact else None


def _in_integers(
    m: Match, x: _Stored, w: _Stored, unit: Array, depth: int, spread: tuple[int, ...] | None
) -> Value:
    """The root on integers, times ``unit``; ``spread`` shapes units, and a bias, for its result.

    Refuses where a sum of ``depth`` products, and the bias, may leave i32.
    """
    m.require(bool((np.isfinite(unit) & (unit > 0)).all()), "the scales' product is out of range")
    bias = m.op.operands[2] if len(m.op.operands) > 2 else None
    start = _integer_bias(bias, unit)
    most = x.largest() * w.largest() * depth + (
        0 if start is None else int(np.abs(start).max(initial=0))
    )
    m.require(most <= MOST, f"sums of {depth} products may overflow")
    operands = [_counted(m, x), _counted(m, w)]
    if start is not None:
        operands.append(m.build_constant(start))
        bias = None
    count = m.build("math.cast", m.rebuild(m.op, operands), to=DType.F32)
    if spread is not None:
        unit = unit.reshape(-1, *spread[1:])
        bias = None if bias is None else m.build("tensor.reshape", bias, shape=spread)
    real = m.build("math.mul", count, m.build_constant(unit))
    return real if bias is None else m.build("math.add", real, bias)


@INTEGERS.pattern("integer-convolution", "nn.conv", promise=ROUNDING)
def integer_convolution(m: Match) -> Outcome:
    """A convolution of quantized numbers; padding, which is the number 0, is 0 here too."""
    x = _stored(m, m.op.operands[0], None)
    w = _stored(m, m.op.operands[1], 0)
    channels, *others = m.static(w.value.type.shape)
    unit = x.scale * w.scale
    return _in_integers(m, x, w, unit, math.prod(others), (channels, *[1] * (len(others) - 1)))


@INTEGERS.pattern("integer-matmul", "nn.matmul", promise=ROUNDING)
def integer_matmul(m: Match) -> Outcome:
    """Matrices quantized as a whole, or by rows on the left and by columns on the right."""
    a = m.op.attributes
    left, right = m.operand(0).type.rank, m.operand(1).type.rank
    x = _stored(m, m.operand(0), left - 1 if a.transpose_a else left - 2)
    w = _stored(m, m.operand(1), right - 2 if a.transpose_b else right - 1)
    (depth,) = m.static([x.value.type.shape[left - 2 if a.transpose_a else left - 1]])
    rows = x.scale if x.axis is None else x.scale[:, np.newaxis]
    unit = rows * w.scale
    return _in_integers(m, x, w, unit.reshape(()) if unit.size == 1 else unit, depth, None)
