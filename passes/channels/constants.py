"""Constants as the channel passes see them: plain ones, and quantized ones that are dequantized."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from burnish.ir import Array, Builder, Constant, Op, Quantized, Value
from burnish.ir.interpreter import evaluate_op


def stored_constant(value: Value) -> Op | None:
    """The ``core.constant`` whose data, as it is or dequantized, ``value`` is.

    None also where positions cannot be taken out of the data: of blocks and tiles.
    """
    if value.op is not None and value.op.name == "quant.dequantize":
        value = value.op.inputs[0]
    if value.constant is None:
        return None
    in_blocks = value.type.quantized is not None and value.type.quantized.block > 0
    return None if in_blocks or value.type.layout is not None else value.op


def is_constant(value: Value) -> bool:
    """Whether ``value`` is known at compile time and its channels can be taken apart."""
    return stored_constant(value) is not None


class ConstantData:
    """The numbers of constants, each computed once.

    Attributes:
        negligible: weights that are at most this fraction of the largest one count as zero.
    """

    def __init__(self, negligible: float = 0.0) -> None:
        self.negligible = negligible
        self._arrays: dict[Value, Array] = {}

    def __call__(self, value: Value) -> Array:
        """The numbers that ``value``, which :func:`is_constant`, stands for."""
        if value not in self._arrays:
            self._arrays[value] = self._compute(value)
        return self._arrays[value]

    def significant(self, weights: Array) -> Array:
        """``weights`` with those that are negligible replaced by zeros."""
        if not self.negligible or not weights.size:
            return weights
        magnitude = np.abs(weights)
        return np.where(magnitude <= self.negligible * magnitude.max(), 0, weights)

    @staticmethod
    def _compute(value: Value) -> Array:
        if value.constant is not None:
            return value.constant.array
        op = value.op
        assert op is not None
        source = op.inputs[0].constant
        assert source is not None
        return evaluate_op(op, [source.array])[0]


def sliced(encoding: Quantized, axis: int, kept: Array) -> Quantized:
    """``encoding`` of a tensor of which the positions ``kept`` along ``axis`` are left."""
    if encoding.axis != axis:
        return encoding
    return replace(
        encoding,
        scale=tuple(encoding.scale[i] for i in kept),
        zero_point=tuple(encoding.zero_point[i] for i in kept),
    )


def take(builder: Builder, value: Value, axis: int, kept: Array) -> Value:
    """The constant ``value`` with only the positions ``kept`` along ``axis``, as stored before.

    Promises about zeros end.
    """
    source = stored_constant(value)
    assert source is not None
    handle = source.result.constant
    assert handle is not None
    if len(kept) == handle.shape[axis]:
        return value
    data = np.ascontiguousarray(np.take(handle.array, kept, axis))
    quantized = source.result.type.quantized
    encoding = None if quantized is None else sliced(quantized, axis, kept)
    taken = builder.constant(
        Constant(data), source.result.name, encoding=encoding, location=source.location
    )
    if value.op is source:
        return taken
    return builder("quant.dequantize", taken)
