"""The test suite that ships in the onnx package, run on burnish.

Every case of ``onnx.backend.test`` is prepared and run by one engine of :mod:`.onnx_backend` and
compared as the suite itself compares.  A case *passes*, or is *refused* because burnish says by
name what it cannot do; a result that differs is a *mismatch* and everything else, a crash of
emitted code included, an *error*.  The last two are bugs.

Many cases hand over as inputs what exported models know, like the shape of Reshape.
:func:`with_known_operands` gives these cases once more, as an exporter would write them.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import onnx.numpy_helper

from burnish.ir.errors import DimensionError, Error, TargetError, UnsupportedError, clip

from .frontend.onnx.importer import UnsupportedModelError
from .onnx_backend import BurnishBackend
from .operators import full_name, profile
from .shaping import shaping_inputs, with_initializers

PASSED, REFUSED, MISMATCH, ERROR = "passed", "refused", "mismatch", "error"

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
REFUSALS = (UnsupportedError, DimensionError, TargetError)
TIME_LIMIT = 300
"""Seconds that one case may take."""

DataSet = tuple[Sequence[Any], Sequence[Any]]
"""Inputs and expected outputs, in the model's order."""


@dataclass(frozen=True)
class Case:
    """A model of the suite, and how near its results must come."""

    name: str
    kind: str
    rtol: float
    atol: float
    load: Callable[[], tuple[onnx.ModelProto, Sequence[DataSet]]]


@dataclass(frozen=True)
class Outcome:
    """What became of a case, and why: pairs of an operator (or "") and one line of text."""

    case: str
    status: str
    findings: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        """All findings on one line, empty for a case that passed."""
        return "; ".join(
            f"{operator}: {why}" if operator else why for operator, why in self.findings
        )


@lru_cache(maxsize=1)
def load_suite() -> tuple[Case, ...]:
    """All cases that the installed onnx package holds, by name."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes its own infinities
        found = [case for kind in KINDS for case in load_model_tests(kind=kind)]
    cases = [
        Case(case.name, case.kind, case.rtol, case.atol, partial(_load, case)) for case in found
    ]
    return tuple(sorted(cases, key=lambda case: case.name))


def with_known_operands(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Those of ``cases`` that take operands which fix shapes as inputs, with initializers instead.

    Such a case keeps its name, and of its data what holds for the values of the first set.
    """
    return tuple(
        replace(case, load=partial(_load_known, case))
        for case in cases
        if shaping_inputs(case.load()[0])
    )


def _load_known(case: Case) -> tuple[onnx.ModelProto, Sequence[DataSet]]:
    model, data_sets = case.load()
    initialized = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in initialized]
    fixed = set(shaping_inputs(model))
    known = {name: value for name, value in zip(names, data_sets[0][0]) if name in fixed}
    kept = [
        ([x for name, x in given.items() if name not in known], outputs)
        for given, outputs in ((dict(zip(names, inputs)), outputs) for inputs, outputs in data_sets)
        if all(np.array_equal(given[name], value) for name, value in known.items())
    ]
    return with_initializers(model, known), kept


def _load(case: Any) -> tuple[onnx.ModelProto, Sequence[DataSet]]:
    """The model and the data of one of onnx's test cases."""
    if case.model is not None:
        return case.model, [(_arrays(xs), _arrays(ys)) for xs, ys in case.data_sets]
    if case.model_dir is None:
        return _load_light(case.url)
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    return model, [_read_data(model, data) for data in sorted(folder.glob("test_data_set*"))]


def _load_light(url: str) -> tuple[onnx.ModelProto, Sequence[DataSet]]:
    """A model without trained weights: its input counts from 0 towards 1."""
    # The address names a file of the package: onnx/backend/test/data/light/….onnx
    path = Path(onnx.__file__).parent.joinpath(*url.split("/")[1:])
    model = onnx.load(path)
    initialized = {tensor.name for tensor in model.graph.initializer}
    inputs = []
    for value in model.graph.input:
        if value.name not in initialized:
            shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            inputs.append((np.arange(count).reshape(shape) / count).astype(np.float32))
    outputs = [
        _tensor(path.with_name(f"{path.stem}_output_{i}.pb"))
        for i in range(len(model.graph.output))
    ]
    return model, [(inputs, outputs)]


def _read_data(model: onnx.ModelProto, folder: Path) -> DataSet:
    sides = (("input", model.graph.input), ("output", model.graph.output))
    inputs, outputs = (
        [
            _value(folder / f"{side}_{i}.pb", values[i].type)
            for i in range(len(list(folder.glob(f"{side}_*.pb"))))
        ]
        for side, values in sides
    )
    return inputs, outputs


def _value(path: Path, declared: onnx.TypeProto) -> Any:
    if declared.HasField("sequence_type"):
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(path.read_bytes()))
    if declared.HasField("optional_type"):
        return onnx.numpy_helper.to_optional(onnx.OptionalProto.FromString(path.read_bytes()))
    return _tensor(path)


def _tensor(path: Path) -> Any:
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def _arrays(values: Sequence[Any]) -> Sequence[Any]:
    return [onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in values]


