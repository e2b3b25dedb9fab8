"""An ONNX graph under construction: nodes and edges as objects, names only at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from burnish.ir import Constant, DType, TensorType


class Edge:
    """A tensor of the graph.

    ``hint`` is what it would like to be called; ``constant`` its data, when it is an initializer;
    ``type`` that of the value of the IR which it carries, when it carries one.
    """

    __slots__ = ("constant", "dtype", "hint", "type")

    def __init__(
        self,
        dtype: DType,
        hint: str = "",
        constant: Constant | None = None,
        type: TensorType | None = None,
    ) -> None:
        self.dtype = dtype
        self.hint = hint
        self.constant = constant
        self.type = type

    def __repr__(self) -> str:
        return f"<{self.hint or '?'}: {self.dtype}>"


@dataclass(eq=False)
class Node:
    """One node; absent optional inputs and unused optional outputs are None.

    ``name`` is what it would like to be called; ``attributes`` are what
    ``onnx.helper`` takes, tensors as constants; ``graphs`` those that are graphs.
    """

    op_type: str
    domain: str
    inputs: list[Edge | None]
    outputs: list[Edge | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    graphs: dict[str, Graph] = field(default_factory=dict)
    name: str = ""

    def read(self) -> Iterator[Edge]:
        """The edges it reads, those that its graphs read from around them included."""
        yield from (edge for edge in self.inputs if edge is not None)
        for graph in self.graphs.values():
            yield from graph.read()


@dataclass(eq=False)
class Graph:
    """Nodes in topological order, with what comes in and what goes out."""

    inputs: list[Edge] = field(default_factory=list)
    outputs: list[Edge] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def read(self) -> Iterator[Edge]:
        """All edges that are read in it, those of nested graphs included."""
        for node in self.nodes:
            yield from node.read()
        yield from self.outputs

    def made(self) -> set[Edge]:
        """The edges that exist in it without looking outside."""
        produced = {edge for node in self.nodes for edge in node.outputs if edge is not None}
        return produced | set(self.inputs)


def remove_unused(graph: Graph, is_optional: Callable[[Node, int], bool]) -> None:
    """Drop nodes whose results nobody reads, nested graphs first, and optional unread outputs."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not any(edge in needed for edge in node.outputs if edge is not None):
            continue
        for nested in node.graphs.values():
            remove_unused(nested, is_optional)
        needed.update(node.read())
        node.outputs = [
            edge if edge in needed or not is_optional(node, index) else None
            for index, edge in enumerate(node.outputs)
        ]
        while node.outputs[-1] is None:
            node.outputs.pop()
        kept.append(node)
    graph.nodes = kept[::-1]


def walk(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Every node with the graph it is in, nested ones after the node around them."""
    for node in graph.nodes:
        yield graph, node
        for nested in node.graphs.values():
            yield from walk(nested)


def initializers(graph: Graph) -> list[Edge]:
    """The constants that the graph and those nested in it read, each once, in order of use."""
    found: dict[Edge, None] = {}
    for edge in graph.read():
        if edge.constant is not None:
            found[edge] = None
    return list(found)
