"""What a module must satisfy: the interpreter, compiled C, and passes agree on it.

A *verdict* is the text of what is wrong, or empty.  The expected outcome of a run is the
interpreter's: results, or that it refuses the inputs (then compiled code must refuse them too).
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from burnish.ir import Array, Error, Module, Op, interpret, parse, to_text, verify
from burnish.ir.dims import Dim
from burnish.ir.errors import InternalError, ToolchainError
from burnish.ir.interpreter import Around, Evaluation, bind_inputs
from burnish.passes import run_pipeline, standard_pipeline

from .agreement import differences
from .batch import Answer, CrashError, Job, run_batch

Inputs = Mapping[str, Array]
Outcome = dict[str, Array] | Error


@dataclass
class Subject:
    """A module under test: ``plain`` as it was made, ``optimized`` by the standard pipeline."""

    key: str
    module: Module
    inputs: Sequence[Inputs]
    optimized: Module | None = None
    expected: list[Outcome] = field(default_factory=list)
    foreign: Mapping[str, Array] | None = None
    """What onnxruntime makes of the first inputs."""
    verdict: str = ""


@dataclass
class Settings:
    """How modules are compiled and run."""

    sanitize: bool = False
    optimize: str = ""
    thorough: bool = True
    """Also print and parse the module, verify after each pass, and interpret what passes made."""
    passes: str = ""
    """Passes to run before the standard pipeline."""


DEFAULT = Settings()


def interpreted(module: Module, inputs: Inputs, around: Around | None = None) -> Outcome:
    """What the interpreter says; anything but a result or a clear error is raised."""
    try:
        with np.errstate(all="ignore"):
            return interpret(module, inputs, around=around)
    except InternalError:
        raise
    except Error as error:
        return error


def prepare(subject: Subject, settings: Settings = DEFAULT) -> None:
    """Everything that needs no C: verify, print and parse, interpret, optimize, interpret."""
    module = subject.module
    verify(module)
    if settings.thorough and parse(to_text(module, embed=True)) != module:
        raise AssertionError("the text form does not round-trip")
    subject.expected = [interpreted(module, inputs) for inputs in subject.inputs]
    if subject.foreign is not None:
        subject.verdict = _foreign(subject)
        if subject.verdict:
            return
    optimized = module.copy()
    pipeline = ",".join(filter(None, [settings.passes, standard_pipeline("c")]))
    try:
        run_pipeline(optimized, pipeline, verify="each" if settings.thorough else "off")
    except InternalError:
        raise
    except Error:
        if all(isinstance(outcome, Error) for outcome in subject.expected):
            return  # that no run can succeed is seen at compile time
        raise
    subject.optimized = optimized
    if not settings.thorough:
        return  # compiled, it is compared all the same
    for inputs, expected in zip(subject.inputs, subject.expected):
        actual = interpreted(optimized, inputs)
        subject.verdict = disagreement(module, inputs, expected, actual, reassociated=True)
        if subject.verdict:
            subject.verdict = f"the optimized module: {subject.verdict}"
            return


FOREIGN = 16
"""How much wider tolerances are for onnxruntime: its kernels approximate functions by their own
polynomials, some of which are within 1e-6 of results near 1 and no nearer elsewhere (as its Selu,
which is exp(x) - 1 for the smallest x).  So far any result may differ."""

FOREIGN_CONSTANT = 256
"""The same for results that the importer computes from constants: nothing is disturbed there that
would show how far the rounding errors of a chain grow, in sinh(27 x), say, 27 times."""


def _foreign(subject: Subject) -> str:
    """Why onnxruntime's results are not the interpreter's; empty when they are."""
    expected, actual = subject.expected[0], subject.foreign
    assert actual is not None
    if isinstance(expected, Error):
        return f"onnxruntime gives results, the interpreter refuses: {expected.message}"
    inputs, main = subject.inputs[0], subject.module.main
    results = dict(zip(main.result_names, main.results))
    constants = {n for n, r in results.items() if r.op and r.op.name == "core.constant"}
    found = []
    for floor, names in ((FOREIGN, expected.keys() - constants), (FOREIGN_CONSTANT, constants)):
        part = {name: array for name, array in expected.items() if name in names}
        found += differences(
            subject.module, inputs, part, actual, reassociated=True, safety=FOREIGN, floor=floor
        )
    return "".join(f"onnxruntime has {d.name}: {d.text}; " for d in found)


def disagreement(
    module: Module, inputs: Inputs, expected: Outcome, actual: Outcome, *, reassociated: bool
) -> str:
    """Why these outcomes of one run are not the same; empty when they are."""
    if isinstance(actual, CrashError | ToolchainError):
        return str(actual)
    if isinstance(expected, Error) and isinstance(actual, Error):
        return ""
    if isinstance(expected, Error):
        if _needless(module, inputs):
            return ""
        return f"gives results, but the interpreter refuses: {expected.message}"
    if isinstance(actual, Error):
        return f"refuses ({actual.message}), but the interpreter gives results"
    found = differences(module, inputs, expected, actual, reassociated=reassociated)
    return "; ".join(f"{d.name}: {d.text}" for d in found)


def _needless(module: Module, inputs: Inputs) -> bool:
    """Whether no result depends on what the ops would give that refuse their operands: who computes
    less (dead code, ``x < x``, data that no element of a result is taken from) need not notice
    what is wrong with them.  Results that do not exist are filled with one number, then another."""
    try:
        _, binding = bind_inputs(module.main, inputs, module.symbols)
    except Error:
        return False
    results = []
    for fill in FILLS:
        sizes = {name: min(low + fill, high) for name, (low, high) in module.symbols.items()}
        outcome = interpreted(module, inputs, partial(_filled, fill, {**sizes, **binding}))
        if isinstance(outcome, Error):
            return False
        results.append([(array.shape, array.tobytes()) for array in outcome.values()])
    return all(other == results[0] for other in results)


FILLS = (0, 1, 3)
"""For elements, of whatever dtype (bool has two of them), and for how far sizes that are not known
are above the least."""


def _filled(
    fill: int,
    sizes: Mapping[str, Dim],
    op: Op,
    operands: Sequence[Array | None],
    evaluate: Evaluation,
) -> list[Array]:
    """The results of ``op``, or where it refuses its operands as many elements of ``fill``."""
    try:
        return evaluate(operands)
    except InternalError:
        raise
    except Error:
        types = [r.type.substitute(sizes) for r in op.results]
        return [np.full(t.shape, fill).astype(t.dtype.numpy) for t in types]


def guarded(action: Callable[[], str | None]) -> str:
    """The verdict of ``action``; what it raises is one."""
    try:
        return action() or ""
    except Exception as error:  # any exception is a finding
        lines = traceback.format_exc().strip().splitlines()
        kind = type(error).__name__
        if isinstance(error, ToolchainError):
            return f"{kind}: {error}"
        return f"raised {kind}: {str(error).splitlines()[0] if str(error) else ''}\n" + "\n".join(
            lines[-7:]
        )


class Tally(Counter[str]):
    """Counts what happened."""


def check(subjects: Sequence[Subject], settings: Settings, tally: Tally | None = None) -> None:
    """Give each subject its verdict."""
    tally = Tally() if tally is None else tally
    jobs: list[Job] = []
    good: list[Subject] = []
    for subject in subjects:
        verdict = guarded(partial(prepare, subject, settings))
        subject.verdict = subject.verdict or verdict
        tally["runs"] += len(subject.inputs)
        tally["refused inputs"] += sum(isinstance(e, Error) for e in subject.expected)
        if subject.verdict or subject.optimized is None:
            continue
        good.append(subject)
        for variant, module in (("p", subject.module), ("o", subject.optimized)):
            jobs.append(Job(f"{subject.key}{variant}", module, subject.inputs))
    answers = _answers(jobs, settings)
    for subject in good:
        for variant, what in (("p", "C"), ("o", "C of the optimized module")):
            answer = answers[f"{subject.key}{variant}"]
            if isinstance(answer, str):
                verdict = answer
            else:
                tally["C refused" if answer.refusal else "C ran"] += 1
                if answer.refusal is not None:
                    tally[f"refusal: {_reason(answer.refusal)}"] += 1
                verdict = guarded(partial(_judge, subject, answer, variant == "o"))
            if verdict:
                subject.verdict = f"{what}: {verdict}"
                break


def _reason(error: Error) -> str:
    return " ".join(error.message.split())[:160]


def _judge(subject: Subject, answer: Answer, optimized: bool) -> str:
    for inputs, expected, actual in zip(subject.inputs, subject.expected, answer.outcomes):
        verdict = disagreement(subject.module, inputs, expected, actual, reassociated=optimized)
        if verdict:
            return verdict
    return ""


def _answers(jobs: Sequence[Job], settings: Settings) -> dict[str, Answer | str]:
    """The answers of a batch; where it fails as a whole, each job's alone."""

    def run(some: Sequence[Job]) -> dict[str, Answer]:
        return run_batch(some, sanitize=settings.sanitize, optimize=settings.optimize)

    try:
        return dict(run(jobs))
    except Exception:
        if len(jobs) == 1:
            return {jobs[0].key: guarded(lambda: str(run(jobs)))}
        half = len(jobs) // 2
        return {**_answers(jobs[:half], settings), **_answers(jobs[half:], settings)}
