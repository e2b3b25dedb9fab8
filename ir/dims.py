"""Dimensions: integers, or expressions over named symbols.

A :data:`Dim` is an ``int`` or a :class:`DimExpr`.  A ``DimExpr`` is kept in a normal
form, a polynomial with integer coefficients over *atoms* (symbols, and calls of
``floordiv``, ``mod``, ``min``, ``max`` that cannot be simplified), so that equal
polynomials are equal objects by value.  Arithmetic with Python operators works on
any mix of the two and returns an ``int`` as soon as no symbol is left.

    n = symbol("N");  (2 * n + 4) // 2 == n + 2
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence

from .errors import DimensionError, clip

MAX_TERMS, MAX_DEGREE, MAX_COEFFICIENT = 128, 16, 1 << 80
"""Expressions beyond these are no sizes of tensors; squaring one forty times would not end."""

MAX_DIM = 1 << 40
"""No real tensor has this many elements along one axis or in all; larger ones are refused."""


class DimExpr:
    """An immutable integer expression with at least one symbol, in normal form."""

    __slots__ = ("_hash", "terms")

    terms: tuple[tuple[tuple[Atom, ...], int], ...]
    """``((atoms of the monomial, sorted), coefficient != 0)``, sorted; ``()`` = the constant."""

    def __init__(self, terms: tuple[tuple[tuple[Atom, ...], int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, DimExpr) and self._hash == other._hash and self.terms == other.terms
        )

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return _from_terms([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        return (self * -1) + other

    def __mul__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return _from_terms(
            (tuple(sorted((*a, *b), key=str)), x * y)
            for a, x in self.terms
            for b, y in _terms(other)
        )

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return mod(self, other)

    def __rmod__(self, other: Dim) -> Dim:
        return mod(other, self)

    def __bool__(self) -> bool:
        raise TypeError(f"the value of dimension {self} is not known at compile time")

    def __str__(self) -> str:
        parts: list[str] = []
        for atoms, coefficient in self.terms:
            factors = [str(atom) for atom in atoms]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            sign = "-" if coefficient < 0 else "+" if parts else ""
            parts.append(f"{' ' if parts else ''}{sign}{' ' if parts else ''}{'*'.join(factors)}")
        return "".join(parts)

    def __repr__(self) -> str:
        return f"DimExpr({self})"


class Symbol:
    """A named unknown, at least 0, fixed for one run of a module."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and self.name == other.name

    def __hash__(self) -> int:
        return hash(("Symbol", self.name))

    def __str__(self) -> str:
        return quote_symbol(self.name)


class Call:
    """An irreducible ``floordiv`` or ``mod`` of two dimensions, ``min`` or ``max`` of several."""

    __slots__ = ("args", "function")

    def __init__(self, function: str, args: tuple[Dim, ...]) -> None:
        self.function = function
        self.args = args

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Call) and self.function == other.function and self.args == other.args
        )

    def __hash__(self) -> int:
        return hash((self.function, self.args))

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.args))})"


Atom = Symbol | Call
Dim = int | DimExpr

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
FUNCTIONS = ("floordiv", "mod", "min", "max")
RESERVED = frozenset(
    {
        *("_", "axis", "blob", "block", "dense", "false", "func", "inf", "layout", "loc"),
        *("metadata", "module", "nan", "quant", "region", "resources", "sparse", "splat"),
        *("symbols", "tensor", "true", *FUNCTIONS),
    }
)
"""Words of the text form that a bare symbol may not be."""


def quote_symbol(name: str) -> str:
    """A symbol's name in text: bare when an identifier, else in backticks with escapes."""
    if IDENTIFIER.match(name) and name not in RESERVED:
        return name
    escaped = name.encode("unicode_escape").decode().replace("`", "\\x60")
    return f"`{escaped}`"


def symbol(name: str) -> DimExpr:
    """The dimension that is just the symbol ``name``."""
    return DimExpr((((Symbol(name),), 1),))


def _is_dim(value: object) -> bool:
    """Whether a value can be computed with (other types may define operators with dimensions)."""
    return isinstance(value, DimExpr) or hasattr(value, "__index__")


def _terms(dim: Dim) -> Iterable[tuple[tuple[Atom, ...], int]]:
    if isinstance(dim, DimExpr):
        return dim.terms
    return (((), int(dim)),) if dim else ()


