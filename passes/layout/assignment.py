"""Choosing an offer per op of a block, and in which layouts each value is stored, at least cost.

Variables: for each op with several offers, which one; for each value that some offer wants in
another layout than row-major, the set of layouts in which it is stored.  Costs: an offer's own; for
each value one conversion for every layout in the set but the one its producer writes.  A consumer
needs the layout that its offer reads to be in the set.  So a value that two ops read in the same
layout is converted once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from burnish.ir import Block, Layout, Op, Value

from ..base import Decision
from .minimize import Assignment, Factor, minimize
from .offers import LayoutModel, Offer

MAX_LAYOUTS = 4
"""Layouts considered per value; a set of them is one of 2^4 - 1."""

UNNAMED = "dense"
"""What decisions call the ways that have no name."""

StoredIn = tuple[Layout | None, ...]


@dataclass(frozen=True)
class Chosen:
    """The layouts of a block.

    Attributes:
        offers: the chosen offer of each op.
        cost, row_major: time of the block as chosen, and with everything in row-major order.
        bound: no choice takes less time.
        decisions: what was decided between ways that have names.
    """

    offers: dict[Op, Offer]
    cost: float
    bound: float
    row_major: float
    decisions: tuple[Decision, ...] = ()


def choose_layouts(block: Block, model: LayoutModel, without: Collection[str] = ()) -> Chosen:
    """The cheapest layouts for ``block``, whose arguments and results are row-major.

    Offers of kernels that ``without`` names are left out.
    """
    return _Problem(block, model, without).solve()


class _Problem:
    def __init__(self, block: Block, model: LayoutModel, without: Collection[str]) -> None:
        self.block, self.model = block, model
        self.sizes: list[int] = []
        self.factors: list[Factor] = []
        self.offers = {
            op: [o for o in model.offers(op) if not o.kernels or o.kernels not in without]
            for op in block
            if not op.is_terminator
        }
        self.choices: dict[Op, int] = {}
        self.states: dict[Value, int] = {}
        self.sets: dict[Value, list[StoredIn]] = {}

    def solve(self) -> Chosen:
        self._enter_values()
        self._enter_ops()
        for value in self.block.args:
            if value in self.states:
                costs = np.array(self._stored(value, None))
                self.factors.append(Factor((self.states[value],), costs))
        for value in dict.fromkeys(self.block.results):
            if value in self.states:
                needed = [0.0 if None in stored else np.inf for stored in self.sets[value]]
                self.factors.append(Factor((self.states[value],), np.array(needed)))
        found = minimize(self.sizes, self.factors)
        return self._chosen(found)

    def _variable(self, size: int) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1

    def _enter_values(self) -> None:
        """A variable for each value that may be stored in another way than row-major."""
        wanted: dict[Value, dict[Layout | None, None]] = {}
        for op, offers in self.offers.items():
            for offer in offers:
                for values, layouts in ((op.operands, offer.operands), (op.results, offer.results)):
                    for value, layout in zip(values, layouts):
                        if value is not None:
                            wanted.setdefault(value, {None: None})[layout] = None
        for value, found in wanted.items():
            candidates = list(found)[:MAX_LAYOUTS]
            if len(candidates) > 1:
                self.sets[value] = [
                    subset
                    for count in range(1, len(candidates) + 1)
                    for subset in combinations(candidates, count)
                ]
                self.states[value] = self._variable(len(self.sets[value]))

    def _enter_ops(self) -> None:
        for op, offers in self.offers.items():
            choice = self.choices[op] = self._variable(len(offers))
            self.factors.append(Factor((choice,), np.array([offer.cost for offer in offers])))
            for value in dict.fromkeys(op.inputs):
                if value in self.states:
                    self._enter_reads(op, value)
            for index, result in enumerate(op.results):
                if result in self.states:
                    written = [offer.results[index] for offer in offers]
                    costs = [self._stored(result, layout) for layout in written]
                    self.factors.append(Factor((choice, self.states[result]), np.array(costs)))

    def _enter_reads(self, op: Op, value: Value) -> None:
        """The sets of layouts that an op's offers can read a value from."""
        positions = [i for i, operand in enumerate(op.operands) if operand is value]
        costs = [
            [
                0.0 if all(offer.operands[i] in stored for i in positions) else np.inf
                for stored in self.sets[value]
            ]
            for offer in self.offers[op]
        ]
        self.factors.append(Factor((self.choices[op], self.states[value]), np.array(costs)))

    def _stored(self, value: Value, written: Layout | None) -> list[float]:
        """Cost of each set of layouts for a value that is written in one; constants cost bytes."""
        if value.constant is not None:  # stored as needed; twice only when that is needed
            size = self.model.conversion(value.type, None, None)
            return [size * (len(stored) - 1) for stored in self.sets[value]]
        return [
            sum(self.model.conversion(value.type, written, to) for to in stored if to != written)
            if written in stored
            else float("inf")
            for stored in self.sets[value]
        ]

    def _chosen(self, found: Assignment) -> Chosen:
        offers = {op: self.offers[op][found.values[v]] for op, v in self.choices.items()}
        row_major = sum(options[0].cost for options in self.offers.values())
        decisions = tuple(
            _decision(op, offers[op], options)
            for op, options in self.offers.items()
            if any(option.name for option in options)
        )
        return Chosen(offers, found.cost, found.bound, row_major, decisions)


def _decision(op: Op, chosen: Offer, options: Sequence[Offer]) -> Decision:
    """The least cost under each name."""
    costs: dict[str, float] = {}
    for option in options:
        name = option.name or UNNAMED
        costs[name] = min(option.cost, costs.get(name, option.cost))
    weights = next((v.type for v in op.inputs if v.type.encoding is not None), op.result.type)
    return Decision(op.location, op.name, str(weights), chosen.name or UNNAMED, costs)
