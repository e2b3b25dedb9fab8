"""Names and order of a graph: every value defined once, every read defined, no cycles.

Bodies see the names of the graphs around them, so a node reads its inputs and whatever its bodies
capture.  Cost is linear in nodes and names (n log n where nodes have to be sorted).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

from burnish.ir.errors import ModelError, clip

from .graph import AttributeValue, Graph, Node

MAX_DEPTH = 48
"""How deep bodies of nodes, and functions that call each other, may nest together."""

_SHOWN_NAMES = 6
_SCOPES_PER_GRAPH = 2

_Scope = Mapping[str, object]


def check_graph(graph: Graph) -> Graph:
    """``graph`` with nodes in topological order (as they are where they are sorted already).

    Raises:
        ModelError: a value is defined twice or never, or nodes form a cycle; names the nodes.
    """
    result, reads = _check(graph, ())
    if reads:
        name, node = next(iter(reads.items()))
        others = f" (and {len(reads) - 1} more values are missing)" if len(reads) > 1 else ""
        place = f"input {node.inputs.index(name)}" if name in node.inputs else "a body"
        raise ModelError(
            f'{place} reads "{clip(name)}", which is neither an input, an initializer nor the '
            f"output of a node{others}",
            at=str(node),
            help="an initializer is missing from the model file, or a name is misspelled",
        )
    seen: set[str] = set()
    for output in graph.outputs:
        if output.name in seen:
            raise ModelError(f'graph output "{clip(output.name)}" is listed twice')
        seen.add(output.name)
    return result


def _check(graph: Graph, outer: tuple[_Scope, ...]) -> tuple[Graph, dict[str, Node]]:
    """The checked graph, and the names it reads from outside with the first reading node."""
    if len(outer) > _SCOPES_PER_GRAPH * MAX_DEPTH:
        raise ModelError(f"graphs nest deeper than {MAX_DEPTH}")
    given = _given_names(graph)
    producers = _producers(graph, given, outer)
    nodes: list[Node] = []
    reads: list[list[str]] = []
    inside: tuple[_Scope, ...] = (*outer, given, producers)  # _SCOPES_PER_GRAPH of them
    for node in graph.nodes:
        checked, captured = _check_bodies(node, inside)
        nodes.append(checked)
        reads.append([name for name in node.inputs if name] + captured)
    free: dict[str, Node] = {}
    for node, names in zip(nodes, reads, strict=True):
        for name in names:
            if name not in given and name not in producers:
                free.setdefault(name, node)
    captures = dict.fromkeys(free)
    for output in graph.outputs:
        if output.name not in given and output.name not in producers:
            if not outer:
                raise ModelError(f'nothing produces the graph output "{clip(output.name)}"')
            captures[output.name] = None
    order = _topological_order(nodes, reads, producers)
    return replace(graph, nodes=order, captures=tuple(captures)), free


def _given_names(graph: Graph) -> dict[str, object]:
    given: dict[str, object] = {}
    for value in graph.inputs:
        if value.name in given:
            raise ModelError(f'graph input "{clip(value.name)}" is defined twice')
        given[value.name] = None
    given.update(dict.fromkeys(graph.initializers))
    return given


def _producers(graph: Graph, given: _Scope, outer: tuple[_Scope, ...]) -> dict[str, int]:
    """Position of the node that produces each name.

    A body's inputs may hide names around it, but a node's output may not (the form would not
    be single-assignment).
    """
    producers: dict[str, int] = {}
    for position, node in enumerate(graph.nodes):
        for name in node.outputs:
            if not name:
                continue
            if name in producers:
                places: Sequence[str] = [str(graph.nodes[producers[name]]), str(node)]
            elif name in given or any(name in scope for scope in outer):
                places = [str(node)]
            else:
                producers[name] = position
                continue
            raise ModelError(f'value "{clip(name)}" is defined twice', at=places)
    return producers


def _check_bodies(node: Node, scopes: tuple[_Scope, ...]) -> tuple[Node, list[str]]:
    """The node with checked bodies, and the names that these capture."""
    captured: dict[str, None] = {}

    def check(value: AttributeValue) -> AttributeValue:
        if isinstance(value, tuple):
            return tuple(check_one(item) if isinstance(item, Graph) else item for item in value)
        return check_one(value) if isinstance(value, Graph) else value

    def check_one(body: Graph) -> Graph:
        result, _ = _check(body, scopes)
        captured.update(dict.fromkeys(result.captures))
        return result

    if not any(True for _ in node.subgraphs()):
        return node, []
    try:
        attributes = {name: check(value) for name, value in node.attributes.items()}
    except ModelError as error:
        raise error.located(str(node)) from None
    return replace(node, attributes=attributes), list(captured)


def _topological_order(
    nodes: Sequence[Node], reads: Sequence[Sequence[str]], producers: Mapping[str, int]
) -> tuple[Node, ...]:
    """The nodes sorted, in file order as far as possible."""
    needs = [{producers[name] for name in names if name in producers} for names in reads]
    if all(max(need, default=-1) < position for position, need in enumerate(needs)):
        return tuple(nodes)
    users: list[list[int]] = [[] for _ in nodes]
    for position, need in enumerate(needs):
        for producer in need:
            users[producer].append(position)
    waiting = [len(need) for need in needs]
    ready = [position for position, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        position = heapq.heappop(ready)
        order.append(position)
        for user in users[position]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise _cycle_error(nodes, needs, waiting)
    return tuple(nodes[position] for position in order)


def _cycle_error(
    nodes: Sequence[Node], needs: Sequence[set[int]], waiting: Sequence[int]
) -> ModelError:
    """Follow unfinished producers from any unfinished node until one repeats."""
    position = next(p for p, count in enumerate(waiting) if count)
    path: dict[int, None] = {}
    while position not in path:
        path[position] = None
        position = min(p for p in needs[position] if waiting[p])
    walked = list(path)
    cycle = [nodes[p] for p in reversed(walked[walked.index(position) :])]
    shown = [str(node) for node in cycle[:_SHOWN_NAMES]]
    if len(cycle) > len(shown):
        shown.append(f"{len(cycle) - len(shown)} more nodes")
    return ModelError(
        f"{len(cycle)} node{'s' if len(cycle) > 1 else ''} form a cycle: "
        "each needs the output of the one before it",
        at=shown,
    )
