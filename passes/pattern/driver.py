"""The greedy driver: applies patterns with a worklist until none applies.

Every op is looked at once; after a rewrite, only ops whose surroundings changed are looked at
again (the rewriter reports them).  Cost is therefore linear in ops plus rewrites, and an op
meets only the patterns that can start at it.  Ops without users are erased on the way.

Patterns that undo each other would run forever.  Every op made by a rewrite remembers the chain
of rewrites behind it; a chain longer than any honest one is reported with the patterns in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import Function, InternalError, Op, Rewriter, Value, is_unused
from burnish.ir.errors import Error, PassError, TypeInferenceError

from ..base import PassContext
from ..regions import is_closed
from .match import Match, Refusal
from .table import Pattern, PatternSet

MIN_BUDGET = 512
REWRITES_PER_OP = 32
"""A function of n ops may see max(MIN_BUDGET, n * REWRITES_PER_OP) rewrites in all, and chains
of max(MIN_BUDGET, 2 n) rewrites at one place: moving an op past all others is one step each."""


def apply_patterns(function: Function, patterns: PatternSet, context: PassContext) -> bool:
    """Apply ``patterns`` to a function and the regions in it; says whether anything changed.

    Raises:
        PassError: the patterns undo each other without end.
    """
    return _Driver(patterns, context).run(function)


@dataclass(frozen=True)
class _Step:
    """A rewrite and the one before it at the same place."""

    pattern: Pattern
    previous: _Step | None
    length: int


def _cycle(last: _Step) -> list[Pattern]:
    """The patterns that follow each other again and again up to ``last``, each once.

    They are in the order in which they are applied, if that repeats.
    """
    steps: list[Pattern] = []
    at: _Step | None = last
    while at is not None and len(steps) < MIN_BUDGET:
        steps.append(at.pattern)
        at = at.previous
    steps.reverse()
    for period in range(1, len(steps) // 2 + 1):
        tail = steps[-2 * period :]
        if all(a is b for a, b in zip(tail, tail[period:])):
            return list(dict.fromkeys(tail[:period]))
    return list(dict.fromkeys(steps[-32:]))


class _Driver:
    """One run: the worklist, and the listener that feeds it."""

    def __init__(self, patterns: PatternSet, context: PassContext) -> None:
        self._patterns = patterns
        self._context = context
        self._depth = max((pattern.depth for pattern in patterns), default=1)
        self._rewriter: Rewriter = context.rewriter(self)
        self._queue: deque[Op] = deque()
        self._queued: set[Op] = set()
        self._history: dict[Op, _Step] = {}
        self._current: _Step | None = None
        self._applied = 0

    def run(self, function: Function) -> bool:
        for op in function.walk():
            self._enqueue(op)
        count = len(self._queue)
        self._longest = max(MIN_BUDGET, 2 * count)
        self._most = max(MIN_BUDGET, REWRITES_PER_OP * count)
        with np.errstate(all="ignore"):  # constants may hold what overflows, as IEEE 754 has it
            while self._queue:
                op = self._queue.popleft()
                if op in self._queued:  # else it has been erased
                    self._queued.discard(op)
                    self._visit(op)
        return self._rewriter.changes > 0

    def _visit(self, op: Op) -> None:
        if op.is_terminator:
            return
        if is_unused(op):
            self._rewriter.erase(op)
            return
        if not self._context.may_rewrite:
            return
        for pattern in self._patterns.candidates(op):
            try:
                applied = self._attempt(pattern, op)
            except Exception:
                self._context.journal.fail(pattern.name, op)
                raise
            if applied:
                self._applied += 1
                self._context.count(pattern.name, root=op, promise=pattern.promise)
                if op.parent is not None:
                    self._enqueue(op)
                return

    def _attempt(self, pattern: Pattern, op: Op) -> bool:
        self._context.attempts += 1
        previous = self._history.get(op)
        step = _Step(pattern, previous, previous.length + 1 if previous else 1)
        if step.length > self._longest or self._applied >= self._most:
            self._endless(step, op)
        self._current = step
        changes = self._rewriter.changes
        try:
            outcome = pattern.rewrite(Match(op, self._rewriter))
            if outcome is not None:
                values = [outcome] if isinstance(outcome, Value) else list(outcome)
                self._check_types(op, values)
                self._rewriter.replace(op, values)
        except Refusal as refusal:
            if self._rewriter.changes != changes:
                raise InternalError(
                    f"pattern {pattern.name} ({pattern.where}) changed the graph and then "
                    f"refused: {refusal.reason}"
                ) from None
            self._context.refusals[pattern.name, refusal.reason] += 1
            return False
        except TypeInferenceError as error:
            # Symbolic shapes that cannot be proved to fit, encodings that cannot be moved.
            if self._rewriter.changes != changes:
                raise error.located(f"pattern {pattern.name} ({pattern.where})") from None
            self._context.refusals[pattern.name, "the replacement has no type"] += 1
            return False
        except Error as error:
            raise error.located(
                f"pattern {pattern.name} ({pattern.where})", str(op.location)
            ) from None
        if self._rewriter.changes == changes:
            raise InternalError(f"pattern {pattern.name} ({pattern.where}) changed nothing")
        if op.parent is not None:
            self._history[op] = step
        return True

    @staticmethod
    def _check_types(op: Op, values: Sequence[Value]) -> None:
        for old, new in zip(op.results, values):
            if old.type != new.type:
                raise Refusal("the replacement has another type", (old, new))

    def _endless(self, step: _Step, op: Op) -> None:
        cycle = _cycle(step)
        names = [pattern.name for pattern in cycle]
        problem = "undo each other" if len(cycle) > 1 else "applies to its own result"
        raise PassError(
            f"patterns of {self._patterns.name} do not terminate: {' and '.join(names)} {problem}",
            at=[
                *(f"{pattern.name} ({pattern.where})" for pattern in cycle),
                f"{op.name} at {op.location}",
            ],
            help="make one of them refuse what the other produces",
        )

    def _enqueue(self, op: Op) -> None:
        if op not in self._queued and not (op.parent is not None and is_closed(op.parent)):
            self._queued.add(op)
            self._queue.append(op)

    # What the rewriter reports ---------------------------------------------------------

    def created(self, op: Op) -> None:
        """A new op: look at it, and remember which rewrite made it."""
        for inner in op.walk():
            self._enqueue(inner)
        if self._current is not None:
            self._history[op] = self._current

    def modified(self, op: Op) -> None:
        """New operands or attributes: look at the op and at those that look through it."""
        self._enqueue(op)
        self._enqueue_users(op)

    def erased(self, op: Op) -> None:
        """Operands lose a user: their producers may be dead, their last user may match now."""
        for value in op.inputs:
            if value.op is not None:
                self._enqueue(value.op)
            if value.use_count <= 2:
                for user in value.users:
                    if user is not op:
                        self._enqueue(user)
                        self._enqueue_users(user, levels=1)
        for inner in op.walk():  # last: the op itself may use what its producers' users make
            self._queued.discard(inner)
            self._history.pop(inner, None)

    def _enqueue_users(self, op: Op, levels: int = 0) -> None:
        """Look at the ops that patterns look through ``op`` from; ``levels`` are done already."""
        seen: dict[Op, None] = {op: None}
        reached = [op]
        for _ in range(levels, self._depth):
            users = [user for at in reached for value in at.results for user in value.users]
            reached = [user for user in dict.fromkeys(users) if user not in seen]
            for user in reached:
                seen[user] = None
                self._enqueue(user)
