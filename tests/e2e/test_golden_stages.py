"""Small ONNX models through every stage: IR as imported, after each pipeline stage, plan and C."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from burnish import import_onnx, interpret, ir
from burnish.backends.c import compile_module, runner
from burnish.passes import run_pipeline
from burnish.passes.pipelines import standard_stages


def weights(name: str, *shape: int) -> onnx.TensorProto:
    """Small weights, each a multiple of 1/16, so that goldens are short and sums exact."""
    seed = sum(map(ord, name))
    data = np.random.default_rng(seed).integers(-16, 17, shape).astype(np.float32) / 16
    return onnx.numpy_helper.from_array(data, name)


def positive(name: str, *shape: int) -> onnx.TensorProto:
    """The same, at least 1/16."""
    data = onnx.numpy_helper.to_array(weights(name, *shape))
    return onnx.numpy_helper.from_array(np.abs(data) + np.float32(1 / 16), name)


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    initializers: list[onnx.TensorProto],
) -> onnx.ModelProto:
    def values(shapes: dict[str, list[int]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def residual() -> onnx.ModelProto:
    """Pad, convolution, batch norm, ReLU, residual add, global pooling."""
    node = helper.make_node
    return model(
        [
            node("Pad", ["x", "amounts"], ["p"], name="pad"),
            node("Conv", ["p", "w"], ["c"], name="conv", kernel_shape=[3, 3]),
            node(
                "BatchNormalization",
                ["c", "scale", "bias", "mean", "variance"],
                ["n"],
                name="norm",
            ),
            node("Add", ["n", "x"], ["a"], name="skip"),
            node("Relu", ["a"], ["r"], name="relu"),
            node("GlobalAveragePool", ["r"], ["g"], name="pool"),
            node("Flatten", ["g"], ["y"], name="flatten"),
        ],
        {"x": [1, 2, 4, 4]},
        {"y": [1, 2]},
        [
            weights("w", 2, 2, 3, 3),
            onnx.numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "amounts"),
            *(weights(name, 2) for name in ("scale", "bias", "mean")),
            positive("variance", 2),
        ],
    )


def shapes() -> onnx.ModelProto:
    """A reshape whose target is computed from shapes, transposes that meet, a matmul with bias."""
    node = helper.make_node
    return model(
        [
            node("Shape", ["x"], ["s"], name="shape"),
            node("Gather", ["s", "zero"], ["batch"], name="gather", axis=0),
            node("Concat", ["batch", "rest"], ["target"], name="concat", axis=0),
            node("Transpose", ["x"], ["t"], name="there", perm=[0, 2, 1]),
            node("Sigmoid", ["t"], ["u"], name="sigmoid"),
            node("Transpose", ["u"], ["v"], name="back", perm=[0, 2, 1]),
            node("Reshape", ["v", "target"], ["f"], name="reshape"),
            node("MatMul", ["f", "w"], ["m"], name="matmul"),
            node("Add", ["m", "b"], ["h"], name="bias"),
            node("Softmax", ["h"], ["y"], name="softmax", axis=-1),
        ],
        {"x": [2, 3, 4]},
        {"y": [2, 3]},
        [
            onnx.numpy_helper.from_array(np.array([0]), "zero"),
            onnx.numpy_helper.from_array(np.array([-1]), "rest"),
            weights("w", 12, 3),
            weights("b", 3),
        ],
    )


def quantized() -> onnx.ModelProto:
    """A matmul between QuantizeLinear and DequantizeLinear."""
    node = helper.make_node
    parameters = [
        onnx.numpy_helper.from_array(np.float32(0.125), "x_scale"),
        onnx.numpy_helper.from_array(np.int8(3), "x_zero"),
        onnx.numpy_helper.from_array(np.array([0.25, 0.5, 1], np.float32), "w_scale"),
        onnx.numpy_helper.from_array(np.zeros(3, np.int8), "w_zero"),
    ]
    stored = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    return model(
        [
            node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["q"], name="quantize"),
            node("DequantizeLinear", ["q", "x_scale", "x_zero"], ["d"], name="dequantize"),
            node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["f"], name="weights", axis=1),
            node("MatMul", ["d", "f"], ["y"], name="matmul"),
        ],
        {"x": [2, 4]},
        {"y": [2, 3]},
        [*parameters, onnx.numpy_helper.from_array(stored, "w")],
    )


@pytest.mark.parametrize("make", [residual, shapes, quantized])
def test_every_stage(make: Callable[[], onnx.ModelProto], golden: Callable[..., None]) -> None:
    module = import_onnx(make())
    ir.verify(module)
    rng = np.random.default_rng(0)
    feeds = {
        arg.name or "": rng.standard_normal(arg.type.static_shape).astype(np.float32)
        for arg in module.main.args
    }
    expected = interpret(module, feeds)
    golden(str(module), suffix=".0-import.ir")
    for number, (stage, pipeline) in enumerate(standard_stages("c").items(), start=1):
        run_pipeline(module, pipeline, verify="each")
        golden(str(module), suffix=f".{number}-{stage}.ir")
        # A golden nobody read cannot bless a wrong graph.
        for name, value in interpret(module, feeds).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)
    artifact = compile_module(module, "c:generic", {"weights": "array"}, make.__name__)
    golden(str(artifact.stages["select"]), suffix=".select")
    golden(str(artifact.stages["plan"]), suffix=".plan")
    golden(str(artifact.files[f"{make.__name__}.c"]), suffix=".c")
    for name, value in runner(artifact).run(feeds).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)
