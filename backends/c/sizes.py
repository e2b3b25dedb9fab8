"""Sizes known at run time only: names for them in C, their bounds, and what must hold of them.

Kernels see dimensions as polynomials over C identifiers.  :func:`with_sizes` brings a function to
that form: every symbol becomes one named like a C variable (``dim_seq``), and every ``floordiv``,
``mod``, ``min`` and ``max`` that cannot be simplified becomes a size of its own (``dim_1``), which
the run function computes once and hands to the kernels that need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from burnish.ir import Block, Dim, Function, Module, Op, TensorType
from burnish.ir.clone import clone_function
from burnish.ir.dims import (
    MAX_DIM,
    Call,
    DimExpr,
    Interval,
    Symbol,
    bounds,
    ceildiv,
    product,
    symbol,
    symbols_of,
)
from burnish.ir.errors import UnsupportedError, clip

from ..names import Names
from .names import identifier

PREFIX = "dim_"
"""Every C variable that holds a size is named so; no other name in emitted C is."""


@dataclass(frozen=True, slots=True)
class Member:
    """A symbol of the module: ``member`` of the struct of sizes, ``name`` where C computes.

    ``is_input`` tells whether the caller sets it; else an op defines it during the run.
    """

    symbol: str
    member: str
    name: str
    low: int
    high: int
    is_input: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Sizes for which the model is defined: ``low <= value <= high`` (None: no limit)."""

    value: DimExpr
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Sizes:
    """All sizes of a function that are known at run time only.

    ``derived`` are computed from the members and earlier ones; ``ranges`` hold the bounds of
    every name.
    """

    members: tuple[Member, ...] = ()
    derived: Mapping[str, DimExpr] = field(default_factory=dict)
    ranges: Mapping[str, Interval] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any: emitted code of static models knows nothing of sizes."""
        return bool(self.members)

    def needs(self, dim: Dim) -> frozenset[str]:
        """The names of the members that ``dim`` depends on."""
        found: set[str] = set()
        pending = list(symbols_of(dim))
        while pending:
            name = pending.pop()
            if name in self.derived:
                pending += symbols_of(self.derived[name])
            else:
                found.add(name)
        return frozenset(found)

    def is_known_at_start(self, dim: Dim) -> bool:
        """Whether ``dim`` depends on nothing that is defined during the run."""
        later = {member.name for member in self.members if not member.is_input}
        return not self.needs(dim) & later

    def low(self, dim: Dim) -> int:
        """The least value of ``dim``."""
        return bounds(dim, self.ranges)[0]

    def high(self, dim: Dim) -> int:
        """The greatest value of ``dim``."""
        return bounds(dim, self.ranges)[1]

    def most_elements(self, shape: Iterable[Dim]) -> int:
        """The most elements that a tensor of ``shape`` can have."""
        return most_elements(shape, self.ranges)


STATIC = Sizes()
"""Those of a model whose sizes are all known."""


def most_elements(shape: Iterable[Dim], ranges: Mapping[str, Interval]) -> int:
    """The most elements that a tensor of ``shape`` can have.

    Raises:
        UnsupportedError: they are more than any tensor may have.
    """
    total = product(max(0, bounds(dim, ranges)[1]) for dim in shape)
    assert isinstance(total, int)
    if total >= MAX_DIM:
        raise UnsupportedError(
            f"with the declared upper bounds a tensor has {total} elements; "
            "burnish refuses 2^40 and more",
            help="declare smaller upper bounds: --dim NAME=LOW..HIGH",
        )
    return total


def with_sizes(module: Module) -> tuple[Function, Sizes]:
    """The entry function of ``module`` over C names, and the sizes these names stand for.

    A static function is returned as it is.

    Raises:
        UnsupportedError: a symbol has no range, or one that no tensor can have.
    """
    function = module.main
    found = dict.fromkeys(name for dim in _all_dims(function.body) for name in _ordered(dim))
    if not found:
        return function, STATIC
    if missing := [name for name in found if name not in module.symbols]:
        listed = ", ".join(f'"{clip(name)}"' for name in missing)
        flags = " ".join(f"--dim {clip(name)}=1..64" for name in missing)
        raise UnsupportedError(
            f"the C backend needs the least and greatest sizes of {listed}",
            help=f"give a range --dim NAME=LOW..HIGH, or a size: {flags}",
        )
    of_inputs = {s for arg in function.args for d in arg.type.shape for s in symbols_of(d)}
    names = Names()
    members = tuple(
        Member(
            name,
            member := names.take(identifier(name, "size")),
            PREFIX + member,
            *module.symbols[name],
            name in of_inputs,
        )
        for name in found
    )
    naming = _Naming(members)
    renamed = clone_function(function, naming)
    renamed.module = module
    checks = dict.fromkeys([*naming.checks, *_checks(renamed.body, naming.ranges)])
    return renamed, Sizes(members, naming.derived, naming.ranges, tuple(checks))


class _Naming:
    """Turns dimensions over symbols into polynomials over C names."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.names = {member.symbol: member.name for member in members}
        self.ranges: dict[str, Interval] = {m.name: (m.low, m.high) for m in members}
        self.derived: dict[str, DimExpr] = {}
        self.checks: list[Check] = []
        self._known: dict[Call, str] = {}

    def __call__(self, dim: Dim) -> Dim:
        if isinstance(dim, int):
            return dim
        total: Dim = 0
        for atoms, coefficient in dim.terms:
            total = total + product([coefficient, *(symbol(self.name(atom)) for atom in atoms)])
        return total

    def name(self, atom: Symbol | Call) -> str:
        if isinstance(atom, Symbol):
            return self.names[atom.name]
        if atom not in self._known:
            self._known[atom] = self.derive(atom)
        return self._known[atom]

    def derive(self, atom: Call) -> str:
        args = tuple(self(arg) for arg in atom.args)
        divides = atom.function in ("floordiv", "mod")
        if divides and isinstance(args[1], DimExpr) and bounds(args[1], self.ranges)[0] < 1:
            self.checks.append(Check(args[1], 1, None))
        value = DimExpr((((Call(atom.function, args),), 1),))
        name = f"{PREFIX}{len(self.derived) + 1}"
        self.ranges[name] = bounds(value, self.ranges)
        self.derived[name] = value
        return name


