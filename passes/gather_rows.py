"""Moves of data in a row, as one gather of rows.

Windows that are shifted, cut out and put side by side, channels that are shuffled, patches that are
merged: reshapes, transposes, slices and concats of one tensor.  Whatever they are, an element of
the result is an element of the tensor, and which one is found by moving a tensor of indices the
same way.  Where indices come in runs, the result is a gather of rows, which copies once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from burnish.ir import Array, Block, Function, Location, Op, Rewriter, Value
from burnish.ir.sizes import symbols_used

from .base import FunctionPass, PassContext, register_pass
from .regions import blocks_inside_out

MOVES = frozenset({"tensor.reshape", "tensor.transpose", "tensor.slice", "tensor.concat"})
ELEMENTS = 1 << 24
"""Tensors up to this size are looked at."""


@register_pass
@dataclass(frozen=True)
class GatherRows(FunctionPass):
    """Make one gather of several reshapes, transposes, slices and concats of one tensor.

    Only where there are fewer ops then, no more bytes are copied, and all sizes are known.

    Options:
        limit: bytes that the indices of one gather may have.
        row: elements that are copied at once, at least.
    """

    name = "gather-rows"
    limit: int = 1 << 16
    row: int = 4

    def run_function(self, function: Function, context: PassContext) -> bool:
        """All groups of moves in every block."""
        rewriter = context.rewriter()
        for block in list(blocks_inside_out(function)):
            for moves in _groups(block):
                if not context.may_rewrite:
                    break
                gathers = self._gathers(moves)
                if gathers is not None:
                    root = moves.ops[-1]
                    _rewrite(rewriter, moves, gathers)
                    context.count("moves-to-gather", root=root)
        return rewriter.changes > 0

    def _gathers(self, moves: _Moves) -> list[_Gather] | None:
        """How each result is gathered; None where that is not possible, or no better."""
        results = moves.results()
        before, copied = moves.nodes(), moves.copied()
        if before <= len(results) or not copied:
            return None
        gathers = []
        for value, index in zip(results, moves.indices(results)):
            found = self._gather(value, index, moves.source.type.static_shape)
            if found is None:
                return None
            gathers.append(found)
        merged = {gather.span for gather in gathers if gather.merges}
        after = len(merged) + sum(gather.nodes for gather in gathers)
        moved = sum(_bytes(g.result) for g in gathers if g.rows is not None)
        return gathers if after < before and moved <= copied else None

    def _gather(self, result: Value, index: Array, shape: tuple[int, ...]) -> _Gather | None:
        """The gather that takes the elements ``index`` from a tensor, in rows as long as can be."""
        if np.array_equal(index, np.arange(math.prod(shape))):
            return _Gather(result)
        spans = [(i, j) for i in range(len(shape)) for j in range(i + 1, len(shape) + 1)]
        spans.sort(key=lambda span: (-math.prod(shape[span[1] :]), span[1] - span[0]))
        for i, j in spans:
            inner = math.prod(shape[j:])
            if inner < self.row:
                return None
            rows = _rows(index, math.prod(shape[:i]), math.prod(shape[i:j]), inner)
            if rows is not None and rows.nbytes <= self.limit:
                return _Gather(result, rows, (i, j), shape)
        return None


@dataclass
class _Moves:
    """Ops that only move the elements of one tensor, in order."""

    source: Value
    ops: list[Op] = field(default_factory=list)

    def results(self) -> list[Value]:
        """What other ops read, or the block hands out."""
        inside = set(self.ops)
        return [op.result for op in self.ops if any(user not in inside for user in op.result.users)]

    def copied(self) -> int:
        """Bytes that the ops write; a reshape writes none."""
        return sum(_bytes(op.result) for op in self.ops if op.name != "tensor.reshape")

    def nodes(self) -> int:
        """How many ops there are, where slices that take all of an axis count as one."""
        total = 0
        parts: dict[tuple[Value, int], list[int]] = defaultdict(list)
        for op in self.ops:
            cut = _cut(op)
            if len(cut) == 1 and op.attributes.steps[cut[0]] == 1:
                parts[op.inputs[0], cut[0]].append(op.result.type.static_shape[cut[0]])
            else:
                total += 1
        for (value, axis), sizes in parts.items():
            whole = sum(sizes) == value.type.static_shape[axis]
            total += 1 if whole else len(sizes)
        return total

    def indices(self, results: Sequence[Value]) -> list[Array]:
        """For each of ``results``, which elements of the source it has, flat."""
        shape = self.source.type.static_shape
        known = {self.source: np.arange(math.prod(shape)).reshape(shape)}
        for op in self.ops:
            operands = [known[value] for value in op.inputs]
            known[op.result] = np.asarray(op.opdef.evaluate(op.attributes, *operands))
        return [known[value].reshape(-1) for value in results]


@dataclass
class _Gather:
    """How a result is made of the source: as it is (no rows), or by gathering rows.

    Attributes:
        rows: which rows, in order.
        span: the axes of the source that are numbered together.
        shape: of the source.
    """

    result: Value
    rows: Array | None = None
    span: tuple[int, int] = (0, 0)
    shape: tuple[int, ...] = ()

    @property
    def merges(self) -> bool:
        """Whether the source must be reshaped, so that its rows are along one axis."""
        return self.rows is not None and self.span[1] - self.span[0] > 1

    @property
    def places(self) -> tuple[int, ...]:
        """A shape of the indices: one that gives the result's shape, if there is one."""
        assert self.rows is not None
        head, tail = self.shape[: self.span[0]], self.shape[self.span[1] :]
        shape = self.result.type.static_shape
        middle = shape[len(head) : len(shape) - len(tail)]
        return middle if (*head, *middle, *tail) == shape and middle else (self.rows.size,)

    @property
    def nodes(self) -> int:
        """How many ops it takes, but for a reshape of the source."""
        return 1 if self.rows is None or self.gathered_shape == self.result.type.shape else 2

    @property
    def gathered_shape(self) -> tuple[int, ...]:
        """The shape of what the gather gives."""
        return (*self.shape[: self.span[0]], *self.places, *self.shape[self.span[1] :])


