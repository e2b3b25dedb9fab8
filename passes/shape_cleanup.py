"""The pass ``shape-cleanup``."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass, PatternSet
from .rewrites import movement, shapes
from .rewrites.sets import CANONICAL, MOVEMENT

__all__ = ["ShapeCleanup", "movement", "shapes"]


@register_pass
@dataclass(frozen=True)
class ShapeCleanup(PatternPass):
    """Move transposes and reshapes to where they cancel, become flags of a matmul, or are cheap.

    They sink below elementwise ops, reductions, slices and concats; transposed constants are
    left to ``fold``.  Includes all of ``canonicalize``, which removes what has met.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "shape-cleanup"
    patterns = PatternSet("shape-cleanup", includes=(MOVEMENT, CANONICAL))
