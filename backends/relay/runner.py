"""Runs a model by a TVM that has Relay, in a process of its own.

Such a TVM lives in an environment with an old Python; ``BURNISH_RELAY_PYTHON`` names its
interpreter, and ``BURNISH_RELAY_TARGET`` the target that it builds for.  One process serves all
models: it takes seconds to start.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from burnish.ir import Array, Constant, DType
from burnish.ir.errors import InputError, ModelError, ToolchainError, clip

from .loader import NPZ_FILE, TEXT_FILE
from .parameters import npz_bytes
from .storage import restored, stored

RELAY_PYTHON = "BURNISH_RELAY_PYTHON"
"""Names the interpreter that can import ``tvm.relay``."""

RELAY_TARGET = "BURNISH_RELAY_TARGET"
"""The machine and the effort to build for, as TVM writes targets; ``llvm`` where it is not set."""

_DTYPES = {str(dtype): dtype for dtype in DType}

_SERVER = Path(__file__).with_name("server.py")


class _Server:
    """The process, which answers each line of JSON by one."""

    def __init__(self, interpreter: str) -> None:
        self.owner = os.getpid()
        self.interpreter = interpreter
        try:
            self._process = subprocess.Popen(
                [interpreter, str(_SERVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise ToolchainError(
                f"{RELAY_PYTHON} is {clip(interpreter)}, which does not start: {error.strerror}"
            ) from None

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, **request: object) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            ModelError: Relay refuses, or the process ended.
        """
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        try:
            to.write(json.dumps(request) + "\n")
            to.flush()
            line = back.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ModelError(f"Relay ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ModelError(f"Relay: {answer['stage']}: {clip(answer['error'], 600)}")
        return answer


_servers: list[_Server] = []


def relay_server() -> _Server:
    """The process that runs, started if need be; one for each interpreter and process of ours.

    Raises:
        ToolchainError: nothing says where a Relay is.
    """
    interpreter = os.environ.get(RELAY_PYTHON, "")
    if not interpreter:
        raise ToolchainError(
            "no TVM with Relay is known here",
            help=f"let {RELAY_PYTHON} name a Python interpreter that can import tvm.relay",
        )
    _servers[:] = [s for s in _servers if s.owner == os.getpid() and s.alive]
    for server in _servers:
        if server.interpreter == interpreter:
            return server
    _servers.append(_Server(interpreter))
    return _servers[-1]


def _drop(server: _Server, model: int) -> None:
    """Let the process forget a model, if it is there."""
    if server.owner == os.getpid() and server.alive:
        with contextlib.suppress(ModelError):
            server.ask(do="drop", id=model)


class RelayRunner:
    """A model that Relay has built."""

    def __init__(self, files: Mapping[str, str | bytes], manifest: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._folder = tempfile.TemporaryDirectory(prefix="burnish-relay-")
        for name in (TEXT_FILE, NPZ_FILE):
            content = files[name]
            data = content if isinstance(content, bytes) else content.encode()
            self._path(name).write_bytes(data)
        self._server = relay_server()
        self._id: int = self._server.ask(
            do="build",
            text=str(self._path(TEXT_FILE)),
            params=str(self._path(NPZ_FILE)),
            executor=manifest["executor"],
            composite=manifest["options"].get("groups") == "composite",
            target=os.environ.get(RELAY_TARGET) or "llvm",
        )["id"]
        weakref.finalize(self, _drop, self._server, self._id)

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Outputs for ``inputs``, both by name.

        Raises:
            InputError: a name, shape or element type does not fit the signature.
            ModelError: Relay fails.
        """
        arrays = {name: np.asarray(array) for name, array in inputs.items()}
        self._check(arrays)
        names = self._manifest["parameters"]
        path, result = self._path("inputs.npz"), self._path("outputs.npz")
        constants = {names[name]: Constant(stored(array)) for name, array in arrays.items()}
        path.write_bytes(npz_bytes(constants))
        self._server.ask(do="run", id=self._id, inputs=str(path), outputs=str(result))
        with np.load(result) as found:
            if self._manifest["checked"] and not found[f"out{len(self._manifest['outputs'])}"]:
                raise InputError("the inputs hold other sizes than the model declares")
            return {
                entry["name"]: restored(found[f"out{index}"], _DTYPES[entry["dtype"]])
                for index, entry in enumerate(self._manifest["outputs"])
            }

    def _check(self, arrays: Mapping[str, Array]) -> None:
        expected = {entry["name"]: entry for entry in self._manifest["inputs"]}
        missing = [name for name in expected if name not in arrays]
        unknown = [name for name in arrays if name not in expected]
        for names, what in ((missing, "missing"), (unknown, "unknown")):
            if names:
                raise InputError(f"{what} input {', '.join(clip(repr(n)) for n in names)}")
        for name, entry in expected.items():
            array = arrays[name]
            dtype = _DTYPES[entry["dtype"]].numpy
            if array.dtype != dtype or list(array.shape) != entry["shape"]:
                raise InputError(
                    f'input "{clip(name)}" is {array.dtype}{list(array.shape)}, '
                    f"needs {dtype}{entry['shape']}"
                )
