"""Which channels of an op's operands and result belong together.

Channels are positions along one axis of a tensor.  A *tie* labels them: positions of the operands
and of the result with one label are removed together or not at all, and what is left is again a
valid op.  An elementwise op ties channel c of its operands to channel c of its result; a reshape
that flattens [N, C, H, W] ties channel c to the H·W positions that hold it; a depthwise
convolution ties an input channel to the output channels of its group.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from burnish.ir import Array, Block, Dim, Op, Sparse, Trait, Value

from .constants import is_constant
from .linear import linear

RESULT = -1
"""Stands for the result where operands are counted."""


@dataclass(frozen=True)
class End:
    """Where channels of an op lie: operand ``index`` (or the result), along ``axis``."""

    value: Value
    index: int
    axis: int
    labels: Array

    @property
    def is_plain(self) -> bool:
        """Whether each position is its own label."""
        return self.labels is _positions(len(self.labels))


@dataclass(frozen=True)
class Tie:
    """The ends of an op whose channels belong together; constant operands are listed apart."""

    ends: tuple[End, ...]
    constants: tuple[End, ...]
    labels: int
    """How many labels there are; each is at least 0 and below this."""

    @property
    def result(self) -> End:
        """The end at the op's result."""
        return self.ends[0]


Rule = Callable[[Op, int], Iterator[Mapping[int, tuple[int, Array]]]]
"""For an op and an axis of its result: axis and labels of each end, in each way that fits."""


MAX_CHANNELS = 1 << 17
"""Longer axes are no channels: their labels would be larger than what could be saved."""


def _is_short(op: Op) -> bool:
    """Whether no axis is too long to be listed."""
    return all(
        not isinstance(extent, int) or extent <= MAX_CHANNELS
        for value in (*op.inputs, *op.results)
        for extent in value.type.shape
    )


def ties(op: Op, first: int = 0) -> Iterator[Tie]:
    """The ways in which channels of ``op`` may belong together, for all axes they may lie on.

    Those where channels of the result lie along axis ``first`` come first.
    """
    rule = _RULES.get(op.name) or (_elementwise if _is_elementwise(op) else None)
    if rule is None or len(op.results) != 1 or not _is_short(op):
        return
    values = {RESULT: op.result, **dict(enumerate(op.operands))}
    present = {index: value for index, value in values.items() if value is not None}
    known = {index for index, value in present.items() if is_constant(value)}
    whole = {i for i, value in present.items() if i not in known and not _is_sliceable(value)}
    shape = op.result.type.shape
    for axis in sorted(range(len(shape)), key=lambda axis: axis != first):
        if not isinstance(shape[axis], int):
            continue
        for places in rule(op, axis):
            if not whole.isdisjoint(places):
                continue
            ends = [
                End(present[index], index, place, labels)
                for index, (place, labels) in places.items()
                if index in present
            ]
            free = tuple(end for end in ends if end.index not in known)
            constants = tuple(end for end in ends if end.index in known)
            yield Tie(free, constants, 1 + max(map(_last_label, ends), default=-1))


def _last_label(end: End) -> int:
    return len(end.labels) - 1 if end.is_plain else int(end.labels.max(initial=-1))


def _is_sliceable(value: Value) -> bool:
    """Whether positions can be taken out: not of blocks, tiles, or what promises zeros."""
    type_ = value.type
    in_blocks = type_.quantized is not None and type_.quantized.block > 0
    return not (in_blocks or type_.layout is not None or isinstance(type_.encoding, Sparse))


def _is_elementwise(op: Op) -> bool:
    return Trait.ELEMENTWISE in op.opdef.traits


def _count(extent: Dim) -> Array:
    return _positions(extent if isinstance(extent, int) else 0)


@lru_cache(maxsize=64)
def _positions(count: int) -> Array:
    """0, 1, …, the same array for everybody."""
    labels = np.arange(count)
    labels.flags.writeable = False
    return labels


# Rules -----------------------------------------------------------------------------------