def _groups(block: Block) -> Iterator[_Moves]:
    """Moves of the same tensor, each with all that it reads."""
    origin: dict[Value, Value] = {}
    groups: dict[Value, _Moves] = {}
    for op in block:
        sources = {origin.get(value, value) for value in op.inputs} if op.name in MOVES else set()
        plain = all(map(_is_plain, (*op.inputs, *op.results)))
        # Types may be static where a slice begins at a place that a symbol names.
        if len(sources) != 1 or not plain or symbols_used(op):
            continue
        (source,) = sources
        origin[op.result] = source
        groups.setdefault(source, _Moves(source)).ops.append(op)
    return iter(list(groups.values()))


def _is_plain(value: Value) -> bool:
    """Whether a value is no constant, and stored as its shape says, which is known."""
    type_ = value.type
    plain = type_.layout is None and type_.encoding is None and value.constant is None
    return plain and type_.is_static and 0 < math.prod(type_.static_shape) <= ELEMENTS


def _bytes(value: Value) -> int:
    return math.prod(value.type.static_shape) * value.type.dtype.bytes


def _cut(op: Op) -> list[int]:
    """The axes that a slice does not take as they are; none of another op."""
    if op.name != "tensor.slice":
        return []
    sizes = zip(op.inputs[0].type.static_shape, op.result.type.static_shape)
    steps = op.attributes.steps
    return [axis for axis, (old, new) in enumerate(sizes) if old != new or steps[axis] != 1]


def _rows(index: Array, outer: int, count: int, inner: int) -> Array | None:
    """Which rows ``index`` takes from [outer, count, inner], the same for all of ``outer``."""
    if index.size % (outer * inner):
        return None
    grid = index.reshape(outer, -1, inner)
    rows = np.asarray(grid[0, :, 0] // inner, np.int64)
    starts = (np.arange(outer)[:, None] * count + rows) * inner
    return rows if np.array_equal(grid, starts[..., None] + np.arange(inner)) else None


def _rewrite(rewriter: Rewriter, moves: _Moves, gathers: Sequence[_Gather]) -> None:
    """Make each result as planned; ops that are left without users die later."""
    location = Location.join(*(op.location for op in moves.ops))
    builder = rewriter.before(moves.ops[0], location=location)
    merged: dict[tuple[int, int], Value] = {}
    made = []
    for gather in gathers:
        x, (i, j) = moves.source, gather.span
        if gather.merges:
            shape = gather.shape
            flat = (*shape[:i], math.prod(shape[i:j]), *shape[j:])
            if gather.span not in merged:
                merged[gather.span] = builder("tensor.reshape", x, shape=flat)
            x = merged[gather.span]
        if gather.rows is not None:
            rows = builder.constant(gather.rows.reshape(gather.places))
            x = builder("tensor.gather", x, rows, axis=i)
        if x.type.shape != gather.result.type.shape:
            x = builder("tensor.reshape", x, shape=gather.result.type.shape)
        made.append(x)
    for gather, value in zip(gathers, made):
        assert gather.result.op is not None
        rewriter.replace(gather.result.op, value)
