"""Operators that the ONNX schemas define by a function of simpler operators.

They are not expanded when a model is loaded: burnish has ops of its own for most.  The importer
asks :func:`schema_function_body` for those it has none for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import onnx
import onnx.defs
import onnx.helper
import onnx.numpy_helper

from burnish.ir.errors import ModelError

from .build import GraphReader, normal_domain, read_opsets
from .external_data import ExternalFiles
from .functions import Function, function_body, instantiate
from .graph import (
    UNDECLARED,
    AttributeValue,
    DeclaredType,
    NameSupply,
    Node,
    ValueInfo,
)
from .structure import check_graph
from .tensors import ELEMENT_CODES, ELEMENT_TYPES, Payloads, Tensor

_VARIADIC = (1 << 31) - 1
"""How many inputs a schema allows when it sets no limit."""

_CODES = {row.name: code for code, row in ELEMENT_TYPES.items()}


def schema_function_body(
    node: Node,
    names: NameSupply,
    input_types: Sequence[DeclaredType] = (),
    standard_version: int | None = None,
) -> list[Node] | None:
    """The nodes that ``node`` stands for by its schema, named into the graph of ``node``.

    ``input_types`` (one per input; only element type and rank matter) let operators whose
    function depends on the types of their inputs be expanded too.  ``standard_version`` is the
    version of the standard operator set (by default the newest) for functions that do not say
    theirs, as those of preview operators.  The result may again contain operators with a
    function.  None when the schema has no function, or none for these types.
    """
    try:
        schema = onnx.defs.get_schema(node.op_type, node.version, node.domain)
    except onnx.defs.SchemaError:
        return None
    proto = _function_proto(schema, node, input_types)
    if proto is None:
        return None
    fallback = standard_version or onnx.defs.onnx_opset_version()
    return instantiate(_read_schema_function(schema, proto, node, fallback), node, names)


def has_schema_function(node: Node) -> bool:
    """Whether the schema of ``node`` has a function, perhaps for some types of inputs only."""
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, node.version, node.domain)
    except onnx.defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def check_arity(node: Node) -> None:
    """Refuse a node with more or fewer inputs, or more outputs, than its operator has.

    Raises:
        ModelError: naming how many the schema allows; operators without schema are not checked.
    """
    limits = _arity(node.op_type, node.version, node.domain)
    if limits is None:
        return
    fewest, most, most_outputs = limits
    given = _count(node.inputs)
    if given > most or len(node.inputs) < fewest:
        takes = str(most) if fewest == most else f"{fewest} to {most}"
        takes = takes if most < _VARIADIC else f"at least {fewest}"
        raise ModelError(f"inputs given: {len(node.inputs)}; the operator takes {takes}")
    if _count(node.outputs) > most_outputs:
        raise ModelError(f"outputs named: {len(node.outputs)}; the operator gives {most_outputs}")


def _count(names: Sequence[str]) -> int:
    """How many names there are, without those left out at the end."""
    return max((index + 1 for index, name in enumerate(names) if name), default=0)


@lru_cache(maxsize=1024)
def _arity(op_type: str, version: int, domain: str) -> tuple[int, int, int] | None:
    """Fewest and most inputs, and most outputs."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    return schema.min_input, schema.max_input, schema.max_output


def _function_proto(
    schema: Any, node: Node, input_types: Sequence[DeclaredType]
) -> onnx.FunctionProto | None:
    """The newest form of the function that the node's operator set allows.

    ``schema`` is an OpSchema, whose stub does not declare these methods.
    """
    fixed = [v for v in schema.function_opset_versions if v <= node.version]
    typed = [v for v in schema.context_dependent_function_opset_versions if v <= node.version]
    proto = onnx.FunctionProto()
    if fixed:
        proto.ParseFromString(schema.get_function_with_opset_version(max(fixed)))
    elif typed and len(input_types) == len(node.inputs) and not any(node.subgraphs()):
        types = [_type_proto(declared).SerializeToString() for declared in input_types]
        try:
            content = _node_proto(node).SerializeToString()
            text = schema.get_context_dependent_function_with_opset_version(
                max(typed), content, types
            )
        except (RuntimeError, TypeError, ValueError):
            return None  # no function for these types, or attributes that make no sense
        proto.ParseFromString(text)
    return proto if proto.node else None


def _read_schema_function(
    schema: onnx.defs.OpSchema, proto: onnx.FunctionProto, node: Node, standard_version: int
) -> Function:
    opsets = {
        "": standard_version,
        node.domain: node.version,
        **read_opsets(proto.opset_import),
    }
    payloads = Payloads(memoryview(b""), ExternalFiles(None))
    reader = GraphReader(payloads, opsets, in_function=True)
    nodes = reader.nodes(proto.node)
    defaults: dict[str, AttributeValue] = {
        name: reader.attribute(attribute.default_value)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.type != onnx.AttributeProto.UNDEFINED
    }
    defaults.update({a.name: reader.attribute(a) for a in proto.attribute_proto})
    # A function made for this node does not produce the outputs that the node leaves out.
    wanted = [formal for formal, name in zip(proto.output, node.outputs, strict=False) if name]
    body = check_graph(function_body(proto.name, proto.input, wanted, nodes))
    outputs = tuple(ValueInfo(formal, UNDECLARED) for formal in proto.output)
    key = (normal_domain(proto.domain), proto.name, "")
    return Function(key, replace(body, outputs=outputs), defaults, opsets)


def _type_proto(declared: DeclaredType) -> onnx.TypeProto:
    code = _CODES.get(declared.element, 0)
    return onnx.helper.make_tensor_type_proto(code, declared.shape)


def _node_proto(node: Node) -> onnx.NodeProto:
    """The node as ONNX wants it for choosing a function."""
    attributes: dict[str, Any] = {
        name: _plain(value) for name, value in node.attributes.items() if value != ()
    }
    return onnx.helper.make_node(
        node.op_type, node.inputs, node.outputs, name=node.name, domain=node.domain, **attributes
    )


def _plain(value: AttributeValue) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Tensor):
        if value.dtype is None:
            return onnx.helper.make_tensor(
                value.name, onnx.TensorProto.STRING, value.shape, list(value.array.flat)
            )
        array = value.array
        tensor = onnx.TensorProto(name=value.name, data_type=ELEMENT_CODES[value.dtype])
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, value.name))
        return tensor
    return value
