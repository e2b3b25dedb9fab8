"""Dead and constant channels: those that cannot change any result are removed.

The forward analysis (``ranges.py``) bounds what each channel can hold, the backward one
(``needs.py``) finds who needs it, on ties between the channels of ops (``ties.py``); then the ops
are built anew without the others (``rewrite.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    otherwise.  0·x is 0 only of finite numbers: what is not proved finite, by being an
    integer or quantized, keeps its channels unless ``fast_math`` is given.

    Options:
        fast_math: take floats of unknown size for finite numbers.
        negligible: weights whose magnitude is at most this fraction of the largest one of their
            tensor count as zero.  More than 0 is lossy: each result of such an op changes by at
            most that fraction of the largest weight times the sum of its inputs' magnitudes.
    """

    name = "prune-channels"
    promise = ROUNDING
    fast_math: bool = False
    negligible: float = 0.0

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Prune every block for itself."""
        rewriter = context.rewriter()
        for block in list(blocks_inside_out(function)):
            if context.may_rewrite:
                self._prune(block, rewriter, context)
        return rewriter.changes > 0

    def _prune(self, block: Block, rewriter: Rewriter, context: PassContext) -> None:
        axes = ChannelAxes(block)
        if not axes.axis:
            return
        data = ConstantData(self.negligible)
        ranges = Ranges(axes, data, self.fast_math)
        needs = Needs(block, axes, ranges, data)
        if not any(map(needs.is_changed, block)):
            return
        promise = ROUNDING
        if self.fast_math:  # was that taken for granted, or is it known?
            proven = Needs(block, axes, Ranges(axes, data, finite=False), data)
            same = all(
                np.array_equal(proven.kept[value], needs.kept[value]) for value in needs.kept
            )
            promise = ROUNDING if same else FAST_MATH
        if self.negligible:
            promise = LOSSY
        removed = ChannelRemoval(rewriter, axes, ranges, needs, data).run(block)
        for kind, count in removed.items():
            context.count(kind, count, promise=promise)
