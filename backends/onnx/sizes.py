"""Dimensions that are known at run time only, as tensors.

A symbol is read off an axis of a tensor whose size it determines; expressions over symbols are
computed from there.  Whatever was computed once is used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burnish.ir import Dim, DimExpr
from burnish.ir import dims as dimension
from burnish.ir.errors import clip

from .context import Context, Refusal, Scope
from .graph import Edge


def note_sources(scope: Scope, edge: Edge) -> None:
    """Remember which symbols the shape of ``edge`` tells, and where; whole symbols are best."""
    if edge.type is None:
        return
    for axis, dim in enumerate(edge.type.shape):
        found = _linear(dim)
        if found is None:
            continue
        symbol, factor, offset = found
        known = scope.sources.get(symbol)
        if known is None or (known[2:] != (1, 0) and (factor, offset) == (1, 0)):
            scope.sources[symbol] = (edge, axis, factor, offset)


def _linear(dim: Dim) -> tuple[str, int, int] | None:
    """``(symbol, factor, offset)`` of ``factor * symbol + offset`` with a positive factor."""
    if isinstance(dim, int):
        return None
    names = dimension.symbols_of(dim)
    if len(names) != 1:
        return None
    (name,) = names
    offset, after = (dimension.substitute(dim, {name: value}) for value in (0, 1))
    if not (isinstance(offset, int) and isinstance(after, int)):
        return None
    factor = after - offset
    is_linear = factor > 0 and dim == factor * dimension.symbol(name) + offset
    return (name, factor, offset) if is_linear else None


def _source(c: Context, symbol: str) -> tuple[Edge, int, int, int]:
    scope: Scope | None = c.writer.scope
    while scope is not None:
        if symbol in scope.sources:
            return scope.sources[symbol]
        scope = scope.parent
    raise Refusal(f'the size "{clip(symbol)}" stands in no shape that is known before')


def size(c: Context, dim: Dim) -> Edge:
    """A dimension as an i64 list of one element."""
    if isinstance(dim, int):
        return c.ints([dim])
    return c.once(("size", dim), lambda: _expression(c, dim))


def _expression(c: Context, dim: DimExpr) -> Edge:
    total: Edge | None = None
    # Terms that add come first, so that others can be subtracted.
    for atoms, coefficient in sorted(dim.terms, key=lambda term: term[1] < 0):
        term: Edge | None = None
        for atom in atoms:
            factor = _atom(c, atom)
            term = factor if term is None else c.node("Mul", term, factor)
        count = c.ints([abs(coefficient) if total is not None or term is None else coefficient])
        if term is None:
            term = count if total is not None else c.ints([coefficient])
        elif abs(coefficient) != 1 or (coefficient < 0 and total is None):
            term = c.node("Mul", term, count)
        total = term if total is None else c.node("Sub" if coefficient < 0 else "Add", total, term)
    assert total is not None
    return total


def _atom(c: Context, atom: dimension.Atom) -> Edge:
    if isinstance(atom, dimension.Symbol):
        edge, axis, factor, offset = _source(c, atom.name)
        found = _shape(c, edge, axis, axis + 1)
        if offset:
            found = c.node("Sub", found, c.ints([offset]))
        return found if factor == 1 else c.node("Div", found, c.ints([factor]))
    first, *rest = (size(c, arg) for arg in atom.args)
    if atom.function in ("min", "max"):
        return c.node(atom.function.capitalize(), first, *rest)
    (divisor,) = rest
    remainder = c.node("Mod", first, divisor)  # with the sign of the divisor
    if atom.function == "mod":
        return remainder
    if _is_nonnegative(c, atom.args[0]):
        return c.node("Div", first, divisor)
    return c.node("Div", c.node("Sub", first, remainder), divisor)


def _is_nonnegative(c: Context, dim: Dim) -> bool:
    """Whether a number is 0 at least, whatever sizes there may be."""
    ranges = c.writer.ranges
    known = all(name in ranges for name in dimension.symbols_of(dim))
    return dimension.is_nonnegative(dim) or (known and dimension.bounds(dim, ranges)[0] >= 0)


def _shape(c: Context, edge: Edge, start: int, end: int) -> Edge:
    """The sizes of some axes of a tensor."""
    assert edge.type is not None
    rank = edge.type.rank

    def make() -> Edge:
        if c.opset >= 15:
            last = end if end < rank else None
            return c.node("Shape", edge, start=start or None, end=last)
        whole = c.once(("shape", edge, 0, rank), lambda: c.node("Shape", edge))
        if (start, end) == (0, rank):
            return whole
        return c.node("Slice", whole, c.ints([start]), c.ints([end]))

    return c.once(("shape", edge, start, end), make)


@dataclass(frozen=True)
class _Piece:
    """Consecutive sizes: constants, a stretch of a tensor's shape, or one expression."""

    dims: tuple[Dim, ...]
    edge: Edge | None = None
    start: int = 0


def shape(c: Context, dims: Sequence[Dim]) -> Edge:
    """Dimensions as an i64 list, from as few nodes as possible."""
    static = [dim for dim in dims if isinstance(dim, int)]
    if len(static) == len(dims):
        return c.ints(static)
    return c.once(("sizes", tuple(dims)), lambda: _joined(c, dims))


def _joined(c: Context, dims: Sequence[Dim]) -> Edge:
    parts = []
    for piece in _pieces(c, dims):
        if piece.edge is not None:
            parts.append(_shape(c, piece.edge, piece.start, piece.start + len(piece.dims)))
        elif all(isinstance(dim, int) for dim in piece.dims):
            parts.append(c.ints([dim for dim in piece.dims if isinstance(dim, int)]))
        else:
            parts.append(size(c, piece.dims[0]))
    return parts[0] if len(parts) == 1 else c.node("Concat", *parts, axis=0)


def _pieces(c: Context, dims: Sequence[Dim]) -> Iterator[_Piece]:
    at = 0
    while at < len(dims):
        dim = dims[at]
        end = at + 1
        if isinstance(dim, int):
            while end < len(dims) and isinstance(dims[end], int):
                end += 1
            yield _Piece(tuple(dims[at:end]))
        elif (symbol := dimension.plain_symbol(dim)) is None:
            yield _Piece((dim,))
        else:
            edge, axis, factor, offset = _source(c, symbol)
            assert edge.type is not None
            if (factor, offset) != (1, 0):
                yield _Piece((dim,))
            else:
                known = edge.type.shape[axis:]
                while end < len(dims) and end - at < len(known) and dims[end] == known[end - at]:
                    end += 1
                yield _Piece(tuple(dims[at:end]), edge, axis)
        at = end
