"""Broken and hostile models: each gets one clear burnish error, or loads safely."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from burnish.frontend.onnx import functions
from burnish.frontend.onnx.constants import constant_value
from burnish.frontend.onnx.graph import Graph
from burnish.frontend.onnx.load import load_model
from burnish.frontend.onnx.schemas import schema_function_body
from burnish.frontend.onnx.tensors import Tensor
from burnish.ir.errors import Error, ModelError, UnsupportedError, UsageError

FLOAT = TensorProto.FLOAT


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, [1, 4])


def small_model() -> onnx.ModelProto:
    """x → Add w → Relu → If, with a constant, a function and a body: a bit of everything."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["b"], [f"{name}_out"], name=f"{name}_{op}")],
            name,
            [],
            [value(f"{name}_out")],
        )
        for name, op in (("then", "Abs"), ("else", "Neg"))
    }
    leaky = helper.make_node("LeakyRelu", ["p"], ["q"])
    leaky.attribute.append(
        AttributeProto(name="alpha", ref_attr_name="slope", type=AttributeProto.FLOAT)
    )
    nodes = [
        helper.make_node("Add", ["x", "w"], ["a"], name="add"),
        helper.make_node("Leak", ["a"], ["b"], name="leak", domain="local", slope=0.5),
        helper.make_node("Constant", [], ["c"], name="cond", value_int=1),
        helper.make_node("If", ["c"], ["y"], name="if", **branches),
    ]
    weight = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    function = helper.make_function("local", "Leak", ["p"], ["q"], [leaky], opsets, ["slope"])
    graph = helper.make_graph(nodes, "main", [value("x")], [value("y")], [weight])
    return helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=9)


VALID = small_model().SerializeToString()


def touch_everything(source: bytes | onnx.ModelProto | Path) -> None:
    """Load a model and use all that is lazy in it."""
    loaded = load_model(source)

    def touch(graph: Graph) -> None:
        for tensor in graph.initializers.values():
            assert tensor.array.shape == tensor.shape
        for node in graph.nodes:
            str(node)
            for attribute in node.attributes.values():
                if isinstance(attribute, Tensor):
                    assert attribute.array.shape == attribute.shape
            if node.op_type == "Constant":
                with contextlib.suppress(ModelError):
                    constant_value(node)
            schema_function_body(node, loaded.names)
            for _, body in node.subgraphs():
                touch(body)

    touch(loaded.graph)


def test_the_small_model_is_valid() -> None:
    onnx.checker.check_model(small_model())
    touch_everything(VALID)


