"""The pass ``integer-products``."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass
from .rewrites import integers
from .rewrites.sets import INTEGERS

__all__ = ["IntegerProducts", "integers"]


@register_pass
@dataclass(frozen=True)
class IntegerProducts(PatternPass):
    """Compute convolutions and matmuls of quantized numbers in integers.

    Where both operands are dequantized from at most 8 bits, the sum of products of integers is
    exact; one multiplication by the product of the scales makes a float of it.  A bias joins the
    sum where it counts in such units, as quantizers make it.  Results change within rounding.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "integer-products"
    patterns = INTEGERS
