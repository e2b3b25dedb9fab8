"""Makers of ONNX nodes, one per operator, over the newest operator set.

Where onnxruntime departs from the standard, or leaves something to the processor, a maker keeps
away from it and says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import DType

from .onnx_graphs import FLOATS, INTEGERS, OnnxGraph, RefusedError, onnx_maker

NUMBERS = (*FLOATS, *INTEGERS)
EVERYTHING = (*NUMBERS, "bool")
SIGNED = (*FLOATS, "i32", "i64", "i8", "i16")

# Elementwise -----------------------------------------------------------------------------


@onnx_maker(
    "Exp", "Erf", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Floor", "Ceil",
    "Round", "Sigmoid", "Softplus", "Softsign", "Mish", "HardSwish", "Elu", "Selu", "Celu",
    "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Shrink", "Gelu", "Swish", "Reciprocal",
    "IsNaN", "IsInf",
)  # fmt: skip
def unary(g: OnnxGraph, op: str) -> Any:
    parameters = {
        "Elu": ["alpha"], "Selu": ["alpha", "gamma"], "Celu": ["alpha"], "LeakyRelu": ["alpha"],
        "ThresholdedRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"], "Shrink": ["bias", "lambd"],
    }  # fmt: skip
    names = parameters.get(op, []) if g.coin() else []
    attributes: dict[str, Any] = {n: g.choice([0.2, 0.5, 1.5]) for n in names}
    if op == "Gelu":
        attributes["approximate"] = g.choice(["none", "tanh"])
    # onnxruntime computes Shrink of f64 in f32.
    return g.node(op, [g.value(FLOATS if op != "Shrink" else ["f32"])], **attributes)


@onnx_maker("Log", "Sqrt", "Acosh", "Asin", "Acos", "Atanh")
def domain(g: OnnxGraph, op: str) -> Any:
    """Functions that are not defined everywhere, on numbers where they are."""
    low, high = {"Acosh": (1, 9), "Log": (0.01, 9), "Sqrt": (0, 9)}.get(op, (-0.99, 0.99))
    return g.node(op, [g.uniform(g.shape(), low, high, g.dtype(FLOATS))])


@onnx_maker("Abs", "Neg", "Sign", "Relu")
def signed(g: OnnxGraph, op: str) -> Any:
    return g.node(op, [g.value(SIGNED)])


@onnx_maker("BitwiseNot")
def bitwise_not(g: OnnxGraph) -> Any:
    return g.node("BitwiseNot", [g.value(INTEGERS)])


@onnx_maker("Not")
def logical_not(g: OnnxGraph) -> Any:
    return g.node("Not", [g.value(["bool"])])


def _swapped(g: OnnxGraph, x: str, y: str) -> list[str]:
    return [y, x] if g.coin(0.3) else [x, y]


@onnx_maker("Add", "Sub", "Mul", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
def binary(g: OnnxGraph, op: str) -> Any:
    x = g.value(EVERYTHING if op == "Equal" else NUMBERS)
    return g.node(op, _swapped(g, x, g.partner(x)))


@onnx_maker("Div", "Mod")
def division(g: OnnxGraph, op: str) -> Any:
    """By positive numbers: integer division by 0, and of the least by -1, end the process.

    The remainder that onnxruntime takes with fmod goes through f64, which 64 bits do not fit.
    """
    x = g.value(NUMBERS)
    shape = g.known[g.partner(x)].shape
    y = g.uniform(shape, 1, 7, g.text(x))
    fmod = g.known[x].dtype.kind == "f" or (g.known[x].dtype.itemsize < 8 and g.coin())
    return g.node(op, [x, y], **({"fmod": int(fmod)} if op == "Mod" else {}))


@onnx_maker("Pow")
def power(g: OnnxGraph) -> Any:
    """Of positive numbers, so that results are finite."""
    x = g.uniform(g.shape(), 0.1, 3, g.dtype(("f32", "f64")))
    return g.node("Pow", [x, g.uniform(g.known[g.partner(x)].shape, -2, 3, g.text(x))])


@onnx_maker("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bitwise(g: OnnxGraph, op: str) -> Any:
    x = g.value(INTEGERS)
    return g.node(op, _swapped(g, x, g.partner(x)))


@onnx_maker("And", "Or", "Xor")
def logical(g: OnnxGraph, op: str) -> Any:
    x = g.value(["bool"])
    return g.node(op, _swapped(g, x, g.partner(x)))


@onnx_maker("BitShift")
def bit_shift(g: OnnxGraph) -> Any:
    """By less than the width: more is left to the processor."""
    x = g.value(("u8", "u32", "u64"))
    y = g.uniform(g.known[g.partner(x)].shape, 0, 8, g.text(x))
    return g.node("BitShift", [x, y], direction=g.choice(["LEFT", "RIGHT"]))


@onnx_maker("Max", "Min", "Sum", "Mean")
def variadic(g: OnnxGraph, op: str) -> Any:
    x = g.value(FLOATS if op in ("Sum", "Mean") else NUMBERS)
    return g.node(op, [x, *(g.partner(x) for _ in range(g.size(0, 2)))])


@onnx_maker("Where")
def where(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING)
    return g.node("Where", [g.partner(x, "bool"), x, g.partner(x)])


@onnx_maker("Clip")
def clip(g: OnnxGraph) -> Any:
    x = g.value(NUMBERS)
    bounds = [g.uniform((), low, high, g.text(x)) if g.coin(0.7) else "" for low, high in ((0, 2), (2, 5))]
    return g.node("Clip", [x, *bounds])


@onnx_maker("PRelu")
def prelu(g: OnnxGraph) -> Any:
    x = g.value(FLOATS)
    shape = g.known[x].shape
    slope = [d if g.coin() else 1 for d in shape][g.random.randrange(len(shape) + 1) :]
    return g.node("PRelu", [x, g.like(slope, g.text(x))])


@onnx_maker("Cast", "CastLike")
def cast(g: OnnxGraph, op: str) -> Any:
    """Floats to integers within their range: outside onnxruntime has what the processor has."""
    x = g.value(EVERYTHING)
    to = g.dtype(EVERYTHING)
    if g.known[x].dtype.kind == "f" and to not in (*FLOATS, "bool"):
        low, high = (0, 100) if to[0] == "u" else (-100, 100)
        bounds = [g.leaf(np.array(v, g.known[x].dtype), fixed=True) for v in (low, high)]
        (x,) = g.node("Clip", [x, *bounds])
    kind = DType.parse(to).numpy
    if op == "Cast":
        return g.node(op, [x], to=_onnx_type(to))
    return g.node(op, [x, g.leaf(np.zeros(2, kind))])


def _onnx_type(dtype: str) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(DType.parse(dtype).numpy))


# Shapes ----------------------------------------------------------------------------------


@onnx_maker("Identity")
def identity(g: OnnxGraph) -> Any:
    return g.node("Identity", [g.value(EVERYTHING)])


@onnx_maker("Reshape")
def reshape(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING)
    dims: list[int] = [d for d in g.known[x].shape if d != 1]
    for _ in range(g.random.randrange(3)):
        dims.insert(g.random.randrange(len(dims) + 1), 1)
    if len(dims) > 1 and g.coin():
        i = g.random.randrange(len(dims) - 1)
        dims[i : i + 2] = [dims[i] * dims[i + 1]]
    if dims and g.coin(0.3) and 0 not in dims:
        dims[g.random.randrange(len(dims))] = -1
    return g.node("Reshape", [x, g.integers(dims)], allowzero=1)


@onnx_maker("Flatten")
def flatten(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING)
    rank = g.known[x].ndim
    return g.node("Flatten", [x], axis=g.random.randint(-rank, rank))


@onnx_maker("Squeeze")
def squeeze(g: OnnxGraph) -> Any:
    """Not with an empty list of axes, which onnxruntime takes for none given: all axes of 1."""
    x = g.value(EVERYTHING)
    axes = [i for i, d in enumerate(g.known[x].shape) if d == 1 and g.coin()]
    return g.node("Squeeze", [x, g.integers(axes)] if axes else [x])


@onnx_maker("Unsqueeze")
def unsqueeze(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING)
    count = g.size(0, 2)
    rank = g.known[x].ndim + count
    return g.node("Unsqueeze", [x, g.integers(g.random.sample(range(-rank, 0), count))])


@onnx_maker("Transpose")
def transpose(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING)
    axes = list(range(g.known[x].ndim))
    g.random.shuffle(axes)
    return g.node("Transpose", [x], **({"perm": axes} if axes and g.coin(0.8) else {}))


@onnx_maker("Expand")
def expand(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING)
    shape = [g.size(1, 3) if d == 1 else g.choice([d, 1]) for d in g.known[x].shape]
    return g.node("Expand", [x, g.integers([*(g.size(1, 2) for _ in range(g.size(0, 1))), *shape])])


@onnx_maker("Concat")
def concat(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    axis = g.axis(x)
    shape = list(g.known[x].shape)
    operands = [x]
    for _ in range(g.size(0, 2)):
        shape[axis] = g.size(0, 3) if g.coin() else shape[axis]
        operands.append(g.like(shape, g.text(x)))
    g.random.shuffle(operands)
    return g.node("Concat", operands, axis=axis)


@onnx_maker("Split")
def split(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    axis = g.axis(x)
    extent = g.known[x].shape[axis]
    if g.coin() and extent:
        return g.node("Split", [x], outputs=(n := g.size(1, min(3, extent))), axis=axis, num_outputs=n)
    first = g.size(0, extent)
    return g.node("Split", [x, g.integers([first, extent - first])], outputs=2, axis=axis)


@onnx_maker("Slice")
def slice_(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    rank = g.known[x].ndim
    axes = g.random.sample(range(rank), g.size(1, rank))
    lists = [[g.random.randint(-9, 9) for _ in axes] for _ in range(2)]
    steps = [g.choice([1, 1, 2, 3, -1, -2]) for _ in axes]
    far = [g.choice([e, e, 2**31, -(2**31)]) for e in lists[1]]
    return g.node("Slice", [x, *map(g.integers, (lists[0], far, axes, steps))])


@onnx_maker("Pad")
def pad(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    mode = g.choice(["constant", "constant", "edge", "reflect", "wrap"])
    shape = g.known[x].shape
    if 0 in shape and mode != "constant":
        raise RefusedError("nothing to repeat")
    # onnxruntime takes reflections once only, the standard as often as needed.
    most = [max(0, min(3, d - 1)) if mode != "constant" else 3 for d in shape]
    pads = [g.size(0, m) if g.coin(0.6) else 0 for m in (*most, *most)]
    if mode == "constant" and g.coin(0.3):
        pads = [p if p else -min(1, d // 3) for p, d in zip(pads, (*shape, *shape))]
    value = [g.like((), g.text(x))] if mode == "constant" and g.coin() else []
    return g.node("Pad", [x, g.integers(pads), *value], mode=mode)


@onnx_maker("Tile")
def tile(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    return g.node("Tile", [x, g.integers([g.choice([1, 1, 2, 3]) for _ in g.known[x].shape])])


@onnx_maker("DepthToSpace", "SpaceToDepth")
def depth(g: OnnxGraph, op: str) -> Any:
    block = g.size(1, 3)
    channels, height, width = g.size(1, 2), g.size(1, 3), g.size(1, 3)
    shape = (1, channels * block**2, height, width)
    if op == "SpaceToDepth":
        shape = (1, channels, height * block, width * block)
    mode = {"mode": g.choice(["DCR", "CRD"])} if op == "DepthToSpace" else {}
    return g.node(op, [g.data(shape)], blocksize=block, **mode)


@onnx_maker("Shape", "Size")
def shape_of(g: OnnxGraph, op: str) -> Any:
    x = g.value(EVERYTHING)
    attributes = {}
    if op == "Shape" and g.coin():
        attributes = {"start": g.random.randint(-4, 4), "end": g.random.randint(-4, 4)}
    return g.node(op, [x], **attributes)


@onnx_maker("Trilu")
def trilu(g: OnnxGraph) -> Any:
    x = g.value(("f32", "f64", "i64", "i32"), low=2)
    offset = [g.integers(g.random.randint(-3, 3))] if g.coin(0.7) else []
    return g.node("Trilu", [x, *offset], upper=g.size(0, 1))


@onnx_maker("EyeLike")
def eye_like(g: OnnxGraph) -> Any:
    return g.node("EyeLike", [g.value(NUMBERS, rank=2)], k=g.random.randint(-2, 2))


@onnx_maker("Range")
def range_(g: OnnxGraph) -> Any:
    dtype = g.choice(["i64", "i32", "f32"])
    start, step = g.random.randint(-4, 4), g.choice([1, 2, -1])
    ends = (start, start + step * g.size(0, 6), step)
    return g.node("Range", [g.integers(v, dtype) for v in ends])


@onnx_maker("ConstantOfShape")
def constant_of_shape(g: OnnxGraph) -> Any:
    return g.node("ConstantOfShape", [g.integers(list(g.shape()))])


@onnx_maker("CenterCropPad")
def center_crop_pad(g: OnnxGraph) -> Any:
    x = g.value(("f32", "i32"), low=1)
    axes = g.random.sample(range(g.known[x].ndim), g.size(1, g.known[x].ndim))
    return g.node("CenterCropPad", [x, g.integers([g.size(1, 6) for _ in axes])], axes=axes)


@onnx_maker("ReverseSequence")
def reverse_sequence(g: OnnxGraph) -> Any:
    x = g.value(NUMBERS, low=2)
    time = g.size(0, 1)
    shape = g.known[x].shape
    if not shape[time]:
        raise RefusedError("no time")
    lengths = [g.size(1, shape[time]) for _ in range(shape[1 - time])]
    return g.node(
        "ReverseSequence", [x, g.integers(lengths, fixed=False)], time_axis=time, batch_axis=1 - time
    )


# Indexing --------------------------------------------------------------------------------


def _indices(g: OnnxGraph, shape: Sequence[int], extent: int) -> str:
    rng = np.random.default_rng(g.random.getrandbits(32))
    if not extent:
        raise RefusedError("nothing to index")
    values = rng.integers(-extent, extent, tuple(shape))
    return g.leaf(values.astype(np.int64 if g.coin() else np.int32))


from collections.abc import Sequence  # noqa: E402


@onnx_maker("Gather")
def gather(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    axis = g.axis(x)
    indices = _indices(g, g.choice([(), (1,), (2, 2), (3,)]), g.known[x].shape[axis])
    return g.node("Gather", [x, indices], axis=axis)


@onnx_maker("GatherElements")
def gather_elements(g: OnnxGraph) -> Any:
    x = g.value(EVERYTHING, low=1)
    axis = g.axis(x)
    shape = [g.size(1, d) if d and g.coin(0.3) else d for d in g.known[x].shape]
    shape[axis] = g.size(1, 4)
    return g.node("GatherElements", [x, _indices(g, shape, g.known[x].shape[axis])], axis=axis)


@onnx_maker("ScatterElements")
def scatter_elements(g: OnnxGraph) -> Any:
    x = g.value(NUMBERS, low=1)
    axis = g.axis(x)
    shape = [g.size(1, d) if d else 0 for d in g.known[x].shape]
    reduction = g.choice(["none", "add", "mul", "min", "max"])
    indices = _indices(g, shape, g.known[x].shape[axis])
    if reduction == "none":
        # Which of two updates of one element wins is left open: all of a line differ.
        table = np.indices(shape)[axis].astype(np.int64) if shape[axis] else np.zeros(shape, np.int64)
        indices = g.leaf(table)
    return g.node(
        "ScatterElements", [x, indices, g.like(shape, g.text(x))], axis=axis, reduction=reduction
    )


@onnx_maker("GatherND", "ScatterND")
def index_tuples(g: OnnxGraph, op: str) -> Any:
    x = g.value(NUMBERS, low=1)
    shape = g.known[x].shape
    if 0 in shape:
        raise RefusedError("nothing to index")
    width = g.size(1, len(shape))
    rng = np.random.default_rng(g.random.getrandbits(32))
    total = int(np.prod(shape[:width]))
    count = g.size(1, min(4, total))
    flat = rng.permutation(total)[:count]
    table = np.stack(np.unravel_index(flat, shape[:width]), -1).astype(np.int64)
    indices = g.leaf(table)
    if op == "GatherND":
        return g.node(op, [x, indices])
    updates = g.like((count, *shape[width:]), g.text(x))
    return g.node(op, [x, indices, updates], reduction=g.choice(["none", "add", "mul", "min", "max"]))


@onnx_maker("OneHot")
def one_hot(g: OnnxGraph) -> Any:
    depth = g.size(1, 5)
    indices = _indices(g, g.shape(g.size(0, 3)), depth)
    rank = g.known[indices].ndim
    values = g.data((2,), g.choice(["f32", "i64", "i32"]))
    return g.node("OneHot", [indices, g.integers(depth), values], axis=g.random.randint(-rank - 1, rank))


@onnx_maker("Compress")
def compress(g: OnnxGraph) -> Any:
    x = g.value(NUMBERS, low=1)
    axis = g.axis(x)
    keep = g.leaf(np.array([g.coin() for _ in range(g.known[x].shape[axis])], bool), fixed=True)
    return g.node("Compress", [x, keep], axis=axis)


@onnx_maker("NonZero")
def non_zero(g: OnnxGraph) -> Any:
    return g.node("NonZero", [g.leaf(g.known[g.value(("f32", "i32", "i64", "bool"), low=1)], fixed=True)])


# Reductions and searches -----------------------------------------------------------------


@onnx_maker(
    "ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2",
    "ReduceSumSquare",
)  # fmt: skip
def reduce(g: OnnxGraph, op: str) -> Any:
    x = g.value(("f32", "f64", "i32", "i64") if op not in ("ReduceL2",) else ("f32", "f64"))
    if 0 in g.known[x].shape:
        raise RefusedError("onnxruntime has its own idea of the maximum of nothing")
    if g.known[x].dtype.kind == "i" and np.abs(g.known[x].astype(float)).sum() > 1 << 30:
        raise RefusedError("onnxruntime goes through other types, where sums overflow otherwise")
    rank = g.known[x].ndim
    axes = g.random.sample(range(-rank, rank), g.size(0, rank)) if rank else []
    axes = list({a % rank: a for a in axes}.values())
    operands = [x, g.integers(axes)] if axes or g.coin() else [x]
    return g.node(op, operands, keepdims=g.size(0, 1), noop_with_empty_axes=g.size(0, 1))


@onnx_maker("ReduceLogSum", "ReduceLogSumExp")
def reduce_log(g: OnnxGraph, op: str) -> Any:
    x = g.uniform(g.shape(low=1), 0.1, 3)
    if 0 in g.known[x].shape:
        raise RefusedError("the logarithm of nothing")
    return g.node(op, [x, g.integers([g.axis(x)])], keepdims=g.size(0, 1))


@onnx_maker("ArgMax", "ArgMin")
def arg_reduce(g: OnnxGraph, op: str) -> Any:
    """Not of nothing: onnxruntime keeps the axis then, whatever keepdims says."""
    x = g.value(("f32", "f64", "i32", "u8", "i8"), low=1)
    if not g.known[x].size:
        raise RefusedError("nothing to search")
    return g.node(op, [x], axis=g.axis(x), keepdims=g.size(0, 1), select_last_index=g.size(0, 1))


@onnx_maker("CumSum", "CumProd")
def cumulative(g: OnnxGraph, op: str) -> Any:
    x = g.value(("f32", "f64", "i32", "i64"), low=1)
    return g.node(op, [x, g.integers(g.axis(x))], exclusive=g.size(0, 1), reverse=g.size(0, 1))


@onnx_maker("TopK")
def top_k(g: OnnxGraph) -> Any:
    x = g.value(("f32", "f64", "i32", "i64"), low=1)
    axis = g.axis(x)
    k = g.integers([g.size(0, g.known[x].shape[axis])])
    return g.node("TopK", [x, k], outputs=2, axis=axis, largest=g.size(0, 1))


@onnx_maker("Hardmax", "Softmax", "LogSoftmax")
def softmax(g: OnnxGraph, op: str) -> Any:
    x = g.value(("f32", "f64"), low=1)
    return g.node(op, [x], axis=g.axis(x))


@onnx_maker("LpNormalization")
def lp_normalization(g: OnnxGraph) -> Any:
    x = g.value(("f32", "f64"), low=1)
    return g.node("LpNormalization", [x], axis=g.axis(x), p=g.size(1, 2))


# Networks --------------------------------------------------------------------------------


def image(g: OnnxGraph, dtype: str = "f32", spatial: int | None = None, low: int = 1) -> str:
    count = spatial or g.choice([1, 2, 2, 2, 3])
    kind = DType.parse(dtype).numpy

    def fits(x: np.ndarray[Any, Any]) -> bool:
        return x.ndim == count + 2 and x.dtype == kind and x.size > 0

    found = g.pick(fits) if g.coin() else None
    extents = [g.random.randint(low, 7 if count < 3 else 5) for _ in range(count)]
    return found or g.data((g.size(1, 2), g.choice([1, 2, 3, 4, 6]), *extents), dtype)


def window(g: OnnxGraph, x: str) -> tuple[list[int], dict[str, Any]]:
    extents = g.known[x].shape[2:]
    pads = [g.choice([0, 0, 1, 2]) for _ in range(2 * len(extents))]
    kernel, dilations = [], []
    for i, extent in enumerate(extents):
        size, dilation = g.choice([1, 2, 3, 3]), g.choice([1, 1, 2])
        room = extent + pads[i] + pads[i + len(extents)]
        while size > 1 and (size - 1) * dilation + 1 > room:
            size, dilation = size - 1, 1
        kernel.append(size)
        dilations.append(dilation)
    strides = [g.choice([1, 1, 2, 3]) for _ in extents]
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations}
    auto = g.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]) if g.coin(0.15) else ""
    if auto:
        attributes["auto_pad"] = auto
        # onnxruntime refuses, or pads differently, dilated windows of SAME.
        attributes["dilations"] = [1] * len(extents)
    else:
        attributes["pads"] = pads
    return kernel, attributes


@onnx_maker("Conv")
def conv(g: OnnxGraph) -> Any:
    x = image(g)
    channels = g.known[x].shape[1]
    groups = g.choice([n for n in range(1, channels + 1) if channels % n == 0])
    out = groups * g.size(1, 3)
    kernel, attributes = window(g, x)
    w = g.data((out, channels // groups, *kernel))
    b = [g.data((out,))] if g.coin(0.4) else []
    return g.node("Conv", [x, w, *b], group=groups, **attributes)


@onnx_maker("ConvTranspose")
def conv_transpose(g: OnnxGraph) -> Any:
    x = image(g)
    channels, spatial = g.known[x].shape[1], g.known[x].ndim - 2
    groups = g.choice([n for n in range(1, channels + 1) if channels % n == 0])
    each = g.size(1, 3)
    kernel = [g.size(1, 3) for _ in range(spatial)]
    strides = [g.size(1, 3) for _ in range(spatial)]
    attributes: dict[str, Any] = {"strides": strides, "dilations": [g.size(1, 2) for _ in kernel]}
    attributes["pads"] = [g.choice([0, 0, 1]) for _ in range(2 * spatial)]
    if g.coin(0.4):
        attributes["output_padding"] = [g.random.randrange(s) for s in strides]
    w = g.data((channels, each, *kernel))
    b = [g.data((groups * each,))] if g.coin(0.4) else []
    return g.node("ConvTranspose", [x, w, *b], group=groups, **attributes)


@onnx_maker("MaxPool", "AveragePool", "LpPool")
def pool(g: OnnxGraph, op: str) -> Any:
    dtype = g.choice(["f32", "f32", "u8", "i8", "f64"]) if op == "MaxPool" else "f32"
    x = image(g, dtype)
    kernel, attributes = window(g, x)
    pads = attributes.get("pads", [])
    spatial = len(kernel)
    # A window wholly in the padding: onnxruntime refuses, or divides by 0.
    if any(pads[i] >= kernel[i] or pads[i + spatial] >= kernel[i] for i in range(spatial) if pads):
        raise RefusedError("a window may see nothing")
    if g.coin(0.3) and "auto_pad" not in attributes and op != "LpPool":
        attributes["ceil_mode"] = 1
    if op == "AveragePool":
        attributes["count_include_pad"] = g.size(0, 1)
        attributes["dilations"] = [1] * spatial
    if op == "LpPool":
        attributes["p"] = g.size(1, 3)
    return g.node(op, [x], kernel_shape=kernel, **attributes)


@onnx_maker("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(g: OnnxGraph, op: str) -> Any:
    return g.node(op, [image(g)])


@onnx_maker("BatchNormalization")
def batch_normalization(g: OnnxGraph) -> Any:
    x = image(g)
    shape = (g.known[x].shape[1],)
    variance = g.uniform(shape, 0.3, 2)
    parameters = [g.data(shape) for _ in range(3)]
    return g.node("BatchNormalization", [x, *parameters, variance], epsilon=g.choice([1e-5, 1e-3]))


@onnx_maker("InstanceNormalization")
def instance_normalization(g: OnnxGraph) -> Any:
    x = image(g)
    shape = (g.known[x].shape[1],)
    return g.node("InstanceNormalization", [x, g.data(shape), g.data(shape)], epsilon=1e-2)


@onnx_maker("GroupNormalization")
def group_normalization(g: OnnxGraph) -> Any:
    x = image(g)
    channels = g.known[x].shape[1]
    groups = g.choice([n for n in range(1, channels + 1) if channels % n == 0])
    parameters = [g.data((channels,)) for _ in range(2)]
    return g.node("GroupNormalization", [x, *parameters], num_groups=groups, epsilon=1e-2)


@onnx_maker("LayerNormalization", "RMSNormalization")
def layer_normalization(g: OnnxGraph, op: str) -> Any:
    x = g.value(("f32", "f64"), low=1)
    axis = g.axis(x)
    shape = g.known[x].shape[axis:]
    count = g.size(1, 2) if op == "LayerNormalization" else 1
    parameters = [g.like(shape, g.text(x)) for _ in range(count)]
    return g.node(op, [x, *parameters], axis=axis, epsilon=1e-2)


@onnx_maker("MeanVarianceNormalization")
def mean_variance(g: OnnxGraph) -> Any:
    return g.node("MeanVarianceNormalization", [image(g, spatial=2)])


@onnx_maker("LRN")
def lrn(g: OnnxGraph) -> Any:
    return g.node("LRN", [image(g, spatial=2)], size=g.choice([1, 3, 5]), alpha=g.choice([1e-4, 0.3]))


@onnx_maker("MatMul")
def matmul(g: OnnxGraph) -> Any:
    a = g.value(("f32", "f64", "i32"), low=1)
    shape = g.known[a].shape
    batch = [d if g.coin() else 1 for d in shape[:-2]][g.random.randrange(max(1, len(shape) - 1)) :]
    columns = [g.size(1, 9)] if batch or g.coin(0.8) else []
    return g.node("MatMul", [a, g.like((*batch, shape[-1], *columns), g.text(a))])


@onnx_maker("Gemm")
def gemm(g: OnnxGraph) -> Any:
    a = g.value(("f32", "f64"), rank=2)
    first, second = g.size(0, 1), g.size(0, 1)
    rows, depth = g.known[a].shape[::-1] if first else g.known[a].shape
    columns = g.size(1, 6)
    b = g.like((columns, depth) if second else (depth, columns), g.text(a))
    c = [g.like(g.choice([(rows, columns), (columns,), (1, columns), (rows, 1), ()]), g.text(a))]
    factors = {name: g.choice([0.5, 1.0, 2.0]) for name in ("alpha", "beta") if g.coin()}
    return g.node("Gemm", [a, b, *(c if g.coin(0.6) else [])], transA=first, transB=second, **factors)


@onnx_maker("MatMulInteger")
def matmul_integer(g: OnnxGraph) -> Any:
    rows, depth, columns = g.size(1, 4), g.size(1, 6), g.size(1, 6)
    a, b = g.data((rows, depth), g.choice(["u8", "i8"])), g.data((depth, columns), g.choice(["u8", "i8"]))
    points = [g.data((), g.text(a)), g.data((), g.text(b))][: g.size(0, 2)]
    return g.node("MatMulInteger", [a, b, *points])


@onnx_maker("ConvInteger")
def conv_integer(g: OnnxGraph) -> Any:
    x = image(g, "u8", spatial=2)
    kernel, attributes = window(g, x)
    w = g.data((g.size(1, 3), g.known[x].shape[1], *kernel), "u8")
    points = [g.data((), "u8"), g.data((), "u8")][: g.size(0, 2)]
    return g.node("ConvInteger", [x, w, *points], **attributes)


@onnx_maker("Einsum")
def einsum(g: OnnxGraph) -> Any:
    equation = g.choice(["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij,ij->", "i,j->ij", "bhid,bhjd->bhij", "ii->i"])
    sizes = {letter: g.size(1, 4) for letter in "bhijkd"}
    terms = equation.split("->")[0].split(",")
    return g.node("Einsum", [g.data([sizes[c] for c in t]) for t in terms], equation=equation)


@onnx_maker("Det")
def det(g: OnnxGraph) -> Any:
    n = g.size(1, 4)
    return g.node("Det", [g.data((*g.shape(g.size(0, 1)), n, n), g.choice(["f32", "f64"]))])


@onnx_maker("Resize")
def resize(g: OnnxGraph) -> Any:
    """Not align_corners with scales: onnxruntime's results of a fractional size are its own."""
    x = image(g, g.choice(["f32", "f32", "u8", "i32"]), spatial=2)
    mode = g.choice(["nearest", "linear", "cubic"])
    if mode != "nearest" and g.known[x].dtype != np.float32:
        raise RefusedError("onnxruntime rounds integers in its own way")
    modes = ["half_pixel", "pytorch_half_pixel", "asymmetric", "half_pixel_symmetric"]
    shape = g.known[x].shape
    sizes = [*shape[:2], *(g.size(1, 9) for _ in shape[2:])]
    by_size = g.coin()
    if by_size:
        modes.append("align_corners")
        operands = [x, "", "", g.integers(sizes)]
    else:
        scales = np.array([1, 1, *(g.choice([0.5, 1, 2, 3, 1.5]) for _ in shape[2:])], np.float32)
        operands = [x, "", g.leaf(scales, fixed=True)]
        if 0 in np.floor(shape * scales):
            raise RefusedError("nothing is left")
    attributes: dict[str, Any] = {"coordinate_transformation_mode": g.choice(modes), "mode": mode}
    if mode == "nearest":
        attributes["nearest_mode"] = g.choice(
            ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        )
    if mode == "cubic":
        attributes["cubic_coeff_a"] = g.choice([-0.75, -0.5])
        attributes["exclude_outside"] = g.size(0, 1)
    return g.node("Resize", operands, **attributes)