# Files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (VALID[: len(VALID) // 2], "truncated"),
        (VALID[:-1], "truncated"),
        (VALID[3:], "no ONNX model|truncated"),
        (b"hello, this is a text file\n" * 50, "it is text"),
        (b'{"irVersion": "9", "graph": {}}', "JSON"),
        (b"ir_version: 9\ngraph {\n}\n", "protobuf text"),
        (b'<ir_version: 9, opset_import: ["" : 17]> g (float[1] x) => (y) {}', "ONNX text"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
        (b"PK\x03\x04" + bytes(50), "zip"),
        (b"\x1f\x8b\x08\x00" + bytes(50), "gzip"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(50), "TensorFlow Lite"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        (bytes(200), "no ONNX model|truncated"),
        (b"\xff" * 200, "truncated or damaged"),
        (small_model().graph.SerializeToString(), "no ONNX model|truncated"),
        (numpy_helper.from_array(np.zeros(9), "t").SerializeToString(), "no ONNX model|truncated"),
        (onnx.ModelProto(ir_version=9).SerializeToString(), "no graph"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(ModelError, match=words) as caught:
            load_model(source)
        assert caught.value.help
        assert caught.value.at[-1] == (str(path) if source is path else "model")


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(VALID)
    with pytest.raises(ModelError, match="folder, not a model file") as caught:
        load_model(tmp_path)
    assert "net.onnx" in caught.value.help
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path / "absent.onnx")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="no regular file"):
        load_model(tmp_path / "pipe")
    for path in ("/dev/zero", "/dev/null"):
        with pytest.raises(ModelError, match="no regular file"):
            load_model(path)
    for path in ("a\0b.onnx", "x" * 10_000, str(tmp_path / "net.onnx" / "x")):
        with pytest.raises(ModelError, match="cannot be read"):
            load_model(path)
    with pytest.raises(UsageError, match="not int"):
        load_model(3)  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(VALID)
    path.chmod(0)
    with pytest.raises(ModelError, match="cannot be read: Permission"):
        load_model(path)


# Models: each function breaks the small valid one


Break = Callable[[onnx.ModelProto], object]


def tensor(m: onnx.ModelProto, **fields: object) -> None:
    """Replace the fields of the initializer ``w``."""
    weight = m.graph.initializer[0]
    weight.Clear()
    weight.MergeFrom(TensorProto(**{"name": "w", "data_type": FLOAT, "dims": [4], **fields}))


def add_node(
    m: onnx.ModelProto, op: str, inputs: list[str], outputs: list[str], **a: object
) -> None:
    m.graph.node.append(helper.make_node(op, inputs, outputs, name=f"new_{op}", **a))


def cycle(m: onnx.ModelProto) -> None:
    add_node(m, "Add", ["b", "loop2"], ["loop1"])
    add_node(m, "Exp", ["loop1"], ["loop2"])


def self_cycle(m: onnx.ModelProto) -> None:
    add_node(m, "Add", ["x", "s"], ["s"])


def cycle_through_body(m: onnx.ModelProto) -> None:
    m.graph.node[3].attribute[0].g.node[0].input[0] = "y"


def recursive_functions(m: onnx.ModelProto) -> None:
    m.functions[0].node[0].op_type, m.functions[0].node[0].domain = "Leak", "local"


def mutually_recursive_functions(m: onnx.ModelProto) -> None:
    other = m.functions.add()
    other.CopyFrom(m.functions[0])
    other.name = "Other"
    for function, callee in ((m.functions[0], "Other"), (other, "Leak")):
        function.node[0].op_type, function.node[0].domain = callee, "local"


def function_bomb(m: onnx.ModelProto, width: int = 10, depth: int = 12) -> None:
    """Ten calls of a function of ten calls of …: 10^12 nodes in a few kilobytes."""
    for level in range(depth):
        callee, domain = ("Abs", "") if level == 0 else (f"F{level - 1}", "local")
        names = ["p", *(f"v{i}" for i in range(width - 1)), "q"]
        nodes = [
            helper.make_node(callee, [names[i]], [names[i + 1]], domain=domain)
            for i in range(width)
        ]
        m.functions.append(
            helper.make_function("local", f"F{level}", ["p"], ["q"], nodes, m.opset_import)
        )
    add_node(m, f"F{depth - 1}", ["x"], ["z"], domain="local")


def function_tower(m: onnx.ModelProto) -> None:
    """Functions that call each other a thousand deep, the innermost called first."""
    function_bomb(m, width=1, depth=1000)
    tower = m.graph.node[-1]
    for level in range(0, 999, 20):
        add_node(m, f"F{level}", ["x"], [f"z{level}"], domain="local")
    m.graph.node.remove(tower)
    m.graph.node.append(tower)


def shadowing(m: onnx.ModelProto) -> None:
    m.graph.node[3].attribute[0].g.node[0].output[0] = "a"
    m.graph.node[3].attribute[0].g.output[0].name = "a"


def assign(path: Callable[[onnx.ModelProto], object], name: str, content: object) -> Break:
    return lambda m: setattr(path(m), name, content)


BROKEN: list[tuple[str, Break, str]] = [
    ("no graph", lambda m: m.ClearField("graph"), "no graph"),
    ("no ir version", lambda m: m.ClearField("ir_version"), "no IR version"),
    ("negative ir version", assign(lambda m: m, "ir_version", -5), "no IR version"),
    ("no opset", lambda m: m.ClearField("opset_import"), "no operator set"),
    ("only other opsets", lambda m: m.opset_import.pop(0), "imports no standard operator set"),
    ("opset zero", assign(lambda m: m.opset_import[0], "version", 0), "version 0"),
    ("opset twice", lambda m: m.opset_import.add(domain="ai.onnx", version=9), "17 and 9"),
    ("no outputs", lambda m: m.graph.ClearField("output"), "no outputs"),
    ("output of nobody", assign(lambda m: m.graph.output[0], "name", "nope"), '"nope"'),
    ("output twice", lambda m: m.graph.output.append(value("y")), "listed twice"),
    ("unnamed output", assign(lambda m: m.graph.output[0], "name", ""), "has no name"),
    ("unnamed input", assign(lambda m: m.graph.input[0], "name", ""), "has no name"),
    ("input twice", lambda m: m.graph.input.append(value("x")), 'input "x" is defined twice'),
    ("input type", assign(lambda m: m.graph.input[0].type.tensor_type, "elem_type", 77), "77"),
    (
        "absurd input",
        lambda m: m.graph.input[0].type.tensor_type.shape.dim.add(dim_value=1 << 40),
        r"refuses 2\^40",
    ),
    ("missing initializer", lambda m: m.graph.initializer.pop(), 'reads "w"'),
    ("missing in body", lambda m: m.graph.node.pop(1), 'reads "b"'),
    (
        "initializer twice",
        lambda m: m.graph.initializer.append(m.graph.initializer[0]),
        '"w" is defined twice',
    ),
    ("unnamed initializer", lambda m: tensor(m, name="", raw_data=bytes(16)), "has no name"),
    ("value twice", lambda m: add_node(m, "Abs", ["x"], ["a"]), 'value "a" is defined twice'),
    ("value like input", lambda m: add_node(m, "Abs", ["a"], ["x"]), 'value "x" is defined twice'),
    ("value like weight", lambda m: add_node(m, "Abs", ["x"], ["w"]), 'value "w" is defined'),
    ("value in body like outside", shadowing, 'value "a" is defined twice'),
    ("two equal outputs", lambda m: add_node(m, "Split", ["x"], ["k", "k"]), '"k" is defined'),
    ("cycle", cycle, "2 nodes form a cycle"),
    ("self cycle", self_cycle, "1 node form"),
    ("cycle through a body", cycle_through_body, "1 node form"),
    ("no op type", assign(lambda m: m.graph.node[0], "op_type", ""), "no op type"),
    ("attribute type", assign(lambda m: m.graph.node[1].attribute[0], "type", 0), "type 0"),
    (
        "attribute twice",
        lambda m: m.graph.node[1].attribute.append(m.graph.node[1].attribute[0]),
        "given twice",
    ),
    (
        "reference outside a function",
        assign(lambda m: m.graph.node[1].attribute[0], "ref_attr_name", "x"),
        "outside any function",
    ),
    ("function calls itself", recursive_functions, "calls itself"),
    ("functions call each other", mutually_recursive_functions, "calls itself"),
    ("function twice", lambda m: m.functions.append(m.functions[0]), "defined twice"),
    ("function bomb", function_bomb, "more than 1000000 nodes"),
    ("function tower", function_tower, "nest deeper"),
    (
        "function reads nothing",
        assign(lambda m: m.functions[0].node[0], "op_type", ""),
        "no op type",
    ),
    ("function input", lambda m: m.functions[0].input.pop(), 'reads "p"'),
    ("call with too many inputs", lambda m: m.graph.node[1].input.append("x"), "takes 1"),
    ("call with too many outputs", lambda m: m.graph.node[1].output.append("o"), "takes 1"),
    (
        "opset of a function",
        assign(lambda m: m.functions[0].opset_import[1], "version", 1 << 31),
        "version 2147483648",
    ),
    ("element type", lambda m: tensor(m, data_type=99), "99 is no element type"),
    ("no element type", lambda m: tensor(m, data_type=0), "no element type"),
    ("too few bytes", lambda m: tensor(m, raw_data=b"123"), "3 bytes.*need 16"),
    ("too many bytes", lambda m: tensor(m, raw_data=bytes(17)), "17 bytes.*need 16"),
    ("too few values", lambda m: tensor(m, float_data=[1.0]), "1 values.*need 4"),
    ("wrong field", lambda m: tensor(m, int32_data=[1, 2, 3, 4]), "0 values"),
    ("no data", tensor, "0 values.*need 4"),
    ("complex values", lambda m: tensor(m, data_type=14, float_data=[1.0] * 4), "need 8"),
    ("packed values", lambda m: tensor(m, data_type=22, int32_data=[1] * 4), "need 2"),
    ("strings", lambda m: tensor(m, data_type=8, string_data=[b"a"]), "1 strings.*need 4"),
    ("negative dimension", lambda m: tensor(m, dims=[-4], raw_data=b""), "negative dimension -4"),
    ("absurd tensor", lambda m: tensor(m, dims=[1 << 20, 1 << 20], raw_data=b"1"), r"2\^40"),
    ("absurd empty", lambda m: tensor(m, dims=[1 << 62, 0], raw_data=b""), r"2\^40"),
    ("too many axes", lambda m: tensor(m, dims=[1] * 65, raw_data=bytes(4)), "65 axes"),
]


@pytest.mark.parametrize(("damage", "words"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_models(damage: Break, words: str) -> None:
    proto = small_model()
    damage(proto)
    for _ in range(2):  # the second time as bytes, where protobuf takes it
        with pytest.raises(ModelError, match=words) as caught:
            load_model(proto)
        assert caught.value.at[-1] == "model"
        assert len(str(caught.value)) < 3000
    with pytest.raises(Error):
        load_model(proto.SerializeToString())


def test_nested_bodies() -> None:
    """Bodies nested deeper than protobuf itself would parse, as an in-memory model can be."""
    proto = small_model()
    graph = proto.graph.node[3].attribute[0].g
    for _ in range(400):
        node = graph.node.add(op_type="If", input=["c"], output=["n"])
        graph = node.attribute.add(name="then_branch", type=AttributeProto.GRAPH).g
    with pytest.raises(ModelError, match="nest deeper"):
        load_model(proto)


def test_messages_nested_in_a_file() -> None:
    """Deeper than protobuf allows, each large enough to be looked into for payloads."""
    content = bytes(5000)
    for _ in range(1000):
        for number in (6, 5, 1):  # attribute.g, node.attribute, graph.node
            content = wire_field(number, content)
    with pytest.raises(ModelError, match="nest deeper"):
        load_model(wire_field(7, content))


def wire_field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    size, encoded = len(content), bytearray([number << 3 | 2])
    while size >= 0x80:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(encoded) + bytes([size]) + content


def test_errors_name_the_nodes() -> None:
    proto = small_model()
    cycle(proto)
    with pytest.raises(ModelError) as caught:
        load_model(proto)
    assert caught.value.at == ('node "new_Exp" (Exp)', 'node "new_Add" (Add)', "model")
    proto = small_model()
    proto.graph.node[3].attribute[1].g.node[0].input[0] = "nope"
    with pytest.raises(ModelError, match=r'"nope"') as caught:
        load_model(proto)
    assert caught.value.at[0] == 'node "if" (If)'


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (assign(lambda m: m, "ir_version", 999), "IR version 999"),
        (assign(lambda m: m.opset_import[0], "version", 999), "operator set 999; burnish reads 1"),
        (assign(lambda m: m.functions[0].opset_import[0], "version", 99), "operator set 99"),
        (lambda m: tensor(m, data_type=27, raw_data=bytes(3)), "FLOAT6E2M3"),
        (lambda m: tensor(m, segment=TensorProto.Segment(begin=0, end=9)), "segment"),
    ],
)
def test_valid_but_unsupported(damage: Break, words: str) -> None:
    proto = small_model()
    damage(proto)
    with pytest.raises(UnsupportedError, match=words):
        load_model(proto)


def test_a_segment_in_the_file_is_never_taken_for_a_payload() -> None:
    """Payloads cut out of the file are kept in that field; what a file puts there is no payload."""
    for begin, end in ((-1, -17), (-1, -(1 << 40)), (-100, -50), (-(1 << 63), -1)):
        proto = small_model()
        tensor(proto, segment=TensorProto.Segment(begin=begin, end=end))
        with pytest.raises(Error):
            load_model(proto)


def sparse(values: list[float], indices: object, dims: list[int]) -> onnx.ModelProto:
    proto = small_model()
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            numpy_helper.from_array(np.array(values, np.float32), "s"),
            numpy_helper.from_array(np.array(indices)),
            dims,
        )
    )
    return proto


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (sparse([1], [6], [2, 3]), "outside"),
        (sparse([1], [-1], [2, 3]), "outside"),
        (sparse([1], [[0, 3]], [2, 3]), "outside"),
        (sparse([1, 2], [4, 4], [2, 3]), "ascending"),
        (sparse([1, 2], [4], [2, 3]), "indices are"),
        (sparse([1], [1.0], [2, 3]), "indices are DOUBLE"),
        (sparse([1], [0], [-2]), "negative"),
        (sparse([1], [0], [1 << 30]), "stored densely"),
        (sparse([1], [0], [1 << 40]), r"2\^40"),
    ],
)
def test_sparse_tensors_that_lie(proto: onnx.ModelProto, words: str) -> None:
    with pytest.raises(Error, match=words) as caught:
        touch_everything(proto)
    assert 'sparse tensor "s"' in caught.value.at


