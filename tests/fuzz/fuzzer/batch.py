"""Many modules compiled by one call of the C compiler, and run in a process of its own.

The C compiler takes most of the time, and most of that is spent starting it and reading headers:
everything external carries the model's name, so the files of all models go into one translation
unit.  The models run in a forked process, so that one that crashes or hangs is a result too.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from burnish.backends import find_target
from burnish.backends.c import compile_module
from burnish.backends.c.driver import driver_text
from burnish.backends.c.host import SANITIZERS, SHARED, CRunner, SanitizedRunner, compile_files
from burnish.ir import Array, Error, Module
from burnish.ir.errors import ToolchainError, UnsupportedError

PATIENCE = 60
"""Seconds that one model may run."""

Outcome = "dict[str, Array] | Error"


@dataclass
class Job:
    """A module to compile, and inputs to run it on; ``key`` becomes the model's name."""

    key: str
    module: Module
    inputs: Sequence[Mapping[str, Array]]


@dataclass
class Answer:
    """What became of a job: a refusal, or one outcome per inputs."""

    refusal: Error | None
    outcomes: list[dict[str, Array] | Error]


class CrashError(Error):
    """The compiled model ended the process, or never ended."""


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder in which builds are kept for the time of a batch."""
    old = os.environ.get("BURNISH_CACHE")
    folder = tempfile.mkdtemp(prefix="burnish-fuzz-")
    os.environ["BURNISH_CACHE"] = folder
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if old is None:
            del os.environ["BURNISH_CACHE"]
        else:
            os.environ["BURNISH_CACHE"] = old


def run_batch(
    jobs: Sequence[Job], *, sanitize: bool = False, optimize: str = ""
) -> dict[str, Answer]:
    """Compile and run all jobs; answers by key.

    ``optimize`` (such as ``-O1``) replaces the target's own level.

    Raises:
        ToolchainError: the C compiler refuses what was emitted.
    """
    answers: dict[str, Answer] = {}
    manifests: dict[str, Mapping[str, Any]] = {}
    files: dict[str, str | bytes] = {}
    for job in jobs:
        try:
            artifact = compile_module(job.module.copy(), "c", {"weights": "array"}, name=job.key)
        except UnsupportedError as error:
            answers[job.key] = Answer(error, [])
            continue
        manifests[job.key] = artifact.manifest
        files.update(artifact.files)
    if not manifests:
        return answers
    target = find_target("c")
    if optimize:
        flags = tuple(flag for flag in target.flags if not flag.startswith("-O"))
        target = replace(target, flags=(*flags, optimize))
    with scratch() as folder:
        runners: dict[str, CRunner | SanitizedRunner]
        if sanitize:
            runners = _sanitized(manifests, files, target, folder)
        else:
            library = compile_files(_unit(files), target, "fuzz.so", SHARED)
            runners = {key: CRunner(library, manifests[key], None) for key in manifests}
        for job in jobs:
            if job.key in runners:
                answers[job.key] = Answer(None, [])
        _run(jobs, runners, answers)
    return answers


def _unit(files: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    """The files, their sources as two translation units: code, and weights.

    Weights are apart as they are in a model's own build: GCC 12.2 miscompiles sums with arrays of
    constants of both signs when it sees the numbers (x - c and x + c in one vector).
    """
    sources = [name for name in files if name.endswith(".c")]
    unit: dict[str, str | bytes] = {
        name if name not in sources else f"{name}.inc": content for name, content in files.items()
    }
    for target, wanted in (("fuzz.c", False), ("fuzz_weights.c", True)):
        chosen = [name for name in sources if name.endswith("_weights.c") is wanted]
        unit[target] = "".join(f'#include "{name}.inc"\n' for name in chosen) or "int fuzz_none;\n"
    return unit


def _sanitized(
    manifests: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, str | bytes],
    target: Any,
    folder: Path,
) -> dict[str, CRunner | SanitizedRunner]:
    """One program of all models, which runs the one it is called by the name of."""
    unit = _unit(files)
    names = list(manifests)
    for key in names:
        unit[f"{key}_driver.c"] = f"#define main main_{key}\n{driver_text(manifests[key])}"
    declared = "".join(f"int main_{key}(int argc, char **argv);\n" for key in names)
    cases = "".join(
        f'    if (strcmp(name, "{key}") == 0) {{\n        return main_{key}(argc, argv);\n    }}\n'
        for key in names
    )
    unit["main.c"] = (
        "#include <string.h>\n" + declared + "int main(int argc, char **argv)\n{\n"
        "    const char *slash = strrchr(argv[0], '/');\n"
        "    const char *name = slash ? slash + 1 : argv[0];\n" + cases + "    return 99;\n}\n"
    )
    program = compile_files(unit, target, "driver", SANITIZERS["memory"])
    runners: dict[str, CRunner | SanitizedRunner] = {}
    for key in names:
        link = folder / key
        link.symlink_to(program)
        runners[key] = SanitizedRunner(link, manifests[key], None)
    return runners


def _run(
    jobs: Sequence[Job],
    runners: Mapping[str, CRunner | SanitizedRunner],
    answers: dict[str, Answer],
) -> None:
    """Run every job on every inputs, in a child that is replaced when it dies."""
    todo = [(job.key, inputs) for job in jobs if job.key in runners for inputs in job.inputs]
    context = multiprocessing.get_context("fork")
    while todo:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_serve, args=(todo, runners, sender), daemon=True)
        child.start()
        sender.close()
        done = 0
        try:
            while done < len(todo):
                if not receiver.poll(PATIENCE):
                    break
                answers[todo[done][0]].outcomes.append(receiver.recv())
                done += 1
        except EOFError:
            pass
        if done < len(todo):
            code = child.exitcode if not child.is_alive() else None
            child.kill()
            child.join()
            why = (
                f"ran longer than {PATIENCE} s"
                if code is None and receiver.poll(0) is False
                else "crashed"
            )
            answers[todo[done][0]].outcomes.append(CrashError(f"the compiled model {why}"))
            done += 1
        child.join()
        todo = todo[done:]


def _serve(
    todo: Sequence[tuple[str, Mapping[str, Array]]],
    runners: Mapping[str, CRunner | SanitizedRunner],
    sender: Connection,
) -> None:
    for key, inputs in todo:
        outcome: dict[str, Array] | Error
        try:
            outcome = runners[key].run(inputs)
        except Error as error:
            kind = type(error) if isinstance(error, ToolchainError) else Error
            outcome = kind(error.message)
        sender.send(outcome)
    sender.close()
