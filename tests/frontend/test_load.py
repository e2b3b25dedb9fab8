"""What load_model reads and how it normalizes it; bad input is in test_hostile.py."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.frontend.onnx.constants import constant_value
from burnish.frontend.onnx.graph import DeclaredType, Graph, LoadedModel, Node
from burnish.frontend.onnx.load import load_model
from burnish.frontend.onnx.schemas import schema_function_body
from burnish.frontend.onnx.tensors import ELEMENT_TYPES, Tensor
from burnish.ir.dtypes import DType
from burnish.ir.errors import ModelError

FLOAT = TensorProto.FLOAT


def value(name: str, shape: list[int | str | None] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, [1, 4] if shape is None else shape)


def model(
    nodes: list[onnx.NodeProto],
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
    initializers: tuple[onnx.TensorProto, ...] = (),
    functions: tuple[onnx.FunctionProto, ...] = (),
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "main", [value(n) for n in inputs], [value(n) for n in outputs], initializers
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=9)


def function(
    name: str,
    inputs: list[str],
    outputs: list[str],
    nodes: list[onnx.NodeProto],
    attributes: list[str] | None = None,
    defaults: list[onnx.AttributeProto] | None = None,
) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    return helper.make_function(
        "local", name, inputs, outputs, nodes, opsets, attributes or [], defaults or []
    )


def reference(name: str, of: str, kind: int) -> onnx.AttributeProto:
    attribute = onnx.AttributeProto()
    attribute.name, attribute.ref_attr_name = name, of
    attribute.type = kind
    return attribute


def one_node(*attributes: onnx.AttributeProto) -> Node:
    node = helper.make_node("Constant", [], ["y"])
    node.attribute.extend(attributes)
    return load_model(model([node], inputs=())).graph.nodes[0]


def tensor_of(proto: onnx.TensorProto) -> Tensor:
    proto.name = "w"
    graph = load_model(model([helper.make_node("Relu", ["x"], ["y"])], initializers=(proto,))).graph
    return graph.initializers["w"]


def test_sources_agree(tmp_path: Path) -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"], name="r")])
    proto.producer_name = "tool"
    helper.set_model_props(proto, {"key": "text"})
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())

    def summary(loaded: LoadedModel) -> object:
        nodes = [(n.name, n.op_type, n.inputs, n.outputs, n.version) for n in loaded.graph.nodes]
        return nodes, loaded.opsets, loaded.metadata, loaded.ir_version, loaded.producer

    loaded = [load_model(source) for source in (proto, path, str(path), path.read_bytes())]
    assert [m.name for m in loaded] == ["model", "net.onnx", "net.onnx", "model"]
    assert [m.path for m in loaded] == [None, path, path, None]
    assert all(summary(m) == summary(loaded[0]) for m in loaded)
    assert summary(loaded[0]) == (
        [("r", "Relu", ("x",), ("y",), 17)], {"": 17, "local": 1}, {"key": "text"}, 9, "tool"
    )  # fmt: skip


def test_declared_types() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])])
    del proto.graph.input[:]
    proto.graph.input.extend(
        [
            value("x", [1, "batch", None, -1, "?"]),
            helper.make_tensor_value_info("rankless", TensorProto.INT4, None),
            helper.make_tensor_value_info("text", TensorProto.STRING, []),
            helper.make_tensor_sequence_value_info("list", FLOAT, None),
            onnx.ValueInfoProto(name="untyped"),
        ]
    )
    types = {v.name: v.type for v in load_model(proto).graph.inputs}
    assert types["x"] == DeclaredType("tensor", "FLOAT", DType.F32, (1, "batch", None, None, None))
    assert types["rankless"] == DeclaredType("tensor", "INT4", DType.I4, None)
    assert types["text"] == DeclaredType("tensor", "STRING", None, ())
    assert types["list"].kind == "sequence"
    assert types["untyped"] == DeclaredType()


def test_ir3_initializers_are_no_inputs() -> None:
    weight = numpy_helper.from_array(np.ones((1, 4), np.float32), "w")
    proto = model([helper.make_node("Add", ["x", "w"], ["y"])], ("x", "w"), initializers=(weight,))
    for version in (3, 4, 9):
        proto.ir_version = version
        graph = load_model(proto).graph
        assert [v.name for v in graph.inputs] == ["x"]
        assert list(graph.initializers) == ["w"]


def test_unnamed_nodes_get_type_and_index() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Abs", ["a"], ["y"])]
    assert [n.name for n in load_model(model(nodes)).graph.nodes] == ["Relu#0", "Abs#1"]


def test_nodes_are_sorted_and_otherwise_keep_their_order() -> None:
    nodes = [
        helper.make_node("Add", ["b", "a"], ["y"]),
        helper.make_node("Relu", ["x"], ["b"]),
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("Neg", ["x"], ["unused"]),
    ]
    graph = load_model(model(nodes)).graph
    assert [n.op_type for n in graph.nodes] == ["Relu", "Abs", "Add", "Neg"]
    assert [n.index for n in graph.nodes] == [1, 2, 0, 3]


def branch(name: str, *nodes: onnx.NodeProto, output: str) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), name, [], [value(output)])


def test_bodies_see_outer_values_and_order_counts_captures() -> None:
    then = branch("then", helper.make_node("Relu", ["late"], ["t"]), output="t")
    other = branch("else", output="late")
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
        helper.make_node("Abs", ["x"], ["late"]),
    ]
    graph = load_model(model(nodes, ("x", "c"))).graph
    assert [n.op_type for n in graph.nodes] == ["Abs", "If"]
    bodies = dict(graph.nodes[1].subgraphs())
    assert bodies["then_branch"].captures == bodies["else_branch"].captures == ("late",)
    assert bodies["then_branch"].nodes[0].name == "Relu#1"


def test_functions_are_inlined_with_attributes_defaults_and_optional_values() -> None:
    leaky = helper.make_node("LeakyRelu", ["a"], ["b"], name="leaky")
    leaky.attribute.append(reference("alpha", "slope", onnx.AttributeProto.FLOAT))
    clip = helper.make_node("Clip", ["b", "low", "high"], ["c"], name="clip")
    inner = function(
        "Inner", ["a", "low", "high"], ["c", "b"], [leaky, clip],
        defaults=[helper.make_attribute("slope", 0.5)],
    )  # fmt: skip
    call = helper.make_node("Inner", ["p", "", "top"], ["q"], domain="local", name="in")
    call.attribute.append(reference("slope", "steep", onnx.AttributeProto.FLOAT))
    outer = function("Outer", ["p", "top"], ["q"], [call], attributes=["steep"])
    nodes = [
        helper.make_node("Outer", ["x", "t"], ["m"], domain="local", name="first", steep=2.0),
        helper.make_node("Outer", ["m", "t"], ["y"], domain="local", name="second"),
    ]
    loaded = load_model(model(nodes, ("x", "t"), functions=(inner, outer)))
    graph = loaded.graph
    assert [n.name for n in graph.nodes] == [
        "first/in/leaky", "first/in/clip", "second/in/leaky", "second/in/clip"
    ]  # fmt: skip
    assert [n.attributes.get("alpha") for n in graph.nodes[::2]] == [2.0, 0.5]
    assert graph.nodes[1].inputs == (graph.nodes[0].outputs[0], "", "t")
    assert graph.nodes[3].outputs == ("y",)
    assert {n.version for n in graph.nodes} == {18}
    values = [name for n in graph.nodes for name in n.outputs]
    assert len(set(values)) == 4
    assert loaded.names.fresh("y") == "y_1"


def test_function_giving_out_its_input_or_one_value_twice() -> None:
    pair = function("Pair", ["a"], ["a", "b", "b"], [helper.make_node("Relu", ["a"], ["b"])])
    call = helper.make_node("Pair", ["x"], ["same", "y", "z"], domain="local")
    proto = model([call], outputs=("same", "y", "z"), functions=(pair,))
    nodes = load_model(proto).graph.nodes
    assert [(n.op_type, n.inputs, n.outputs) for n in nodes] == [
        ("Relu", ("x",), ("y",)),
        ("Identity", ("x",), ("same",)),
        ("Identity", ("y",), ("z",)),
    ]


def test_function_with_bodies_renames_what_they_capture() -> None:
    then = branch("then", helper.make_node("Relu", ["a"], ["t"]), output="t")
    other = branch("else", helper.make_node("Abs", ["k"], ["e"]), output="e")
    body = [
        helper.make_node("Neg", ["a"], ["k"]),
        helper.make_node("If", ["c"], ["r"], then_branch=then, else_branch=other),
    ]
    call = helper.make_node("F", ["x", "c"], ["y"], domain="local", name="f")
    proto = model([call], ("x", "c"), functions=(function("F", ["a", "c"], ["r"], body),))
    neg, cond = load_model(proto).graph.nodes
    bodies = dict(cond.subgraphs())
    assert bodies["then_branch"].nodes[0].inputs == ("x",)
    assert bodies["else_branch"].nodes[0].inputs == neg.outputs == ("f/k",)
    assert bodies["else_branch"].outputs[0].name == bodies["else_branch"].nodes[0].outputs[0]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("value", numpy_helper.from_array(np.array([1, 2], np.int8)), np.array([1, 2], np.int8)),
        ("value_float", 1.5, np.array(1.5, np.float32)),
        ("value_floats", [1.5, 2.0], np.array([1.5, 2.0], np.float32)),
        ("value_int", 3, np.array(3, np.int64)),
        ("value_ints", [3, 4], np.array([3, 4], np.int64)),
        ("value_string", "é", np.array("é", object)),
        ("value_strings", ["a", "b"], np.array(["a", "b"], object)),
        (
            "sparse_value",
            helper.make_sparse_tensor(
                numpy_helper.from_array(np.array([5.0, 6.0], np.float32)),
                numpy_helper.from_array(np.array([[0, 1], [1, 0]], np.int64)),
                [2, 2],
            ),
            np.array([[0, 5], [6, 0]], np.float32),
        ),
    ],
)
def test_constant_forms(name: str, given: object, expected: np.ndarray) -> None:
    array = constant_value(one_node(helper.make_attribute(name, given)))
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)
    assert not array.flags.writeable


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [helper.make_attribute("value_int", 1), helper.make_attribute("value_float", 1.0)],
        [helper.make_attribute("value_int", "one")],
        [helper.make_attribute("value_ints", 1)],
        [helper.make_attribute("value", 1)],
        [helper.make_attribute("values", 1)],
    ],
)
def test_constant_without_one_good_value(attributes: list[onnx.AttributeProto]) -> None:
    with pytest.raises(ModelError, match="Constant"):
        constant_value(one_node(*attributes))


CODES = [c for c, row in ELEMENT_TYPES.items() if row.dtype is not None]


def samples(code: int) -> np.ndarray:
    dtype = ELEMENT_TYPES[code].dtype
    assert dtype is not None
    values = np.array([[0, 1, -1], [2, 0, 1], [1, 1, -2]])  # nine: packed types end mid-byte
    if dtype.kind.name in ("UINT", "BOOL") or dtype is DType.F8E8M0:
        values = np.abs(values)
    if dtype is DType.I2:
        values = np.clip(values, -2, 1)
    if dtype is DType.F8E8M0:
        values = np.maximum(values, 1)
    return values.astype(dtype.numpy)


@pytest.mark.parametrize("code", CODES, ids=lambda c: ELEMENT_TYPES[c].name)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_every_element_type(code: int, raw: bool) -> None:
    expected = samples(code)
    if raw:
        proto = numpy_helper.from_array(expected, "w")
        assert proto.data_type == code
    else:
        proto = helper.make_tensor("w", code, expected.shape, expected.flatten())
        assert not proto.HasField("raw_data")
    tensor = tensor_of(proto)
    assert tensor.dtype is ELEMENT_TYPES[code].dtype
    assert tensor.array.dtype == expected.dtype
    np.testing.assert_array_equal(tensor.array, expected)
    np.testing.assert_array_equal(tensor.array, numpy_helper.to_array(proto))
    assert not tensor.array.flags.writeable


def test_strings_and_empty_tensors() -> None:
    tensor = tensor_of(helper.make_tensor("w", TensorProto.STRING, [2], [b"a", "ü".encode()]))
    assert tensor.dtype is None
    assert tensor.array.tolist() == ["a", "ü"]
    assert tensor_of(numpy_helper.from_array(np.zeros((0, 3), np.float32))).array.shape == (0, 3)
    assert tensor_of(helper.make_tensor("w", FLOAT, [0], [])).array.shape == (0,)
    assert tensor_of(helper.make_tensor("w", FLOAT, [], [2.0])).array.item() == 2.0


def test_sparse_initializer() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])])
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([7], np.int32), "s"),
        numpy_helper.from_array(np.array([4], np.int64)),
        [2, 3],
    )
    proto.graph.sparse_initializer.append(sparse)
    array = load_model(proto).graph.initializers["s"].array
    np.testing.assert_array_equal(array, np.array([[0, 0, 0], [0, 7, 0]], np.int32))


def body_of(op: str, version: int, inputs: int, **attributes: object) -> list[Node] | None:
    names = tuple("xyz"[:inputs])
    node = helper.make_node(op, list(names), ["out"], name="n", **attributes)
    loaded = load_model(model([node], names, ("out",), opset=version))
    types = [v.type for v in loaded.graph.inputs]
    return schema_function_body(loaded.graph.nodes[0], loaded.names, types)


def test_schema_functions() -> None:
    # A fixed function, with the schema's default for an attribute that the node leaves out.
    nodes = body_of("MeanVarianceNormalization", 13, 1)
    assert nodes
    assert nodes[-1].outputs == ("out",)
    assert any("x" in n.inputs for n in nodes)
    axes = [n.attributes["axes"] for n in nodes if n.op_type == "ReduceMean"]
    assert axes
    assert set(axes) == {(0, 2, 3)}
    # One that depends on the node and its types.
    nodes = body_of("LayerNormalization", 17, 3, axis=-1)
    assert nodes
    values = [name for node in nodes for name in node.outputs]
    assert sorted(name for name in values if not name.startswith("n/")) == ["out"]
    # None at all, and one without the types it depends on.
    assert body_of("Conv", 17, 2) is None
    softmax = load_model(model([helper.make_node("LayerNormalization", ["x", "y"], ["out"])],
                               ("x", "y"), ("out",)))  # fmt: skip
    assert schema_function_body(softmax.graph.nodes[0], softmax.names) is None


def test_schema_function_takes_the_form_of_its_operator_set() -> None:
    old, new = body_of("Softmax", 13, 1, axis=1), body_of("Softmax", 18, 1, axis=1)
    assert old
    assert new
    maximum = [next(n for n in nodes if n.op_type == "ReduceMax") for nodes in (old, new)]
    assert [len(n.inputs) for n in maximum] == [1, 2]
    assert [n.version for n in maximum] == [13, 18]


def chain(length: int) -> onnx.ModelProto:
    names = ["x", *(f"v{i}" for i in range(length - 1)), "y"]
    return model([helper.make_node("Relu", [names[i]], [names[i + 1]]) for i in range(length)])


@pytest.mark.parametrize("reverse", [False, True])
def test_loading_twice_the_nodes_is_twice_the_work(
    reverse: bool, work: Callable[[Callable[[], object]], int]
) -> None:
    def made(length: int) -> onnx.ModelProto:
        proto = chain(length)
        if reverse:
            nodes = list(proto.graph.node)[::-1]
            del proto.graph.node[:]
            proto.graph.node.extend(nodes)
        return proto

    small, large = made(2_000), made(4_000)
    assert len(load_model(small).graph.nodes) == 2_000
    assert work(lambda: load_model(large)) < 2.1 * work(lambda: load_model(small))


def test_large_weights_are_views_of_the_file(tmp_path: Path) -> None:
    """A model of 256 MiB is mapped: not even one copy of it is made."""
    count = 64 << 20
    proto = model([helper.make_node("Relu", ["x"], ["y"])])
    tensor = proto.graph.initializer.add(name="w", data_type=FLOAT, dims=[count])
    tensor.raw_data = b"\xff" * 4096
    content = proto.SerializeToString()
    path = tmp_path / "big.onnx"
    _write_with_payload(path, proto, count * 4)
    assert path.stat().st_size > len(content) + 4 * count - 8192
    tracemalloc.start()
    array = load_model(path).graph.initializers["w"].array
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert array.shape == (count,)
    assert array[0] == array[-1] == 0
    assert peak < 1 << 20


def _varint(number: int) -> bytes:
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def _field(number: int, content: bytes, hole: int = 0) -> bytes:
    """A length-delimited field whose content is followed by ``hole`` bytes not given here."""
    return _varint(number << 3 | 2) + _varint(len(content) + hole) + content


def _write_with_payload(path: Path, proto: onnx.ModelProto, size: int) -> None:
    """Write ``proto`` with its only initializer last and its payload a hole of ``size`` bytes."""
    graph, tensor = onnx.GraphProto(), onnx.TensorProto()
    graph.CopyFrom(proto.graph)
    tensor.CopyFrom(graph.initializer[0])
    del graph.initializer[:]
    tensor.ClearField("raw_data")
    header = onnx.ModelProto()
    header.CopyFrom(proto)
    header.ClearField("graph")
    raw = _field(9, b"", size)
    inner = _field(5, tensor.SerializeToString() + raw, size)
    body = _field(7, graph.SerializeToString() + inner, size)
    with path.open("wb") as file:
        file.write(header.SerializeToString() + body)
        file.truncate(file.tell() + size)


def test_more_than_two_gigabytes_inside_the_file(tmp_path: Path) -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])])
    proto.graph.initializer.add(name="w", data_type=FLOAT, dims=[3 << 28])
    path = tmp_path / "big.onnx"
    _write_with_payload(path, proto, 3 << 30)
    array = load_model(path).graph.initializers["w"].array
    assert array.nbytes == 3 << 30
    assert array[-1] == 0


def test_small_and_large_payloads_survive_the_cut(tmp_path: Path) -> None:
    """Weights in initializers, in Constant nodes and in bodies, below and above the threshold."""
    arrays = {f"w{n}": np.arange(n, dtype=np.float32) for n in (3, 1023, 1024, 5000)}
    weights = tuple(numpy_helper.from_array(array, name) for name, array in arrays.items())
    constant = helper.make_node("Constant", [], ["k"], value=weights[3])
    inner = helper.make_node("Constant", [], ["t"], value=weights[2])
    then = branch("then", inner, output="t")
    nodes = [
        constant,
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=branch("e", output="k")),
    ]
    path = tmp_path / "m.onnx"
    path.write_bytes(model(nodes, ("c",), initializers=weights).SerializeToString())
    graph = load_model(path).graph
    for name, array in arrays.items():
        np.testing.assert_array_equal(graph.initializers[name].array, array)
    np.testing.assert_array_equal(constant_value(graph.nodes[0]), arrays["w5000"])
    body = dict(graph.nodes[1].subgraphs())["then_branch"]
    assert isinstance(body, Graph)
    np.testing.assert_array_equal(constant_value(body.nodes[0]), arrays["w1024"])


@pytest.mark.parametrize("kind", ["models", "zoo"])
def test_shared_models_load(shared: Path, kind: str) -> None:
    paths = sorted((shared / kind).glob("*/*.onnx"))
    assert paths
    for path in paths:
        graph = load_model(path).graph
        reference = onnx.load(path)
        for proto in reference.graph.initializer:
            expected = numpy_helper.to_array(proto)
            np.testing.assert_array_equal(graph.initializers[proto.name].array, expected)
