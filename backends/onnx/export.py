"""A module as an ONNX model.

Ops are written one by one by their exporters (``ops/``); nodes that turn out to be unused are
dropped, names are given, and ONNX's own checker looks over the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx

from burnish.ir import Block, Constant, InternalError, Module, Op, Value
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import TargetError, TypeInferenceError, UnsupportedError, clip

from . import ops  # noqa: F401 - registers the exporters
from .context import Context, Refusal, Scope, Writer
from .elementwise import from_expression
from .forms import forms_of
from .graph import Edge, Graph, Node, remove_unused
from .model import make_model
from .ops.ml import needs_tables
from .registry import Exporter, find_exporter
from .schemas import OLDEST_OPSET, allowed_dtypes, first_opset_taking, newest_opset
from .sizes import note_sources

DEFAULT_OPSET = 23
"""The newest opset all of whose operators runtimes in wide use have kernels for.

Swish, of opset 24, is slower there than the Sigmoid and Mul it stands for.
"""

SHARED_BYTES = 1 << 16
"""Up to that size, a constant may be written once for each form in which it is read."""

_ML_OPSETS = {False: 3, True: 5}
"""Version of ai.onnx.ml, by whether an ensemble needs TreeEnsemble."""


def export_onnx(
    module: Module, *, opset: int | None = None, name: str | None = None
) -> onnx.ModelProto:
    """The entry function of ``module`` as an ONNX model.

    Inputs and outputs keep their names; the graph is called ``name``, by default as the module.
    Without ``opset``, it is :data:`DEFAULT_OPSET`, or the
    first newer one in which every op can be written.

    Raises:
        UnsupportedError: ops that cannot be written in the opset, all named.
        TargetError: there is no such opset.
    """
    if opset is not None and not OLDEST_OPSET <= opset <= newest_opset():
        raise TargetError(
            f"there is no opset {opset}",
            help=f"choose one from {OLDEST_OPSET} to {newest_opset()}",
        )
    chosen = min(DEFAULT_OPSET, newest_opset()) if opset is None else opset
    export = _Export(module, chosen)
    graph = export.run()
    needed = max((refused.opset for refused in export.refused), default=0)
    if opset is None and chosen < needed <= newest_opset():
        export = _Export(module, needed)
        graph = export.run()
    if export.refused:
        raise _refusal(export.refused, export.writer.opsets[""])
    return make_model(graph, export.writer, module, module.name if name is None else name)


@dataclass(frozen=True)
class _Refused:
    """An op that cannot be written."""

    op: Op
    reason: str
    opset: int


def _refusal(refused: Sequence[_Refused], opset: int) -> UnsupportedError:
    groups: dict[str, list[str]] = {}
    for entry in refused:
        places = groups.setdefault(f"{entry.op.name}: {entry.reason}", [])
        places += [place for place in map(str, entry.op.location.sources) if place not in places]
    lines = [f"{what}{f' ({clip(chr(44).join(p))})' if p else ''}" for what, p in groups.items()]
    needed = [entry.opset for entry in refused]
    help_ = f"opset {max(needed)} has what is missing" if all(n > opset for n in needed) else ""
    return UnsupportedError(f"ONNX of opset {opset} cannot express " + "; ".join(lines), help=help_)


def _shared_constants(module: Module) -> set[Constant]:
    """The large constants that several ops read."""
    readers = Counter(
        value.constant
        for op in module.walk()
        for value in set(op.inputs)
        if value.constant is not None and value.constant.nbytes > SHARED_BYTES
    )
    return {data for data, count in readers.items() if count > 1}


@dataclass
class _Export:
    """One attempt at one opset."""

    module: Module
    opset: int
    refused: list[_Refused] = field(default_factory=list)

    def __post_init__(self) -> None:
        ensembles = (op for op in self.module.walk() if op.name == "ml.tree_ensemble")
        needs = any(needs_tables(op.attributes) for op in ensembles)
        self.writer = Writer(
            self.opset, _ML_OPSETS[needs], self.module.symbols, _shared_constants(self.module)
        )

    def run(self) -> Graph:
        main = self.module.main
        scope = self.writer.scope
        for name, arg in zip(main.arg_names, main.args):
            edge = Edge(arg.type.dtype, name, None, arg.type.logical)
            scope.graph.inputs.append(edge)
            self.bind(arg, edge)
        self.block(main.body)
        self.outputs(main.body, main.result_names)
        if not self.refused:
            remove_unused(scope.graph, self.writer.is_optional)
        return scope.graph

    def bind(self, value: Value, edge: Edge) -> None:
        """Let an edge carry a value; it is called after it unless it has a name already."""
        if edge.dtype is not value.type.dtype:
            raise InternalError(f"{value} of {value.op} is exported as {edge.dtype}")
        edge.hint = edge.hint or value.name or ""
        if edge.type is None and edge.constant is None:
            edge.type = value.type.logical
        self.writer.scope.values[value] = edge
        note_sources(self.writer.scope, edge)

    def block(self, block: Block) -> None:
        """Write the ops of a block into the graph of the current scope."""
        for op in block:
            if op.is_terminator:
                continue
            try:
                edges = self.op(op)
            except Refusal as refusal:
                edges = self.refuse(op, refusal.reason, refusal.opset)
            except TypeInferenceError as error:  # a number was needed where there is a symbol
                edges = self.refuse(op, error.message)
            for value, edge in zip(op.results, edges):
                self.bind(value, edge)

    def refuse(self, op: Op, reason: str, opset: int = 0) -> list[Edge]:
        """Note that an op cannot be written; what stands for its results until all are found."""
        self.refused.append(_Refused(op, reason, opset))
        return [Edge(value.type.dtype) for value in op.results]

    def op(self, op: Op) -> list[Edge]:
        constant = op.results[0].constant if op.results else None
        if constant is not None:
            return [self.writer.constant(constant, op.results[0].name or "")]
        context = Context(op, self.writer, self)
        for form in forms_of(op.name):
            edge = form(context)
            if edge is not None:
                return [edge]
        result = self.exporter(op)(context)
        return [result] if isinstance(result, Edge) else list(result)

    def exporter(self, op: Op) -> Exporter:
        found = find_exporter(op.name)
        if found is not None:
            return found
        if isinstance(op.opdef, ElementwiseOp):
            return from_expression
        raise Refusal("there is no exporter for it")

    def inline(self, block: Block, arguments: Sequence[Edge]) -> list[Edge]:
        """The ops of a region among those around it."""
        for arg, edge in zip(block.args, arguments):
            self.writer.scope.values[arg] = edge
        self.block(block)
        return [self.writer.edge(value) for value in block.results]

    def region(self, block: Block, arguments: Sequence[Edge], captured: Sequence[Edge]) -> Graph:
        """A region as a graph of its own, which sees what is around it."""
        outer = self.writer.scope
        scope = self.writer.scope = Scope(Graph(list(arguments)), outer)
        for arg, edge in zip(block.args, (*arguments, *captured)):
            if edge in captured:
                scope.values[arg] = edge
            else:
                self.bind(arg, edge)
        self.block(block)
        self.outputs(block, [""] * len(block.results))
        self.writer.scope = outer
        return scope.graph

    def outputs(self, block: Block, names: Sequence[str]) -> None:
        """Hand out the results of a block.

        What is not made by a node of the graph passes through Identity, and so does what is
        handed out twice, or has a name already that is not the one it must have.
        """
        graph = self.writer.scope.graph
        made = {edge for node in graph.nodes for edge in node.outputs}
        for value, name in zip(block.results, names):
            edge = self.writer.edge(value)
            is_itself = edge in graph.inputs and name == edge.hint != ""
            if not is_itself and (edge not in made or edge in graph.outputs):
                edge = self.copied(edge, block.terminator)
            if name:
                edge.hint = name
            edge.type = value.type.logical
            graph.outputs.append(edge)

    def copied(self, edge: Edge, terminator: Op) -> Edge:
        """``edge`` once more, for who hands it out."""
        key = ("Identity", self.opset, "")
        if edge.dtype not in allowed_dtypes(*key, "V"):
            opset = first_opset_taking(edge.dtype, *key, "V")
            self.refuse(terminator, f"Identity takes no {edge.dtype}", opset)
        copy = Edge(edge.dtype)
        self.writer.scope.graph.nodes.append(Node("Identity", "", [edge], [copy]))
        return copy
