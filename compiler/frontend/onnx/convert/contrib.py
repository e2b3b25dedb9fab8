"""Operators of com.microsoft that fuse standard ones: what exporters and optimizers emit.

Each is taken apart again; burnish's own passes fuse what is worth it on the target.
"""

from __future__ import annotations

import math

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .conv import convolve
from .matmul import multiply
from .registry import converter
from .tensor import triangle

MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operators."""

converter("Trilu", domain=MICROSOFT)(triangle)

_ACTIVATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "Clip": ("math.clamp", {"low": -math.inf, "high": math.inf}),
    "HardSigmoid": ("math.hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": ("math.leaky_relu", {"alpha": 0.01}),
    "Relu": ("math.relu", {}),
    "Sigmoid": ("math.sigmoid", {}),
    "Tanh": ("math.tanh", {}),
}
"""Activations that fused operators name: the op, its parameters in order and their defaults."""


def _activated(node: NodeContext, x: Value, parameters: tuple[float, ...]) -> Value:
    """``x`` after the node's activation, if it has one."""
    name = node.string("activation", "")
    if not name:
        return x
    if name not in _ACTIVATIONS:
        node.refuse(f"activation {clip(repr(name))}")
    op, defaults = _ACTIVATIONS[name]
    given = dict(zip(defaults, parameters, strict=False))
    return node.op(op, x, **{**defaults, **given})


@converter("FusedConv", domain=MICROSOFT)
def _fused_conv(node: NodeContext) -> Value:
    y = convolve(node, node.input(0), node.input(1), node.optional(2))
    if node.has(3):
        y = node.op("math.add", y, node.input(3))
    return _activated(node, y, node.numbers("activation_params") or ())


@converter("FusedGemm", domain=MICROSOFT)
def _fused_gemm(node: NodeContext) -> Value:
    y = _scaled(node, _gemm(node), node.number("alpha", 1.0))
    if node.has(2):
        y = node.op("math.add", y, _scaled(node, node.input(2), node.number("beta", 1.0)))
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    given = [node.number(name, 0.0) for name in names if node.attribute(name) is not None]
    return _activated(node, y, tuple(given))


def _gemm(node: NodeContext) -> Value:
    transposed = {"transpose_a": node.flag("transA"), "transpose_b": node.flag("transB")}
    return node.op("nn.matmul", node.input(0), node.input(1), **transposed)


def _scaled(node: NodeContext, x: Value, factor: float) -> Value:
    if factor == 1.0:
        return x
    return node.op("math.mul", x, node.scalar(factor, x.type.dtype))


