"""Random numbers, drawn while the model is imported.

A compiled model is a function: it gives the same result whenever it runs on the same inputs.  So
its random numbers are constants.  They come from SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast
splittable pseudorandom number generators", 2014), by element: number i of a stream is the mixed
``state + (i + 1) * gamma``.  The attribute ``seed`` fixes the stream; without one the name of the
node's output does, so that nodes differ.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from burnish.ir import DType, TensorType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from ..tensors import Array
from .registry import converter

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def splitmix64(seed: int, count: int) -> Array:
    """The first ``count`` numbers, u64, of the generator in the state ``seed``."""
    with np.errstate(over="ignore"):
        counters = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(seed) + counters * _GAMMA
        for shift, factor in _MIXERS:
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _uniform(node: NodeContext, count: int) -> Array:
    """Numbers in [0, 1), f64, of the node's stream."""
    node.table(count)  # bounds what one model may ask for
    if node.attribute("seed") is None:
        seed = zlib.crc32(node.node.outputs[0].encode())
    else:
        (seed,) = struct.unpack("<I", struct.pack("<f", node.number("seed")))
    # Mixed once, so that similar seeds do not give overlapping streams.
    state = int(splitmix64(seed, 1)[0])
    return np.asarray((splitmix64(state, count) >> np.uint64(11)) * 2.0**-53)


def _normal(node: NodeContext, count: int) -> Array:
    """Numbers of the standard normal distribution, f64, by Box and Muller's transform."""
    pairs = _uniform(node, 2 * count).reshape(count, 2)
    radius = np.sqrt(-2 * np.log1p(-pairs[:, 0]))
    return np.asarray(radius * np.cos(2 * np.pi * pairs[:, 1]))


def _count(node: NodeContext, type_: TensorType) -> int:
    return node.static([dimension.product(type_.shape)], "number of elements")[0]


@converter("RandomUniform", "RandomUniformLike", "RandomNormal", "RandomNormalLike")
def _random(node: NodeContext) -> Value:
    default = DType.F32
    if node.node.op_type.endswith("Like"):
        like = node.input(0).type
        shape, default = like.shape, like.dtype
    else:
        shape = node.integers("shape") or ()
    if any(isinstance(dim, int) and dim < 0 for dim in shape):
        raise ModelError(f"attribute shape is {list(map(str, shape))}")
    type_ = TensorType(tuple(shape), node.dtype("dtype", default))
    if not type_.dtype.is_float:
        node.refuse(f"random numbers of type {type_.dtype}")
    count = _count(node, type_)
    if node.node.op_type.startswith("RandomNormal"):
        numbers = _normal(node, count) * node.number("scale", 1.0) + node.number("mean", 0.0)
    else:
        low, high = node.number("low", 0.0), node.number("high", 1.0)
        numbers = low + (high - low) * _uniform(node, count)
    sizes = node.static(type_.shape, "shape")
    return node.constant(numbers.astype(type_.dtype.numpy).reshape(sizes))


@converter("Bernoulli", since=15)
def _bernoulli(node: NodeContext) -> Value:
    """1 with the given probabilities, else 0."""
    p = node.input(0)
    sizes = node.static(p.type.shape, "shape")
    drawn = _uniform(node, _count(node, p.type)).reshape(sizes)
    hit = node.op("math.less", node.constant(drawn), node.cast(p, DType.F64))
    return node.cast(hit, node.dtype("dtype", p.type.dtype))


@converter("Multinomial", since=7)
def _multinomial(node: NodeContext) -> Value:
    """Classes drawn with probabilities given as logarithms, not normalized."""
    x, samples = node.cast(node.input(0), DType.F64), node.integer("sample_size", 1)
    if x.type.rank != 2 or samples < 0:
        raise ModelError(f"{samples} samples of {x.type}")
    rows, classes = node.static(x.type.shape, "shape")
    drawn = node.constant(_uniform(node, rows * samples).reshape(rows, samples, 1))
    weights = node.op("nn.softmax", x, axis=1)
    limits = node.op("tensor.cumulative_sum", weights, axis=1, exclusive=False, reverse=False)
    passed = node.op("math.less_equal", node.reshape(limits, (rows, 1, classes)), drawn)
    counts = node.reduce(node.cast(passed, DType.I64), "sum", (2,), keep_dims=False)
    # The last limit may round to less than 1.
    chosen = node.op("math.min", counts, node.scalar(max(0, classes - 1), DType.I64))
    return node.cast(chosen, node.dtype("dtype", DType.I32))
