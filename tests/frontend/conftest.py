"""Fixtures of the frontend's tests: small ONNX models, and comparison with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import Module, interpret, verify

Arrays = Mapping[str, np.ndarray]


def onnx_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[Any, Sequence[int | str | None]]],
    outputs: Mapping[str, Any],
    initializers: Arrays | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model of ``nodes``; inputs are (NumPy dtype, shape), outputs dtypes (None = undeclared)."""
    code = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        list(nodes),
        "test",
        [
            helper.make_tensor_value_info(name, code(np.dtype(dtype)), list(shape))
            for name, (dtype, shape) in inputs.items()
        ],
        [
            onnx.ValueInfoProto(name=name)
            if dtype is None
            else helper.make_tensor_value_info(name, code(np.dtype(dtype)), None)
            for name, dtype in outputs.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in (initializers or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = min(model.ir_version, 10)
    return model


@pytest.fixture(scope="session")
def make_model() -> Callable[..., onnx.ModelProto]:
    """:func:`onnx_model`."""
    return onnx_model


def expected_by_onnxruntime(model: onnx.ModelProto, inputs: Arrays) -> dict[str, np.ndarray]:
    """Outputs of onnxruntime with graph optimization off."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def assert_close(actual: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    """Equal type and shape; floats within ``tolerance`` of the scale, all else equal."""
    assert actual.dtype == expected.dtype, what
    assert actual.shape == expected.shape, what
    if actual.dtype.kind in "iub":
        np.testing.assert_array_equal(actual, expected, what)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(
        actual.astype(np.float64),
        expected.astype(np.float64),
        0,
        tolerance * max(scale, 1e-6),
        err_msg=what,
    )


@pytest.fixture(scope="session")
def agree() -> Callable[..., Module]:
    """Import a model, interpret it, and compare with onnxruntime; returns the module."""

    def check(
        model: onnx.ModelProto,
        inputs: Arrays,
        tolerance: float = 1e-5,
        dims: Mapping[str, Any] | None = None,
    ) -> Module:
        module = import_onnx(model, dims)
        verify(module)
        actual = interpret(module, inputs)
        expected = expected_by_onnxruntime(model, inputs)
        assert list(module.main.result_names) == list(expected)
        for name, array in expected.items():
            assert_close(actual[name], np.asarray(array), tolerance, name)
        return module

    return check
