"""Make a reproducer small: its module, its pipeline, and its inputs, while the failure stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from burnish.ir import Array, Module

from ..base import Pass
from ..pipeline import pipeline_text
from .draws import Draw, draws
from .equivalence import Execution
from .failure import MISMATCH, Failure, attempt, find_failure
from .reduce import BUDGET, Progress, reduce
from .reproducer import Reproducer

Finder = Callable[[Module, Sequence[Pass]], Failure | None]
"""What goes wrong when a module is put through passes (and whatever follows them)."""

MANY_DRAWS, FEW_DRAWS = 24, 6
SMALL_INPUTS = 64
"""Small inputs cost little, and a single element is seldom the one that matters."""


@dataclass(frozen=True)
class PassFailure:
    """Finds failures of passes that look like ``wanted``."""

    wanted: Failure
    seed: int = 0

    def __call__(self, module: Module, passes: Sequence[Pass]) -> Failure | None:
        """The first failure; None if it is not of the kind that is wanted."""
        chosen: list[Draw] = []
        if self.wanted.kind == MISMATCH:
            draw = self.wanted.draw
            kinds = () if draw is None else (draw.kind,)
            sizes = [arg.type.elements for arg in module.main.args]
            elements = sum(size for size in sizes if isinstance(size, int))
            count = MANY_DRAWS if elements <= SMALL_INPUTS else FEW_DRAWS
            chosen = list(draws(module, self.seed, count, kinds))
        found = find_failure(module, passes, chosen)
        return None if found is None else found[1]


def shrink(
    reproducer: Reproducer,
    find: Finder | None = None,
    *,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> Reproducer:
    """A smaller reproducer of the same failure: same kind, same pass, same rewrite.

    Args:
        find: looks for the failure; by default, of the passes alone.
        budget: modules to try at most.

    Raises:
        ValueError: the failure does not show.
    """
    passes = reproducer.pipeline()
    finder = find or PassFailure(reproducer.failure, reproducer.seed)
    first = finder(reproducer.module.copy(), passes)
    if first is None:
        raise ValueError("the failure does not show")

    def fails(module: Module, chosen: Sequence[Pass]) -> bool:
        found = finder(module, chosen)
        return found is not None and found.signature == first.signature

    passes = _fewer_passes(passes, lambda chosen: fails(reproducer.module.copy(), chosen))
    module = reduce(
        reproducer.module, lambda module: fails(module, passes), budget=budget, progress=progress
    )
    passes = _fewer_passes(passes, lambda chosen: fails(module.copy(), chosen))
    failure = finder(module.copy(), passes)
    assert failure is not None
    if failure.draw is not None and len(passes) == 1:
        failure = _simpler_inputs(module, passes[0], failure)
    return replace(reproducer, module=module, passes=pipeline_text(passes), failure=failure)


def _fewer_passes(passes: Sequence[Pass], fails: Callable[[Sequence[Pass]], bool]) -> list[Pass]:
    """The passes that are needed, with the options that are needed."""
    kept = list(passes)
    size = len(kept) // 2
    while size >= 1:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if fails(fewer):
                kept = fewer
            else:
                start += size
        size //= 2
    for index, pass_ in enumerate(kept):
        for option in pass_.options():
            plain = replace(kept[index], **{option.name: option.default})
            changed = [*kept[:index], plain, *kept[index + 1 :]]
            if plain != kept[index] and fails(changed):
                kept = changed
    return kept


def _simpler_inputs(module: Module, pass_: Pass, failure: Failure) -> Failure:
    """The mismatch shown by inputs that are as simple as can be."""
    assert failure.draw is not None
    for name in failure.draw.inputs:
        for array in _simpler(failure.draw.inputs[name]):
            assert failure.draw is not None
            inputs = {**failure.draw.inputs, name: array}
            draw = Draw(failure.draw.function, inputs, failure.draw.kind, "simple inputs")
            found = attempt(Execution(module, [draw]), pass_).failure
            if found is not None and found.kind == failure.kind:
                failure = replace(failure, draw=draw, message=found.message)
                break
    return failure


def _simpler(array: Array) -> Iterator[Array]:
    """Simpler arrays of the same type, the simplest first."""
    for number in (0, 1):
        yield np.full(array.shape, number).astype(array.dtype)
    if array.size > SMALL_INPUTS:
        return
    flat = array.reshape(-1)
    for index in range(flat.size):  # one element as it is, among ones
        simple = np.ones(flat.shape).astype(array.dtype)
        simple[index] = flat[index]
        yield simple.reshape(array.shape)
