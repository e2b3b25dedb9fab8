"""Makers of the ops of neural networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import DType, Op, Value
from burnish.ir.opdef import FLOATS
from burnish.ir.ops.recurrent import ACTIVATIONS
from burnish.ir.ops.resize import COORDINATES, ROUNDINGS

from .maker import Graph, maker
from .makers_tensor import dtypes_of


def image(g: Graph, op: str, *, channels: int | None = None) -> Value:
    """A value [N, C, spatial...], an old one if there is one."""
    dtypes = dtypes_of(op)

    def fits(v: Value) -> bool:
        return v.type.rank >= 3 and v.type.dtype in dtypes and v.type.encoding is None

    old = g.pick(fits) if channels is None and g.coin(0.75) else None
    if old is not None:
        return old
    spatial = g.random.choice([1, 2, 2, 2, 3])
    extents = [g.random.choice([1, 2, 3, 4, 5, 6, 7, 9]) for _ in range(spatial)]
    while np.prod(extents) > g.profile.most // 4:
        extents[int(np.argmax(extents))] -= 1
    if g.coin(0.02):
        extents[0] = 0
    count = channels or g.random.choice([1, 2, 3, 4, 6, 8])
    return g.like(
        (g.random.choice([1, 1, 2, 0 if g.coin(0.05) else 1]), count, *extents), g.dtype(dtypes)
    )


def _window(g: Graph, x: Value) -> dict[str, Any]:
    """Kernel sizes, strides, pads and dilations that fit x."""
    extents = x.type.static_shape[2:]
    spatial = len(extents)
    kernel, strides, dilations, before, after = [], [], [], [], []
    for extent in extents:
        pads = [g.random.choice([0, 0, 1, 2]) for _ in range(2)]
        size = g.random.choice([1, 2, 3, 3, 5])
        dilation = g.random.choice([1, 1, 1, 2, 3])
        while size > 1 and (size - 1) * dilation + 1 > extent + sum(pads):
            size, dilation = size - 1, 1
        kernel.append(size)
        dilations.append(dilation)
        strides.append(g.random.choice([1, 1, 2, 2, 3]))
        before.append(pads[0])
        after.append(pads[1])
    assert len(kernel) == spatial
    return {"kernel": kernel, "strides": strides, "pads": [*before, *after], "dilations": dilations}


@maker("nn.conv")
def conv(g: Graph) -> Value:
    x = image(g, "nn.conv")
    channels = x.type.static_shape[1]
    groups = g.random.choice([n for n in range(1, channels + 1) if channels % n == 0] or [1])
    out = groups * g.random.choice([1, 1, 2, 3, 8 if groups == 1 else 1])
    window = _window(g, x)
    w = g.like((out, channels // groups, *window.pop("kernel")), x.type.dtype)
    b = g.like((out,), x.type.dtype) if g.coin(0.4) else None
    return g.builder("nn.conv", x, w, b, **window, groups=groups)


@maker("nn.sparse_product")
def sparse_product(g: Graph) -> Value | None:
    x = g.value(FLOATS, low=1)
    axis = g.random.randrange(x.type.rank)
    size, width, tiles = x.type.static_shape[axis], g.size(1, 9), g.size(1, 3)
    if not size:
        return None
    counts = [g.size(0, 4) for _ in range(tiles)]
    inputs = np.array([g.random.randrange(size) for _ in range(sum(counts))], np.int32)
    starts = np.array([0, *np.cumsum(counts)], np.int32)
    outputs = tiles * width - g.random.randrange(width)
    values = g.like((sum(counts), width), x.type.dtype)
    b = g.like((outputs,), x.type.dtype) if g.coin(0.4) else None
    rows = (g.builder.constant(part) for part in (inputs, starts))
    return g.builder("nn.sparse_product", x, values, *rows, b, axis=axis, outputs=outputs)


@maker("nn.conv_transpose")
def conv_transpose(g: Graph) -> Value:
    x = image(g, "nn.conv_transpose")
    channels = x.type.static_shape[1]
    groups = g.random.choice([n for n in range(1, channels + 1) if channels % n == 0] or [1])
    each = g.random.choice([1, 2, 3])
    spatial = x.type.rank - 2
    attributes = {
        "strides": [g.random.choice([1, 1, 2, 3]) for _ in range(spatial)],
        "dilations": [g.random.choice([1, 1, 2]) for _ in range(spatial)],
        "pads": [g.random.choice([0, 0, 1]) for _ in range(2 * spatial)],
    }
    attributes["output_padding"] = [
        g.random.randrange(max(stride, dilation))
        for stride, dilation in zip(attributes["strides"], attributes["dilations"])
    ]
    kernel = [g.random.choice([1, 2, 3]) for _ in range(spatial)]
    w = g.like((channels, each, *kernel), x.type.dtype)
    b = g.like((groups * each,), x.type.dtype) if g.coin(0.4) else None
    return g.builder("nn.conv_transpose", x, w, b, **attributes, groups=groups)


@maker("nn.matmul")
def matmul(g: Graph) -> Value:
    a = g.value(dtypes_of("nn.matmul", "a"), low=2)
    transpose_a, transpose_b = g.coin(0.3), g.coin(0.3)
    shape = a.type.static_shape
    depth, rows = (shape[-2], shape[-1]) if transpose_a else (shape[-1], shape[-2])
    columns = g.random.choice([1, 2, 3, 4, 8, 9, 0 if g.coin(0.1) else 5])
    matrix = (columns, depth) if transpose_b else (depth, columns)
    batch = [d if g.coin() else 1 for d in shape[:-2]][g.random.randrange(a.type.rank - 1) :]
    b = g.like((*batch, *matrix), a.type.dtype)
    c = None
    if g.coin(0.4):
        full = [*shape[:-2], rows, columns]
        part = [d if g.coin(0.6) else 1 for d in full][g.random.randrange(len(full) + 1) :]
        c = g.like(part, a.type.dtype)
    if g.coin(0.2) and not (transpose_a or transpose_b) and a.type.rank == 2:
        a, b = g.like((columns, rows), a.type.dtype), a  # the old value on the right
        c = None
    return g.builder("nn.matmul", a, b, c, transpose_a=transpose_a, transpose_b=transpose_b)


def _pool(g: Graph, op: str, **more: object) -> Value:
    x = image(g, op)
    window = _window(g, x)
    overhang = [g.random.choice([0, 0, stride - 1]) for stride in window["strides"]]
    return g.builder(op, x, **window, overhang=overhang, **more)


@maker("nn.max_pool")
def max_pool(g: Graph) -> Value:
    return _pool(g, "nn.max_pool")


@maker("nn.arg_max_pool")
def arg_max_pool(g: Graph) -> Value:
    return _pool(g, "nn.arg_max_pool")


@maker("nn.average_pool")
def average_pool(g: Graph) -> Value:
    return _pool(g, "nn.average_pool", count_include_pad=g.coin())


def _channels(g: Graph, x: Value, count: int) -> list[Value]:
    """Parameters [C] of a normalization."""
    return [g.like((x.type.static_shape[1],), x.type.dtype) for _ in range(count)]


@maker("nn.batch_norm")
def batch_norm(g: Graph) -> Value:
    x = g.value(FLOATS, low=2)
    variance = g.uniform((x.type.static_shape[1],), x.type.dtype, 0.3, 2)
    epsilon = g.random.choice([1e-5, 1e-3])
    return g.builder("nn.batch_norm", x, *_channels(g, x, 3), variance, epsilon=epsilon)


@maker("nn.group_norm")
def group_norm(g: Graph) -> Value:
    x = g.value(FLOATS, low=2)
    channels = x.type.static_shape[1]
    groups = g.random.choice([n for n in range(1, channels + 1) if channels % n == 0] or [1])
    return g.builder("nn.group_norm", x, *_channels(g, x, 2), groups=groups)


def _broadcasting(g: Graph, x: Value) -> Value:
    shape = [d if g.coin(0.7) else 1 for d in x.type.static_shape]
    return g.like(shape[g.random.randrange(len(shape)) :], x.type.dtype)


@maker("nn.layer_norm")
def layer_norm(g: Graph) -> Value:
    x = g.value(FLOATS, low=1)
    bias = _broadcasting(g, x) if g.coin() else None
    epsilon = g.random.choice([1e-5, 1e-2])
    return g.builder("nn.layer_norm", x, _broadcasting(g, x), bias, axis=g.axis(x), epsilon=epsilon)


@maker("nn.rms_norm")
def rms_norm(g: Graph) -> Value:
    x = g.value(FLOATS, low=1)
    return g.builder("nn.rms_norm", x, _broadcasting(g, x), axis=g.axis(x))


@maker("nn.lrn")
def lrn(g: Graph) -> Value:
    x = g.value(FLOATS, low=2)
    return g.builder(
        "nn.lrn",
        x,
        size=g.random.choice([1, 2, 3, 5]),
        alpha=g.random.choice([1e-4, 0.3]),
        beta=g.random.choice([0.75, 0.5, 1.0]),
        bias=g.random.choice([1.0, 2.0]),
    )


@maker("nn.softmax")
def softmax(g: Graph) -> Value:
    x = g.value(FLOATS, low=1)
    return g.builder("nn.softmax", x, axis=g.axis(x))


@maker("nn.log_softmax")
def log_softmax(g: Graph) -> Value:
    x = g.value(FLOATS, low=1)
    return g.builder("nn.log_softmax", x, axis=g.axis(x))


@maker("nn.determinant")
def determinant(g: Graph) -> Value:
    n = g.random.choice([0, 1, 2, 3, 4, 5])
    return g.builder("nn.determinant", g.like((*g.shape(g.size(0, 2))[:2], n, n), g.dtype(FLOATS)))


@maker("nn.resize")
def resize(g: Graph) -> Value:
    x = g.value(dtypes_of("nn.resize"), low=1)
    mode = g.random.choice(["nearest", "linear", "cubic"])
    old = x.type.static_shape
    new = [d if g.coin(0.4) else g.size(0 if g.coin(0.05) else 1, 9) if d else 0 for d in old]
    scales = [float(np.float32(n / o)) if o and n else 1.0 for n, o in zip(new, old)]
    if g.coin(0.2):
        scales = [
            s if n == o else float(np.float32(s * g.random.uniform(0.9, 1.1)))
            for s, n, o in zip(scales, new, old)
        ]
    attributes: dict[str, Any] = {
        "coordinates": g.random.choice(COORDINATES),
        "rounding": g.random.choice(ROUNDINGS),
        "cubic_coefficient": g.random.choice([-0.75, -0.5]),
        "exclude_outside": g.coin(0.3),
        "antialias": mode != "nearest" and g.coin(0.3),
        "extrapolation_value": g.random.choice([0.0, 10.0]),
    }
    if attributes["coordinates"] == "tf_crop_and_resize":
        starts = [0.0 if n == o else g.random.uniform(-0.2, 0.5) for n, o in zip(new, old)]
        ends = [1.0 if n == o else g.random.uniform(0.4, 1.2) for n, o in zip(new, old)]
        attributes["roi"] = [*starts, *ends]
    return g.builder("nn.resize", x, shape=new, scales=scales, mode=mode, **attributes)


@maker("nn.sample")
def sample(g: Graph) -> Value:
    mode = g.random.choice(["nearest", "linear", "cubic"])
    x = image(g, "nn.sample" if mode == "nearest" else "nn.softmax")
    out = [g.size(0 if g.coin(0.05) else 1, 4) for _ in range(g.random.choice([1, 2, 2]))]
    shape = (x.type.static_shape[0], *out, x.type.rank - 2)
    positions = (
        g.uniform(shape, g.dtype({DType.F32}), -3, 9) if g.coin(0.8) else g.data(shape, DType.F32)
    )
    padding = g.random.choice(["zeros", "border", "reflection"])
    return g.builder("nn.sample", x, positions, mode=mode, padding=padding, align_corners=g.coin())


def _boxes(g: Graph, count: int, dtype: DType, extent: float) -> Value:
    return g.uniform((count, 4), dtype, -2, extent + 2)


@maker("nn.region_align")
def region_align(g: Graph) -> Value:
    dtype = g.dtype(FLOATS)
    x = g.like((g.size(1, 2), g.size(1, 3), g.size(1, 7), g.size(1, 7)), dtype)
    count = g.size(0, 4)
    batch = g.integers((count,), g.dtype({DType.I32, DType.I64}), 0, x.type.static_shape[0] - 1)
    return g.builder(
        "nn.region_align",
        x,
        _boxes(g, count, dtype, 6),
        batch,
        bins=[g.size(1, 3), g.size(1, 3)],
        scale=g.random.choice([1.0, 0.5, 0.7]),
        samples=g.size(0, 3),
        mode=g.random.choice(["mean", "max"]),
        half_pixel=g.coin(),
    )


@maker("nn.region_max_pool")
def region_max_pool(g: Graph) -> Value:
    dtype = g.dtype(FLOATS)
    x = g.like((g.size(1, 2), g.size(1, 3), g.size(1, 7), g.size(1, 7)), dtype)
    rng = np.random.default_rng(g.random.getrandbits(32))
    count = g.size(0, 4)
    entries = rng.integers(0, x.type.static_shape[0], (count, 1))
    table = np.concatenate([entries, rng.uniform(-2, 8, (count, 4))], 1).astype(dtype.numpy)
    return g.builder(
        "nn.region_max_pool",
        x,
        g.builder.constant(table),
        bins=[g.size(1, 3), g.size(1, 3)],
        scale=g.random.choice([1.0, 0.5, 0.7]),
    )


FUNCTIONS = {"nn.rnn": (1, 1), "nn.gru": (3, 2), "nn.lstm": (4, 3)}
"""Gates, and activations per direction."""


def _recurrent(g: Graph, op: str, **more: object) -> Op:
    gates, functions = FUNCTIONS[op]
    old = g.pick(lambda v: v.type.rank == 3 and v.type.dtype is DType.F32) if g.coin() else None
    dtype = g.dtype(FLOATS)
    x = old or g.like((g.size(0 if g.coin(0.05) else 1, 4), g.size(1, 3), g.size(1, 4)), dtype)
    dtype = x.type.dtype
    time, batch, inputs = x.type.static_shape
    hidden = g.size(1, 5)
    direction = g.random.choice(["forward", "reverse", "bidirectional"])
    directions = 2 if direction == "bidirectional" else 1

    def given(chance: float, *shape: int) -> Value | None:
        return g.like((directions, *shape), dtype, 1.0) if g.coin(chance) else None

    lengths = g.integers((batch,), DType.I32, 0, time) if g.coin(0.3) else None
    operands = [
        x,
        given(1, gates * hidden, inputs),
        given(1, gates * hidden, hidden),
        given(0.6, 2 * gates * hidden),
        lengths,
        given(0.4, batch, hidden),
    ]
    if op == "nn.lstm":
        operands += [given(0.4, batch, hidden), given(0.3, 3 * hidden)]
    usual = {
        "nn.rnn": ["Tanh"],
        "nn.gru": ["Sigmoid", "Tanh"],
        "nn.lstm": ["Sigmoid", "Tanh", "Tanh"],
    }
    names = usual[op] * directions
    if g.coin(0.3):
        names = [g.random.choice(list(ACTIVATIONS)) for _ in range(functions * directions)]
    attributes = {
        "hidden_size": hidden,
        "direction": direction,
        "activations": names,
        "clip": g.random.choice([0.0, 0.0, 0.5]),
        **more,
    }
    return g.builder.create(op, operands, attributes)


@maker("nn.rnn")
def rnn(g: Graph) -> Op:
    return _recurrent(g, "nn.rnn")


@maker("nn.gru")
def gru(g: Graph) -> Op:
    return _recurrent(g, "nn.gru", linear_before_reset=g.coin())


@maker("nn.lstm")
def lstm(g: Graph) -> Op:
    return _recurrent(g, "nn.lstm", input_forget=g.coin(0.3))


def _heads(g: Graph, merged: bool, batch: int, heads: int, length: int, size: int) -> list[int]:
    """The shape of an operand of attention, its heads an axis or merged with the features."""
    return [batch, length, heads * size] if merged else [batch, heads, length, size]


@maker("nn.attention")
def attention(g: Graph) -> Value:
    dtype = g.dtype(FLOATS)
    batch, shared, queries, keys = g.size(1, 2), g.size(1, 3), g.size(1, 5), g.size(1, 5)
    heads, size, width = shared * g.size(1, 2), g.size(1, 4), g.size(1, 4)
    merged = g.coin(0.4)
    q = g.like(_heads(g, merged, batch, heads, queries, size), dtype)
    k = g.like(_heads(g, merged, batch, shared, keys, size), dtype)
    v = g.like(_heads(g, merged, batch, shared, keys, width), dtype)
    mask = None
    if g.coin():
        full = [batch, heads, queries, keys]
        part = [d if g.coin(0.7) else 1 for d in full][g.random.randrange(4) :]
        mask = g.like(part, dtype if g.coin() else DType.BOOL)
    attributes: dict[str, Any] = {"heads": heads, "kv_heads": shared} if merged else {}
    return g.builder(
        "nn.attention",
        q,
        k,
        v,
        mask,
        scale=g.random.choice([1.0, 0.5]),
        causal=g.coin(),
        offset=g.size(0, 2),
        softcap=g.random.choice([0.0, 0.0, 2.0]),
        masked_rows=g.random.choice(["zero", "nan"]),
        **attributes,
    )


@maker("nn.rotary_embedding")
def rotary_embedding(g: Graph) -> Value:
    dtype = g.dtype(FLOATS)
    batch, heads, length, pairs = g.size(1, 2), g.size(1, 3), g.size(1, 4), g.size(1, 3)
    size = 2 * pairs + g.size(0, 2)
    merged = g.coin(0.4)
    x = g.like(_heads(g, merged, batch, heads, length, size), dtype)
    positions = None
    if g.coin():
        rows = g.size(1, 5)
        positions = g.integers((batch, length), g.dtype({DType.I32, DType.I64}), -rows, rows - 1)
        shape = [rows, pairs]
    else:
        shape = [batch if g.coin() else 1, length if g.coin() else 1, pairs][g.size(0, 2) :]
    return g.builder(
        "nn.rotary_embedding",
        x,
        g.like(shape, dtype),
        g.like(shape, dtype),
        positions,
        interleaved=g.coin(),
        heads=heads if merged else 0,
    )
