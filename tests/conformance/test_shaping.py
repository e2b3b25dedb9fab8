"""Which inputs of a model fix shapes, and the model that knows them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from burnish.conformance import load_suite, with_known_operands
from burnish.shaping import SHAPING_OPERANDS, shaping_inputs, with_initializers


def model(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["a", "b"]),
        helper.make_tensor_value_info("n", TensorProto.INT64, [2]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "shaping", inputs, [output]))


@pytest.mark.parametrize("operator", SHAPING_OPERANDS)
def test_the_table_names_operands_that_there_are(operator: str) -> None:
    history = onnx.defs.get_all_schemas_with_history()
    counts = [len(schema.inputs) for schema in history if schema.name == operator]
    assert counts
    assert max(SHAPING_OPERANDS[operator]) < max(counts)


def test_an_input_that_reaches_a_shape_fixes_it() -> None:
    direct = helper.make_node("Reshape", ["x", "n"], ["y"])
    assert shaping_inputs(model(direct)) == ("n",)
    doubled = helper.make_node("Add", ["n", "n"], ["m"])
    assert shaping_inputs(model(doubled, helper.make_node("Reshape", ["x", "m"], ["y"]))) == ("n",)


def test_data_fixes_no_shape() -> None:
    """Neither the input whose shape is asked for, nor an operand in another place."""
    shape = helper.make_node("Shape", ["n"], ["s"])
    assert shaping_inputs(model(shape, helper.make_node("Expand", ["x", "s"], ["y"]))) == ()
    gather = helper.make_node("Gather", ["x", "n"], ["y"])
    assert shaping_inputs(model(gather)) == ()


def test_an_input_becomes_an_initializer() -> None:
    before = model(helper.make_node("Reshape", ["x", "n"], ["y"]))
    after = with_initializers(before, {"n": np.array([3, 2])})
    assert [value.name for value in after.graph.input] == ["x"]
    assert [tensor.name for tensor in after.graph.initializer] == ["n"]
    assert len(before.graph.input) == 2


def test_the_cases_of_the_suite_lose_these_inputs_and_keep_their_results() -> None:
    (before,) = (case for case in load_suite() if case.name == "test_reshape_zero_dim")
    (after,) = with_known_operands([before])
    (inputs, outputs), *_ = before.load()[1]
    model, ((kept, expected),) = after.load()
    assert after.name == before.name
    assert len(kept) == len(inputs) - 1 == len(model.graph.input)
    np.testing.assert_array_equal(expected, outputs)
