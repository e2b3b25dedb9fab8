"""From a loaded model to a module of the graph IR.

Nodes are converted in order, each by the converter registered for its operator (:mod:`.convert`)
or, failing that, through the function that its ONNX schema defines.  What cannot be converted is
collected over the whole model and reported in one error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from burnish.ir import (
    Block,
    Constant,
    Dim,
    DType,
    Error,
    Function,
    InternalError,
    Location,
    Module,
    Rewriter,
    TensorType,
    Trait,
    Value,
    is_unused,
    symbol,
)
from burnish.ir.dims import MAX_DIM, Interval
from burnish.ir.errors import (
    DimensionError,
    ModelError,
    TypeInferenceError,
    UnsupportedError,
    clip,
    memory_errors,
)

from .assumptions import MAX_NUMBERS, Values, implied_values
from .bindings import Binding, bind_inputs
from .context import Enter, NodeContext, UndecidedError
from .convert import find_converter
from .declared import DeclaredShapes, symbols_of_inputs
from .emitter import Emitter, Knowledge
from .graph import DeclaredType, Graph, LoadedModel, NameSupply, Node, ValueInfo
from .inputs import spread_inputs
from .items import Item, KnownOptional, KnownSequence, flatten, named, rebuild
from .load import ModelSource, load_model
from .schemas import check_arity, has_schema_function, schema_function_body
from .shapes import Content, Ranges, suggest_multiples
from .tensors import ELEMENT_CODES, ELEMENT_TYPES

_MAX_SHOWN_ROWS = 40
_MAX_SHOWN_NODES = 5


@dataclass(frozen=True)
class Unsupported:
    """An operator (or a form of it) that cannot be compiled, and the nodes that use it."""

    op_type: str
    domain: str
    version: int
    reason: str
    nodes: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many nodes use it."""
        return len(self.nodes)

    def __str__(self) -> str:
        name = f"{clip(self.domain)}.{clip(self.op_type)}" if self.domain else clip(self.op_type)
        shown = ", ".join(f'"{clip(node)}"' for node in self.nodes[:_MAX_SHOWN_NODES])
        more = f" and {self.count - _MAX_SHOWN_NODES} more" if self.count > _MAX_SHOWN_NODES else ""
        nodes = "1 node" if self.count == 1 else f"{self.count} nodes"
        return f"{name} (opset {self.version}), {nodes}: {self.reason}: {shown}{more}"


class UnsupportedModelError(UnsupportedError):
    """A model uses operators that burnish cannot compile; ``findings`` lists all of them."""

    def __init__(self, findings: Sequence[Unsupported]) -> None:
        self.findings = tuple(findings)
        nodes = sum(finding.count for finding in findings)
        rows = [f"    {finding}" for finding in self.findings[:_MAX_SHOWN_ROWS]]
        if len(findings) > _MAX_SHOWN_ROWS:
            rows.append(f"    and {len(findings) - _MAX_SHOWN_ROWS} more")
        count = "1 node" if nodes == 1 else f"{nodes} nodes"
        summary = f"{count} of the model cannot be compiled:"
        super().__init__(
            "\n".join([summary, *rows]),
            help="`burnish ops` lists what can be compiled; "
            "`burnish inspect` shows where a model stands",
        )


def import_onnx(
    model: ModelSource,
    dims: Mapping[str, Binding] | None = None,
    *,
    allow_unbound: bool = False,
) -> Module:
    """Read an ONNX model (path, bytes or ``ModelProto``) into a module of the graph IR.

    ``dims`` binds dynamic dimensions, see :mod:`.bindings`; with ``allow_unbound`` what it leaves
    out stays symbolic, without a range.

    Raises:
        ModelError: the model is broken.
        UnsupportedError: it uses what burnish cannot compile; everything is listed at once.
        DimensionError: a dynamic dimension is unbound or wrongly bound.
        TypeInferenceError: operands of a node do not fit its operator.
    """
    session, module = _run(load_model(model), dims, allow_unbound)
    if session.findings:
        raise UnsupportedModelError(session.unsupported()).located(session.place)
    return module


def check(model: ModelSource, dims: Mapping[str, Binding] | None = None) -> list[Unsupported]:
    """What of the model cannot be compiled, empty when all can; unbound dimensions are allowed.

    Raises:
        ModelError: the model is broken.
        DimensionError: a dynamic dimension is wrongly bound.
        TypeInferenceError: operands of a node do not fit its operator.
    """
    session, _ = _run(load_model(model), dims, allow_unbound=True)
    return session.unsupported()


