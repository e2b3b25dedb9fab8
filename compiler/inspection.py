"""What a model is, and whether it will compile, before any work is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from burnish.backends.c import check_module
from burnish.ir import Module
from burnish.ir.cost import block_cost, parameter_count, peak_activation_bytes
from burnish.ir.dims import symbols_of
from burnish.ir.errors import DimensionError, UnsupportedError, clip
from burnish.passes import run_pipeline, standard_pipeline

from .frontend.onnx.bindings import Binding, bind_inputs
from .frontend.onnx.graph import DeclaredType, Graph
from .frontend.onnx.importer import UnsupportedModelError, import_onnx
from .frontend.onnx.load import ModelSource, load_model
from .report.build import count, ports
from .report.data import Count, Port


@dataclass(frozen=True)
class Finding:
    """An operator that cannot be compiled: how often it occurs, why not, and in which nodes."""

    op: str
    count: int
    reason: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What is known of a model without compiling it.

    Attributes:
        opsets: version by domain.
        operators: how often each ONNX operator occurs, bodies of control flow included.
        macs: multiply-accumulates of one run; None when something is unsupported, as
            ``peak_bytes``, which is the most memory that live values take at once.
        unbound: what is said of dimensions without a size; empty when all have one.
        bind: how to give them one.
        unsupported: operators that cannot be imported.
        refused: what the C backend cannot compile of the imported model; empty when it can all.
    """

    model: str
    producer: str
    ir_version: int
    opsets: dict[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: dict[str, int]
    parameters: int
    parameter_bytes: int
    macs: Count | None
    peak_bytes: Count | None
    unbound: str
    bind: str
    unsupported: tuple[Finding, ...]
    refused: str

    @property
    def compiles(self) -> bool:
        """Whether nothing is known that would keep the model from being compiled."""
        return not (self.unbound or self.unsupported or self.refused)


def inspect_model(model: ModelSource, dims: Mapping[str, Binding] | None = None) -> Inspection:
    """Describe a model; dimensions may stay unbound.

    Raises:
        ModelError: the model is broken.
        DimensionError: ``dims`` binds wrongly.
    """
    loaded = load_model(model)
    graph = loaded.graph
    unbound = bind = ""
    try:
        bind_inputs(graph.inputs, dims)
    except DimensionError as error:
        bind_inputs([v for v in graph.inputs if v.type.shape is not None or v.name in (dims or {})],
                    dims, allow_unbound=True)  # fmt: skip
        unbound, bind = error.message, error.help
    module: Module | None = None
    findings: tuple[Finding, ...] = ()
    if all(value.type.shape is not None or value.name in (dims or {}) for value in graph.inputs):
        try:
            module = import_onnx(model, dims, allow_unbound=True)
        except UnsupportedModelError as error:
            findings = tuple(
                Finding(_operator(f.domain, f.op_type), f.count, f.reason, f.nodes)
                for f in error.findings
            )
    inputs, outputs = (
        ports(module)
        if module is not None
        else (_declared_ports(graph.inputs), _declared_ports(graph.outputs))
    )
    operators, elements, size = _contents(graph)
    if module is not None:
        # Weights may also come from Constant nodes, and shapes are no parameters then.
        elements = parameter_count(module.main)
        size = sum(constant.nbytes for constant in module.constants())
    macs, peak = (None, None) if module is None else (_macs(module), _peak_bytes(module))
    return Inspection(
        model=loaded.name if loaded.path is None else str(loaded.path),
        producer=loaded.producer,
        ir_version=loaded.ir_version,
        opsets={domain or "ai.onnx": version for domain, version in loaded.opsets.items()},
        inputs=inputs,
        outputs=outputs,
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        parameters=elements,
        parameter_bytes=size,
        macs=macs,
        peak_bytes=peak,
        unbound=unbound,
        bind=bind,
        unsupported=findings,
        refused="" if module is None or unbound else _refused(module),
    )


def _macs(module: Module) -> Count:
    return count(block_cost(module.main.body).macs)


def _refused(module: Module) -> str:
    """What the C backend cannot compile of ``module``, if need be after its pipeline."""
    try:
        check_module(module)
    except UnsupportedError:
        # Passes may remove what was refused: constants are folded, dead code goes.
        run_pipeline(module, standard_pipeline("c"))
        try:
            check_module(module)
        except UnsupportedError as error:
            return error.message
    return ""


def _peak_bytes(module: Module) -> Count:
    """Peak of live activations, at the largest sizes; without sizes, what it depends on."""
    try:
        return peak_activation_bytes(module.main.body, module.symbols)
    except DimensionError:
        dims = {dim for arg in module.main.args for dim in arg.type.shape}
        names = sorted(set().union(*map(symbols_of, dims)) - module.symbols.keys())
        return f"depends on {', '.join(names)}"


def inspect_module(module: Module, path: Path) -> Inspection:
    """Describe a module of the IR, as read from text."""
    operators = Counter(op.name for op in module.walk() if op.name != "core.constant")
    inputs, outputs = ports(module)
    return Inspection(
        model=str(path),
        producer=module.metadata.get("producer", ""),
        ir_version=0,
        opsets={},
        inputs=inputs,
        outputs=outputs,
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        parameters=parameter_count(module.main),
        parameter_bytes=sum(constant.nbytes for constant in module.constants()),
        macs=_macs(module),
        peak_bytes=_peak_bytes(module),
        unbound="",
        bind="",
        unsupported=(),
        refused=_refused(module),
    )


def _operator(domain: str, op_type: str) -> str:
    return f"{domain}.{op_type}" if domain else op_type


def _contents(graph: Graph) -> tuple[Counter[str], int, int]:
    """Operators, and elements and bytes of initializers, bodies included."""
    operators: Counter[str] = Counter()
    elements = size = 0
    pending = [graph]
    while pending:
        current = pending.pop()
        for tensor in current.initializers.values():
            extent = 1
            for dim in tensor.shape:
                extent *= dim
            elements += extent
            size += extent * (tensor.dtype.bytes if tensor.dtype is not None else 0)
        for node in current.nodes:
            operators[_operator(node.domain, node.op_type)] += 1
            pending += [body for _, body in node.subgraphs()]
    return operators, elements, size


def _declared_ports(values: object) -> tuple[Port, ...]:
    assert isinstance(values, tuple)
    return tuple(Port(clip(value.name), _declared(value.type)) for value in values)


def _declared(type_: DeclaredType) -> str:
    element = str(type_.dtype or type_.element or "?").lower()
    if type_.kind != "tensor":
        return type_.kind
    if type_.shape is None:
        return f"{element}[...]"
    return f"{element}[{', '.join('?' if d is None else str(d) for d in type_.shape)}]"