def run_case(case: Case, engine: str = "c") -> Outcome:
    """Prepare the case with ``engine``, run it on all its data, and compare."""
    try:
        model, data_sets = case.load()
        rep = BurnishBackend.prepare(model, engine=engine)
        results = [(expected, rep.run(inputs)) for inputs, expected in data_sets]
    except Exception as error:  # the suite goes on, whatever a case does
        return failed(case, error)
    try:
        for expected, actual in results:
            assert_alike(case, model, expected, actual)
    except AssertionError as error:
        return failed(case, error)
    return Outcome(case.name, PASSED)


def assert_alike(
    case: Case, model: onnx.ModelProto, expected: Sequence[Any], actual: Sequence[Any]
) -> None:
    """Compare outputs as the suite does.

    Raises:
        AssertionError: they differ.
    """
    from onnx.backend.test.runner import Runner

    if RANDOM & profile(model).operators:
        _assert_same_form(expected, actual)
        return
    try:
        Runner.assert_similar_outputs(expected, actual, case.rtol, case.atol)
    except TypeError as error:  # of outputs that are no arrays
        raise AssertionError(str(error)) from None


def failed(case: Case, error: Exception) -> Outcome:
    """What an exception makes of a case."""
    if isinstance(error, REFUSALS):
        return Outcome(case.name, REFUSED, _findings(error))
    if isinstance(error, AssertionError):
        return _failed(case, MISMATCH, str(error))
    kind, message = type(error).__name__, str(error)
    if isinstance(error, Error):
        kind, message = error.code, error.message
    return _failed(case, ERROR, f"{kind}: {message}")


RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
          "RandomUniformLike"}  # fmt: skip
"""Operators whose results ONNX leaves to the generator: the suite stores one draw of NumPy's."""


def _assert_same_form(expected: Sequence[Any], actual: Sequence[Any]) -> None:
    """Compare what ONNX promises of random numbers: how many, of which type and shape."""
    forms = [[(array.dtype, array.shape) for array in arrays] for arrays in (expected, actual)]
    assert forms[0] == forms[1], f"{forms[1]} instead of {forms[0]}"


def _failed(case: Case, status: str, text: str) -> Outcome:
    return Outcome(case.name, status, (("", clip(" ".join(text.split()), 300)),))


def _findings(error: Error) -> tuple[tuple[str, str], ...]:
    """What a refusal says, without the names of nodes."""
    if isinstance(error, UnsupportedModelError):
        return tuple(sorted({(full_name(f.domain, f.op_type), f.reason) for f in error.findings}))
    return (("", clip(" ".join(error.message.split()), 300)),)


def run_suite(
    cases: Sequence[Case], engine: str = "c", *, processes: int | None = None
) -> list[Outcome]:
    """Run all cases, each in a worker process that it may crash without harm to the others.

    ``processes`` is the number of workers, by default one per processor of this machine.
    """
    pool = _Pool(cases, engine, min(processes or os.cpu_count() or 1, len(cases)))
    return pool.run()


def _work(cases: Sequence[Case], engine: str, channel: Connection) -> None:
    """A worker: case numbers in, outcomes out, until there is no more."""
    while (number := channel.recv()) is not None:
        channel.send(run_case(cases[number], engine))


class _Pool:
    """Workers that are forked from here, where the suite is loaded already."""

    def __init__(self, cases: Sequence[Case], engine: str, size: int) -> None:
        self._cases = cases
        self._engine = engine
        self._size = size
        self._outcomes: dict[int, Outcome] = {}
        self._numbers: Iterator[int] = iter(range(len(cases)))
        self._workers: dict[Connection, tuple[Any, int]] = {}

    def run(self) -> list[Outcome]:
        """The outcomes in the order of the cases."""
        for _ in range(self._size):
            self._start()
        while self._workers:
            ready = wait(list(self._workers), timeout=TIME_LIMIT)
            # Without any answer for so long, every worker is past the limit.
            for channel in ready or list(self._workers):
                assert isinstance(channel, Connection)
                self._receive(channel)
        return [self._outcomes[number] for number in range(len(self._cases))]

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        channel, theirs = context.Pipe()
        worker = context.Process(
            target=_work, args=(self._cases, self._engine, theirs), daemon=True
        )
        worker.start()
        theirs.close()
        self._give(channel, worker)

    def _give(self, channel: Connection, worker: Any) -> None:
        """Hand the next case to a worker, or send it home."""
        number = next(self._numbers, None)
        channel.send(number)
        if number is not None:
            self._workers[channel] = worker, number
            return
        self._workers.pop(channel, None)
        worker.join()

    def _receive(self, channel: Connection) -> None:
        worker, number = self._workers[channel]
        if not channel.poll():
            worker.kill()
            self._replace(channel, f"it took longer than {TIME_LIMIT} s")
            return
        try:
            self._outcomes[number] = channel.recv()
        except EOFError:
            worker.join()
            self._replace(channel, f"it ended the process (status {worker.exitcode})")
            return
        self._give(channel, worker)

    def _replace(self, channel: Connection, reason: str) -> None:
        """Note what a worker died of, and start another in its place."""
        worker, number = self._workers.pop(channel)
        worker.join()
        channel.close()
        self._outcomes[number] = _failed(self._cases[number], ERROR, reason)
        self._start()
