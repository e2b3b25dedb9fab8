"""Recovery of ops that exporters take apart."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Module

from .base import PassContext, register_pass
from .pattern import PatternPass, PatternSet
from .rewrites.sets import CANONICAL, RECOVERY


@register_pass
@dataclass(frozen=True)
class Recover(PatternPass):
    """Find normalizations, activations, attention and rotary embedding in what spells them out.

    A backend computes them in one go, without tensors in between; a file has fewer nodes.
    Results differ by rounding: sums and factors are taken in another order.
    """

    name = "recover"
    patterns = PatternSet("recover", includes=(RECOVERY, CANONICAL))

    def run(self, module: Module, context: PassContext) -> bool:
        """Apply the patterns until none applies.

        They are deep: what changes far below a root is seen from there in the next round.
        """
        changed = False
        while super().run(module, context):
            changed = True
        return changed
