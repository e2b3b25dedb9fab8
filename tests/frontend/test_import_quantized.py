"""Quantized models: encodings in the types, and results as onnxruntime has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import DType, Quantized, interpret

MakeModel = Callable[..., onnx.ModelProto]
Agree = Callable[..., Any]
F32, U8, I8, I32 = np.float32, np.uint8, np.int8, np.int32
node = helper.make_node
RNG = np.random.default_rng(11)
X = RNG.normal(size=(2, 3, 4)).astype(F32)
HALF = float(F32(0.5))


def quantize_model(
    make_model: MakeModel, scale: Any, point: Any, opset: int = 21, **attributes: Any
) -> onnx.ModelProto:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], **attributes),
    ]
    outputs = {"q": np.asarray(point).dtype, "y": F32}
    constants = {"s": np.asarray(scale, F32), "z": np.asarray(point)}
    return make_model(nodes, {"x": (F32, X.shape)}, outputs, constants, opset)


@pytest.mark.parametrize(
    ("scale", "point", "attributes", "encoding"),
    [
        (0.5, U8(7), {}, Quantized((HALF,), (7,))),
        ([0.25], np.array([-3], I8), {}, Quantized((0.25,), (-3,))),
        ([0.5, 0.25, 1], np.array([1, 2, 3], U8), {}, Quantized((0.5, 0.25, 1.0), (1, 2, 3), 1)),
        ([0.5, 1], np.array([0, 0], I8), {"axis": 0}, Quantized((0.5, 1.0), (0, 0), 0)),
        (0.001, np.int16(0), {}, Quantized((float(F32(0.001)),), (0,))),
        (
            RNG.uniform(0.1, 1, (2, 3, 2)).astype(F32),
            np.zeros((2, 3, 2), I8),
            {"axis": 2, "block_size": 2},
            None,
        ),
    ],
    ids=["tensor", "one element", "channels", "axis 0", "16 bits", "blocks"],
)
def test_constant_parameters_become_encodings(
    make_model: MakeModel, agree: Agree, scale: Any, point: Any, attributes: Any, encoding: Any
) -> None:
    module = agree(quantize_model(make_model, scale, point, **attributes), {"x": X})
    assert [op.name for op in module.walk()] == [
        "quant.quantize",
        "quant.dequantize",
        "core.return",
    ]
    found = module.main.results[0].type.quantized
    assert found is not None
    assert encoding is None or found == encoding
    assert found.block == attributes.get("block_size", 0)


def test_weights_carry_their_encoding_from_the_constant_on(
    make_model: MakeModel, agree: Agree
) -> None:
    weights = RNG.integers(-127, 127, (4, 3)).astype(I8)
    model = make_model(
        [
            node("DequantizeLinear", ["w", "s", "z"], ["f"], axis=0),
            node("MatMul", ["f", "x"], ["y"]),
        ],
        {"x": (F32, (3, 2))},
        {"y": F32},
        {
            "w": weights,
            "s": np.array([0.5, 0.25, 1, 2], F32),
            "z": np.zeros(4, I8),
        },
    )
    module = agree(model, {"x": X[0, :, :2].copy()})
    (constant,) = [op for op in module.walk() if op.name == "core.constant"]
    assert constant.result.type.quantized == Quantized((0.5, 0.25, 1.0, 2.0), (0,) * 4, 0)
    assert constant.result.name == "w"


def test_quantized_inputs_are_reinterpreted(make_model: MakeModel, agree: Agree) -> None:
    model = make_model(
        [node("DequantizeLinear", ["x", "s"], ["y"])],
        {"x": (U8, (3,))},
        {"y": F32},
        {"s": np.array(0.5, F32)},
    )
    module = agree(model, {"x": np.array([0, 7, 255], U8)})
    names = [op.name for op in module.walk()]
    assert names == ["quant.reinterpret", "quant.dequantize", "core.return"]
    assert module.main.args[0].type.encoding is None


def test_values_are_stored_numbers_to_other_operators(make_model: MakeModel, agree: Agree) -> None:
    """A reshape keeps the encoding; arithmetic sees plain integers; joining mixed ones too."""
    model = make_model(
        [
            node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            node("QuantizeLinear", ["x", "t", "z"], ["p"]),
            node("Reshape", ["q", "shape"], ["r"]),
            node("DequantizeLinear", ["r", "s", "z"], ["y"]),
            node("Cast", ["q"], ["c"], to=onnx.TensorProto.INT32),
            node("Concat", ["q", "p"], ["j"], axis=0),
            node("DequantizeLinear", ["q", "t", "z"], ["other"]),
        ],
        {"x": (F32, X.shape)},
        {"y": F32, "c": I32, "j": U8, "other": F32},
        {
            "s": np.array(0.5, F32),
            "t": np.array(0.25, F32),
            "z": np.array(9, U8),
            "shape": np.array([6, 4]),
        },
    )
    agree(model, {"x": X})


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("dtype", [U8, I8, np.int16])
def test_parameters_at_run_time_are_computed_with(
    make_model: MakeModel, agree: Agree, axis: int | None, dtype: Any
) -> None:
    shape = () if axis is None else (3,)
    model = make_model(
        [
            node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis or 1),
            node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=axis or 1),
        ],
        {"x": (F32, X.shape), "s": (F32, shape), "z": (dtype, shape)},
        {"q": dtype, "y": F32},
        opset=21,
    )
    scale = np.full(shape, 0.01, F32)
    agree(model, {"x": X, "s": scale, "z": np.full(shape, 5, dtype)})


def test_saturation_and_halves(make_model: MakeModel, agree: Agree) -> None:
    values = np.array([-1e9, -0.75, -0.25, 0.25, 0.75, 1.25, 1e9, 1e30], F32)
    model = make_model(
        [node("QuantizeLinear", ["x", "s", "z"], ["q"])],
        {"x": (F32, values.shape)},
        {"q": I8},
        {"s": np.array(0.5, F32), "z": np.array(0, I8)},
    )
    agree(model, {"x": values})


def conv_inputs(bias: bool) -> tuple[dict[str, np.ndarray], list[str]]:
    constants = {
        "xs": np.array(0.02, F32), "xz": np.array(120, U8),
        "w": RNG.integers(-127, 127, (4, 3, 3, 3)).astype(I8),
        "ws": np.array([0.01, 0.02, 0.03, 0.04], F32), "wz": np.zeros(4, I8),
        "ys": np.array(0.1, F32), "yz": np.array(100, U8),
        "b": RNG.integers(-500, 500, 4).astype(I32),
    }  # fmt: skip
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", *(["b"] if bias else [])]
    return {name: constants[name] for name in names if name != "x"}, names


@pytest.mark.parametrize("bias", [True, False])
def test_quantized_convolution(make_model: MakeModel, agree: Agree, bias: bool) -> None:
    constants, names = conv_inputs(bias)
    model = make_model(
        [node("QLinearConv", names, ["y"], pads=[1, 1, 1, 1], strides=[2, 2])],
        {"x": (U8, (1, 3, 7, 7))},
        {"y": U8},
        constants,
    )
    module = agree(model, {"x": RNG.integers(0, 255, (1, 3, 7, 7)).astype(U8)})
    assert module.main.results[0].type.quantized == Quantized((float(F32(0.1)),), (100,))
    encodings = [op.result.type.quantized for op in module.walk() if op.name == "core.constant"]
    assert [q.dtype for q in encodings if q is not None] == [DType.F32] * (2 if bias else 1)


@pytest.mark.parametrize("per_column", [True, False])
def test_quantized_matmul(make_model: MakeModel, agree: Agree, per_column: bool) -> None:
    columns = (5,) if per_column else ()
    constants = {
        "as": np.array(0.02, F32), "az": np.array(120, U8),
        "b": RNG.integers(0, 255, (4, 5)).astype(U8),
        "bs": np.full(columns, 0.05, F32), "bz": np.full(columns, 99, U8),
        "ys": np.array(0.5, F32), "yz": np.array(100, U8),
    }  # fmt: skip
    names = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    model = make_model(
        [node("QLinearMatMul", names, ["y"])], {"a": (U8, (3, 4))}, {"y": U8}, constants
    )
    agree(model, {"a": RNG.integers(0, 255, (3, 4)).astype(U8)})


@pytest.mark.parametrize(
    "x", [X, np.abs(X) + 1, np.zeros((2, 3), F32)], ids=["mixed", "positive", "zero"]
)
def test_dynamic_quantization(make_model: MakeModel, agree: Agree, x: np.ndarray) -> None:
    model = make_model(
        [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])],
        {"x": (F32, x.shape)},
        {"q": U8, "s": F32, "z": U8},
    )
    agree(model, {"x": x})


def test_four_bits(make_model: MakeModel) -> None:
    """Against the operator's definition: onnxruntime hands out no four-bit arrays."""
    from onnx import TensorProto, numpy_helper

    weights = np.array([-8, -1, 0, 7])
    model = make_model(
        [node("DequantizeLinear", ["w", "s"], ["f"]), node("Add", ["f", "x"], ["y"])],
        {"x": (F32, (4,))},
        {"y": F32},
        {"s": np.array(0.5, F32)},
        21,
    )
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.INT4, [4], weights))
    assert numpy_helper.to_array(model.graph.initializer[-1]).tolist() == weights.tolist()
    module = import_onnx(model)
    results = interpret(module, {"x": np.zeros(4, F32)})
    np.testing.assert_array_equal(results["y"], weights * F32(0.5))