@onnx_maker("GridSample")
def grid_sample(g: OnnxGraph) -> Any:
    """Not cubic with border or reflection: onnxruntime moves single elements, not positions."""
    x = image(g, spatial=2)
    mode = g.choice(["nearest", "linear", "cubic"])
    padding = "zeros" if mode == "cubic" else g.choice(["zeros", "border", "reflection"])
    grid = g.uniform((g.known[x].shape[0], g.size(), g.size(), 2), -1.5, 1.5)
    return g.node(
        "GridSample", [x, grid], mode=mode, padding_mode=padding, align_corners=g.size(0, 1)
    )


@onnx_maker("AffineGrid")
def affine_grid(g: OnnxGraph) -> Any:
    """Not of size 1: the standard divides by 0 there when corners are aligned."""
    n = g.size(1, 2)
    size = g.integers([n, 1, g.size(2), g.size(2)])
    return g.node("AffineGrid", [g.data((n, 2, 3)), size], align_corners=g.size(0, 1))


@onnx_maker("RoiAlign")
def roi_align(g: OnnxGraph) -> Any:
    """Mode avg only: onnxruntime compares samples where ONNX compares weighted elements."""
    x = image(g, spatial=2)
    count = g.size(1, 3)
    rng = np.random.default_rng(g.random.getrandbits(32))
    corners = rng.uniform(0, 4, (count, 2))
    boxes = g.leaf(np.concatenate([corners, corners + rng.uniform(1, 4, (count, 2))], 1).astype(np.float32))
    batch = g.leaf(rng.integers(0, g.known[x].shape[0], count))
    return g.node(
        "RoiAlign",
        [x, boxes, batch],
        output_height=g.size(1, 3),
        output_width=g.size(1, 3),
        sampling_ratio=g.size(0, 2),
        spatial_scale=g.choice([1.0, 0.5]),
        coordinate_transformation_mode=g.choice(["half_pixel", "output_half_pixel"]),
    )


