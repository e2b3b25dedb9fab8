"""Recovery of ops that exporters take apart."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass, PatternSet
from .rewrites import attention
from .rewrites.sets import CANONICAL, RECOVERY

__all__ = ["Recover", "attention"]


@register_pass
@dataclass(frozen=True)
class Recover(PatternPass):
    """Find normalizations, activations, attention and rotary embedding in what spells them out.

    A backend computes them in one go, without tensors in between; a file has fewer nodes.
    Results differ by rounding: sums and factors are taken in another order.

    Options:
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "recover"
    patterns = PatternSet("recover", includes=(RECOVERY, CANONICAL))
