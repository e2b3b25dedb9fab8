"""Symbols whose sizes are found when an op runs: which op defines one, and who needs it.

A use of such a symbol is no operand: it stands in types and in attributes.  So whoever erases an
op asks :func:`is_unused`, not only whether its results have uses.
"""

from __future__ import annotations

from collections.abc import Iterator

from .attributes import AttributeValue
from .core import Op
from .dims import Dim, DimExpr, plain_symbol, symbols_of
from .opdef import Trait


def defined_symbol(op: Op) -> str | None:
    """The symbol whose size is known only when ``op`` has run, or None."""
    if Trait.SIZED not in op.opdef.traits:
        return None
    size = op.attributes["size"]
    assert isinstance(size, (int, DimExpr))
    return plain_symbol(size)


def symbols_used(op: Op) -> frozenset[str]:
    """Symbols in the result types and the attributes of ``op``, without that which it defines."""
    found: set[str] = set()
    for dim in _dims(op):
        found |= symbols_of(dim)
    found.discard(defined_symbol(op) or "")
    return frozenset(found)


def is_unused(op: Op) -> bool:
    """Whether nothing depends on ``op``: no result has a use, and nobody needs its symbol."""
    if any(result.use_count for result in op.results):
        return False
    symbol = defined_symbol(op)
    return symbol is None or all(symbol not in symbols_used(other) for other in _following(op))


def _dims(op: Op) -> Iterator[Dim]:
    for result in op.results:
        yield from result.type.shape
    for value in op.attributes.values():
        yield from _dims_of(value)


def _dims_of(value: AttributeValue) -> Iterator[Dim]:
    if isinstance(value, tuple):
        for item in value:
            yield from _dims_of(item)
    elif isinstance(value, DimExpr):
        yield value


def _following(op: Op) -> Iterator[Op]:
    """Everything that runs after ``op``, the ops around it included."""
    later = op.next
    while later is not None:
        yield from later.walk()
        later = later.next
    if op.parent is not None and op.parent.parent_op is not None:
        yield op.parent.parent_op
        yield from _following(op.parent.parent_op)
