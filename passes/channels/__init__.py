"""Dead and constant channels: those that cannot change any result are removed.

The forward analysis (``ranges.py``) bounds what each channel can hold, the backward one
(``needs.py``) finds who needs it, on ties between the channels of ops (``ties.py``); then the ops
are built anew without the others (``rewrite.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Block, Function, Rewriter

from ..base import FunctionPass, PassContext, register_pass
from ..promises import FAST_MATH, LOSSY, ROUNDING
from ..regions import blocks_inside_out
from .constants import ConstantData
from .needs import Needs
from .ranges import Ranges
from .rewrite import ChannelRemoval
from .ties import ChannelAxes


@register_pass
@dataclass(frozen=True)
class PruneChannels(FunctionPass):
    """Remove channels that are constant or that nobody needs.

    A channel that intervals prove constant becomes part of the biases of its consumers, except
    where it meets padding; one that has only zero weights ahead is dropped, with its producer's
    filter.  Residual additions, concats, depthwise convolutions, pads, slices and flattening
    couple channels; coupled channels go together or stay.  Results of the function and what ops
    with regions read keep all channels.

    Numbers of quantized models are followed exactly, so that every element that is left keeps
    its value whatever the inputs are; a sum has fewer terms then, and floats may round it
    otherwise.  Of plain floats the pass takes for granted that they are finite numbers: 0·x is
    then 0.

    Options:
        finite: whether floats of unknown size are taken to be finite numbers.
        negligible: weights whose magnitude is at most this fraction of the largest one of their
            tensor count as zero.  More than 0 is lossy: each result of such an op changes by at
            most that fraction of the largest weight times the sum of its inputs' magnitudes.
    """

    name = "prune-channels"
    finite: bool = True
    negligible: float = 0.0

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Prune every block for itself."""
        rewriter = context.rewriter()
        for block in list(blocks_inside_out(function)):
            if block.parent_op is None or block.parent_op.name != "core.group":
                self._prune(block, rewriter, context)
        return rewriter.changes > 0

    def _prune(self, block: Block, rewriter: Rewriter, context: PassContext) -> None:
        axes = ChannelAxes(block)
        if not axes.axis:
            return
        data = ConstantData(self.negligible)
        ranges = Ranges(block, axes, data, self.finite)
        needs = Needs(block, axes, ranges, data)
        removal = ChannelRemoval(rewriter, axes, ranges, needs, data)
        removal.run(block, context, self._promised)

    @property
    def _promised(self) -> str:
        """What a removal promises: sums of fewer terms may be rounded otherwise."""
        if self.negligible:
            return LOSSY
        return FAST_MATH if self.finite else ROUNDING
