"""From a compiled module to the layers of its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from burnish.backends import Artifact, Target
from burnish.backends.c.plan import Plan
from burnish.backends.c.select import Selection
from burnish.ir import Block, Dim, Module, Op, Trait
from burnish.ir.cost import op_cost
from burnish.ir.errors import clip
from burnish.passes.manager import PassReport

from .data import Count, KernelChoice, Layer, PassRun, Port, Report, Sizes
from .memory import memory_of

GROUP = "core.group"


def ports(module: Module) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs of the module's main function."""
    main = module.main
    inputs = (Port(name, type_text(v.type)) for name, v in zip(main.arg_names, main.args))
    outputs = (Port(name, type_text(v.type)) for name, v in zip(main.result_names, main.results))
    return tuple(inputs), tuple(outputs)


def type_text(type_: object) -> str:
    """A type without the brackets around it: ``f32[1, 3, 8, 8]``."""
    return str(type_).removeprefix("tensor<").removesuffix(">")


def layers(module: Module, kernel: Callable[[Op], str] = lambda op: "") -> tuple[Layer, ...]:
    """One layer per op of the main function that computes; ``kernel`` names its family."""
    return tuple(_layer(op, kernel(op)) for op in computing_ops(module.main.body))


def computing_ops(block: Block) -> Iterator[Op]:
    """The ops of a block other than constants and its terminator."""
    for op in block:
        if Trait.CONSTANT not in op.opdef.traits and not op.is_terminator:
            yield op


def _layer(op: Op, kernel: str) -> Layer:
    cost = op_cost(op)
    inside = (v for region in op.regions for nested in region.walk() for v in nested.results)
    held = {id(c): c for v in (*op.inputs, *inside) if (c := v.constant) is not None}.values()
    return Layer(
        op=_title(op),
        kernel=kernel,
        nodes=tuple(clip(source.name) for source in op.location.sources),
        results=tuple(type_text(value.type) for value in op.results),
        macs=count(cost.macs),
        flops=count(cost.flops),
        moved=count(cost.reads + cost.writes),
        parameters=sum(constant.size for constant in held),
        parameter_bytes=sum(constant.nbytes for constant in held),
    )


def _title(op: Op) -> str:
    if op.name != GROUP:
        return op.name
    return " + ".join(nested.name for nested in computing_ops(op.regions[0]))


def count(dim: Dim) -> Count:
    """A dimension as the report holds it."""
    return dim if isinstance(dim, int) else str(dim)


def pass_runs(report: PassReport) -> tuple[PassRun, ...]:
    """What a pipeline's report says, as the report's own data."""
    return tuple(
        PassRun(r.pass_, r.seconds, r.ops_before, r.ops_after, dict(sorted(r.rewrites.items())))
        for r in report.records
    )


def kernel_choices(report: PassReport) -> tuple[KernelChoice, ...]:
    """What passes chose between alternatives."""
    return tuple(
        KernelChoice(
            decision.op,
            tuple(clip(source.name) for source in decision.location.sources),
            type_text(decision.subject),
            decision.chosen,
            {name: round(cost) for name, cost in decision.costs.items()},
        )
        for record in report.records
        for decision in record.decisions
    )


def build_report(
    module: Module, target: Target, artifact: Artifact, passes: PassReport, pipeline: str
) -> Report:
    """The report of a compilation."""
    import burnish

    selection, plan = artifact.stages.get("select"), artifact.stages.get("plan")
    kernels: dict[Op, str] = {}
    if isinstance(selection, Selection):
        # Of a module with dynamic dimensions the backend compiles a copy, op by op.
        originals = dict(zip(selection.function.walk(), module.main.walk()))
        kernels = {
            originals[c.op]: c.kernel.family for c in selection.walk() if c.kernel is not None
        }
    inputs, outputs = ports(module)
    return Report(
        model=module.name,
        target=target.name,
        version=burnish.__version__,
        pipeline=pipeline,
        inputs=inputs,
        outputs=outputs,
        layers=layers(module, lambda op: kernels.get(op, "")),
        passes=pass_runs(passes),
        memory=memory_of(plan, module) if isinstance(plan, Plan) else None,
        sizes=Sizes(_weight_bytes(module, artifact), None, _file_sizes(artifact)),
        choices=kernel_choices(passes),
        notes=tuple(artifact.manifest.get("notes", ())),
    )


def _weight_bytes(module: Module, artifact: Artifact) -> int:
    stated = artifact.manifest.get("weights_bytes")
    return stated if isinstance(stated, int) else sum(c.nbytes for c in module.constants())


def _file_sizes(artifact: Artifact) -> dict[str, int]:
    return {
        name: len(data.encode("utf-8") if isinstance(data, str) else data)
        for name, data in sorted(artifact.files.items())
    }