def _from_terms(terms: Iterable[tuple[tuple[Atom, ...], int]]) -> Dim:
    total: dict[tuple[Atom, ...], int] = {}
    for atoms, coefficient in terms:
        total[atoms] = total.get(atoms, 0) + coefficient
    kept = [(atoms, c) for atoms, c in total.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    if (
        len(kept) > MAX_TERMS
        or max(len(atoms) for atoms, _ in kept) > MAX_DEGREE
        or max(abs(coefficient) for _, coefficient in kept) > MAX_COEFFICIENT
    ):
        raise DimensionError("the expression of a dimension grows beyond all sizes")
    # Highest degree first, the constant last: "2*N + 1".
    kept.sort(key=lambda term: (-len(term[0]), [str(a) for a in term[0]]))
    return DimExpr(tuple(kept))


def _call(function: str, a: Dim, b: Dim) -> Dim:
    return DimExpr((((Call(function, (a, b)),), 1),))


def floordiv(a: Dim, b: Dim) -> Dim:
    """``a // b`` rounded towards minus infinity; divides out what divides exactly."""
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            raise DimensionError("a dimension is divided by zero")
        return a // b
    if b == 1:
        return a
    if a == b:
        return 1
    if isinstance(b, int) and b > 0:
        # (b*q + r) // b == q + r // b for any q.
        exact = _from_terms((m, c // b) for m, c in _terms(a) if c % b == 0)
        rest = _from_terms((m, c) for m, c in _terms(a) if c % b != 0)
        if rest == 0:
            return exact
        if isinstance(rest, int):
            return exact + rest // b
        if exact != 0:
            return exact + floordiv(rest, b)
        # (r // c) // b == r // (c * b).
        if (inner := _divided(rest)) is not None:
            return floordiv(inner[0], inner[1] * b)
    elif isinstance(b, DimExpr) and len(b.terms) == 1:
        quotient = _divide_monomial(a, b)
        if quotient is not None:
            return quotient
    return _call("floordiv", a, b)


def _divided(dim: DimExpr) -> tuple[Dim, int] | None:
    """``(a, c)`` when ``dim`` is just ``floordiv(a, c)`` with a positive integer ``c``."""
    atoms, coefficient = dim.terms[0]
    if len(dim.terms) != 1 or coefficient != 1 or len(atoms) != 1:
        return None
    (atom,) = atoms
    if not isinstance(atom, Call) or atom.function != "floordiv":
        return None
    dividend, divisor = atom.args
    return (dividend, divisor) if isinstance(divisor, int) and divisor > 0 else None


def _divide_monomial(a: Dim, b: DimExpr) -> Dim | None:
    """``a / b`` for a one-term ``b`` that divides each term of ``a``, else None."""
    (divisor, factor) = b.terms[0]
    result = []
    for atoms, coefficient in _terms(a):
        remaining = list(atoms)
        for atom in divisor:
            if atom not in remaining:
                return None
            remaining.remove(atom)
        if coefficient % factor:
            return None
        result.append((tuple(remaining), coefficient // factor))
    return _from_terms(result)


def mod(a: Dim, b: Dim) -> Dim:
    """``a - b * (a // b)``: the remainder with the sign of ``b``."""
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            raise DimensionError("a dimension is divided by zero")
        return a % b
    if isinstance(b, int) and b > 0:
        a = _from_terms((m, c) for m, c in _terms(a) if c % b != 0)
        if isinstance(a, int):
            return a % b
    elif isinstance(b, DimExpr) and len(b.terms) == 1 and _divide_monomial(a, b) is not None:
        return 0
    return _call("mod", a, b)


def ceildiv(a: Dim, b: Dim) -> Dim:
    """``a / b`` rounded up."""
    return -floordiv(-a, b)


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller of two dimensions."""
    return _extremum("min", a, b)


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger of two dimensions."""
    return _extremum("max", a, b)


def _extremum(function: str, a: Dim, b: Dim) -> Dim:
    """One flat call of the candidates that none of the others makes superfluous."""
    kept: list[Dim] = []
    for candidate in (*_candidates(function, a), *_candidates(function, b)):
        if any(_wins(function, other, candidate) for other in kept):
            continue
        kept = [other for other in kept if not _wins(function, candidate, other)]
        kept.append(candidate)
    if len(kept) == 1:
        return kept[0]
    return DimExpr((((Call(function, tuple(sorted(kept, key=str))),), 1),))


def _candidates(function: str, dim: Dim) -> tuple[Dim, ...]:
    """The arguments of ``dim`` when it is a call of ``function``, else ``dim`` itself."""
    if isinstance(dim, DimExpr) and len(dim.terms) == 1:
        atoms, coefficient = dim.terms[0]
        if coefficient == 1 and len(atoms) == 1:
            (atom,) = atoms
            if isinstance(atom, Call) and atom.function == function:
                return atom.args
    return (dim,)


def _wins(function: str, a: Dim, b: Dim) -> bool:
    """Whether ``a`` is never worse than ``b`` as the extremum."""
    return is_nonnegative(a - b if function == "max" else b - a)


def is_nonnegative(dim: Dim) -> bool:
    """Whether ``dim`` is provably at least 0, symbols being at least 0; False when unsure."""
    return all(
        coefficient >= 0 and all(map(_is_nonnegative_atom, atoms))
        for atoms, coefficient in _terms(dim)
    )


def _is_nonnegative_atom(atom: Atom) -> bool:
    if isinstance(atom, Symbol):
        return True
    if atom.function == "max":
        return any(map(is_nonnegative, atom.args))
    # The remainder has the sign of the divisor.
    relevant = atom.args[1:] if atom.function == "mod" else atom.args
    return all(map(is_nonnegative, relevant))


def product(dims: Iterable[Dim]) -> Dim:
    """The product of dimensions (1 when there are none)."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def symbols_of(dim: Dim) -> frozenset[str]:
    """Names of the symbols a dimension depends on."""
    if isinstance(dim, int):
        return frozenset()
    found: set[str] = set()
    for atoms, _ in dim.terms:
        for atom in atoms:
            if isinstance(atom, Symbol):
                found.add(atom.name)
            else:
                found.update(*(symbols_of(arg) for arg in atom.args))
    return frozenset(found)


def plain_symbol(dim: Dim) -> str | None:
    """The symbol's name when ``dim`` is exactly one symbol, else None."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    atoms, coefficient = dim.terms[0]
    if coefficient != 1 or len(atoms) != 1 or not isinstance(atoms[0], Symbol):
        return None
    return atoms[0].name


def substitute(dim: Dim, binding: Mapping[str, Dim]) -> Dim:
    """``dim`` with symbols replaced by what ``binding`` gives for them (others stay)."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for atoms, coefficient in dim.terms:
        term: Dim = coefficient
        for atom in atoms:
            term = term * _substitute_atom(atom, binding)
        total = total + term
    return total


def _substitute_atom(atom: Atom, binding: Mapping[str, Dim]) -> Dim:
    if isinstance(atom, Symbol):
        bound = binding.get(atom.name)
        return symbol(atom.name) if bound is None else bound
    return apply_function(atom.function, [substitute(arg, binding) for arg in atom.args])


def apply_function(function: str, args: Sequence[Dim]) -> Dim:
    """``floordiv``, ``mod``, ``min`` or ``max`` by name, of two or more dimensions."""
    apply = {"floordiv": floordiv, "mod": mod, "min": minimum, "max": maximum}[function]
    return functools.reduce(apply, args)


def evaluate(dim: Dim, binding: Mapping[str, int]) -> int:
    """The integer value of ``dim`` when every symbol is bound.

    Raises:
        DimensionError: a symbol is not in ``binding``.
    """
    value = substitute(dim, binding)
    if isinstance(value, DimExpr):
        missing = ", ".join(f'"{clip(name)}"' for name in sorted(symbols_of(value)))
        raise DimensionError(f"dimension {clip(str(dim))} depends on unbound {missing}")
    return value


Interval = tuple[int, int]


def bounds(dim: Dim, ranges: Mapping[str, Interval]) -> Interval:
    """An interval that holds every value of ``dim`` when each symbol lies in its range.

    Interval arithmetic per term: exact for monotone expressions, never too narrow.

    Raises:
        DimensionError: a symbol has no range.
    """
    if isinstance(dim, int):
        return dim, dim
    low = high = 0
    for atoms, coefficient in dim.terms:
        term = (coefficient, coefficient)
        for atom in atoms:
            term = _times(term, _atom_bounds(atom, ranges))
        low, high = low + term[0], high + term[1]
    return low, high


def _times(a: Interval, b: Interval) -> Interval:
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def _atom_bounds(atom: Atom, ranges: Mapping[str, Interval]) -> Interval:
    if isinstance(atom, Symbol):
        if atom.name not in ranges:
            raise DimensionError(f'dimension "{clip(atom.name)}" has no upper bound')
        return ranges[atom.name]
    intervals = [bounds(arg, ranges) for arg in atom.args]
    if atom.function in ("min", "max"):
        choose = min if atom.function == "min" else max
        return choose(low for low, _ in intervals), choose(high for _, high in intervals)
    a, b = intervals
    if atom.function == "mod":
        return 0, max(abs(b[0]), abs(b[1])) - 1
    corners = [x // y for x in a for y in (b[0] or 1, b[1] or 1)]
    return min(corners), max(corners)