def test_strings_that_are_no_text() -> None:
    proto = small_model()
    tensor(proto, data_type=TensorProto.STRING, string_data=[b"\xff"] * 4)
    with pytest.raises(ModelError, match="no UTF-8"):
        touch_everything(proto)


HOSTILE_NAMES = [
    'quote"quote',
    "new\nline\r\n",
    "*/ system(0); /*",
    "int",
    "x" * 10_000,
    "nul\0nul",
    "../../etc/passwd",
    "%s%n{0}${HOME}",
    "\u202eright to left",
    "😀",
    "__class__",
    " ",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_hostile_names_are_carried_safely(name: str) -> None:
    proto = small_model()
    renamed = proto.SerializeToString()
    proto.graph.node[1].name = proto.graph.node[0].output[0] = name
    proto.graph.node[1].input[0] = proto.graph.input[0].name = name + "in"
    proto.graph.node[0].output[0] = proto.graph.node[0].input[0] = name + "in"
    proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = name
    graph = load_model(proto).graph
    assert graph.inputs[0].name == name + "in"
    assert graph.nodes[0].outputs == (name,)
    assert renamed != proto.SerializeToString()
    proto.graph.node[0].input[1] = name + "missing"
    with pytest.raises(ModelError) as caught:
        load_model(proto)
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "name", [b"add", b"Add", b"main", b"slope", b"Leak", b"local", b"then_out"]
)
def test_names_that_are_no_utf8(name: bytes) -> None:
    content = VALID.replace(name, b"\xff" * len(name))
    with pytest.raises(ModelError, match="not valid UTF-8"):
        load_model(content)


