"""The Relay backend's door: a module in, Relay text and parameters out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.ir import Module
from burnish.ir.clone import clone_module
from burnish.ir.errors import ModelError, TargetError
from burnish.passes import run_pipeline

from ..base import Artifact, signature
from ..target import OptionValue, Target, complete_options, find_target
from .checker import check_functions
from .context import Choices
from .layouts import DEFAULT, layout_model_name
from .loader import LOADER_FILE, NPZ_FILE, PARAMETERS_FILE, TEXT_FILE, loader_script
from .lower import lower_module
from .parameters import npz_bytes, parameter_bytes
from .parser import parse_relay
from .printer import module_text
from .runner import RelayRunner
from .syntax import Body, If, bodies

MANIFEST_VERSION = 1


def compile_module(
    module: Module,
    target: str | Target = "relay",
    options: Mapping[str, object] | None = None,
    name: str | None = None,
) -> Artifact:
    """Write the entry function of ``module`` as Relay text, its constants beside it.

    The text is parsed again and type-checked before it is handed out.

    Raises:
        UnsupportedError: ops that Relay cannot express, all named.
        TargetError: unknown option or release, or a name of a code generator that is none.
    """
    chosen = find_target(target)
    settings = complete_options(chosen, options)
    version = str(settings["relay-version"])
    choices = _choices(settings)
    stages = _stages(settings)
    if stages:
        module = clone_module(module)
        run_pipeline(module, ",".join(stages))
    lowered = lower_module(module, version, choices)
    text = module_text(lowered.main)
    check_functions(parse_relay(text), version)
    executor = "vm" if _has_branches(lowered.main.body) else "graph"
    files: dict[str, str | bytes] = {
        TEXT_FILE: text,
        NPZ_FILE: npz_bytes(lowered.constants),
        PARAMETERS_FILE: parameter_bytes(lowered.constants),
        LOADER_FILE: loader_script(executor, composite=choices.groups == "composite"),
    }
    manifest: dict[str, Any] = {
        "version": MANIFEST_VERSION,
        "name": module.name if name is None else name,
        "target": chosen.name,
        "options": dict(settings),
        **signature(module.main),
        "parameters": dict(lowered.inputs),
        "checked": lowered.checked,
        "executor": executor,
        "calls": len(lowered.main.body.bindings),
        "weights_bytes": sum(data.nbytes for data in lowered.constants.values()),
        "files": sorted(files),
    }
    return Artifact(files, manifest)


def _stages(settings: Mapping[str, OptionValue]) -> list[str]:
    """The passes that options ask for."""
    stages = []
    if settings["layout"] != DEFAULT:
        stages.append(f'layout{{target="{layout_model_name(str(settings["layout"]))}"}}')
    if settings["groups"] != "inline":
        stages.append("fuse{prologues=false}")
    return [*stages, "dce"] if stages else []


def _choices(settings: Mapping[str, OptionValue]) -> Choices:
    codegen = str(settings["codegen"])
    if not (codegen.isascii() and codegen.isidentifier()):
        raise TargetError(
            f"option codegen is {codegen!r}, but must be letters, digits and _",
            help="TVM knows a code generator by what stands before the dot in names of patterns",
        )
    return Choices(
        exact=settings["quantize"] == "exact",
        sparse=settings["weights"] == "sparse",
        groups=str(settings["groups"]),
        codegen=codegen,
    )


def _has_branches(body: Body) -> bool:
    """Whether there is an ``if`` or a loop, which only the virtual machine runs."""
    values = (*(binding.value for binding in body.bindings), body.result)
    return any(isinstance(value, If) or any(map(_has_branches, bodies(value))) for value in values)


def runner(artifact: Artifact) -> RelayRunner:
    """A way to call the model here, by a TVM that has Relay.

    Raises:
        ToolchainError: there is none.
        ModelError: it does not take the model.
    """
    return RelayRunner(artifact.files, artifact.manifest)


def code_size(artifact: Artifact, target: Target) -> None:
    """TVM makes the machine code; burnish does not know of how much."""
    return


def runner_from_files(folder: str | Path, manifest: Mapping[str, Any]) -> RelayRunner:
    """The same for files that were saved.

    Raises:
        ModelError: a file of the manifest is missing.
    """
    files: dict[str, str | bytes] = {}
    for name in manifest["files"]:
        path = Path(folder) / Path(name).name
        if not path.is_file():
            raise ModelError(f"the saved model lacks {name}", at=str(folder))
        files[name] = path.read_bytes()
    return RelayRunner(files, manifest)
