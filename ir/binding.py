"""The sizes of symbols, told from the shapes of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .dims import Dim, DimExpr, Symbol, evaluate, plain_symbol, substitute, symbols_of
from .errors import InputError, clip

Shapes = Mapping[str, tuple[Sequence[Dim], Sequence[int]]]
"""By an input's name its declared shape and that of the array."""


def bind_shapes(shapes: Shapes) -> dict[str, int]:
    """The size of every symbol that the shapes tell.

    A symbol is told by an axis of which it is the only unknown, once, times a number: ``n``,
    ``32*h``, ``n + m`` where another axis tells ``m``.

    Raises:
        InputError: a shape has another rank or other sizes than declared, or two axes
            contradict each other.
    """
    for name, (declared, actual) in shapes.items():
        if len(declared) != len(actual):
            raise _misfit(name, declared, actual)
    axes = [
        (dim, size)
        for declared, actual in shapes.values()
        for dim, size in zip(declared, actual)
        if isinstance(dim, DimExpr)
    ]
    axes.sort(key=lambda axis: len(axis[0].terms))  # what stands alone tells more than a sum
    binding: dict[str, int] = {}
    told = -1
    while told != len(binding):
        told = len(binding)
        for dim, size in axes:
            if (found := _solve(dim, size, binding)) is not None:
                binding.setdefault(*found)
    for name, (declared, actual) in shapes.items():
        for expected, size in zip(declared, actual):
            if symbols_of(expected) <= binding.keys() and evaluate(expected, binding) != size:
                plain = plain_symbol(expected)
                said = f"; {clip(plain)} is {binding[plain]} elsewhere" if plain else ""
                raise _misfit(name, declared, actual, said)
    return binding


def _solve(dim: DimExpr, size: int, binding: Mapping[str, int]) -> tuple[str, int] | None:
    """The unknown of ``dim`` and its value where ``dim`` is ``size``, rounded down if it must."""
    open_ = substitute(dim, {**binding})
    if not isinstance(open_, DimExpr):
        return None
    rest, factor, name = size, 0, ""
    for atoms, coefficient in open_.terms:
        if not atoms:
            rest -= coefficient
        elif len(atoms) == 1 and isinstance(atoms[0], Symbol) and not name:
            factor, name = coefficient, atoms[0].name
        else:
            return None
    return name, rest // factor


def _misfit(
    name: str, declared: Sequence[Dim], actual: Sequence[int], more: str = ""
) -> InputError:
    expected = f"[{', '.join(map(str, declared))}]"
    return InputError(
        f'input "{clip(name)}" has shape {list(actual)}, must be {clip(expected)}{more}'
    )
