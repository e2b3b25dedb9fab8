"""Minimizing a sum of cost tables over variables with few values each.

Bucket elimination (Dechter 1999): variables are eliminated one by one, fewest neighbours first.
Eliminating x adds up the tables that mention x and takes the minimum over x, which is a table over
x's neighbours.  Neural networks are chains with side branches, so these tables stay tiny, and the
minimum is exact.  Where a table would be too large, the tables of x are split into groups that
are minimized one by one (mini-buckets, Dechter and Rish 2003): each group may then choose
another value for x, so what comes out is a lower bound.  Going back through the variables gives an
assignment, which local changes improve; its distance to the bound is known.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Costs = npt.NDArray[np.float64]

MAX_TABLE = 1 << 16
"""Entries of the largest table that is made."""


@dataclass(frozen=True)
class Factor:
    """A cost that depends on some variables: ``costs[value of each variable]``.

    ``inf`` forbids a combination; variables are distinct.
    """

    variables: tuple[int, ...]
    costs: Costs


@dataclass(frozen=True)
class Assignment:
    """A value for each variable.

    Attributes:
        cost: the sum of all factors there.
        bound: no assignment costs less; equal to ``cost`` when the minimum is exact.
    """

    values: tuple[int, ...]
    cost: float
    bound: float

    @property
    def is_exact(self) -> bool:
        """Whether no assignment can be better (up to rounding of sums)."""
        return math.isclose(self.cost, self.bound, rel_tol=1e-9, abs_tol=1e-12)


def minimize(sizes: Sequence[int], factors: Sequence[Factor], limit: int = MAX_TABLE) -> Assignment:
    """The cheapest assignment; a good one, with a lower bound, where exact tables are too large.

    Args:
        sizes: number of values of each variable, at least 1.
        factors: the costs; every table's shape is the sizes of its variables.
        limit: entries of the largest table that may be made.

    Raises:
        ValueError: all assignments are forbidden.
    """
    elimination = _Elimination(sizes, factors, limit)
    elimination.run()
    values = elimination.assignment()
    if not elimination.is_exact:
        _improve(values, sizes, factors)
    cost = total(factors, values)
    if math.isinf(cost):
        raise ValueError("no assignment is allowed")
    return Assignment(tuple(values), cost, min(elimination.bound, cost))


def total(factors: Sequence[Factor], values: Sequence[int]) -> float:
    """The cost of an assignment."""
    return sum(float(f.costs[tuple(values[v] for v in f.variables)]) for f in factors)


@dataclass
class _Elimination:
    sizes: Sequence[int]
    factors: Sequence[Factor]
    limit: int
    bound: float = 0.0
    is_exact: bool = True
    _next: int = 0
    _live: dict[int, set[int]] = field(default_factory=dict)
    _tables: dict[int, Factor] = field(default_factory=dict)
    _steps: list[tuple[int, list[Factor]]] = field(default_factory=list)

    def run(self) -> None:
        """Eliminate every variable."""
        self._live = {variable: set() for variable in range(len(self.sizes))}
        for factor in self.factors:
            self._enter(factor)
        queue = [(self._degree(variable), variable) for variable in self._live]
        heapq.heapify(queue)
        while queue:
            degree, variable = heapq.heappop(queue)
            if variable not in self._live:
                continue
            actual = self._degree(variable)
            if actual > degree:  # it has got neighbours since it was queued
                heapq.heappush(queue, (actual, variable))
                continue
            for neighbour in self._eliminate(variable):
                heapq.heappush(queue, (self._degree(neighbour), neighbour))

    def _enter(self, factor: Factor) -> None:
        if not factor.variables:
            self.bound += float(factor.costs)
            return
        number = self._next
        self._next += 1
        self._tables[number] = factor
        for variable in factor.variables:
            self._live[variable].add(number)

    def _neighbours(self, variable: int) -> set[int]:
        tables = (self._tables[number] for number in self._live[variable])
        return {v for table in tables for v in table.variables} - {variable}

    def _degree(self, variable: int) -> int:
        return len(self._neighbours(variable))

    def _eliminate(self, variable: int) -> set[int]:
        neighbours = self._neighbours(variable)
        numbers = sorted(self._live.pop(variable))
        tables = [self._tables.pop(number) for number in numbers]
        for neighbour in neighbours:
            self._live[neighbour].difference_update(numbers)
        self._steps.append((variable, tables))
        for group in self._groups(variable, tables):
            joined = _join([variable], group, self.sizes)
            self._enter(Factor(joined.variables[1:], joined.costs.min(axis=0)))
        return neighbours

    def _groups(self, variable: int, tables: Sequence[Factor]) -> list[list[Factor]]:
        """The tables of a variable, in groups whose sum is small enough; one if possible."""
        groups: list[tuple[set[int], list[Factor]]] = []
        for table in sorted(tables, key=lambda t: (-len(t.variables), t.variables)):
            for scope, group in groups:
                together = scope | set(table.variables)
                if math.prod(self.sizes[v] for v in together) <= self.limit:
                    scope.update(together)
                    group.append(table)
                    break
            else:
                groups.append(({variable, *table.variables}, [table]))
        if len(groups) > 1:
            self.is_exact = False
        return [group for _, group in groups] or [[]]

    def assignment(self) -> list[int]:
        """Values from the last eliminated variable back to the first."""
        values = [0] * len(self.sizes)
        for variable, tables in reversed(self._steps):
            costs = np.zeros(self.sizes[variable])
            for table in tables:
                at: list[Any] = [
                    slice(None) if v == variable else values[v] for v in table.variables
                ]
                costs = costs + table.costs[tuple(at)]
            values[variable] = int(np.argmin(costs))
        return values


def _join(first: Sequence[int], tables: Sequence[Factor], sizes: Sequence[int]) -> Factor:
    """The sum of tables, as one table over all their variables, ``first`` in front."""
    order = list(dict.fromkeys([*first, *(v for table in tables for v in table.variables)]))
    place = {variable: axis for axis, variable in enumerate(order)}
    joined = np.zeros([sizes[v] for v in order])
    for table in tables:
        axes = [place[v] for v in table.variables]
        arranged = np.transpose(table.costs, np.argsort(axes))
        shape = [1] * len(order)
        for variable, axis in zip(table.variables, axes):
            shape[axis] = sizes[variable]
        joined = joined + arranged.reshape(shape)
    return Factor(tuple(order), joined)


def _along(
    variable: int, tables: Sequence[Factor], values: Sequence[int], sizes: Sequence[int]
) -> Costs:
    """The sum of tables for each value of one variable, the others being as given."""
    costs = np.zeros(sizes[variable])
    for table in tables:
        at: list[Any] = [slice(None) if v == variable else values[v] for v in table.variables]
        costs = costs + table.costs[tuple(at)]
    return costs


def _improve(values: list[int], sizes: Sequence[int], factors: Sequence[Factor]) -> None:
    """Change one variable at a time as long as that costs less."""
    of: dict[int, list[Factor]] = {variable: [] for variable in range(len(sizes))}
    for factor in factors:
        for variable in factor.variables:
            of[variable].append(factor)
    pending = list(range(len(sizes)))
    while pending:
        variable = pending.pop()
        costs = _along(variable, of[variable], values, sizes)
        best = int(np.argmin(costs))
        if costs[best] < costs[values[variable]]:
            values[variable] = best
            pending += sorted({v for factor in of[variable] for v in factor.variables} - {variable})
