"""Makers of ONNX nodes, one per operator, over the newest operator set.

Where onnxruntime departs from the standard, or leaves something to the processor, a maker keeps
away from it and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from burnish.ir import DType

from .onnx_graphs import FLOATS, INTEGERS, OnnxGraph, RefusedError, onnx_maker

NUMBERS = (*FLOATS, *INTEGERS)
EVERYTHING = (*NUMBERS, "bool")
SIGNED = (*FLOATS, "i32", "i64", "i8", "i16")

# Elementwise -----------------------------------------------------------------------------


SINGLE = {"Shrink", "Gelu", "HardSwish"}
"""Of f64 onnxruntime computes them in f32, or with constants in it."""


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
    return g.node(op, [g.value(("f32",) if op in SINGLE else FLOATS)], **attributes)


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
    bounds = [
        g.uniform((), low, high, g.text(x)) if g.coin(0.7) else "" for low, high in ((0, 2), (2, 5))
    ]
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
        return g.node(
            "Split", [x], outputs=(n := g.size(1, min(3, extent))), axis=axis, num_outputs=n
        )
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
        "ReverseSequence",
        [x, g.integers(lengths, fixed=False)],
        time_axis=time,
        batch_axis=1 - time,
    )


# Indexing --------------------------------------------------------------------------------


def _indices(g: OnnxGraph, shape: Sequence[int], extent: int) -> str:
    rng = np.random.default_rng(g.random.getrandbits(32))
    if not extent:
        raise RefusedError("nothing to index")
    values = rng.integers(-extent, extent, tuple(shape))
    return g.leaf(values.astype(np.int64 if g.coin() else np.int32))


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
        table = (
            np.indices(shape)[axis].astype(np.int64) if shape[axis] else np.zeros(shape, np.int64)
        )
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
    return g.node(
        op, [x, indices, updates], reduction=g.choice(["none", "add", "mul", "min", "max"])
    )


@onnx_maker("OneHot")
def one_hot(g: OnnxGraph) -> Any:
    depth = g.size(1, 5)
    indices = _indices(g, g.shape(g.size(0, 3)), depth)
    rank = g.known[indices].ndim
    values = g.data((2,), g.choice(["f32", "i64", "i32"]))
    return g.node(
        "OneHot", [indices, g.integers(depth), values], axis=g.random.randint(-rank - 1, rank)
    )


@onnx_maker("Compress")
def compress(g: OnnxGraph) -> Any:
    x = g.value(NUMBERS, low=1)
    axis = g.axis(x)
    keep = g.leaf(np.array([g.coin() for _ in range(g.known[x].shape[axis])], bool), fixed=True)
    return g.node("Compress", [x, keep], axis=axis)


@onnx_maker("NonZero")
def non_zero(g: OnnxGraph) -> Any:
    return g.node(
        "NonZero", [g.leaf(g.known[g.value(("f32", "i32", "i64", "bool"), low=1)], fixed=True)]
    )


# Reductions and searches -----------------------------------------------------------------


@onnx_maker(
    "ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2",
    "ReduceSumSquare",
)  # fmt: skip
def reduce(g: OnnxGraph, op: str) -> Any:
    x = g.value(
        ("f32", "f64", "i32", "i64") if op not in ("ReduceL2", "ReduceProd") else ("f32", "f64")
    )
    if 0 in g.known[x].shape:
        raise RefusedError("onnxruntime has its own idea of the maximum of nothing")
    power = 2 if op == "ReduceSumSquare" else 1
    if g.known[x].dtype.kind == "i" and (np.abs(g.known[x].astype(float)) ** power).sum() > 1 << 30:
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
    if op == "Hardmax" and not g.known[x].size:
        raise RefusedError("nothing has no maximum")
    return g.node(op, [x], axis=g.axis(x))


@onnx_maker("LpNormalization")
def lp_normalization(g: OnnxGraph) -> Any:
    x = g.value(("f32", "f64"), low=1)
    return g.node("LpNormalization", [x], axis=g.axis(x), p=g.size(1, 2))
