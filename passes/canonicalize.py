"""The pass ``canonicalize``."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass
from .rewrites import control, conversions, requirements, shapes
from .rewrites.sets import CANONICAL

__all__ = ["Canonicalize", "control", "conversions", "requirements", "shapes"]


@register_pass
@dataclass(frozen=True)
class Canonicalize(PatternPass):
    """Simplify op by op: identities, no-ops, pairs that are one op, decided control flow.

    All rewrites are exact but ``square`` (x ** 2 to x * x, within rounding), and none makes
    anything larger or slower.  Afterwards the constant operand of a commutative op is on the
    right.  Dead ops are erased on the way.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "canonicalize"
    patterns = CANONICAL
