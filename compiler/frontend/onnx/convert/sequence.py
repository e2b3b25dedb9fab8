"""Sequences and optionals of known form: lists of tensors that exist during import only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.ir import Dim, DType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from ..items import Item, KnownOptional, KnownSequence
from .registry import converter
from .tensor import slice_axis

MAX_ELEMENTS = 1 << 12
"""Longer sequences are refused: each element is a tensor of its own in the module."""


def sequence(node: NodeContext, index: int) -> KnownSequence:
    """Input ``index``, which must be a sequence.

    Raises:
        ModelError: it is left out, or is something else.
    """
    item = node.item(index)
    if isinstance(item, KnownOptional) and isinstance(item.content, KnownSequence):
        item = item.content
    if not isinstance(item, KnownSequence):
        raise ModelError(f"input {index} is no sequence")
    return item


def _position(node: NodeContext, index: int, count: int, default: int) -> int:
    """A position below ``count``, negative ones counted from the end."""
    if not node.has(index):
        return default
    position = node.known_int(node.input(index), "position")
    length = len(sequence(node, 0).elements)
    counted = position + length if position < 0 else position
    if not 0 <= counted < count:
        raise ModelError(f"position {position} is outside a sequence of {length}")
    return counted


@converter("SequenceEmpty", since=11)
def _empty(_: NodeContext) -> Item:
    return KnownSequence(())


@converter("SequenceConstruct", since=11)
def _construct(node: NodeContext) -> Item:
    return KnownSequence(tuple(node.inputs))


@converter("SequenceInsert", since=11)
def _insert(node: NodeContext) -> Item:
    elements = sequence(node, 0).elements
    position = _position(node, 2, len(elements) + 1, len(elements))
    return KnownSequence((*elements[:position], node.input(1), *elements[position:]))


@converter("SequenceErase", since=11)
def _erase(node: NodeContext) -> Item:
    elements = sequence(node, 0).elements
    if not elements:
        raise ModelError("it erases an element of an empty sequence")
    position = _position(node, 1, len(elements), len(elements) - 1)
    return KnownSequence((*elements[:position], *elements[position + 1 :]))


@converter("SequenceAt", since=11)
def _at(node: NodeContext) -> Value:
    elements = sequence(node, 0).elements
    return elements[_position(node, 1, len(elements), 0)]


@converter("SequenceLength", since=11)
def _length(node: NodeContext) -> Value:
    return node.constant(np.array(len(sequence(node, 0).elements), np.int64))


@converter("ConcatFromSequence", since=11)
def _concatenated(node: NodeContext) -> Value:
    elements = list(sequence(node, 0).elements)
    if not elements:
        raise ModelError("it joins an empty sequence")
    adds_axis = node.flag("new_axis")
    axis = node.axis(node.integer("axis"), elements[0].type.rank + adds_axis)
    if adds_axis:
        elements = [_with_axis(node, value, axis) for value in elements]
    return node.op("tensor.concat", *elements, axis=axis)


def _with_axis(node: NodeContext, value: Value, axis: int) -> Value:
    shape = value.type.shape
    return node.reshape(value, (*shape[:axis], 1, *shape[axis:]))


@converter("SplitToSequence", since=11)
def _split(node: NodeContext) -> Item:
    x = node.input(0)
    axis = node.axis(node.integer("axis", 0), x.type.rank)
    keeps_axis = node.has(1) or node.flag("keepdims", True)
    parts: list[Value] = []
    start = 0
    for size in _part_sizes(node, x.type.shape[axis]):
        part = slice_axis(node, x, axis, start, size)
        shape = x.type.shape
        parts.append(part if keeps_axis else node.reshape(part, shape[:axis] + shape[axis + 1 :]))
        start += size
    return KnownSequence(tuple(parts))


def _part_sizes(node: NodeContext, dim: Dim) -> Sequence[int]:
    """Sizes of the parts: listed, or all alike but for the last."""
    (extent,) = node.static([dim], "number of parts")
    split = node.optional(1)
    if split is not None and split.type.rank:
        sizes = node.known_ints(split, "sizes of parts")
        if sum(sizes) != extent or min(sizes, default=0) < 0:
            raise ModelError(f"sizes {list(sizes)} do not add up to {extent}")
    else:
        size = 1 if split is None else node.known_int(split, "size of a part")
        if size < 1:
            raise ModelError(f"parts of size {size}")
        _check_count(node, -(-extent // size))
        sizes = tuple(min(size, extent - start) for start in range(0, extent, size))
    _check_count(node, len(sizes))
    return sizes


def _check_count(node: NodeContext, count: int) -> None:
    if count > MAX_ELEMENTS:
        node.refuse(f"a sequence of {count} (the limit is {MAX_ELEMENTS})")


@converter("SequenceMap", since=17)
def _map(node: NodeContext) -> list[Item]:
    """The body once for each element; tensors among the other inputs are the same for all."""
    body = node.body("body")
    count = len(sequence(node, 0).elements)
    rows: list[list[Value]] = []
    for index in range(count):
        arguments: list[Item] = []
        for position in range(len(node.items)):
            item = node.item(position)
            if isinstance(item, (KnownSequence, KnownOptional)):
                elements = sequence(node, position).elements
                if len(elements) != count:
                    raise ModelError(f"sequences of {count} and {len(elements)} elements")
                arguments.append(elements[index])
            else:
                arguments.append(node.input(position))
        results = node.inline(body, arguments)
        if not all(isinstance(result, Value) for result in results):
            raise ModelError("its body gives something else than tensors")
        rows.append([result for result in results if isinstance(result, Value)])
    columns = zip(*rows, strict=True) if rows else ((),) * len(body.outputs)
    return [KnownSequence(tuple(column)) for column in columns]


# Optionals ---------------------------------------------------------------------------


@converter("Optional", since=15)
def _optional(node: NodeContext) -> Item:
    item = node.item(0)
    if isinstance(item, KnownOptional):
        raise ModelError("an optional holds no optional")
    return KnownOptional(item)


@converter("OptionalGetElement", since=15)
def _element(node: NodeContext) -> Item:
    item = node.item(0)
    content = item.content if isinstance(item, KnownOptional) else item
    if content is None:
        raise ModelError("it takes the element of an empty optional")
    return content


@converter("OptionalHasElement", since=15)
def _has_element(node: NodeContext) -> Value:
    item = node.item(0)
    content = item.content if isinstance(item, KnownOptional) else item
    return node.scalar(content is not None, DType.BOOL)
