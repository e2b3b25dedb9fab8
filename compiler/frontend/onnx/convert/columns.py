"""Images from the columns of their blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter
from .tensor import pad

_INDEX = DType.I64


@converter("Col2Im", since=18)
def _columns_to_image(node: NodeContext) -> Value:
    """Every element of every block is added where it lies in the padded image."""
    x = node.input(0)
    batch, rows, columns = _shape(node, x)
    block = node.cast(node.input(2), _INDEX)
    (rank,) = node.static(block.type.shape, "block shape")
    channels, image = _image(node, rank)
    if not channels or rows % channels:
        raise ModelError(f"{rows} rows of columns do not divide into {channels} channels")
    pads = node.integers("pads") or (0,) * (2 * rank)
    steps = node.integers("strides") or (1,) * rank, node.integers("dilations") or (1,) * rank
    if not len(image) == len(steps[0]) == len(steps[1]) == rank or len(pads) != 2 * rank:
        raise ModelError("shapes, pads, strides or dilations differ in length")
    padded = [size + pads[i] + pads[i + rank] for i, size in enumerate(image)]
    taps, blocks = _axes(node, block, padded, *steps)
    counts = [_product(node, sizes) for sizes in (taps, blocks)]
    expected = (rows // channels, columns)
    x = node.require(x, node.op("tensor.concat", *counts, axis=0), expected, "block shape")
    place = node.scalar(0, _INDEX)
    within, starts = _unravelled(node, expected[0], taps), _unravelled(node, columns, blocks)
    for axis, size in enumerate(padded):
        tap = _times(node, node.reshape(within[axis], (expected[0], 1)), steps[1][axis])
        at = node.op("math.add", tap, _times(node, starts[axis], steps[0][axis]))
        place = node.op("math.add", _times(node, place, size), at)
    updates = node.reshape(x, (batch * channels, math.prod(expected)))
    zero = node.scalar(0, x.type.dtype)
    total = node.op(
        "tensor.scatter_nd",
        node.broadcast(zero, (math.prod(padded), batch * channels)),
        node.reshape(place, (math.prod(expected), 1)),
        node.transpose(updates, (1, 0)),
        reduction="add",
    )
    y = node.reshape(node.transpose(total, (1, 0)), (batch, channels, *padded))
    borders = [0, 0, *(-p for p in pads[:rank]), 0, 0, *(-p for p in pads[rank:])]
    return pad(node, y, borders, None)


def _shape(node: NodeContext, x: Value) -> tuple[int, int, int]:
    if x.type.rank != 3:
        raise ModelError(f"its input is {x.type}, not [N, C * block elements, blocks]")
    batch, rows, columns = node.static(x.type.shape, "shape")
    return batch, rows, columns


def _image(node: NodeContext, rank: int) -> tuple[int, tuple[int, ...]]:
    """Channels and spatial sizes of the result; what is not known is declared."""
    size, block = node.input(1), node.input(2)
    rows = node.static(node.input(0).type.shape[1:2], "shape")[0]
    if node.is_known(size) and node.is_known(block):
        elements = math.prod(node.known_ints(block, "block shape"))
        if elements < 1:
            raise ModelError("a block has no elements")
        return rows // elements, node.known_ints(size, "image shape")
    declared = node.static(node.declared_shape("image shape or block shape"), "shape")
    if len(declared) != rank + 2:
        raise ModelError(f"a declared shape {list(declared)} for blocks of rank {rank}")
    return declared[1], declared[2:]


def _axes(
    node: NodeContext,
    block: Value,
    padded: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[list[Value], list[Value]]:
    """Elements of a block and number of blocks, per axis; each a tensor of one element."""
    taps, counts = [], []
    for axis, size in enumerate(padded):
        index = node.constant(np.array([axis], np.int64))
        tap = node.op("tensor.gather", block, index, axis=0)
        reach = _times(node, node.op("math.sub", tap, node.scalar(1, _INDEX)), dilations[axis])
        room = node.op("math.sub", node.scalar(size - 1, _INDEX), reach)
        steps = node.op("math.div", room, node.scalar(strides[axis], _INDEX))
        taps.append(tap)
        counts.append(node.op("math.add", steps, node.scalar(1, _INDEX)))
    return taps, counts


def _product(node: NodeContext, sizes: Sequence[Value]) -> Value:
    total = node.constant(np.ones(1, np.int64))
    for size in sizes:
        total = node.op("math.mul", total, size)
    return total


def _times(node: NodeContext, value: Value, factor: int) -> Value:
    return node.op("math.mul", value, node.scalar(factor, _INDEX))


def _unravelled(node: NodeContext, count: int, sizes: Sequence[Value]) -> list[Value]:
    """Indices of ``count`` elements, in row-major order, along axes of ``sizes``."""
    rest = node.constant(node.table(count))
    found = []
    for size in reversed(sizes):
        found.append(node.op("math.floor_mod", rest, size))
        rest = node.op("math.div", rest, size)
    return found[::-1]
