"""Rewriting a block to chosen layouts: ops that write them, and conversions where they differ."""

from __future__ import annotations

from collections.abc import Mapping

from burnish.ir import Block, Layout, Op, Rewriter, Value

from .offers import Offer


def lay_out(block: Block, offers: Mapping[Op, Offer], rewriter: Rewriter) -> None:
    """Give each op's results the layouts of its offer, or make the op that the offer has for it.

    Types are fixed when a value is made, so an op whose results change is made anew; the old ones
    go once nothing uses them.  A conversion stands right before its first use.
    """
    stored: dict[Value, dict[Layout | None, Value]] = {}
    replaced: list[Op] = []

    def value_in(value: Value, layout: Layout | None, user: Op) -> Value:
        known = stored.setdefault(value, {value.type.layout: value})
        if layout not in known:
            known[layout] = _converted(next(iter(known.values())), layout, user, rewriter)
        return known[layout]

    for op in list(block):
        offer = offers.get(op)
        wanted = offer.operands if offer else (None,) * len(op.operands)
        operands = [
            None if value is None else value_in(value, layout, op)
            for value, layout in zip(op.operands, wanted)
        ]
        if offer is not None and offer.replacement is not None:
            new = offer.replacement(rewriter.before(op), operands)
            for old, result in zip(op.results, new.results):
                stored[old] = {result.type.layout: result}
            replaced.append(op)
            continue
        layouts = offer.results if offer else (None,) * len(op.results)
        same = all(a is b or (a and b and a.type == b.type) for a, b in zip(operands, op.operands))
        if same and (op.regions or not any(layouts)):
            for index, operand in enumerate(operands):
                rewriter.set_operand(op, index, operand)
            continue
        new = rewriter.before(op).create(
            op.name,
            operands,
            op.attributes,
            names=[result.name for result in op.results],
            layouts=layouts,
        )
        for old, result in zip(op.results, new.results):
            stored[old] = {result.type.layout: result}
        replaced.append(op)
    for op in reversed(replaced):
        rewriter.erase(op)
    for value in stored:
        if value.constant is not None and not value.use_count and value.op is not None:
            rewriter.erase(value.op)


def _converted(value: Value, layout: Layout | None, user: Op, rewriter: Rewriter) -> Value:
    """``value`` in another layout; a constant is stored that way to begin with."""
    builder = rewriter.before(user)
    if value.constant is not None and value.op is not None:
        constant = value.op
        made = builder.create(
            constant.name,
            (),
            constant.attributes,
            location=constant.location,
            names=(value.name,),
            layouts=(layout,),
        )
        return made.result
    target = layout or Layout(tuple(range(value.type.rank)))
    return builder("tensor.relayout", value, layout=target)
