"""One trial: a rule alone is applied to an instance, and both sides are interpreted."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Module
from burnish.ir.errors import Error, ModelError, clip
from burnish.ir.verifier import verify

from ..base import PassContext
from ..pattern import Pattern, PatternSet, apply_patterns
from ..trust import CounterExample, Execution, compare, draws_for


@dataclass(frozen=True)
class Trial:
    """What came of one instance.

    Attributes:
        before: the instance.
        after: what the rule made of it; None where it did not apply.
        refusal: why it did not apply, in the rule's words.
        compared: on how many inputs both sides were interpreted.
        counter: inputs on which they differ.
        crash: what was raised instead; empty if nothing was.
    """

    before: Module
    after: Module | None = None
    refusal: str = ""
    compared: int = 0
    counter: CounterExample | None = None
    crash: str = ""

    @property
    def failed(self) -> bool:
        """Whether the rule is wrong."""
        return self.counter is not None or bool(self.crash)


def try_pattern(pattern: Pattern, module: Module, seed: int, draws: int = 0) -> Trial:
    """Apply ``pattern`` alone, by the driver that passes use, and compare before and after.

    Inputs are of all kinds of :mod:`burnish.passes.trust.draws`, or ``draws`` of them.
    """
    context, after = PassContext(), module.copy()
    try:
        apply_patterns(after.main, PatternSet("attack", [pattern]), context)
        applied = context.rewrites[pattern.name]
        if applied:
            verify(after)
    except ModelError as error:  # the instance is at fault: what it computes is an error
        return Trial(module, refusal=error.message)
    except Exception as error:
        what = error.message if isinstance(error, Error) else str(error)
        return Trial(module, crash=f"{type(error).__name__}: {clip(what, 300)}")
    if not applied:
        reasons = [reason for name, reason in context.refusals if name == pattern.name]
        return Trial(module, refusal=reasons[-1] if reasons else "nothing of that form was found")
    inputs = draws_for(module, seed)
    before = Execution(module, inputs[:draws] if draws else inputs)
    counter = compare(before, after, pattern.promise)
    compared = sum(before.results(index) is not None for index in range(len(before.draws)))
    return Trial(module, after, compared=compared, counter=counter)