def _run(
    model: LoadedModel, dims: Mapping[str, Binding] | None, allow_unbound: bool
) -> tuple[_Session, Module]:
    """Import the model; if only undecided shapes are in the way, with what outputs imply."""
    session = _Session(model)
    try:
        with memory_errors():
            module = session.run(dims, allow_unbound)
            if session.findings and session.only_undecided:
                assumed = _implied_inputs(model, module, dims)
                if assumed is not None:
                    other = _Session(model, assumed=assumed)
                    other_module = other.run(dims, allow_unbound)
                    if not other.findings:
                        return other, other_module
    except Error as error:
        raise error.located(session.place) from None
    return session, module


def _implied_inputs(
    model: LoadedModel, module: Module, dims: Mapping[str, Binding] | None
) -> Values | None:
    """Values of small integer inputs that the declared outputs imply, or None."""
    declared = []
    for output in model.graph.outputs:
        shape = output.type.shape or ()
        if output.type.shape is None or not all(isinstance(dim, int) for dim in shape):
            return None
        declared.append([dim for dim in shape if isinstance(dim, int)])
    types = bind_inputs(model.graph.inputs, dims, allow_unbound=True).types
    counts = {
        name: elements
        for name, type_ in types.items()
        if type_.dtype.is_integer and type_.rank <= 1
        if isinstance(elements := type_.elements, int) and 0 < elements <= MAX_NUMBERS
    }

    def probe(values: Mapping[str, Sequence[int]]) -> list[list[Dim]] | None:
        session = _Session(model, assumed=values)
        try:
            tried = session.run(dims, allow_unbound=True)
        except Error:
            return None
        if session.findings:
            return None
        return [list(value.type.shape) for value in tried.main.results]

    return implied_values(counts, declared, probe)


class _SkippedError(Exception):
    """A node cannot be converted because of something that has been reported already."""


