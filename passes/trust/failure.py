"""What went wrong in a pass, and which of its rewrites did it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from burnish.ir import Error, Module, verify
from burnish.ir.errors import VerifyError, clip

from ..base import Pass, PassContext
from ..journal import Journal, Rewrite
from ..manager import run_pass
from ..promises import weakest
from .draws import Draw
from .equivalence import Execution, compare

CRASH = "crash"
INVALID = "invalid"
MISMATCH = "mismatch"

MAX_CHANGED_LINES = 40


@dataclass(frozen=True)
class Failure:
    """A pass did something wrong.

    Attributes:
        kind: :data:`CRASH` (it raised an exception), :data:`INVALID` (what it made does not
            verify), :data:`MISMATCH` (what it made computes something else), or a word of
            whoever else looks for failures.
        pass_: the pass as pipeline text.
        message: what was seen.
        rewrite: the first rewrite that did it, when it was found.
        changed: what that rewrite changed, as a diff of IR text.
        draw: inputs that show a mismatch.
    """

    kind: str
    pass_: str
    message: str
    rewrite: Rewrite | None = None
    changed: str = ""
    draw: Draw | None = None

    @property
    def signature(self) -> tuple[str, ...]:
        """What a smaller failure has in common with this one, when it is the same."""
        rewrite = self.rewrite.name if self.rewrite else ""
        exception = self.message.partition(":")[0] if self.kind == CRASH else ""
        return (self.kind, self.pass_.partition("{")[0], rewrite, exception)

    def __str__(self) -> str:
        lines = [self.message]
        if self.rewrite is not None:
            lines.append(f"the first wrong one is {self.rewrite}")
        if self.changed:
            lines += ["it changed:", self.changed]
        return "\n".join(lines)


@dataclass(frozen=True)
class Attempt:
    """One run of a pass on a copy of a module.

    Attributes:
        after: the copy, changed.
        failure: what went wrong, if anything; its ``rewrite`` is set for crashes only.
    """

    after: Module
    journal: Journal
    promise: str
    failure: Failure | None


def attempt(before: Execution, pass_: Pass, limit: int | None = None) -> Attempt:
    """Run a pass on a copy, up to ``limit`` rewrites, and check what it made in every way.

    ``before`` is the module with the draws it is interpreted on; without draws, meaning is not
    compared.
    """
    after = before.module.copy()
    journal = Journal(limit)
    context = PassContext(journal=journal)
    failure: Failure | None = None
    try:
        run_pass(pass_, after, context)
        verify(after)
    except VerifyError as error:
        failure = Failure(INVALID, str(pass_), error.message)
    except Exception as error:  # whatever a pass raises is what is looked for
        failure = Failure(CRASH, str(pass_), said(error), journal.failing)
    promise = weakest(context.promises)
    if failure is None:
        wrong = compare(before, after, promise)
        if wrong is not None:
            failure = Failure(MISMATCH, str(pass_), str(wrong), draw=wrong.draw)
    return Attempt(after, journal, promise, failure)


def find_failure(
    module: Module, passes: Sequence[Pass], chosen: Sequence[Draw]
) -> tuple[Module, Failure] | None:
    """Run ``passes`` on a copy of ``module``: the first failure, located, and the module before.

    None when every pass does well.  The module is interpreted on the draws, before and after each.
    """
    execution = Execution(module, chosen)
    for pass_ in passes:
        tried = attempt(execution, pass_)
        if tried.failure is not None:
            return execution.module, located(execution, pass_, tried.failure)
        execution = execution if tried.after == execution.module else execution.on(tried.after)
    return None


def located(before: Execution, pass_: Pass, failure: Failure) -> Failure:
    """``failure`` of a pass on a module with the first rewrite that made it, by bisection."""
    named = before.module.copy()
    _name_values(named)
    execution = Execution(named, before.draws if failure.draw is None else [failure.draw])
    last = attempt(execution, pass_)
    good, bad = 0, last.journal.count + (failure.kind == CRASH)
    if last.failure is None or last.failure.kind != failure.kind:
        return failure  # it comes and goes
    while bad - good > 1:
        middle = (good + bad) // 2
        tried = attempt(execution, pass_, middle)
        if tried.failure is not None and tried.failure.kind == failure.kind:
            bad, last = middle, tried
        else:
            good = middle
    if failure.kind == CRASH:
        return replace(failure, rewrite=last.journal.failing)
    before_it = attempt(execution, pass_, good).after if good else named
    changed = changed_lines(before_it, last.after)
    return replace(failure, rewrite=last.journal.last, changed=changed)


def changed_lines(before: Module, after: Module) -> str:
    """How the text of a module changed: a diff with little around it."""
    old, new = str(before).split("\n"), str(after).split("\n")
    lines = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
    shown = [line for line in lines if not line.startswith("@@")]
    if len(shown) > MAX_CHANGED_LINES:
        shown[MAX_CHANGED_LINES:] = [f"… {len(shown) - MAX_CHANGED_LINES} more lines"]
    return "\n".join(shown)


def _name_values(module: Module) -> None:
    """Name every value, so that texts before and after a rewrite have the same names."""
    count = 0
    for op in module.walk():
        for value in (*op.results, *(arg for region in op.regions for arg in region.args)):
            if value.name is None:
                value.name = f"v{count}"
            count += 1


def said(error: Exception) -> str:
    """One line on an exception."""
    said = error.message if isinstance(error, Error) else str(error)
    return f"{type(error).__name__}: {clip(said, 300)}"
