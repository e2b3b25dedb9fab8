"""The program that searches schedules: a process of its own, which TVM may end without harm.

It is run by its path and knows nothing of burnish.  On standard input it gets one JSON object:
``target`` as TVM describes it, ``host`` or null, ``device`` (``"cpu"`` or ``"cuda"``), ``seed`` and
``functions``, each with a ``name``, the number of ``trials``, the ``text`` of a module whose
function is called ``main``, and ``untuned``, the text of what it is compared with.  On standard
output it writes one JSON object a line: ``start``, ``trial`` and ``done`` or ``error``, each with
the name of the function.

Design spaces, their rules and mutations are MetaSchedule's.  Its search strategies, cost models and
databases are not used: they serialize modules, which ends the process where tvm-ffi is newer than
TVM was built with (``ToJSONGraph``).
"""

from __future__ import annotations

import functools
import importlib
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPEATS = 3
"""A time is the median of so many, each of at least :data:`REPEAT_MS`."""

REPEAT_MS = 4

HOPELESS = 4.0
"""A candidate is given up when one run of it takes so many times as long as the best."""

HOPELESS_SECONDS = 1e-3
"""One run that takes less is not told from chance."""

MUTATED = 0.5
"""The share of candidates that are mutations of the best so far; the others are drawn anew."""

INTEGERS = 2
"""Integers of the data that is measured with are below; they may be indices."""

TOLERANCE = {"float16": 2e-2, "bfloat16": 2e-1, "float32": 1e-3, "float64": 1e-9}
"""By how much of the largest element results may differ, which sums in another order do."""


