"""What exporters are handed: the op, the opset, and the means to add nodes to the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from onnx import helper
from onnx.defs import OpSchema

from burnish.ir import (
    Array,
    Attributes,
    Block,
    Constant,
    Dim,
    DType,
    Op,
    TensorType,
    Value,
    scalar,
)
from burnish.ir.dims import Interval

from .graph import Edge, Graph, Node
from .schemas import (
    ELEMENT_CODES,
    allowed_dtypes,
    find_schema,
    first_opset,
    first_opset_taking,
    newest_opset,
    type_variable,
    work_dtype,
)

_LEAST_POWER = 2.0**-127
"""Of f8e8m0."""


class Writing(Protocol):
    """Who writes the ops of regions."""

    def region(self, block: Block, arguments: Sequence[Edge], captured: Sequence[Edge]) -> Graph:
        """A region as a graph; what it captures it finds around it."""

    def inline(self, block: Block, arguments: Sequence[Edge]) -> list[Edge]:
        """The ops of a region among those around it."""


class Refusal(Exception):
    """An op cannot be written in the opset; ``opset`` is the first that could, 0 if none."""

    def __init__(self, reason: str, opset: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.opset = opset


@dataclass(eq=False)
class Scope:
    """A graph that is being filled, and what is known in it."""

    graph: Graph
    parent: Scope | None = None
    values: dict[Value, Edge] = field(default_factory=dict)
    sizes: dict[Dim, Edge] = field(default_factory=dict)
    made: dict[tuple[object, ...], list[Edge]] = field(default_factory=dict)
    sources: dict[str, tuple[Edge, int, int, int]] = field(default_factory=dict)
    """Where a symbol is found: an axis of a tensor whose size is ``factor * symbol + offset``."""


class Writer:
    """State of one export: the opset, the constants, and the scope that is being filled.

    ``ranges`` are those of symbols, ``shared`` constants of which there should be no second form.
    """

    def __init__(
        self,
        opset: int,
        ml_opset: int,
        ranges: Mapping[str, Interval],
        shared: Collection[Constant] = (),
    ) -> None:
        self.ranges = ranges
        self.opsets = {"": opset, "ai.onnx.ml": ml_opset}
        self.scope = Scope(Graph())
        self.used_domains = {""}
        self.shared = frozenset(shared)
        self._constants: dict[Constant, Edge] = {}

    def constant(self, data: Constant, hint: str = "") -> Edge:
        """The initializer with that data; equal data is one initializer."""
        edge = self._constants.get(data)
        if edge is None:
            edge = self._constants[data] = Edge(data.dtype, hint, data)
        return edge

    def is_optional(self, node: Node, output: int) -> bool:
        """Whether a node may leave out an output."""
        schema = find_schema(node.op_type, self.opsets[node.domain], node.domain)
        assert schema is not None
        formal = schema.outputs
        return (
            output < len(formal)
            and formal[output].option == OpSchema.FormalParameterOption.Optional
        )

    def edge(self, value: Value) -> Edge:
        """The tensor that carries a value of the IR."""
        scope: Scope | None = self.scope
        while scope is not None:
            if value in scope.values:
                return scope.values[value]
            scope = scope.parent
        raise KeyError(value)


class Context:
    """One op on its way out.

    Attributes:
        op: the op.
        a: its attributes.
        opset: version of the standard operators.
    """

    def __init__(self, op: Op, writer: Writer, writing: Writing) -> None:
        self.op = op
        self.a: Attributes = op.attributes
        self.writer = writer
        self._writing = writing

    @property
    def opset(self) -> int:
        return self.writer.opsets[""]

    # Operands ----------------------------------------------------------------------------

    def optional(self, index: int) -> Edge | None:
        """Operand ``index``; None when it is absent."""
        operands = self.op.operands
        value = operands[index] if index < len(operands) else None
        return None if value is None else self.writer.edge(value)

    def input(self, index: int) -> Edge:
        """Operand ``index``, which is there."""
        edge = self.optional(index)
        assert edge is not None
        return edge

    def inputs(self) -> list[Edge | None]:
        """All operands."""
        return [self.optional(index) for index in range(len(self.op.operands))]

    def type(self, index: int = 0) -> TensorType:
        """The type of operand ``index``, which is there."""
        type_ = self.op.operand_types[index]
        assert type_ is not None
        return type_

    def edge(self, value: Value) -> Edge:
        """The tensor that carries any value that is visible here."""
        return self.writer.edge(value)

    # Constants ---------------------------------------------------------------------------

    def constant(self, array: Array) -> Edge:
        return self.writer.constant(Constant(array))

    def ints(self, values: Iterable[int]) -> Edge:
        """A constant i64 list."""
        return self.constant(np.array(list(values), np.int64))

    def scalar(self, value: float | int | bool, dtype: DType) -> Edge:
        """A constant of rank 0."""
        return self.constant(np.asarray(value).astype(dtype.numpy))

    # Nodes -------------------------------------------------------------------------------

    def has(self, op_type: str, domain: str = "") -> bool:
        """Whether the opset has an operator."""
        return find_schema(op_type, self.writer.opsets[domain], domain) is not None

    def allows(self, op_type: str, dtype: DType, variable: str = "T") -> bool:
        """Whether an operator of the opset takes such elements as they are."""
        return dtype in allowed_dtypes(op_type, self.opset, "", variable)

    def takes(self, op_type: str, dtype: DType, variable: str = "T") -> bool:
        """Whether the opset has an operator that takes such elements, possibly widened."""
        if not self.has(op_type):
            return False
        allowed = allowed_dtypes(op_type, self.opset, "", variable)
        return work_dtype(dtype, allowed) is not None

    def node(
        self,
        op_type: str,
        *inputs: Edge | None,
        domain: str = "",
        dtype: DType | None = None,
        chooses: bool = False,
        graphs: Mapping[str, Graph] | None = None,
        **attributes: Any,
    ) -> Edge:
        """Add a node with one output.

        Inputs of element types that the operator does not take are widened and the output is
        converted back; ``chooses`` allows floats for integers, where the operator computes
        nothing.  ``dtype`` is the output's element type where the schema leaves it open.
        Attributes that are None or empty are left out.

        Raises:
            Refusal: the opset lacks the operator, an attribute, or the element types.
        """
        (edge,) = self.nodes(
            op_type, *inputs, outputs=(dtype,), domain=domain, chooses=chooses, graphs=graphs,
            **attributes,
        )  # fmt: skip
        return edge

    def nodes(
        self,
        op_type: str,
        *inputs: Edge | None,
        outputs: Sequence[DType | None],
        domain: str = "",
        chooses: bool = False,
        graphs: Mapping[str, Graph] | None = None,
        **attributes: Any,
    ) -> list[Edge]:
        """Add a node with several outputs; see :meth:`node`."""
        self._check(op_type, domain, attributes)
        key = (op_type, self.writer.opsets[domain], domain)
        given: dict[str, DType] = {}
        work: dict[str, DType] = {}
        ready: list[Edge | None] = []
        for index, edge in enumerate(inputs):
            if edge is None:
                ready.append(None)
                continue
            variable = type_variable(*key, index, output=False)
            if variable not in work:
                given[variable] = edge.dtype
                work[variable] = self._work(key, variable, edge.dtype, chooses)
            ready.append(self.cast(edge, work[variable]))
        while len(ready) > self._least_inputs(key) and ready[-1] is None:
            ready.pop()
        made: list[Edge] = []
        for index, expected in enumerate(outputs):
            variable = type_variable(*key, index, output=True)
            dtype = work.get(variable, expected)
            if dtype is None:
                (dtype,) = allowed_dtypes(*key, variable)
            made.append(Edge(dtype))
        kept = self._stated(op_type, domain, attributes)
        if DType.F64 in work.values() and any(map(is_rounded, attributes.values())):
            raise Refusal(f"{op_type} has attributes of single precision")
        self.add(Node(op_type, domain, ready, list(made), kept, dict(graphs or {})))
        back = [given.get(type_variable(*key, i, output=True)) for i in range(len(made))]
        return [
            edge if dtype is None else self.cast(edge, dtype) for edge, dtype in zip(made, back)
        ]

    def add(self, node: Node) -> None:
        """Add a node as it is."""
        sources = self.op.location.sources
        node.name = sources[0].name if sources else ""
        self.writer.used_domains.add(node.domain)
        self.writer.scope.graph.nodes.append(node)

    def _check(self, op_type: str, domain: str, attributes: Mapping[str, object]) -> None:
        schema = find_schema(op_type, self.writer.opsets[domain], domain)
        if schema is None:
            raise Refusal(f"there is no {op_type}", first_opset(op_type, domain))
        for name, value in attributes.items():
            if value is not None and name not in schema.attributes:
                raise Refusal(f"{op_type} has no attribute {name}", self._since(op_type, name))

    def _stated(self, op_type: str, domain: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes that say something: they are there, and not what is the default."""
        schema = find_schema(op_type, self.writer.opsets[domain], domain)
        assert schema is not None
        defaults = {
            name: helper.get_attribute_value(attribute.default_value)
            for name, attribute in schema.attributes.items()
            if attribute.default_value.name
        }
        return {
            name: value
            for name, value in given.items()
            if value is not None and value != () and not _is_default(value, defaults.get(name))
        }

    def _least_inputs(self, key: tuple[str, int, str]) -> int:
        """How many inputs must be named, be they absent."""
        schema = find_schema(*key)
        assert schema is not None
        return schema.min_input

    def _since(self, op_type: str, attribute: str) -> int:
        """The first newer opset whose operator has the attribute; 0 if none has."""
        for opset in range(self.opset + 1, newest_opset() + 1):
            schema = find_schema(op_type, opset)
            if schema is not None and attribute in schema.attributes:
                return opset
        return 0

    def _work(self, key: tuple[str, int, str], variable: str, dtype: DType, chooses: bool) -> DType:
        found = work_dtype(dtype, allowed_dtypes(*key, variable), chooses=chooses)
        if found is None:
            raise Refusal(f"{key[0]} takes no {dtype}", first_opset_taking(dtype, *key, variable))
        return found

    def cast(self, edge: Edge, dtype: DType) -> Edge:
        """``edge`` in another element type; the same cast is made once."""
        if edge.dtype is dtype:
            return edge
        if edge.constant is not None:
            return self.constant(scalar.convert(edge.constant.array, dtype))
        return self.once(("cast", edge, dtype), lambda: self._cast(edge, dtype))

    def _cast(self, edge: Edge, dtype: DType) -> Edge:
        key = ("Cast", self.opset, "")
        for kind, variable in ((edge.dtype, "T1"), (dtype, "T2")):
            if kind not in allowed_dtypes(*key, variable):
                raise Refusal(f"Cast knows no {kind}", first_opset_taking(kind, *key, variable))
        attributes: dict[str, Any] = {"to": ELEMENT_CODES[dtype]}
        if dtype is DType.F8E8M0:
            edge = self._powers(edge)
            attributes |= {"saturate": 0, "round_mode": "nearest"}
        elif dtype.is_float and dtype.bits == 8:
            attributes["saturate"] = 0
        elif dtype.is_integer and dtype.bits < 8 and edge.dtype.is_float:
            # Out of range some runtimes take the low bits, others the nearest number.
            low, high = (self.scalar(bound, edge.dtype.compute) for bound in dtype.integer_range)
            edge = self.node("Clip", self.cast(edge, edge.dtype.compute), low, high)
        result = Edge(dtype)
        self.add(Node("Cast", "", [edge], [result], attributes))
        return result

    def _powers(self, edge: Edge) -> Edge:
        """What Cast makes powers of two of, which have no sign and no zero, as it should.

        Of numbers that are not positive ONNX does not say what they become; here it is NaN.
        Those below the least power become that one.
        """
        dtype = DType.F64 if edge.dtype is DType.F64 else DType.F32
        x = self.cast(edge, dtype)
        is_positive = self.node("Greater", x, self.scalar(0, dtype))
        least = self.node("Max", x, self.scalar(_LEAST_POWER, dtype))
        return self.node("Where", is_positive, least, self.scalar(math.nan, dtype))

    def once(self, key: tuple[object, ...], make: Callable[[], Edge]) -> Edge:
        """What ``make`` gives, made at most once for each key where it is visible."""
        return self.several(key, lambda: [make()])[0]

    def several(self, key: tuple[object, ...], make: Callable[[], list[Edge]]) -> list[Edge]:
        """The edges that ``make`` gives; see :meth:`once`."""
        scope: Scope | None = self.writer.scope
        while scope is not None:
            if key in scope.made:
                return scope.made[key]
            scope = scope.parent
        edges = self.writer.scope.made[key] = make()
        return edges

    # Common forms ------------------------------------------------------------------------

    def identity(self, edge: Edge) -> Edge:
        return self.node("Identity", edge)

    def reshape(self, edge: Edge, shape: Sequence[int]) -> Edge:
        """``edge`` in a static shape; a constant is reshaped at once."""
        if edge.constant is not None:
            return self.constant(edge.constant.array.reshape(shape))
        allowzero = 1 if 0 in shape else None
        return self.node("Reshape", edge, self.ints(shape), allowzero=allowzero)

    def transpose(self, edge: Edge, permutation: Sequence[int]) -> Edge:
        """``edge`` with axes in another order, made once; a constant is transposed at once.

        A large constant that other ops read too stays one, so that the file does not grow.
        """
        order = tuple(permutation)
        if order == tuple(range(len(order))):
            return edge
        if edge.constant is not None and edge.constant not in self.writer.shared:
            return self.constant(np.ascontiguousarray(edge.constant.array.transpose(order)))
        return self.once(
            ("transpose", edge, order), lambda: self.node("Transpose", edge, perm=order)
        )

    def region(self, block: Block, arguments: Sequence[Edge], captured: Sequence[Edge]) -> Graph:
        """A region of the op as a graph.

        Its block arguments are ``arguments``, which become the graph's inputs, then what it
        reads from outside.
        """
        return self._writing.region(block, arguments, captured)

    def inline(self, block: Block, arguments: Sequence[Edge]) -> list[Edge]:
        """A region of the op among the nodes around it; what its terminator hands out."""
        return self._writing.inline(block, arguments)


def _is_default(value: object, default: object) -> bool:
    """Whether an attribute has the value that its absence means."""
    if isinstance(value, str):
        return default == value.encode()
    if isinstance(value, float) and isinstance(default, float):
        return bool(np.float32(value) == np.float32(default))
    return isinstance(value, int) and isinstance(default, int) and value == default


def is_rounded(value: object) -> bool:
    """Whether a number is another one as an attribute, which is of single precision."""
    return isinstance(value, float) and not math.isnan(value) and float(np.float32(value)) != value