@onnx_maker("LSTM", "GRU", "RNN")
def recurrent(g: OnnxGraph, op: str) -> Any:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    time, batch, inputs, hidden = g.size(1, 4), g.size(1, 3), g.size(1, 4), g.size(1, 4)
    direction = g.choice(["forward", "reverse", "bidirectional"])
    directions = 2 if direction == "bidirectional" else 1
    operands = [
        g.like((time, batch, inputs), "f32"),
        g.data((directions, gates * hidden, inputs), scale=1),
        g.data((directions, gates * hidden, hidden), scale=1),
        g.data((directions, 2 * gates * hidden), scale=1) if g.coin() else "",
        g.integers([g.size(1, time) for _ in range(batch)], "i32", fixed=False) if g.coin(0.3) else "",
        g.data((directions, batch, hidden), scale=1) if g.coin(0.4) else "",
    ]
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if op == "LSTM":
        operands.append(g.data((directions, batch, hidden), scale=1) if g.coin(0.4) else "")
        operands.append(g.data((directions, 3 * hidden), scale=1) if g.coin(0.3) else "")
    if op == "GRU":
        attributes["linear_before_reset"] = g.size(0, 1)
    return g.node(op, operands, outputs=3 if op == "LSTM" else 2, **attributes)


@onnx_maker("QuantizeLinear")
def quantize(g: OnnxGraph) -> Any:
    x = g.value(["f32"])
    scale = g.leaf(np.float32(g.choice([0.05, 0.1, 0.25])), fixed=True)
    return g.node("QuantizeLinear", [x, scale, g.leaf(np.array(g.size(0, 9), g.choice([np.uint8, np.int8])), fixed=True)])


