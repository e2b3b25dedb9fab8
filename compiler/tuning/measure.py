"""Building and timing candidates within a time, with what was measured before remembered."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from burnish.backends.c.host import compiler_version, find_compiler, processor
from burnish.backends.c.isa import isa_of
from burnish.backends.c.timer import TimerJob, TimerProgram, build_timer, run_timer
from burnish.backends.cache import cache_folder, keep_text
from burnish.backends.target import Target

from .candidates import Candidate, Question, candidate

BUILD_SHARE = 0.7
"""Of the time; the rest is for timing, which wants the machine for itself."""

RUN_SECONDS = 0.05
"""For each candidate."""

Notify = Callable[[str, float], None]


@dataclass
class Measurements:
    """Cycles by key of an op and number of the way to compute it.

    Attributes:
        target: what is compiled for: this machine.
        seconds: how long building and timing may take together.
        executor: where programs are built; None: in threads of this process.
        notify: told how much is done.
        cycles: what was found.
    """

    target: Target
    seconds: float
    executor: Executor | None
    notify: Notify
    cycles: dict[tuple[str, int], float] = field(default_factory=dict)

    def measure(self, asked: Sequence[Question]) -> None:
        """Answer as many questions as there is time for, in their order."""
        end = time.monotonic() + self.seconds
        build_end = time.monotonic() + BUILD_SHARE * self.seconds
        programs: dict[str, TimerProgram] = {}
        candidates: dict[tuple[str, int], Candidate] = {}
        with _builders(self.executor) as executor:
            futures: dict[Future[TimerProgram], str] = {}
            for question in asked:
                if time.monotonic() > build_end:
                    break
                for number, offer in question.offers.items():
                    made = candidate(question.op, offer, self.target)
                    if made is None:
                        continue
                    candidates[question.key, number] = made
                    key = _cache_key(made.job)
                    known = _remembered(key)
                    if known is not None:
                        self.cycles[question.key, number] = sum(known[s] for s in made.steps)
                    elif key not in futures.values():
                        futures[executor.submit(build_timer, made.job)] = key
            self._collect(futures, programs, build_end)
        self._time(asked, candidates, programs, end)

    def _collect(
        self, futures: dict[Future[TimerProgram], str], programs: dict[str, TimerProgram],
        end: float,
    ) -> None:  # fmt: skip
        """Wait for programs; those not built in time are given up."""
        try:
            for future in as_completed(futures, timeout=max(0.0, end - time.monotonic())):
                programs[futures[future]] = future.result()
                self.notify(f"tune: built {len(programs)} of {len(futures)} kernels", 0.3)
        except FutureTimeoutError:
            pass
        finally:
            for future in futures:
                future.cancel()

    def _time(
        self,
        asked: Sequence[Question],
        candidates: dict[tuple[str, int], Candidate],
        programs: dict[str, TimerProgram],
        end: float,
    ) -> None:
        """Time what was built, all ways of an op one after another."""
        isa = isa_of(self.target)
        for done, question in enumerate(asked):
            for number in question.offers:
                made = candidates.get((question.key, number))
                key = "" if made is None else _cache_key(made.job)
                program = programs.get(key)
                if made is None or program is None or time.monotonic() > end:
                    continue
                steps = run_timer(program, isa, RUN_SECONDS)
                _remember(key, steps)
                self.cycles[question.key, number] = sum(steps[s] for s in made.steps)
            self.notify(f"tune: timed {done + 1} of {len(asked)} ops", 0.35)


@contextmanager
def _builders(given: Executor | None) -> Iterator[Executor]:
    """The executor that is given, or threads that are done before anything is timed."""
    if given is not None:
        yield given
        return
    own = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        yield own
    finally:
        own.shutdown(wait=True, cancel_futures=True)


def _cache_key(job: TimerJob) -> str:
    """Of the kernel and the machine: sources, flags, compiler and processor."""
    compiler = find_compiler(job.target)
    digest = hashlib.sha256()
    for part in (*compiler, compiler_version(tuple(compiler)), processor(), *job.target.flags):
        digest.update(part.encode() + b"\0")
    for part in job.flags:
        digest.update(part.encode() + b"\0")
    for name, content in sorted(job.files.items()):
        data = content if isinstance(content, bytes) else content.encode()
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:32]


def _place(key: str) -> Path:
    return cache_folder() / "times" / f"{key}.json"


def _remembered(key: str) -> list[float] | None:
    """Cycles of each step from an earlier run; None where there are none, or they are broken."""
    try:
        found = json.loads(_place(key).read_text("utf-8"))
        return [float(step) for step in found["cycles"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(key: str, cycles: Sequence[float]) -> None:
    """Keep cycles for later runs.

    Raises:
        ToolchainError: the cache folder cannot be written.
    """
    keep_text(_place(key), json.dumps({"cycles": list(cycles)}))
