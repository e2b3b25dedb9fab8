"""Which ops of a module are computed by functions of C, and which are lowered to Relax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from burnish.ir import Module, Op, Trait, Value, build_function
from burnish.ir.clone import clone_op
from burnish.ir.errors import UnsupportedError

from .. import c
from ..target import OptionValue, find_target
from .lowering import find_lowering, unsupported
from .refusal import Refusal
from .regions import Region, compile_region
from .targets import KERNELS


@dataclass(frozen=True)
class RegionPart:
    """Ops that one function of C computes: what it reads, and what others read of it."""

    region: Region
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


Part: TypeAlias = RegionPart | Sequence[Op]
"""Part of a module: a region, or ops to be lowered in order."""


def partition(module: Module, options: Mapping[str, OptionValue], name: str) -> list[Part]:
    """The parts of ``module``'s entry function, in an order in which they can run.

    All of it is one function of C where the C backend has kernels for all ops.  The others are
    lowered, and what stands between them is as few functions as may be.

    Raises:
        UnsupportedError: some ops can neither be compiled nor lowered, all named.
    """
    main = module.main
    try:
        region = compile_region(module, options, name, whole=True)
    except UnsupportedError as error:
        lowered = set(c.refused_ops(module, find_target(KERNELS)))
        if not lowered:
            raise error from None
        return _parts(module, lowered, options, name)
    return [RegionPart(region, tuple(main.args), tuple(main.results))]


def _parts(
    module: Module, lowered: set[Op], options: Mapping[str, OptionValue], name: str
) -> list[Part]:
    _check(op for op in module.main.body if op in lowered)
    parts: list[Part] = []
    written: set[Op] = set()
    for number, (in_c, ops) in enumerate(_stages(module, lowered)):
        if in_c:
            parts.append(_region_part(module, ops, options, f"{name}_{number}"))
            continue
        constants = (v.op for op in ops for v in op.inputs if v.constant is not None)
        new = [op for op in dict.fromkeys(constants) if op is not None and op not in written]
        written.update(new)
        parts.append([*new, *ops])
    return parts


def _check(ops: Iterable[Op]) -> None:
    """Refuse ops without a lowering.

    Raises:
        UnsupportedError: there are some, all named.
    """
    refused = []
    for op in ops:
        try:
            find_lowering(op)
        except Refusal as refusal:
            refused.append((op, f"there is no kernel in C for it, and {refusal}"))
    if refused:
        raise unsupported(refused)


def _stages(module: Module, lowered: set[Op]) -> list[tuple[bool, list[Op]]]:
    """Ops by stages, of C (True) and of lowered ops in turns.

    An op belongs to the first stage of its kind that no operand comes after: so every stage can
    run as a whole once those before it have run.  Constants belong to none.
    """
    results = set(module.main.results)
    number: dict[Value, int] = {}
    stages: dict[int, list[Op]] = {}
    for op in module.main.body:
        is_constant = Trait.CONSTANT in op.opdef.traits
        if op.is_terminator or (is_constant and results.isdisjoint(op.results)):
            continue
        least = max((number.get(value, 0) for value in op.inputs), default=0)
        stage = least + (least % 2 != (op in lowered or is_constant))
        stages.setdefault(stage, []).append(op)
        number.update(dict.fromkeys(op.results, stage))
    return [(stage % 2 == 0, ops) for stage, ops in sorted(stages.items())]


def _region_part(
    module: Module, ops: Sequence[Op], options: Mapping[str, OptionValue], name: str
) -> RegionPart:
    """Some ops as a function of C."""
    inside = set(ops)
    read = dict.fromkeys(v for op in ops for v in op.inputs if v.op not in inside)
    inputs = tuple(value for value in read if value.constant is None)
    shown = set(module.main.results)
    outputs = tuple(
        value
        for op in ops
        for value in op.results
        if value in shown or any(use.op not in inside for use in value.uses)
    )
    part = Module(name, (), module.symbols, module.metadata)
    arguments = {f"input{i}": value.type for i, value in enumerate(inputs)}
    function, builder = build_function(
        part, "main", arguments, [f"output{i}" for i in range(len(outputs))]
    )
    values = dict(zip(inputs, function.args))
    for value in read:
        if value.constant is not None and value.op is not None:
            builder.insert(clone_op(value.op, values))
    for op in ops:
        builder.insert(clone_op(op, values))
    builder.ret(*(values[value] for value in outputs))
    return RegionPart(compile_region(part, options, name), inputs, outputs)
