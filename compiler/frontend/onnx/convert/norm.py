"""Normalizations."""

from __future__ import annotations

from burnish.ir import DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .pool import p_norm
from .registry import converter


@converter("BatchNormalization")
def _batch_norm(node: NodeContext) -> list[Value | None]:
    """Inference; the statistics that training would give are refused."""
    if node.flag("training_mode") and node.version >= 14:
        node.refuse("training mode")
    if any(node.wants(output) for output in range(1, len(node.node.outputs))):
        node.refuse("outputs of training are used")
    if not node.flag("spatial", True):
        node.refuse("spatial = 0")
    x, parameters = node.input(0), [node.input(index) for index in range(1, 5)]
    dtype = x.type.dtype
    parameters = [node.cast(value, dtype) for value in parameters]
    shape = x.type.shape
    if x.type.rank == 1:  # one channel
        x = node.reshape(x, (*shape, 1))
    y = node.op("nn.batch_norm", x, *parameters, epsilon=node.number("epsilon", 1e-5))
    return [node.reshape(y, shape)]


@converter("InstanceNormalization")
def _instance_norm(node: NodeContext) -> Value:
    x, scale, bias = node.input(0), node.input(1), node.input(2)
    channels = node.static(scale.type.shape, "number of channels")
    return node.op(
        "nn.group_norm",
        x,
        scale,
        bias,
        groups=channels[0] if channels else 1,
        epsilon=node.number("epsilon", 1e-5),
    )


@converter("GroupNormalization", since=18)
def _group_norm(node: NodeContext) -> Value:
    """In version 18 scale and bias are per group, later per channel."""
    x, parameters = node.input(0), [node.input(1), node.input(2)]
    groups = node.integer("num_groups")
    if node.version < 21 and x.type.rank > 1:
        size = dimension.floordiv(x.type.shape[1], groups)
        parameters = [
            node.reshape(
                node.broadcast(node.reshape(value, (groups, 1)), (groups, size)),
                (groups * size,),
            )
            for value in parameters
        ]
    work = _stash_dtype(node, x.type.dtype)
    operands = [node.cast(value, work) for value in (x, *parameters)]
    epsilon = node.number("epsilon", 1e-5)
    y = node.op("nn.group_norm", *operands, groups=groups, epsilon=epsilon)
    return node.cast(y, x.type.dtype)


def _stash_dtype(node: NodeContext, dtype: DType) -> DType:
    """The type the statistics are computed in: narrow floats compute in f32 anyway."""
    stash = node.dtype("stash_type", DType.F32)
    return stash if stash.is_float and stash.bits > dtype.compute.bits else dtype


@converter("LayerNormalization")
def _layer_norm(node: NodeContext) -> list[Value | None]:
    x, scale, bias = node.input(0), node.input(1), node.optional(2)
    axis = node.axis(node.integer("axis", -1), x.type.rank)
    epsilon = node.number("epsilon", 1e-5)
    y = node.op("nn.layer_norm", x, scale, bias, axis=axis, epsilon=epsilon)
    if not (node.wants(1) or node.wants(2)):
        return [y, None, None]
    axes = range(axis, x.type.rank)
    wide = node.cast(x, node.dtype("stash_type", DType.F32))
    mean = node.reduce(wide, "mean", axes)
    centered = node.op("math.sub", wide, mean)
    variance = node.reduce(node.op("math.mul", centered, centered), "mean", axes)
    shifted = node.op("math.add", variance, node.scalar(epsilon, variance.type.dtype))
    return [y, mean, node.op("math.reciprocal", node.op("math.sqrt", shifted))]


@converter("RMSNormalization", since=23)
def _rms_norm(node: NodeContext) -> Value:
    x, scale = node.input(0), node.input(1)
    axis = node.axis(node.integer("axis", -1), x.type.rank)
    return node.op("nn.rms_norm", x, scale, axis=axis, epsilon=node.number("epsilon", 1e-5))


@converter("MeanVarianceNormalization", since=9)
def _mean_variance_norm(node: NodeContext) -> Value:
    x = node.input(0)
    axes = node.axes(node.integers("axes") or (0, 2, 3), x.type.rank)
    centered = node.op("math.sub", x, node.reduce(x, "mean", axes))
    variance = node.reduce(node.op("math.mul", centered, centered), "mean", axes)
    deviation = node.op("math.sqrt", variance)
    # 1e-9 as in the operator's definition, so that a constant input gives zeros.
    divisor = node.op("math.add", deviation, node.scalar(1e-9, x.type.dtype))
    return node.op("math.div", centered, divisor)


@converter("LpNormalization")
def _lp_norm(node: NodeContext) -> Value:
    """A vector of zeros stays one."""
    x, p = node.input(0), node.integer("p", 2)
    if p not in (1, 2):
        raise ModelError(f"attribute p is {p}, not 1 or 2")
    axis = node.axis(node.integer("axis", -1), x.type.rank)
    norm = p_norm(node, x, p, (axis,))
    dtype = x.type.dtype
    is_zero = node.op("math.equal", norm, node.scalar(0, dtype))
    divisor = node.op("math.select", is_zero, node.scalar(1, dtype), norm)
    return node.op("math.div", x, divisor)


@converter("LRN")
def _local_response_norm(node: NodeContext) -> Value:
    return node.op(
        "nn.lrn",
        node.input(0),
        size=node.integer("size"),
        alpha=node.number("alpha", 1e-4),
        beta=node.number("beta", 0.75),
        bias=node.number("bias", 1.0),
    )