@onnx_maker("DequantizeLinear")
def dequantize(g: OnnxGraph) -> Any:
    x = g.value(["u8", "i8"], low=1)
    axis = g.axis(x)
    count = g.known[x].shape[axis]
    shape = (count,) if g.coin() and count else ()
    scale = g.uniform(shape, 0.05, 0.5)
    point = g.data(shape, g.text(x))
    g.fixed |= {scale, point}
    return g.node("DequantizeLinear", [x, scale, point], axis=axis)


@onnx_maker("DynamicQuantizeLinear")
def dynamic_quantize(g: OnnxGraph) -> Any:
    x = g.value(["f32"])
    if not g.known[x].size:
        raise RefusedError("nothing to quantize")
    return g.node("DynamicQuantizeLinear", [x], outputs=3)


@onnx_maker("DFT")
def dft(g: OnnxGraph) -> Any:
    shape = (g.size(1, 2), g.choice([1, 2, 3, 4, 5, 8, 9]), g.size(1, 2))
    return g.node("DFT", [g.data(shape), "", g.integers(1)], inverse=g.size(0, 1) if shape[-1] == 2 else 0)


@onnx_maker("HannWindow", "HammingWindow", "BlackmanWindow")
def window_function(g: OnnxGraph, op: str) -> Any:
    return g.node(op, [g.integers(g.size(3, 9))], periodic=g.size(0, 1))


