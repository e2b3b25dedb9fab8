"""What is worth measuring: ops that can be computed in several ways that cost about the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from burnish.backends.c.compile import compile_module
from burnish.backends.c.timer import TimerJob, call_steps, timer_job
from burnish.backends.target import Target
from burnish.ir import Module, Op, Rewriter, Trait, build_function
from burnish.ir.clone import clone_op
from burnish.ir.errors import UnsupportedError
from burnish.passes.layout import LayoutModel, Offer, lay_out

CLOSE = 3.0
"""An estimate may be wrong by this factor: what is estimated to take longer is not measured."""

MOVEMENT = frozenset({"tensor.relayout", "tensor.transpose"})
"""What costs the same in any kernel that is in question."""


@dataclass(frozen=True)
class Candidate:
    """One way to compute an op, ready to be built.

    Attributes:
        job: a program that times it.
        steps: numbers of the program's steps that are the op's own, conversions left out.
    """

    job: TimerJob
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """An op that can be computed in several ways of which the estimates do not tell the best.

    Attributes:
        key: the same for all ops that are computed alike.
        op: one of them.
        offers: the ways by number, those alone that may be the best.
        cycles: the estimate for all the ops together.
    """

    key: str
    op: Op
    offers: dict[int, Offer]
    cycles: float


def key_of(op: Op) -> str:
    """Text that is the same for ops that the same kernels compute: all but the values."""
    operands = [
        "none" if v is None else f"{v.type}{' constant' if v.constant is not None else ''}"
        for v in op.operands
    ]
    results = [str(result.type) for result in op.results]
    return f"{op.name}({', '.join(operands)}) {op.attributes} : {', '.join(results)}"


def questions(module: Module, model: LayoutModel, without: Collection[str] = ()) -> list[Question]:
    """What the estimates of ``model`` leave open, that which takes longest first.

    Kernels that ``without`` names are out of the question.
    """
    found: dict[str, Question] = {}
    for op in _ops(module):
        key = key_of(op)
        offers = model.offers(op)
        least = min(offer.cost for offer in offers)
        close = {
            i: offer
            for i, offer in enumerate(offers)
            if offer.cost <= CLOSE * least and offer.kernels not in without
        }
        if len(close) > 1:
            cycles = least + (found[key].cycles if key in found else 0.0)
            found[key] = Question(key, op, close, cycles)
    return sorted(found.values(), key=lambda question: -question.cycles)


def _ops(module: Module) -> Iterator[Op]:
    """The ops whose kernels compute more than one element from each of their operands'."""
    for op in module.walk():
        simple = op.is_terminator or op.regions or op.name in MOVEMENT
        traits = op.opdef.traits & {Trait.CONSTANT, Trait.VIEW, Trait.ELEMENTWISE}
        static = all(value.type.is_static for value in (*op.inputs, *op.results))
        if not simple and not traits and static:
            yield op


def candidate(op: Op, offer: Offer, target: Target) -> Candidate | None:
    """``op`` alone, computed as ``offer`` says; None where the backend cannot do that after all."""
    module = Module("kernel")
    inputs = list(dict.fromkeys(v for v in op.inputs if v.constant is None))
    arguments = {f"x{i}": value.type for i, value in enumerate(inputs)}
    function, builder = build_function(
        module, "main", arguments, [f"y{i}" for i in range(len(op.results))]
    )
    values = dict(zip(inputs, function.args))
    for value in op.inputs:
        if value not in values and value.op is not None:
            builder.insert(clone_op(value.op, values))
    alone = clone_op(op, values)
    builder.insert(alone)
    builder.ret(*alone.results)
    lay_out(function.body, {alone: offer}, Rewriter())
    try:
        artifact = compile_module(module, target, {"profile": True}, "kernel")
    except UnsupportedError:
        return None
    # Conversions come before and after it: operands and results are row-major outside.
    steps = [s.number for s in call_steps(artifact) if s.choice.op.name == op.name]
    if op.name == "tensor.relayout":
        del steps[1:]
    return Candidate(timer_job(artifact, target), tuple(steps)) if steps else None
