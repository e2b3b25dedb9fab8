"""The pass ``prune-weights``: zeros by magnitude."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, Block, Constant, Function, Rewriter, Value
from burnish.ir.errors import PassError

from ..base import FunctionPass, PassContext, register_pass
from ..promises import LOSSY
from ..regions import blocks_inside_out
from .maps import LinearMap, linear_map

METHODS = ("unstructured", "block", "channel")


@register_pass
@dataclass(frozen=True)
class PruneWeights(FunctionPass):
    """Set the weights of least magnitude to zero, in convolutions by 1 and matrix products.

    In each matrix of weights the parts of the least mean square go, until the fraction
    ``sparsity`` of the parts is zero.  Parts are single weights (``unstructured``), blocks of R
    outputs by C inputs (``block``), or all weights of an input (``channel``).  What the model
    computes changes, and nothing is retrained: this makes inputs for tests and measurements.

    Options:
        method: unstructured, block or channel.
        sparsity: fraction of the parts that become zero, at least 0 and less than 1.
        block: shape of a block as RxC, outputs by inputs.
    """

    name = "prune-weights"
    promise = LOSSY
    method: str = "unstructured"
    sparsity: float = 0.75
    block: str = "8x1"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise PassError(f"method is {self.method!r}, but must be one of {', '.join(METHODS)}")
        if not 0 <= self.sparsity < 1:
            raise PassError(f"sparsity is {self.sparsity}, but must be at least 0 and less than 1")
        parse_block(self.block)

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Every op of every block that is a linear map; weights are pruned once."""
        rewriter = context.rewriter()
        for block in list(blocks_inside_out(function)):
            self._run_block(block, rewriter, context)
        return rewriter.changes > 0

    def _run_block(self, block: Block, rewriter: Rewriter, context: PassContext) -> None:
        pruned: dict[Value, Value] = {}
        for op in list(block):
            map_ = linear_map(op)
            if map_ is None or not context.may_rewrite:
                continue
            w = op.inputs[1]
            if w not in pruned:
                assert w.op is not None
                builder = rewriter.before(w.op)
                data = Constant(self._pruned(map_))
                pruned[w] = builder.constant(data, w.name, location=w.op.location)
                context.count(f"prune-{self.method}", root=op, promise=LOSSY)
            rewriter.set_operand(op, 1, pruned[w])
            if not w.use_count and w.op is not None:
                rewriter.erase(w.op)

    def _pruned(self, map_: LinearMap) -> Array:
        """The weights of ``map_`` with zeros."""
        matrix = map_.matrix()
        rows, columns = {"unstructured": (1, 1), "channel": (map_.outputs, 1)}.get(
            self.method, parse_block(self.block)
        )
        mask = _largest(matrix, rows, columns, self.sparsity)
        shape = [1] * map_.weights.rank
        shape[map_.output_axis], shape[map_.input_axis] = matrix.shape
        if map_.input_axis < map_.output_axis:
            mask = mask.T
        old = map_.op.inputs[1].constant
        assert old is not None
        return np.where(mask.reshape(shape), old.array, np.float32(0))


def parse_block(text: str) -> tuple[int, int]:
    """Outputs and inputs of a block, from ``8x1``.

    Raises:
        PassError: the text says something else.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", text)
    if found is None:
        raise PassError(
            f"the block {text!r} is no RxC", help="8x1 is a block of 8 outputs by 1 input"
        )
    return int(found[1]), int(found[2])


def _largest(matrix: Array, rows: int, columns: int, sparsity: float) -> Array:
    """Which weights stay: those of the blocks with the largest mean square, first ones on a tie.

    Blocks at the end may be cut off, so means are compared, not sums.
    """
    sums, sizes = (
        np.add.reduceat(
            np.add.reduceat(part, np.arange(0, part.shape[0], rows), axis=0),
            np.arange(0, part.shape[1], columns),
            axis=1,
        )
        for part in (np.square(matrix, dtype=np.float64), np.ones(matrix.shape))
    )
    score = (sums / sizes).reshape(-1)
    stay = np.zeros(score.shape, bool)
    zeros = round(sparsity * score.size)
    stay[np.argsort(-score, kind="stable")[: score.size - zeros]] = True
    whole = stay.reshape(sums.shape).repeat(rows, axis=0).repeat(columns, axis=1)
    return whole[: matrix.shape[0], : matrix.shape[1]]