class Tuner:
    """Draws, builds and times schedules for one target."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.tvm: Any = importlib.import_module("tvm")
        self.search: Any = importlib.import_module("tvm.s_tir.meta_schedule")
        self.schedule: Any = importlib.import_module("tvm.s_tir.schedule")
        self.target = self.tvm.target.Target(request["target"], host=request["host"])
        self.device = self.tvm.device(request["device"], 0)
        self.on_gpu = request["device"] != "cpu"
        self.random = random.Random(request["seed"])
        mutator = self.search.mutator
        self.mutators = [mutator.MutateTileSize(), mutator.MutateUnroll()]

    def rules(self) -> tuple[Any, Any]:
        """Rules that make design spaces, and what is done to each schedule at the end.

        On a processor they are MetaSchedule's for LLVM, without threads, and with smaller
        tiles: compilers take minutes for what the largest of its own unroll to.
        """
        if self.on_gpu:
            return "cuda", "cuda"
        rule, last = self.search.schedule_rule, self.search.postproc
        reuse = rule.ReuseType(req="may", levels=[1, 2], scope="global")
        tiling = {"tile_binds": None, "vector_load_lens": None, "reuse_read": None}
        rules = [
            rule.AutoInline(into_producer=False, into_consumer=True, inline_const_tensor=True,
                            disallow_if_then_else=True, require_injective=True,
                            require_ordered=True, disallow_op=["tirx.exp"]),
            rule.MultiLevelTiling(structure="SSRSRS", max_innermost_factor=16, reuse_write=reuse,
                                  **tiling),
            rule.ParallelizeVectorizeUnroll(max_jobs_per_core=-1, max_vectorize_extent=16,
                                            unroll_max_steps=[0, 16, 64],
                                            unroll_explicit=True),
            rule.RandomComputeLocation(),
        ]  # fmt: skip
        lasts = [last.DisallowDynamicLoop(), last.RewriteParallelVectorizeUnroll()]
        return rules, [*lasts, last.RewriteReductionBlock()]

    def tune(self, function: Mapping[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
        """The fastest schedule of a function: its trace, its time and that of the untuned one."""
        from_source = self.tvm.script.from_source
        module = from_source(function["text"])
        data = self._arrays(module["main"])
        untuned, expected = self._run(from_source(function["untuned"]), data, math.inf)
        best, trace, found = untuned, None, None
        spaces = self._spaces(module)
        for done in range(function["trials"]):
            schedule = self._schedule(module, *spaces, trace)
            seconds = math.inf if schedule is None else self._tried(schedule, data, expected, best)
            if seconds < best:
                best, trace = seconds, schedule.trace
                found = plain(trace.as_json())
            tell("trial", done=done + 1, trace=found, seconds=best, untuned=untuned)
        return {"trace": found, "seconds": best, "untuned": untuned}

    def _spaces(self, module: Any) -> tuple[list[Any], list[Any]]:
        """Design spaces, and what is done to each schedule at the end."""
        rules, lasts = self.rules()
        space = self.search.space_generator.PostOrderApply(
            sch_rules=rules, postprocs=lasts, mutator_probs={}
        )
        context = self.search.TuneContext(
            mod=module, target=self.target, space_generator=space, num_threads=1,
            rand_state=self._seed(),
        )  # fmt: skip
        found = list(context.generate_design_space())
        return found, list(context.space_generator.postprocs or [])

    def _schedule(
        self, module: Any, spaces: Sequence[Any], postprocs: Sequence[Any], best: Any
    ) -> Any:
        """A schedule to try, maybe like the trace ``best``; None if it cannot be made."""
        trace = None
        if best is not None and self.random.random() < MUTATED:
            trace = self.random.choice(self.mutators).apply(best)
        if trace is None:
            drawn = self.random.choice(spaces).trace
            trace = self.schedule.Trace(drawn.insts, {})  # decisions are made anew
        schedule = self.schedule.Schedule(module, seed=self._seed(), debug_mask="none")
        try:
            trace.apply_to_schedule(schedule, remove_postproc=True)
            schedule.enter_postproc()
            return schedule if all(last.apply(schedule) for last in postprocs) else None
        except (RuntimeError, ValueError, TypeError):
            return None

    def _seed(self) -> int:
        return self.random.randrange(1, 1 << 30)

    def _tried(
        self, schedule: Any, data: Sequence[Any], expected: Sequence[Any], best: float
    ) -> float:
        """The time of a schedule; infinite where it fails, or computes something else."""
        try:
            seconds, found = self._run(schedule.mod, data, best)
        except (RuntimeError, ValueError, TypeError):
            return math.inf
        return seconds if all(map(agrees, found, expected)) else math.inf

    def _run(self, module: Any, data: Sequence[Any], best: float) -> tuple[float, list[Any]]:
        """The median time of a run, infinite for one that is hopeless, and what tensors hold."""
        built = self.tvm.compile(module, target=self.target)
        tensors = [self.tvm.runtime.tensor(array, self.device) for array in data]
        run = built["main"]
        run(*tensors)
        self.device.sync()
        found = [tensor.numpy() for tensor in tensors]
        begin = time.perf_counter()
        run(*tensors)
        self.device.sync()
        if time.perf_counter() - begin > max(HOPELESS * best, HOPELESS_SECONDS):
            return math.inf, found
        evaluator = built.mod.time_evaluator(
            "main", self.device, number=1, repeat=REPEATS, min_repeat_ms=REPEAT_MS
        )
        results = evaluator(*tensors).results
        return statistics.median(float(second) for second in results), found

    def _arrays(self, function: Any) -> list[Any]:
        """Data for the tensors that a function takes, those that it writes among them."""
        numpy: Any = importlib.import_module("numpy")
        generator = numpy.random.default_rng(0)
        info = importlib.import_module("tvm.s_tir.meta_schedule.arg_info")
        arrays = []
        for entry in info.ArgInfo.from_prim_func(function):
            shape, dtype = [int(size) for size in entry.shape], numpy_type(str(entry.dtype))
            if dtype.kind in "iub":
                arrays.append(generator.integers(0, INTEGERS, shape).astype(dtype))
            else:
                arrays.append(generator.uniform(-1, 1, shape).astype(dtype))
        return arrays


def numpy_type(name: str) -> Any:
    """NumPy's type of that name, which it may know from ``ml_dtypes`` only."""
    numpy: Any = importlib.import_module("numpy")
    known = hasattr(numpy, name) or name == "bool"
    return numpy.dtype(name if known else getattr(importlib.import_module("ml_dtypes"), name))


def agrees(found: Any, expected: Any) -> bool:
    """Whether two arrays hold the same, up to the order of sums."""
    numpy: Any = importlib.import_module("numpy")
    bound = TOLERANCE.get(str(expected.dtype))
    if bound is None:
        return bool(numpy.array_equal(found, expected))
    found, expected = found.astype("float64"), expected.astype("float64")
    finite = expected[numpy.isfinite(expected)]
    scale = float(numpy.abs(finite).max()) if finite.size else 0.0
    return bool(numpy.allclose(found, expected, rtol=0, atol=bound * scale, equal_nan=True))


def plain(data: Any) -> Any:
    """TVM's arrays and numbers as JSON has them."""
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    return data.value if hasattr(data, "value") else [plain(item) for item in data]


def main() -> None:
    """Read what is asked, and answer line by line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what TVM and compilers print is no answer
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]

    def tell(name: str, kind: str, **facts: Any) -> None:
        print(json.dumps({"kind": kind, "name": name, **facts}), file=answers, flush=True)

    request = json.load(sys.stdin)
    tuner = Tuner(request)
    for function in request["functions"]:
        name = function["name"]
        tell(name, "start")
        try:
            found = tuner.tune(function, functools.partial(tell, name))
        except Exception as error:
            tell(name, "error", reason=f"{type(error).__name__}: {str(error)[:200]}")
        else:
            tell(name, "done", **found)


if __name__ == "__main__":
    main()
