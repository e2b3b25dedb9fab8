"""Scan: a loop over the entries of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import Dim, DimExpr, DType, TensorType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from ..emitter import Emitter
from ..graph import Graph
from .registry import converter


@dataclass(frozen=True)
class _Form:
    """Which axes are scanned, and whether from the end, per input and per output."""

    input_axes: tuple[int, ...]
    input_reversed: tuple[bool, ...]
    output_axes: tuple[int, ...]
    output_reversed: tuple[bool, ...]


@converter("Scan", since=8)
def _batched_scan(node: NodeContext) -> list[Value]:
    """Each entry of the batch is scanned by itself."""
    body, count = node.body("body"), _scanned(node)
    if node.has(0):
        node.refuse("sequences of different lengths (its input sequence_lens)")
    inputs = [node.raw(node.input(index)) for index in range(1, len(node.items))]
    if not inputs or any(x.type.rank < 1 for x in inputs):
        raise ModelError("its inputs have no batch axis")
    (batch,) = node.static(inputs[0].type.shape[:1], "batch size")
    if not batch:
        node.refuse("its batch is empty")
    outputs = len(body.outputs) - (len(inputs) - count)
    zeros, forward = (0,) * count, (False,) * outputs
    form = _Form(zeros, _flags(node, "directions", count), (0,) * outputs, forward)
    columns: list[list[Value]] = [[] for _ in body.outputs]
    for entry in range(batch):
        index = node.scalar(entry, DType.I64)
        own = [node.op("tensor.gather", x, index, axis=0) for x in inputs]
        for column, value in zip(columns, _scan(node, body, own, form), strict=True):
            column.append(node.reshape(value, (1, *value.type.shape)))
    return [node.op("tensor.concat", *column, axis=0) for column in columns]


@converter("Scan", since=9)
def _plain_scan(node: NodeContext) -> list[Value]:
    body, count = node.body("body"), _scanned(node)
    inputs = [node.raw(node.input(index)) for index in range(len(node.items))]
    outputs = len(body.outputs) - (len(inputs) - count)
    form = _Form(
        _numbers(node, "scan_input_axes", count),
        _flags(node, "scan_input_directions", count),
        _numbers(node, "scan_output_axes", outputs),
        _flags(node, "scan_output_directions", outputs),
    )
    return _scan(node, body, inputs, form)


def _scanned(node: NodeContext) -> int:
    """How many of the inputs are scanned."""
    count = node.integer("num_scan_inputs")
    if not 0 < count <= len(node.body("body").inputs):
        raise ModelError(f"attribute num_scan_inputs is {count}")
    return count


def _numbers(node: NodeContext, name: str, count: int) -> tuple[int, ...]:
    values = node.integers(name) or (0,) * count
    if len(values) != count:
        raise ModelError(f"attribute {name} has {len(values)} entries, needs {count}")
    return values


def _flags(node: NodeContext, name: str, count: int) -> tuple[bool, ...]:
    return tuple(bool(value) for value in _numbers(node, name, count))


def _scan(node: NodeContext, body: Graph, inputs: Sequence[Value], form: _Form) -> list[Value]:
    """The final states, then the stacked outputs."""
    states, scanned = inputs[: -len(form.input_axes)], inputs[-len(form.input_axes) :]
    if len(body.inputs) != len(inputs) or len(body.outputs) < len(states):
        raise ModelError("the body's inputs and outputs do not fit the node's")
    axes = [node.axis(axis, x.type.rank) for axis, x in zip(form.input_axes, scanned, strict=True)]
    length = _length(scanned, axes)

    def enter(emit: Emitter, arguments: Sequence[Value]) -> list[Value]:
        """What the body's inputs are in one iteration."""
        iteration, _, *values = arguments
        parts = values[: len(states)]
        for x, axis, backwards in zip(
            values[len(states) :], axes, form.input_reversed, strict=True
        ):
            index = iteration
            if backwards:
                last = _last(emit, length)
                index = emit.op("math.sub", last, iteration)
            parts.append(emit.op("tensor.gather", x, index, axis=axis))
        return parts

    captured = node.captured([body])
    types = [TensorType((), DType.I64), TensorType((), DType.BOOL)]
    types += [value.type for value in inputs]
    region, items = node.region(body, types, captured, enter)
    if not all(isinstance(item, Value) for item in items):
        node.refuse("its body gives sequences or optionals")
    yielded = [value.type for value in region.results[1:]]
    for position, (state, after) in enumerate(zip(states, yielded, strict=False)):
        if state.type != after:
            node.refuse(f"state {position} changes its type from {state.type} to {after}")
    outputs = yielded[len(states) :]
    if length == 0:
        empty = [node.broadcast(node.scalar(0, t.dtype), (0, *t.shape)) for t in outputs]
        return [*states, *_placed(node, empty, form)]
    attributes: dict[str, object] = {"carried": len(states)}
    if outputs:
        attributes["iterations"] = length
    operands = [_number(node.emit, length), None, *states, *scanned, *captured.values()]
    results = node.results("control.loop", operands, attributes, [region])
    return [*results[: len(states)], *_placed(node, results[len(states) :], form)]


def _length(scanned: Sequence[Value], axes: Sequence[int]) -> Dim:
    """The number of iterations."""
    lengths = [x.type.shape[axis] for x, axis in zip(scanned, axes, strict=True)]
    if any(length != lengths[0] for length in lengths):
        raise ModelError(f"scanned axes of different lengths: {', '.join(map(str, lengths))}")
    return lengths[0]


def _number(emit: Emitter, dim: Dim) -> Value:
    """A dimension as a number."""
    if isinstance(dim, DimExpr):
        return emit.op("tensor.dimension", value=dim)
    return emit.constant(np.asarray(dim, np.int64))


def _last(emit: Emitter, length: Dim) -> Value:
    return emit.op("math.sub", _number(emit, length), emit.constant(np.asarray(1, np.int64)))


def _placed(node: NodeContext, stacks: Sequence[Value], form: _Form) -> list[Value]:
    """Stacked outputs with the new axis where it belongs, from the end where asked to."""
    placed = []
    for stack, axis, backwards in zip(stacks, form.output_axes, form.output_reversed, strict=True):
        y = _reversed(node, stack) if backwards else stack
        rank = y.type.rank
        order = list(range(1, rank))
        order.insert(node.axis(axis, rank), 0)
        placed.append(node.transpose(y, order))
    return placed


def _reversed(node: NodeContext, y: Value) -> Value:
    """``y`` from the last entry of its first axis to the first."""
    shape = y.type.shape
    if shape[0] == 0:
        return y
    rest = len(shape) - 1
    return node.op(
        "tensor.slice",
        y,
        starts=(shape[0] - 1, *[0] * rest),
        sizes=shape,
        steps=(-1, *[1] * rest),
    )
