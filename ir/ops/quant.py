"""Ops between real numbers and their quantized storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from .. import scalar
from ..attributes import DTYPE, QUANTIZED, Attributes
from ..constants import Array
from ..dtypes import DType
from ..errors import TypeInferenceError
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, Trait, attribute, operand, register, traffic
from ..types import Quantized, TensorType
from .checks import widen
from .core import ENCODING


def spread(values: Sequence[float], q: Quantized, shape: Sequence[int], dtype: DType) -> Array:
    """Parameters as an array that broadcasts onto a tensor of ``shape``."""
    parameters = np.asarray(values, dtype.numpy)
    if q.axis is None:
        return parameters.reshape(())
    if not q.block:
        return parameters.reshape([-1 if i == q.axis else 1 for i in range(len(shape))])
    blocks = [-(-n // q.block) if i == q.axis else n for i, n in enumerate(shape)]
    repeated = np.repeat(parameters.reshape(blocks), q.block, axis=q.axis)
    return repeated[tuple(slice(n) for n in shape)]


def largest_stored(storage: DType) -> float:
    """The largest number of a float type."""
    finfo: Any = ml_dtypes.finfo
    return float(finfo(storage.numpy).max)


def _check(type_: TensorType) -> TensorType:
    if problem := type_.problem():
        raise TypeInferenceError(problem)
    return type_


@register
class Quantize(OpDef):
    """Real numbers to stored ones: saturate(round(x / scale) + zero_point).

    Halves round to even; the division is in x's compute type.  The encoding gives scale and
    zero point and is part of the result's type.  Float storage (8 bits) rounds to nearest
    and saturates.  NaN gives the zero point.  ONNX QuantizeLinear.
    """

    name = "quant.quantize"
    x = operand("real numbers of the encoding's expressed type", dtypes=FLOATS)
    encoding = attribute(QUANTIZED, "scale and zero point")
    dtype = attribute(DTYPE, "element type of the storage")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if x.dtype is not a.encoding.dtype:
            raise TypeInferenceError(
                f"x is {x.dtype}, but the encoding expresses {a.encoding.dtype}"
            )
        return _check(TensorType(x.shape, a.dtype, None, a.encoding))

    def evaluate(self, a: Attributes, x: Array) -> Array:
        q: Quantized = a.encoding
        storage: DType = a.dtype
        wide = widen(x)
        work = DType.from_numpy(wide.dtype)
        with np.errstate(all="ignore"):
            ratio = wide / spread(q.scale, q, x.shape, work)
            if storage.is_float:
                limit = largest_stored(storage)
                return scalar.convert(np.clip(ratio, -limit, limit), storage)
            # f64 holds the sum exactly: rounded ratios and zero points are integers.
            rounded = np.rint(np.where(np.isnan(ratio), 0, ratio)).astype(np.float64)
            shifted = rounded + spread(q.zero_point, q, x.shape, DType.F64)
            return scalar.convert(shifted, storage)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=results[0].elements * 8, **traffic(operands, results))

    def is_pointwise(self, a: Attributes, operands: OperandTypes) -> bool:
        encoding: Quantized = a.encoding
        return encoding.axis is None


@register
class Dequantize(OpDef):
    """Stored numbers to real ones: (x - zero_point) · scale.  ONNX DequantizeLinear.

    Scale and zero point are those of x's encoding; the difference is exact, the product is in
    the compute type of the expressed type, which is the result's.
    """

    name = "quant.dequantize"
    x = operand("a quantized tensor")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        q = x.quantized
        if q is None:
            raise TypeInferenceError(f"x of type {x} is not quantized")
        return TensorType(_check(x).shape, q.dtype, x.layout)

    def evaluate_typed(
        self, a: Attributes, types: OperandTypes, operands: Sequence[Array]
    ) -> Array:
        type_ = types[0]
        assert type_ is not None
        q = type_.quantized
        assert q is not None
        (x,) = operands
        work = q.dtype.compute
        zero_point = spread(q.zero_point, q, x.shape, DType.I64)
        with np.errstate(all="ignore"):
            if type_.dtype.is_float:
                difference = widen(x).astype(work.numpy)
            else:
                difference = (x.astype(np.int64) - zero_point).astype(work.numpy)
            return scalar.convert(difference * spread(q.scale, q, x.shape, work), q.dtype)

    def is_pointwise(self, a: Attributes, operands: OperandTypes) -> bool:
        q = None if operands[0] is None else operands[0].quantized
        return q is not None and q.axis is None

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=results[0].elements * 3, **traffic(operands, results))


@register
class Reinterpret(OpDef):
    """The same stored numbers with another meaning, or none; no ONNX operator."""

    name = "quant.reinterpret"
    traits = frozenset({Trait.VIEW})
    x = operand("the data")
    encoding = attribute(ENCODING, "the result's encoding, in a list of at most one")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        return _check(x.with_encoding(a.encoding[0] if a.encoding else None))

    def evaluate(self, a: Attributes, x: Array) -> Array:
        return x

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost()
