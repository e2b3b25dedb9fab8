"""Convolutions."""

from __future__ import annotations

from typing import Any

from burnish.ir import DType, Op, Trait, Value

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from .windows import windows

_EXACT_BITS = 53
"""Integers of so many bits are exact in f64."""


@exporter("nn.conv")
def _conv(c: Context) -> Edge:
    return _convolved(c, "Conv")


@exporter("nn.conv_transpose")
def _conv_transpose(c: Context) -> Edge:
    return _convolved(c, "ConvTranspose", output_padding=c.a.output_padding)


def _convolved(c: Context, op_type: str, **more: Any) -> Edge:
    dtype = c.type().dtype
    inputs = c.inputs()
    wraps = False
    if dtype.is_integer:
        wraps = _bits_of_sums(c) > dtype.bits
        inputs = [None if edge is None else c.cast(edge, DType.F64) for edge in inputs]
    y = c.node(
        op_type,
        *inputs,
        kernel_shape=c.type(1).static_shape[2:],
        **windows(c),
        group=c.a.groups,
        **more,
    )
    # Integers wrap, floats beyond the range of an integer type become anything.
    return c.cast(c.cast(y, DType.I64) if wraps else y, dtype)


def _bits_of_sums(c: Context) -> int:
    """Bits of all sums of integers, the sign included.

    Raises:
        Refusal: f64 may not hold them, as far as conversions of the operands show.
    """
    x, w, *bias = c.op.inputs
    taps = w.type.elements
    if not isinstance(taps, int):
        raise Refusal("ONNX convolves floats only")
    products = _bits(x) + _bits(w) + taps.bit_length()
    needed = max(products, *map(_bits, bias), 0) + 1 + len(bias)
    if needed > _EXACT_BITS:
        raise Refusal("ONNX convolves floats only, and those would not be exact")
    return needed


def _bits(value: Value) -> int:
    """Bits that hold the magnitude of every element, as far as conversions show."""
    data = value.constant
    if data is not None and data.size:
        return max(abs(int(data.array.max())), abs(int(data.array.min()))).bit_length()
    op: Op | None = value.op
    if op is None or Trait.ELEMENTWISE not in op.opdef.traits:
        return value.type.dtype.bits
    if op.name == "math.cast" and op.inputs[0].type.dtype.is_integer:
        return min(value.type.dtype.bits, _bits(op.inputs[0]))
    if op.name in ("math.add", "math.sub"):
        return min(value.type.dtype.bits, 1 + max(map(_bits, op.inputs)))
    return value.type.dtype.bits
