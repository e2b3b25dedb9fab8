"""What every backend returns: the files of a compiled module and what is known about it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from burnish.ir import Array, Function, Module, TensorType

from .target import Target

Notify = Callable[[str, float], None]
"""Told what is at work, and the fraction done, 0 to 1."""


def silent(stage: str, fraction: float) -> None:
    """For those who do not want to know."""


class Runner(Protocol):
    """A compiled module that can be called."""

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Outputs for ``inputs``, both by name.

        Raises:
            InputError: a name, shape or element type does not fit the signature.
        """


@dataclass(frozen=True)
class Artifact:
    """What a backend made of a module.

    ``files`` by name (text or bytes), ``manifest`` what tools need to know in plain JSON types
    (signature, sizes, flags, options), ``stages`` printable data of the stages in between.
    """

    files: dict[str, str | bytes]
    manifest: dict[str, Any]
    stages: dict[str, object] = field(default_factory=dict)

    def write(self, folder: str | Path) -> None:
        """Write the files into ``folder``, which is made if need be."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            data = content if isinstance(content, bytes) else content.encode("utf-8")
            (path / name).write_bytes(data)


class Backend(Protocol):
    """What the package of a backend offers."""

    def compile_module(
        self,
        module: Module,
        target: str | Target,
        options: Mapping[str, object] | None,
        name: str | None,
        **how: Notify,
    ) -> Artifact:
        """Emit the entry function of ``module``, called ``name``.

        A backend that declares an option ``tune`` is also given ``notify`` (:data:`Notify`).
        """

    def runner(self, artifact: Artifact, **how: bool) -> Runner:
        """A way to call what was emitted on this machine."""

    def code_size(self, artifact: Artifact, target: Target) -> int | None:
        """Bytes of machine code, weights left out; None when that cannot be known here."""


def backend_of(target: Target) -> Backend:
    """The backend that emits for ``target``."""
    backend: Backend = importlib.import_module(f"burnish.backends.{target.backend}")
    return backend


def signature(function: Function) -> dict[str, Any]:
    """Inputs and outputs of a function in plain JSON types."""
    outputs = [
        function.result_names[i] if i < len(function.result_names) else f"result{i}"
        for i in range(len(function.results))
    ]
    return {
        "inputs": [_entry(name, arg.type) for name, arg in zip(function.arg_names, function.args)],
        "outputs": [_entry(name, value.type) for name, value in zip(outputs, function.results)],
    }


def _entry(name: str, type_: TensorType) -> dict[str, Any]:
    shape = [dim if isinstance(dim, int) else str(dim) for dim in type_.shape]
    return {"name": name, "shape": shape, "dtype": str(type_.dtype)}
