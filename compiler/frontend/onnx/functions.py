"""Inlining: functions of the model always, functions of the ONNX schemas on demand.

Inlining replaces a call by the function's nodes with fresh value names.  Functions call each
other, so a few lines can ask for astronomically many nodes; the total is computed from the call
graph before anything is expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from burnish.ir.errors import Error, ModelError, clip

from .graph import (
    UNDECLARED,
    AttributeReference,
    AttributeValue,
    Graph,
    NameSupply,
    Node,
    ValueInfo,
)
from .structure import MAX_DEPTH, check_graph

MAX_INLINED_NODES = 1_000_000
"""Nodes that a model may have after its functions are inlined."""

_MAX_NAME = 400

FunctionKey = tuple[str, str, str]
"""Domain, name and overload."""


@dataclass(frozen=True)
class Function:
    """A function: its body's inputs and outputs are the formal ones.

    ``defaults`` are attribute values that hold where a call gives none.
    """

    key: FunctionKey
    body: Graph
    defaults: Mapping[str, AttributeValue]
    opsets: Mapping[str, int]

    def __str__(self) -> str:
        domain, name, overload = self.key
        text = f"{domain}.{name}" + (f":{overload}" if overload else "")
        return f'function "{clip(text)}"'


def function_body(
    name: str, inputs: Iterable[str], outputs: Iterable[str], nodes: tuple[Node, ...]
) -> Graph:
    """A function's nodes as a graph without declared types."""
    return Graph(
        name=name,
        inputs=tuple(ValueInfo(value, UNDECLARED) for value in inputs),
        outputs=tuple(ValueInfo(value, UNDECLARED) for value in outputs),
        initializers={},
        nodes=nodes,
    )


def inline_functions(graph: Graph, functions: Sequence[Function], names: NameSupply) -> Graph:
    """``graph`` with every call of one of ``functions`` replaced by its nodes, recursively.

    Raises:
        ModelError: a function is defined twice, malformed or recursive, is called with too many
            inputs or outputs, or the result would exceed :data:`MAX_INLINED_NODES`.
    """
    if not functions:
        return graph
    table: dict[FunctionKey, Function] = {}
    for function in functions:
        if function.key in table:
            raise ModelError(f"{function} is defined twice")
        table[function.key] = function
    inliner = _Inliner(table, names)
    size = inliner.measure(graph.nodes, (), 0)
    if size.height > MAX_DEPTH:
        raise ModelError(f"functions and graphs nest deeper than {MAX_DEPTH}")
    if size.nodes > MAX_INLINED_NODES:
        raise _too_many_nodes()
    reserve_names(graph, names)
    return inliner.expand(graph)


def reserve_names(graph: Graph, names: NameSupply) -> None:
    """Tell ``names`` of every value in ``graph`` and in the bodies of its nodes."""
    for value in (*graph.inputs, *graph.outputs):
        names.reserve(value.name)
    for name in graph.initializers:
        names.reserve(name)
    for node in graph.nodes:
        for name in node.outputs:
            names.reserve(name)
        for _, body in node.subgraphs():
            reserve_names(body, names)


class _Size(NamedTuple):
    """Nodes after inlining, and how deep calls and bodies nest."""

    nodes: int
    height: int


_NODE = _Size(1, 0)


def _checked(function: Function) -> Function:
    """The function with its body in order; it may give out one value twice."""
    body = function.body
    try:
        result = check_graph(replace(body, outputs=_distinct(body.outputs)))
    except Error as error:
        raise error.located(str(function)) from None
    return replace(function, body=replace(result, outputs=body.outputs))


def _too_many_nodes() -> ModelError:
    return ModelError(
        f"with its functions inlined the model has more than {MAX_INLINED_NODES} nodes"
    )


class _Inliner:
    def __init__(self, functions: dict[FunctionKey, Function], names: NameSupply) -> None:
        self._functions = functions
        self._names = names
        self._sizes: dict[FunctionKey, _Size] = {}
        self._expanded = 0

    def _callee(self, node: Node) -> Function | None:
        return self._functions.get((node.domain, node.op_type, node.overload))

    def measure(self, nodes: Iterable[Node], callers: tuple[FunctionKey, ...], depth: int) -> _Size:
        """Size of ``nodes`` once everything is inlined.

        Also checks each function on its first use; refuses recursion.
        """
        if depth > MAX_DEPTH:
            raise ModelError(f"functions and graphs nest deeper than {MAX_DEPTH}")
        total = height = 0
        for node in nodes:
            callee = self._callee(node)
            size = _NODE if callee is None else self._measure_function(callee, callers, depth)
            total, height = total + size.nodes, max(height, size.height)
            for _, body in node.subgraphs():
                size = self.measure(body.nodes, callers, depth + 1)
                total, height = total + size.nodes, max(height, size.height + 1)
        return _Size(total, height)

    def _measure_function(
        self, function: Function, callers: tuple[FunctionKey, ...], depth: int
    ) -> _Size:
        key = function.key
        if key in callers:
            raise ModelError(f"{function} calls itself")
        if key not in self._sizes:
            function = self._functions[key] = _checked(function)
            inner = self.measure(function.body.nodes, (*callers, key), depth + 1)
            # An output that is also an input becomes one more node.
            outputs = len(function.body.outputs)
            self._sizes[key] = _Size(inner.nodes + outputs, inner.height + 1)
        return self._sizes[key]

    def expand(self, graph: Graph) -> Graph:
        """``graph`` without calls; only after :meth:`measure` found it small enough."""
        return replace(graph, nodes=tuple(self._expand_nodes(graph.nodes)))

    def _expand_nodes(self, nodes: Iterable[Node]) -> Iterable[Node]:
        for node in nodes:
            # Bodies handed to functions as attributes multiply without having been measured.
            self._expanded += 1
            if self._expanded > 2 * MAX_INLINED_NODES:
                raise _too_many_nodes()
            callee = self._callee(node)
            if callee is not None:
                yield from self._expand_nodes(instantiate(callee, node, self._names))
            elif any(True for _ in node.subgraphs()):
                yield replace(
                    node,
                    attributes={
                        name: self._expand_attribute(value)
                        for name, value in node.attributes.items()
                    },
                )
            else:
                yield node

    def _expand_attribute(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, tuple):
            return tuple(self.expand(item) if isinstance(item, Graph) else item for item in value)
        return self.expand(value) if isinstance(value, Graph) else value


