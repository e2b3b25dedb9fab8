from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import burnish as package
from burnish.cli.app import burnish as group
from burnish.cli.app import main
from burnish.samples import read_arrays, write_arrays

from .conftest import CommandLine

COMMANDS = sorted(group.commands)


def test_the_commands_are_those_of_the_design() -> None:
    assert COMMANDS == [
        "bench",
        "compile",
        "inspect",
        "ops",
        "opt",
        "passes",
        "prune",
        "run",
        "targets",
        "verify",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(burnish: CommandLine, command: str) -> None:
    assert f"Example: burnish {command}" in burnish(command, "--help").replace("\n", " ")


def test_help_loads_nothing_heavy() -> None:
    script = "import sys; from burnish.cli import main; main(['--help']); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "onnx", "rich", "lark"} & set(loaded)


def test_version(burnish: CommandLine) -> None:
    assert burnish("--version") == f"burnish {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["fly"], ["compile"], ["compile", "m.onnx"], ["compile", "m.onnx", "--out", "o", "--nope"],
     ["verify", "m.onnx", "--samples", "0"], ["run", "m.onnx"],
     ["run", "m.onnx", "--random", "--input", "x=y.npy"]],
)  # fmt: skip
def test_wrong_usage(burnish: CommandLine, arguments: list[str]) -> None:
    assert burnish(*arguments, status=2) == ""
    assert "burnish" in burnish.err or "Error" in burnish.err


def test_compile_run_from_the_folder(
    burnish: CommandLine, model_file: Path, tmp_path: Path, sample: dict[str, np.ndarray]
) -> None:
    out = tmp_path / "out"
    text = burnish("compile", model_file, "--out", out)
    assert "RAM" in text
    assert f"wrote {out}" in text
    assert {"small.c", "small.h", "report.html", "manifest.json"} <= {p.name for p in out.iterdir()}
    np.save(tmp_path / "x.npy", sample["x"])
    burnish("run", out, "--input", f"x={tmp_path / 'x.npy'}", "--out", tmp_path / "y.npz")
    y = read_arrays(tmp_path / "y.npz")["y/out"]
    data = json.loads(burnish("run", model_file, "--input", f"x={tmp_path / 'x.npy'}", "--json"))
    np.testing.assert_allclose(data["y/out"]["data"], y, rtol=1e-6)
    write_arrays(tmp_path / "all.npz", sample)
    assert "y/out" in burnish("run", model_file, "--input", tmp_path / "all.npz")


def test_compile_options(burnish: CommandLine, open_model_file: Path, tmp_path: Path) -> None:
    text = burnish(
        "compile", open_model_file, "--out", tmp_path / "out", "--target", "c:generic",
        "--dim", "batch=2", "--passes", "canonicalize,dce", "--option", "name=net",
        "--option", "weights=array", "--option", "fast-math=true", "--ram", "64K",
        "--flash", "1M", "--verify", "each", "--json",
    )  # fmt: skip
    data = json.loads(text)
    assert data["target"] == "c:generic"
    assert data["inputs"] == [{"name": "x", "type": "f32[2, 4]"}]
    assert data["pipeline"] == "canonicalize{fast-math=true},dce"
    assert data["totals"]["macs"] == 64
    assert (tmp_path / "out" / "net.c").exists()


def test_what_does_not_fit_is_not_written(
    burnish: CommandLine, model_file: Path, tmp_path: Path
) -> None:
    burnish("compile", model_file, "--out", tmp_path / "out", "--ram", "8", status=1)
    assert "does not fit c: it needs" in burnish.err
    assert not (tmp_path / "out").exists()


def test_an_unbound_dimension_says_how_to_bind_it(
    burnish: CommandLine, open_model_file: Path, tmp_path: Path
) -> None:
    burnish("compile", open_model_file, "--out", tmp_path / "out", status=1)
    assert "--dim batch=1" in burnish.err
    burnish("compile", open_model_file, "--dim", "batch=1", "--out", tmp_path / "out")