@dataclass
class _Session:
    """State of one import."""

    model: LoadedModel
    findings: dict[tuple[str, str, int, str], list[str]] = field(default_factory=dict)
    dimensions: dict[str, Dim] = field(default_factory=dict)
    """What names of dimensions in declared types stand for."""
    found_sizes: dict[str, Interval] = field(default_factory=dict)
    """Ranges of the symbols that ops define."""
    assumed: Values = field(default_factory=dict)
    """Numbers in inputs that hold whenever the model runs, which is checked then."""
    only_undecided: bool = True
    """Whether all findings are shapes that run-time data decides."""

    @property
    def names(self) -> NameSupply:
        return self.model.names

    @property
    def place(self) -> str:
        return clip(str(self.model.path)) if self.model.path is not None else "model"

    def run(self, dims: Mapping[str, Binding] | None, allow_unbound: bool) -> Module:
        """The module, as far as nothing is unsupported."""
        model = self.model
        inputs = spread_inputs(model.graph.inputs, dims)
        graph = replace(model.graph, inputs=inputs.values)
        signature = bind_inputs(graph.inputs, inputs.dims, allow_unbound=allow_unbound)
        metadata = {**model.metadata, **({"producer": model.producer} if model.producer else {})}
        module = Module(
            model.path.stem if model.path is not None else model.name,
            symbols=signature.symbols,
            metadata=metadata,
        )
        block = Block(list(signature.types.values()), list(signature.types))
        knowledge = Knowledge(Ranges(signature.ranges))
        self.dimensions = symbols_of_inputs(graph, signature.types)
        for arg in block.args:
            self.assume(arg, knowledge)
        importer = GraphImporter(self, graph, Emitter(block, knowledge))
        importer.define(signature.types, block.args)
        items = inputs.items(dict(zip(signature.types, block.args, strict=True)))
        importer.define(items, list(items.values()))
        importer.convert()
        if self.findings:
            return module
        outputs = _flat_outputs(graph.outputs, importer.results())
        importer.emit.location = Location()
        results = [self.checked(value, block, importer.emit) for _, value in outputs]
        importer.emit.create("core.return", results, {})
        _erase_unused(block)
        module.symbols.update(self.found_sizes)
        module.add(Function("main", block, [name for name, _ in outputs]))
        return module

    def assume(self, arg: Value, knowledge: Knowledge) -> None:
        """Take the numbers in ``arg`` that are assumed as known, the others as symbols."""
        numbers = self.assumed.get(arg.name or "")
        if numbers is None:
            return
        content: Content = np.empty(len(numbers), object)
        for index, number in enumerate(numbers):
            label = f"{arg.name}[{index}]"
            knowledge.ranges.define(label, (0, MAX_DIM))
            content[index] = symbol(label) if number is None else number
        knowledge.learn(arg, content.reshape(arg.type.static_shape))

    def checked(self, value: Value, block: Block, emit: Emitter) -> Value:
        """``value``, valid only if the inputs are as assumed, which is checked at run time.

        The ops are created as they are: folded, the check would compare assumptions.
        """
        for arg in block.args:
            numbers = self.assumed.get(arg.name or "", ())
            expected = [number for number in numbers if number is not None]
            if not expected:
                continue
            places = [index for index, number in enumerate(numbers) if number is not None]
            indices = emit.constant(np.array(places, np.int64))
            shape = {"shape": (len(numbers),)}
            flat = emit.create("tensor.reshape", [arg], shape).result
            actual = emit.create("tensor.gather", [flat, indices], {"axis": 0}).result
            if actual.type.dtype is not DType.I64:
                actual = emit.create("math.cast", [actual], {"to": DType.I64}).result
            attributes = {"expected": expected, "what": f'input "{clip(arg.name or "")}"'}
            value = emit.create("control.require", [value, actual], attributes).result
        return value

    def refuse(self, node: Node, reason: str, *, undecided: bool = False) -> None:
        """Note that ``node`` cannot be compiled."""
        self.only_undecided &= undecided
        key = (node.op_type, node.domain, node.version, reason)
        nodes = self.findings.setdefault(key, [])
        if node.name not in nodes[-1:]:
            nodes.append(node.name)

    def refuse_unknown(self, nodes: Iterable[Node]) -> None:
        """Note those of ``nodes``, bodies included, whose operator is not known at all."""
        for node in nodes:
            known = find_converter(node.domain, node.op_type, node.version) is not None
            if not known and not has_schema_function(node):
                self.refuse(node, NO_CONVERTER)
            for _, body in node.subgraphs():
                self.refuse_unknown(body.nodes)

    def unsupported(self) -> list[Unsupported]:
        """Everything noted, most frequent first."""
        rows = [Unsupported(*key, tuple(nodes)) for key, nodes in self.findings.items()]
        return sorted(rows, key=lambda row: (-row.count, row.op_type))


NO_CONVERTER = "burnish does not have this operator"


