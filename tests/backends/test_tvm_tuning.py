"""Tuning for TVM: schedules are tried in a process that may die, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from burnish import compile as compile_model
from burnish import interpret, load, parse
from burnish.backends import complete_options, find_target, split_options
from burnish.backends import tvm as backend
from burnish.backends.tvm import records, tuner, tuning
from burnish.backends.tvm.records import Record
from burnish.ir.errors import TargetError, ToolchainError

needs_tvm = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")

PRODUCT = """
module "product" {
  func @main(%x: tensor<f32[16, 32]>, %w: tensor<f32[32, 16]>) -> ("y": tensor<f32[16, 16]>) {
    %y = nn.matmul(%x, %w)
    core.return(%y)
  }
}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tvm"


def tuner_that(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str) -> None:
    """Take a program of these lines for the tuner; it knows ``name``, a function's."""
    script = folder / "tuner.py"
    first = ["import json, os, signal, sys, time",
             "name = json.load(sys.stdin)['functions'][0]['name']"]  # fmt: skip
    script.write_text("\n".join([*first, *lines]), "utf-8")
    monkeypatch.setattr(tuning, "TUNER", script)


def test_trials_are_a_number_for_tvm_and_a_time_elsewhere() -> None:
    common, own = split_options(find_target("tvm"), {"tune": "64"})
    assert (common["tune"], own["tune"]) == ("", 64)
    common, own = split_options(find_target("c"), {"tune": "60s"})
    assert common["tune"] == "60s"
    assert "tune" not in own
    assert complete_options(find_target("tvm:cuda"))["tune"] == 0


@pytest.mark.parametrize("trials", ["60s", -1, 2.5, "many", True])
@pytest.mark.parametrize("target", ["tvm", "tvm:llvm", "tvm:cuda"])
def test_what_is_no_number_of_trials_is_refused(target: str, trials: object) -> None:
    with pytest.raises(TargetError, match=r"option tune is .* must be a whole number from 0 to"):
        compile_model(parse(PRODUCT), target, options={"tune": trials})


@needs_tvm
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 2}, "option threads is for target tvm, not for tvm:llvm"),
        ({"dtype": "fp16"}, "option dtype is for target tvm:cuda, not for tvm:llvm"),
        ({"device": "cuda"}, "option device is cuda, but target tvm:llvm is for cpu"),
    ],
)
def test_options_without_a_use_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        compile_model(parse(PRODUCT), "tvm:llvm", options=options)


@needs_tvm
def test_schedules_for_a_gpu_are_tried_on_one() -> None:
    from burnish.backends.tvm.package import tvm_package

    if tvm_package().cuda().exist:
        pytest.skip("there is a GPU")
    with pytest.raises(ToolchainError, match="tried on a GPU of NVIDIA, and this machine has none"):
        compile_model(parse(PRODUCT), "tvm:cuda", options={"tune": 4})


@needs_tvm
def test_kernels_in_c_are_left_alone() -> None:
    compiled = compile_model(parse(PRODUCT), "tvm", options={"tune": 4})
    assert compiled.report.notes == (
        "tune: TVM generates no code for this model; there was none to tune",
    )
    assert compiled.report.notes[0] in compiled.report.text(200)
    assert compiled.report.notes[0] in compiled.report.html()


@needs_tvm
@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["print(json.dumps({'kind': 'start', 'name': name}), flush=True)",
          "os.kill(os.getpid(), signal.SIGSEGV)"], "the tuner was ended by SIGSEGV"),
        (["sys.exit('it does not load')"], "the tuner ended with status 1: it does not load"),
        (["print('{\"kind', end='', flush=True)", "sys.exit(3)"], "ended with status 3"),
        (["print(json.dumps({'kind': 'error', 'name': name, 'reason': 'too odd'}))"], "too odd"),
        (["print(json.dumps({'kind': 'done', 'name': name, 'trace': [['Nonsense', [], [], []]],"
          " 'seconds': 1e-6, 'untuned': 2e-6}))"], "what was found does not fit it"),
    ],
)  # fmt: skip
def test_a_tuner_that_dies_loses_nothing_but_the_tuning(
    lines: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuner_that(monkeypatch, tmp_path, *lines)
    compiled = compile_model(parse(PRODUCT), "tvm:llvm", options={"tune": 4})
    first, failure = compiled.report.notes
    assert first == "tune: schedules for 0 of 1 functions"
    assert failure.startswith("tune: nn_matmul keeps its schedule: ")
    assert reason in failure
    ones = {"x": np.ones((16, 32), np.float32), "w": np.ones((32, 16), np.float32)}
    np.testing.assert_array_equal(compiled.run(ones)["y"], np.full((16, 16), 32.0))


@needs_tvm
def test_a_tuner_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tuning, "SILENCE", 0.2)
    tuner_that(monkeypatch, tmp_path, "time.sleep(60)")
    compiled = compile_model(parse(PRODUCT), "tvm:llvm", options={"tune": 4})
    assert "the tuner said nothing for 0.2 s" in compiled.report.notes[1]


