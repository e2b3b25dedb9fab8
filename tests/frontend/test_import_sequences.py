"""Sequences and optionals: followed while a model is imported, gone from the module."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from burnish.frontend.onnx import UnsupportedModelError, import_onnx
from burnish.ir import interpret
from burnish.ir.errors import ModelError

F32 = np.float32
A = np.arange(6, dtype=F32).reshape(2, 3)
B = -A
INPUTS = {"a": (F32, A.shape), "b": (F32, B.shape)}
POSITIONS = {"zero": np.array(0), "one": np.array(1), "last": np.array(-1)}


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


PAIR = node("SequenceConstruct", "a b", "s")


@pytest.mark.parametrize(
    "nodes",
    [
        [PAIR, node("SequenceAt", "s last", "y")],
        [PAIR, node("SequenceInsert", "s a last", "t"), node("SequenceAt", "t one", "y")],
        [PAIR, node("SequenceInsert", "s a", "t"), node("SequenceAt", "t last", "y")],
        [PAIR, node("SequenceErase", "s zero", "t"), node("SequenceAt", "t zero", "y")],
        [PAIR, node("SequenceErase", "s", "t"), node("SequenceAt", "t last", "y")],
        [PAIR, node("ConcatFromSequence", "s", "y", axis=1)],
        [PAIR, node("ConcatFromSequence", "s", "y", axis=-1, new_axis=1)],
        [PAIR, node("Identity", "s", "t"), node("ConcatFromSequence", "t", "y", axis=0)],
        [
            node("SequenceEmpty", "", "e", dtype=TensorProto.FLOAT),
            node("SequenceInsert", "e b", "s"),
            node("SequenceAt", "s zero", "y"),
        ],
        [node("SplitToSequence", "a", "s", axis=1), node("ConcatFromSequence", "s", "y", axis=0)],
        [
            node("SplitToSequence", "a", "s", axis=1, keepdims=0),
            node("ConcatFromSequence", "s", "y", axis=0, new_axis=1),
        ],
        [node("SplitToSequence", "a two", "s", axis=1), node("SequenceAt", "s last", "y")],
        [node("SplitToSequence", "a parts", "s", axis=1), node("SequenceAt", "s last", "y")],
    ],
    ids=lambda nodes: "-".join(n.op_type for n in nodes),
)
def test_agrees_with_onnxruntime(agree, make_model, nodes):
    more = {"two": np.array(2), "parts": np.array([2, 1])}
    model = make_model(nodes, INPUTS, {"y": F32}, {**POSITIONS, **more})
    agree(model, {"a": A, "b": B})


def test_length_is_a_constant(agree, make_model):
    nodes = [PAIR, node("SequenceLength", "s", "y"), node("Add", "a b", "z")]
    agree(make_model(nodes, INPUTS, {"y": np.int64, "z": F32}), {"a": A, "b": B})


def test_sequence_output_becomes_several(make_model):
    """As documented: the elements of ``s`` are the outputs ``s[0]``, ``s[1]``, …."""
    module = import_onnx(make_model([PAIR], INPUTS, {"s": None}))
    outputs = interpret(module, {"a": A, "b": B})
    assert list(outputs) == ["s[0]", "s[1]"]
    np.testing.assert_array_equal(outputs["s[1]"], B)


def test_map_runs_its_body_on_each_element(make_model):
    sequence = helper.make_tensor_sequence_value_info("t", TensorProto.FLOAT, None)
    body = helper.make_graph(
        [node("Mul", "p q", "r")],
        "body",
        [onnx.ValueInfoProto(name="p"), onnx.ValueInfoProto(name="q")],
        [onnx.ValueInfoProto(name="r")],
    )
    nodes = [PAIR, node("SequenceMap", "s b", "t", body=body)]
    model = make_model(nodes, INPUTS, {})
    model.graph.output.append(sequence)
    outputs = interpret(import_onnx(model), {"a": A, "b": B})
    np.testing.assert_array_equal(outputs["t[0]"], A * B)
    np.testing.assert_array_equal(outputs["t[1]"], B * B)


def branch(name, nodes, output):
    return helper.make_graph(nodes, name, [], [onnx.ValueInfoProto(name=output)])


def test_branches_may_give_sequences(agree, make_model):
    """The sequence is taken in from outside by one branch, and made by the other."""
    then = branch("then", [node("SequenceInsert", "s a", "t1")], "t1")
    otherwise = branch("else", [node("SequenceConstruct", "b b a", "t2")], "t2")
    nodes = [
        PAIR,
        node("If", "c", "t", then_branch=then, else_branch=otherwise),
        node("ConcatFromSequence", "t", "y", axis=0),
    ]
    model = make_model(nodes, {**INPUTS, "c": (np.bool_, ())}, {"y": F32})
    for condition in (True, False):
        agree(model, {"a": A, "b": B, "c": np.array(condition)})


def test_branches_must_give_sequences_of_one_length(make_model):
    then = branch("then", [node("SequenceConstruct", "a", "t1")], "t1")
    otherwise = branch("else", [node("SequenceConstruct", "b b", "t2")], "t2")
    nodes = [
        node("If", "c", "t", then_branch=then, else_branch=otherwise),
        node("ConcatFromSequence", "t", "y", axis=0),
    ]
    model = make_model(nodes, {**INPUTS, "c": (np.bool_, ())}, {"y": F32})
    with pytest.raises(UnsupportedModelError, match="branches give different types"):
        import_onnx(model)


def loop_body(*outputs):
    nodes = [
        node("SequenceInsert", "s_in a", "s_out"),
        node("Identity", "c_in", "c_out"),
        node("Cast", "i", "scan", to=TensorProto.FLOAT),
    ]
    return helper.make_graph(
        nodes,
        "body",
        [onnx.ValueInfoProto(name=name) for name in ("i", "c_in", "s_in")],
        [onnx.ValueInfoProto(name=name) for name in ("c_out", "s_out", *outputs)],
    )


def test_loops_that_carry_sequences_are_unrolled(make_model):
    nodes = [
        PAIR,
        node("Loop", "n  s".replace("  ", " _ "), "t k", body=loop_body("scan")),
        node("ConcatFromSequence", "t", "y", axis=0),
    ]
    nodes[1].input[1] = ""
    model = make_model(nodes, INPUTS, {"y": F32, "k": F32}, {"n": np.array(3)})
    outputs = interpret(import_onnx(model), {"a": A, "b": B})
    np.testing.assert_array_equal(outputs["y"], np.concatenate([A, B, A, A, A]))
    np.testing.assert_array_equal(outputs["k"], [0, 1, 2])


def test_loops_of_unknown_length_that_carry_sequences_are_refused(make_model):
    nodes = [PAIR, node("Loop", "n _ s", "t", body=loop_body()), node("SequenceAt", "t zero", "y")]
    nodes[1].input[1] = ""
    model = make_model(nodes, {**INPUTS, "n": (np.int64, ())}, {"y": F32}, POSITIONS)
    with pytest.raises(UnsupportedModelError, match="trip count depends on run-time data"):
        import_onnx(model)


def test_optionals(make_model):
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    nodes = [
        node("Optional", "a", "full"),
        helper.make_node("Optional", [], ["empty"], type=kind),
        node("OptionalHasElement", "full", "x"),
        node("OptionalHasElement", "empty", "y"),
        node("OptionalGetElement", "full", "z"),
    ]
    model = make_model(nodes, INPUTS, {"x": np.bool_, "y": np.bool_, "z": F32})
    outputs = interpret(import_onnx(model), {"a": A, "b": B})
    assert outputs["x"]
    assert not outputs["y"]
    np.testing.assert_array_equal(outputs["z"], A)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([PAIR, node("SequenceAt", "s two", "y")], "position 2 is outside a sequence of 2"),
        ([PAIR, node("Relu", "a", "r"), node("SequenceAt", "r zero", "y")], "no sequence"),
        ([node("SequenceEmpty", "", "s"), node("ConcatFromSequence", "s", "y", axis=0)], "empty"),
        ([node("SequenceEmpty", "", "s"), node("SequenceErase", "s", "y")], "erases"),
    ],
)
def test_broken_models_are_reported(make_model, nodes, message):
    model = make_model(nodes, INPUTS, {"y": None}, {**POSITIONS, "two": np.array(2)})
    with pytest.raises(ModelError, match=message):
        import_onnx(model)


def test_tensor_operators_refuse_sequences(make_model):
    model = make_model([PAIR, node("Relu", "s", "y")], INPUTS, {"y": F32})
    with pytest.raises(UnsupportedModelError, match="input 0 is a sequence of 2, not a tensor"):
        import_onnx(model)
