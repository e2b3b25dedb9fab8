"""Helpers for ops with regions: rebuilding them with other interfaces, and inlining them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from burnish.ir import Block, Builder, Function, Op, Rewriter, Trait, Value
from burnish.ir.clone import clone_op


def blocks_inside_out(function: Function) -> Iterator[Block]:
    """The body of ``function`` and every nested region but those of groups; inner ones first."""

    def descend(block: Block) -> Iterator[Block]:
        for op in block:
            for region in op.regions:
                if not is_closed(region):
                    yield from descend(region)
        yield block

    yield from descend(function.body)


def is_closed(block: Block) -> bool:
    """Whether ``block`` is the body of a group, the form of which backends rely on."""
    return block.parent_op is not None and block.parent_op.name == "core.group"


def is_pure(op: Op) -> bool:
    """Whether two evaluations of ``op``, nested ops included, always agree."""
    return all(Trait.IMPURE not in inner.opdef.traits for inner in op.walk())


def rebuild_region(
    region: Block,
    kept_args: Sequence[int],
    kept_results: Sequence[int],
    constants: Mapping[int, Value] | None = None,
) -> Block:
    """A copy of ``region`` with some of its arguments and results only.

    An argument that is not kept must be unused, unless ``constants`` gives (by argument index)
    the constant outside that it always holds: the copy then has that constant inside.
    """
    block = Block(
        [region.args[i].type for i in kept_args], [region.args[i].name for i in kept_args]
    )
    values = {region.args[old]: block.args[new] for new, old in enumerate(kept_args)}
    builder = Builder(block)
    for index, constant in (constants or {}).items():
        assert constant.op is not None
        builder.insert(clone_op(constant.op, {}))
        assert block.last is not None
        values[region.args[index]] = block.last.result
    terminator = region.terminator
    for op in region:
        if op is not terminator:
            builder.insert(clone_op(op, values))
    builder.location = terminator.location
    builder.create(terminator.name, [values[region.results[index]] for index in kept_results])
    return block


def inline_region(
    rewriter: Rewriter, op: Op, region: Block, arguments: Sequence[Value]
) -> list[Value]:
    """Copy the ops of ``region`` before ``op``; returns what the region yields there."""
    values = dict(zip(region.args, arguments))
    builder = rewriter.before(op)
    terminator = region.terminator
    for inner in region:
        if inner is not terminator:
            builder.insert(clone_op(inner, values))
    return [values[result] for result in region.results]


def captures(op: Op) -> tuple[int, int]:
    """Where the captured values of ``op`` begin: among its operands, and its regions' arguments.

    Captured values are those that a region only reads; other ops than ``control.if`` and
    ``control.loop`` have none.
    """
    if op.name == "control.if":
        return 1, 0
    if op.name == "control.loop":
        first = 2 + int(op.attributes.carried)
        return first, first
    return len(op.operands), len(op.operands)


def with_captured(rewriter: Rewriter, op: Op, known: Mapping[Op, Sequence[Value]]) -> Op:
    """``op``, an if or a loop, built anew with regions that capture what they computed.

    ``known`` gives, for ops of the regions, the values around ``op`` that their results equal.
    """
    captured = list(dict.fromkeys(value for values in known.values() for value in values))
    regions = [_capturing(region, captured, known) for region in op.regions]
    first_operand, _ = captures(op)
    missing = max(0, first_operand - len(op.operands))
    operands = [*op.operands, *[None] * missing, *captured]
    names = [value.name for value in op.results]
    builder = rewriter.before(op)
    new = builder.create(op.name, operands, op.attributes, regions=regions, names=names)
    rewriter.replace(op, new.results)
    return new


def _capturing(
    region: Block, captured: Sequence[Value], known: Mapping[Op, Sequence[Value]]
) -> Block:
    """A copy of ``region`` with further arguments, which stand for ``captured``."""
    given = [*region.args, *captured]
    block = Block([value.type for value in given], [value.name for value in given])
    values = dict(zip(given, block.args))
    builder = Builder(block)
    for op in region:
        if op in known:
            values.update(zip(op.results, (values[value] for value in known[op])))
        else:
            builder.insert(clone_op(op, values))
    return block