def test_records_are_kept_by_trials_and_broken_ones_are_none(own_cache: Path) -> None:
    record = Record([["Nonsense", [], [], []]], 1e-6, 2e-6, 8)
    records.remember("key", record)
    assert records.remembered("key", 8) == records.remembered("key", 3) == record
    assert records.remembered("key", 9) is None
    assert [path.name for path in own_cache.iterdir()] == ["key.json"]
    for broken in ("{", "[]", "{}", json.dumps({**vars(record), "trace": 5})):
        (own_cache / "key.json").write_text(broken)
        assert records.remembered("key", 8) is None


def test_a_cache_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolchainError, match="cannot be written"):
        records.remember("key", Record(None, 1.0, 1.0, 1))


def test_results_agree_up_to_the_order_of_sums() -> None:
    x = np.array([1.0, np.nan, np.inf, 0.0], np.float32)
    assert tuner.agrees(x + np.float32(1e-5), x)
    assert not tuner.agrees(np.zeros(4, np.float32), x)
    assert not tuner.agrees(x + np.float32(0.1), x)
    assert not tuner.agrees(np.array([1, 2]), np.array([1, 3]))


HALVING = """
import runpy, sys
tuner = runpy.run_path({path!r})
tuner["Tuner"]._run = lambda self, module, data, best: (min(best, 2.0) / 2, [])
tuner["main"]()
"""
"""The tuner itself, for which every schedule takes half the time of the best."""


@needs_tvm
@pytest.mark.slow
def test_what_was_found_is_used_and_remembered(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "halving.py"
    script.write_text(HALVING.format(path=str(tuning.TUNER)), "utf-8")
    monkeypatch.setattr(tuning, "TUNER", script)
    module, stages = parse(PRODUCT), []
    compiled = compile_model(
        module, "tvm:llvm", options={"tune": 3}, progress=lambda stage, _: stages.append(stage)
    )
    assert stages.count("tune: nn_matmul, trial 3 of 3") == 1
    (note,) = compiled.report.notes
    assert note.startswith("tune: schedules for 1 of 1 functions, which take ")
    (kept,) = own_cache.iterdir()
    record = json.loads(kept.read_text())
    assert record["trials"] == 3
    assert record["trace"]
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(s).astype(np.float32) for s in ((16, 32), (32, 16)))
    expected = interpret(module, {"x": x, "w": w})["y"]
    np.testing.assert_allclose(compiled.run({"x": x, "w": w})["y"], expected, atol=1e-4)
    saved = load(compiled.save(tmp_path / "saved"))
    assert saved.report.notes == compiled.report.notes

    tuner_that(monkeypatch, tmp_path, "sys.exit('nothing is to be measured')")
    again = compile_model(module, "tvm:llvm", options={"tune": 2})
    assert again.report.notes == compiled.report.notes
    more = compile_model(module, "tvm:llvm", options={"tune": 4})
    assert "nothing is to be measured" in more.report.notes[1]


@needs_tvm
@pytest.mark.slow
def test_schedules_are_built_and_timed(own_cache: Path) -> None:
    """Whether one is faster is up to the machine; that all could be tried is not."""
    compiled = compile_model(parse(PRODUCT), "tvm:llvm", options={"tune": 2})
    (kept,) = own_cache.iterdir()
    record = json.loads(kept.read_text())
    assert 0 < record["seconds"] <= record["untuned"] < 1
    ones = {"x": np.ones((16, 32), np.float32), "w": np.ones((32, 16), np.float32)}
    np.testing.assert_array_equal(compiled.run(ones)["y"], np.full((16, 16), 32.0))
