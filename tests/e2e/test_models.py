"""The main job on real models: compile to C, run, compare with onnxruntime and the interpreter.

The models lie outside the repository.  A few small ones are part of the everyday tests; all of
them are compared, and run under sanitizers, with ``-m slow``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from real_models import FLOAT_FILES, QUANTIZED_FILES, dims_of

import burnish
from burnish.compiled import runner
from burnish.driver import read_model
from burnish.samples import Samples
from burnish.verification import Verification, choose_samples, verify_execution, verify_model

EVERYDAY_FILES = [
    "models/digits_cnn/model.onnx",
    "models/digits_gru/model.onnx",
    "models/digits_vit/model.onnx",
    "models/mlperf_tiny_kws_dscnn/int8.onnx",
    "models/silero_vad_step/model.onnx",
    "models/tflm_sine/model.onnx",
    "zoo/bert_tiny/model.onnx",
    "zoo/shiftnet/model.onnx",
]

MAX_SAMPLES = {"models/dnsmos_sig_bak_ovr/model.onnx": 1}
"""19 billion multiply-accumulates per sample, where others have less than one."""

STEPS = {"models/mobilenet_v2_imagenet_int8/int8.onnx": 46}
"""Rounding ties grow over 52 layers: onnxruntime's own optimizer moves this one by 46 steps."""


def verification(model: Path, name: str) -> Verification:
    result = verify_model(
        str(model),
        dims=dims_of(model),
        samples=MAX_SAMPLES.get(name),
        steps=STEPS.get(name, 1),
    )
    assert not result.skipped
    return result


def check(result: Verification) -> None:
    wrong = [comparison for comparison in result.comparisons if not comparison.ok]
    assert not wrong, "\n".join(map(str, wrong))
    assert {comparison.reference for comparison in result.comparisons} == {
        "onnxruntime",
        "interpreter",
    }


def test_no_model_is_left_out(shared: Path) -> None:
    found = [*shared.glob("models/*/*.onnx"), *shared.glob("zoo/*/*.onnx")]
    names = sorted(path.relative_to(shared).as_posix() for path in found)
    assert names == sorted(FLOAT_FILES + QUANTIZED_FILES)


@pytest.mark.parametrize("name", EVERYDAY_FILES)
def test_small_models_agree_with_the_references(shared: Path, name: str) -> None:
    pytest.importorskip("onnxruntime")
    check(verification(shared / name, name))


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT_FILES + QUANTIZED_FILES)
def test_models_agree_with_the_references(shared: Path, name: str) -> None:
    pytest.importorskip("onnxruntime")
    check(verification(shared / name, name))


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT_FILES + QUANTIZED_FILES)
def test_sanitizers_are_silent(shared: Path, name: str) -> None:
    """Address errors and undefined behaviour end the program; its results are compared, too."""
    model = shared / name
    dims = dims_of(model)
    compiled = burnish.compile(model, dims=dims)
    module = read_model(model, dims)
    samples: Samples = choose_samples(model, module, None, 1, 0)
    checked = runner(compiled.artifact, compiled.target, sanitize=True)
    result = verify_execution(
        checked.run, {"plain build": lambda: compiled.run}, samples, tolerance=1e-5
    )
    quantized = name in QUANTIZED_FILES
    assert result.ok or quantized, "\n".join(map(str, result.comparisons))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYDAY_FILES)
def test_the_ir_is_valid_after_every_pass(shared: Path, name: str) -> None:
    burnish.compile(shared / name, dims=dims_of(shared / name), verify="each")


def test_the_command_line_does_the_main_job(
    shared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """``burnish compile MODEL --target c --out DIR && burnish verify MODEL``, dims included."""
    from burnish.cli import main

    model = os.fspath(shared / "models" / "silero_vad_step" / "model.onnx")
    assert main(["compile", model, "--target", "c", "--out", os.fspath(tmp_path / "out")]) == 0
    assert "note: shapes from" in capfd.readouterr().err
    assert main(["verify", model, "--samples", "2"]) == 0
    assert main(["run", os.fspath(tmp_path / "out"), "--random"]) == 0
