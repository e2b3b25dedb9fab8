"""From a graph to protobuf: names, types, initializers; and ONNX's own checks of the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import onnx
from onnx import helper, numpy_helper, shape_inference

import burnish.ir.dims as dimension
from burnish.ir import Constant, InternalError, Module, TensorType
from burnish.ir.errors import TargetError, clip

from .context import Writer
from .graph import Edge, Graph, Node, initializers
from .names import name_edges, name_nodes
from .schemas import ELEMENT_CODES

LARGE = 1 << 10
"""Bytes of an initializer whose content the checks need not see."""


def make_model(graph: Graph, writer: Writer, module: Module, name: str) -> onnx.ModelProto:
    """The model of a finished graph, checked.

    Raises:
        TargetError: two inputs or outputs that differ have one name.
    """
    _require_distinct(graph)
    build = _Build(name_edges(graph), name_nodes(graph))
    proto = build.graph(graph, name or "model")
    proto.initializer.extend(
        numpy_helper.from_array(edge.constant.array, build.names[edge])
        for edge in initializers(graph)
        if edge.constant is not None
    )
    domains = {domain: writer.opsets[domain] for domain in sorted(writer.used_domains)}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    model = helper.make_model(
        proto,
        opset_imports=opsets,
        producer_name="burnish",
        ir_version=helper.find_min_ir_version_for(opsets, ignore_unknown=True),
    )
    if module.metadata:
        helper.set_model_props(model, dict(sorted(module.metadata.items())))
    made = (edge for node in graph.nodes for edge in node.outputs if edge is not None)
    return checked(model, {build.names[edge]: edge.type for edge in made if edge.type is not None})


def _require_distinct(graph: Graph) -> None:
    ends = dict.fromkeys((*graph.inputs, *graph.outputs))
    twice = [name for name, count in Counter(edge.hint for edge in ends).items() if count > 1]
    if twice:
        names = ", ".join(f'"{clip(name)}"' for name in twice)
        raise TargetError(f"in ONNX inputs and outputs share one space of names: {names}")


class _Build:
    def __init__(self, names: Mapping[Edge, str], node_names: Mapping[Node, str]) -> None:
        self.names = names
        self.node_names = node_names

    def graph(self, graph: Graph, name: str) -> onnx.GraphProto:
        return helper.make_graph(
            [self.node(node) for node in graph.nodes],
            name,
            [self.info(edge) for edge in graph.inputs],
            [self.info(edge) for edge in graph.outputs],
        )

    def node(self, node: Node) -> onnx.NodeProto:
        name = self.node_names[node]
        proto = helper.make_node(
            node.op_type,
            [self.name(edge) for edge in node.inputs],
            [self.name(edge) for edge in node.outputs],
            name,
            domain=node.domain or None,
        )
        for key, value in sorted(node.attributes.items()):
            data = numpy_helper.from_array(value.array) if isinstance(value, Constant) else value
            proto.attribute.append(helper.make_attribute(key, data))
        for key, nested in sorted(node.graphs.items()):
            proto.attribute.append(helper.make_attribute(key, self.graph(nested, f"{name}_{key}")))
        return proto

    def name(self, edge: Edge | None) -> str:
        return "" if edge is None else self.names[edge]

    def info(self, edge: Edge) -> onnx.ValueInfoProto:
        code = ELEMENT_CODES[edge.dtype]
        shape = None if edge.type is None else _shape(edge.type)
        return helper.make_tensor_value_info(self.names[edge], code, shape)


def _shape(type_: TensorType) -> list[int | str | None]:
    """Sizes; symbols by name, and expressions over them as nothing, for ONNX has none."""
    return [dim if isinstance(dim, int) else dimension.plain_symbol(dim) for dim in type_.shape]


def checked(model: onnx.ModelProto, types: Mapping[str, TensorType]) -> onnx.ModelProto:
    """``model``, which ONNX's checker and its strict shape inference accept.

    Both look at a copy without the data of large initializers, whose size they cannot take.
    Shapes of ``types`` that inference does not find are written down.

    Raises:
        InternalError: they do not accept it.
    """
    skeleton = _skeleton(model)
    try:
        inferred = _inferred(skeleton)
        _declare(model, inferred, types)
        skeleton.graph.value_info.extend(model.graph.value_info)
        onnx.checker.check_model(skeleton, full_check=True)
    except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        raise InternalError(f"the exported model is not valid: {error}") from error
    return model


def _inferred(skeleton: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shapes that ONNX finds.

    Sizes found by computing with what small integers are known to be make for fewer declarations;
    but those computations refuse integers that wrap.

    Raises:
        shape_inference.InferenceError: types do not fit.
    """
    try:
        return shape_inference.infer_shapes(
            skeleton, check_type=True, strict_mode=True, data_prop=True
        )
    except shape_inference.InferenceError:
        return shape_inference.infer_shapes(skeleton, check_type=True, strict_mode=True)


def _declare(
    model: onnx.ModelProto, inferred: onnx.ModelProto, types: Mapping[str, TensorType]
) -> None:
    """Write down the shapes that were not inferred."""
    found = {info.name: info for info in inferred.graph.value_info}
    ends = {info.name for info in (*model.graph.input, *model.graph.output)}
    for name, type_ in types.items():
        if name not in ends and not _says_all(found.get(name), type_):
            code = ELEMENT_CODES[type_.dtype]
            info = helper.make_tensor_value_info(name, code, _shape(type_))
            model.graph.value_info.append(info)


def _says_all(info: onnx.ValueInfoProto | None, type_: TensorType) -> bool:
    """Whether inference found every size that the type knows."""
    if info is None or not info.type.tensor_type.HasField("shape"):
        return False
    sizes = [dim.dim_value or dim.dim_param for dim in info.type.tensor_type.shape.dim]
    return all(want is None or want in (0, size) for want, size in zip(_shape(type_), sizes))


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large initializers as inputs."""
    copy = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    copy.graph.name = model.graph.name
    copy.graph.node.extend(model.graph.node)
    copy.graph.input.extend(model.graph.input)
    copy.graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) <= LARGE:
            copy.graph.initializer.append(tensor)
        else:
            info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            copy.graph.input.append(info)
    return copy
