"""The standard interface of ONNX backends, and the runner of ONNX's test suite."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.backend.base import Backend
from onnx.backend.test import BackendTest

import burnish.onnx_backend as backend
from burnish import conformance
from burnish.conformance import ERROR, MISMATCH, PASSED, REFUSED, Case, load_suite, run_suite
from burnish.frontend.onnx import import_onnx
from burnish.ir.errors import DimensionError, InputError, UnsupportedError, UsageError

RELU = helper.make_node("Relu", ["x"], ["y"])
X = np.array([-1, 0, 2], np.float32)


def relu_model(*shape: int | str) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in "xy"]
    graph = helper.make_graph([RELU], "relu", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


@pytest.mark.parametrize("engine", backend.ENGINES)
def test_a_model_runs(engine: str) -> None:
    model = relu_model(3)
    rep = backend.prepare(model, engine=engine)
    for inputs in ([X], (X,), {"x": X}):
        (y,) = rep.run(inputs)
        np.testing.assert_array_equal(y, [0, 0, 2])
    (y,) = backend.run_model(model, [X], engine=engine)
    np.testing.assert_array_equal(y, [0, 0, 2])


@pytest.mark.parametrize("engine", backend.ENGINES)
def test_a_node_runs(engine: str) -> None:
    (y,) = backend.run_node(RELU, [X], engine=engine)
    np.testing.assert_array_equal(y, [0, 0, 2])
    (y,) = backend.run_node(RELU, [X], engine=engine, opset_version=1)
    np.testing.assert_array_equal(y, [0, 0, 2])


@pytest.mark.parametrize("engine", backend.ENGINES)
def test_open_dimensions_take_the_sizes_of_the_inputs(engine: str) -> None:
    rep = backend.prepare(relu_model("n"), engine=engine)
    for size in (3, 2, 3):
        (y,) = rep.run([X[:size]])
        np.testing.assert_array_equal(y, np.maximum(X[:size], 0))


def nested_model(op_type: str, type_: onnx.TypeProto) -> onnx.ModelProto:
    """A model of one node on an input ``s`` of a type that is no tensor."""
    attributes = {"axis": 0} if op_type == "ConcatFromSequence" else {}
    node = helper.make_node(op_type, ["s"], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "nested",
        [helper.make_value_info("s", type_)],
        [helper.make_empty_tensor_value_info("y")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


TENSOR = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])


@pytest.mark.parametrize("engine", backend.ENGINES)
def test_sequences_take_the_form_of_the_inputs(engine: str) -> None:
    model = nested_model("ConcatFromSequence", helper.make_sequence_type_proto(TENSOR))
    rep = backend.prepare(model, engine=engine)
    for parts in ([X, X[:1]], [X], [X[:2], X, X[:1]]):
        (y,) = rep.run([parts])
        np.testing.assert_array_equal(y, np.concatenate(parts))


@pytest.mark.parametrize("engine", backend.ENGINES)
def test_optionals_take_the_form_of_the_inputs(engine: str) -> None:
    model = nested_model("OptionalHasElement", helper.make_optional_type_proto(TENSOR))
    rep = backend.prepare(model, engine=engine)
    for content in (X, None, X[:1]):
        (y,) = rep.run([content])
        assert y == (content is not None)


def test_what_is_no_form_of_a_sequence_is_refused() -> None:
    model = nested_model("ConcatFromSequence", helper.make_sequence_type_proto(TENSOR))
    with pytest.raises(DimensionError, match='"s" is a sequence, which needs the shapes'):
        import_onnx(model, {"s": 3})
    with pytest.raises(UnsupportedError, match='"s" is of kind sequence'):
        import_onnx(model)


def test_names_of_elements_must_be_free() -> None:
    model = nested_model("ConcatFromSequence", helper.make_sequence_type_proto(TENSOR))
    model.graph.input.append(helper.make_tensor_value_info("s[0]", TensorProto.FLOAT, [1]))
    with pytest.raises(UnsupportedError, match=r'two inputs of the model are called "s\[0\]"'):
        import_onnx(model, {"s": [(1,)]})


def test_dimensions_can_be_bound() -> None:
    rep = backend.prepare(relu_model("n"), dims={"n": 2})
    with pytest.raises(InputError, match="shape"):
        rep.run([X])


def test_what_cannot_be_run_is_said() -> None:
    with pytest.raises(UsageError, match="no device CUDA"):
        backend.prepare(relu_model(3), device="CUDA")
    with pytest.raises(UsageError, match="no engine gpu"):
        backend.prepare(relu_model(3), engine="gpu")
    with pytest.raises(InputError, match="2 inputs, but the model takes 1"):
        backend.prepare(relu_model(3)).run([X, X])
    with pytest.raises(InputError, match="0 inputs, but the node takes 1"):
        backend.run_node(RELU, [])
    with pytest.raises(UnsupportedError, match="Nonsense"):
        backend.run_node(helper.make_node("Nonsense", ["x"], ["y"]), [X])


def test_devices() -> None:
    assert backend.supports_device("CPU")
    assert backend.supports_device("CPU:0")
    assert not backend.supports_device("CUDA")
    assert not backend.supports_device("nonsense")
    assert issubclass(backend.BurnishBackend, Backend)


def test_the_interface_is_there_without_importing_it() -> None:
    code = "import burnish; print(burnish.onnx_backend.supports_device('CPU'))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.split() == [b"True"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # onnx computes its own infinities
def test_the_suite_takes_the_module_as_a_backend() -> None:
    tests = BackendTest(backend, __name__)
    tests.include("^test_relu_cpu$|^test_relu_cuda$")
    result = unittest.TestResult()
    for case in tests.test_cases.values():
        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.failures == result.errors == []
    skipped = {test.id().rpartition(".")[2] for test, _ in result.skipped}
    assert "test_relu_cuda" in skipped
    assert "test_relu_cpu" not in skipped


def relu_case(**changes: Any) -> Case:
    case = next(case for case in load_suite() if case.name == "test_relu")
    return replace(case, **changes)


def altered(value: float) -> Any:
    model, data = relu_case().load()
    return model, [(inputs, [outputs[0] + value]) for inputs, outputs in data]


def string_model() -> Any:
    x = helper.make_tensor_value_info("x", TensorProto.STRING, [1])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "s", [x], [y])
    return helper.make_model(graph), []


def crash() -> Any:
    os._exit(7)


def test_what_becomes_of_cases() -> None:
    cases = [
        relu_case(),
        relu_case(load=lambda: altered(1.0)),
        relu_case(load=string_model),
        relu_case(load=crash),
        relu_case(load=lambda: relu_case().load()[0].no_such_field),
        relu_case(),
    ]
    outcomes = run_suite(cases, "interpreter", processes=2)
    expected = [PASSED, MISMATCH, REFUSED, ERROR, ERROR, PASSED]
    assert [outcome.status for outcome in outcomes] == expected
    assert "Not equal to tolerance" in outcomes[1].reason
    assert "STRING" in outcomes[2].reason
    assert outcomes[3].reason == "it ended the process (status 7)"
    assert outcomes[4].reason.startswith("AttributeError")


def test_a_case_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(conformance, "TIME_LIMIT", 0.5)
    cases = [relu_case(load=lambda: time.sleep(60)), relu_case()]
    outcomes = run_suite(cases, "interpreter", processes=1)
    assert [outcome.status for outcome in outcomes] == [ERROR, PASSED]
    assert "longer than" in outcomes[0].reason
