"""Small integer inputs whose values the declared outputs imply.

A model may compute shapes from an input by arithmetic that no single operator can be asked about
(the body of a function, written out).  Then the graph is imported for assumed values of the input:
by changing one number at a time it shows which dimension of an output each number decides, and
the declared dimension says what the number must be.  Numbers that decide no shape stay open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

MAX_NUMBERS = 16
"""Inputs that together have more numbers than this are left alone."""

Shapes = Sequence[Sequence[object]]
Values = Mapping[str, Sequence[int | None]]
"""The numbers of each input in order; None for those that stay open."""

Probe = Callable[[Mapping[str, Sequence[int]]], "Shapes | None"]
"""The output shapes for given values; None when the graph cannot be imported for them."""


def implied_values(
    counts: Mapping[str, int], declared: Sequence[Sequence[int]], probe: Probe
) -> Values | None:
    """Values of the inputs (``counts`` numbers each) for which the outputs are as declared.

    None when there are none, or when the declaration does not tell them apart.
    """
    places = [(name, index) for name, count in counts.items() for index in range(count)]
    sizes = sorted({dim for shape in declared for dim in shape} | {1, 2})
    if not places or len(places) > MAX_NUMBERS:
        return None

    def shapes(numbers: Sequence[int]) -> Shapes | None:
        values: dict[str, list[int]] = {name: [] for name in counts}
        for (name, _), number in zip(places, numbers, strict=True):
            values[name].append(number)
        return probe(values)

    for start in sizes:
        numbers = [start] * len(places)
        base = shapes(numbers)
        if base is not None:
            break
    else:
        return None
    solved: list[int | None] = []
    for position in range(len(places)):
        changed = [*numbers]
        changed[position] += 1
        result = shapes(changed)
        # A number that may not change at all has to be what it is.
        solved.append(start if result is None else _decided(base, result, declared))
    if all(number is None for number in solved):
        return None
    final = [start if number is None else number for number in solved]
    if shapes(final) != [list(shape) for shape in declared]:
        return None
    found: dict[str, list[int | None]] = {name: [] for name in counts}
    for (name, _), value in zip(places, solved, strict=True):
        found[name].append(value)
    return {name: values for name, values in found.items() if any(v is not None for v in values)}


def _decided(base: Shapes, changed: Shapes, declared: Sequence[Sequence[int]]) -> int | None:
    """The declared size of the dimension in which two imports differ; None when none does."""
    for shape, before, after in zip(declared, base, changed, strict=True):
        for size, old, new in zip(shape, before, after, strict=False):
            if old != new:
                return size
    return None
