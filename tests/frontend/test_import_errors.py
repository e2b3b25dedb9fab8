"""What cannot be imported: everything at once, by node, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from burnish.frontend.onnx import UnsupportedModelError, check, import_onnx, importer
from burnish.frontend.onnx.convert import find_converter
from burnish.ir.errors import Error, ModelError, TypeInferenceError, UnsupportedError

MakeModel = Callable[..., onnx.ModelProto]
F32, I64 = np.float32, np.int64
node = helper.make_node


def body(nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, "body", [], [onnx.ValueInfoProto(name=output)])


@pytest.fixture
def troubled(make_model: MakeModel) -> onnx.ModelProto:
    """Unknown operators, unknown forms, some of them behind others or inside bodies."""
    then = body([node("Mystery", ["m"], ["t"], name="in body")], "t")
    otherwise = body([node("Relu", ["m"], ["e"])], "e")
    return make_model(
        [
            node("ImageDecoder", ["x"], ["nz"], name="first"),
            node("ImageDecoder", ["x"], ["nz2"], name="second"),
            node("Cast", ["nz"], ["m"], to=1),
            node("If", ["b"], ["i"], then_branch=then, else_branch=otherwise),
            node("Mystery", ["i"], ["o"], name='odd "name"\n*/', domain="com.example"),
            node("Reshape", ["x", "shape"], ["r"], name="run-time shape"),
            node("Cast", ["p"], ["text"], to=onnx.TensorProto.STRING, name="to text"),
            node("Relu", ["text"], ["after"]),
        ],
        {"x": (F32, [2, 3]), "b": (np.bool_, []), "shape": (I64, [2]), "p": (F32, [1, 1, 4, 4])},
        {"o": None, "r": F32, "after": None},
    )


def test_everything_unsupported_is_reported_at_once(troubled: onnx.ModelProto) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        import_onnx(troubled)
    rows = {(f.domain, f.op_type): f for f in caught.value.findings}
    assert set(rows) == {
        ("", "ImageDecoder"),
        ("", "Mystery"),
        ("com.example", "Mystery"),
        ("", "Reshape"),
        ("", "Cast"),
    }
    assert rows["", "ImageDecoder"].nodes == ("first", "second")
    assert rows["", "ImageDecoder"].count == 2
    assert rows["", "Mystery"].nodes == ("in body",)
    assert "depends on run-time data" in rows["", "Reshape"].reason
    assert "element type STRING" in rows["", "Cast"].reason
    text = str(caught.value)
    assert text.startswith("error[E-UNSUPPORTED]: 6 nodes of the model cannot be compiled:")
    assert 'ImageDecoder (opset 18), 2 nodes: burnish does not have this operator: "first"' in text
    assert '"odd "name"\\n*/"' in text


def test_check_reports_the_same_without_raising(troubled: onnx.ModelProto) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        import_onnx(troubled)
    assert check(troubled) == list(caught.value.findings)


def test_check_needs_no_bindings(make_model: MakeModel) -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {"x": (F32, ["n", None])}, {"y": F32})
    assert check(model) == []


def test_long_lists_are_clipped(make_model: MakeModel) -> None:
    nodes = [node("ImageDecoder", ["x"], [f"y{i}"], name="n" * 500 + str(i)) for i in range(60)]
    model = make_model(nodes, {"x": (F32, [2])}, {"y0": I64})
    with pytest.raises(UnsupportedModelError) as caught:
        import_onnx(model)
    assert "60 nodes" in str(caught.value)
    assert "and 55 more" in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_functions_of_the_schemas_stand_in_for_operators(
    make_model: MakeModel, agree: Callable[..., Any]
) -> None:
    """NegativeLogLikelihoodLoss has no converter; its schema defines it by simpler operators."""
    model = make_model(
        [node("NegativeLogLikelihoodLoss", ["x", "t"], ["y"], reduction="mean")],
        {"x": (F32, [3, 5]), "t": (I64, [3])},
        {"y": F32},
    )
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(F32)
    agree(model, {"x": x, "t": np.array([1, 0, 4])})


def test_operators_inside_functions_of_schemas_are_named(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_gather(domain: str, op_type: str, version: int) -> object:
        return None if op_type == "GatherElements" else find_converter(domain, op_type, version)

    monkeypatch.setattr(importer, "find_converter", without_gather)
    model = make_model(
        [node("NegativeLogLikelihoodLoss", ["x", "t"], ["y"], name="loss")],
        {"x": (F32, [3, 5]), "t": (I64, [3])},
        {"y": F32},
    )
    (finding,) = check(model)
    assert finding.op_type == "GatherElements"
    assert finding.nodes[0].startswith("loss/")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Add", ["x", "i"], ["y"], name="n")], "operand y is i64"),
        ([node("Add", ["x", "wide"], ["y"], name="n")], "do not broadcast"),
        ([node("Conv", ["x", "x"], ["y"], name="n")], "does not fit"),
        ([node("MatMul", ["x", "x"], ["y"], name="n")], "columns"),
        ([node("Softmax", ["x"], ["y"], axis=2, name="n")], "axis 2 is out of range"),
        ([node("Transpose", ["x"], ["y"], perm=[0, 0], name="n")], "permutation"),
        ([node("Concat", ["x", "x"], ["y"], name="n")], "lacks the attribute axis"),
        ([node("Concat", ["x", "x"], ["y"], axis="0", name="n")], "attribute axis is not of type"),
        ([node("Conv", ["x"], ["y"], name="n")], "inputs given: 1; the operator takes 2 to 3"),
        ([node("Reshape", ["x", "bad"], ["y"], name="n")], "cannot reshape"),
        ([node("Reshape", ["x", "several"], ["y"], name="n")], "several -1"),
        ([node("Cast", ["x"], ["y"], to=999, name="n")], "no element type"),
        ([node("Squeeze", ["x", "one"], ["y"], name="n")], "is not of size 1"),
        ([node("Split", ["x", "bad"], ["y", "z"], name="n")], "do not add up"),
        ([node("If", ["x"], ["y"], name="n")], "lacks the graph attribute"),
        ([node("Pad", ["x", "one"], ["y"], name="n")], "pads for a tensor of rank 2"),
        ([node("Slice", ["x", "one", "bad"], ["y"], name="n")], "differ in length"),
        ([node("Einsum", ["x"], ["y"], equation="i->i", name="n")], "does not fit"),
        ([node("Einsum", ["x"], ["y"], equation="i1->i", name="n")], "malformed"),
        ([node("Resize", ["x", "", "scale"], ["y"], name="n")], "scales for"),
        ([node("OneHot", ["i", "bad", "scale"], ["y"], name="n")], "single number"),
        ([node("LpPool", ["i4"], ["y"], kernel_shape=[2, 2], p=0, name="n")], "p is 0"),
        ([node("RNN", ["x", "x", "x"], ["y"], name="n")], "not of rank 3"),
        ([node("EyeLike", ["i4"], ["y"], name="n")], "not a matrix"),
        ([node("Split", ["x"], ["y"], num_outputs=1 << 40, name="n")], "does not fit 1 outputs"),
        ([node("Relu", [], ["y"], name="n")], "inputs given: 0; the operator takes 1"),
        ([node("Max", [], ["y"], name="n")], "inputs given: 0; the operator takes at least 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].op_type,
)
def test_wrong_nodes_are_named(
    make_model: MakeModel, tmp_path: Path, nodes: list[onnx.NodeProto], message: str
) -> None:
    constants = {
        "bad": np.array([4, 4]),
        "several": np.array([-1, -1]),
        "one": np.array([1]),
        "scale": np.array([2.0], F32),
    }
    inputs = {
        "x": (F32, [2, 3]),
        "i": (I64, [2, 3]),
        "wide": (F32, [2, 4]),
        "i4": (F32, [1, 1, 4, 4]),
    }
    model = make_model(nodes, inputs, {"y": None}, constants)
    path = tmp_path / "wrong.onnx"
    onnx.save(model, path)
    with pytest.raises(Error, match=message) as caught:
        import_onnx(path)
    assert isinstance(caught.value, (ModelError, TypeInferenceError))
    assert caught.value.at == (f'node "n" ({nodes[0].op_type})', str(path))


def test_a_wrongly_declared_output_is_refused(make_model: MakeModel) -> None:
    model = make_model([node("Relu", ["x"], ["y"], name="n")], {"x": (F32, [2])}, {"y": I64})
    with pytest.raises(TypeInferenceError, match='output "y" is declared as i64') as caught:
        import_onnx(model)
    assert caught.value.at[0] == 'node "n" (Relu)'


def test_strings_and_sequences_are_refused_by_name(make_model: MakeModel) -> None:
    model = make_model([node("Identity", ["x"], ["y"])], {"x": (F32, [2])}, {"y": None})
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    with pytest.raises(UnsupportedError, match='input "x" has the element type STRING'):
        import_onnx(model)
    sequence = helper.make_tensor_sequence_value_info("x", 1, [2])
    model.graph.input[0].CopyFrom(sequence)
    with pytest.raises(UnsupportedError, match='input "x" is of kind sequence'):
        import_onnx(model)


def test_constants_made_by_the_importer_are_bounded(make_model: MakeModel) -> None:
    model = make_model(
        [
            node("OneHot", ["i", "depth", "values"], ["y"]),
            node("Range", ["zero", "depth", "one"], ["z"]),
        ],
        {"i": (I64, [2])},
        {"y": F32, "z": I64},
        {
            "depth": np.array(1 << 38),
            "zero": np.array(0),
            "one": np.array(1),
            "values": np.zeros(2, F32),
        },
    )
    assert [finding.reason[:10] for finding in check(model)] == ["it needs a"] * 2


def test_training_forms_are_refused(make_model: MakeModel) -> None:
    model = make_model(
        [
            node("Dropout", ["x", "", "yes"], ["d"]),
            node("BatchNormalization", ["x", "c", "c", "c", "c"], ["b"], training_mode=1),
        ],
        {"x": (F32, [2, 3])},
        {"d": F32, "b": F32},
        {"yes": np.array(True), "c": np.ones(3, F32)},
    )
    assert [finding.reason for finding in check(model)] == ["training mode"] * 2