@onnx_maker("Attention")
def attention(g: OnnxGraph) -> Any:
    batch, heads, kv_heads = g.size(1, 2), g.choice([1, 2, 4]), 1
    kv_heads = g.choice([n for n in (1, 2, 4) if heads % n == 0])
    rows, columns, depth, width = g.size(1, 4), g.size(1, 4), g.choice([2, 4]), g.choice([2, 3])
    q = g.data((batch, heads, rows, depth))
    k = g.data((batch, kv_heads, columns, depth))
    v = g.data((batch, kv_heads, columns, width))
    mask = [g.data((rows, columns))] if g.coin(0.4) else []
    attributes: dict[str, Any] = {"is_causal": g.size(0, 1)}
    if g.coin(0.3):
        attributes["softcap"] = 2.0
    return g.node("Attention", [q, k, v, *mask], **attributes)


@onnx_maker("RotaryEmbedding")
def rotary(g: OnnxGraph) -> Any:
    batch, heads, length, size = g.size(1, 2), g.size(1, 3), g.size(1, 4), g.choice([2, 4, 6])
    x = g.data((batch, heads, length, size))
    tables = [g.data((batch, length, size // 2)) for _ in range(2)]
    return g.node("RotaryEmbedding", [x, *tables], interleaved=g.size(0, 1))