class GraphImporter:
    """Converts the nodes of one graph, appending to one block."""

    def __init__(
        self,
        session: _Session,
        graph: Graph,
        emit: Emitter,
        outer: GraphImporter | None = None,
    ) -> None:
        self._session = session
        self._graph = graph
        self._outer = outer
        self._values: dict[str, Item | None] = {}
        self._passed: dict[Value, Value] = {}
        self._used: set[str] | None = None
        self._shapes = DeclaredShapes(
            graph, session.dimensions, self._known_type, self._declared_outside
        )
        self.emit = emit

    def define(self, names: Iterable[str], values: Sequence[Item | None]) -> None:
        """Say what names stand for; None for what could not be converted."""
        self._values.update(zip(names, values, strict=True))

    def convert(self) -> None:
        """Convert all nodes; what cannot be converted is noted in the session."""
        for node in self._graph.nodes:
            self._convert_node(node)

    def results(self) -> list[Item]:
        """What the graph's outputs stand for.

        Raises:
            _SkippedError: one of them could not be converted.
        """
        return [self._needed(output.name) for output in self._graph.outputs]

    def declared_shape(self, name: str) -> tuple[Dim, ...] | None:
        """The shape that the model claims for the value ``name``, or None."""
        return self._shapes.shape(name)

    def declared_shape_in_part(self, name: str) -> tuple[Dim | None, ...] | None:
        """The same, with None for dimensions that it leaves open."""
        return self._shapes.partial_shape(name)

    def _declared_outside(self, name: str) -> tuple[Dim, ...] | None:
        return None if self._outer is None else self._outer.declared_shape(name)

    def _known_type(self, name: str) -> TensorType | None:
        item = self._values.get(name)
        if item is None and name in self._graph.initializers:
            item = self.resolve(name)
        return item.type if isinstance(item, Value) else None

    def define_size(self, name: str, most: int) -> Dim:
        """A new symbol, 0 to ``most``, for a size that an op finds when the model runs."""
        label = f"{name}_count"
        known = self.emit.knowledge.ranges.intervals
        number = 1
        while label in known:
            number += 1
            label = f"{name}_count_{number}"
        self._session.found_sizes[label] = (0, most)
        self.emit.knowledge.ranges.define(label, (0, most))
        return symbol(label)

    def is_used(self, name: str) -> bool:
        """Whether a node or an output of this graph reads ``name``."""
        if self._used is None:
            self._used = {output.name for output in self._graph.outputs}
            for node in self._graph.nodes:
                self._used.update(node.inputs)
                for _, body in node.subgraphs():
                    self._used.update(body.captures)
            self._used.discard("")
        return name in self._used

    # Names ---------------------------------------------------------------------------

    def resolve(self, name: str) -> Item | None:
        """What ``name`` stands for; None when it could not be converted.

        Raises:
            UnsupportedError: it is a constant of strings.
        """
        if name in self._values:
            return self._values[name]
        tensor = self._graph.initializers.get(name)
        if tensor is not None:
            if tensor.dtype is None:
                raise UnsupportedError(f'"{clip(name)}" is a tensor of strings')
            handle = Constant.deferred(tensor.dtype, tensor.shape, lambda: tensor.array)
            value: Item | None = self.emit.constant(handle, name)
        elif self._outer is not None:
            value = self._from_outside(self._outer.resolve(name), name)
        else:
            raise InternalError(f"the loader let an undefined name through: {name!r}")
        self._values[name] = value
        return value

    def _from_outside(self, item: Item | None, name: str) -> Item | None:
        """An item of a graph around this one, as this one can use it."""
        if item is None:
            return None
        values = [self._inside(value, name) for value in flatten(item)]
        return rebuild(item, iter(values))

    def _inside(self, value: Value, name: str) -> Value:
        """A value of a graph around this one: constants are repeated in isolated regions."""
        if value.block is self.emit.block:
            return value
        if value in self._passed:
            return self._passed[value]
        if value.op is None or value.constant is None:
            raise InternalError(f"{name!r} is not passed into the region that reads it")
        copy = self.emit.create("core.constant", (), value.op.attributes)
        copy.result.name = name
        return copy.result

    def _needed(self, name: str) -> Item:
        item = self.resolve(name)
        if item is None:
            raise _SkippedError
        return item

    # Nodes ---------------------------------------------------------------------------

    def _convert_node(self, node: Node) -> None:
        location = Location.node(node.name, node.op_type)
        self.emit.location = location
        operands: list[Item | None] = []
        try:
            operands = [self._needed(name) if name else None for name in node.inputs]
            values: Sequence[Item | None]
            for _, body in node.subgraphs():
                for name in body.captures:
                    self._needed(name)
            values = self._results_of(node, operands)
        except _SkippedError:
            self._session.refuse_unknown([node])
            values = [None] * len(node.outputs)
        except (UnsupportedError, DimensionError) as error:
            undecided = isinstance(error, UndecidedError)
            self._session.refuse(node, error.message, undecided=undecided)
            values = [None] * len(node.outputs)
        except Error as error:
            if isinstance(error, TypeInferenceError) and not error.help:
                types = [value.type for value in operands if isinstance(value, Value)]
                error.help = suggest_multiples(types)
            raise error.located(str(location)) from None
        except OverflowError as error:
            # Integers of a model have up to 64 bits, arithmetic on them may need more.
            raise ModelError(f"numbers in it are too large: {error}", at=str(location)) from None
        for name, value in zip(node.outputs, values, strict=False):
            if name:
                self._values[name] = value
                if isinstance(value, Value) and value.name is None:
                    value.name = name

    def _results_of(self, node: Node, operands: Sequence[Item | None]) -> Sequence[Item | None]:
        """The node's outputs.

        Raises:
            UnsupportedError: the operator is not known, or not in this form.
        """
        check_arity(node)
        found = find_converter(node.domain, node.op_type, node.version)
        if found is None:
            return self.by_schema(node, operands)
        results = found(NodeContext(node, operands, self.emit, self))
        if isinstance(results, (Value, KnownSequence, KnownOptional)):
            results = [results]
        values = list(results)
        for index, name in enumerate(node.outputs):
            if name and (index >= len(values) or values[index] is None) and self.is_used(name):
                raise UnsupportedError(f"its output {index} is used")
        return values

    def by_schema(self, node: Node, operands: Sequence[Item | None]) -> list[Item | None]:
        """The node's outputs, from the nodes that the operator's schema defines it by.

        Raises:
            UnsupportedError: it does not define it.
        """
        types = [_declared(v.type) if isinstance(v, Value) else DeclaredType() for v in operands]
        session = self._session
        nodes = schema_function_body(node, session.names, types, session.model.opsets.get(""))
        if nodes is None:
            raise UnsupportedError(NO_CONVERTER)
        wanted = [name for name in node.outputs if name]
        outputs = tuple(ValueInfo(name, DeclaredType()) for name in wanted)
        inner = GraphImporter(
            self._session, Graph(node.name, (), outputs, {}, tuple(nodes)), self.emit, self
        )
        inner.convert()
        return [inner.resolve(name) if name else None for name in node.outputs]

    # Bodies --------------------------------------------------------------------------

    def inline(self, body: Graph, arguments: Sequence[Item] = ()) -> list[Item]:
        """Convert ``body`` into this block; returns its results."""
        location = self.emit.location
        inner = GraphImporter(self._session, body, self.emit, self)
        inner.define([value.name for value in body.inputs], arguments)
        inner.convert()
        self.emit.location = location
        return inner.results()

    def captured(self, bodies: Sequence[Graph]) -> dict[str, Value]:
        """Run-time values that ``bodies`` read from around them, by name."""
        values: dict[str, Value] = {}
        for body in bodies:
            for name in body.captures:
                item = self._needed(name)
                values.update((label, v) for label, v in named(name, item) if v.constant is None)
        return values

    def region(
        self,
        body: Graph,
        argument_types: Sequence[TensorType],
        captured: Mapping[str, Value],
        enter: Enter | None = None,
    ) -> tuple[Block, list[Item]]:
        """``body`` as an isolated block; see :meth:`.NodeContext.region`."""
        names = [value.name for value in body.inputs]
        count = len(argument_types)
        types = [*argument_types, *(value.type for value in captured.values())]
        leading = names if enter is None else ["iteration", "condition", *names]
        block = Block(types, [*leading, *captured])
        own, passed = block.args[:count], block.args[count:]
        emit = Emitter(block, self.emit.knowledge, self.emit.location)
        inner = GraphImporter(self._session, body, emit, self)
        inner.define(names, own if enter is None else enter(emit, own))
        inner._passed = dict(zip(captured.values(), passed, strict=True))
        for value, argument in zip(captured.values(), passed, strict=True):
            emit.knowledge.learn(argument, emit.knowledge.learned(value))
        inner.convert()
        results = inner.results()
        emit.location = self.emit.location
        yielded = [] if enter is None else [own[1]]
        yielded += [value for item in results for value in flatten(item)]
        emit.create("core.yield", yielded, {})
        _erase_unused(block)
        return block, results


