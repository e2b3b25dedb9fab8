"""From ``ModelProto`` to the plain objects of :mod:`.graph`, everything checked on the way.

Nothing is reordered or resolved here: that is :mod:`.structure`'s and :mod:`.functions`' work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import onnx

from burnish.ir.errors import Error, ModelError, clip

from .graph import (
    UNDECLARED,
    AttributeReference,
    AttributeValue,
    DeclaredType,
    DimHint,
    Graph,
    Node,
    Scalar,
    ValueInfo,
)
from .tensors import (
    MAX_ELEMENTS,
    Payloads,
    Tensor,
    element_type,
    read_sparse_tensor,
    read_tensor,
)
from .text import shown, text_of

MAX_GRAPH_DEPTH = 32
"""How deep bodies of control-flow nodes may nest in the file."""

_MAX_VERSION = (1 << 31) - 1
"""onnx keeps versions of operator sets in a C int."""

_TENSOR_KINDS = {"tensor_type": "tensor", "sparse_tensor_type": "sparse_tensor"}


def normal_domain(domain: str) -> str:
    """The standard domain has two spellings; here it is the empty one."""
    return "" if domain == "ai.onnx" else domain


def read_opsets(entries: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Imported operator sets: version by domain.

    Raises:
        ModelError: a domain is imported in two versions, or in one that cannot be.
    """
    opsets: dict[str, int] = {}
    for entry in entries:
        domain, version = normal_domain(text_of(entry.domain)), entry.version
        spelled = clip(domain) or "ai.onnx"
        if not 1 <= version <= _MAX_VERSION:
            raise ModelError(f'the model imports version {version} of operator set "{spelled}"')
        if opsets.setdefault(domain, version) != version:
            raise ModelError(
                f'the model imports operator set "{spelled}" in versions '
                f"{opsets[domain]} and {version}"
            )
    return opsets


class GraphReader:
    """Reads graphs of one model (or of one function, which imports its own operator sets)."""

    def __init__(
        self,
        payloads: Payloads,
        opsets: Mapping[str, int],
        *,
        first_index: int = 0,
        in_function: bool = False,
    ) -> None:
        self._payloads = payloads
        self._opsets = opsets
        self._in_function = in_function
        self.next_index = first_index
        self._attribute_readers: dict[int, Callable[[onnx.AttributeProto, int], AttributeValue]] = {
            onnx.AttributeProto.FLOAT: lambda a, _: a.f,
            onnx.AttributeProto.INT: lambda a, _: a.i,
            onnx.AttributeProto.STRING: lambda a, _: _string(a.s),
            onnx.AttributeProto.TENSOR: lambda a, _: self._tensor(a.t),
            onnx.AttributeProto.GRAPH: lambda a, depth: self.graph(a.g, depth + 1),
            onnx.AttributeProto.SPARSE_TENSOR: lambda a, _: self._sparse_tensor(a.sparse_tensor),
            onnx.AttributeProto.TYPE_PROTO: lambda a, _: read_type(a.tp),
            onnx.AttributeProto.FLOATS: lambda a, _: tuple(a.floats),
            onnx.AttributeProto.INTS: lambda a, _: tuple(a.ints),
            onnx.AttributeProto.STRINGS: lambda a, _: tuple(map(_string, a.strings)),
            onnx.AttributeProto.TENSORS: lambda a, _: tuple(map(self._tensor, a.tensors)),
            onnx.AttributeProto.GRAPHS: lambda a, depth: tuple(
                self.graph(graph, depth + 1) for graph in a.graphs
            ),
            onnx.AttributeProto.SPARSE_TENSORS: lambda a, _: tuple(
                map(self._sparse_tensor, a.sparse_tensors)
            ),
            onnx.AttributeProto.TYPE_PROTOS: lambda a, _: tuple(map(read_type, a.type_protos)),
        }

    def graph(self, proto: onnx.GraphProto, depth: int = 0) -> Graph:
        """Read a graph and the bodies nested in it.

        Raises:
            ModelError: anything in it is malformed; the error names node and attribute.
        """
        if depth > MAX_GRAPH_DEPTH:
            raise ModelError(f"graphs nest deeper than {MAX_GRAPH_DEPTH}")
        initializers = self._initializers(proto)
        inputs = tuple(read_value_info(value, "input") for value in proto.input)
        return Graph(
            name=text_of(proto.name),
            inputs=tuple(value for value in inputs if value.name not in initializers),
            outputs=tuple(read_value_info(value, "output") for value in proto.output),
            initializers=initializers,
            nodes=self.nodes(proto.node, depth),
            hints={text_of(value.name): _hint(value.type) for value in proto.value_info},
        )

    def nodes(self, protos: Iterable[onnx.NodeProto], depth: int = 0) -> tuple[Node, ...]:
        """Read nodes in file order."""
        return tuple(self._node(proto, depth) for proto in protos)

    def attribute(self, proto: onnx.AttributeProto, depth: int = 0) -> AttributeValue:
        """Read the value of one attribute.

        Raises:
            ModelError: its type is unknown, or its value malformed.
        """
        if proto.ref_attr_name:
            if not self._in_function:
                raise ModelError("it refers to an attribute of a function, outside any function")
            return AttributeReference(text_of(proto.ref_attr_name))
        reader = self._attribute_readers.get(proto.type)
        if reader is None:
            raise ModelError(f"its type {proto.type} is no attribute type of ONNX")
        return reader(proto, depth)

    def _initializers(self, proto: onnx.GraphProto) -> dict[str, Tensor]:
        tensors = [self._tensor(tensor) for tensor in proto.initializer]
        tensors += [self._sparse_tensor(tensor) for tensor in proto.sparse_initializer]
        initializers: dict[str, Tensor] = {}
        for tensor in tensors:
            if not tensor.name:
                raise ModelError("an initializer has no name")
            if initializers.setdefault(tensor.name, tensor) is not tensor:
                raise ModelError(f'initializer "{clip(tensor.name)}" is defined twice')
        return initializers

    def _node(self, proto: onnx.NodeProto, depth: int) -> Node:
        index = self.next_index
        self.next_index += 1
        try:
            op_type, domain = text_of(proto.op_type), normal_domain(text_of(proto.domain))
            if not op_type:
                raise ModelError("it has no op type")
            return Node(
                name=text_of(proto.name) or f"{op_type}#{index}",
                op_type=op_type,
                domain=domain,
                version=self._version(domain),
                inputs=tuple(map(text_of, proto.input)),
                outputs=tuple(map(text_of, proto.output)),
                attributes=self._attributes(proto, depth),
                index=index,
                overload=text_of(proto.overload),
                doc=text_of(proto.doc_string),
            )
        except Error as error:
            name = proto.name or f"{proto.op_type}#{index}"
            raise error.located(f'node "{shown(name)}" ({shown(proto.op_type)})') from None

    def _version(self, domain: str) -> int:
        """Operator set version; other domains than the standard one often go undeclared."""
        if domain:
            return self._opsets.get(domain, 1)
        if domain not in self._opsets:
            raise ModelError(
                "it is a standard operator, but the model imports no standard operator set",
                help="add an opset_import of the domain ai.onnx to the model",
            )
        return self._opsets[domain]

    def _attributes(self, proto: onnx.NodeProto, depth: int) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {}
        for attribute in proto.attribute:
            try:
                name = text_of(attribute.name)
                if name in attributes:
                    raise ModelError("it is given twice")
                attributes[name] = self.attribute(attribute, depth)
            except Error as error:
                raise error.located(f'attribute "{shown(attribute.name)}"') from None
        return attributes

    def _tensor(self, proto: onnx.TensorProto) -> Tensor:
        return read_tensor(proto, self._payloads)

    def _sparse_tensor(self, proto: onnx.SparseTensorProto) -> Tensor:
        return read_sparse_tensor(proto, self._payloads)


