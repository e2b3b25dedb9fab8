"""Structured damage to valid models: what exporters, hand edits and attackers get wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

INTEGERS = (0, 1, -1, 2, 3, 7, -2, 64, 1000, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 39, 1 << 62)
DIMENSIONS = (0, 1, 2, 3, 5, 1 << 16, 1 << 31, 1 << 39, -1)
FLOATS = (0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, math.nan, math.inf, -math.inf)
WORDS = ("", "nonsense", "SAME_UPPER", "VALID", "linear", "nearest", "cubic", "reflect", "add", "é")
TYPES = tuple(
    TensorProto.DataType.Value(name)
    for name in [
        "FLOAT",
        "DOUBLE",
        "FLOAT16",
        "BFLOAT16",
        "INT64",
        "INT32",
        "INT8",
        "UINT8",
        "UINT64",
        "BOOL",
        "STRING",
        "COMPLEX64",
        "FLOAT8E4M3FN",
        "INT4",
    ]
)

Mutation = Callable[[onnx.ModelProto, random.Random], None]


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and all bodies in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def any_node(model: onnx.ModelProto, rng: random.Random) -> onnx.NodeProto:
    nodes = [node for graph in graphs(model.graph) for node in graph.node]
    return rng.choice(nodes)


def change_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    """Another value of the same type in one attribute of one node."""
    nodes = [n for g in graphs(model.graph) for n in g.node if n.attribute]
    if not nodes:
        return
    attribute = rng.choice(rng.choice(nodes).attribute)
    kind = attribute.type
    if kind == AttributeProto.INT:
        attribute.i = rng.choice(INTEGERS)
    elif kind == AttributeProto.FLOAT:
        attribute.f = rng.choice(FLOATS)
    elif kind == AttributeProto.STRING:
        attribute.s = rng.choice(WORDS).encode()
    elif kind == AttributeProto.INTS:
        _change_list(attribute.ints, rng, INTEGERS)
    elif kind == AttributeProto.FLOATS:
        _change_list(attribute.floats, rng, FLOATS)
    elif kind == AttributeProto.STRINGS:
        _change_list(attribute.strings, rng, [word.encode() for word in WORDS])
    elif kind == AttributeProto.TENSOR:
        attribute.t.CopyFrom(numpy_helper.from_array(_odd_array(rng)))


def _change_list(values, rng, choices) -> None:  # type: ignore[no-untyped-def]
    content = list(values)
    how = rng.randrange(5)
    if how == 0 and content:
        content[rng.randrange(len(content))] = rng.choice(choices)
    elif how == 1:
        content = content[: rng.randrange(len(content) + 1)]
    elif how == 2:
        content.append(rng.choice(choices))
    elif how == 3:
        rng.shuffle(content)
    else:
        content = [rng.choice(choices)] * len(content)
    del values[:]
    values.extend(content)


def retype_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    """An attribute of another type under the same name."""
    node = any_node(model, rng)
    if not node.attribute:
        return
    attribute = rng.choice(node.attribute)
    value = rng.choice([1, 1.0, "x", [1, 2], [1.5], ["a"], numpy_helper.from_array(np.zeros(2))])
    attribute.CopyFrom(helper.make_attribute(attribute.name, value))


def drop_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = any_node(model, rng)
    if node.attribute:
        del node.attribute[rng.randrange(len(node.attribute))]


def add_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    """An attribute that the operator may know, or may not."""
    name = rng.choice(
        [
            "axis",
            "axes",
            "keepdims",
            "to",
            "auto_pad",
            "ceil_mode",
            "perm",
            "group",
            "alpha",
            "mode",
            "p",
        ]
    )
    node = any_node(model, rng)
    if name not in {attribute.name for attribute in node.attribute}:
        value = rng.choice([*INTEGERS, 1.5, "VALID", [0, 0], [-1]])
        node.attribute.append(helper.make_attribute(name, value))


def change_input(model: onnx.ModelProto, rng: random.Random) -> None:
    """Another value, or none, in place of an input of a node."""
    node = any_node(model, rng)
    names = [tensor.name for tensor in model.graph.initializer]
    names += [value.name for value in model.graph.input]
    names += [name for other in model.graph.node for name in other.output]
    how = rng.randrange(5)
    if how == 0 and node.input:
        node.input[rng.randrange(len(node.input))] = ""
    elif how == 1 and node.input:
        del node.input[rng.randrange(len(node.input)) :]
    elif how == 2:
        node.input.append(rng.choice(names))
    elif node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)


def change_outputs(model: onnx.ModelProto, rng: random.Random) -> None:
    """More or fewer outputs of a node, or of the graph."""
    node = any_node(model, rng)
    output = model.graph.output
    how = rng.randrange(5)
    if how == 0:
        node.output.append(f"extra{rng.randrange(1000)}")
    elif how == 1 and node.output:
        node.output.pop()
    elif how == 2 and node.output:
        node.output[rng.randrange(len(node.output))] = ""
    elif how == 3:
        names = [value.name for value in model.graph.input]
        names += [tensor.name for tensor in model.graph.initializer]
        names += [name for other in model.graph.node for name in other.output]
        output.add(name=rng.choice(names))
    else:
        del output[rng.randrange(len(output))]


def change_input_type(model: onnx.ModelProto, rng: random.Random) -> None:
    """Another element type, rank or dimension of a graph input."""
    tensor = rng.choice(model.graph.input).type.tensor_type
    how = rng.randrange(4)
    dims = tensor.shape.dim
    if how == 0:
        tensor.elem_type = rng.choice(TYPES)
    elif how == 1 and dims:
        dims[rng.randrange(len(dims))].dim_value = rng.choice(DIMENSIONS)
    elif how == 2:
        dims.add(dim_value=rng.choice(DIMENSIONS))
    elif dims:
        del dims[rng.randrange(len(dims))]


def change_initializer(model: onnx.ModelProto, rng: random.Random) -> None:
    """Other contents, element type or shape of an initializer."""
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    array = numpy_helper.to_array(tensor).copy()
    how = rng.randrange(5)
    if how == 0 and array.size:
        flat = array.reshape(-1)
        choices = FLOATS if array.dtype.kind == "f" else INTEGERS
        with np.errstate(all="ignore"):
            drawn = np.array(rng.choice(choices)).astype(array.dtype)
            flat[rng.randrange(flat.size)] = drawn
    elif how == 1:
        array = array.reshape(rng.choice([(-1,), (1, *array.shape), (*array.shape, 1)]))
    elif how == 2:
        with np.errstate(all="ignore"):
            array = array.astype(rng.choice(["f4", "f8", "f2", "i8", "i4", "i1", "u1", "?"]))
    elif how == 3:
        array = array.reshape(-1)[: rng.randrange(array.size + 1)]
    else:
        array = _odd_array(rng)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _odd_array(rng: random.Random) -> np.ndarray:
    shape = rng.choice([(), (0,), (1,), (2,), (0, 3), (1, 1), (2, 3)])
    if rng.random() < 0.5:
        return np.full(shape, rng.choice(INTEGERS), np.int64)
    return np.full(shape, rng.choice(FLOATS), np.float32)


def change_opset(model: onnx.ModelProto, rng: random.Random) -> None:
    model.opset_import[0].version = rng.choice([1, 6, 7, 9, 11, 13, 16, 18, 21, 23, 26, 1000])


def change_op_type(model: onnx.ModelProto, rng: random.Random) -> None:
    """Another operator on the same operands."""
    names = [
        "Add",
        "Relu",
        "MatMul",
        "Conv",
        "Reshape",
        "Gather",
        "Concat",
        "Softmax",
        "ReduceSum",
        "Squeeze",
        "Transpose",
        "Pad",
        "Where",
        "Cast",
        "Split",
        "Expand",
        "Tile",
        "Slice",
        "MaxPool",
        "Resize",
        "TopK",
        "Einsum",
        "LSTM",
        "If",
        "Loop",
        "Clip",
        "Range",
        "OneHot",
        "Gemm",
        "BatchNormalization",
        "ConstantOfShape",
        "QuantizeLinear",
        "DequantizeLinear",
        "ScatterND",
        "Shape",
        "GatherND",
        "CumSum",
        "Trilu",
        "Flatten",
        "Unsqueeze",
        "ConvTranspose",
        "AveragePool",
        "LayerNormalization",
    ]
    any_node(model, rng).op_type = rng.choice(names)


def drop_node(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = rng.choice(list(graphs(model.graph)))
    if graph.node:
        del graph.node[rng.randrange(len(graph.node))]


MUTATIONS: tuple[Mutation, ...] = (
    change_attribute,
    change_attribute,
    change_attribute,
    retype_attribute,
    drop_attribute,
    add_attribute,
    change_input,
    change_outputs,
    change_input_type,
    change_initializer,
    change_initializer,
    change_opset,
    change_op_type,
    drop_node,
)


def damage(model: onnx.ModelProto, seed: int) -> None:
    """Damage ``model`` in place, in one to three ways that ``seed`` decides."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if model.graph.node and model.graph.output:
            rng.choice(MUTATIONS)(model, rng)