def _declared(type_: TensorType) -> DeclaredType:
    element = ELEMENT_TYPES[ELEMENT_CODES[type_.dtype]].name
    shape = tuple(dim if isinstance(dim, int) else None for dim in type_.shape)
    return DeclaredType("tensor", element, type_.dtype, shape)


def _flat_outputs(outputs: Sequence[ValueInfo], results: Sequence[Item]) -> list[tuple[str, Value]]:
    """Names and values of the module's results; sequences become several, see :func:`named`.

    Raises:
        TypeInferenceError: the declared element type is not the one that was computed.
        UnsupportedError: names of a sequence's elements are those of other outputs.
    """
    flat: dict[str, Value] = {}
    for output, item in zip(outputs, results, strict=True):
        for name, value in named(output.name, item):
            declared = output.type.dtype
            if declared is not None and declared is not value.type.dtype:
                raise TypeInferenceError(
                    f'output "{clip(name)}" is declared as {declared}, '
                    f"but the graph computes {value.type.dtype}",
                    at=str(value.op.location) if value.op is not None else "",
                )
            if name in flat:
                raise UnsupportedError(f'two outputs of the model are called "{clip(name)}"')
            flat[name] = value
    return list(flat.items())


def _erase_unused(block: Block) -> None:
    """Drop ops nobody reads: constants that were only folded, shape arithmetic, dead nodes."""
    rewriter = Rewriter()
    for op in reversed(block):
        if not op.is_terminator and Trait.IMPURE not in op.opdef.traits and is_unused(op):
            rewriter.erase(op)
