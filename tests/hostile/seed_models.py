"""Small valid models over many operators, for tests that damage them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL, UINT8 = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.BOOL,
    TensorProto.UINT8,
)
Shape = Sequence[int]
Arrays = Mapping[str, np.ndarray]


def node(op: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node; names are separated by blanks, ``-`` is one left out."""
    names = [[n if n != "-" else "" for n in text.split()] for text in (inputs, outputs)]
    return helper.make_node(op, *names, name=f"{op.lower()}_{names[1][0]}", **attributes)


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded f32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    """A list of i64."""
    return np.array(values, np.int64)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, int] | str = "y",
    initializers: Arrays | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model of ``nodes``; inputs are (element type, shape), outputs f32 unless given."""
    types = dict.fromkeys(outputs.split(), FLOAT) if isinstance(outputs, str) else outputs
    graph = helper.make_graph(
        list(nodes),
        "seed",
        [helper.make_tensor_value_info(n, t, list(s)) for n, (t, s) in inputs.items()],
        [helper.make_tensor_value_info(n, t, None) for n, t in types.items()],
        [numpy_helper.from_array(a, n) for n, a in (initializers or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def convolutions() -> onnx.ModelProto:
    nodes = [
        node("Conv", "x w b", "c", kernel_shape=[3, 3], strides=[2, 1], pads=[1, 0, 1, 2], group=1),
        node("BatchNormalization", "c s s s v", "n", epsilon=1e-3),
        node("Relu", "n", "r"),
        node("Conv", "r d", "e", group=4, dilations=[1, 2], auto_pad="SAME_UPPER"),
        node("Add", "e r", "f"),
        node("GlobalAveragePool", "f", "g"),
        node("Flatten", "g", "h", axis=1),
        node("Gemm", "h k bias", "y", alpha=0.5, beta=2.0, transB=1),
    ]
    arrays = {
        "w": weights(4, 2, 3, 3),
        "b": weights(4),
        "s": weights(4, seed=1),
        "v": np.abs(weights(4, seed=2)),
        "d": weights(4, 1, 3, 3),
        "k": weights(3, 4),
        "bias": weights(3),
    }
    return model(nodes, {"x": (FLOAT, [1, 2, 6, 5])}, "y", arrays)


def transposed_convolution() -> onnx.ModelProto:
    nodes = [
        node(
            "ConvTranspose",
            "x w",
            "y",
            strides=[2, 2],
            pads=[1, 1, 0, 0],
            output_padding=[1, 0],
            dilations=[1, 1],
            group=2,
            kernel_shape=[3, 2],
        ),
        node("ConvTranspose", "x w", "z", strides=[2, 2], output_shape=[8, 8], group=2),
    ]
    return model(nodes, {"x": (FLOAT, [1, 4, 4, 4])}, "y z", {"w": weights(4, 2, 3, 2)[..., :2]})


def pools() -> onnx.ModelProto:
    nodes = [
        node(
            "MaxPool",
            "x",
            "m",
            kernel_shape=[2, 3],
            strides=[2, 2],
            pads=[0, 1, 1, 1],
            ceil_mode=1,
            dilations=[1, 1],
            storage_order=0,
        ),
        node(
            "AveragePool",
            "m",
            "a",
            kernel_shape=[2, 2],
            strides=[1, 1],
            pads=[1, 1, 0, 0],
            count_include_pad=1,
        ),
        node("LpPool", "a", "l", kernel_shape=[2, 2], p=2),
        node("GlobalMaxPool", "l", "g"),
        node("LRN", "g", "y", size=3, alpha=0.1, beta=0.5, bias=1.0),
    ]
    return model(nodes, {"x": (FLOAT, [1, 3, 8, 9])})


def recurrent(op: str, gates: int, **more: object) -> onnx.ModelProto:
    hidden, outputs = 3, "h" if op != "LSTM" else "h c"
    nodes = [
        node(
            op,
            "x w r b",
            f"t {outputs}",
            hidden_size=hidden,
            direction="bidirectional",
            clip=2.0,
            layout=0,
            **more,
        ),
        node("Transpose", "t", "y", perm=[1, 0, 2, 3]),
    ]
    arrays = {
        "w": weights(2, gates * hidden, 2),
        "r": weights(2, gates * hidden, hidden),
        "b": weights(2, 2 * gates * hidden),
    }
    return model(nodes, {"x": (FLOAT, [4, 2, 2])}, f"y {outputs}", arrays)


def resizing() -> onnx.ModelProto:
    nodes = [
        node(
            "Resize",
            "x - scales",
            "r",
            mode="linear",
            coordinate_transformation_mode="half_pixel",
            extrapolation_value=0.5,
        ),
        node("Resize", "r - - sizes", "n", mode="nearest", nearest_mode="floor"),
        node("Resize", "n - - sizes2", "y", mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
    ]
    arrays = {
        "scales": np.array([1, 1, 2, 1.5], np.float32),
        "sizes": integers(1, 2, 7, 5),
        "sizes2": integers(1, 2, 4, 9),
    }
    return model(nodes, {"x": (FLOAT, [1, 2, 3, 4])}, "y", arrays)


def movement() -> onnx.ModelProto:
    nodes = [
        node("Slice", "x starts ends axes steps", "a"),
        node("Pad", "a pads value", "b", mode="constant"),
        node("Transpose", "b", "c", perm=[2, 0, 1]),
        node("Concat", "c c", "d", axis=-1),
        node("Split", "d split", "e f", axis=2),
        node("Tile", "e repeats", "g"),
        node("Squeeze", "one zero", "o"),
        node("Unsqueeze", "o zero", "p"),
        node("Expand", "p shape", "q"),
        node("Pad", "f pads2", "h", mode="reflect"),
        node("DepthToSpace", "deep", "dd", blocksize=2, mode="CRD"),
        node("SpaceToDepth", "dd", "ss", blocksize=2),
        node("Reshape", "ss target", "rr", allowzero=0),
    ]
    arrays = {
        "starts": integers(-1, 0),
        "ends": integers(-100, 3),
        "axes": integers(1, 2),
        "steps": integers(-2, 1),
        "pads": integers(0, 1, 0, 1, 0, 2),
        "value": np.array(1.5, np.float32),
        "split": integers(3, 3),
        "repeats": integers(1, 2, 3),
        "one": weights(1),
        "zero": integers(0),
        "shape": integers(2, 3),
        "pads2": integers(1, 0, 0, 1, 0, 0),
        "target": integers(0, -1, 2),
    }
    inputs = {"x": (FLOAT, [2, 4, 5]), "deep": (FLOAT, [1, 8, 2, 2])}
    return model(nodes, inputs, "g h q rr", arrays)


def indexing() -> onnx.ModelProto:
    nodes = [
        node("Gather", "x rows", "a", axis=1),
        node("GatherElements", "x i", "b", axis=0),
        node("GatherND", "x nd", "c", batch_dims=0),
        node("ScatterElements", "x i u", "d", axis=1, reduction="add"),
        node("ScatterND", "x nd rows3", "e", reduction="none"),
        node("TopK", "x k", "f g", axis=-1, largest=1, sorted=1),
        node("OneHot", "rows depth onoff", "h", axis=-1),
        node("ArgMax", "x", "j", axis=1, keepdims=0, select_last_index=1),
        node("Where", "mask x one", "l"),
        node("Trilu", "x k0", "m", upper=0),
        node("CumSum", "x axis", "n", exclusive=1, reverse=1),
    ]
    arrays = {
        "rows": integers(0, -1, 2),
        "i": np.array([[0, 1, 2, 0]], np.int64),
        "nd": np.array([[0], [2]], np.int64),
        "u": weights(1, 4),
        "rows3": weights(2, 4),
        "k": integers(2),
        "depth": integers(4),
        "onoff": np.array([0, 1], np.float32),
        "one": np.array(1, np.float32),
        "k0": np.array(-1, np.int64),
        "axis": np.array(1, np.int64),
    }
    outputs = {**dict.fromkeys("abcdefhlmn", FLOAT), "g": INT64, "j": INT64}
    return model(nodes, {"x": (FLOAT, [3, 4]), "mask": (BOOL, [3, 1])}, outputs, arrays)


def runtime_indices() -> onnx.ModelProto:
    nodes = [
        node("Gather", "x i", "a", axis=0),
        node("ScatterElements", "x ii u", "b", axis=0),
        node("Reshape", "a shape", "y"),
    ]
    arrays = {"u": weights(1, 4), "ii": np.array([[0, 1, 2, 0]], np.int64), "shape": integers(-1)}
    return model(nodes, {"x": (FLOAT, [3, 4]), "i": (INT64, [2])}, "y b", arrays)


def quantized() -> onnx.ModelProto:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws wz", "v", axis=0),
        node("Conv", "d v", "c"),
        node("QuantizeLinear", "c s z", "e"),
        node("DequantizeLinear", "e s z", "y"),
        node("QLinearConv", "q s z w s z8 s z", "f"),
        node("ConvInteger", "q w z", "g"),
        node("DynamicQuantizeLinear", "x", "h i j"),
    ]
    arrays = {
        "s": np.array(0.1, np.float32),
        "z": np.array(128, np.uint8),
        "z8": np.array(0, np.int8),
        "w": np.arange(-6, 6, dtype=np.int8).reshape(3, 2, 1, 2),
        "ws": np.array([0.1, 0.2, 0.3], np.float32),
        "wz": np.zeros(3, np.int8),
    }
    outputs = {"y": FLOAT, "f": UINT8, "g": TensorProto.INT32, "h": UINT8}
    return model(nodes, {"x": (FLOAT, [1, 2, 3, 4])}, outputs, arrays, opset=13)


def matmul_quantized() -> onnx.ModelProto:
    nodes = [
        node("QLinearMatMul", "a s z w s z s z", "p"),
        node("MatMulInteger", "a w z z", "y"),
    ]
    arrays = {
        "s": np.array(0.1, np.float32),
        "z": np.array(3, np.uint8),
        "w": np.arange(12, dtype=np.uint8).reshape(4, 3),
    }
    outputs = {"p": UINT8, "y": TensorProto.INT32}
    return model(nodes, {"a": (UINT8, [2, 4])}, outputs, arrays)


def branches() -> onnx.ModelProto:
    bodies = {
        f"{name}_branch": helper.make_graph(
            [node(op, "x", f"{name}_y")],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", FLOAT, [2, 3])],
        )
        for name, op in (("then", "Exp"), ("else", "Neg"))
    }
    nodes = [
        node("ReduceSum", "x", "s", keepdims=0),
        node("Greater", "s zero", "c"),
        node("If", "c", "y", **bodies),
    ]
    return model(nodes, {"x": (FLOAT, [2, 3])}, "y", {"zero": np.array(0, np.float32)})


def loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Add", "v x", "w"), node("Identity", "c", "d"), node("Abs", "w", "scan")],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("c", BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("d", BOOL, []),
            helper.make_tensor_value_info("w", FLOAT, [2, 3]),
            helper.make_tensor_value_info("scan", FLOAT, [2, 3]),
        ],
    )
    arrays = {"n": np.array(3, np.int64), "t": np.array(True)}
    return model([node("Loop", "n t x", "y z", body=body)], {"x": (FLOAT, [2, 3])}, "y z", arrays)


def einsum() -> onnx.ModelProto:
    nodes = [
        node("Einsum", "x x", "a", equation="bij,bkj->bik"),
        node("Einsum", "a", "b", equation="bii->bi"),
        node("Einsum", "x w", "y", equation="...j,jk->...k"),
    ]
    return model(nodes, {"x": (FLOAT, [2, 3, 4])}, "b y", {"w": weights(4, 5)})


def shapes() -> onnx.ModelProto:
    nodes = [
        node("Shape", "x", "s", start=0, end=2),
        node("Gather", "s zero", "n", axis=0),
        node("Constant", "", "m", value_ints=[-1]),
        node("Concat", "n m", "t", axis=0),
        node("Reshape", "x t", "a"),
        node("ConstantOfShape", "s", "f", value=helper.make_tensor("v", FLOAT, [1], [2.0])),
        node("Range", "start limit delta", "r"),
        node("Cast", "r", "q", to=FLOAT),
        node("Size", "x", "size"),
        node("Cast", "size", "sf", to=FLOAT),
        node("Div", "a sf", "y"),
        node("EyeLike", "f", "e", dtype=FLOAT, k=1),
    ]
    arrays = {
        "zero": integers(0),
        "start": np.array(0, np.int64),
        "limit": np.array(5, np.int64),
        "delta": np.array(2, np.int64),
    }
    return model(nodes, {"x": (FLOAT, [2, 3, 4])}, "y f q e", arrays)


def transformer() -> onnx.ModelProto:
    nodes = [
        node("LayerNormalization", "x g b", "n", axis=-1, epsilon=1e-5),
        node("MatMul", "n wq", "q"),
        node("MatMul", "n wk", "k"),
        node("Reshape", "q heads", "q4"),
        node("Reshape", "k heads", "k4"),
        node("Transpose", "q4", "qt", perm=[0, 2, 1, 3]),
        node("Transpose", "k4", "kt", perm=[0, 2, 3, 1]),
        node("MatMul", "qt kt", "a"),
        node("Mul", "a scale", "as"),
        node("Softmax", "as", "p", axis=-1),
        node("MatMul", "p qt", "o"),
        node("Transpose", "o", "ot", perm=[0, 2, 1, 3]),
        node("Reshape", "ot back", "r"),
        node("Gelu", "r", "ge", approximate="tanh"),
        node("Add", "ge x", "y"),
    ]
    arrays = {
        "g": weights(4),
        "b": weights(4),
        "wq": weights(4, 4),
        "wk": weights(4, 4, seed=1),
        "heads": integers(0, 0, 2, -1),
        "scale": np.array(0.7, np.float32),
        "back": integers(1, 3, 4),
    }
    return model(nodes, {"x": (FLOAT, [1, 3, 4])}, "y", arrays, opset=20)


def normalizations() -> onnx.ModelProto:
    nodes = [
        node("InstanceNormalization", "x s s", "i", epsilon=1e-3),
        node("GroupNormalization", "i s s", "g", num_groups=2, epsilon=1e-3),
        node("LpNormalization", "g", "l", axis=1, p=2),
        node("MeanVarianceNormalization", "l", "m", axes=[0, 2, 3]),
        node("LogSoftmax", "m", "k", axis=1),
        node("Hardmax", "k", "h", axis=-1),
        node("Softmax", "h", "y", axis=2),
    ]
    return model(nodes, {"x": (FLOAT, [2, 4, 3, 3])}, "y", {"s": weights(4)}, opset=21)


def reductions() -> onnx.ModelProto:
    nodes = [
        node("ReduceMean", "x axes", "a", keepdims=1, noop_with_empty_axes=0),
        node("ReduceL2", "x axes", "b", keepdims=0),
        node("ReduceLogSumExp", "x", "c", keepdims=0),
        node("ReduceMax", "x axes", "d", keepdims=1),
        node("ReduceProd", "x axes", "e", keepdims=1),
    ]
    return model(nodes, {"x": (FLOAT, [2, 3, 4])}, "a b c d e", {"axes": integers(1, -1)}, opset=18)


def elementwise() -> onnx.ModelProto:
    chain = [
        ("LeakyRelu", {"alpha": 0.1}),
        ("Elu", {"alpha": 1.5}),
        ("Selu", {"alpha": 1.1, "gamma": 1.2}),
        ("HardSigmoid", {"alpha": 0.2, "beta": 0.4}),
        ("ThresholdedRelu", {"alpha": 0.1}),
        ("Celu", {"alpha": 2.0}),
        ("Shrink", {"lambd": 0.1, "bias": 0.05}),
        ("Softplus", {}),
        ("Mish", {}),
        ("Erf", {}),
        ("Sqrt", {}),
    ]
    nodes = [node(op, f"v{i}", f"v{i + 1}", **more) for i, (op, more) in enumerate(chain)]
    last = f"v{len(chain)}"
    nodes += [
        node("Clip", f"{last} low high", "c"),
        node("PRelu", "c slope", "p"),
        node("Pow", "p two", "q"),
        node("Max", "q low p", "m"),
        node("Mod", "m two", "mod", fmod=1),
        node("Cast", "mod", "i", to=TensorProto.INT32),
        node("BitShift", "u u", "bs", direction="LEFT"),
        node("IsInf", "m", "inf", detect_negative=1, detect_positive=0),
        node("Not", "inf", "y"),
    ]
    arrays = {
        "low": np.array(0.0, np.float32),
        "high": np.array(6.0, np.float32),
        "slope": weights(3),
        "two": np.array(2.0, np.float32),
    }
    outputs = {"y": BOOL, "i": TensorProto.INT32, "bs": UINT8}
    return model(nodes, {"v0": (FLOAT, [2, 3]), "u": (UINT8, [4])}, outputs, arrays)


def older() -> onnx.ModelProto:
    """Forms of operators that opset 9 has: attributes in place of inputs."""
    nodes = [
        node("Slice", "x", "a", starts=[0, 1], ends=[2, 3], axes=[1, 2]),
        node("Pad", "a", "b", pads=[0, 1, 0, 0, 1, 0], value=0.5),
        node("Squeeze", "o", "c", axes=[0]),
        node("Unsqueeze", "c", "d", axes=[0, 2]),
        node("Split", "b", "e f", axis=1, split=[1, 3]),
        node("Clip", "f", "g", min=-1.0, max=1.0),
        node("ReduceSum", "g", "h", axes=[1], keepdims=0),
        node("TopK", "x", "t ti", axis=1, k=2),
        node("Upsample", "u scales", "v", mode="nearest"),
        node("Dropout", "h", "y", ratio=0.5),
        node("Softmax", "b", "s", axis=1),
        node("BatchNormalization", "u n n n n", "bn", momentum=0.9),
        node("Scatter", "b i j", "sc", axis=0),
    ]
    arrays = {
        "o": weights(1, 3),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "n": np.abs(weights(2)),
        "i": np.zeros((1, 1, 2), np.int64),
        "j": weights(1, 1, 2),
    }
    inputs = {"x": (FLOAT, [2, 3, 4]), "u": (FLOAT, [1, 2, 2, 2])}
    return model(nodes, inputs, "y d e t v s bn sc", arrays, opset=9)


def sequences() -> onnx.ModelProto:
    nodes = [
        node("Compress", "x keep", "c", axis=0),
        node("ReverseSequence", "x lens", "d", batch_axis=1, time_axis=0),
    ]
    arrays = {"keep": np.array([True, False]), "lens": integers(2, 1)}
    return model(nodes, {"x": (FLOAT, [2, 2])}, "c d", arrays)


SEEDS: dict[str, Callable[[], onnx.ModelProto]] = {
    "convolutions": convolutions,
    "transposed convolution": transposed_convolution,
    "pools": pools,
    "lstm": lambda: recurrent("LSTM", 4, activations=["Sigmoid", "Tanh", "Tanh"] * 2),
    "gru": lambda: recurrent("GRU", 3, linear_before_reset=1),
    "rnn": lambda: recurrent("RNN", 1, activations=["Affine", "Elu"], activation_alpha=[0.5, 0.5]),
    "resizing": resizing,
    "movement": movement,
    "indexing": indexing,
    "run-time indices": runtime_indices,
    "quantized": quantized,
    "quantized matmul": matmul_quantized,
    "branches": branches,
    "loop": loop,
    "einsum": einsum,
    "shapes": shapes,
    "transformer": transformer,
    "normalizations": normalizations,
    "reductions": reductions,
    "elementwise": elementwise,
    "older": older,
    "sequences": sequences,
}


def with_one_node(source: onnx.ModelProto, index: int) -> onnx.ModelProto:
    """A copy of a model in which only the outputs of one of its nodes are outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(source)
    names = [name for name in copy.graph.node[index % len(copy.graph.node)].output if name]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def random_inputs(signature: Sequence[Mapping[str, Any]], seed: int) -> dict[str, np.ndarray]:
    """Arrays for the inputs of a compiled model, by its manifest."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for entry in signature:
        shape, dtype = entry["shape"], entry["dtype"]
        drawn = (
            generator.standard_normal(shape) if dtype[0] == "f" else generator.integers(0, 2, shape)
        )
        kinds = {"f": "float", "i": "int", "u": "uint"}
        arrays[entry["name"]] = np.asarray(drawn).astype(
            "bool" if dtype == "bool" else kinds[dtype[0]] + dtype[1:]
        )
    return arrays
