"""Running Relay in another process: what goes wrong, and, where there is a TVM, what goes right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from relay_batches import needs_relay

from burnish import compile as compile_model
from burnish import load, parse
from burnish.backends.relay import RELAY_PYTHON
from burnish.ir.errors import InputError, ModelError, ToolchainError

MODULE = """
module "sum" {
  func @main(%x: tensor<f32[2, 3]>, %n: tensor<i64[2]>) -> ("y": tensor<f32[3]>) {
    %s = tensor.reduce(%x) {kind = "sum", axes = [0]}
    %y = control.require(%s, %n) {expected = [2, 3], what = "shape"}
    core.return(%y)
  }
}
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)
N = np.array([2, 3])

FAKE = """
import json, sys
import numpy as np
for line in sys.stdin:
    request = json.loads(line)
    answer = {"ok": True, "id": 1}
    if request["do"] == "run":
        x = np.load(request["inputs"])["x"]
        if x[0, 0] == 1:
            answer = {"ok": False, "stage": "run", "error": "out of luck"}
        if x[0, 0] == 2:
            sys.exit(3)
        np.savez(request["outputs"], out0=x.sum(0), out1=np.array(x[0, 0] != 3))
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that answers as the server does, but only sums."""
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}"\n')
    interpreter.chmod(0o755)
    monkeypatch.setenv(RELAY_PYTHON, str(interpreter))


def test_without_a_tvm_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RELAY_PYTHON, raising=False)
    with pytest.raises(ToolchainError, match=RELAY_PYTHON):
        compile_model(parse(MODULE), "relay").run({"x": X, "n": N})


def test_an_interpreter_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RELAY_PYTHON, "/nowhere/python")
    with pytest.raises(ToolchainError, match="/nowhere/python"):
        compile_model(parse(MODULE), "relay").run({"x": X, "n": N})


@pytest.mark.usefixtures("fake")
def test_a_model_runs_also_when_it_was_saved(tmp_path: Path) -> None:
    compiled = compile_model(parse(MODULE), "relay")
    np.testing.assert_array_equal(compiled.run({"x": X, "n": N})["y"], X.sum(0))
    again = load(compiled.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.run({"x": X, "n": N})["y"], X.sum(0))


@pytest.mark.usefixtures("fake")
def test_what_fails_is_an_error() -> None:
    compiled = compile_model(parse(MODULE), "relay")
    with pytest.raises(ModelError, match="run: out of luck"):
        compiled.run({"x": X + 1, "n": N})
    with pytest.raises(InputError, match="other sizes than the model declares"):
        compiled.run({"x": X + 3, "n": N})
    with pytest.raises(ModelError, match="ended with status 3"):
        compiled.run({"x": X + 2, "n": N})
    np.testing.assert_array_equal(
        compile_model(parse(MODULE), "relay").run({"x": X, "n": N})["y"], X.sum(0)
    )


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": X}, "missing input 'n'"),
        ({"x": X, "n": N, "z": X}, "unknown input 'z'"),
        ({"x": X.T, "n": N}, "needs float32"),
        ({"x": X.astype(np.float64), "n": N}, "float64"),
    ],
)
def test_inputs_are_checked(inputs: dict[str, np.ndarray], message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=message):
        compile_model(parse(MODULE), "relay").run(inputs)


@pytest.mark.slow
@needs_relay
def test_relay_runs_a_model() -> None:
    compiled = compile_model(parse(MODULE), "relay")
    np.testing.assert_array_equal(compiled.run({"x": X, "n": N})["y"], X.sum(0))
    with pytest.raises(InputError, match="other sizes"):
        compiled.run({"x": X, "n": N[::-1].copy()})


PARTITION = """
import sys, tvm
from tvm import relay
module = tvm.parser.fromtext(open(sys.argv[1]).read())
for step in (relay.transform.AnnotateTarget("burnish"), relay.transform.MergeCompilerRegions(),
             relay.transform.PartitionGraph(), relay.transform.DefuseOps()):
    module = step(relay.transform.InferType()(module))
for name in module.get_global_vars():
    function = module[name]
    if function.attrs and "Compiler" in function.attrs.keys():
        found = []
        relay.analysis.post_order_visit(
            function.body, lambda e: found.append(str(e.attrs["Composite"]))
            if isinstance(e, relay.Function) else None)
        print(function.attrs["Compiler"], *sorted(found))
"""


@pytest.mark.slow
@needs_relay
def test_code_generators_find_their_patterns(root: Path, tmp_path: Path) -> None:
    model = root / "examples" / "digits" / "digits.onnx"
    compiled = compile_model(model, "relay", options={"groups": "composite"})
    compiled.save(tmp_path / "saved")
    script = tmp_path / "partition.py"
    script.write_text(PARTITION)
    relay = os.environ[RELAY_PYTHON]
    command = [relay, str(script), str(tmp_path / "saved" / "model.relay")]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(found.splitlines()) == [
        "burnish burnish.conv2d_bias_maximum_minimum burnish.conv2d_bias_relu",
        "burnish burnish.conv2d_bias_relu burnish.conv2d_bias_relu",
    ]


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("groups", ["inline", "composite"])
def test_the_loader_builds_the_model(root: Path, tmp_path: Path, groups: str) -> None:
    model = root / "examples" / "digits" / "digits.onnx"
    folder = compile_model(model, "relay", options={"groups": groups}).save(tmp_path / "saved")
    script = "from load_model import model; model.run(); print(model.get_output(0).shape)"
    command = [os.environ[RELAY_PYTHON], "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.splitlines()[-1] == "(1, 10)"
