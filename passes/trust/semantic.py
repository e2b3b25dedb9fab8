"""The check behind ``verify="semantic"``: every pass keeps what the module computes."""

from __future__ import annotations

from burnish.ir import Module
from burnish.ir.errors import MismatchError

from ..base import Pass, PassContext
from ..instruments import Instrument
from ..promises import LOSSY, weakest
from .equivalence import Execution, compare, draws_for
from .failure import MISMATCH, Failure, located


class SemanticMismatchError(MismatchError):
    """A pass changed what a module computes; ``failure`` says which rewrite, and on what inputs."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"the pass changed what the module computes: {failure}")
        self.failure = failure


class SemanticCheck(Instrument):
    """Interprets the module before and after every pass on seeded inputs and compares.

    How exactly they must agree follows from what the rewrites that the pass applied promise.

    ``notes`` says what could not be checked, and why.
    """

    def __init__(self, seed: int = 0) -> None:
        self.notes: list[str] = []
        self._seed = seed
        self._before: Execution | None = None

    def before(self, pass_: Pass, module: Module) -> None:
        """Keep the module as it is, with what is known of its results."""
        if self._before is None:
            self._before = Execution(module.copy(), draws_for(module, self._seed))

    def after(self, pass_: Pass, module: Module, *, changed: bool, context: PassContext) -> None:
        """Compare, and find the wrong rewrite by bisection.

        Raises:
            SemanticMismatchError: a result differs.
        """
        before = self._before
        assert before is not None
        if module == before.module:
            return
        promise = weakest(context.promises)
        if promise == LOSSY:
            self.notes.append(f"pass {pass_} changes results on purpose: they are not compared")
        wrong = compare(before, module, promise)
        if wrong is not None:
            failure = Failure(MISMATCH, str(pass_), str(wrong), draw=wrong.draw)
            raise SemanticMismatchError(located(before, pass_, failure))
        self._note(before)
        self._before = before.on(module.copy())

    def _note(self, execution: Execution) -> None:
        """Say so if no draw could be interpreted: nothing was compared then."""
        if execution.problem and not any(
            execution.results(index) is not None for index in range(len(execution.draws))
        ):
            note = f"no inputs that were drawn can be interpreted: {execution.problem}"
            if note not in self.notes:
                self.notes.append(note)
