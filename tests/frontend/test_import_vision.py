"""Operators of vision models, caches and scans: against onnxruntime, or onnx.reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from burnish.frontend.onnx import UnsupportedModelError, import_onnx
from burnish.ir import interpret, verify
from burnish.ir.errors import InputError, ModelError

F32, I64 = np.float32, np.int64
Arrays = Mapping[str, np.ndarray]
MakeModel = Callable[..., onnx.ModelProto]


def data(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(low, high, shape).astype(F32)


IMAGE = data(2, 4, 6, 5)
MAXIMA = np.array([[[[5, 7], [13, 15]]]], I64)
OFFSETS = data(1, 2 * 2 * 4, 3, 4, low=-1.5, high=1.5)
BOXES = np.array([[0, 1, 6, 4.5], [2, 2, 9.3, 8]], F32)
NUMBERED = np.array([[0, 0, 1, 6, 4], [1, 2, 2, 9, 8]], F32)
ENTRIES = np.array([1, 0], I64)

CASES: list[tuple[str, int, tuple[np.ndarray, ...], dict[str, Any], int]] = [
    ("MaxPool", 12, (IMAGE,), {"kernel_shape": [2, 3], "strides": [2, 1]}, 2),
    ("MaxPool", 12, (IMAGE,), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, 2),
    ("MaxPool", 12, (IMAGE,), {"kernel_shape": [2, 2], "storage_order": 1}, 2),
    ("MaxPool", 12, (data(1, 2, 4, 3, 5),), {"kernel_shape": [2, 2, 2]}, 2),
    ("MaxUnpool", 11, (data(1, 1, 2, 2), MAXIMA), {"kernel_shape": [2, 2], "strides": [2, 2]}, 1),
    ("GridSample", 16, (IMAGE, data(2, 3, 7, 2)), {}, 1),
    ("GridSample", 16, (IMAGE, data(2, 3, 7, 2)), {"padding_mode": "border"}, 1),
    ("GridSample", 16, (IMAGE, data(2, 3, 7, 2)), {"mode": "bicubic", "align_corners": 1}, 1),
    ("GridSample", 16, (IMAGE, data(2, 3, 7, 2)), {"mode": "nearest"}, 1),
    ("GridSample", 20, (IMAGE, data(2, 3, 7, 2)), {"padding_mode": "reflection"}, 1),
    ("GridSample", 20, (data(1, 2, 3, 4, 5), data(1, 2, 3, 4, 3)), {"align_corners": 1}, 1),
    ("DeformConv", 19, (data(1, 2, 4, 5), data(3, 2, 2, 2), OFFSETS[:, :8]), {}, 1),
    (
        "DeformConv",
        19,
        (data(1, 4, 4, 5), data(4, 2, 2, 2), OFFSETS, data(4), data(1, 8, 3, 4)),
        {"group": 2, "offset_group": 2},
        1,
    ),
    (
        "DeformConv",
        19,
        (data(1, 2, 7, 7), data(2, 2, 2, 2), data(1, 8, 4, 3)),
        {"strides": [2, 3], "pads": [1, 0, 1, 2], "dilations": [2, 1]},
        1,
    ),
    ("RoiAlign", 10, (IMAGE, BOXES, ENTRIES), {"output_height": 2, "output_width": 3}, 1),
    ("RoiAlign", 16, (IMAGE, BOXES, ENTRIES), {"sampling_ratio": 3, "spatial_scale": 0.5}, 1),
    ("MaxRoiPool", 1, (IMAGE, NUMBERED), {"pooled_shape": [2, 3], "spatial_scale": 0.5}, 1),
    ("Det", 11, (data(2, 3, 3),), {}, 1),
    ("CumProd", 26, (data(3, 4), np.array(1, I64)), {"exclusive": 1, "reverse": 1}, 1),
    ("BitCast", 26, (data(3, 4),), {"to": TensorProto.INT32}, 1),
    ("BitCast", 26, (np.arange(4, dtype=np.uint8),), {"to": TensorProto.INT8}, 1),
    ("ReverseSequence", 10, (data(4, 3), np.array([1, 4, 2], I64)), {}, 1),
    ("Hardmax", 13, (data(3, 4),), {"axis": 0}, 1),
    ("EyeLike", 9, (data(3, 4),), {"k": -1, "dtype": TensorProto.INT64}, 1),
    ("TensorScatter", 24, (data(2, 5, 3), data(2, 2, 3)), {}, 1),
    ("TensorScatter", 24, (data(2, 5, 3), data(2, 2, 3), np.array([3, 1], I64)), {}, 1),
    (
        "TensorScatter",
        24,
        (data(2, 3, 4, 5), data(2, 3, 4, 2), np.array([4, 3], I64)),
        {"axis": 3, "mode": "circular"},
        1,
    ),
]
CONSTANT_SHAPES: list[tuple[str, int, tuple[np.ndarray, ...], dict[str, Any]]] = [
    ("Col2Im", 18, (data(1, 5, 5), np.array([5, 5], I64), np.array([1, 5], I64)), {}),
    (
        "Col2Im",
        18,
        (data(2, 12, 9), np.array([5, 4], I64), np.array([3, 2], I64)),
        {"pads": [1, 0, 1, 0], "strides": [2, 1], "dilations": [1, 1]},
    ),
    (
        "Col2Im",
        18,
        (data(1, 8, 27), np.array([4, 4, 4], I64), np.array([2, 2, 2], I64)),
        {"dilations": [1, 1, 1]},
    ),
    ("CenterCropPad", 18, (data(7, 4, 3), np.array([4, 6], I64)), {"axes": [0, 1]}),
    ("AffineGrid", 20, (data(2, 2, 3), np.array([2, 1, 4, 5], I64)), {"align_corners": 1}),
    ("AffineGrid", 20, (data(1, 3, 4), np.array([1, 1, 2, 3, 4], I64)), {}),
]


def reference(model: onnx.ModelProto, inputs: Arrays) -> list[np.ndarray]:
    """Results by onnxruntime where it has a kernel, else by onnx.reference."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, ["CPUExecutionProvider"]
        )
    except Exception:  # it names every reason by a class of its own
        return list(ReferenceEvaluator(model).run(None, dict(inputs)))
    return list(session.run(None, dict(inputs)))