def _string(value: bytes) -> Scalar:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def read_value_info(proto: onnx.ValueInfoProto, what: str) -> ValueInfo:
    """Read a graph input or output, whose declared type must make sense.

    Raises:
        ModelError: no name, an unknown element type, or absurdly many elements.
    """
    try:
        name = text_of(proto.name)
        if not name:
            raise ModelError(f"an {what} of the graph has no name")
        declared = read_type(proto.type)
    except Error as error:
        raise error.located(f'{what} "{shown(proto.name)}"') from None
    extent = 1
    for dim in declared.shape or ():
        extent *= max(dim, 1) if isinstance(dim, int) else 1
    if extent >= MAX_ELEMENTS:
        raise ModelError(
            f"its shape {list(declared.shape or ())} means {extent} elements; burnish refuses 2^40",
            at=f'{what} "{clip(name)}"',
        )
    return ValueInfo(name, declared)


def read_type(proto: onnx.TypeProto, depth: int = 0) -> DeclaredType:
    """Read a declared type; ``depth`` counts what it is nested in.

    Raises:
        ModelError: there is no such element type.
    """
    # The stub of protobuf types WhichOneof per message; onnx's names the field loosely.
    which = cast("str | None", cast(Any, proto).WhichOneof("value"))
    if which is None:
        return UNDECLARED
    kind = _TENSOR_KINDS.get(which)
    if kind is None:
        inner = getattr(getattr(proto, which), "elem_type", None)  # maps are not looked into
        item = None
        if isinstance(inner, onnx.TypeProto) and depth < MAX_GRAPH_DEPTH:
            item = read_type(inner, depth + 1)
        return DeclaredType(which.removesuffix("_type"), item=item)
    tensor = proto.tensor_type if kind == "tensor" else proto.sparse_tensor_type
    shape = tuple(map(_dim, tensor.shape.dim)) if tensor.HasField("shape") else None
    if tensor.elem_type == 0:
        return DeclaredType(kind, shape=shape)
    row = element_type(tensor.elem_type)
    return DeclaredType(kind, row.name, row.dtype, shape)


def _hint(proto: onnx.TypeProto) -> DeclaredType:
    """A type that nobody relies on: what cannot be read is as good as not declared."""
    try:
        return read_type(proto)
    except ModelError:
        return UNDECLARED


def _dim(proto: onnx.TensorShapeProto.Dimension) -> DimHint:
    """A dimension; exporters write -1 or "?" where they know nothing."""
    if proto.HasField("dim_value"):
        return proto.dim_value if proto.dim_value >= 0 else None
    symbol = text_of(proto.dim_param)
    return symbol if symbol not in ("", "?") else None
