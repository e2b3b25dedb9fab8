"""The pass ``layout``."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Module

from ..base import Pass, PassContext, register_pass
from ..regions import blocks_inside_out
from .assignment import choose_layouts
from .materialize import lay_out
from .offers import LayoutModel, layout_model


@register_pass
@dataclass(frozen=True)
class LayoutPass(Pass):
    """Choose how every tensor is stored, so that ops and conversions together take least time.

    Arguments and results of functions and regions stay row-major.

    Options:
        target: whose offers to choose from.
        without: kernels of the target, separated by "+", whose offers are left out.
    """

    name = "layout"
    needs = ("target",)
    target: str = ""
    without: str = ""

    def run(self, module: Module, context: PassContext) -> bool:
        """Lay out each block of each function."""
        return self.lay_out(module, layout_model(self.target), context)

    def lay_out(self, module: Module, model: LayoutModel, context: PassContext) -> bool:
        """Choose among the offers of ``model``; says whether anything changed."""
        rewriter = context.rewriter()
        for function in list(module.functions.values()):
            for block in list(blocks_inside_out(function)):
                if not context.may_rewrite:
                    break
                chosen = choose_layouts(block, model, self.without.split("+"))
                offers = chosen.offers.values()
                if any(any((*offer.operands, *offer.results)) for offer in offers):
                    before = rewriter.changes
                    lay_out(block, chosen.offers, rewriter)
                    context.count("lay-out", int(rewriter.changes > before))
        return rewriter.changes > 0
