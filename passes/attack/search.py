"""Attacking one rule: instances are drawn until enough match, or one of them refutes the rule.

Few random instances satisfy all conditions of a rule, so the search learns: an instance that got
further than the others (more of its ops could be drawn, more conditions held) is varied, and so
are those that matched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from ..pattern import Pattern
from ..rules.syntax import Condition, Rule
from .choices import Choices, Trace, varied
from .hints import Hints
from .instance import Instance
from .operands import UnfitError
from .shrink import Refutation, refutation
from .trial import Trial, try_pattern

ATTEMPTS = 6000
ATTEMPTS_PER_INSTANCE = 100
"""A search for n instances ends after ATTEMPTS + n * ATTEMPTS_PER_INSTANCE draws."""

KEPT = 24
"""How many of the best draws are remembered, to vary them."""

_BUILT = 1000
"""Progress of a draw that could be built; what the pattern says adds to it."""


@dataclass
class Verdict:
    """What is known of a rule after an attack.

    Attributes:
        wanted: instances asked for.
        instances: those that matched, and were compared on some inputs.
        attempts: instances drawn.
        refusals: why draws did not match, how often.
        stuck: what those refused that came closest to a match.
        refutation: an instance on which the rule is wrong.
    """

    name: str
    promise: str
    where: str
    wanted: int
    seed: int
    instances: int = 0
    attempts: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    stuck: str = ""
    refutation: Refutation | None = None

    @property
    def is_starved(self) -> bool:
        """Whether too few instances were found to say anything."""
        return self.refutation is None and self.instances < self.wanted

    @property
    def holds(self) -> bool:
        """Whether the rule withstood the attack."""
        return self.refutation is None and not self.is_starved

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return "holds" if self.holds else "too few instances" if self.is_starved else "wrong"

    def __str__(self) -> str:
        if self.refutation is not None:
            return f"rule {self.name} ({self.where}) is wrong\n{self.refutation}"
        found = f"{self.instances} of {self.wanted} instances in {self.attempts} attempts"
        if self.holds:
            return f"rule {self.name} ({self.where}) holds: {found}"
        reasons = "".join(f"\n  {n} times: {text}" for text, n in self.refusals.most_common(5))
        stuck = f"\nnever held, or hardly ever: {self.stuck}" if self.stuck else ""
        return f"rule {self.name} ({self.where}) could not be tested: {found}{stuck}{reasons}"


class Subject(Protocol):
    """What is attacked: a pattern, and a way to draw instances of it."""

    pattern: Pattern

    @property
    def key(self) -> str:
        """What its random numbers depend on besides the seed."""
        ...

    def instance(self, choices: Choices) -> Instance:
        """A new instance, not yet drawn."""
        ...

    def progress(self, trial: Trial) -> int:
        """How far the pattern got before it refused; at least 1."""
        ...


class RuleSubject:
    """A rule, and the pattern that it is compiled to."""

    def __init__(self, rule: Rule, pattern: Pattern) -> None:
        self.pattern = pattern
        self.key = f"{rule.name} {rule.columns}"
        self.line = rule.at.line
        self._rule = rule
        self._hints = Hints(rule)
        texts = [step.text for step in rule.steps if isinstance(step, Condition)]
        self._order = {text: index for index, text in enumerate(texts, start=2)}

    def instance(self, choices: Choices) -> Instance:
        """An instance of the rule's pattern."""
        return Instance(self._rule, self._hints, choices)

    def progress(self, trial: Trial) -> int:
        """Counts the conditions that held."""
        return self._order.get(trial.refusal, 1)


def attack_rule(rule: Rule, pattern: Pattern, *, instances: int = 20, seed: int = 0) -> Verdict:
    """Try to refute ``rule``, which is compiled to ``pattern``.

    The same seed gives the same instances, whatever other rules there are.
    """
    return attack(RuleSubject(rule, pattern), instances=instances, seed=seed)


def attack(subject: Subject, *, instances: int = 20, seed: int = 0) -> Verdict:
    """Try to refute a pattern by instances of it."""
    return _Search(subject, instances, seed).run()


class _Search:
    def __init__(self, subject: Subject, instances: int, seed: int) -> None:
        self._subject = subject
        self._seed = seed
        self._random = Random(f"{seed} {subject.key}")
        self._matched: list[Trace] = []
        self._best: list[Trace] = []
        self._furthest = 0
        pattern = subject.pattern
        self._verdict = Verdict(pattern.name, pattern.promise, pattern.where, instances, seed)

    def run(self) -> Verdict:
        verdict = self._verdict
        limit = ATTEMPTS + verdict.wanted * ATTEMPTS_PER_INSTANCE
        while verdict.instances < verdict.wanted and verdict.attempts < limit:
            verdict.attempts += 1
            choices = Choices(self._random, self._start())
            trial = self._attempt(choices)
            if trial is not None and trial.failed:
                verdict.refutation = refutation(
                    self._again, choices.trace, self._subject.pattern, trial
                )
                verdict.refutation.seed = self._seed
                break
        return verdict

    def _start(self) -> Trace:
        """What to replay of an earlier draw; nothing, now and then."""
        rare = self._verdict.instances < 0.2 * self._verdict.attempts
        if self._matched and self._random.random() < (0.7 if rare else 0.15):
            return varied(self._random.choice(self._matched), self._random)
        if self._best and self._random.random() < 0.7:
            return varied(self._random.choice(self._best), self._random)
        return {}

    def _attempt(self, choices: Choices) -> Trial | None:
        """Draw an instance and try it; None if it cannot be drawn."""
        instance = self._subject.instance(choices)
        try:
            module = instance.plan().build()
        except UnfitError as error:
            self._verdict.refusals[str(error)] += 1
            self._learn(choices.trace, instance.progress, str(error))
            return None
        trial = try_pattern(self._subject.pattern, module, self._seed)
        if trial.after is None and not trial.crash:
            self._verdict.refusals[trial.refusal] += 1
            progress = _BUILT + self._subject.progress(trial)
            self._learn(choices.trace, progress, trial.refusal)
            return trial
        if trial.compared:
            self._verdict.instances += 1
        self._matched.append(choices.trace)
        if len(self._matched) > KEPT:
            self._matched.pop(self._random.randrange(KEPT))
        return trial

    def _learn(self, trace: Trace, progress: int, refusal: str) -> None:
        if progress < self._furthest:
            return
        self._verdict.stuck = refusal
        if progress > self._furthest:
            self._furthest = progress
            self._best.clear()
        self._best.append(trace)
        if len(self._best) > KEPT:
            self._best.pop(self._random.randrange(KEPT))

    def _again(self, trace: Trace) -> tuple[Trace, Trial] | None:
        """The trial of a trace, with the decisions that were made; None if nothing matches."""
        choices = Choices(None, trace)
        try:
            module = self._subject.instance(choices).plan().build()
        except UnfitError:
            return None
        return choices.trace, try_pattern(self._subject.pattern, module, self._seed)
