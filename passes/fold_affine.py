"""The passes ``fold-batch-norm`` and ``fold-pad``."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass
from .rewrites import affine
from .rewrites.sets import AFFINE, PADS

__all__ = ["FoldBatchNorm", "FoldPad", "affine"]


@register_pass
@dataclass(frozen=True)
class FoldBatchNorm(PatternPass):
    """Put per-channel scales and shifts into weights and biases of convolutions and matmuls.

    Batch norms with constant parameters, and multiplications and additions by constants, before
    and after.  Other batch norms become a multiplication and an addition.  Results change
    within rounding.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "fold-batch-norm"
    patterns = AFFINE


@register_pass
@dataclass(frozen=True)
class FoldPad(PatternPass):
    """Let convolutions and pools do the padding in front of them.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "fold-pad"
    patterns = PADS
