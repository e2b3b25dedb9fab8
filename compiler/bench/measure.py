"""Taking turns: every engine runs a model in every round, beside a measurement of the peak."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from burnish.backends import find_target
from burnish.ir import Array
from burnish.ir.cost import block_cost
from burnish.ir.errors import TargetError

from ..driver import compile as compile_model
from ..driver import read_model
from ..frontend.onnx.bindings import Binding
from ..progress import ProgressCallback, silent
from ..samples import file_beside, read_samples, seeded_samples
from .data import BURNISH, Measurement, Timing
from .emitted import Emitted, peak_meter
from .engines import prepare
from .prepared import EngineError, Prepared
from .turns import turns

LEAST_TIME = 0.01
"""Seconds that one engine runs in a round, at least: short models run several times."""

WARM_TIME = 0.02
"""Seconds that an engine of several threads runs before: what is measured is a stream of inputs, in
which its threads are awake."""

WAKING_TIME = 0.15
"""The same, where one thread alone ran before: threads take that long to get cores of their own."""

SETTLING_TIME = 0.1
"""Seconds between engines of several threads: those of some look for work for 50 ms after a run."""


def measure(
    path: str | Path,
    target: str = "c",
    *,
    threads: Sequence[int] = (1,),
    engines: Sequence[str] = ("onnxruntime",),
    rounds: int = 30,
    layers: bool = False,
    dims: Mapping[str, Binding] | None = None,
    passes: str | None = None,
    options: Mapping[str, object] | None = None,
    peak: Callable[[], float] | None = None,
    progress: ProgressCallback = silent,
) -> Measurement:
    """Measure a model in burnish's C and in other engines.

    One call of the emitted function, with memory that is ready, is compared with one run of an
    engine with its inputs bound.  Inputs are the first sample beside the model, else seeded random
    numbers.  Work of a single thread is measured in processor time, which leaves out other
    programs' turns; that of several in real time.

    Args:
        path: an ONNX model.
        target: what to compile for; this machine has to run it.
        threads: the numbers of threads to measure with.
        engines: the other engines; those that do not run the model are listed as missing.
        rounds: how often each takes its turn.
        layers: also measure each step of the emitted code, with the first number of threads.
        dims, passes, options: as for :func:`burnish.compile`.
        peak: measures the floating-point operations per second of a core; default: with C.

    Raises:
        Error: the model does not compile, or not for this machine; an engine is not installed.
    """
    chosen = find_target(target)
    if chosen.backend != "c" or not chosen.host:
        raise TargetError(
            f"code for {target} does not run on this machine", help="measure the target c"
        )
    path, meter = Path(path), peak or peak_meter()
    module = read_model(path, dims)
    inputs = _inputs(path, module.main.arg_names) or seeded_samples(module.main, 1)[0]
    contestants, missing, built = [], {}, []
    for count in threads:
        progress("build", 0.0)
        settings = {**(options or {}), "threads": count, "name": "net", "profile": layers}
        emitted = Emitted.build(
            compile_model(path, target, dims=dims, passes=passes, options=settings)
        )
        built.append(emitted)
        contestants.append(emitted.prepare(list(inputs.values()), count))
        for engine in engines:
            try:
                contestants.append(prepare(engine, path, inputs, count))
            except EngineError as error:
                missing[engine] = error.message
    times, peaks = _rounds(contestants, rounds, meter, progress)
    macs = block_cost(module.main.body).macs
    return Measurement(
        path.parent.name if path.stem == "model" else path.stem,
        2.0 * macs if isinstance(macs, int) else 0.0,
        statistics.median(peaks),
        tuple(
            Timing(c.engine, c.threads, statistics.median(t), min(t), _error(contestants[0], c))
            for c, t in zip(contestants, times)
        ),
        built[0].layers() if layers else (),
        tuple(missing.items()),
    )


def _inputs(path: Path, names: Sequence[str]) -> dict[str, Array] | None:
    """The first sample that lies beside the model."""
    beside = file_beside(path)
    if beside is None:
        return None
    sample = read_samples(beside, names)[0]
    # ascontiguousarray alone would make a scalar an array of one axis.
    return {n: np.ascontiguousarray(array).reshape(array.shape) for n, array in sample.items()}


def _rounds(
    contestants: Sequence[Prepared],
    rounds: int,
    peak: Callable[[], float],
    progress: ProgressCallback,
) -> tuple[list[list[float]], list[float]]:
    """Seconds of each contestant in each round, and the peak in each."""
    counts = []
    for contestant in contestants:
        contestant.call()
        counts.append(max(1, int(LEAST_TIME / _seconds(contestant, 1))))
    times: list[list[float]] = [[] for _ in contestants]
    peaks: list[float] = []
    numbers = sorted({contestant.threads for contestant in contestants})
    for number, threads in turns(numbers, rounds):
        progress("measure", len(peaks) / (rounds * len(numbers)))
        for contestant, count, found in zip(contestants, counts, times):
            if contestant.threads == threads:
                _warm(contestant, WAKING_TIME if number == 0 else WARM_TIME)
                found.append(_seconds(contestant, count))
                time.sleep(SETTLING_TIME if threads > 1 else 0)
        peaks.append(peak())
    return times, peaks


def _warm(contestant: Prepared, seconds: float) -> None:
    """What the engine before left in the caches, or left asleep, is not the fault of this one."""
    start = time.perf_counter()
    contestant.call()
    while contestant.threads > 1 and time.perf_counter() - start < seconds:
        contestant.call()


def _seconds(contestant: Prepared, count: int) -> float:
    """Time of one call."""
    clock = time.thread_time if contestant.in_caller else time.perf_counter
    start = clock()
    for _ in range(count):
        contestant.call()
    return max((clock() - start) / count, 1e-9)


def _error(ours: Prepared, other: Prepared) -> float:
    """The largest difference of outputs, relative to their scale."""
    if other.engine == BURNISH:
        return 0.0
    pairs = [(a, np.asarray(b)) for a, b in zip(ours.outputs, other.outputs) if a.size]
    floats = [(a, b) for a, b in pairs if a.dtype.kind == "f"]
    scales = [max(1e-30, float(np.abs(b).max())) for _, b in floats]
    return max((float(np.abs(a - b).max()) / s for (a, b), s in zip(floats, scales)), default=0.0)