def _ordered(dim: Dim) -> list[str]:
    return sorted(symbols_of(dim))


def _all_dims(block: Block) -> Iterator[Dim]:
    """Every dimension that is not an integer, of types and attributes, nested ones included."""
    for arg in block.args:
        yield from _open_dims(arg.type.shape)
    for op in block:
        yield from _open_dims(op.attributes.values())
        for result in op.results:
            yield from _open_dims(result.type.shape)
        for region in op.regions:
            yield from _all_dims(region)


def _open_dims(values: Iterable[object]) -> Iterator[Dim]:
    for value in values:
        if isinstance(value, DimExpr):
            yield value
        elif isinstance(value, tuple):
            yield from _open_dims(value)


def _checks(block: Block, ranges: Mapping[str, Interval]) -> Iterator[Check]:
    """What types and views promise of sizes, and bounds alone do not prove."""
    for arg in block.args:
        yield from _of_type(arg.type, ranges)
    for op in block:
        for result in op.results:
            yield from _of_type(result.type, ranges)
        if op.name == "tensor.reshape":
            yield from _same_count(op)
        for region in op.regions:
            yield from _checks(region, ranges)


def _of_type(type_: TensorType, ranges: Mapping[str, Interval]) -> Iterator[Check]:
    """No size is negative, and parameters of quantization are as many as the type lists."""
    for dim in type_.shape:
        if isinstance(dim, DimExpr) and bounds(dim, ranges)[0] < 0:
            yield Check(dim, 0, None)
    q = type_.quantized
    if q is not None and q.axis is not None:
        count = type_.shape[q.axis]
        if q.block:
            others = (*type_.shape[: q.axis], *type_.shape[q.axis + 1 :])
            count = ceildiv(count, q.block) * product(others)
        if isinstance(count, DimExpr):
            yield Check(count, len(q.scale), len(q.scale))


def _same_count(op: Op) -> Iterator[Check]:
    difference = op.inputs[0].type.elements - op.results[0].type.elements
    if isinstance(difference, DimExpr):
        yield Check(difference, 0, 0)
