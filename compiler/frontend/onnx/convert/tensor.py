"""Operators that move data: transposes, slices, joins, padding, rearrangements."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Dim, DimExpr, DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .bounds import padded_as_declared, sliced_as_declared
from .registry import converter

_PAD_MODES = ("constant", "reflect", "edge", "wrap")
_INDEX = DType.I64


@converter("Transpose")
def _transpose(node: NodeContext) -> Value:
    x = node.input(0)
    permutation = node.integers("perm")
    return node.transpose(x, range(x.type.rank)[::-1] if permutation is None else permutation)


@converter("Concat")
def _concat(node: NodeContext) -> Value:
    xs = node.inputs
    axis = node.axis(node.integer("axis", 1 if node.version < 4 else None), xs[0].type.rank)
    if len({x.type.encoding for x in xs}) > 1:
        xs = [node.raw(x) for x in xs]
    return xs[0] if len(xs) == 1 else node.op("tensor.concat", *xs, axis=axis)


@converter("Split")
def _split(node: NodeContext) -> list[Value]:
    x = node.input(0)
    axis = node.axis(node.integer("axis", 0), x.type.rank)
    extent = x.type.shape[axis]
    sizes: Sequence[Dim]
    given = node.integers("split") if node.version < 13 else None
    if given is not None:
        sizes = given
    elif node.has(1) and node.is_known(node.input(1)):
        sizes = node.dims(node.input(1), "split")
    elif node.has(1):
        outputs = range(len(node.node.outputs))
        sizes = [node.declared_shape("split", output)[axis] for output in outputs]
        x = node.require(x, node.input(1), sizes, "split")
    else:
        sizes = _even_sizes(node, extent)
    if sum(sizes) != extent:
        raise ModelError(f"sizes {list(map(str, sizes))} do not add up to axis {axis} of {x.type}")
    parts = []
    start: Dim = 0
    for size in sizes:
        parts.append(_slice(node, x, {axis: (start, size, 1)}))
        start = start + size
    return parts


def _even_sizes(node: NodeContext, extent: Dim) -> list[Dim]:
    """Parts of equal size; from version 18 on the last may be smaller."""
    count = len(node.node.outputs)
    if count < 1 or node.integer("num_outputs", count) != count:
        raise ModelError(f"attribute num_outputs does not fit {count} outputs")
    if isinstance(extent, DimExpr):
        if dimension.mod(extent, count) != 0:
            node.refuse(f"it splits the dimension {clip(str(extent))} into {count}; bind it")
        return [dimension.floordiv(extent, count)] * count
    if extent % count and node.version < 18:
        raise ModelError(f"{extent} elements do not divide into {count} parts")
    size = -(-extent // count)
    return [max(0, min(size, extent - i * size)) for i in range(count)]


def slice_axis(node: NodeContext, x: Value, axis: int, start: Dim, size: Dim) -> Value:
    """``size`` entries of ``x`` along ``axis``, from ``start`` on."""
    return _slice(node, x, {axis: (start, size, 1)})


def _slice(node: NodeContext, x: Value, parts: dict[int, tuple[Dim, Dim, int]]) -> Value:
    """``x`` with ``(start, size, step)`` taken of some axes."""
    triples = [parts.get(axis, (0, dim, 1)) for axis, dim in enumerate(x.type.shape)]
    if all(t == (0, dim, 1) for t, dim in zip(triples, x.type.shape, strict=True)):
        return x
    starts, sizes, steps = zip(*triples, strict=True)
    return node.op("tensor.slice", x, starts=starts, sizes=sizes, steps=steps)


@converter("Slice")
def _slice_by_attributes(node: NodeContext) -> Value:
    starts, ends = node.integers("starts"), node.integers("ends")
    if starts is None or ends is None:
        raise ModelError("it lacks the attributes starts and ends")
    return _sliced(node, starts, ends, node.integers("axes"), None)


@converter("Slice", since=10)
def _slice_(node: NodeContext) -> Value:
    bounds = [node.optional(index) for index in (1, 2, 3, 4)]
    if not all(value is None or node.is_known(value) for value in bounds):
        return sliced_as_declared(node, node.input(0), node.input(1), node.input(2), *bounds[2:])
    axes = node.known_ints(node.input(3), "axes") if node.has(3) else None
    steps = node.known_ints(node.input(4), "steps") if node.has(4) else None
    starts, ends = node.dims(node.input(1), "starts"), node.dims(node.input(2), "ends")
    return _sliced(node, starts, ends, axes, steps)


def _sliced(
    node: NodeContext,
    starts: Sequence[Dim],
    ends: Sequence[Dim],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Value:
    x = node.input(0)
    normal = node.axes(range(len(starts)) if axes is None else axes, x.type.rank)
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(normal) == len(steps):
        raise ModelError("starts, ends, axes and steps differ in length")
    parts = {}
    for axis, start, end, step in zip(normal, starts, ends, steps, strict=True):
        if step == 0:
            raise ModelError("a step is 0")
        parts[axis] = _clamped(node, x.type.shape[axis], start, end, step)
    return _slice(node, x, parts)


def _clamped(
    node: NodeContext, extent: Dim, start: Dim, end: Dim, step: int
) -> tuple[Dim, Dim, int]:
    """Start, size and step of a slice whose bounds may be negative or beyond the end."""
    ranges = node.ranges
    low, high = (0, extent) if step > 0 else (-1, extent - 1)

    def position(bound: Dim, lowest: Dim) -> Dim:
        counted_from_end = ranges.at_least(bound, 0)
        if counted_from_end is None:
            node.refuse(f"whether the bound {clip(str(bound))} is negative depends on its symbols")
        if not counted_from_end:
            bound = bound + extent
        return ranges.minimum(ranges.maximum(bound, lowest), high)

    first = position(start, 0)
    last = position(end, low)
    distance = last - first if step > 0 else first - last
    size = ranges.maximum(dimension.ceildiv(distance, abs(step)), 0)
    return (0, 0, 1) if size == 0 else (first, size, step)


@converter("Tile")
def _tile_one_axis(node: NodeContext) -> Value:
    """Before version 6 a single axis is repeated."""
    x = node.input(0)
    axis = node.axis(node.known_int(node.input(2), "axis"), x.type.rank)
    count = node.known_int(node.input(1), "tiles")
    return _tiled(node, x, [count if i == axis else 1 for i in range(x.type.rank)])


@converter("Tile", since=6)
def _tile(node: NodeContext) -> Value:
    x = node.input(0)
    if not node.is_known(node.input(1)):
        return _tiled_as_declared(node, x, node.input(1))
    repeats = node.known_ints(node.input(1), "repeats")
    if len(repeats) != x.type.rank:
        raise ModelError(f"{len(repeats)} repeats for a tensor of rank {x.type.rank}")
    return _tiled(node, x, repeats)


def _tiled_as_declared(node: NodeContext, x: Value, repeats: Value) -> Value:
    wanted, old = (node.static(d, "shape") for d in (node.declared_shape("repeats"), x.type.shape))
    known = [new // (dim or 1) for dim, new in zip(old, wanted, strict=False)]
    if len(old) != len(wanted) or any(d * n != w for d, n, w in zip(old, known, wanted)):
        raise ModelError(f"{x.type} cannot be repeated to the declared shape {list(wanted)}")
    total = node.op("math.mul", node.cast(repeats, _INDEX), node.dims_value(old))
    return _tiled(node, node.require(x, total, wanted, "shape"), known)


def _tiled(node: NodeContext, x: Value, repeats: Sequence[int]) -> Value:
    return x if set(repeats) <= {1} else node.op("tensor.tile", x, repeats=repeats)


@converter("Pad")
def _pad_by_attributes(node: NodeContext) -> Value:
    x = node.input(0)
    amounts = node.integers("pads") or node.integers("paddings") or ()
    value = node.number("value", 0.0)
    return pad(node, x, amounts, node.scalar(value, x.type.dtype) if value else None)


@converter("Pad", since=11)
def _pad_by_inputs(node: NodeContext) -> Value:
    x, value = node.input(0), node.optional(2)
    axes_given = node.optional(3)
    if not all(node.is_known(v) for v in (node.input(1), axes_given) if v is not None):
        filler = None if value is None else node.reshape(value, ())
        return padded_as_declared(node, x, node.input(1), axes_given, filler, _pad_mode(node))
    amounts: Sequence[int] = node.known_ints(node.input(1), "pads")
    if node.has(3):
        axes = node.axes(node.known_ints(node.input(3), "axes"), x.type.rank)
        amounts = _spread(amounts, axes, x.type.rank)
    return pad(node, x, amounts, None if value is None else node.reshape(value, ()))


def _spread(amounts: Sequence[int], axes: Sequence[int], rank: int) -> list[int]:
    """Amounts given for some axes as amounts for all."""
    if len(amounts) != 2 * len(axes):
        raise ModelError(f"{len(amounts)} pads for {len(axes)} axes")
    spread = [0] * (2 * rank)
    for index, axis in enumerate(axes):
        spread[axis] = amounts[index]
        spread[axis + rank] = amounts[index + len(axes)]
    return spread


def pad(node: NodeContext, x: Value, amounts: Sequence[int], value: Value | None) -> Value:
    """``x`` padded by begins, then ends; negative amounts crop."""
    rank = x.type.rank
    if len(amounts) != 2 * rank:
        raise ModelError(f"{len(amounts)} pads for a tensor of rank {rank}")
    mode = _pad_mode(node)
    begins, ends = amounts[:rank], amounts[rank:]
    added = [max(0, amount) for amount in amounts]
    if any(added):
        x = node.op(
            "tensor.pad",
            x,
            value if mode == "constant" else None,
            before=added[:rank],
            after=added[rank:],
            mode=mode,
        )
    cropped: dict[int, tuple[Dim, Dim, int]] = {
        axis: (
            max(0, -begins[axis]),
            node.ranges.maximum(x.type.shape[axis] + min(0, begins[axis]) + min(0, ends[axis]), 0),
            1,
        )
        for axis in range(rank)
        if begins[axis] < 0 or ends[axis] < 0
    }
    return _slice(node, x, cropped)


def _pad_mode(node: NodeContext) -> str:
    mode = node.string("mode", "constant")
    if mode not in _PAD_MODES:
        raise ModelError(f"attribute mode is {clip(repr(mode))}")
    return mode


@converter("DepthToSpace")
def _depth_to_space(node: NodeContext) -> Value:
    x, block = node.input(0), node.integer("blocksize")
    n, c, h, w = _image(node, x)
    depth = _whole_quotient(node, c, block * block, "channels")
    if node.string("mode", "DCR") == "DCR":
        split = node.reshape(x, (n, block, block, depth, h, w))
        moved = node.transpose(split, (0, 3, 4, 1, 5, 2))
    else:
        split = node.reshape(x, (n, depth, block, block, h, w))
        moved = node.transpose(split, (0, 1, 4, 2, 5, 3))
    return node.reshape(moved, (n, depth, h * block, w * block))


@converter("SpaceToDepth")
def _space_to_depth(node: NodeContext) -> Value:
    x, block = node.input(0), node.integer("blocksize")
    n, c, h, w = _image(node, x)
    rows = _whole_quotient(node, h, block, "rows")
    columns = _whole_quotient(node, w, block, "columns")
    split = node.reshape(x, (n, c, rows, block, columns, block))
    if node.string("mode", "DCR") == "DCR":
        moved = node.transpose(split, (0, 3, 5, 1, 2, 4))
    else:
        moved = node.transpose(split, (0, 1, 3, 5, 2, 4))
    return node.reshape(moved, (n, c * block * block, rows, columns))


def _image(node: NodeContext, x: Value) -> tuple[Dim, Dim, Dim, Dim]:
    if x.type.rank != 4:
        raise ModelError(f"its input is {x.type}, not of rank 4")
    n, c, h, w = x.type.shape
    return n, c, h, w


def _whole_quotient(node: NodeContext, dim: Dim, divisor: int, what: str) -> Dim:
    if divisor < 1 or dimension.mod(dim, divisor) != 0:
        raise ModelError(f"{dim} {what} do not divide by {divisor}")
    return dimension.floordiv(dim, divisor)


@converter("Trilu")
def triangle(node: NodeContext) -> Value:
    """Elements of one triangle of the last two axes, zeros elsewhere."""
    x = node.input(0)
    rank = x.type.rank
    if rank < 2:
        raise ModelError(f"its input is {x.type}, not matrices")
    offset = node.reshape(node.input(1), ()) if node.has(1) else node.scalar(0, _INDEX)
    row = node.arange(x.type.shape[-2], 0, 2)
    column = node.arange(x.type.shape[-1], 0, 1)
    diagonal = node.op("math.add", row, offset)
    test = "math.greater_equal" if node.flag("upper", True) else "math.less_equal"
    kept = node.op(test, column, diagonal)
    return node.op("math.select", kept, x, node.scalar(0, x.type.dtype))


@converter("ReverseSequence")
def _reverse_sequence(node: NodeContext) -> Value:
    """The first ``sequence_lens`` elements of each sequence in reverse order."""
    x, lengths = node.input(0), node.cast(node.input(1), _INDEX)
    time = node.axis(node.integer("time_axis", 0), x.type.rank)
    batch = node.axis(node.integer("batch_axis", 1), x.type.rank)
    rank = x.type.rank
    position = node.arange(x.type.shape[time], time, rank)
    lengths = node.reshape(lengths, [x.type.shape[batch] if a == batch else 1 for a in range(rank)])
    one = node.scalar(1, _INDEX)
    mirrored = node.op("math.sub", node.op("math.sub", lengths, one), position)
    inside = node.op("math.less", position, lengths)
    index = node.op("math.select", inside, mirrored, position)
    return node.op("tensor.gather_elements", x, node.broadcast(index, x.type.shape), axis=time)