def test_function_names_grow_within_bounds() -> None:
    """Each level of inlining prefixes names; a hostile name must not grow without bound."""
    proto = small_model()
    function_bomb(proto, width=2, depth=10)
    for function in proto.functions:
        for node in function.node:
            node.name = "n" * 10_000
    graph = load_model(proto).graph
    assert len(graph.nodes) == 1024 + 4
    assert max(len(name) for node in graph.nodes for name in (node.name, *node.outputs)) < 1000


def test_bodies_handed_to_functions_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body passed as an attribute through functions that each use it ten times."""
    monkeypatch.setattr(functions, "MAX_INLINED_NODES", 5000)
    proto = small_model()
    for level in range(3):
        function = proto.functions.add(name=f"G{level}", domain="local", attribute=["body"])
        function.opset_import.extend(proto.opset_import)
        function.input.append("p")
        function.output.append("v9")
        for call in range(10):
            op, domain = ("If", "") if level == 0 else (f"G{level - 1}", "local")
            node = function.node.add(op_type=op, domain=domain, input=["p"], output=[f"v{call}"])
            for name in ["then_branch", "else_branch"] if level == 0 else ["body"]:
                node.attribute.add(name=name, ref_attr_name="body", type=AttributeProto.GRAPH)
    call = proto.graph.node.add(op_type="G2", domain="local", input=["c"], output=["z"])
    nodes = [helper.make_node("Abs", ["b"], [f"n{i}"]) for i in range(10)]
    body = helper.make_graph(nodes, "body", [], [value("n0")])
    call.attribute.append(helper.make_attribute("body", body))
    with pytest.raises(ModelError, match="more than 5000 nodes"):
        load_model(proto)
    monkeypatch.setattr(functions, "MAX_INLINED_NODES", 50_000)
    graph = load_model(proto).graph
    assert len(graph.nodes) == 1000 + 4
    assert [len(b.nodes) for _, b in graph.nodes[-1].subgraphs()] == [10, 10]


# Random damage: only burnish errors may come out


def loads_or_says_why(source: bytes | onnx.ModelProto) -> None:
    try:
        touch_everything(source)
    except Error as error:
        str(error).encode()


def mutate(data: st.DataObject) -> bytes:
    """A few bit flips, deletions, insertions, duplications or truncations of the valid model."""
    content = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        if not content:
            break
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(1, 32))
        kind = data.draw(st.sampled_from(["flip", "set", "delete", "insert", "double", "cut"]))
        if kind == "flip":
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "set":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "delete":
            del content[at : at + length]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=16))
        elif kind == "double":
            content[at:at] = content[at : at + length]
        else:
            del content[at:]
    return bytes(content)


def damage_fields(message: object, data: st.DataObject) -> None:
    """Walk down a random path of the message and delete, repeat or overwrite a field there."""
    while True:
        fields = [f for f, _ in message.ListFields()]  # type: ignore[attr-defined]
        if not fields:
            return
        field = data.draw(st.sampled_from(fields))
        content = getattr(message, field.name)
        repeated = hasattr(content, "append") or hasattr(content, "add")
        if data.draw(st.integers(0, 3)) == 0:
            message.ClearField(field.name)  # type: ignore[attr-defined]
            return
        if field.message_type is not None:
            if repeated and data.draw(st.integers(0, 4)) == 0:
                content.append(content[data.draw(st.integers(0, len(content) - 1))])
                return
            message = data.draw(st.sampled_from(list(content))) if repeated else content
            continue
        drawn = data.draw(_SCALARS[field.cpp_type])
        try:
            if repeated:
                content.append(drawn)
            else:
                setattr(message, field.name, drawn)
        except (ValueError, TypeError):
            pass  # protobuf itself refuses the value
        return


_INTEGERS = st.one_of(
    st.integers(-2, 40), st.sampled_from([1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 40, 1 << 62])
)
_TEXTS = st.sampled_from(
    ["", "x", "w", "a", "b", "y", "slope", "local", "Leak", "If", "Constant", "\0", "x" * 5000]
)
_SCALARS = {  # by FieldDescriptor.cpp_type
    **dict.fromkeys((1, 2, 3, 4, 7, 8), _INTEGERS),
    5: st.floats(),
    6: st.floats(width=32),
    9: st.one_of(_TEXTS, st.binary(max_size=20)),
}

EVERYDAY = settings(max_examples=300, deadline=10_000, suppress_health_check=[HealthCheck.too_slow])
LONG = settings(EVERYDAY, max_examples=20_000)


def check_random_bytes(content: bytes) -> None:
    loads_or_says_why(content)


def check_mutated_bytes(data: st.DataObject) -> None:
    loads_or_says_why(mutate(data))


def check_damaged_fields(data: st.DataObject) -> None:
    proto = small_model()
    for _ in range(data.draw(st.integers(1, 3))):
        damage_fields(proto, data)
    loads_or_says_why(proto)
    loads_or_says_why(proto.SerializeToString())


test_random_bytes = EVERYDAY(given(st.binary(max_size=300))(check_random_bytes))
test_mutated_bytes = EVERYDAY(given(st.data())(check_mutated_bytes))
test_damaged_fields = EVERYDAY(given(st.data())(check_damaged_fields))
test_random_bytes_long = pytest.mark.slow(LONG(given(st.binary(max_size=2000))(check_random_bytes)))
test_mutated_bytes_long = pytest.mark.slow(LONG(given(st.data())(check_mutated_bytes)))
test_damaged_fields_long = pytest.mark.slow(LONG(given(st.data())(check_damaged_fields)))
