"""The pass ``recognize-sparsity``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Block, Function, Op, Rewriter, Sparse, Value

from ..base import FunctionPass, PassContext, register_pass
from ..regions import blocks_inside_out
from .maps import linear_map
from .patterns import pattern_of


@register_pass
@dataclass(frozen=True)
class RecognizeSparsity(FunctionPass):
    """Write the pattern of the zeros in weights into their type.

    Looks at f32 weights of convolutions by 1 and of matrix products.  The pattern is a promise
    (``sparse(block, 8, 1, kept = 96)``) that says of which parts only so many hold anything but
    zeros; what is computed stays the same.  Weights that several ops read get one pattern.

    Options:
        least: fraction of the weights that must be zero.
    """

    name = "recognize-sparsity"
    least: float = 0.25

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Every op of every block that is a linear map."""
        rewriter = context.rewriter()
        for block in list(blocks_inside_out(function)):
            self._run_block(block, rewriter, context)
        return rewriter.changes > 0

    def _run_block(self, block: Block, rewriter: Rewriter, context: PassContext) -> None:
        promising: dict[Value, Value | None] = {}
        for op in list(block):
            map_ = linear_map(op)
            if map_ is None or isinstance(map_.weights.encoding, Sparse):
                continue
            w = op.inputs[1]
            if w not in promising:
                promising[w] = None
                pattern = pattern_of(map_, self.least)
                if pattern is None:
                    context.refusals[self.name, "too few weights are zero"] += 1
                elif context.may_rewrite:
                    promising[w] = _promise(w, pattern, rewriter)
                    context.count(f"sparse-{pattern.format}", root=op)
            promise = promising[w]
            if promise is not None:
                operands = [promise if i == 1 else v for i, v in enumerate(op.operands)]
                rewriter.replace(op, _with_operands(op, operands, rewriter))
                if not w.use_count and w.op is not None:
                    rewriter.erase(w.op)


def _promise(w: Value, pattern: Sparse, rewriter: Rewriter) -> Value:
    """A constant of the same data, of the type that promises ``pattern``."""
    old = w.op
    assert old is not None
    attributes = dict(old.attributes.items()) | {"encoding": (pattern,)}
    builder = rewriter.before(old)
    made = builder.create(
        old.name,
        (),
        attributes,
        location=old.location,
        names=(w.name,),
        layouts=(w.type.layout,),
    )
    return made.result


def _with_operands(op: Op, operands: Sequence[Value | None], rewriter: Rewriter) -> Sequence[Value]:
    """The results of ``op`` on operands of other types."""
    names = [result.name for result in op.results]
    layouts = [result.type.layout for result in op.results]
    builder = rewriter.before(op)
    return builder.create(op.name, operands, op.attributes, names=names, layouts=layouts).results
