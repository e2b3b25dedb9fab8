"""The ONNX backend's door: a module in, an ONNX model out, and the way to run it here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.ir import Module
from burnish.ir.errors import ModelError

from ..base import Artifact, signature
from ..target import Target, complete_options, find_target
from .export import export_onnx
from .files import model_files
from .runner import OnnxRunner

MANIFEST_VERSION = 1


def compile_module(
    module: Module,
    target: str | Target = "onnx",
    options: Mapping[str, object] | None = None,
    name: str | None = None,
) -> Artifact:
    """Write the entry function of ``module`` as ``model.onnx``, its graph called ``name``.

    Raises:
        UnsupportedError: ops that ONNX of that opset cannot express, all named.
        TargetError: unknown option or opset.
    """
    chosen = find_target(target)
    settings = complete_options(chosen, options)
    opset = settings["opset"]
    assert isinstance(opset, int)
    model = export_onnx(module, opset=opset or None, name=name)
    files = model_files(model, str(settings["external-data"]))
    manifest: dict[str, Any] = {
        "version": MANIFEST_VERSION,
        "name": model.graph.name,
        "target": chosen.name,
        "options": dict(settings),
        **signature(module.main),
        "opsets": {entry.domain: entry.version for entry in model.opset_import},
        "nodes": len(model.graph.node),
        "weights_bytes": sum(constant.nbytes for constant in module.constants()),
        "files": sorted(files),
    }
    return Artifact(dict(files), manifest)


def runner(artifact: Artifact) -> OnnxRunner:
    """A way to call the model here: by onnxruntime, or by ONNX's reference implementation.

    Raises:
        ModelError: neither takes the model.
    """
    return OnnxRunner(artifact.files)


def code_size(artifact: Artifact, target: Target) -> int:
    """ONNX models hold no machine code."""
    return 0


def runner_from_files(folder: str | Path, manifest: Mapping[str, Any]) -> OnnxRunner:
    """The same for files that were saved.

    Raises:
        ModelError: a file of the manifest is missing, or nothing takes the model.
    """
    files: dict[str, str | bytes] = {}
    for name in manifest["files"]:
        path = Path(folder) / Path(name).name
        if not path.is_file():
            raise ModelError(f"the saved model lacks {name}", at=str(folder))
        files[name] = path.read_bytes()
    return OnnxRunner(files)
