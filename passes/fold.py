"""Constant folding: ops on constants are evaluated at compile time, within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, Function, Op, Rewriter, Trait, Value
from burnish.ir.cost import op_cost
from burnish.ir.errors import Error
from burnish.ir.interpreter import evaluate_op

from .base import FunctionPass, PassContext, register_pass
from .regions import blocks_inside_out, is_pure

DEQUANTIZE = "quant.dequantize"
_ENDLESS = 1 << 63

MOVEMENT = frozenset(
    {"tensor.reshape", "tensor.transpose", "tensor.slice", "tensor.broadcast", "tensor.tile"}
    | {"tensor.gather"}
)
"""Ops whose result has elements of the first operand."""


@register_pass
@dataclass(frozen=True)
class Fold(FunctionPass):
    """Evaluate ops whose operands are all constant, by the reference interpreter.

    A fold may not blow a model up: the results together may have ``limit`` bytes, or
    ``growth`` times the bytes of the operands if that is more.  So a small ``tensor.broadcast``
    to a huge shape stays, and a transposed weight is folded.  Impure ops, ops with symbolic
    dimensions, and ops whose evaluation is an error (an index out of range) stay as they are.

    What only moves the numbers of a dequantized constant moves the stored integers instead.

    Options:
        limit: bytes that the results of one op may always have, but for ``quant.dequantize``.
        growth: how many times larger than its operands a result may be.
        work: operations (and elements of padding) that evaluating one op may take.
    """

    name = "fold"
    limit: int = 1 << 16
    growth: float = 1.0
    work: int = 1 << 30

    def run_function(self, function: Function, context: PassContext) -> bool:
        """One forward sweep per block: a folded op's users are folded after it."""
        rewriter = context.rewriter()
        for block in blocks_inside_out(function):
            for op in block:
                if not context.may_rewrite:
                    break
                if self._is_foldable(op):
                    self._fold(op, rewriter, context)
                elif op.name in MOVEMENT:
                    self._move_integers(op, rewriter, context)
        return rewriter.changes > 0

    def _is_foldable(self, op: Op) -> bool:
        return (
            not op.is_terminator
            and Trait.CONSTANT not in op.opdef.traits
            and all(value.constant is not None for value in op.inputs)
            and all(type_.layout is None for type_ in op.result_types)  # constants have none
            and _is_static(op)
            and is_pure(op)
        )

    def _move_integers(self, op: Op, rewriter: Rewriter, context: PassContext) -> None:
        """Move the stored numbers of a dequantized constant, then dequantize."""
        source, *others = op.inputs
        stored = _stored(source)
        if stored is None or any(v.constant is None for v in others) or not _is_static(op):
            return
        builder = rewriter.before(op)
        try:
            moved = builder.create(op.name, [stored, *others], op.attributes)
        except Error:
            # Parameters vary along an axis that does not survive.
            context.refusals[self.name, "the parameters of a quantized constant would move"] += 1
            return
        moved_dequantized = builder.create(DEQUANTIZE, moved.results)
        context.count(f"move-integers {op.name}", root=op)
        rewriter.replace(op, moved_dequantized.results)
        self._fold(moved, rewriter, context)

    def _fold(self, op: Op, rewriter: Rewriter, context: PassContext) -> None:
        result_bytes = sum(math.prod(t.static_shape) * t.dtype.bytes for t in op.result_types)
        operand_bytes = sum(v.constant.nbytes for v in set(op.inputs) if v.constant is not None)
        # Quantized weights stay so unless growth says that they may become large.
        limit = 0 if op.name == DEQUANTIZE else self.limit
        if result_bytes > max(limit, self.growth * operand_bytes):
            context.refusals["fold", "the result is too large"] += 1
            return
        if _work(op) > self.work:
            context.refusals["fold", "the evaluation is too long"] += 1
            return
        operands = [None if v is None else _data(v) for v in op.operands]
        try:
            with np.errstate(all="ignore"):
                arrays = evaluate_op(op, operands)
        except Error:
            # Running the op is an error; whether it runs at all is not known here.
            context.refusals["fold", "evaluation fails"] += 1
            return
        builder = rewriter.before(op)
        constants = [
            builder.constant(np.asarray(array, order="C"), encoding=value.type.encoding)
            for array, value in zip(arrays, op.results)
        ]
        rewriter.replace(op, constants)
        context.count(f"fold {op.name}", root=op)


def _stored(value: Value) -> Value | None:
    """The quantized constant that ``value`` is made of; None if it is something else."""
    op = value.op
    if op is None or op.name != DEQUANTIZE or not value.has_one_use:
        return None
    return op.inputs[0] if op.inputs[0].constant is not None else None


def _data(value: Value) -> Array:
    assert value.constant is not None
    return value.constant.array


def _work(op: Op) -> int:
    """How long evaluation takes: arithmetic, and what windows see beyond their operand."""
    cost = op_cost(op)
    work = sum(amount for amount in (cost.macs, cost.flops) if isinstance(amount, int))
    if op.regions:
        return (work + 1) * _iterations(op)
    if "pads" in op.opdef.attributes:
        extents, pads = op.inputs[0].type.static_shape[2:], op.attributes.pads
        padding = zip(extents, pads, pads[len(extents) :])
        work += math.prod(extent + before + after for extent, before, after in padding)
    return work


def _iterations(op: Op) -> int:
    """How often the regions of ``op`` may run; what cannot be bounded counts as endless."""
    if any(inner.regions for region in op.regions for inner in region):
        return _ENDLESS
    if op.name != "control.loop":
        return 1
    trip_count = op.operands[0]
    if trip_count is None or trip_count.constant is None:
        return _ENDLESS
    return max(1, int(trip_count.constant.array))


def _is_static(op: Op) -> bool:
    return all(t.is_static for t in op.result_types) and op.attributes.is_static
