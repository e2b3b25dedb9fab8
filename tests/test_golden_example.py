"""examples/guarded: a team's repository whose models are guarded by golden files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

EXAMPLE = "examples/guarded"


@pytest.fixture
def team(
    root: Path,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> pytest.Pytester:
    """A copy of the repository, to run pytest in; golden files are updated with our own."""
    monkeypatch.delenv("CI", raising=False)
    shutil.copytree(root / EXAMPLE, pytester.path, dirs_exist_ok=True)
    if request.config.getoption("--update-golden"):
        run(pytester, "--update-golden")
        golden = Path("tests", "golden")
        shutil.copytree(pytester.path / golden, root / EXAMPLE / golden, dirs_exist_ok=True)
    return pytester


def run(team: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest there, in a process of its own; installed, the plugin loads by itself."""
    return team.runpytest_subprocess("-p", "burnish.testing", *arguments)


def test_nothing_has_changed(team: pytest.Pytester) -> None:
    result = run(team)
    if result.parseoutcomes().get("failed"):
        pytest.fail(f"update {EXAMPLE} with: pytest --update-golden tests/test_golden_example.py")
    result.assert_outcomes(passed=5)


@pytest.mark.slow
def test_another_weight_is_noticed_and_accepted(team: pytest.Pytester) -> None:
    path = team.path / "models" / "wake_word.onnx"
    model = onnx.load(path)
    [bias] = [i for i in model.graph.initializer if i.name == "v"]
    changed = onnx.numpy_helper.to_array(bias) + np.float32([0, 0, 0.125])
    bias.CopyFrom(onnx.numpy_helper.from_array(changed, "v"))
    onnx.save(model, path)
    result = run(team)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["-*core.constant() {value = dense<f32?3?, *"])
    result.stdout.fnmatch_lines(['"words" float32?4, 1, 3?: 12 of 12 elements differ, by *'])
    result.stdout.fnmatch_lines(["  pytest --update-golden *test_outputs*wake_word*"])
    run(team, "--update-golden", "-k", "graph or outputs").assert_outcomes(passed=2)
    run(team, "-k", "graph or outputs").assert_outcomes(passed=2)


def test_a_model_that_outgrows_its_device_is_noticed(team: pytest.Pytester) -> None:
    test = team.path / "tests" / "test_models.py"
    test.write_text(test.read_text("utf-8").replace('ram="4K"', 'ram="512"'), "utf-8")
    result = run(team, "-k", "memory")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the model does not fit c:cortex-m4*"])
