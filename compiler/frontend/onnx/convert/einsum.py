"""Einsum as transposes, reductions and matrix products, two operands at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Dim, Value, broadcast_shapes
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .registry import converter

_ELLIPSIS = "..."


@dataclass(frozen=True)
class _Term:
    """A tensor with a label per axis."""

    value: Value
    labels: tuple[str, ...]

    def size(self, label: str) -> Dim:
        return self.value.type.shape[self.labels.index(label)]


@converter("Einsum")
def _einsum(node: NodeContext) -> Value:
    equation = node.string("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    specs = left.split(",")
    if len(specs) != len(node.inputs):
        raise ModelError(f"equation {clip(repr(equation))} is not for {len(node.inputs)} operands")
    extra = max(_extra_axes(s, v) for s, v in zip(specs, node.inputs, strict=True))
    terms = [
        _Term(v, _labels(s, _extra_axes(s, v), equation))
        for s, v in zip(specs, node.inputs, strict=True)
    ]
    for term in terms:
        if len(term.labels) != term.value.type.rank:
            raise ModelError(f"equation {clip(repr(equation))} does not fit {term.value.type}")
    output = _labels(right, extra, equation) if arrow else _implied_output(terms, extra)
    if len(set(output)) != len(output) or not set(output) <= {x for t in terms for x in t.labels}:
        raise ModelError(f"equation {clip(repr(equation))} has a malformed result")
    return _contract(node, [_diagonal(node, term) for term in terms], output)


def _extra_axes(spec: str, value: Value) -> int:
    """How many axes the ellipsis of an operand stands for."""
    if _ELLIPSIS not in spec:
        return 0
    return value.type.rank - len(spec.replace(_ELLIPSIS, ""))


def _labels(spec: str, extra: int, equation: str) -> tuple[str, ...]:
    """One label per axis; axes of an ellipsis are numbered from the last one."""
    before, ellipsis, after = spec.partition(_ELLIPSIS)
    if not (before + after).isalpha() and before + after:
        raise ModelError(f"equation {clip(repr(equation))} is malformed")
    middle = tuple(str(i) for i in range(extra - 1, -1, -1)) if ellipsis else ()
    return (*before, *middle, *after)


def _implied_output(terms: Sequence[_Term], extra: int) -> tuple[str, ...]:
    """Without an arrow: the ellipsis, then labels that occur once, in alphabetical order."""
    counts = Counter(label for term in terms for label in term.labels)
    once = sorted(label for label, count in counts.items() if count == 1 and label.isalpha())
    return (*(str(i) for i in range(extra - 1, -1, -1)), *once)


def _contract(node: NodeContext, terms: Sequence[_Term], output: tuple[str, ...]) -> Value:
    sizes: dict[str, Dim] = {}
    for term in terms:
        for label in term.labels:
            (sizes[label],) = broadcast_shapes((sizes.get(label, 1),), (term.size(label),))
    pending = [_spread(node, term, sizes) for term in terms]
    current = pending.pop(0)
    while pending:
        following = pending.pop(0)
        kept = set(output).union(*(term.labels for term in pending))
        current = _multiply(node, current, following, kept)
    current = _sum_out(node, current, set(output))
    order = [current.labels.index(label) for label in output]
    return node.transpose(current.value, order)


def _spread(node: NodeContext, term: _Term, sizes: dict[str, Dim]) -> _Term:
    """The term with axes of size 1 broadcast to the label's size."""
    return _Term(node.broadcast(term.value, [sizes[x] for x in term.labels]), term.labels)


def _diagonal(node: NodeContext, term: _Term) -> _Term:
    """The term without repeated labels: of two axes with one label, their diagonal is meant."""
    repeated = [label for label, count in Counter(term.labels).items() if count > 1]
    if not repeated:
        return term
    first = term.labels.index(repeated[0])
    second = term.labels.index(repeated[0], first + 1)
    rest = [axis for axis in range(len(term.labels)) if axis not in (first, second)]
    shape = term.value.type.shape
    size, other = shape[first], shape[second]
    if size != other:
        raise ModelError(f"label {repeated[0]} means both {size} and {other} elements")
    (count,) = node.static([size], "diagonal")
    square = node.transpose(term.value, [*rest, first, second])
    others = [shape[axis] for axis in rest]
    flat = node.reshape(square, [*others, count * count])
    picked = node.op(
        "tensor.slice",
        flat,
        starts=[0] * len(flat.type.shape),
        sizes=[*others, count],
        steps=[*[1] * len(others), count + 1],
    )
    labels = (*(term.labels[axis] for axis in rest), repeated[0])
    return _diagonal(node, _Term(picked, labels))


def _sum_out(node: NodeContext, term: _Term, kept: set[str]) -> _Term:
    axes = [axis for axis, label in enumerate(term.labels) if label not in kept]
    if not axes:
        return term
    labels = tuple(label for label in term.labels if label in kept)
    return _Term(node.reduce(term.value, "sum", axes, keep_dims=False), labels)


def _multiply(node: NodeContext, a: _Term, b: _Term, kept: set[str]) -> _Term:
    """The product of two terms, summed over labels that nobody needs any more."""
    a = _sum_out(node, a, kept | set(b.labels))
    b = _sum_out(node, b, kept | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch = [label for label in shared if label in kept]
    summed = [label for label in shared if label not in kept]
    rows = [label for label in a.labels if label not in shared]
    columns = [label for label in b.labels if label not in shared]
    left = _matrices(node, a, batch, rows, summed)
    right = _matrices(node, b, batch, summed, columns)
    product = node.op("nn.matmul", left, right)
    shape = [*map(a.size, batch), *map(a.size, rows), *map(b.size, columns)]
    return _Term(node.reshape(product, shape), (*batch, *rows, *columns))


def _matrices(
    node: NodeContext, term: _Term, batch: list[str], rows: list[str], columns: list[str]
) -> Value:
    """The term as [batch..., rows, columns], each group of labels but the first in one axis."""
    order = [term.labels.index(label) for label in (*batch, *rows, *columns)]
    moved = node.transpose(term.value, order)
    shape = [*map(term.size, batch)]
    shape += [dimension.product(map(term.size, group)) for group in (rows, columns)]
    return node.reshape(moved, shape)
