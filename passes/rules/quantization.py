"""Functions of rules about the numbers that quantized integers can mean."""

from __future__ import annotations

import numpy as np

from burnish.ir import Array, DType, Op, Quantized, Value
from burnish.ir.scalar import convert

from ..pattern.match import Refusal
from .functions import Number, rule_function


@rule_function
def saturates(quantize: Op, low: Number, high: Number) -> bool:
    """Whether quantization takes ``low`` to the least integer, and ``high`` to the greatest.

    It is monotone, so what is beyond them is stored like them.
    """
    encoding: Quantized = quantize.attributes.encoding
    least, greatest = _integers(quantize.attributes.dtype)
    return bool(
        (_shifted(low, encoding) <= least).all() and (_shifted(high, encoding) >= greatest).all()
    )


def _shifted(number: float, encoding: Quantized) -> Array:
    """What ``number`` is stored as for each scale and zero point, but for saturation.

    It is rounded to the expressed type first, as bounds are, and divided as the op divides.
    """
    work = encoding.dtype.compute
    real = convert(convert(np.asarray(number, np.float64), encoding.dtype), work)
    with np.errstate(all="ignore"):
        ratios = np.rint(real / np.asarray(encoding.scale, work.numpy)).astype(np.float64)
    return np.asarray(ratios + np.asarray(encoding.zero_point, np.float64))


@rule_function
def lies_between(stored: Value, low: Number, high: Number) -> bool:
    """Whether all numbers that quantized integers can mean are in [low, high]."""
    encoding = stored.type.quantized
    if encoding is None:
        raise Refusal("not quantized", stored)
    zero_points = np.asarray(encoding.zero_point, np.float64)
    work = encoding.dtype.compute.numpy
    scales = np.asarray(encoding.scale, work)
    least, greatest = (
        convert((integer - zero_points).astype(work) * scales, encoding.dtype).astype(np.float64)
        for integer in _integers(stored.type.dtype)
    )
    bounds = convert(np.asarray([low, high], np.float64), encoding.dtype).astype(np.float64)
    return bool((least >= bounds[0]).all() and (greatest <= bounds[1]).all())


def _integers(storage: DType) -> tuple[int, int]:
    if not storage.is_integer:
        raise Refusal("not stored as integers")
    return storage.integer_range
