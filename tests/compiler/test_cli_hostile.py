"""Wrong requests on the command line: one clear error, the documented status, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .conftest import CommandLine

COMMANDS = (
    ("compile", "--out", "out"),
    ("run", "--random"),
    ("opt", "--out", "out.burnish"),
    ("bench", "--rounds", "1"),
    ("inspect",),
    ("verify", "--samples", "1"),
    ("prune", "--out", "out.onnx"),
)
"""What takes a model, and what it needs beside it."""

FILES = ("missing.onnx", "empty.onnx", "text.onnx", "folder.onnx", "cut.onnx", "text.burnish",
         "bytes.burnish", "/dev/null", "x" * 300 + ".onnx")  # fmt: skip


@pytest.fixture
def files(tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The current folder holds what should be no model, and ``model.onnx``, which is one."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    monkeypatch.chdir(folder)
    model = model_file.read_bytes()
    Path("model.onnx").write_bytes(model)
    Path("cut.onnx").write_bytes(model[: len(model) // 2])
    Path("empty.onnx").write_bytes(b"")
    Path("text.onnx").write_text("a model, I promise\n" * 20, "utf-8")
    Path("text.burnish").write_text("module {", "utf-8")
    Path("bytes.burnish").write_bytes(bytes(range(256)))
    Path("folder.onnx").mkdir()
    np.save("wrong.npy", np.zeros((3, 2), np.float32))
    np.save("integers.npy", np.zeros((1, 4), np.int64))
    np.savez("other.npz", other=np.zeros(3))
    return sorted(folder.rglob("*"))


def check(burnish: CommandLine, files: list[Path], arguments: list[str], status: int) -> None:
    assert burnish(*arguments, status=status) == ""
    errors = [line for line in burnish.err.splitlines() if line.lower().startswith("error")]
    assert len(errors) == 1
    assert "internal error" not in burnish.err
    assert sorted(Path.cwd().rglob("*")) == files


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_is_no_model(
    burnish: CommandLine, files: list[Path], command: tuple[str, ...], file: str
) -> None:
    check(burnish, files, [command[0], file, *command[1:]], 1)


COMPILE = ["compile", "model.onnx", "--out", "out"]


@pytest.mark.parametrize(
    "option",
    ["threads=0", "threads=-1", "threads=1000", "threads=two", "threads=1.5", "threads=",
     "winograd=maybe", "winograd=true", "profile=perhaps", "weights=none", "arena=big",
     "fast-math=some", "files=-1", "files=nan", "no-such=1"],
)  # fmt: skip
def test_options_of_the_target(burnish: CommandLine, files: list[Path], option: str) -> None:
    check(burnish, files, [*COMPILE, "--option", option], 1)


@pytest.mark.parametrize(
    "arguments",
    [[*COMPILE, "--target", "nothing"], [*COMPILE, "--target", ""],
     [*COMPILE, "--passes", "nothing"], [*COMPILE, "--passes", "fuse{"],
     [*COMPILE, "--passes", "fuse{max-inputs=x}"], [*COMPILE, "--dim", "nothing=1"],
     [*COMPILE, "--dims-from", "missing.npz"], [*COMPILE, "--dims-from", "folder.onnx"],
     ["compile", "model.onnx", "--out", "text.onnx"],
     ["compile", "model.onnx", "--out", "text.onnx/below"],
     ["compile", "model.onnx", "--out", "."],
     ["run", "model.onnx", "--input", "x=wrong.npy"],
     ["run", "model.onnx", "--input", "x=integers.npy"],
     ["run", "model.onnx", "--input", "other.npz"],
     ["run", "model.onnx", "--input", "folder.onnx"],
     ["verify", "model.onnx", "--inputs", "other.npz"],
     ["verify", "model.onnx", "--inputs", "missing.npz"],
     ["bench", "model.onnx", "--target", "c:cortex-m4"],
     ["opt", "model.onnx", "--print-ir-after", "nothing"],
     ["opt", "model.onnx", "--print-ir-after", "all", "--print-ir-dir", "text.onnx"],
     ["opt", "model.onnx", "--opset", "3", "--out", "out.onnx"],
     ["opt", "model.onnx", "--out", "folder.onnx"],
     ["prune", "model.onnx", "--out", "out.onnx", "--sparsity", "nan"],
     ["prune", "model.onnx", "--out", "out.onnx", "--block", "0x1"],
     ["ops", "nothing"], ["passes", "nothing"], ["passes", "new", "a b"],
     ["passes", "--check", "text.onnx"]],
    ids=" ".join,
)  # fmt: skip
def test_requests_that_cannot_be_met(
    burnish: CommandLine, files: list[Path], arguments: list[str]
) -> None:
    check(burnish, files, arguments, 1)


@pytest.mark.parametrize(
    "arguments",
    [[*COMPILE, "--option", "tune=abc"], [*COMPILE, "--option", "tune=0"],
     [*COMPILE, "--option", "tune=-1s"], [*COMPILE, "--option", "="],
     [*COMPILE, "--ram", "many"], [*COMPILE, "--flash", "-1"], [*COMPILE, "--dim", "n"],
     [*COMPILE, "--shape", "x=-1"], [*COMPILE, "--layout", "nothing=NHWC"],
     [*COMPILE, "--verify", "maybe"],
     ["run", "model.onnx", "--random", "--seed", "-1"],
     ["verify", "model.onnx", "--seed", "-1"], ["verify", "model.onnx", "--tolerance", "nan"],
     ["verify", "model.onnx", "--tolerance", "-1"], ["opt", "model.onnx", "--seed", "-1"],
     ["opt", "model.onnx", "--load", "text.onnx"], ["bench", "model.onnx", "--threads", "two"],
     ["bench", "model.onnx", "--engine", "nothing"],
     ["prune", "model.onnx", "--out", "out.onnx", "--sparsity", "2"],
     ["ops", "nn.conv", "--markdown"], ["ops", "nn.conv", "--out", "page.md"],
     ["passes", "--check", "missing.rules"], ["passes", "a", "b", "c"], ["targets", "c"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage(burnish: CommandLine, files: list[Path], arguments: list[str]) -> None:
    check(burnish, files, arguments, 2)


def test_values_of_text_options_may_look_like_numbers(
    burnish: CommandLine, files: list[Path]
) -> None:
    burnish(*COMPILE, "--option", "tune=0.2", "--option", "name=7")
    assert Path("out/model_7.h").is_file()
