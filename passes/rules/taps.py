"""Functions of rules about the taps of convolutions: which of them can change a result.

A tap is a position in the kernel.  Taps are dropped at both ends of each spatial axis as long as
one is left, and no more than the pads can make up for: dropping c taps takes dilation · c from
the pads on that side, so that windows stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import Array, Dim, DType, Kind, Op, Quantized, Trait, Value

from .functions import List, Number, rule_function

MAX_STEPS = 64
"""How many ops a question about what makes a value looks at."""

# Taps that meet padding only -------------------------------------------------------------


@rule_function
def unmet_before(conv: Op) -> List:
    """How many taps at the begin of each axis meet nothing but padding, whatever the window."""
    return _ends(_met(conv), conv.attributes.pads, conv.attributes.dilations)[0]


@rule_function
def unmet_after(conv: Op) -> List:
    """How many taps at the end of each axis meet nothing but padding, whatever the window."""
    return _ends(_met(conv), conv.attributes.pads, conv.attributes.dilations)[1]


def _met(conv: Op) -> list[Array]:
    """Per spatial axis a mask of the taps that some window meets the input with.

    A transposed convolution moves every element of x by each tap; taps are met if one of them
    stays in the result.  Where sizes are symbolic every tap may be met.
    """
    a, x, y = conv.attributes, conv.inputs[0].type.shape, conv.result.type.shape
    if conv.name == "nn.conv_transpose":
        x, y = y, x
    kernel = conv.inputs[1].type.shape[2:]
    return [
        _met_along(x[2 + i], y[2 + i], k, a.strides[i], a.pads[i], a.dilations[i])
        if isinstance(k, int)
        else np.ones(0, bool)
        for i, k in enumerate(kernel)
    ]


def _met_along(extent: Dim, windows: Dim, taps: int, stride: int, pad: int, dilation: int) -> Array:
    if not isinstance(extent, int) or not isinstance(windows, int):
        return np.ones(taps, bool)
    first = np.arange(taps) * dilation - pad
    # Some window o, 0 <= o < windows, has 0 <= first + o * stride < extent.
    low = np.maximum(-(first // stride), 0)
    met: Array = (low < windows) & (first + low * stride < extent)
    return met


def _ends(wanted: Sequence[Array], pads: List, dilations: List) -> tuple[List, List]:
    """How many taps can go at the begin and at the end of each axis, if not ``wanted``."""
    before, after = [], []
    for axis, mask in enumerate(wanted):
        room = [pads[axis + i * len(wanted)] // dilations[axis] for i in (0, 1)]
        useful = np.flatnonzero(mask)
        if not mask.size or not useful.size:  # nothing but padding or zeros: one tap is left
            useful = np.array([min(room[0], max(mask.size - 1, 0))])
        before.append(min(int(useful[0]), room[0]))
        after.append(min(max(mask.size, 1) - 1 - int(useful[-1]), room[1]))
    return tuple(before), tuple(after)


@rule_function
def undilated(kernel: List, dilations: List) -> List:
    """``dilations`` with 1 where there is only one tap."""
    return tuple(1 if k == 1 else d for k, d in zip(kernel, dilations))


# Weights that are zero -------------------------------------------------------------------


@rule_function
def zeros_before(w: Array, pads: List, dilations: List) -> List:
    """How many taps at the begin of each axis have only weights that are zero."""
    return _ends(_nonzero(w), pads, dilations)[0]


@rule_function
def zeros_after(w: Array, pads: List, dilations: List) -> List:
    """How many taps at the end of each axis have only weights that are zero."""
    return _ends(_nonzero(w), pads, dilations)[1]


def _nonzero(w: Array) -> list[Array]:
    taps = (w != 0).any(axis=(0, 1))
    axes = range(taps.ndim)
    return [np.asarray(taps.any(axis=tuple(i for i in axes if i != axis))) for axis in axes]


# Blocks ----------------------------------------------------------------------------------


@rule_function
def whole_blocks(sizes: List, blocks: List) -> List:
    """How many blocks hold each size: quotients, rounded up."""
    return tuple(-(-size // block) for size, block in zip(sizes, blocks))


@rule_function
def interleaved(a: List, b: List) -> List:
    """``a[0], b[0], a[1], b[1], …``."""
    return tuple(item for pair in zip(a, b) for item in pair)


@rule_function
def places_first(axes: Number) -> List:
    """The permutation of [N, C, blocks, places, blocks, places …] that puts blocks last."""
    return (0, 1, *range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2))


@rule_function
def at_least(items: List, least: Number) -> List:
    """The larger of each element and ``least``."""
    return tuple(max(item, least) for item in items)


@rule_function
def at_most(items: List, most: Number) -> List:
    """The smaller of each element and ``most``."""
    return tuple(min(item, most) for item in items)


# Numbers that are finite -----------------------------------------------------------------

_KEEPS_FINITE = frozenset(
    {"math.relu", "math.neg", "math.abs", "math.clamp", "math.sigmoid", "math.tanh"}
    | {"math.hard_sigmoid", "math.min", "math.max"}
    | {"tensor.reshape", "tensor.transpose", "tensor.slice", "tensor.concat", "tensor.broadcast"}
    | {"tensor.pad", "tensor.tile", "tensor.relayout"}
)
"""Ops that make finite numbers of finite numbers."""


@rule_function
def always_finite(value: Value) -> bool:
    """Whether no element can be infinite or NaN: integers, quantized numbers, bounded ones."""
    pending, seen = [value], set[Value]()
    while pending:
        value = pending.pop()
        if value in seen or value.type.dtype.kind in (Kind.INT, Kind.UINT, Kind.BOOL):
            continue
        seen.add(value)
        op = value.op
        if op is None or len(seen) > MAX_STEPS:
            return False
        if op.name in _KEEPS_FINITE and _is_bounded(op):
            pending += op.inputs
        elif not _begins_finite(op):
            return False
    return True


def _is_bounded(op: Op) -> bool:
    """Whether the limits of a clamp are finite; other ops have none."""
    limits = [op.attributes.get(name, 0.0) for name in ("low", "high")]
    return all(isinstance(limit, (int, float)) and math.isfinite(limit) for limit in limits)


def _begins_finite(op: Op) -> bool:
    """Whether results are finite whatever the operands are."""
    if Trait.CONSTANT in op.opdef.traits:
        constant = op.result.constant
        return constant is not None and bool(np.isfinite(constant.array.astype(np.float64)).all())
    source = op.inputs[0].type if op.inputs else None
    if source is None or source.dtype.kind not in (Kind.INT, Kind.UINT, Kind.BOOL):
        return False
    largest = float(1 << source.dtype.bits)
    if op.name == "quant.dequantize" and isinstance(source.encoding, Quantized):
        largest *= 2 * max(map(abs, source.encoding.scale), default=0.0)
    elif op.name != "math.cast":
        return False
    return largest < _LARGEST.get(op.result.type.dtype, 0.0)


_LARGEST = {DType.F64: 1e308, DType.F32: 3e38, DType.BF16: 3e38, DType.F16: 65504.0}
"""Numbers that are below these stay finite when they are rounded."""
