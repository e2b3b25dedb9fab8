"""Constant folding: ops on constants are evaluated at compile time, within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, Function, Module, Op, Trait, Value
from burnish.ir.cost import op_cost
from burnish.ir.errors import Error
from burnish.ir.interpreter import evaluate_op

from .base import Pass, PassContext, register_pass
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
class Fold(Pass):
    """Evaluate ops whose operands are all constant, by the reference interpreter.

    A fold may not blow a model up: the results of an op may have ``growth`` times the bytes of its
    operands, where what n ops read counts for one n-th; or ``limit`` bytes, but in all such folds
    add at most ``total`` bytes.  So a small ``tensor.broadcast`` to a huge shape stays, and a
    transposed weight is folded, unless another op needs it as it is.  Impure ops, ops with
    symbolic dimensions, and ops whose evaluation is an error (an index out of range) stay.

    What only moves the numbers of a dequantized constant moves the stored integers instead.

    Options:
        limit: bytes that the results of one op may have, whatever its operands, but for
            ``quant.dequantize``.
        growth: how many times larger than its operands a result may be.
        total: bytes that folds up to ``limit`` may add to the model in all.
        work: operations (and elements of padding) that evaluating one op may take.
    """

    name = "fold"
    limit: int = 1 << 16
    growth: float = 1.0
    total: int = 1 << 20
    work: int = 1 << 30

    def run(self, module: Module, context: PassContext) -> bool:
        """One forward sweep per block: a folded op's users are folded after it."""
        sweep = _Sweep(self, context)
        for function in list(module.functions.values()):
            sweep.run(function)
        return sweep.rewriter.changes > 0


class _Sweep:
    """One run of the pass: what it may do, and what it has added."""

    def __init__(self, options: Fold, context: PassContext) -> None:
        self.options = options
        self.context = context
        self.rewriter = context.rewriter()
        self._added = 0

    def run(self, function: Function) -> None:
        for block in blocks_inside_out(function):
            for op in block:
                if not self.context.may_rewrite:
                    break
                if _is_foldable(op):
                    self._fold(op)
                elif op.name in MOVEMENT:
                    self._move_integers(op)

    def _move_integers(self, op: Op) -> None:
        """Move the stored numbers of a dequantized constant, then dequantize."""
        source, *others = op.inputs
        stored = _stored(source)
        if stored is None or any(v.constant is None for v in others) or not _is_static(op):
            return
        builder = self.rewriter.before(op)
        try:
            moved = builder.create(op.name, [stored, *others], op.attributes)
        except Error:
            # Parameters vary along an axis that does not survive.
            self._refuse("the parameters of a quantized constant would move")
            return
        moved_dequantized = builder.create(DEQUANTIZE, moved.results)
        self.context.count(f"move-integers {op.name}", root=op)
        self.rewriter.replace(op, moved_dequantized.results)
        self._fold(moved)

    def _fold(self, op: Op) -> None:
        result_bytes = sum(math.prod(t.static_shape) * t.dtype.bytes for t in op.result_types)
        operand_bytes = sum(map(_share, set(op.inputs)))
        added = 0 if result_bytes <= self.options.growth * operand_bytes else result_bytes
        # Quantized weights stay so unless growth says that they may become large.
        limit = 0 if op.name == DEQUANTIZE else self.options.limit
        if added > limit:
            self._refuse("the result is too large")
            return
        if self._added + added > self.options.total:
            self._refuse("the model would grow too much")
            return
        if _work(op) > self.options.work:
            self._refuse("the evaluation is too long")
            return
        operands = [None if v is None else _data(v) for v in op.operands]
        try:
            with np.errstate(all="ignore"):
                arrays = evaluate_op(op, operands)
        except Error:
            # Running the op is an error; whether it runs at all is not known here.
            self._refuse("evaluation fails")
            return
        builder = self.rewriter.before(op)
        constants = [
            builder.constant(np.asarray(array, order="C"), encoding=value.type.encoding)
            for array, value in zip(arrays, op.results)
        ]
        self._added += added
        self.rewriter.replace(op, constants)
        self.context.count(f"fold {op.name}", root=op)

    def _refuse(self, reason: str) -> None:
        self.context.refusals[Fold.name, reason] += 1


def _is_foldable(op: Op) -> bool:
    return (
        not op.is_terminator
        and Trait.CONSTANT not in op.opdef.traits
        and all(value.constant is not None for value in op.inputs)
        and all(type_.layout is None for type_ in op.result_types)  # constants have none
        and _is_static(op)
        and is_pure(op)
    )


def _share(value: Value) -> float:
    """The bytes of a constant that an op may count as its own, among all that read it."""
    data = value.constant
    return 0 if data is None else data.nbytes / len({*value.users})


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
