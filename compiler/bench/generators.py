"""Other generators of C: what they write is compiled as ours is, and called directly."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from burnish.backends import find_target
from burnish.backends.c.host import SHARED, compile_files
from burnish.ir import Array
from burnish.ir.errors import clip

from ..driver import read_model
from ..frontend.onnx.bindings import bind_inputs
from ..frontend.onnx.load import load_model
from .prepared import EngineError, Prepared

EMX = "emx-onnx-cgen"
"""The engine that is emx-onnx-cgen's C."""

_FUNCTION = "emitted_model"


def prepare_emx(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
    """The C of emx-onnx-cgen with its default options, compiled with the flags of the target c.

    Raises:
        EngineError: it has no threads, or does not take the model.
        ToolchainError: the compiler refuses what it writes.
    """
    if threads != 1:
        raise EngineError(f"{EMX} runs on one thread")
    function = read_model(path, {name: array.shape for name, array in inputs.items()}).main
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        work = Path(folder)
        arguments = ["--model-name", _FUNCTION, *_sizes(path, inputs)]
        command = [sys.executable, "-m", "emx_onnx_cgen", "compile", *arguments]
        done = subprocess.run(
            [*command, str(path.resolve()), "model.c"],
            cwd=work, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise EngineError(clip(_last_line(done.stderr or done.stdout), 300))
        source = (work / "model.c").read_text("utf-8")
        library = ctypes.CDLL(
            str(compile_files({"model.c": source}, find_target("c"), "model.so", SHARED))
        )
        _load_weights(library, work / f"{_FUNCTION}.bin")
    run = getattr(library, _FUNCTION)
    outputs = [np.empty(r.type.static_shape, r.type.dtype.numpy) for r in function.results]
    arrays = [*(inputs[name] for name in function.arg_names), *outputs]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]

    def call(_kept: object = arrays) -> None:
        run(*pointers)

    return Prepared(EMX, threads, call, outputs, in_caller=True)


def _sizes(path: Path, inputs: Mapping[str, Array]) -> list[str]:
    """Options that give the dynamic axes of the model the sizes of ``inputs``."""
    types = bind_inputs(load_model(path).graph.inputs, {}, allow_unbound=True).types
    return [
        part
        for name, type_ in types.items()
        for axis, dim in enumerate(type_.shape)
        if not isinstance(dim, int)
        for part in ("--input-dim", f"{name}:{axis}={inputs[name].shape[axis]}")
    ]


def _load_weights(library: ctypes.CDLL, path: Path) -> None:
    """Weights of some size are in a file of their own, which is read once."""
    if not path.is_file():
        return
    load = getattr(library, f"{_FUNCTION}_load")
    load.restype = ctypes.c_bool
    if not load(str(path).encode()):
        raise EngineError(f"{EMX} does not read its own weights")


def _last_line(text: str) -> str:
    """What a failing program says last."""
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "it fails without a word"