def check(model: onnx.ModelProto, inputs: Arrays) -> None:
    module = import_onnx(model)
    verify(module)
    actual = interpret(module, inputs)
    for found, expected in zip(actual.values(), reference(model, inputs), strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def one_node(
    make_model: MakeModel,
    op: str,
    opset: int,
    arrays: tuple[np.ndarray, ...],
    attributes: Mapping[str, Any],
    *,
    outputs: int = 1,
    constants: bool = False,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    named = {f"x{i}": x for i, x in enumerate(arrays)}
    given = {name: x for name, x in named.items() if name == "x0" or not constants}
    results = [f"y{i}" for i in range(outputs)]
    model = make_model(
        [helper.make_node(op, list(named), results, **attributes)],
        {name: (x.dtype, x.shape) for name, x in given.items()},
        dict.fromkeys(results),
        {name: x for name, x in named.items() if name not in given},
        opset,
    )
    return model, given


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_operator(case: Any, make_model: MakeModel) -> None:
    op, opset, arrays, attributes, outputs = case
    check(*one_node(make_model, op, opset, arrays, attributes, outputs=outputs))


@pytest.mark.parametrize("case", CONSTANT_SHAPES, ids=lambda case: case[0])
def test_operator_with_constant_shapes(case: Any, make_model: MakeModel) -> None:
    check(*one_node(make_model, *case, constants=True))


def test_quantization_without_saturation_overflows(make_model: MakeModel) -> None:
    x = np.array([1.0, 300.0, 1e5], F32)
    zero = np.zeros((), ml_dtypes.float8_e4m3fn)
    arrays = (x, np.array(0.5, F32), zero)
    model, _ = one_node(make_model, "QuantizeLinear", 19, arrays, {"saturate": 0}, constants=True)
    y = interpret(import_onnx(model), {"x0": x})["y0"]
    np.testing.assert_array_equal(y.astype(F32), np.array([2, np.nan, np.nan], F32))


def test_unpooling_to_a_smaller_shape_is_an_error(make_model: MakeModel) -> None:
    arrays = (data(1, 1, 2, 2), MAXIMA, np.array([1, 1, 3, 3], I64))
    model, _ = one_node(
        make_model,
        "MaxUnpool",
        11,
        arrays,
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        constants=True,
    )
    with pytest.raises(ModelError, match="smaller than what the windows imply"):
        import_onnx(model)


def test_images_of_files_are_refused_by_name(make_model: MakeModel) -> None:
    model, _ = one_node(make_model, "ImageDecoder", 20, (np.zeros(8, np.uint8),), {})
    with pytest.raises(UnsupportedModelError, match="ImageDecoder"):
        import_onnx(model)


def test_a_box_of_an_entry_that_does_not_exist(make_model: MakeModel) -> None:
    arrays = (IMAGE, BOXES, np.array([0, 2], I64))
    model, inputs = one_node(make_model, "RoiAlign", 16, arrays, {})
    with pytest.raises(InputError, match="index 2"):
        interpret(import_onnx(model), inputs)


def scan_model(opset: int, shapes: list[Any], attributes: Mapping[str, Any]) -> onnx.ModelProto:
    """A running sum and its doubles: state and entries of two elements."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum_in", "entry"], ["sum_out"]),
            helper.make_node("Add", ["sum_out", "sum_out"], ["double"]),
        ],
        "body",
        [value(n, TensorProto.FLOAT, [2]) for n in ("sum_in", "entry")],
        [value(n, TensorProto.FLOAT, [2]) for n in ("sum_out", "double")],
    )
    inputs = ["start", "x"] if opset > 8 else ["", "start", "x"]
    node = helper.make_node("Scan", inputs, ["y", "z"], num_scan_inputs=1, body=body, **attributes)
    graph = helper.make_graph(
        [node],
        "scan",
        [value(n, TensorProto.FLOAT, s) for n, s in zip(("start", "x"), shapes, strict=True)],
        [value(n, TensorProto.FLOAT, None) for n in ("y", "z")],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize(
    ("opset", "shapes", "attributes"),
    [
        (9, [[2], [3, 2]], {}),
        (16, [[2], [2, 5]], {"scan_input_axes": [1], "scan_output_axes": [1]}),
        (11, [[2], [4, 2]], {"scan_input_directions": [1]}),
        (11, [[2], [4, 2]], {"scan_output_directions": [1], "scan_output_axes": [-1]}),
        (8, [[3, 2], [3, 4, 2]], {}),
        (8, [[1, 2], [1, 4, 2]], {"directions": [1]}),
    ],
)
def test_scan(opset: int, shapes: list[Any], attributes: Mapping[str, Any]) -> None:
    model = scan_model(opset, shapes, attributes)
    check(model, {"start": data(*shapes[0]), "x": data(*shapes[1])})


def test_a_scan_over_nothing_gives_its_initial_state() -> None:
    module = import_onnx(scan_model(9, [[2], [0, 2]], {}))
    start = data(2)
    y, z = interpret(module, {"start": start, "x": data(0, 2)}).values()
    np.testing.assert_array_equal(y, start)
    assert z.shape == (0, 2)


def test_a_scan_over_a_named_dimension() -> None:
    model = scan_model(9, [[2], ["time", 2]], {"scan_input_directions": [1]})
    module = import_onnx(model, {"time": (1, 8)})
    x = data(5, 2)
    y, z = interpret(module, {"start": np.zeros(2, F32), "x": x}).values()
    np.testing.assert_allclose(y, x.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(z, 2 * np.cumsum(x[::-1], axis=0), rtol=1e-5)
