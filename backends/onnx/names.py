"""Names of what is in an exported model: exact where users see them, else unique and stable."""

from __future__ import annotations

from ..names import Names
from .graph import Edge, Graph, Node, initializers, walk


def name_edges(graph: Graph) -> dict[Edge, str]:
    """A name for each edge of the graph and those nested in it.

    Inputs and outputs keep theirs; others are called after their hints, or after the operator
    that makes them.
    """
    names = {edge: edge.hint for edge in (*graph.inputs, *graph.outputs)}
    given = Names(names.values())

    def assign(edge: Edge | None, fallback: str) -> None:
        if edge is not None and edge not in names:
            names[edge] = given.take(edge.hint or fallback)

    for edge in initializers(graph):
        assign(edge, "constant")
    for _, node in walk(graph):
        for nested in node.graphs.values():
            for edge in nested.inputs:
                assign(edge, "argument")
        for output in node.outputs:
            assign(output, node.op_type)
    return names


def name_nodes(graph: Graph) -> dict[Node, str]:
    """A name for each node: that of the node of the model it stands for, where there is one."""
    given = Names()
    return {node: given.take(node.name or node.op_type) for _, node in walk(graph)}
