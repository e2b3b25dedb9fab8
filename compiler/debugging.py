"""Failures of passes and of compiled code, kept as files, replayed and made small."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.ir import Error, Module
from burnish.ir.errors import ParseError, UsageError, clip
from burnish.passes import Pass, run_pipeline
from burnish.passes.trust import (
    BUDGET,
    CRASH,
    Draw,
    Execution,
    Failure,
    Finder,
    KeepReproducer,
    PassFailure,
    Reproducer,
    draws,
    draws_for,
    find_failure,
    is_reproducer,
    parse_reproducer,
    shrink,
)

from .driver import compile
from .outputs import OutputError, write_file
from .progress import ProgressCallback, silent
from .verification import verify_outputs

FOLDER = "BURNISH_REPRODUCERS"
"""Environment variable: the folder for reproducers, by default the system's temporary one."""

TARGET_BUDGET = 400
"""Modules to try when each must be compiled and run."""


def keeper(folder: str | None = None, *, seed: int = 0, load: Sequence[str] = ()) -> KeepReproducer:
    """The instrument that writes reproducers to ``folder``."""
    import burnish

    def keep(reproducer: Reproducer) -> str:
        return str(write_reproducer(reproducer, folder))

    return KeepReproducer(keep, seed=seed, load=load, version=burnish.__version__)


def write_reproducer(reproducer: Reproducer, folder: str | None = None) -> Path:
    """Write a reproducer as a whole, under a name that depends on its text alone.

    Where ``folder`` cannot be written to, the system's temporary folder is taken.
    """
    data = str(reproducer).encode()
    temporary = Path(tempfile.gettempdir())
    chosen = Path(folder or os.environ.get(FOLDER) or temporary)
    for place in (chosen, temporary):
        path = place / reproducer.name
        try:
            place.mkdir(parents=True, exist_ok=True)
            write_file(path, data)
        except (OSError, OutputError):
            if place == temporary:
                raise
        else:
            return path
    raise AssertionError("the loop returns or raises")


def read_reproducer(path: str) -> Reproducer:
    """The reproducer in a file.

    Raises:
        UsageError: the file cannot be read.
        ParseError: it holds no reproducer, or a damaged one.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", at=clip(path)) from None
    except UnicodeDecodeError:
        raise ParseError("the file is no text", at=clip(path)) from None
    try:
        return parse_reproducer(text)
    except Error as error:
        raise error.located(clip(path)) from None


def holds_reproducer(path: str) -> bool:
    """Whether a file begins with the header of a reproducer."""
    try:
        with Path(path).open("rb") as file:
            return is_reproducer(file.read(200).decode("utf-8", "replace"))
    except OSError:
        return False


@dataclass(frozen=True)
class TargetFailure:
    """Finds outputs of compiled code that are not what the interpreter gives."""

    target: str
    seed: int = 0

    def __call__(self, module: Module, passes: Sequence[Pass]) -> Failure | None:
        """Compile after ``passes``, run, and compare with the module before them."""
        chosen = list(draws(module, self.seed, 3, ("normal", "whole", "zero")))
        name = f"target {self.target}"
        try:
            optimized = module.copy()
            run_pipeline(optimized, passes)
            compiled = compile(optimized, self.target, passes=[])
        except Exception as error:  # whatever it is, it is what is looked for
            return Failure(CRASH, name, f"{type(error).__name__}: {clip(str(error))}")
        execution = Execution(module, chosen)
        for index, draw in enumerate(chosen):
            expected = execution.results(index)
            if expected is None:
                continue
            wrong = verify_outputs(compiled.run(dict(draw.inputs)), expected)
            if wrong:
                return Failure("target", name, f"{wrong}, for {draw.what}", draw=draw)
        return None


def finder_for(reproducer: Reproducer) -> Finder:
    """What looks for the failure of a reproducer."""
    if reproducer.target:
        return TargetFailure(reproducer.target, reproducer.seed)
    return PassFailure(reproducer.failure, reproducer.seed)


def replay(reproducer: Reproducer) -> Failure | None:
    """Do again what a reproducer says: the failure, or None when there is none any more."""
    passes = reproducer.pipeline()
    if reproducer.target:
        return finder_for(reproducer)(reproducer.module, passes)
    chosen: list[Draw] = []
    if reproducer.failure.draw is not None:
        chosen = [reproducer.failure.draw, *draws_for(reproducer.module, reproducer.seed)]
    found = find_failure(reproducer.module, passes, chosen)
    return None if found is None else found[1]


def find(
    module: Module,
    passes: Sequence[Pass],
    *,
    target: str = "",
    seed: int = 0,
    load: Sequence[str] = (),
) -> Reproducer | None:
    """A reproducer of the first thing that goes wrong with a module; None if nothing does."""
    import burnish
    from burnish.passes import pipeline_text

    if target:
        failure = TargetFailure(target, seed)(module, passes)
        start, text = module, pipeline_text(passes)
    else:
        found = find_failure(module, passes, draws_for(module, seed))
        failure = None if found is None else found[1]
        start, text = (module, "") if found is None else (found[0], found[1].pass_)
    if failure is None:
        return None
    return Reproducer(start, text, failure, seed, tuple(load), target, burnish.__version__)


def reduced(reproducer: Reproducer, progress: ProgressCallback = silent) -> Reproducer:
    """A small reproducer of the same failure.

    Raises:
        UsageError: the failure does not show.
    """
    budget = TARGET_BUDGET if reproducer.target else BUDGET
    try:
        return shrink(reproducer, finder_for(reproducer), budget=budget, progress=progress)
    except ValueError:
        raise UsageError(
            "there is nothing to reduce: the failure does not show",
            help="`burnish opt --replay` says what happens instead",
        ) from None
