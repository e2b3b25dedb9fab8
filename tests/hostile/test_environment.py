"""Compilers, disks and callers that misbehave: one clear error each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from seed_models import FLOAT, model, node, weights

import burnish
from burnish.cli import main
from burnish.ir.errors import InputError, ToolchainError

RELU = model([node("Relu", "x", "y")], {"x": (FLOAT, [2])})


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "relu.onnx"
    onnx.save(RELU, path)
    return path


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\nexit 3\n", "failed with status 3"),
        ("#!/bin/sh\nexit 0\n", "ended well, but wrote no"),
        ('#!/bin/sh\nfor a; do [ "$p" = -o ] && mkdir "$a"; p=$a; done\n', "wrote no"),
        (
            '#!/bin/sh\nfor a; do [ "$p" = -o ] && echo hi >"$a"; p=$a; done; :\n',
            "cannot be loaded",
        ),
        ("#!/bin/sh\nprintf '\\377\\376' >&2\nexit 1\n", "failed with status 1"),
        ("#!/nonexistent\n", "cannot be run"),
        ("\x7fELF", "cannot be run"),
    ],
)
def test_compilers_that_misbehave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(script)
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ToolchainError, match=words):
        burnish.compile(RELU, "c").run({"x": weights(2)})


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_CACHE", "/dev/null/cache")
    with pytest.raises(ToolchainError, match="cannot be written"):
        burnish.compile(RELU, "c").run({"x": weights(2)})


@pytest.mark.parametrize("inputs", [None, weights(2), {3: weights(2)}, {"x": [[1], [2, 3]]}])
def test_inputs_that_are_no_arrays_by_name(inputs: object) -> None:
    compiled = burnish.compile(RELU, "c")
    for run in (compiled.run, lambda given: burnish.interpret(compiled.module, given)):
        with pytest.raises(InputError):
            run(inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [">f4", "f8", "O"])
def test_arrays_of_other_types(dtype: str) -> None:
    with pytest.raises(InputError, match="float32"):
        burnish.compile(RELU, "c").run({"x": weights(2).astype(dtype)})


def test_arrays_that_lie_oddly_in_memory() -> None:
    compiled, x = burnish.compile(RELU, "c"), weights(4)
    unaligned = np.frombuffer(b"\0" + x[:2].tobytes(), np.uint8)[1:].view(np.float32)
    for odd in (x[::2], x[1::-1], unaligned):
        np.testing.assert_array_equal(compiled.run({"x": odd})["y"], np.maximum(odd, 0))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disks(model_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["opt", str(model_file), "-o", "/dev/full"]) == 1
    assert main(["run", str(model_file), "--random", "--out", "/dev/full"]) == 1
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "burnish", "inspect", str(model_file)]
        answer = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert answer.returncode == 1
    assert answer.stderr == b"error: No space left on device\n"
    errors = capfd.readouterr().err
    assert errors.count("No space left on device") == 2
    assert "Traceback" not in errors
    assert "internal error" not in errors
