"""Tuning and calibration: kernels timed here, and choices made by that."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import burnish
from burnish.backends import find_target
from burnish.backends.c.isa import Isa, isa_of
from burnish.backends.c.timer import TimerJob, TimerProgram, build_timer, run_timer, timer_job
from burnish.ir import DType, Error, Module, build_function, interpret, tensor
from burnish.ir.errors import TargetError, ToolchainError, UsageError
from burnish.passes.layout import layout_model
from burnish.tuning import calibrate, candidates, measure
from burnish.tuning.layouts import MeasuredLayouts

from .conftest import CommandLine

TARGET = find_target("c")
needs_vectors = pytest.mark.skipif(
    not isa_of(TARGET).has_vectors, reason="kernels for this machine use no vectors: no choice"
)


def network() -> Module:
    """Two equal convolutions, a pool, and a product."""
    module = Module("net")
    function, b = build_function(module, "main", {"x": tensor(DType.F32, 1, 8, 8, 8)}, ["y"])
    generator = np.random.default_rng(0)
    x = function.args[0]
    for _ in range(2):
        w = b.constant(generator.standard_normal((8, 8, 3, 3)).astype(np.float32) / 8)
        x = b("nn.conv", x, w, strides=[1, 1], pads=[1] * 4, dilations=[1, 1])
        x = b("math.relu", x)
    x = b("tensor.reduce", x, kind="mean", axes=[2, 3], keep_dims=False)
    b.ret(b("nn.matmul", x, b.constant(generator.standard_normal((8, 16)).astype(np.float32))))
    return module


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))


def test_steps_are_timed() -> None:
    compiled = burnish.compile(network(), "c", options={"profile": True})
    job = timer_job(compiled.artifact, TARGET)
    cycles = run_timer(build_timer(job), isa_of(TARGET), 0.01)
    assert len(cycles) >= 4
    assert all(0 < step < 1e9 for step in cycles)


def test_only_static_models_that_tell_their_steps_are_timed() -> None:
    with pytest.raises(ValueError, match="profile"):
        timer_job(burnish.compile(network(), "c").artifact, TARGET)


def test_programs_for_other_processors_are_not_run() -> None:
    with pytest.raises(ToolchainError, match="another processor"):
        run_timer(TimerProgram(b"", "a processor of long ago"), isa_of(TARGET), 0.01)


def test_programs_that_fail_are_reported() -> None:
    job = timer_job(burnish.compile(network(), "c", options={"profile": True}).artifact, TARGET)
    failing = {
        **job.files,
        "timer.c": "void timer_step(int n) { (void)n; } int main(void) { return 3; }",
    }
    program = build_timer(type(job)(failing, job.target, job.flags))
    with pytest.raises(ToolchainError, match="status 3"):
        run_timer(program, isa_of(TARGET), 0.01)


@needs_vectors
def test_equal_ops_are_one_question() -> None:
    asked = candidates.questions(network(), layout_model("native"))
    convolutions = [question for question in asked if question.op.name == "nn.conv"]
    assert len(convolutions) == 1
    (question,) = convolutions
    assert len(question.offers) > 1
    least = min(offer.cost for offer in question.offers.values())
    assert question.cycles == pytest.approx(2 * least)
    assert asked == sorted(asked, key=lambda question: -question.cycles)


@dataclass
class Tuned:
    """A network that was tuned in an empty cache, what its programs were built by, and the stages
    that were told."""

    compiled: burnish.CompiledModel
    cache: Path
    stages: list[str]
    executor_lives: bool


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """One tuning for all tests: it builds a program per candidate."""
    cache = tmp_path_factory.mktemp("tuned") / "cache"
    stages: list[str] = []
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setenv("BURNISH_CACHE", str(cache))
        compiled = burnish.compile(
            network(), "c", options={"tune": "60s"}, executor=pool,
            progress=lambda stage, _: stages.append(stage),
        )  # fmt: skip
        return Tuned(compiled, cache, stages, pool.submit(int).result() == 0)


@pytest.fixture
def tuned_cache(tuned: Tuned, tmp_path: Path, own_cache: None) -> Path:
    """A cache of the test's own that knows what was measured."""
    return Path(shutil.copytree(tuned.cache, tmp_path / "cache"))


