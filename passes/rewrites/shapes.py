"""Data movement that does nothing, or does in two steps what one can do.  All exact."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from burnish.ir import Op, Trait, Value, broadcast_shapes
from burnish.ir.errors import TypeInferenceError
from burnish.ir.opdef import sum_dims

from ..pattern import Match, Outcome, Refusal
from .algebra import filled_with
from .sets import CANONICAL

VIEWS_OF_SHAPE = ("tensor.reshape", "tensor.broadcast")


@CANONICAL.pattern("reshape-to-same", *VIEWS_OF_SHAPE, benefit=3)
def reshape_to_same(m: Match) -> Outcome:
    """A reshape or broadcast to the shape x has."""
    m.require(m.operand(0).type == m.op.result.type, "the type changes")
    return m.operand(0)


@CANONICAL.pattern("reshape-of-reshape", "tensor.reshape", benefit=2)
def reshape_of_reshape(m: Match) -> Outcome:
    """Only the last of several reshapes matters."""
    inner = m.producer(m.operand(0), "tensor.reshape")
    m.movable(m.needed(inner.operands[0]))
    return m.build("tensor.reshape", inner.operands[0], shape=m.op.attributes.shape)


@CANONICAL.pattern("broadcast-of-broadcast", "tensor.broadcast", benefit=2)
def broadcast_of_broadcast(m: Match) -> Outcome:
    """Only the last of several broadcasts matters."""
    inner = m.producer(m.operand(0), "tensor.broadcast")
    m.movable(m.needed(inner.operands[0]))
    return m.build("tensor.broadcast", inner.operands[0], shape=m.op.attributes.shape)


@CANONICAL.pattern("broadcast-of-units", "tensor.broadcast")
def broadcast_of_units(m: Match) -> Outcome:
    """A broadcast that only adds axes of size 1 in front is a reshape."""
    x, shape = m.operand(0), m.op.result.type.shape
    m.movable(x)
    added = len(shape) - x.type.rank
    m.require(shape == (1,) * added + x.type.shape, "elements are repeated")
    return m.build("tensor.reshape", x, shape=shape)


@CANONICAL.pattern("elementwise-of-broadcast", Trait.ELEMENTWISE)
def elementwise_of_broadcast(m: Match) -> Outcome:
    """Elementwise ops broadcast by themselves."""
    operands = list(m.op.operands)
    for index, value in enumerate(operands):
        producer = None if value is None else value.op
        if producer is None or producer.name != "tensor.broadcast":
            continue
        operands[index] = producer.operands[0]
        try:
            shape = broadcast_shapes(*(v.type.shape for v in operands if v is not None))
        except TypeInferenceError:  # a symbol against another size: the broadcast decides
            shape = ()
        if shape == m.op.result.type.shape:
            m.absorb(producer)
            return m.rebuild(m.op, operands)
        operands[index] = value
    raise Refusal("no operand is broadcast in vain")


@CANONICAL.pattern("transpose-to-same", "tensor.transpose", benefit=3)
def transpose_to_same(m: Match) -> Outcome:
    """A transpose that leaves all axes in place."""
    permutation = m.op.attributes.permutation
    m.require(permutation == tuple(range(len(permutation))), "axes move")
    m.require(m.operand(0).type == m.op.result.type, "the type changes")
    return m.operand(0)


@CANONICAL.pattern("transpose-of-transpose", "tensor.transpose", benefit=2)
def transpose_of_transpose(m: Match) -> Outcome:
    """Two transposes are one."""
    inner = m.producer(m.operand(0), "tensor.transpose")
    x = m.needed(inner.operands[0])
    first, second = inner.attributes.permutation, m.op.attributes.permutation
    return m.build("tensor.transpose", x, permutation=[first[axis] for axis in second])


@CANONICAL.pattern("transpose-of-units", "tensor.transpose")
def transpose_of_units(m: Match) -> Outcome:
    """A transpose that moves only axes of size 1 is a reshape, which costs nothing."""
    x = m.operand(0)
    m.movable(x)
    moved = [axis for axis in m.op.attributes.permutation if x.type.shape[axis] != 1]
    m.require(moved == sorted(moved), "an axis with elements moves")
    return m.build("tensor.reshape", x, shape=m.op.result.type.shape)


@CANONICAL.pattern("slice-to-same", "tensor.slice", benefit=3)
def slice_to_same(m: Match) -> Outcome:
    """A slice that takes everything, in order."""
    a = m.op.attributes
    m.require(m.operand(0).type == m.op.result.type, "the type changes")
    whole = all(start == 0 for start in a.starts) and all(
        step == 1 or size == 1 for step, size in zip(a.steps, a.sizes)
    )
    m.require(whole, "elements are skipped or reordered")
    return m.operand(0)


@CANONICAL.pattern("slice-of-slice", "tensor.slice", benefit=2)
def slice_of_slice(m: Match) -> Outcome:
    """Two slices are one."""
    inner = m.producer(m.operand(0), "tensor.slice")
    x = m.needed(inner.operands[0])
    m.movable(x)
    a, b = inner.attributes, m.op.attributes
    starts = [s + t * p for s, t, p in zip(a.starts, b.starts, a.steps)]
    steps = [p * q for p, q in zip(a.steps, b.steps)]
    return m.build("tensor.slice", x, starts=starts, sizes=b.sizes, steps=steps)


@CANONICAL.pattern("slice-of-concat", "tensor.slice")
def slice_of_concat(m: Match) -> Outcome:
    """A slice that reads one operand of a concat only."""
    concat = m.producer(m.operand(0), "tensor.concat")
    axis, a = concat.attributes.axis, m.op.attributes
    start, step = a.starts[axis], a.steps[axis]
    size = m.static([a.sizes[axis]])[0]
    ends = sorted(m.static([start, start + (size - 1) * step]))
    m.require(size > 0, "nothing is taken")
    offset = 0
    for value in concat.inputs:
        m.movable(value)
        extent = m.static([value.type.shape[axis]])[0]
        if offset <= ends[0] and ends[1] < offset + extent:
            starts = [*a.starts[:axis], start - offset, *a.starts[axis + 1 :]]
            return m.build("tensor.slice", value, starts=starts, sizes=a.sizes, steps=a.steps)
        offset += extent
    raise Refusal("several operands are read")


@CANONICAL.pattern("concat-of-one", "tensor.concat", benefit=3)
def concat_of_one(m: Match) -> Outcome:
    """A concat of one tensor, or of several of which all but one are empty."""
    axis = m.op.attributes.axis
    full = [value for value in m.op.inputs if value.type.shape[axis] != 0]
    m.require(0 < len(full) < len(m.op.inputs) or len(m.op.inputs) == 1, "several operands")
    if len(full) <= 1:
        return (full or m.op.inputs)[0]
    return m.build("tensor.concat", *full, axis=axis)


@CANONICAL.pattern("concat-of-concat", "tensor.concat")
def concat_of_concat(m: Match) -> Outcome:
    """Concats along the same axis are one, where the inner one goes away."""
    axis = m.op.attributes.axis
    operands = []
    for value in m.op.inputs:
        inner = value.op
        mergeable = inner is not None and inner.name == "tensor.concat" and value.has_one_use
        if inner is not None and mergeable and inner.attributes.axis == axis:
            m.absorb(inner)
            operands += inner.inputs
        else:
            operands.append(value)
    m.require(len(operands) > len(m.op.inputs), "no operand is such a concat")
    return m.build("tensor.concat", *operands, axis=axis)


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


@CANONICAL.pattern("pad-by-nothing", "tensor.pad", benefit=3)
def pad_by_nothing(m: Match) -> Outcome:
    """A pad that adds no elements."""
    m.require(not any((*m.op.attributes.before, *m.op.attributes.after)), "elements are added")
    return m.operand(0)


@CANONICAL.pattern("pad-of-pad", "tensor.pad")
def pad_of_pad(m: Match) -> Outcome:
    """Two pads with the same number are one."""
    inner = m.producer(m.operand(0), "tensor.pad", one_use=True)
    a, b = inner.attributes, m.op.attributes
    m.require(a.mode == b.mode == "constant", "not constant padding")
    m.require(inner.operands[1:] == m.op.operands[1:], "other values are added")
    before = [p + q for p, q in zip(a.before, b.before)]
    after = [p + q for p, q in zip(a.after, b.after)]
    operands = [inner.operands[0], *m.op.operands[1:]]
    return m.rebuild(m.op, operands, before=before, after=after)


@CANONICAL.pattern("pad-with-zero", "tensor.pad", benefit=2)
def pad_with_zero(m: Match) -> Outcome:
    """Zero need not be said."""
    m.require(len(m.op.operands) == 2, "no value is given")
    m.require(filled_with(m.operand(1), 0), "the value is not 0")
    return m.rebuild(m.op, [m.operand(0)])


@CANONICAL.pattern("tile-of-units", "tensor.tile")
def tile_of_units(m: Match) -> Outcome:
    """Repeating only axes of size 1 is a broadcast."""
    x, repeats = m.operand(0), m.op.attributes.repeats
    repeated = [dim for dim, count in zip(x.type.shape, repeats) if count != 1]
    m.require(all(dim == 1 for dim in repeated), "an axis with elements is repeated")
    return m.build("tensor.broadcast", x, shape=m.op.result.type.shape)


@CANONICAL.pattern("gather-one", "tensor.gather")
def gather_one(m: Match) -> Outcome:
    """Gathering one constant index is a slice, which composes."""
    x, axis = m.operand(0), m.op.attributes.axis
    m.movable(x)
    index = int(m.scalar(m.operand(1)))
    extent = m.static([x.type.shape[axis]])[0]
    m.require(-extent <= index < extent, "the index is out of range", index)
    starts = [index % extent if i == axis else 0 for i in range(x.type.rank)]
    sizes = [1 if i == axis else dim for i, dim in enumerate(x.type.shape)]
    m.require(all(dim != 0 for dim in x.type.shape), "an axis is empty")
    taken = m.build("tensor.slice", x, starts=starts, sizes=sizes, steps=[1] * x.type.rank)
    return m.build("tensor.reshape", taken, shape=m.op.result.type.shape)


@CANONICAL.pattern("reduce-of-units", "tensor.reduce")
def reduce_of_units(m: Match) -> Outcome:
    """Reducing no axes, or axes of size 1, is a reshape."""
    x, a = m.operand(0), m.op.attributes
    m.require(x.type.encoding is None, "encoded", x)
    m.require(all(x.type.shape[axis] == 1 for axis in a.axes), "several elements are combined")
    return m.build("tensor.reshape", x, shape=m.op.result.type.shape)


@CANONICAL.pattern("reduce-of-reduce", "tensor.reduce")
def reduce_of_reduce(m: Match) -> Outcome:
    """Minimum of minima (or maximum, any, all): one reduction."""
    inner = m.producer(m.operand(0), "tensor.reduce", one_use=True)
    a, b = inner.attributes, m.op.attributes
    m.require(a.kind == b.kind and a.kind in ("min", "max", "any", "all"), "not order-free")
    m.require(a.keep_dims == b.keep_dims, "only one keeps dimensions")
    outer = b.axes
    if not a.keep_dims:
        x = m.needed(inner.operands[0])
        left = [axis for axis in range(x.type.rank) if axis not in a.axes]
        outer = [left[axis] for axis in outer]
    axes = sorted({*a.axes, *outer})
    return m.rebuild(m.op, inner.operands, axes=axes)