@converter("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
def _fused_matmul(node: NodeContext) -> Value:
    """Either operand may have its last two axes exchanged, or its first axis moved in."""
    operands = []
    for index, letter in enumerate("AB"):
        x = node.input(index)
        rank = x.type.rank
        order = list(range(rank))
        if node.flag(f"transBatch{letter}") and rank > 2:
            order = [*order[1:-1], 0, rank - 1]
        if node.flag(f"trans{letter}") and rank > 1:
            order[-2:] = reversed(order[-2:])
        operands.append(node.transpose(x, order))
    return _scaled(node, multiply(node, *operands), node.number("alpha", 1.0))


# Activations -------------------------------------------------------------------------


@converter("Gelu", "BiasGelu", domain=MICROSOFT)
def _gelu(node: NodeContext) -> Value:
    return node.op("math.gelu", _biased(node))


@converter("FastGelu", domain=MICROSOFT)
def _fast_gelu(node: NodeContext) -> Value:
    return node.op("math.gelu_tanh", _biased(node))


def _biased(node: NodeContext) -> Value:
    x, bias = node.input(0), node.optional(1)
    return x if bias is None else node.op("math.add", x, bias)


@converter("QuickGelu", domain=MICROSOFT)
def _quick_gelu(node: NodeContext) -> Value:
    x = node.input(0)
    gate = node.op("math.sigmoid", _scaled(node, x, node.number("alpha", 1.702)))
    return node.op("math.mul", x, gate)


# Normalizations ----------------------------------------------------------------------


@converter("SkipLayerNormalization", domain=MICROSOFT)
def _skip_layer_norm(node: NodeContext) -> list[Value | None]:
    total = _with_skip(node, bias=4)
    epsilon = node.number("epsilon", 1e-12)
    _refuse_statistics(node)
    axis = total.type.rank - 1
    y = node.op("nn.layer_norm", total, node.input(2), node.optional(3), axis=axis, epsilon=epsilon)
    return [y, None, None, total]


@converter("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def _skip_rms_norm(node: NodeContext) -> list[Value | None]:
    total = _with_skip(node, bias=3)
    epsilon = node.number("epsilon", 1e-12)
    _refuse_statistics(node)
    y = node.op("nn.rms_norm", total, node.input(2), axis=total.type.rank - 1, epsilon=epsilon)
    return [y, None, None, total]


def _with_skip(node: NodeContext, bias: int) -> Value:
    """Both branches and the bias added up."""
    total = node.op("math.add", node.input(0), node.input(1))
    return node.op("math.add", total, node.input(bias)) if node.has(bias) else total


def _refuse_statistics(node: NodeContext) -> None:
    if node.wants(1) or node.wants(2):
        node.refuse("its outputs for training (mean, inverse deviation) are used")


def _rms_norm(node: NodeContext) -> list[Value | None]:
    x, scale = node.input(0), node.input(1)
    if node.wants(1):
        node.refuse("its output for training (inverse deviation) is used")
    axis = node.axis(node.integer("axis", -1), x.type.rank)
    epsilon = node.number("epsilon", 1e-5)
    return [node.op("nn.rms_norm", x, scale, axis=axis, epsilon=epsilon), None]


# onnxruntime's optimizer writes it without a domain, as if it were a standard operator.
for _domain in (MICROSOFT, ""):
    converter("SimplifiedLayerNormalization", domain=_domain)(_rms_norm)


@converter("EmbedLayerNormalization", domain=MICROSOFT)
def _embedding(node: NodeContext) -> list[Value | None]:
    """Embeddings of words, positions and segments, added up and normalized."""
    words = node.input(0)
    batch, length = words.type.shape
    total = node.op("tensor.gather", node.input(2), words, axis=0)
    positions = node.optional(8)
    if positions is None:
        positions = node.arange(length, 1, 2)
    total = node.op("math.add", total, node.op("tensor.gather", node.input(3), positions, axis=0))
    if node.has(1) and node.has(4):
        segments = node.op("tensor.gather", node.input(4), node.input(1), axis=0)
        total = node.op("math.add", total, segments)
    epsilon = node.number("epsilon", 1e-12)
    y = node.op("nn.layer_norm", total, node.input(5), node.input(6), axis=2, epsilon=epsilon)
    if node.has(7):
        lengths = node.reduce(node.cast(node.input(7), DType.I32), "sum", (1,), keep_dims=False)
    else:
        lengths = node.broadcast(node.scalar(0, DType.I32), (batch,))
    return [y, lengths, total]


# Positions ---------------------------------------------------------------------------


@converter("RotaryEmbedding", domain=MICROSOFT)
def _rotary_embedding(node: NodeContext) -> Value:
    """Pairs of features turned by angles that grow with the position."""
    x, positions, cos, sin = (node.input(index) for index in range(4))
    if node.flag("is_packed_batching"):
        node.refuse("packed batches")
    if x.type.rank not in (3, 4):
        raise ModelError(f"its input is {x.type}, not of rank 3 or 4")
    (half,) = node.static(cos.type.shape[1:], "width of the cache")
    width, heads = node.integer("rotary_embedding_dim", 0), 0
    if x.type.rank == 3:
        heads = node.integer("num_heads", 0)
        if width and not heads:
            raise ModelError("rotary_embedding_dim needs num_heads")
        heads = heads or node.static(x.type.shape[2:], "width")[0] // (2 * half)
    if width and width != 2 * half:
        raise ModelError(f"rotary_embedding_dim is {width}, but the cache has {half} columns")
    batch, length = x.type.shape[0], x.type.shape[-2]
    if positions.type.elements == 1 and positions.type.rank == 1:
        positions = node.op("math.add", node.arange(length, 1, 2), positions)
        positions = node.broadcast(positions, (batch, length))
    interleaved = node.flag("interleaved")
    attributes = {"interleaved": interleaved, "heads": heads}
    y = node.op("nn.rotary_embedding", x, cos, sin, positions, **attributes)
    return _scaled(node, y, node.number("scale", 1.0))
