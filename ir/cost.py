"""What ops, functions and modules cost, from the cost each definition states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .core import Block, Function, Op, Value
from .dims import Dim, Interval, bounds, maximum
from .opdef import Cost, Trait


def op_cost(op: Op) -> Cost:
    """Cost of one execution of ``op``.

    A fused group does the arithmetic of all its ops but moves its operands and results only.
    Of an op with several regions that are alternatives (``control.if``) the dearest counts.
    """
    own = op.opdef.cost(op.attributes, op.operand_types, op.result_types)
    if not op.regions:
        return own
    inner = [block_cost(region) for region in op.regions]
    macs: Dim = 0
    flops: Dim = 0
    for cost in inner:
        macs, flops = maximum(macs, cost.macs), maximum(flops, cost.flops)
    return Cost(macs, flops, own.reads, own.writes)


def block_cost(block: Block) -> Cost:
    """Sum over the ops of a block."""
    total = Cost()
    for op in block:
        total = total + op_cost(op)
    return total


def parameter_count(function: Function) -> int:
    """Elements of the distinct constants a function uses, nested regions included."""
    distinct = {}
    for op in function.walk():
        if Trait.CONSTANT in op.opdef.traits:
            value = op.result.constant
            assert value is not None
            distinct[id(value)] = value
    return sum(constant.size for constant in distinct.values())


def peak_activation_bytes(block: Block, ranges: Mapping[str, Interval] | None = None) -> int:
    """Most bytes of values alive at once when ops run in order, each result in its own buffer.

    Symbolic sizes count at the upper bounds that ``ranges`` give.
    Arguments, results and everything between count; constants do not, views share the bytes of
    their operand.  This is the lower bound a memory plan without in-place reuse can reach.

    Raises:
        DimensionError: a symbol has no range.
    """
    ranges = ranges or {}
    owner: dict[Value, Value] = {arg: arg for arg in block.args}
    last: dict[Value, int] = {}
    sizes = {arg: bounds(arg.type.bytes, ranges)[1] for arg in block.args}
    births: dict[Value, int] = dict.fromkeys(block.args, -1)
    ops = list(block)
    for index, op in enumerate(ops):
        for value in op.inputs:
            if value in owner:
                last[owner[value]] = index
        for value in op.results:
            if Trait.CONSTANT in op.opdef.traits:
                continue
            viewed = op.inputs[0] if Trait.VIEW in op.opdef.traits else None
            owner[value] = value if viewed is None else owner.get(viewed, value)
            if owner[value] is value:
                sizes[value], births[value] = bounds(value.type.bytes, ranges)[1], index
    born = Counter[int]()
    died = Counter[int]()
    for value, size in sizes.items():
        born[births[value]] += size
        died[last.get(value, births[value])] += size
    live = peak = born[-1]
    for index in range(len(ops)):
        live += born[index]
        peak = max(peak, live)
        live -= died[index]
    return peak
