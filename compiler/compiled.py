"""A compiled model: what was emitted, what is known of it, and how to run it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.backends import Artifact, Runner, Target, backend_of, find_target
from burnish.ir import Array, Error, Module, parse
from burnish.ir.errors import TargetError, clip
from burnish.ir.interpreter import named_arrays

from .outputs import OutputError, json_text, read_folder, write_folder
from .report.data import Report

IR_FILE = "model.burnish"
REPORT_PAGE = "report.html"
REPORT_DATA = "report.json"


class CompiledModel:
    """What :func:`burnish.compile` and :func:`burnish.load` give.

    Attributes:
        module: the final IR.  Of a loaded model, large constants are named but not held.
        target: what it was compiled for.
        report: per-layer cost, memory plan, passes, sizes.
        artifact: what the backend returned.
    """

    def __init__(self, module: Module, target: Target, artifact: Artifact, report: Report) -> None:
        self.module = module
        self.target = target
        self.artifact = artifact
        self.report = report
        self._runner: Runner | None = None

    @property
    def files(self) -> dict[str, str | bytes]:
        """Everything that was emitted, by file name."""
        return self.artifact.files

    @property
    def source(self) -> dict[str, str]:
        """The emitted text files, by name."""
        return {name: data for name, data in self.files.items() if isinstance(data, str)}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name, computed on this machine.

        The first call makes the model ready: for C it builds the sources with the system's
        compiler (a build is kept), ONNX it hands to a runtime.

        Raises:
            InputError: names, element types or shapes do not fit, or an index is out of range.
            ModelError: no runtime that is installed takes the model.
            TargetError: the target is another machine.
            ToolchainError: there is no C compiler, or it failed.
        """
        if self._runner is None:
            self._runner = runner(self.artifact, self.target)
        return self._runner.run(named_arrays(inputs))

    def measure(self) -> int | None:
        """Bytes of machine code for the target, which the report then holds.

        None when the target's compiler is not installed.
        """
        if self.report.sizes.code is None:
            code = backend_of(self.target).code_size(self.artifact, self.target)
            sizes = dataclasses.replace(self.report.sizes, code=code)
            self.report = dataclasses.replace(self.report, sizes=sizes)
        return self.report.sizes.code

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write everything the target needs, ``report.html`` and ``manifest.json`` to a folder.

        The folder is complete or not there; see :mod:`.outputs` for one that exists.  The bytes
        depend on the model, the request and this version of burnish alone.

        Raises:
            OutputError: the folder holds other things, or cannot be written.
        """
        files = {
            **self.files,
            IR_FILE: str(self.module),
            REPORT_PAGE: self.report.html(),
            REPORT_DATA: json_text(self.report.to_dict(timing=False)),
        }
        manifest = {
            "burnish": self.report.version,
            "target": self.target.name,
            "emitted": sorted(self.files),
            "text": sorted(self.source),
            "artifact": self.artifact.manifest,
        }
        return write_folder(folder, files, manifest)


def load(folder: str | os.PathLike[str]) -> CompiledModel:
    """A compiled model from the folder that :meth:`CompiledModel.save` wrote, runnable again.

    Running it builds and executes the sources in the folder: load what you trust.

    Raises:
        OutputError: the folder is none, or damaged.
    """
    files, manifest = read_folder(folder)
    try:
        emitted: dict[str, str | bytes] = {
            name: files[name].decode("utf-8") if name in manifest["text"] else files[name]
            for name in manifest["emitted"]
        }
        return CompiledModel(
            module=parse(files[IR_FILE].decode("utf-8")),
            target=find_target(manifest["target"]),
            artifact=Artifact(emitted, _mapping(manifest["artifact"])),
            report=Report.from_dict(_mapping(json.loads(files[REPORT_DATA]))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(
            f"the folder's manifest does not describe a compiled model: {clip(str(error))}",
            at=clip(str(folder)),
            help="compile the model again",
        ) from None
    except Error as error:
        raise error.located(clip(str(folder))) from None


def _mapping(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__} where an object belongs")
    return data


def runner(artifact: Artifact, target: Target, **how: bool) -> Runner:
    """A way to call the artifact here; ``how`` is for the backend (``sanitize=True``).

    Raises:
        TargetError: the target is another machine.
        ToolchainError: there is no C compiler, or it failed.
    """
    if not target.host:
        raise TargetError(
            f"a model compiled for {target.name} does not run on this machine",
            help="compile it for c to run it here",
        )
    return backend_of(target).runner(artifact, **how)
