"""What ONNX says an op case computes: the case as an ONNX graph, run by onnxruntime.

``onnx.reference`` runs what onnxruntime has no kernel for.  :data:`EXPORTS` says for each op
which ONNX node(s) mean the same; it is written from the ONNX specification, not from burnish's
frontend or exporter, so that the definitions of ops are checked by something independent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from op_cases import OpCase

from burnish import ir

OPSET = 23


class Graph:
    """An ONNX graph under construction; operands of the case are named x0, x1, ..."""

    def __init__(self, case: OpCase) -> None:
        self.case = case
        self.a = case.complete
        self.operands = ["" if x is None else f"x{i}" for i, x in enumerate(case.operands)]
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.opset = OPSET
        self.by_reference = False  # set where onnxruntime does not do what ONNX says

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and name its first result (``name``, then ``name_1`` ...)."""
        name = f"n{len(self.nodes)}"
        names = [name, *(f"{name}_{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def model(self, results: list[str]) -> onnx.ModelProto:
        inputs = [
            helper.make_tensor_value_info(
                f"x{i}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape
            )
            for i, x in enumerate(self.case.operands)
            if x is not None
        ]
        outputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(t.dtype.numpy), [None] * t.rank
            )
            for name, t in zip(results, self.case.result_types())
        ]
        graph = helper.make_graph(self.nodes, "case", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


Export = Callable[[Graph], list[str]]


def _simple(op: str, *attributes: str, renamed: dict[str, str] | None = None) -> Export:
    """One node with the same operands; ``attributes`` are those of the same name in both."""
    names = {name: name for name in attributes} | (renamed or {})

    def export(g: Graph) -> list[str]:
        values = {onnx_name: g.a[name] for name, onnx_name in names.items()}
        plain = {k: int(v) if isinstance(v, bool) else v for k, v in values.items() if v != ()}
        count = len(g.case.definition.result_names)
        first = g.node(op, *g.operands, outputs=count, **plain)
        return [first, *(f"{first}_{i}" for i in range(1, count))]

    return export


def _clamp(g: Graph) -> list[str]:
    dtype = g.case.operands[0].dtype
    bounds = [g.constant(g.a[name], dtype) for name in ("low", "high")]
    return [g.node("Clip", *g.operands, *bounds)]


def _modulo(fmod: bool) -> Export:
    def export(g: Graph) -> list[str]:
        floats = g.case.operands[0].dtype.kind not in "iu"
        if floats and not fmod:  # ONNX has no floor_mod of floats: x - y * floor(x / y)
            quotient = g.node("Floor", g.node("Div", *g.operands))
            return [g.node("Sub", "x0", g.node("Mul", "x1", quotient))]
        return [g.node("Mod", *g.operands, fmod=int(fmod))]

    return export


def _composed(*ops: str) -> Export:
    def export(g: Graph) -> list[str]:
        name = g.node(ops[0], *g.operands)
        for op in ops[1:]:
            name = g.node(op, name)
        return [name]

    return export


def _shape_operand(op: str, attribute: str) -> Export:
    return lambda g: [g.node(op, "x0", g.constant(g.a[attribute]))]


def _reshape(g: Graph) -> list[str]:
    return [g.node("Reshape", "x0", g.constant(g.a.shape), allowzero=1)]


def _slice(g: Graph) -> list[str]:
    ends = []
    for start, size, step in zip(g.a.starts, g.a.sizes, g.a.steps):
        end = start + size * step
        ends.append(end if end >= 0 or size == 0 else -(2**40))
    lists = (g.a.starts, ends, range(len(ends)), g.a.steps)
    return [g.node("Slice", "x0", *(g.constant(list(values)) for values in lists))]


def _pad(g: Graph) -> list[str]:
    pads = g.constant([*g.a.before, *g.a.after])
    return [g.node("Pad", "x0", pads, *g.operands[1:], mode=g.a.mode)]


REDUCTIONS = {"sum": "Sum", "mean": "Mean", "prod": "Prod", "min": "Min", "max": "Max"}


def _reduce(g: Graph) -> list[str]:
    op = {"any": "Max", "all": "Min"}.get(g.a.kind) or REDUCTIONS[g.a.kind]
    axes = g.constant(g.a.axes)
    keep = int(g.a.keep_dims)
    return [g.node(f"Reduce{op}", "x0", axes, keepdims=keep, noop_with_empty_axes=1)]


def _arg_reduce(g: Graph) -> list[str]:
    op = "ArgMin" if g.a.kind == "min" else "ArgMax"
    last = int(g.a.last)
    keep = int(g.a.keep_dims)
    return [g.node(op, "x0", axis=g.a.axis, keepdims=keep, select_last_index=last)]


def _cumulative(op: str, opset: int = OPSET) -> Export:
    def export(g: Graph) -> list[str]:
        g.opset = opset
        flags = {name: int(g.a[name]) for name in ("exclusive", "reverse")}
        return [g.node(op, "x0", g.constant(g.a.axis), **flags)]

    return export


def _bitcast(g: Graph) -> list[str]:
    g.opset = 26
    return [g.node("BitCast", "x0", to=helper.np_dtype_to_tensor_dtype(g.a.to.numpy))]


def _top_k(g: Graph) -> list[str]:
    flags = {name: int(g.a[name]) for name in ("largest", "sorted")}
    first = g.node("TopK", "x0", g.constant([g.a.k]), outputs=2, axis=g.a.axis, **flags)
    return [first, f"{first}_1"]


def _unique(g: Graph) -> list[str]:
    first = g.node("Unique", "x0", outputs=4, axis=g.a.axis, sorted=int(g.a.sorted))
    return [first, *(f"{first}_{i}" for i in (1, 2, 3))]


def _non_max_suppression(g: Graph) -> list[str]:
    limit, iou, *low = (g.node("Reshape", name, g.constant([1])) for name in g.operands[2:])
    operands = (*g.operands[:2], limit, iou, *low)
    return [g.node("NonMaxSuppression", *operands, center_point_box=int(g.a.centered))]


def _dimension(g: Graph) -> list[str]:
    return [g.node("Identity", g.constant(g.a.value))]


def _convolve(op: str) -> Export:
    def export(g: Graph) -> list[str]:
        names = ["strides", "pads", "dilations"]
        if op == "ConvTranspose":
            names.append("output_padding")
        lists = {name: g.a[name] for name in names}
        return [g.node(op, *g.operands, group=g.a.groups, **lists)]

    return export


def _matmul(g: Graph) -> list[str]:
    sides = []
    for name, operand in (("transpose_a", 0), ("transpose_b", 1)):
        rank = g.case.operands[operand].ndim
        order = [*range(rank - 2), rank - 1, rank - 2]
        plain = g.operands[operand]
        sides.append(g.node("Transpose", plain, perm=order) if g.a[name] else plain)
    product = g.node("MatMul", *sides)
    return [g.node("Add", product, "x2") if len(g.operands) > 2 else product]


def _pool(op: str) -> Export:
    def export(g: Graph) -> list[str]:
        attributes: dict[str, Any] = {
            "kernel_shape": g.a.kernel,
            "strides": g.a.strides,
            "pads": g.a.pads,
            "dilations": g.a.dilations,
            "ceil_mode": int(any(g.a.overhang)),
        }
        if op == "AveragePool":
            attributes["count_include_pad"] = int(g.a.count_include_pad)
        return [g.node(op, "x0", **attributes)]

    return export


def _arg_max_pool(g: Graph) -> list[str]:
    """ONNX counts over all channels: what is left within one of them."""
    (values,) = _pool("MaxPool")(g)
    g.nodes[-1].output.append(f"{values}_1")
    volume = g.constant(np.prod(g.case.operands[0].shape[2:]))
    return [g.node("Mod", f"{values}_1", volume)]


def _region_align(g: Graph) -> list[str]:
    attributes = {
        "mode": "avg" if g.a.mode == "mean" else "max",
        "output_height": g.a.bins[0],
        "output_width": g.a.bins[1],
        "sampling_ratio": g.a.samples,
        "spatial_scale": g.a.scale,
        "coordinate_transformation_mode": "half_pixel" if g.a.half_pixel else "output_half_pixel",
    }
    return [g.node("RoiAlign", *g.operands, **attributes)]


def _region_max_pool(g: Graph) -> list[str]:
    g.opset = 21  # the last for which onnxruntime has a kernel; onnx.reference has none
    return [g.node("MaxRoiPool", *g.operands, pooled_shape=g.a.bins, spatial_scale=g.a.scale)]


def _group_norm(g: Graph) -> list[str]:
    return [g.node("GroupNormalization", *g.operands, num_groups=g.a.groups, epsilon=g.a.epsilon)]


def _layer_norm(g: Graph) -> list[str]:
    return [g.node("LayerNormalization", *g.operands, axis=g.a.axis, epsilon=g.a.epsilon)]


def _attention(g: Graph) -> list[str]:
    attributes = {"scale": g.a.scale, "is_causal": int(g.a.causal), "softcap": g.a.softcap}
    if g.a.heads:
        attributes |= {"q_num_heads": g.a.heads, "kv_num_heads": g.a.kv_heads}
    g.by_reference = True  # onnxruntime does not yet give 0 for queries that attend to nothing
    q, k, *_ = (x.shape for x in g.case.operands if x is not None)
    operands = list(g.operands)
    if len(operands) == 4:  # a mask of too few columns is filled up, not broadcast
        columns = g.constant([1, k[-2] if len(q) == 4 else k[1]])
        operands[3] = g.node("Expand", operands[3], columns)
    return [g.node("Attention", *operands, **attributes)]


def _rotary_embedding(g: Graph) -> list[str]:
    x, cos = g.case.operands[0].shape, g.case.operands[1].shape
    attributes: dict[str, Any] = {"interleaved": int(g.a.interleaved)}
    if g.a.heads:
        attributes["num_heads"] = g.a.heads
    if 2 * cos[-1] != (x[-1] // (g.a.heads or 1)):
        attributes["rotary_embedding_dim"] = 2 * cos[-1]
    operands = list(g.operands)
    if len(operands) == 3:  # ONNX broadcasts nothing
        shape = g.constant([x[0], x[-2] if len(x) == 4 else x[1], cos[-1]])
        operands[1:] = [g.node("Expand", name, shape) for name in operands[1:]]
    return [g.node("RotaryEmbedding", *operands, **attributes)]


def _resize(g: Graph) -> list[str]:
    a = g.a
    roi = g.constant(a.roi, np.float32) if a.roi else ""
    attributes: dict[str, Any] = {
        "mode": a.mode,
        "coordinate_transformation_mode": a.coordinates,
        "extrapolation_value": a.extrapolation_value,
        "antialias": int(a.antialias),
    }
    if a.mode == "nearest":
        attributes["nearest_mode"] = a.rounding
    if a.mode == "cubic":
        attributes["cubic_coeff_a"] = a.cubic_coefficient
        attributes["exclude_outside"] = int(a.exclude_outside)
    return [g.node("Resize", "x0", roi, "", g.constant(a.shape), **attributes)]


def _sample(g: Graph) -> list[str]:
    """GridSample, whose grid counts from -1 to 1 and lists the last axis first."""
    sizes = np.array(g.case.operands[0].shape[2:], np.float32)
    two, one = g.constant(2, np.float32), g.constant(1, np.float32)
    grid = g.node("Mul", g.node("Cast", "x1", to=onnx.TensorProto.FLOAT), two)
    if not g.a.align_corners:
        grid = g.node("Add", grid, one)
    span = sizes - 1 if g.a.align_corners else sizes
    grid = g.node("Sub", g.node("Div", grid, g.constant(span, np.float32)), one)
    grid = g.node("Gather", grid, g.constant(np.arange(len(sizes))[::-1]), axis=-1)
    attributes = {"mode": g.a.mode, "padding_mode": g.a.padding}
    # onnxruntime, as PyTorch, moves single elements inside, not positions.
    g.by_reference = g.a.mode == "cubic" and g.a.padding != "zeros"
    return [g.node("GridSample", "x0", grid, align_corners=int(g.a.align_corners), **attributes)]


def _recurrent(op: str) -> Export:
    def export(g: Graph) -> list[str]:
        attributes: dict[str, Any] = {
            "hidden_size": g.a.hidden_size,
            "direction": g.a.direction,
            "activations": g.a.activations,
        }
        for name in ("activation_alpha", "activation_beta"):
            if g.a[name]:
                attributes[name] = g.a[name]
        if g.a.clip:
            attributes["clip"] = g.a.clip
        for name in ("input_forget", "linear_before_reset"):
            if g.a.get(name):
                attributes[name] = 1
        count = len(g.case.definition.result_names)
        first = g.node(op, *g.operands, outputs=count, **attributes)
        return [first, *(f"{first}_{i}" for i in range(1, count))]

    return export


def _parameters(g: Graph, q: ir.Quantized, storage: ir.DType) -> tuple[list[str], dict[str, int]]:
    """Scale and zero point as constants, and the attributes that say how they vary."""
    shape: tuple[int, ...] = () if q.axis is None else (len(q.scale),)
    if q.block:
        x = g.case.operands[0]
        shape = tuple(-(-n // q.block) if i == q.axis else n for i, n in enumerate(x.shape))
    scale = g.constant(np.reshape(q.scale, shape), q.dtype.numpy)
    zero_point = g.constant(np.reshape(q.zero_point, shape), storage.numpy)
    attributes = {} if q.axis is None else {"axis": q.axis}
    if q.block:
        attributes["block_size"] = q.block
    return [scale, zero_point], attributes


def _quantize(g: Graph) -> list[str]:
    parameters, attributes = _parameters(g, g.a.encoding, g.a.dtype)
    return [g.node("QuantizeLinear", "x0", *parameters, **attributes)]


def _dequantize(g: Graph) -> list[str]:
    (type_,) = g.case.types
    parameters, attributes = _parameters(g, type_.quantized, type_.dtype)
    return [g.node("DequantizeLinear", "x0", *parameters, **attributes)]


def _cast(g: Graph) -> list[str]:
    return [g.node("Cast", "x0", to=helper.np_dtype_to_tensor_dtype(g.a.to.numpy))]


_MATH = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "min": "Min",
    "max": "Max", "bit_and": "BitwiseAnd", "bit_or": "BitwiseOr", "bit_xor": "BitwiseXor",
    "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "equal": "Equal", "logical_and": "And",
    "logical_or": "Or", "logical_xor": "Xor", "neg": "Neg", "abs": "Abs", "sign": "Sign",
    "reciprocal": "Reciprocal", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "erf": "Erf",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "floor": "Floor", "ceil": "Ceil", "round": "Round", "relu": "Relu",
    "sigmoid": "Sigmoid", "hard_swish": "HardSwish", "softplus": "Softplus",
    "softsign": "Softsign", "mish": "Mish", "is_nan": "IsNaN", "logical_not": "Not",
    "bit_not": "BitwiseNot", "select": "Where", "prelu": "PRelu",
}  # fmt: skip


def _frames(g: Graph) -> list[str]:
    (_, count, length, *_), step = g.case.result_types()[0].shape, g.a.step
    positions = np.arange(count)[:, None] * step + np.arange(length)
    return [g.node("Gather", *g.operands, g.constant(positions), axis=1)]


def _fourier(g: Graph) -> list[str]:
    flags = {"inverse": int(g.a.inverse), "onesided": int(g.a.onesided)}
    return [g.node("DFT", *g.operands, g.constant(g.a.length), g.constant(-2), **flags)]


EXPORTS: dict[str, Export] = {
    **{f"math.{name}": _simple(op) for name, op in _MATH.items()},
    "math.not_equal": _composed("Equal", "Not"),
    "math.rsqrt": _composed("Sqrt", "Reciprocal"),
    "math.floor_mod": _modulo(fmod=False),
    "math.truncated_mod": _modulo(fmod=True),
    "math.shift_left": lambda g: [g.node("BitShift", *g.operands, direction="LEFT")],
    "math.shift_right": lambda g: [g.node("BitShift", *g.operands, direction="RIGHT")],
    "math.gelu": lambda g: [g.node("Gelu", "x0")],
    "math.gelu_tanh": lambda g: [g.node("Gelu", "x0", approximate="tanh")],
    "math.silu": lambda g: [g.node("Mul", "x0", g.node("Sigmoid", "x0"))],
    "math.is_inf": _simple(
        "IsInf", renamed={"negative": "detect_negative", "positive": "detect_positive"}
    ),
    "math.clamp": _clamp,
    "math.hard_sigmoid": _simple("HardSigmoid", "alpha", "beta"),
    "math.leaky_relu": _simple("LeakyRelu", "alpha"),
    "math.elu": _simple("Elu", "alpha"),
    "math.selu": _simple("Selu", "alpha", "gamma"),
    "math.celu": _simple("Celu", "alpha"),
    "math.thresholded_relu": _simple("ThresholdedRelu", "alpha"),
    "math.shrink": _simple("Shrink", "lambd", "bias"),
    "math.cast": _cast,
    "tensor.reshape": _reshape,
    "tensor.transpose": _simple("Transpose", renamed={"permutation": "perm"}),
    "tensor.broadcast": _shape_operand("Expand", "shape"),
    "tensor.slice": _slice,
    "tensor.concat": _simple("Concat", "axis"),
    "tensor.pad": _pad,
    "tensor.tile": _shape_operand("Tile", "repeats"),
    "tensor.gather": _simple("Gather", "axis"),
    "tensor.gather_elements": _simple("GatherElements", "axis"),
    "tensor.gather_nd": _simple("GatherND", "batch_dims"),
    "tensor.scatter_elements": _simple("ScatterElements", "axis", "reduction"),
    "tensor.scatter_nd": _simple("ScatterND", "reduction"),
    "tensor.reduce": _reduce,
    "tensor.arg_reduce": _arg_reduce,
    "tensor.cumulative_sum": _cumulative("CumSum"),
    "tensor.cumulative_product": _cumulative("CumProd", opset=26),
    "tensor.bitcast": _bitcast,
    "tensor.top_k": _top_k,
    "tensor.dimension": _dimension,
    "tensor.non_zero": _simple("NonZero"),
    "tensor.unique": _unique,
    "nn.non_max_suppression": _non_max_suppression,
    "nn.conv": _convolve("Conv"),
    "nn.conv_transpose": _convolve("ConvTranspose"),
    "nn.matmul": _matmul,
    "nn.max_pool": _pool("MaxPool"),
    "nn.region_align": _region_align,
    "nn.region_max_pool": _region_max_pool,
    "nn.determinant": _simple("Det"),
    "nn.arg_max_pool": _arg_max_pool,
    "nn.average_pool": _pool("AveragePool"),
    "nn.softmax": _simple("Softmax", "axis"),
    "nn.log_softmax": _simple("LogSoftmax", "axis"),
    "nn.attention": _attention,
    "nn.rotary_embedding": _rotary_embedding,
    "nn.batch_norm": _simple("BatchNormalization", "epsilon"),
    "nn.layer_norm": _layer_norm,
    "nn.rms_norm": _simple("RMSNormalization", "axis", "epsilon"),
    "nn.group_norm": _group_norm,
    "nn.lrn": _simple("LRN", "size", "alpha", "beta", "bias"),
    "nn.resize": _resize,
    "nn.sample": _sample,
    "nn.rnn": _recurrent("RNN"),
    "nn.gru": _recurrent("GRU"),
    "nn.lstm": _recurrent("LSTM"),
    "signal.frames": _frames,
    "signal.dft": _fourier,
    "quant.quantize": _quantize,
    "quant.dequantize": _dequantize,
}


_ORT = onnxruntime.capi.onnxruntime_pybind11_state
REFUSALS = (
    _ORT.Fail,
    _ORT.InvalidArgument,
    _ORT.InvalidGraph,
    _ORT.NotImplemented,
    _ORT.RuntimeException,
)
"""How onnxruntime says that it has no kernel for an op, an element type or a rank."""


def run(case: OpCase) -> list[ir.Array]:
    """The case's results according to ONNX."""
    graph = Graph(case)
    model = graph.model(EXPORTS[case.op](graph))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    types = [t for t in (*case.types, *case.result_types()) if t is not None]
    has_bf16 = any(t.dtype is ir.DType.BF16 for t in types)  # which its Python interface lacks
    if not (has_bf16 or graph.by_reference):
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, ["CPUExecutionProvider"]
            )
            return list(session.run(None, case.inputs()))
        except REFUSALS:
            pass
    results = ReferenceEvaluator(model).run(None, case.inputs())
    return [
        np.asarray(result).astype(type_.dtype.numpy, copy=False)
        for result, type_ in zip(results, case.result_types())
    ]
