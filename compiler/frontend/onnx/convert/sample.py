"""Operators that read images between their elements, at positions that data gives."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from ..tensors import Array
from .registry import converter
from .windows import Windows, windows

_MODES = {
    "bilinear": "linear",
    "bicubic": "cubic",
    "linear": "linear",
    "nearest": "nearest",
    "cubic": "cubic",
}
_PADDINGS = ("zeros", "border", "reflection")


@converter("GridSample", since=16)
def _grid_sample(node: NodeContext) -> Value:
    """The grid counts from -1 to 1 and lists the last axis first."""
    x, grid = node.input(0), node.input(1)
    mode = node.string("mode", "bilinear" if node.version < 20 else "linear")
    padding = node.string("padding_mode", "zeros")
    if mode not in _MODES or padding not in _PADDINGS:
        raise ModelError(f"mode {clip(repr(mode))}, padding_mode {clip(repr(padding))}")
    spatial = x.type.rank - 2
    if spatial < 1 or grid.type.rank != x.type.rank or grid.type.shape[-1] != spatial:
        raise ModelError(f"a grid of type {grid.type} for {x.type}")
    aligned = node.flag("align_corners")
    sizes = np.array(node.static(x.type.shape[2:], "shape"), np.float64)
    grid = _precise(node, grid)
    dtype = grid.type.dtype
    order = node.constant(np.arange(spatial, dtype=np.int64)[::-1])
    grid = node.op("tensor.gather", grid, order, axis=grid.type.rank - 1)
    positions = node.op("math.add", grid, node.scalar(1, dtype))
    if aligned:  # (grid + 1) / 2 * (size - 1)
        positions = node.op("math.mul", positions, node.scalar(0.5, dtype))
        positions = node.op("math.mul", positions, _constant(node, sizes - 1, dtype))
    else:  # ((grid + 1) * size - 1) / 2
        positions = node.op("math.mul", positions, _constant(node, sizes, dtype))
        positions = node.op("math.sub", positions, node.scalar(1, dtype))
        positions = node.op("math.mul", positions, node.scalar(0.5, dtype))
    return node.op(
        "nn.sample", x, positions, mode=_MODES[mode], padding=padding, align_corners=aligned
    )


@converter("AffineGrid", since=20)
def _affine_grid(node: NodeContext) -> Value:
    """Regular positions from -1 to 1, in homogeneous coordinates, times each matrix."""
    theta = node.input(0)
    if theta.type.rank != 3:
        raise ModelError(f"matrices of type {theta.type}")
    batch, rank, columns = node.static(theta.type.shape, "shape")
    size = node.input(1)
    if columns != rank + 1 or size.type.shape != (rank + 2,):
        raise ModelError(f"matrices of type {theta.type} for a size of type {size.type}")
    if node.is_known(size):
        wanted = node.known_ints(size, "size")
        sizes, wanted = wanted[2:], (wanted[0], *wanted[2:])
    else:
        wanted = node.static(node.declared_shape("size")[:-1], "size")
        sizes = wanted[1:]
    if len(sizes) != rank or wanted[0] != batch:
        raise ModelError(f"a grid of shape {list(wanted)} for matrices of type {theta.type}")
    used = node.constant(np.array([0, *range(2, rank + 2)], np.int64))
    theta = node.require(theta, node.op("tensor.gather", size, used, axis=0), wanted, "size")
    count = math.prod(sizes)
    node.table(count * columns)  # refuses what is too large
    axes = [_centers(n, node.flag("align_corners")) for n in reversed(sizes)]
    places = [place.T.reshape(count) for place in np.meshgrid(*axes, indexing="ij")]
    regular = np.stack([*places, np.ones(count)])
    grid = node.op("nn.matmul", theta, _constant(node, regular, theta.type.dtype))
    return node.reshape(node.transpose(grid, (0, 2, 1)), (batch, *sizes, rank))


def _centers(count: int, aligned: bool) -> Array:
    """Where elements lie when the outermost ones, or their edges, are at -1 and 1."""
    if aligned:  # a single element lies in the middle, as PyTorch has it
        return np.linspace(-1, 1, count) if count > 1 else np.zeros(count)
    return (2 * np.arange(count) + 1) / count - 1


def _precise(node: NodeContext, positions: Value) -> Value:
    """Positions in a type that tells neighbouring elements of large images apart."""
    return node.cast(positions, positions.type.dtype.compute)


def _constant(node: NodeContext, numbers: Array, dtype: DType) -> Value:
    return node.constant(numbers.astype(dtype.numpy))


@converter("DeformConv", since=19)
def _deformable_conv(node: NodeContext) -> Value:
    """Each tap of the kernel is read where its offset says, then weights are applied."""
    x, w, offset = node.input(0), node.input(1), node.input(2)
    bias, mask = node.optional(3), node.optional(4)
    kernel = node.static(w.type.shape[2:], "kernel shape")
    form = windows(node, x.type, kernel)
    groups, parts = node.integer("group", 1), node.integer("offset_group", 1)
    batch, channels, *sizes = node.static(x.type.shape, "shape")
    counts = _counts(form, sizes)
    taps, rank = math.prod(kernel), len(kernel)
    wanted = (batch, parts * taps * rank, *counts)
    if offset.type.shape != wanted or min(groups, parts) < 1 or channels % parts:
        raise ModelError(
            f"offsets of type {offset.type} for {parts} groups of {x.type} and weights {w.type}"
        )
    if w.type.shape[1] * groups != channels or node.static(w.type.shape, "shape")[0] % groups:
        raise ModelError(f"weights of type {w.type} for {groups} groups of {x.type}")
    moves = node.reshape(_precise(node, offset), (batch * parts, taps, rank, *counts))
    moves = node.transpose(moves, (0, 1, *range(3, 3 + rank), 2))
    taken = node.constant(_regular_positions(node, form, counts).astype(moves.type.dtype.numpy))
    read = node.op(
        "nn.sample",
        node.reshape(x, (batch * parts, channels // parts, *sizes)),
        node.op("math.add", moves, taken),
        mode="linear",
    )
    if mask is not None:
        read = node.op("math.mul", read, node.reshape(mask, (batch * parts, 1, taps, *counts)))
    outputs = node.static(w.type.shape, "shape")[0]
    columns = channels // groups * taps
    y = node.op(
        "nn.matmul",
        node.reshape(w, (1, groups, outputs // groups, columns)),
        node.reshape(read, (batch, groups, columns, math.prod(counts))),
    )
    y = node.reshape(y, (batch, outputs, *counts))
    if bias is None:
        return y
    return node.op("math.add", y, node.reshape(bias, (outputs, *[1] * rank)))


def _counts(form: Windows, sizes: list[int]) -> list[int]:
    """How many windows there are, per spatial axis."""
    rank = len(sizes)
    return [
        (size + form.pads[i] + form.pads[i + rank] - (form.kernel[i] - 1) * form.dilations[i] - 1)
        // form.strides[i]
        + 1
        for i, size in enumerate(sizes)
    ]


def _regular_positions(node: NodeContext, form: Windows, counts: list[int]) -> Array:
    """Where taps lie without offsets: [taps, windows..., spatial axes]."""
    rank = len(counts)
    node.table(math.prod(form.kernel) * math.prod(counts) * rank)  # refuses what is too large
    taps = np.moveaxis(np.indices(form.kernel), 0, -1).reshape(-1, *[1] * rank, rank)
    windows_ = np.moveaxis(np.indices(counts), 0, -1)
    starts = windows_ * np.array(form.strides) - np.array(form.pads[:rank])
    positions: Array = starts + taps * np.array(form.dilations)
    return positions