def _elementwise(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """Operands that have the result's extent there; those that broadcast have no channels."""
    result = op.result.type
    labels = _count(result.shape[axis])
    places = {RESULT: (axis, labels)}
    for index, value in enumerate(op.inputs):
        place = axis - result.rank + value.type.rank
        if place >= 0 and value.type.shape[place] == len(labels):
            places[index] = (place, labels)
    yield places


def _same_axis(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    labels = _count(op.result.type.shape[axis])
    if op.inputs[0].type.shape[axis] == len(labels):
        yield {RESULT: (axis, labels), 0: (axis, labels)}


def _leading(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """Ops on [N, C, spatial...] that look at one channel at a time."""
    if axis < 2:
        yield from _same_axis(op, axis)


def _other_axis(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """Ops that work along their attribute ``axis`` only."""
    if axis != op.attributes.axis:
        yield from _same_axis(op, axis)


def _batch_norm(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    if axis != 1 or not all(map(is_constant, op.inputs[1:])):
        return
    labels = _count(op.result.type.shape[1])
    yield {RESULT: (1, labels), 0: (1, labels), **dict.fromkeys(range(1, 5), (0, labels))}


def _grouped(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """A grouped convolution loses whole groups; one label per group."""
    found = linear(op)
    if axis != 1 or found is None or found.groups == 1:
        return
    inputs, outputs = (
        np.repeat(np.arange(found.groups), count // found.groups)
        if isinstance(count := value.type.shape[1], int)
        else None
        for value in (found.x, op.result)
    )
    if inputs is None or outputs is None or not (found.bias is None or is_constant(found.bias)):
        return
    places = {RESULT: (1, outputs), 0: (1, inputs)}
    places[1] = (0, outputs if op.name == "nn.conv" else inputs)
    if found.bias is not None:
        places[2] = (0, outputs)
    yield places


def _reduce(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    a, rank = op.attributes, op.inputs[0].type.rank
    left = [i for i in range(rank) if a.keep_dims or i not in a.axes]
    if left[axis] not in a.axes:
        labels = _count(op.result.type.shape[axis])
        yield {RESULT: (axis, labels), 0: (left[axis], labels)}


def _transpose(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    labels = _count(op.result.type.shape[axis])
    yield {RESULT: (axis, labels), 0: (op.attributes.permutation[axis], labels)}


def _reshape(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """An axis that is kept, is merged with others, or is split off."""
    old, new = op.inputs[0].type.shape, op.result.type.shape
    size, inner = new[axis], _product(new[axis + 1 :])
    if not isinstance(size, int) or inner is None:
        return
    for place, extent in enumerate(old):
        below = _product(old[place + 1 :])
        if not isinstance(extent, int) or below is None or 0 in (extent, size, inner, below):
            continue
        if (extent == 1) != (size == 1):
            continue  # an axis of one position says nothing of the others
        covers = below % inner == 0 and (inner * size) % (below * extent) == 0
        covered = inner % below == 0 and (below * extent) % (inner * size) == 0
        if covers:
            labels = np.arange(size) * inner // below % extent
            yield {RESULT: (axis, labels), 0: (place, _positions(extent))}
        elif covered:
            labels = _positions(extent) * below // inner % size
            yield {RESULT: (axis, _positions(size)), 0: (place, labels)}


def _product(dims: tuple[Dim, ...]) -> int | None:
    sizes = [dim for dim in dims if isinstance(dim, int)]
    return math.prod(sizes) if len(sizes) == len(dims) else None


def _concat(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    labels = _count(op.result.type.shape[axis])
    places = {RESULT: (axis, labels)}
    start = 0
    for index, value in enumerate(op.inputs):
        extent = value.type.shape[axis]
        if not isinstance(extent, int):
            return
        part = labels[start : start + extent] if axis == op.attributes.axis else labels
        places[index] = (axis, part)
        start += extent
    yield places


def _slice(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    a, extent = op.attributes, op.inputs[0].type.shape[axis]
    start = a.starts[axis]
    if isinstance(extent, int) and isinstance(start, int) and a.steps[axis] == 1:
        taken = start + _count(op.result.type.shape[axis])
        yield {RESULT: (axis, taken), 0: (axis, _positions(extent))}


def _pad(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """Padding along the axis has labels of its own, above those of the data."""
    a, extent = op.attributes, op.inputs[0].type.shape[axis]
    before, after = a.before[axis], a.after[axis]
    if not isinstance(extent, int) or (a.mode != "constant" and (before or after)):
        return
    data = _positions(extent)
    added = extent + np.arange(before + after)
    labels = np.concatenate([added[:before], data, added[before:]])
    yield {RESULT: (axis, labels), 0: (axis, data)}


def _tile(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    extent = op.inputs[0].type.shape[axis]
    if isinstance(extent, int):
        labels = _positions(extent)
        yield {RESULT: (axis, np.tile(labels, op.attributes.repeats[axis])), 0: (axis, labels)}


def _gather(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    """Along another axis than the one gathered from, or constant positions along that one."""
    x, indices = op.inputs
    along, added = op.attributes.axis, indices.type.rank
    if along <= axis < along + added:
        extent = x.type.shape[along]
        if added == 1 and indices.constant is not None and isinstance(extent, int):
            positions = indices.constant.array.astype(np.int64)
            if positions.size and -extent <= positions.min() and positions.max() < extent:
                yield {RESULT: (axis, positions % extent), 0: (along, _positions(extent))}
        return
    labels = _count(op.result.type.shape[axis])
    yield {RESULT: (axis, labels), 0: (axis if axis < along else axis - added + 1, labels)}


def _resize(op: Op, axis: int) -> Iterator[Mapping[int, tuple[int, Array]]]:
    a = op.attributes
    if a.scales[axis] == 1 and a.coordinates != "tf_crop_and_resize":
        yield from _same_axis(op, axis)


_RULES: Mapping[str, Rule] = {
    "nn.conv": _grouped,
    "nn.conv_transpose": _grouped,
    "nn.max_pool": _leading,
    "nn.average_pool": _leading,
    "nn.batch_norm": _batch_norm,
    "nn.resize": _resize,
    "nn.softmax": _other_axis,
    "nn.log_softmax": _other_axis,
    "quant.quantize": _same_axis,
    "quant.dequantize": _same_axis,
    "quant.reinterpret": _same_axis,
    "tensor.reduce": _reduce,
    "tensor.transpose": _transpose,
    "tensor.reshape": _reshape,
    "tensor.broadcast": _elementwise,
    "tensor.concat": _concat,
    "tensor.slice": _slice,
    "tensor.pad": _pad,
    "tensor.tile": _tile,
    "tensor.gather": _gather,
}
"""Elementwise ops have a rule too; all others keep all channels of what they read and make."""


# Axes ------------------------------------------------------------------------------------


def _kept(ties: Iterator[Tie], found: list[Tie]) -> Iterator[Tie]:
    """``ties``, each of which is added to ``found``."""
    for tie in ties:
        found.append(tie)
        yield tie


class ChannelAxes:
    """Along which axis the channels of each value of a block lie, and how ops tie them.

    Convolutions and matrix products with constant weights say where their channels are; ties
    spread this over the block.

    Attributes:
        axis: the channel axis by value.
        tie: the tie of each op that has one, all its ends along the axes of their values.
    """

    def __init__(self, block: Block) -> None:
        self.axis: dict[Value, int] = {}
        self.tie: dict[Op, Tie] = {}
        self._ties: dict[Op, tuple[list[Tie], Iterator[Tie]]] = {}
        ops = [op for op in block if not op.is_terminator]
        convolutions = [op for op in ops if op.name != "nn.matmul"]
        products = [op for op in ops if op.name == "nn.matmul"]
        for seeds in (convolutions, products):
            for op in seeds:
                if (found := linear(op)) is not None:
                    self._spread(found.x, found.x_axis)
                    self._spread(op.result, found.axis)
        for op, tie in list(self.tie.items()):
            if any(self.axis[end.value] != end.axis for end in tie.ends):
                del self.tie[op]

    def _spread(self, value: Value, axis: int) -> None:
        pending = [(value, axis)]
        while pending:
            value, axis = pending.pop()
            if value in self.axis or is_constant(value):
                continue
            self.axis[value] = axis
            for op in [*value.users, *([value.op] if value.op is not None else [])]:
                tie = None if op in self.tie else self._tie_at(op, value, axis)
                if tie is not None:
                    self.tie[op] = tie
                    pending += [(end.value, end.axis) for end in tie.ends]

    def _tie_at(self, op: Op, value: Value, axis: int) -> Tie | None:
        found, further = self._ties.setdefault(op, ([], ties(op, axis)))
        for tie in itertools.chain(found, _kept(further, found)):
            if any(end.value is value and end.axis == axis for end in tie.ends):
                return tie
        return None

    def extent(self, value: Value) -> int:
        """How many channels a value with an axis has."""
        size = value.type.shape[self.axis[value]]
        assert isinstance(size, int)
        return size
