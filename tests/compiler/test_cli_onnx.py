"""``burnish opt -o FILE.onnx`` and the target ``onnx`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest


def opset(path: Path) -> int:
    (entry,) = onnx.load(path).opset_import
    return entry.version


def test_opt_writes_onnx(burnish, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert burnish("opt", model_file, "-o", out) == ""
    onnx.checker.check_model(str(out), full_check=True)
    assert [node.op_type for node in onnx.load(out).graph.node] == ["Gemm", "Relu", "Sigmoid"]
    burnish("opt", model_file, "-o", out, "--opset", "17")
    assert opset(out) == 17


def test_opt_writes_onnx_from_ir(burnish, model_file: Path, tmp_path: Path) -> None:
    burnish("opt", model_file, "-p", "", "-o", tmp_path / "m.burnish")
    burnish("opt", tmp_path / "m.burnish", "-p", "", "-o", tmp_path / "m.onnx")
    found = onnx.load(tmp_path / "m.onnx").graph
    assert [node.name for node in found.node] == ["product", "bias", "relu", "sigmoid"]
    assert [value.name for value in found.output] == ["y/out"]


def test_open_dimensions_stay_open(burnish, open_model_file: Path, tmp_path: Path) -> None:
    burnish("opt", open_model_file, "-o", tmp_path / "out.onnx")
    (info,) = onnx.load(tmp_path / "out.onnx").graph.input
    assert info.type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("opset_text", ["5", "1000"])
def test_a_wrong_opset_is_refused(burnish, model_file: Path, tmp_path: Path, opset_text) -> None:
    burnish("opt", model_file, "-o", tmp_path / "m.onnx", "--opset", opset_text, status=1)
    assert f"no opset {opset_text}" in burnish.err
    assert not (tmp_path / "m.onnx").exists()


def test_an_opset_is_for_onnx(burnish, model_file: Path) -> None:
    burnish("opt", model_file, "--opset", "18", status=2)
    assert "--out FILE.onnx" in burnish.err


def test_the_target_does_the_main_job(burnish, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    burnish("compile", model_file, "--target", "onnx", "--option", "opset=19", "--out", out)
    assert opset(out / "model.onnx") == 19
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["artifact"]["opsets"] == {"": 19}
    burnish("run", out, "--random")
    burnish("verify", model_file, "--target", "onnx")
