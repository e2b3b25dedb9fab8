"""Removing channels: every op that loses some is built anew from what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from burnish.ir import Array, AttributeValue, Block, Builder, Op, Rewriter, Value

from . import linear
from .constants import ConstantData, sliced, take
from .linear import Linear
from .needs import Needs
from .ranges import Ranges
from .ties import ChannelAxes, Tie


class ChannelRemoval:
    """One removal in one block: what was found out before, and the new values by the old ones."""

    def __init__(
        self,
        rewriter: Rewriter,
        axes: ChannelAxes,
        ranges: Ranges,
        needs: Needs,
        data: ConstantData,
    ) -> None:
        self._rewriter = rewriter
        self._axes = axes
        self._ranges = ranges
        self._needs = needs
        self._data = data
        self._new: dict[Value, Value] = {}

    def run(self, block: Block) -> Counter[str]:
        """Rebuild every op that loses channels; returns how many of which kind went."""
        old = [op for op in block if self._needs.is_changed(op)]
        removed = self._count(old)
        for op in old:
            self._rebuild(op)
        for op in reversed(old):  # users first
            new = self._new[op.result]
            if new.type == op.result.type:
                self._rewriter.replace_all_uses(op.result, new)
            self._rewriter.erase(op)
        return removed

    def _count(self, ops: Sequence[Op]) -> Counter[str]:
        found: Counter[str] = Counter()
        for op in ops:
            found["negligible-weight"] += self._neglected(op)
            if op.name in linear.OPS and op.result in self._needs.kept:
                gone = ~self._needs.kept[op.result]
                constants = int((self._ranges[op.result].constant & gone).sum())
                found["constant-channel"] += constants
                found["unneeded-channel"] += int(gone.sum()) - constants
        return found

    def _rebuild(self, op: Op) -> None:
        builder = self._rewriter.before(op)
        attributes: dict[str, AttributeValue] = dict(op.attributes)
        found = self._needs.linears.get(op)
        if found is not None:
            operands = self._linear_operands(builder, found)
        else:
            tie = self._axes.tie[op]
            operands = self._tied_operands(builder, op, tie)
            if op.name in _ATTRIBUTES:
                attributes.update(_ATTRIBUTES[op.name](op, tie, self._needs))
        new = builder.create(op.name, operands, attributes, names=[op.result.name])
        self._new[op.result] = new.result

    def _neglected(self, op: Op) -> int:
        """How many weights of ``op`` counted as zero without being it."""
        if op.name not in linear.OPS:
            return 0
        weights = self._data(op.inputs[1])
        return int(np.count_nonzero(weights) - np.count_nonzero(self._data.significant(weights)))

    def _current(self, value: Value | None) -> Value | None:
        return None if value is None else self._new.get(value, value)

    # Linear ops --------------------------------------------------------------------------

    def _linear_operands(self, builder: Builder, op: Linear) -> list[Value | None]:
        inputs, outputs = self._needs.kept[op.x], np.flatnonzero(self._needs.kept[op.op.result])
        weights = take(builder, op.w, op.in_axis, np.flatnonzero(inputs))
        weights = take(builder, weights, op.out_axis, outputs)
        return [self._current(op.x), weights, self._bias(builder, op, ~inputs, outputs)]

    def _bias(self, builder: Builder, op: Linear, removed: Array, outputs: Array) -> Value | None:
        """The bias with what the removed constant channels add: w · constant, over all taps."""
        constants = self._ranges[op.x].low
        added = removed & self._needs.absorbed(op) & (constants != 0)
        shift = op.weights(self._data)[0].sum(-1)[:, added] @ constants[added]
        shift = shift[outputs]
        if shift.any():
            old = op.bias_data(self._data)
            assert old is not None
            dtype = op.op.result.type.dtype
            total = old[outputs] + shift
            if dtype.is_integer:
                total = np.rint(total).astype(np.int64)  # wraps when it is narrowed, as sums do
            return builder.constant(total.astype(dtype.numpy))
        if op.bias is None or op.bias.type.shape[-1:] != (self._axes.extent(op.op.result),):
            return op.bias
        return take(builder, op.bias, op.bias.type.rank - 1, outputs)

    # Tied ops ----------------------------------------------------------------------------

    def _tied_operands(self, builder: Builder, op: Op, tie: Tie) -> list[Value | None]:
        left = self._needs.labels_left(tie)
        operands = [self._current(value) for value in op.operands]
        for end in tie.constants:
            kept = np.flatnonzero(left[end.labels])
            operands[end.index] = take(builder, end.value, end.axis, kept)
        if op.name == "tensor.gather" and _gathers_channels(op, tie):
            # Positions among those that are left; all that are still gathered are.
            renumbered = np.cumsum(left) - 1
            indices = renumbered[tie.result.labels[left[tie.result.labels]]]
            dtype = op.inputs[1].type.dtype.numpy
            operands[1] = builder.constant(indices.astype(dtype))
        return operands


def _gathers_channels(op: Op, tie: Tie) -> bool:
    return any(end.index == 0 and end.axis == op.attributes.axis for end in tie.ends)


# Attributes ------------------------------------------------------------------------------

Changes = dict[str, AttributeValue]


def _shape(op: Op, tie: Tie, needs: Needs) -> Changes:
    return {"shape": _replaced(op.attributes.shape, tie.result.axis, needs.count(tie.result))}


def _groups(op: Op, tie: Tie, needs: Needs) -> Changes:
    return {"groups": int(needs.labels_left(tie).sum())}


def _slice(op: Op, tie: Tie, needs: Needs) -> Changes:
    a, axis = op.attributes, tie.result.axis
    before = int(needs.labels_left(tie)[: a.starts[axis]].sum())
    return {
        "starts": _replaced(a.starts, axis, before),
        "sizes": _replaced(a.sizes, axis, needs.count(tie.result)),
    }


def _pad(op: Op, tie: Tie, needs: Needs) -> Changes:
    a, axis = op.attributes, tie.result.axis
    kept = needs.labels_left(tie)[tie.result.labels]
    before, after = (
        _replaced(amounts, axis, int(part.sum()))
        for amounts, part in (
            (a.before, kept[: a.before[axis]]),
            (a.after, kept[len(kept) - a.after[axis] :]),
        )
    )
    return {"before": before, "after": after}


def _quantize(op: Op, tie: Tie, needs: Needs) -> Changes:
    kept = np.flatnonzero(needs.kept[op.result])
    return {"encoding": sliced(op.attributes.encoding, tie.result.axis, kept)}


def _reinterpret(op: Op, tie: Tie, needs: Needs) -> Changes:
    kept = np.flatnonzero(needs.kept[op.result])
    encodings = op.attributes.encoding
    return {"encoding": tuple(sliced(e, tie.result.axis, kept) for e in encodings)}


def _replaced(
    values: Sequence[AttributeValue], axis: int, value: int
) -> tuple[AttributeValue, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


_ATTRIBUTES: Mapping[str, Callable[[Op, Tie, Needs], Changes]] = {
    "nn.conv": _groups,
    "nn.conv_transpose": _groups,
    "nn.resize": _shape,
    "quant.quantize": _quantize,
    "quant.reinterpret": _reinterpret,
    "tensor.broadcast": _shape,
    "tensor.pad": _pad,
    "tensor.reshape": _shape,
    "tensor.slice": _slice,
}
"""Attributes that say something of single channels, or how many there are."""
