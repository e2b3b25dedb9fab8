"""Batches of random graphs; failures are made small and written down."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np

from burnish.ir import Array, Module, to_text
from burnish.passes import passes
from burnish.passes.promises import LOSSY

from .checks import Settings, Subject, Tally, check, guarded
from .maker import Draft, Profile, random_module
from .onnx_subjects import onnx_failure, onnx_subject
from .onnx_worker import Worker
from .shrink import shrink

BATCH = 24
COMMAND = "python tests/fuzz/run.py --replay"


@dataclass
class Failure:
    """A graph on which two of burnish's ways disagree."""

    seed: str
    verdict: str
    text: str
    small: str = ""

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.verdict}\n"
            f"replay: {COMMAND} {self.seed}\n\n{self.small or self.text}"
        )


@dataclass
class Campaign:
    """What to run: graphs of seeds ``{seed}-{number}``."""

    seed: int
    folder: Path | None = None
    shrinking: bool = True
    say: Callable[[str], None] = print
    tally: Tally = field(default_factory=Tally)
    failures: list[Failure] = field(default_factory=list)
    worker: Worker = field(default_factory=Worker)

    def run(self, graphs: float = math.inf, minutes: float = math.inf) -> None:
        """Whole batches until there are so many graphs, or the time is over.

        Tests count graphs: which ones they see must not depend on how fast a machine is.
        """
        start = time.monotonic()
        number = 0
        while number * BATCH < graphs and (spent := time.monotonic() - start) < minutes * 60:
            self.batch(number)
            number += 1
            if number % 10 == 0:
                self.say(self.summary(spent))
        self.say(self.summary(time.monotonic() - start))

    def batch(self, number: int, settings: Settings | None = None) -> None:
        """Check the graphs of one batch; odd ones are of ONNX graphs."""
        settings = settings or settings_of(Random(f"{self.seed}-{number}"))
        subjects = []
        kind = "onnx-" if number % 2 else ""
        for i in range(BATCH):
            made = self._subject(f"{kind}{self.seed}-{number * BATCH + i}")
            if made is not None:
                subjects.append(made)
        check(subjects, settings, self.tally)
        self.tally["graphs"] += len(subjects)
        self.tally["of ONNX"] += len(subjects) * bool(kind)
        if settings.sanitize:
            self.tally["graphs under sanitizers"] += len(subjects)
        for subject in subjects:
            if subject.verdict:
                self._failed(subject, settings)

    def _subject(self, seed: str) -> Subject | None:
        found: list[Subject | None] = []
        if verdict := guarded(lambda: found.append(subject_of(seed, self.worker, self.tally))):
            self.failures.append(Failure(seed, f"making the graph {verdict}", ""))
            self._write(self.failures[-1])
            return None
        return found[0]

    def _failed(self, subject: Subject, settings: Settings) -> None:
        seed = subject.key[1:].replace("_", "-")
        seed = f"onnx-{seed}" if subject.key[0] == "o" else seed
        options = ["sanitize" if settings.sanitize else "", settings.optimize, settings.passes]
        how = ":".join([seed, *filter(None, options)])
        failure = Failure(how, subject.verdict, to_text(subject.module))
        if self.shrinking:
            try:
                failure.small = made_small(seed, subject, settings, self.worker)
            except Exception as error:  # the failure itself matters more
                failure.small = f"(shrinking raised {error!r})\n{failure.text}"
        self.failures.append(failure)
        self._write(failure)

    def _write(self, failure: Failure) -> None:
        self.say(f"\n{failure}\n")
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = failure.seed.replace(":", "_")
            (self.folder / f"{name}.txt").write_text(str(failure), "utf-8")

    def summary(self, seconds: float) -> str:
        graphs = self.tally["graphs"]
        counts = ", ".join(f"{n} {k}" for k, n in self.tally.items() if not k.startswith("refusal"))
        each = 60 * graphs / max(seconds, 1e-9)
        return (
            f"{seconds / 60:.1f} minutes, {each:.0f} graphs a minute, {counts}, "
            f"{len(self.failures)} failures"
        )


NEEDY = {"rules": "it needs a file", "layout": "it needs a target, and makes other C"}
"""Passes that are not run before the standard pipeline, and why."""

PASSES = sorted(
    name for name, cls in passes().items() if name not in NEEDY and cls.promise != LOSSY
)


def settings_of(random: Random) -> Settings:
    """How a batch is compiled: as models are, or faster, or under sanitizers."""
    thorough = random.random() < 0.3
    chosen = ",".join(random.sample(PASSES, 3)) if random.random() < 0.3 else ""
    if random.random() < 0.12:
        return Settings(sanitize=True, thorough=thorough, passes=chosen)
    optimize = random.choice(["", "", "-O1", "-O0", "-O0", "-O0"])
    return Settings(optimize=optimize, thorough=thorough, passes=chosen)


def profile_of(random: Random) -> Profile:
    """Small graphs of all ops, or of a few, which then meet more often."""
    ops = random.choice([1, 3, 6, 10, 16])
    profile = Profile(ops=ops, special=random.random() < 0.6)
    if random.random() < 0.4:
        names = sorted(set(profile.names))
        chosen = frozenset(random.sample(names, min(len(names), 8)))
        return Profile(ops=ops, special=profile.special, only=chosen)
    return profile


def subject_of(seed: str, worker: Worker, tally: Tally | None = None) -> Subject | None:
    """The graph of a seed; None where there is nothing to compare."""
    if seed.startswith("onnx-"):
        return onnx_subject(seed, worker, Tally() if tally is None else tally)
    random = Random(seed)
    draft: Draft = random_module(random, profile_of(random))
    return Subject(f"g{seed.replace('-', '_')}", draft.module, [draft.inputs, *draft.others])


def replay(text: str) -> Failure | None:
    """Check the graph of a seed as printed: ``12-34`` or ``12-34:sanitize:cse,dce``."""
    seed, *how = text.split(":")
    optimize = next((h for h in how if h.startswith("-O")), "")
    chosen = next((h for h in how if h not in ("sanitize", optimize)), "")
    settings = Settings("sanitize" in how, optimize, passes=chosen)
    worker = Worker()
    subject = subject_of(seed, worker)
    if subject is None:
        return None
    check([subject], settings)
    if not subject.verdict:
        return None
    small = made_small(seed, subject, settings, worker)
    return Failure(text, subject.verdict, to_text(subject.module), small)


def made_small(seed: str, subject: Subject, settings: Settings, worker: Worker) -> str:
    """The text of a small graph that fails as ``subject`` does, with its inputs."""
    if subject.foreign is not None and (alone := onnx_failure(seed, worker)):
        return alone
    module, inputs, verdict = shrink(subject.module, subject.inputs, settings, subject.verdict)
    return f"shrunk: {verdict}\n{shown(module, inputs)}"


def shown(module: Module, inputs: dict[str, Array]) -> str:
    """A module and its inputs as text."""
    lines = [to_text(module)]
    with np.printoptions(threshold=64, floatmode="unique"):
        lines += [f"{name} = {array!r}" for name, array in inputs.items()]
    return "\n".join(lines)
