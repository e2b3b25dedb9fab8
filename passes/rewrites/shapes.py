"""Runs of slices that meet: how many there are is not known, so this is no tree of ops."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from burnish.ir import Op, Value
from burnish.ir.opdef import sum_dims

from ..pattern import Match, Outcome
from .sets import CANONICAL


@CANONICAL.pattern("concat-of-slices", "tensor.concat")
def concat_of_slices(m: Match) -> Outcome:
    """Neighbouring slices of one tensor, put together again, are one slice."""
    axis = m.op.attributes.axis
    runs = [[m.op.inputs[0]]]
    for left, right in pairwise(m.op.inputs):
        if _slices_meet(left.op, right.op, axis):
            runs[-1].append(right)
        else:
            runs.append([right])
    m.require(len(runs) < len(m.op.inputs), "no two neighbours are slices that meet")
    for run in runs:
        if len(run) > 1:
            m.movable(run[0])
            m.absorb(*(value.op for value in run if value.op is not None))
    return m.build("tensor.concat", *(_joined_slices(m, run, axis) for run in runs), axis=axis)


def _slices_meet(first: Op | None, second: Op | None, axis: int) -> bool:
    """Whether both are slices of one tensor, the second of what follows the first along an axis."""
    if first is None or second is None or {first.name, second.name} != {"tensor.slice"}:
        return False
    a, b = first.attributes, second.attributes
    end = a.starts[axis] + a.sizes[axis] * a.steps[axis]
    starts = (*a.starts[:axis], end, *a.starts[axis + 1 :])
    same = first.operands == second.operands and a.steps == b.steps and starts == b.starts
    return bool(same)


def _joined_slices(m: Match, run: Sequence[Value], axis: int) -> Value:
    """One slice for a run of slices that meet; the value itself when it is alone."""
    first = run[0].op
    if len(run) == 1 or first is None:
        return run[0]
    a = first.attributes
    size = sum_dims(value.type.shape[axis] for value in run)
    sizes = [*a.sizes[:axis], size, *a.sizes[axis + 1 :]]
    return m.build("tensor.slice", first.operands[0], starts=a.starts, sizes=sizes, steps=a.steps)