@needs_vectors
def test_a_tuned_model_computes_the_same_and_remembers(
    tuned: Tuned, tuned_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, first = network(), tuned.compiled
    assert any(stage.startswith("tune: timed") for stage in tuned.stages)
    assert first.report.pipeline == burnish.compile(module, "c").report.pipeline
    x = {"x": np.random.default_rng(1).standard_normal((1, 8, 8, 8)).astype(np.float32)}
    np.testing.assert_allclose(first.run(x)["y"], interpret(module, x)["y"], rtol=1e-4, atol=1e-5)

    def no_build(job: object) -> TimerProgram:
        raise AssertionError("it was measured before")

    monkeypatch.setattr(measure, "build_timer", no_build)
    assert burnish.compile(module, "c", options={"tune": "60s"}).source == first.source


@needs_vectors
def test_broken_memories_are_measured_anew(tuned_cache: Path) -> None:
    kept = sorted((tuned_cache / "times").iterdir())
    assert kept
    for path, text in zip(kept, ("", "{}", '{"cycles": ["many"]}', "null")):
        path.write_text(text, "utf-8")
    burnish.compile(network(), "c", options={"tune": "60s"})
    assert all(json.loads(path.read_text("utf-8"))["cycles"] for path in kept)


@needs_vectors
def test_measured_costs_decide() -> None:
    """Whichever way is measured as the fastest is taken; estimates of the others are scaled."""
    module, model = network(), layout_model("native")
    question = next(q for q in candidates.questions(module, model) if q.op.name == "nn.conv")
    plain = model.offers(question.op)
    for fastest in range(len(plain)):
        times = {(question.key, i): 10.0 + (i != fastest) for i in range(len(plain))}
        costs = [offer.cost for offer in MeasuredLayouts(model, times).offers(question.op)]
        assert costs.index(min(costs)) == fastest
    one = MeasuredLayouts(model, {(question.key, 1): 3 * plain[1].cost}).offers(question.op)
    assert [offer.cost for offer in one] == pytest.approx([3 * offer.cost for offer in plain])


@needs_vectors
def test_what_is_not_built_in_time_is_estimated() -> None:
    class Never(Executor):
        """Takes work, and does none of it."""

        futures: list[Future[Any]]

        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            self.futures = [*getattr(self, "futures", []), Future()]
            return self.futures[-1]

    never = Never()
    compiled = burnish.compile(network(), "c", options={"tune": "0.2s"}, executor=never)
    assert compiled.source == burnish.compile(network(), "c").source
    assert never.futures
    assert all(future.cancelled() for future in never.futures)


@needs_vectors
def test_an_executor_builds(tuned: Tuned) -> None:
    assert tuned.executor_lives, "it is the caller's to shut down"


@needs_vectors
@pytest.mark.slow
def test_a_cluster_builds() -> None:
    distributed = pytest.importorskip("dask.distributed")
    seen: list[str] = []
    with distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        compiled = burnish.compile(
            network(), "c", options={"tune": "120s"}, executor=client.get_executor(),
            progress=lambda stage, _: seen.append(stage),
        )  # fmt: skip
    assert any(stage.startswith("tune: built") for stage in seen)
    assert compiled.source


@pytest.mark.parametrize(
    ("target", "options", "kind", "message"),
    [
        ("c", {"tune": "soon"}, UsageError, 'option tune is "soon", which is no time'),
        ("c", {"tune": "0s"}, UsageError, "which is no time"),
        ("c", {"tune": 60}, TargetError, "option tune is 60, but must be text"),
        ("c:cortex-m4", {"tune": "1s"}, TargetError, "cannot be tuned.*does not run on this"),
        ("onnx", {"tune": "1s"}, TargetError, "cannot be tuned|nothing to tune"),
    ],
)
def test_refusals(target: str, options: dict[str, object], kind: type[Error], message: str) -> None:
    with pytest.raises(kind, match=message):
        burnish.compile(network(), target, options=options)


@needs_vectors
@pytest.mark.slow
def test_calibration_on_the_command_line(
    burnish: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = burnish("targets", "--calibrate")
    assert "operations, conv" in shown
    assert "kept in" in shown
    monkeypatch.delenv("BURNISH_MACHINE")
    rates = json.loads(burnish("targets", "--calibrate", "--json"))
    assert rates["rates"]["conv"] > rates["rates"]["depthwise"]
    assert len(list((tmp_path / "cache" / "machines").iterdir())) == 1


@needs_vectors
def test_one_disturbed_run_in_three_changes_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a level of memory that is slower than the next one stand."""
    runs = 0
    disturbance = 1.0

    def timed(job: TimerJob, isa: Isa, seconds: float) -> dict[int, float]:
        nonlocal runs
        runs += 1
        size = sum(len(text) for text in job.files.values())
        return dict.fromkeys(range(64), size * (disturbance if runs % 3 == 1 else 1.0))

    monkeypatch.setattr(calibrate, "build_timer", lambda job: job)
    monkeypatch.setattr(calibrate, "run_timer", timed)
    quiet = calibrate.calibrate(lambda _what, _share: None)
    disturbance = 50.0
    assert calibrate.calibrate(lambda _what, _share: None) == quiet
    # Here all kernels take about as long, so that the level with most bytes seems the fastest.
    first, *_, last = (level.bytes_per_cycle for level in quiet.levels)
    assert first == last > 1e5
