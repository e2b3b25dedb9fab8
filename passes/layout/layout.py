"""The pass ``layout``."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Module

from ..base import Pass, PassContext, register_pass
from ..promises import EXACT, FAST_MATH
from ..regions import blocks_inside_out
from .assignment import choose_layouts
from .materialize import lay_out
from .offers import LayoutModel, layout_model


@register_pass
@dataclass(frozen=True)
class LayoutPass(Pass):
    """Choose how every tensor is stored, so that ops and conversions together take least time.

    Arguments and results of functions and regions stay row-major.  A way to compute an op may be
    another op, such as a product with weights that leaves zeros out.

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
                context.decisions += chosen.decisions
                offers = chosen.offers.values()
                layouts = (any((*offer.operands, *offer.results)) for offer in offers)
                if any(layouts) or any(offer.replacement for offer in offers):
                    before = rewriter.changes
                    lay_out(block, chosen.offers, rewriter)
                    # An op that leaves zeros out does not turn infinities into NaN.
                    promise = FAST_MATH if any(offer.replacement for offer in offers) else EXACT
                    context.count("lay-out", int(rewriter.changes > before), promise=promise)
        return rewriter.changes > 0