def test_open_dimensions_come_from_samples(
    burnish: CommandLine, open_model_file: Path, tmp_path: Path
) -> None:
    write_arrays(tmp_path / "s.npz", {"x": np.ones((5, 3, 4), np.float32)})
    text = burnish("compile", open_model_file, "--dims-from", tmp_path / "s.npz",
                   "--out", tmp_path / "out", "--json")  # fmt: skip
    assert json.loads(text)["inputs"][0]["type"] == "f32[3, 4]"
    write_arrays(open_model_file.parent / "inputs.npz", {"x": np.ones((5, 2, 4), np.float32)})
    burnish("compile", open_model_file, "--out", tmp_path / "out")
    assert "note: shapes from" in burnish.err
    assert '"x" [2, 4]' in burnish.err
    text = burnish("compile", open_model_file, "--dim", "batch=7", "--out", tmp_path / "out",
                   "--json")  # fmt: skip
    assert json.loads(text)["inputs"][0]["type"] == "f32[7, 4]"
    assert burnish.err == ""
    write_arrays(open_model_file.parent / "inputs.npz", {"other": np.ones((5, 2, 4))})
    burnish("compile", open_model_file, "--out", tmp_path / "out", status=1)
    assert 'no samples for input "x"' in burnish.err


def test_verify(burnish: CommandLine, model_file: Path) -> None:
    text = burnish("verify", model_file)
    assert text.count(" ok ") == 2
    assert "random numbers, seed 0" in text
    write_arrays(model_file.parent / "inputs.npz", {"x": np.ones((5, 1, 4), np.float32)})
    assert "5 samples" in burnish("verify", model_file)
    data = json.loads(burnish("verify", model_file, "--samples", "2", "--json"))
    assert data["ok"] is True
    assert data["samples"] == 2
    assert {c["reference"] for c in data["comparisons"]} == {"onnxruntime", "interpreter"}


def test_verify_says_what_differs(burnish: CommandLine, model_file: Path) -> None:
    text = burnish("verify", model_file, "--tolerance", "0", "--samples", "20", status=1)
    assert "DIFFERS" in text


def test_verify_binds_from_samples(burnish: CommandLine, open_model_file: Path) -> None:
    write_arrays(open_model_file.parent / "inputs.npz", {"x": np.ones((2, 3, 4), np.float32)})
    assert "2 samples" in burnish("verify", open_model_file)
    assert "note: shapes from" in burnish.err


def test_verify_ir(burnish: CommandLine, model_file: Path, tmp_path: Path) -> None:
    burnish("opt", model_file, "-o", tmp_path / "m.burnish")
    text = burnish("verify", tmp_path / "m.burnish")
    assert "interpreter" in text
    assert "onnxruntime" not in text


def test_inspect(burnish: CommandLine, model_file: Path, open_model_file: Path) -> None:
    text = burnish("inspect", model_file)
    for part in ("ai.onnx 17", "x: f32[1, 4]", "MatMul", "MACs", "32", "It will compile."):
        assert part in text
    text = burnish("inspect", open_model_file)
    assert "--dim batch=1" in text
    assert "32*batch" in text
    assert "It will compile." in burnish("inspect", open_model_file, "--dim", "batch=1")
    data = json.loads(burnish("inspect", model_file, "--json"))
    assert data["compiles"] is True
    assert data["operators"]["MatMul"] == 1
    assert data["parameters"] == 40


def test_inspect_lists_what_is_unsupported(burnish: CommandLine, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["a"], name="first", domain="acme"),
        helper.make_node("Frobnicate", ["a"], ["b"], name="second", domain="acme"),
        helper.make_node("Transmogrify", ["b"], ["y"], name="third", domain="acme"),
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    text = burnish("inspect", tmp_path / "m.onnx", status=1)
    for part in ("will not compile", "acme.Frobnicate (2x)", '"first"', "acme.Transmogrify (1x)"):
        assert part in text
    burnish("compile", tmp_path / "m.onnx", "--out", tmp_path / "out", status=1)
    assert "Frobnicate" in burnish.err
    assert "Transmogrify" in burnish.err


