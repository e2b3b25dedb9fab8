"""Make a reproducer small: its module, its pipeline, and its inputs, while the failure stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from burnish.ir import Module

from ..base import Pass
from ..pipeline import pipeline_text
from .draws import Draw, draws
from .equivalence import Execution
from .failure import MISMATCH, Failure, attempt, find_failure
from .reduce import BUDGET, Progress, reduce
from .reproducer import Reproducer
from .simpler import FEW, simpler_arrays

Finder = Callable[[Module, Sequence[Pass]], Failure | None]
"""What goes wrong when a module is put through passes (and whatever follows them)."""

MANY_DRAWS, FEW_DRAWS = 24, 6
"""Draws of small inputs, which cost little, and of larger ones."""


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
            count = MANY_DRAWS if elements <= FEW else FEW_DRAWS
            chosen = list(draws(module, self.seed, count, kinds))
        found = find_failure(module, passes, chosen)
        return None if found is None else found[1]


def shrink(
    reproducer: Reproducer,
    find: Finder | None = None,
    *,
    passes: Sequence[Pass] | None = None,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> Reproducer:
    """A smaller reproducer of the same failure: same kind, same pass, same rewrite.

    Args:
        find: looks for the failure; by default, of the passes alone.
        passes: those of the reproducer, where they are not registered.
        budget: modules to try at most.

    Raises:
        ValueError: the failure does not show.
    """
    start = reproducer.pipeline() if passes is None else list(passes)
    finder = find or PassFailure(reproducer.failure, reproducer.seed)
    first = finder(reproducer.module.copy(), start)
    if first is None:
        raise ValueError("the failure does not show")

    def fails(module: Module, chosen: Sequence[Pass]) -> bool:
        found = finder(module, chosen)
        return found is not None and found.signature == first.signature

    fewer = _fewer_passes(start, lambda chosen: fails(reproducer.module.copy(), chosen))
    module = reduce(
        reproducer.module, lambda module: fails(module, fewer), budget=budget, progress=progress
    )
    fewer = _fewer_passes(fewer, lambda chosen: fails(module.copy(), chosen))
    failure = finder(module.copy(), fewer)
    assert failure is not None
    if failure.kind == MISMATCH and failure.draw is not None and len(fewer) == 1:
        failure = _with_simple_inputs(module, fewer[0], failure)
    return replace(reproducer, module=module, passes=pipeline_text(fewer), failure=failure)


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
            if option.name in pass_.needs:
                continue
            plain = replace(kept[index], **{option.name: option.default})
            changed = [*kept[:index], plain, *kept[index + 1 :]]
            if plain != kept[index] and fails(changed):
                kept = changed
    return kept


def _with_simple_inputs(module: Module, pass_: Pass, failure: Failure) -> Failure:
    """The mismatch, shown by inputs that are as simple as can be."""

    def seen(draw: Draw) -> Failure | None:
        found = attempt(Execution(module, [draw]), pass_).failure
        return found if found is not None and found.kind == failure.kind else None

    assert failure.draw is not None
    draw = simpler_draw(failure.draw, lambda draw: seen(draw) is not None)
    found = seen(draw)
    return failure if found is None else replace(failure, draw=draw, message=found.message)


def simpler_draw(draw: Draw, fails: Callable[[Draw], bool]) -> Draw:
    """``draw`` with inputs that are as simple as can be while ``fails`` holds."""
    for name in draw.inputs:
        given = draw.inputs[name]
        for array in simpler_arrays(given, one_by_one=True):
            simple = replace(draw, inputs={**draw.inputs, name: array}, what="simple inputs")
            if fails(simple):
                draw = simple
                break
    return draw