def _distinct(values: Sequence[ValueInfo]) -> tuple[ValueInfo, ...]:
    return tuple({value.name: value for value in values}.values())


def instantiate(function: Function, call: Node, names: NameSupply) -> list[Node]:
    """The nodes that ``call`` of ``function`` stands for, in topological order.

    Inner values get fresh names; attribute references take the call's attribute, else the
    default, else vanish.  The body must have passed :func:`~.structure.check_graph`.

    Raises:
        ModelError: the call has more inputs or outputs than the function.
    """
    formal_inputs, formal_outputs = function.body.inputs, function.body.outputs
    for what, given, formal in (
        ("inputs", call.inputs, formal_inputs),
        ("outputs", call.outputs, formal_outputs),
    ):
        if len(given) > len(formal):
            raise ModelError(
                f"it has {len(given)} {what}, {function} takes {len(formal)}", at=str(call)
            )
    renaming = {value.name: "" for value in formal_inputs}
    renaming.update(
        (value.name, name) for value, name in zip(formal_inputs, call.inputs, strict=False)
    )
    copies: list[tuple[str, str]] = []
    for value, name in zip(formal_outputs, call.outputs, strict=False):
        if not name:
            continue
        if value.name in renaming:
            copies.append((value.name, name))
        else:
            renaming[value.name] = name
    instance = _Instance(call, {**function.defaults, **call.attributes}, names)
    nodes = [instance.node(node, renaming) for node in function.body.nodes]
    for source, name in copies:
        nodes.append(
            replace(
                call,
                op_type="Identity",
                domain="",
                version=function.opsets.get("", call.version),
                inputs=(renaming[source],),
                outputs=(name,),
                attributes={},
                overload="",
            )
        )
    return nodes


class _Instance:
    """Renames the values of one call's nodes and resolves their attribute references."""

    def __init__(
        self, call: Node, attributes: Mapping[str, AttributeValue], names: NameSupply
    ) -> None:
        self._call = call
        self._prefix = call.name[-_MAX_NAME:]
        self._attributes = attributes
        self._names = names

    def node(self, node: Node, renaming: dict[str, str]) -> Node:
        inputs = tuple(renaming[name] if name else "" for name in node.inputs)
        attributes: dict[str, AttributeValue] = {}
        for name, value in node.attributes.items():
            if not isinstance(value, AttributeReference):
                attributes[name] = self._attribute(value, renaming)
            elif value.name in self._attributes:
                attributes[name] = self._attributes[value.name]
        return replace(
            node,
            name=f"{self._prefix}/{node.name[-_MAX_NAME:]}",
            inputs=inputs,
            outputs=tuple(self._define(name, renaming) for name in node.outputs),
            attributes=attributes,
            index=self._call.index,
        )

    def _define(self, name: str, renaming: dict[str, str]) -> str:
        """The new name of an inner value; outputs of the function are named by the call."""
        if not name:
            return ""
        if name not in renaming:
            renaming[name] = self._names.fresh(f"{self._prefix}/{name[-_MAX_NAME:]}")
        return renaming[name]

    def _attribute(self, value: AttributeValue, renaming: dict[str, str]) -> AttributeValue:
        if isinstance(value, tuple):
            return tuple(
                self._body(item, renaming) if isinstance(item, Graph) else item for item in value
            )
        return self._body(value, renaming) if isinstance(value, Graph) else value

    def _body(self, body: Graph, outer: dict[str, str]) -> Graph:
        """A nested body: it sees what it captures, everything else in it is its own."""
        renaming = {name: outer[name] for name in body.captures}
        inputs = tuple(replace(v, name=self._define(v.name, renaming)) for v in body.inputs)
        initializers = {
            self._define(name, renaming): tensor for name, tensor in body.initializers.items()
        }
        nodes = tuple(self.node(node, renaming) for node in body.nodes)
        return replace(
            body,
            inputs=inputs,
            initializers=initializers,
            nodes=nodes,
            outputs=tuple(replace(v, name=renaming[v.name]) for v in body.outputs),
            hints={renaming[n]: hint for n, hint in body.hints.items() if n in renaming},
            captures=tuple(renaming[name] for name in body.captures),
        )