def test_opt(burnish: CommandLine, model_file: Path, tmp_path: Path) -> None:
    printed = burnish("opt", model_file, "-p", "")
    assert printed.startswith("module ")
    assert "math.relu" in printed
    assert "core.group" in burnish("opt", model_file, "--time-passes", "--print-ir-after", "all")
    assert "IR after fuse" in burnish.err
    assert "canonicalize" in burnish.err
    file = tmp_path / "m.burnish"
    assert burnish("opt", model_file, "-p", "canonicalize", "-o", file) == ""
    assert burnish("opt", file, "-p", "") == burnish("opt", model_file, "-p", "canonicalize")
    burnish("compile", file, "--out", tmp_path / "out")
    burnish("opt", model_file, "-p", "canonicalize,dce", "--fast-math", "--time-passes")
    assert "canonicalize{fast-math=true}" in burnish.err
    burnish("opt", model_file, "-p", "nonsense", status=1)
    assert "no pass nonsense" in burnish.err
    burnish("opt", model_file, "--print-ir-after", "nonsense", status=1)


def test_listings(burnish: CommandLine) -> None:
    assert "c:cortex-m4" in burnish("targets")
    assert any(t["name"] == "c" for t in json.loads(burnish("targets", "--json")))
    assert "canonicalize" in burnish("passes")
    assert burnish("passes", "fold").startswith("fold\n")
    assert json.loads(burnish("passes", "fold", "--json"))[0]["name"] == "fold"
    burnish("passes", "fo1d", status=1)
    assert "nn.conv" in burnish("ops")
    assert "groups = 1" in burnish("ops", "nn.conv")
    assert json.loads(burnish("ops", "nn.conv", "--json"))[0]["operands"][0]["name"] == "x"
    burnish("ops", "nn.convolution", status=1)
    assert "did you mean" in burnish.err


def test_every_op_has_a_page(burnish: CommandLine) -> None:
    for definition in json.loads(burnish("ops", "--json")):
        assert definition["doc"], definition["name"]
        assert burnish("ops", definition["name"]).startswith(definition["name"])


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x07\xff\xff", b"<html>"])
def test_broken_models_are_one_clear_error(
    burnish: CommandLine, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    for command in (["compile", "--out", tmp_path / "out"], ["inspect"], ["verify"], ["opt"],
                    ["run", "--random"]):  # fmt: skip
        assert burnish(command[0], tmp_path / "bad.onnx", *command[1:], status=1) == ""
        assert burnish.err.startswith("error[E-")
        assert "bad.onnx" in burnish.err


def test_bad_inputs_are_one_clear_error(
    burnish: CommandLine, model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    np.save(tmp_path / "wide.npy", np.ones((1, 5), np.float32))
    np.save(tmp_path / "good.npy", np.ones((1, 4), np.float32))
    for text in ("x=bad.npy", "x=wide.npy", "x=missing.npy", "z=good.npy"):
        name, _, file = text.partition("=")
        burnish("run", model_file, "--input", f"{name}={tmp_path / file}", status=1)
        assert burnish.err.startswith("error[E-INPUT]")
    burnish("run", model_file, "--input", tmp_path / "good.npy", status=2)
    assert "does not say which input" in burnish.err
    burnish("run", model_file, "--input", "x", status=1)


def test_an_internal_error_asks_for_a_report(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("burnish.backends.targets", explode)
    assert main(["targets"]) == 1
    error = capfd.readouterr().err
    assert "internal error: RuntimeError: boom" in error
    assert "BURNISH_DEBUG=1" in error
    assert "Traceback" not in error
    monkeypatch.setenv("BURNISH_DEBUG", "1")
    assert main(["targets"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_a_closed_pipe_is_no_error(model_file: Path) -> None:
    command = f"{sys.executable} -m burnish ops --json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "[\n"
    assert done.stderr == ""
