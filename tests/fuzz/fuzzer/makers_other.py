"""Makers of quantization, signals, trees, and control flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import Block, Builder, Constant, DType, Op, Quantized, TensorType, Value
from burnish.ir.opdef import ANY, FLOATS

from .maker import Graph, maker

STORAGE = [d for d in DType if d.is_integer and d.bits <= 16]
STORAGE += [DType.I32, DType.F8E4M3FN, DType.F8E5M2, DType.F8E4M3FNUZ, DType.F8E5M2FNUZ]


def _encoding(g: Graph, shape: tuple[int, ...], storage: DType, expressed: DType) -> Quantized:
    """Scales and zero points for a tensor, per axis, per block, or one."""
    axis, block, count = None, 0, 1
    if shape and g.coin(0.5) and 0 not in shape:
        axis = g.random.randrange(len(shape))
        count = shape[axis]
        if g.coin(0.4):
            block = g.random.choice([1, 2, 3])
            blocks = [-(-n // block) if i == axis else n for i, n in enumerate(shape)]
            count = int(np.prod(blocks))
    low, high = (0, 0) if storage.is_float else storage.integer_range
    low, high = max(low, -100), min(high, 100)
    symmetric = g.coin(0.3)
    powers = [0.25, 0.5, 0.05, 0.1, 1.0]
    return Quantized(
        tuple(float(expressed.numpy.type(g.random.choice(powers))) for _ in range(count)),
        tuple(0 if symmetric else g.random.randint(low, high) for _ in range(count)),
        axis,
        block,
        expressed,
    )


@maker("quant.quantize")
def quantize(g: Graph) -> Value:
    x = g.value({DType.F32, DType.F16, DType.BF16, DType.F64})
    storage = g.dtype(STORAGE)
    encoding = _encoding(g, x.type.static_shape, storage, x.type.dtype)
    return g.builder("quant.quantize", x, encoding=encoding, dtype=storage)


@maker("quant.reinterpret")
def reinterpret(g: Graph) -> Value:
    x = g.pick(lambda v: v.type.encoding is not None) if g.coin() else None
    if x is not None:
        return g.builder("quant.reinterpret", x, encoding=())
    x = g.value(STORAGE)
    encoding = _encoding(
        g, x.type.static_shape, x.type.dtype, g.dtype({DType.F32, DType.F16, DType.BF16})
    )
    return g.builder("quant.reinterpret", x, encoding=(encoding,))


@maker("quant.dequantize")
def dequantize(g: Graph) -> Value:
    x = g.pick(lambda v: v.type.quantized is not None) or reinterpret(g)
    return g.builder("quant.dequantize", x)


@maker("signal.dft")
def dft(g: Graph) -> Value:
    inverse, onesided = g.coin(0.4), g.coin(0.4)
    parts = (2 if inverse else 1) if onesided else g.size(1, 2)
    points = g.random.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16])
    x = g.like((*g.shape(g.size(0, 2))[:2], points, parts), g.dtype(FLOATS))
    length = g.random.choice([points, points, points + 3, max(1, points - 2)])
    return g.builder("signal.dft", x, length=length, inverse=inverse, onesided=onesided)


@maker("signal.frames")
def frames(g: Graph) -> Value:
    x = g.value(ANY, low=2)
    samples = x.type.static_shape[1]
    return g.builder("signal.frames", x, length=g.size(1, max(samples, 1)), step=g.size(1, 3))


@maker("ml.tree_ensemble")
def tree_ensemble(g: Graph) -> Value | None:
    x = g.value({DType.F32, DType.F64}, rank=2)
    features = x.type.static_shape[1]
    if not features:
        return None
    rng = np.random.default_rng(g.random.getrandbits(32))
    nodes, trees, targets = g.size(0, 6), g.size(0, 3), g.size(1, 3)
    leaves = g.size(1, 6)

    def child(node: int) -> int:
        later = node + 1 < nodes and rng.random() < 0.6
        return int(rng.integers(node + 1, nodes)) if later else -1 - int(rng.integers(leaves))

    counts = rng.integers(0, 3, leaves)
    entries = int(counts.sum())
    tables: dict[str, Any] = {
        "roots": np.array([child(-1) for _ in range(trees)], np.int32),
        "features": rng.integers(0, features, nodes).astype(np.int32),
        "thresholds": (rng.integers(-4, 5, nodes) / 2).astype(x.type.dtype.numpy),
        "first": np.array([child(n) for n in range(nodes)], np.int32),
        "second": np.array([child(n) for n in range(nodes)], np.int32),
        "flags": rng.integers(0, 4, nodes).astype(np.uint8),
        "starts": np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        "columns": rng.integers(0, targets, entries).astype(np.int32),
        "weights": rng.uniform(-2, 2, entries).astype(g.dtype({DType.F32, DType.F64}).numpy),
    }
    constants = {name: Constant(table) for name, table in tables.items()}
    aggregate = g.random.choice(["sum", "min", "max"])
    return g.builder("ml.tree_ensemble", x, **constants, targets=targets, aggregate=aggregate)


# Control flow ------------------------------------------------------------------------


def _inner(g: Graph, types: list[TensorType], readable: int) -> tuple[Block, Graph]:
    """A block of some ops on arguments of these types; makers see those from ``readable`` on."""
    block = Block(types)
    inner = Graph(g.random, Builder(block), g.profile, block.args[readable:])
    inner.depth = g.depth + 1
    inner.grow(g.size(1, 4))
    return block, inner


def _captured(g: Graph) -> list[Value]:
    static = [v for v in g.values if v.type.is_static]
    return [g.random.choice(static) for _ in range(g.size(0, 3))] if static else []


def _shaped(inner: Graph, type_: TensorType) -> Value:
    """A value of exactly this type: one that is there, or new data."""
    found = inner.pick(lambda v: v.type == type_)
    if found is not None and inner.coin(0.8):
        return found
    if type_.encoding is not None:
        assert found is not None
        return found
    return inner.data(type_.static_shape, type_.dtype)


@maker("control.if")
def if_(g: Graph) -> Op | None:
    if g.depth > 1:
        return None
    captured = _captured(g)
    types = [v.type for v in captured]
    cond = g.pick(lambda v: v.type.dtype is DType.BOOL and v.type.rank == 0) if g.coin() else None
    cond = cond or g.data((), DType.BOOL)
    then, first = _inner(g, types, 0)
    otherwise, second = _inner(g, types, 0)
    plain = [v for v in first.values if v.type.encoding is None and v.type.is_static]
    if not plain:
        return None
    results = [first.random.choice(plain) for _ in range(g.size(1, 2))]
    first.builder.yield_(*results)
    second.builder.yield_(*(_shaped(second, v.type) for v in results))
    return g.builder.create("control.if", [cond, *captured], regions=[then, otherwise])


@maker("control.loop")
def loop(g: Graph) -> Op | None:
    if g.depth > 1:
        return None
    carried = [v for v in _captured(g) if v.type.encoding is None]
    captured = _captured(g)
    values = [*carried, *captured]
    flags = [TensorType((), DType.I64), TensorType((), DType.BOOL)]
    body, inner = _inner(g, [*flags, *(v.type for v in values)], 0)
    count = g.size(0, 4)
    state = [_shaped(inner, v.type) for v in carried]
    scannable = [v for v in inner.values if v.type.encoding is None and v.type.is_static]
    scans = []
    if scannable and count and g.coin():
        scans = [g.random.choice(scannable) for _ in range(g.size(1, 2))]
    if not carried and not scans:
        return None
    going: Value = body.args[1]
    stops = inner.pick(lambda v: v.type.dtype is DType.BOOL and v.type.rank == 0)
    if stops is not None and not scans and g.coin():
        going = stops
    inner.builder.yield_(going, *state, *scans)
    trips = g.integers((), DType.I64, count, count)
    attributes: dict[str, object] = {"carried": len(carried)}
    if scans:
        attributes["iterations"] = count
    start = None
    if not scans and g.coin(0.3):
        start = g.data((), DType.BOOL)
    return g.builder.create("control.loop", [trips, start, *values], attributes, regions=[body])
