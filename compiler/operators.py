"""What a model of ONNX's test suite is about: its operators, its element types, its tier.

Tier 1 is what exported inference models contain; tier 2 every other standard operator on tensors,
and any operator on small or rare element types; tier 3 strings, sequences, optionals, training,
random numbers, preview operators and ``ai.onnx.ml``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from .frontend.onnx.tensors import ELEMENT_TYPES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TIER_1 = _words(
    """
    Abs Add And ArgMax ArgMin Atan Attention AveragePool BatchNormalization Cast CastLike Ceil
    Celu Clip Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos CumSum
    DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp
    Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish
    Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less
    LessOrEqual Log LogSoftmax LpNormalization MatMul MatMulInteger Max MaxPool Mean
    MeanVarianceNormalization Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow QLinearConv
    QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
    Reshape Resize ReverseSequence RotaryEmbedding Round ScatterElements ScatterND Selu Shape
    Sigmoid Sign Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum
    Swish Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
)
TIER_2 = _words(
    """
    Acos Acosh AffineGrid Asin Asinh Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr
    BitwiseXor BlackmanWindow CausalConvWithState CenterCropPad Col2Im Compress Cosh CumProd DFT
    DeformConv Det GlobalLpPool HammingWindow HannWindow Hardmax If LinearAttention Loop LpPool
    MaxRoiPool MaxUnpool MelWeightMatrix NonMaxSuppression NonZero ReduceLogSum RoiAlign STFT Scan
    Scatter Shrink Sinh SwiGLU Tan TensorScatter Unique
"""
)
RARE_TYPES = _words(
    """
    BFLOAT16 COMPLEX64 COMPLEX128 FLOAT4E2M1 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2
    FLOAT8E5M2FNUZ FLOAT8E8M0 INT2 INT4 UINT2 UINT4
    """
)


def full_name(domain: str, op_type: str) -> str:
    """An operator's name, with its domain unless that is the standard one."""
    return f"{domain}.{op_type}" if domain not in ("", "ai.onnx") else op_type


@dataclass(frozen=True)
class Profile:
    """What a model consists of, functions and nested graphs included.

    Attributes:
        types: for every operator, the element types it reads from the model's inputs and
            writes to its outputs, as ONNX names them.
        tier: 1, 2 or 3.
    """

    types: dict[str, frozenset[str]]
    tier: int

    @property
    def operators(self) -> frozenset[str]:
        """All operators, by full name."""
        return frozenset(self.types)


def profile(model: onnx.ModelProto) -> Profile:
    """What ``model`` consists of."""
    outer = {value.name: _element(value.type) for value in _signature(model.graph)}
    types: dict[str, set[str]] = {}
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node]
    for node in nodes + [node for function in model.functions for node in function.node]:
        touched = {outer.get(name, "") for name in (*node.input, *node.output)} - {""}
        types.setdefault(full_name(node.domain, node.op_type), set()).update(touched)
    local = {full_name(function.domain, function.name) for function in model.functions}
    for name in local:
        types.pop(name, None)
    values = [value for graph in all_graphs(model.graph) for value in _signature(graph)]
    tier = max((_tier_of_type(value.type) for value in values), default=1)
    if any(map(_trains, nodes)):
        tier = 3
    return Profile(
        {name: frozenset(found) for name, found in types.items()},
        max([tier, *(operator_tier(name) for name in types)]),
    )


def operator_tier(name: str) -> int:
    """The tier of an operator by its full name."""
    return 1 if name in TIER_1 else 2 if name in TIER_2 else 3


def _tier_of_type(type_: onnx.TypeProto) -> int:
    if type_.WhichOneof("value") not in (None, "tensor_type"):
        return 3
    element = _element(type_)
    return 3 if element == "STRING" else 2 if element in RARE_TYPES else 1


def _trains(node: onnx.NodeProto) -> bool:
    """Whether a node has another meaning in training, and asks for it."""
    if node.op_type == "Dropout":
        return len(node.input) > 2 and bool(node.input[2])
    return any(a.name == "training_mode" and a.i for a in node.attribute)


def _element(type_: onnx.TypeProto) -> str:
    row = ELEMENT_TYPES.get(type_.tensor_type.elem_type)
    return row.name if row is not None else ""


def _signature(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    return [*graph.input, *graph.output]


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """``graph`` and all that are nested in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_graphs(attribute.g)
            for inner in attribute.graphs:
                yield from all_graphs(inner)
