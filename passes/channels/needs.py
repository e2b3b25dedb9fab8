"""Which channels anybody needs: computed backward from the results.

A dense convolution or matrix product needs an input channel when it has a weight that is not zero
for it, in an output channel that is needed itself, unless the input channel is a constant that
can become part of the bias.  Every other op needs of its operands what its tie says, and ops
without a tie need everything.  Positions that a tie binds are needed together.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from burnish.ir import Array, Block, Op, Value

from .constants import ConstantData
from .linear import Linear, linear
from .ranges import Ranges
from .ties import ChannelAxes, End, Tie


class Needs:
    """The channels that are needed, by value; found by growing from the results to a fixpoint.

    Attributes:
        kept: per value with channels, which of them are needed; at least one always is.
        linears: the dense linear ops whose channels can be counted.
    """

    def __init__(
        self,
        block: Block,
        axes: ChannelAxes,
        ranges: Ranges,
        data: ConstantData,
    ) -> None:
        self._axes = axes
        self._ranges = ranges
        self._data = data
        self.kept: dict[Value, Array] = {
            value: np.zeros(axes.extent(value), bool) for value in axes.axis
        }
        self.linears: dict[Op, Linear] = {}
        self._reads: dict[Op, Array] = {}
        self._pending: dict[Op, None] = {}
        for op in block:
            self._start(op)
        for arg in block.args:
            self._need_all(arg)
        self._settle()

    def _start(self, op: Op) -> None:
        if (found := linear(op)) is not None and found.groups == 1 and self._fits(found):
            self.linears[op] = found
            self._reads[op] = self._readers(found)
            self._pending[op] = None
        elif op not in self._axes.tie:
            for value in [*op.inputs, *op.results]:
                self._need_all(value)

    def _fits(self, op: Linear) -> bool:
        axis = self._axes.axis
        return axis.get(op.x) == op.x_axis and axis.get(op.op.result) == op.axis

    def _readers(self, op: Linear) -> Array:
        """[out, in]: whether an output channel reads an input channel."""
        x = self._ranges[op.x]
        if not self._ranges.finite and not x.finite.any():
            return np.ones((self._axes.extent(op.op.result), x.low.size), bool)
        reads: Array = op.weights(self._data)[0].any(axis=-1)
        if not self._ranges.finite:
            reads = reads | ~x.finite  # infinity times zero is not a number
        readers: Array = reads & ~self.absorbed(op)
        return readers

    def absorbed(self, op: Linear) -> Array:
        """Which input channels of ``op`` are constants that its bias can stand for."""
        x = self._ranges[op.x]
        # Where a tap meets padding, a constant other than zero adds less; and sums of wide
        # integers are not exact here.
        dtype = op.op.result.type.dtype
        others = bool(op.inside.all()) and (dtype.is_float or dtype.bits <= 32)
        others = others and op.bias_data(self._data) is not None
        absorbed: Array = x.constant & ((x.low == 0) | others)
        return absorbed

    # The fixpoint ------------------------------------------------------------------------

    def _settle(self) -> None:
        while True:
            while self._pending:
                op = next(iter(self._pending))
                del self._pending[op]
                if op in self.linears:
                    found = self.linears[op]
                    readers = self._reads[op][self.kept[op.result]]
                    self._need(found.x, np.logical_or.reduce(readers, axis=0))
                elif op in self._axes.tie:
                    self._bind(self._axes.tie[op])
            empty = [value for value, kept in self.kept.items() if kept.size and not kept.any()]
            if not empty:
                return
            first = np.zeros_like(self.kept[empty[0]])
            first[0] = True
            self._need(empty[0], first)

    def _bind(self, tie: Tie) -> None:
        needed = self.labels_left(tie)
        for end in tie.ends:
            self._need(end.value, needed[end.labels])

    def _need_all(self, value: Value) -> None:
        if value in self.kept:
            self._need(value, np.ones(self.kept[value].size, bool))

    def _need(self, value: Value, channels: Array) -> None:
        """Some more channels of ``value`` are needed; who makes and reads it hears of it."""
        kept = self.kept[value]
        if np.any(channels & ~kept):
            self.kept[value] = kept | channels
            producer: Iterable[Op] = [] if value.op is None else [value.op]
            for op in (*producer, *value.users):
                if op in self._axes.tie or op in self.linears:
                    self._pending[op] = None

    # What was found ----------------------------------------------------------------------

    def labels_left(self, tie: Tie) -> Array:
        """Which labels of a tie are kept."""
        left = np.zeros(tie.labels, bool)
        for end in tie.ends:
            left[end.labels[self.kept[end.value]]] = True
        return left

    def count(self, end: End) -> int:
        """How many channels are kept at an end of a tie."""
        return int(self.kept[end.value].sum())

    def is_changed(self, op: Op) -> bool:
        """Whether ``op`` loses channels."""
        values = [*op.inputs, *op.results]
        return any(value in self.kept and not self.kept[value].all() for value in values)
