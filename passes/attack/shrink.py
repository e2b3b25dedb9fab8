"""Making a refutation small: simpler decisions, then simpler inputs, while the rule stays wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from burnish.ir import Array, Module

from ..pattern import Pattern
from ..trust import CounterExample, Draw, Execution, compare
from .choices import Trace
from .trial import Trial

BUDGET = 250
"""How many smaller instances are tried, and how many simpler inputs."""

Again = Callable[[Trace], tuple[Trace, Trial] | None]
"""Replays a trace; None where it cannot be built."""


@dataclass
class Refutation:
    """An instance on which a rule breaks its promise, as small as could be found.

    Attributes:
        counter: the inputs, and where the results differ; None where something was raised.
        crash: what was raised.
    """

    before: Module
    after: Module | None
    counter: CounterExample | None
    crash: str
    promise: str
    seed: int = 0

    @property
    def inputs(self) -> dict[str, Array]:
        """Inputs on which the results differ."""
        return {} if self.counter is None else dict(self.counter.draw.inputs)

    def __str__(self) -> str:
        parts = ["before:", _indented(str(self.before))]
        if self.after is not None:
            parts += ["after:", _indented(str(self.after))]
        if self.inputs:
            parts.append("inputs:")
        parts += [f"  {name} = {_shown(array)}" for name, array in self.inputs.items()]
        parts += [self.difference, f"found with seed {self.seed}"]
        return "\n".join(parts)

    @property
    def difference(self) -> str:
        """Where the results differ, or what was raised."""
        if self.counter is None:
            return self.crash
        return f"output {self.counter.difference}; the promise is {self.promise}"


def refutation(again: Again, trace: Trace, pattern: Pattern, trial: Trial) -> Refutation:
    """The smallest refutation found from the one that ``trace`` gives."""
    smallest = _smaller(again, trace, trial)
    if smallest.counter is not None and smallest.after is not None:
        counter = _simpler_inputs(smallest, pattern)
        smallest = replace(smallest, counter=counter)
    return Refutation(
        smallest.before, smallest.after, smallest.counter, smallest.crash, pattern.promise
    )


def _smaller(again: Again, trace: Trace, trial: Trial) -> Trial:
    budget, changed = BUDGET, True
    while changed and budget:
        changed = False
        for candidate in _candidates(trace):
            if not budget:
                break
            budget -= 1
            found = again(candidate)
            if found is None or not _same_failure(found[1], trial) or found[0] == trace:
                continue
            if _size(found[0]) < _size(trace):
                trace, trial, changed = *found, True
                break
    return trial


def _same_failure(trial: Trial, known: Trial) -> bool:
    """Whether the rule is wrong here too, in the same manner."""
    return trial.failed and (trial.counter is None) == (known.counter is None)


def _size(trace: Trace) -> tuple[int, int]:
    """Decisions that are not the simplest, and how far they are from it."""
    return sum(map(bool, trace.values())), sum(trace.values())


def _candidates(trace: Trace) -> Iterator[Trace]:
    """Simpler traces: halves, quarters … of the decisions set to 0; then each lowered."""
    sites = [site for site, decision in trace.items() if decision]
    length = len(sites)
    while length > 1:
        for start in range(0, len(sites), length):
            yield {**trace, **dict.fromkeys(sites[start : start + length], 0)}
        length //= 2
    for site in sites:
        for lower in dict.fromkeys((0, trace[site] // 2, trace[site] - 1)):
            yield {**trace, site: lower}


def _simpler_inputs(trial: Trial, pattern: Pattern) -> CounterExample:
    """The counter-example with as many elements 1 or 0 as possible."""
    best, budget = trial.counter, BUDGET
    assert best is not None
    assert trial.after is not None
    for name, array in best.draw.inputs.items():
        for index in range(array.size):
            for simple in (1, 0):
                current = best.draw.inputs[name].reshape(-1)[index]
                budget -= 1
                if budget < 0 or current == np.asarray(simple).astype(array.dtype):
                    break
                draw = _with_element(best.draw, name, index, simple)
                found = compare(Execution(trial.before, [draw]), trial.after, pattern.promise)
                if found is not None:
                    best = found
                    break
    return best


def _with_element(draw: Draw, name: str, index: int, number: int) -> Draw:
    changed = draw.inputs[name].copy()
    changed.reshape(-1)[index] = number
    return replace(draw, inputs={**draw.inputs, name: changed})


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())


def _shown(array: Array) -> str:
    listed = np.array2string(array, separator=", ", threshold=64, floatmode="unique")
    return f"{array.dtype}{list(array.shape)} {listed}".replace("\n", " ")
