"""Passes about the kernels of convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass, PatternSet
from .rewrites.sets import CANONICAL, KERNELS, MOVEMENT, SPACE_TO_DEPTH, WINDOWS


@register_pass
@dataclass(frozen=True)
class TrimKernels(PatternPass):
    """Drop taps of convolutions that cannot change a result.

    Taps that only ever meet padding, and rows, columns … of zero weights at the border of the
    kernel, as far as the pads can be smaller for it.  0·x is 0 of finite numbers only: zeros go
    where the input is proved finite, by being an integer or a quantized number.

    Options:
        fast_math: take all numbers for finite.
    """

    name = "trim-kernels"
    patterns = KERNELS


@register_pass
@dataclass(frozen=True)
class ConvToMatmul(PatternPass):
    """Make matrix products of convolutions with one window.

    That is a kernel as large as the map, without padding: a 1x1 convolution of a 1x1 map, or
    what flattens a map.  Includes all of ``shape-cleanup``, which moves the reshapes out of the
    way of the elementwise ops behind the convolution.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "conv-to-matmul"
    patterns = PatternSet("conv-to-matmul", includes=(WINDOWS, MOVEMENT, CANONICAL))


@register_pass
@dataclass(frozen=True)
class SpaceToDepth(PatternPass):
    """Turn convolutions with strides, of at most 4 channels, into ones without, of more channels.

    Blocks of as many positions as the strides say become channels, and the weights are arranged
    accordingly.  It helps a backend whose kernels need many channels, and costs a copy of the
    input and the zeros that fill kernels up to whole blocks: 8x8 weights instead of 7x7.

    Options:
        fast_math: fill kernels up where numbers are not proved finite, too.
    """

    name = "space-to-depth"
    patterns = SPACE_TO_DEPTH
