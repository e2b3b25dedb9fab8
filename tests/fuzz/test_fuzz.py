"""The fuzzer: its everyday portion, its long run, and that it can find what it is for."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from fuzzer import agreement
from fuzzer.batch import Job, run_batch
from fuzzer.campaign import Campaign, replay, subject_of
from fuzzer.checks import Settings, Subject, check, disagreement, interpreted
from fuzzer.maker import MAKERS, Profile, random_module, unmade
from fuzzer.onnx_worker import Worker
from fuzzer.shrink import shrink

from burnish.ir import DType, Module, interpret, parse, registry

CONTAINERS = {
    "core.constant": "every maker makes its data as constants",
    "core.return": "ends each function",
    "core.yield": "ends each region",
    "core.group": "made by the pass fuse, in the optimized half of each check",
}
"""Ops without a maker, and why."""


def test_every_op_has_a_maker_or_a_reason() -> None:
    assert unmade() == set(CONTAINERS)
    assert set(MAKERS) <= set(registry())


def test_every_maker_makes_its_op() -> None:
    """Alone and with others around it, whatever the seed."""
    for name in MAKERS:
        made = 0
        for seed in range(12):
            draft = random_module(Random(f"{name}{seed}"), Profile(ops=1, only=frozenset({name})))
            made += any(op.name == name for op in draft.module.walk())
        assert made == 12, name


def test_every_op_is_reached() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400):
        subject = subject_of(f"0-{seed}", Worker())
        assert subject is not None
        seen.update(op.name for op in subject.module.walk())
    assert set(MAKERS) - set(seen) == set()


def test_graphs_have_what_breaks_compilers() -> None:
    found: Counter[str] = Counter()
    for seed in range(400):
        subject = subject_of(f"0-{seed}", Worker())
        assert subject is not None
        module = subject.module
        found["symbols"] += "N" in module.symbols
        found["found sizes"] += any(name.startswith("K") for name in module.symbols)
        for op in module.walk():
            found["regions"] += bool(op.regions)
            for value in op.results:
                found["several uses"] += value.use_count > 1
                found["empty"] += value.type.elements == 0
                found["ones"] += 1 in value.type.shape
                found["encodings"] += value.type.encoding is not None
                found[value.type.dtype.text] += 1
        for inputs in subject.inputs:
            for array in inputs.values():
                found["special"] += array.dtype.kind == "f" and not np.isfinite(array).all()
    for what in ("symbols", "found sizes", "regions", "several uses", "empty", "ones", "encodings"):
        assert found[what] > 5, what
    assert found["special"] > 5
    for dtype in set(DType) - {DType.C64, DType.C128}:
        assert found[dtype.text], dtype


def test_seeds_are_reproducible() -> None:
    for seed in ("3-1", "3-2", "3-3"):
        first, again = (subject_of(seed, Worker()) for _ in range(2))
        assert first is not None
        assert again is not None
        assert str(first.module) == str(again.module)


def test_what_a_region_holds_fits_every_size() -> None:
    """A branch that is not taken once had the scales of one size of a symbol."""
    subject = subject_of("9917-65", Worker())
    assert subject is not None
    check([subject], Settings(optimize="-O0"))
    assert not subject.verdict


@pytest.mark.parametrize("number", range(2), ids=["ir", "onnx"])
def test_a_batch_of_fixed_seeds(number: int) -> None:
    if number:
        pytest.importorskip("onnxruntime")
    campaign = Campaign(seed=0, shrinking=False, say=lambda _: None)
    campaign.batch(number, Settings(optimize="-O0", thorough=not number))
    assert not campaign.failures, "\n\n".join(map(str, campaign.failures))
    assert campaign.tally["graphs"] >= 20


@pytest.mark.slow
def test_a_new_seed(request: pytest.FixtureRequest, fuzz_seed: int, tmp_path: Path) -> None:
    """Runs ``--fuzz-graphs``; ``--fuzz-seed`` repeats a run, whose seed each failure names."""
    pytest.importorskip("onnxruntime")
    print(f"fuzzing from seed {fuzz_seed}: repeat with --fuzz-seed {fuzz_seed}")
    campaign = Campaign(fuzz_seed, tmp_path)
    campaign.run(graphs=request.config.getoption("fuzz_graphs"))
    assert not campaign.failures, "\n\n".join(map(str, campaign.failures))


@pytest.mark.slow
def test_the_documented_commands_run(root: Path) -> None:
    text = (root / "CONTRIBUTING.md").read_text("utf-8")
    commands = re.findall(r"^python (tests/fuzz/run.py .+?) +#", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        quick = command.replace("--minutes 60", "--minutes 0.01 --seed 1")
        done = subprocess.run(
            [sys.executable, *quick.split()], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


# What the fuzzer must notice ---------------------------------------------------------------


def _module(text: str) -> Module:
    return parse(f'module "m" {{\n{text}\n}}')


SUM = _module("""
  func @main(%x: tensor<f32[4, 9]>) -> ("y": tensor<f32[4]>) {
    %0 = tensor.reduce(%x) {kind = "sum", axes = [1]}
    core.return(%0)
  }""")
JUMP = _module("""
  func @main(%x: tensor<f32[3]>) -> ("y": tensor<i32[3]>) {
    %0 = math.exp(%x)
    %1 = math.floor(%0)
    %2 = math.cast(%1) {to = i32}
    core.return(%2)
  }""")


def _differs(module: Module, x: np.ndarray, change: np.ndarray) -> bool:
    inputs = {"x": x}
    expected = interpret(module, inputs)
    with np.errstate(all="ignore"):
        actual = {"y": (expected["y"] + change).astype(expected["y"].dtype)}
    return bool(agreement.differences(module, inputs, expected, actual, reassociated=False))


def test_rounding_of_sums_is_excused_and_nothing_else() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (4, 9)).astype(np.float32)
    step = np.spacing(np.abs(x).sum(axis=1))
    assert not _differs(SUM, x, step)
    assert _differs(SUM, x, 1000 * step)
    assert _differs(SUM, x, np.array([0, 0, 0, np.nan], np.float32))


def test_jumps_are_excused_only_where_rounding_decides() -> None:
    at_a_jump = np.array([0.3, np.log(2.0), 1.5], np.float32)
    assert not _differs(JUMP, at_a_jump, np.array([0, -1, 0]))
    assert _differs(JUMP, at_a_jump, np.array([-1, 0, 0]))


def test_sums_that_overflow_in_some_orders_are_excused() -> None:
    x = np.full((4, 9), 1.0, np.float32)
    x[0, :3] = 2e38, -2e38, 2e38
    assert not _differs(SUM, x, np.array([-np.inf, 0, 0, 0], np.float32))
    assert _differs(SUM, x, np.array([0, -np.inf, 0, 0], np.float32))


def test_integers_are_exact() -> None:
    module = _module("""
      func @main(%x: tensor<i32[3]>) -> ("y": tensor<i32[3]>) {
        %0 = math.mul(%x, %x)
        core.return(%0)
      }""")
    assert _differs(module, np.arange(3, dtype=np.int32), np.array([0, 0, 1]))


def test_a_refusal_is_excused_only_where_no_result_needs_what_was_refused() -> None:
    def verdict(returned: str) -> str:
        """What is said of results where the interpreter refuses: the index is 5, the axis 2."""
        module = parse(f"""module "refusing" {{
          func @main(%x: tensor<f32[2]>, %i: tensor<i64[1]>) -> ("r": tensor<bool[1]>) {{
            %0 = tensor.gather(%x, %i) : tensor<f32[1]>
            %1 = math.less(%0, %0) : tensor<bool[1]>
            %2 = math.neg(%0) : tensor<f32[1]>
            %3 = math.less(%2, %0) : tensor<bool[1]>
            core.return(%{returned})
          }}
        }}""")
        inputs = {"x": np.zeros(2, np.float32), "i": np.array([5])}
        expected = interpreted(module, inputs)
        return disagreement(module, inputs, expected, {"r": np.zeros(1, bool)}, reassociated=True)

    assert verdict("1") == ""
    assert verdict("3").startswith("gives results, but the interpreter refuses: index 5")


def test_a_crash_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that ends the process does not end the batch."""
    import os

    from fuzzer import batch

    jobs = [Job(f"m{i}", SUM, [{"x": np.full((4, 9), i, np.float32)}]) for i in range(3)]
    run = batch.CRunner.run

    def crashing(self: batch.CRunner, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if inputs["x"].flat[0] == 1:
            os._exit(11)
        return run(self, inputs)

    monkeypatch.setattr(batch.CRunner, "run", crashing)
    answers = run_batch(jobs, optimize="-O0")
    assert [type(answers[f"m{i}"].outcomes[0]) for i in range(3)] == [dict, batch.CrashError, dict]


def test_failures_are_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong kernel is found, and all that is left of the graph is its op."""
    from burnish.backends.c.kernels.movement import Transpose

    module = _module("""
      func @main(%x: tensor<f32[3, 4]>, %z: tensor<f32[4, 3]>) -> ("y": tensor<f32[4, 3]>) {
        %0 = math.exp(%x)
        %1 = tensor.transpose(%0) {permutation = [1, 0]}
        %2 = math.add(%1, %z)
        %3 = math.relu(%2)
        core.return(%3)
      }""")
    emit = Transpose.emit

    def wrong(self: Transpose, k: object) -> None:
        emit(self, k)  # type: ignore[arg-type]
        k.statement(f"{k.result.at((0, 0))} = 7")  # type: ignore[attr-defined]

    monkeypatch.setattr(Transpose, "emit", wrong)
    rng = np.random.default_rng(0)
    inputs = {n: rng.uniform(1, 2, s).astype(np.float32) for n, s in (("x", (3, 4)), ("z", (4, 3)))}
    subject = Subject("s", module, [inputs])
    settings = Settings(optimize="-O0")
    check([subject], settings)
    assert "instead of" in subject.verdict
    small, given, verdict = shrink(module, [inputs], settings, subject.verdict)
    ops = [op.name for op in small.main.body if op.name not in ("core.return", "core.constant")]
    assert ops == ["tensor.transpose"]
    assert "instead of" in verdict
    assert all(x.size <= 12 for x in given.values())


def test_a_replay_repeats_the_graph() -> None:
    assert replay("0-0") is None


def test_profiles_restrict_graphs() -> None:
    profile = replace(Profile(), only=frozenset({"math.add", "tensor.reshape"}))
    draft = random_module(Random(1), profile)
    names = {op.name for op in draft.module.walk()} - {"core.constant", "core.return"}
    assert names <= {"math.add", "tensor.reshape"}
