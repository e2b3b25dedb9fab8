"""Makers of ops that move, reduce, search and index."""

from __future__ import annotations

import numpy as np

from burnish.ir import DType, Layout, Op, Value, lookup, symbol
from burnish.ir.opdef import ANY, BOOLS, INDICES

from .maker import COMPLEX, Graph, maker

REAL = ANY - COMPLEX


def dtypes_of(op: str, operand: str = "x") -> frozenset[DType]:
    """The element types that an operand takes."""
    return lookup(op).operands[operand].dtypes


@maker("tensor.reshape")
def reshape(g: Graph) -> Value:
    x = g.value(ANY)
    dims = [dim for dim in x.type.static_shape if dim != 1]
    for _ in range(g.random.randrange(3)):
        dims.insert(g.random.randrange(len(dims) + 1), 1)
    if len(dims) > 1 and g.coin():
        index = g.random.randrange(len(dims) - 1)
        dims[index : index + 2] = [dims[index] * dims[index + 1]]
    splits = [(i, f) for i, d in enumerate(dims) for f in (2, 3, 5) if d > f and d % f == 0]
    if splits and g.coin():
        index, factor = g.random.choice(splits)
        dims[index : index + 1] = [factor, dims[index] // factor]
    return g.builder("tensor.reshape", x, shape=dims)


@maker("tensor.transpose")
def transpose(g: Graph) -> Value:
    x = g.value(ANY, dynamic=True)
    axes = list(range(x.type.rank))
    g.random.shuffle(axes)
    return g.builder("tensor.transpose", x, permutation=axes)


@maker("tensor.relayout")
def relayout(g: Graph) -> Value:
    """There and back: few ops take other orders, and it is passes that choose them."""
    x = g.value(ANY, low=1)
    order = list(range(x.type.rank))
    plain = Layout(tuple(order))
    g.random.shuffle(order)
    stored = g.builder("tensor.relayout", x, layout=Layout(tuple(order)))
    return g.builder("tensor.relayout", stored, layout=plain)


@maker("tensor.broadcast")
def broadcast(g: Graph) -> Value | None:
    x = g.value(ANY)
    shape = [g.size(0, 3) if d == 1 and g.coin() else d for d in x.type.static_shape]
    shape = [*(g.size(1, 3) for _ in range(g.random.randrange(3))), *shape]
    if np.prod(shape, dtype=int) > g.profile.most:
        return None
    return g.builder("tensor.broadcast", x, shape=shape)


@maker("tensor.slice")
def slice_(g: Graph) -> Value:
    x = g.value(ANY)
    starts, sizes, steps = [], [], []
    for dim in x.type.static_shape:
        step = g.random.choice([1, 1, 1, 2, -1, 3, -2])
        start = g.random.randrange(dim) if dim and g.coin() else 0
        if dim and step < 0 and g.coin():
            start = dim - 1
        room = 0
        if dim:
            room = (dim - 1 - start) // step + 1 if step > 0 else start // -step + 1
        starts.append(start)
        steps.append(step)
        sizes.append(0 if not room or g.coin(0.02) else g.random.choice([room, g.size(1, room)]))
    return g.builder("tensor.slice", x, starts=starts, sizes=sizes, steps=steps)


@maker("tensor.concat")
def concat(g: Graph) -> Op:
    x = g.value(ANY, low=1)
    axis = g.axis(x)
    operands = [x]
    for _ in range(g.random.randrange(4)):
        shape = list(x.type.static_shape)
        if g.coin():
            shape[axis] = g.size(0, 3)
        operands.append(g.like(shape, x.type.dtype) if g.coin(0.8) else x)
    g.random.shuffle(operands)
    return g.builder.create("tensor.concat", operands, {"axis": axis})


@maker("tensor.pad")
def pad(g: Graph) -> Value:
    x = g.value(ANY)
    mode = g.random.choice(["constant", "constant", "edge", "reflect", "wrap"])
    before, after = (
        [g.random.choice([0, 0, 0, 1, 2, 4]) for _ in range(x.type.rank)] for _ in range(2)
    )
    value = g.like((), x.type.dtype) if mode == "constant" and g.coin() else None
    return g.builder("tensor.pad", x, value, before=before, after=after, mode=mode)


@maker("tensor.tile")
def tile(g: Graph) -> Value:
    x = g.value(ANY)
    repeats = [g.random.choice([1, 1, 1, 2, 3, 0 if g.coin(0.1) else 1]) for _ in x.type.shape]
    return g.builder("tensor.tile", x, repeats=repeats)


@maker("tensor.bitcast")
def bitcast(g: Graph) -> Value:
    x = g.value(REAL)
    alike = {d for d in REAL if d.bytes == x.type.dtype.bytes and d.bits == x.type.dtype.bits}
    alike |= {DType.BOOL, DType.U8, DType.I8} if x.type.dtype.bytes == 1 else set()
    return g.builder("tensor.bitcast", x, to=g.dtype(alike))


@maker("tensor.dimension")
def dimension(g: Graph) -> Value:
    return g.builder("tensor.dimension", value=g.random.choice([*g.symbols.values(), (3, 3)])[0])


# Indexing ----------------------------------------------------------------------------


@maker("tensor.gather")
def gather(g: Graph) -> Value:
    x = g.value(ANY, low=1)
    axis = g.axis(x)
    indices = g.indices(
        g.random.choice([(), (1,), (2,), (2, 2), (5,), (0,)]), x.type.static_shape[axis]
    )
    return g.builder("tensor.gather", x, indices, axis=axis)


@maker("tensor.gather_elements")
def gather_elements(g: Graph) -> Value:
    x = g.value(ANY, low=1)
    axis = g.axis(x)
    shape = [d if g.coin(0.7) else g.size(0, d) for d in x.type.static_shape]
    shape[axis] = g.size(0, 5) if x.type.static_shape[axis] else 0
    rank_kept = g.indices(shape, x.type.static_shape[axis] or 1)
    return g.builder("tensor.gather_elements", x, rank_kept, axis=axis)


def _tuples(
    g: Graph, x: Value, batch: int = 0, *, distinct: bool = False
) -> tuple[Value, int] | None:
    """Index tuples into the axes of x after ``batch``, and how many axes they fix."""
    shape = x.type.static_shape
    count = g.random.randint(0 if g.coin(0.1) else 1, len(shape) - batch)
    extents = shape[batch : batch + count]
    outer = [*shape[:batch], *g.random.choice([(), (1,), (3,), (2, 2)])]
    if 0 in extents:
        outer = [*outer[:batch], 0]
    dtype = g.dtype(INDICES)
    total = int(np.prod(extents, dtype=int))
    rng = np.random.default_rng(g.random.getrandbits(32))
    if distinct:
        places = int(np.prod(outer, dtype=int))
        if places > total:
            outer, places = [min(total, 2)], min(total, 2)
        flat = rng.permutation(total)[:places]
        table = np.stack(np.unravel_index(flat, extents), -1) if count else np.zeros((places, 0))
    else:
        lines = [rng.integers(-e, max(e, 1), (int(np.prod(outer, dtype=int)),)) for e in extents]
        table = np.stack(lines, -1) if lines else np.zeros((int(np.prod(outer, dtype=int)), 0))
    return g.builder.constant(table.reshape(*outer, count).astype(dtype.numpy)), count


@maker("tensor.gather_nd")
def gather_nd(g: Graph) -> Value | None:
    x = g.value(ANY, low=1)
    batch = g.random.randrange(x.type.rank) if g.coin(0.3) else 0
    made = _tuples(g, x, batch)
    return made and g.builder("tensor.gather_nd", x, made[0], batch_dims=batch)


def _reduction(g: Graph, dtype: DType) -> str:
    kinds = ["none", "none", "add", "mul", "min", "max"]
    return g.random.choice(kinds if dtype is not DType.BOOL else ["none"])


@maker("tensor.scatter_elements")
def scatter_elements(g: Graph) -> Value:
    x = g.value(ANY, low=1)
    axis, dtype = g.axis(x), x.type.dtype
    reduction = _reduction(g, dtype)
    shape = [g.size(0 if d == 0 else 1, d) for d in x.type.static_shape]
    extent = x.type.static_shape[axis]
    shape[axis] = g.size(1, 4) if extent else 0
    indices = g.indices(shape, extent or 1)
    updates = g.like(shape, dtype)
    return g.builder("tensor.scatter_elements", x, indices, updates, axis=axis, reduction=reduction)


@maker("tensor.scatter_nd")
def scatter_nd(g: Graph) -> Value | None:
    x = g.value(ANY, low=1)
    made = _tuples(g, x)
    if made is None:
        return None
    indices, count = made
    shape = [*indices.type.static_shape[:-1], *x.type.static_shape[count:]]
    updates = g.like(shape, x.type.dtype)
    reduction = _reduction(g, x.type.dtype)
    return g.builder("tensor.scatter_nd", x, indices, updates, reduction=reduction)


# Reductions and searches -------------------------------------------------------------


@maker("tensor.reduce")
def reduce(g: Graph) -> Value:
    x = g.value(dtypes_of("tensor.reduce"), dynamic=True)
    if x.type.dtype is DType.BOOL:
        kind = g.random.choice(["any", "all"])
    else:
        kind = g.random.choice(["sum", "mean", "prod", "min", "max"])
    axes = [axis for axis in range(x.type.rank) if g.coin()]
    return g.builder("tensor.reduce", x, kind=kind, axes=axes, keep_dims=g.coin())


@maker("tensor.arg_reduce")
def arg_reduce(g: Graph) -> Value:
    x = g.value(dtypes_of("tensor.arg_reduce"), low=1)
    return g.builder(
        "tensor.arg_reduce",
        x,
        kind=g.random.choice(["min", "max"]),
        axis=g.axis(x),
        keep_dims=g.coin(),
        last=g.coin(),
    )


def _cumulative(g: Graph, op: str) -> Value:
    x = g.value(dtypes_of(op), low=1)
    return g.builder(op, x, axis=g.axis(x), exclusive=g.coin(), reverse=g.coin())


@maker("tensor.cumulative_sum")
def cumulative_sum(g: Graph) -> Value:
    return _cumulative(g, "tensor.cumulative_sum")


@maker("tensor.cumulative_product")
def cumulative_product(g: Graph) -> Value:
    return _cumulative(g, "tensor.cumulative_product")


@maker("tensor.top_k")
def top_k(g: Graph) -> Op:
    x = g.value(dtypes_of("tensor.top_k"), low=1)
    axis = g.axis(x)
    attributes = {
        "axis": axis,
        "k": g.size(0, x.type.static_shape[axis]),
        "largest": g.coin(),
        "sorted": g.coin(),
    }
    return g.builder.create("tensor.top_k", [x], attributes)


# Sizes that data decide --------------------------------------------------------------


def found(g: Graph, most: int) -> object:
    """The attribute ``size`` of an op that finds at most so many: a symbol of its own."""
    name = f"K{len(g.symbols)}"
    g.symbols[name] = (0, max(most, 1))
    return symbol(name)


@maker("tensor.non_zero")
def non_zero(g: Graph) -> Value | None:
    x = g.value(dtypes_of("tensor.non_zero"))
    if g.depth:
        return None
    return g.builder("tensor.non_zero", x, size=found(g, int(np.prod(x.type.static_shape))))


@maker("tensor.unique")
def unique(g: Graph) -> Op | None:
    x = g.value(dtypes_of("tensor.unique"), low=1)
    if g.depth:
        return None
    axis = g.axis(x)
    size = found(g, x.type.static_shape[axis])
    attributes = {"axis": axis, "sorted": g.coin(), "size": size}
    return g.builder.create("tensor.unique", [x], attributes)


@maker("nn.non_max_suppression")
def non_max_suppression(g: Graph) -> Value | None:
    if g.depth:
        return None
    batch, classes, boxes = g.size(1, 2), g.size(1, 2), g.size(0, 6)
    corners = g.uniform((batch, boxes, 4), DType.F32, 0, 1)
    scores = g.like((batch, classes, boxes), DType.F32)
    limit = g.integers((), DType.I64, 0, 4)
    overlap = g.uniform((), DType.F32, 0, 1)
    threshold = g.uniform((), DType.F32, -1, 1) if g.coin() else None
    size = found(g, batch * classes * boxes)
    return g.builder(
        "nn.non_max_suppression",
        corners,
        scores,
        limit,
        overlap,
        threshold,
        centered=g.coin(),
        size=size,
    )


@maker("control.require")
def require(g: Graph) -> Value:
    x = g.value(ANY)
    actual = g.integers((g.size(0, 3),), DType.I64, -2, 3)
    constant = actual.constant
    assert constant is not None
    expected = [int(n) for n in constant.array]
    if expected and g.coin(0.05):
        expected[0] += 1
    return g.builder("control.require", x, actual, expected=expected)


BOOL = BOOLS
