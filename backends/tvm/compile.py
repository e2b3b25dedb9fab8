"""The TVM backend's door: a module in, a Relax module and its library out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.ir import Module
from burnish.ir.dims import MAX_DIM, symbols_of
from burnish.ir.errors import ModelError, TargetError

from ..base import Artifact, signature
from ..c.host import thread_flags
from ..c.names import identifier
from ..target import OptionValue, Target, chosen_target, complete_options
from .cuda import export_cuda
from .library import export_library
from .package import tvm_package
from .partition import RegionPart, partition
from .regions import Region
from .runner import TvmRunner
from .targets import CUDA, CUDA_OPTIONS, SHARED_OPTIONS
from .write import Written, write_module

MANIFEST_VERSION = 1
LIBRARY_FILE = "model.so"
TEXT_FILE = "model.relax.py"
KERNELS_FILE = "model.fatbin"


def compile_module(
    module: Module,
    target: str | Target = "tvm",
    options: Mapping[str, object] | None = None,
    name: str | None = None,
) -> Artifact:
    """Compile the entry function of ``module`` to a library for TVM's virtual machine.

    The files are the library, the text of the Relax module, and the sources of the kernels that it
    calls.  ``stages`` of the result are those of the C backend, where all of it is one function.

    Raises:
        UnsupportedError: ops, types or dimensions that can be compiled in no way, all named.
        TargetError: unknown target or option.
        ToolchainError: apache-tvm or a C compiler is missing, or one of them refuses.
    """
    tvm_package()
    chosen = chosen_target(target, options)
    settings = complete_options(chosen, options)
    prefix = identifier(module.name if name is None else name, "model")
    if chosen.name == CUDA:
        built = _for_gpu(module, settings)
    else:
        built = _for_processor(module, chosen, settings, prefix)
    written, regions = built.written, built.regions
    files = {file: data for region in regions for file, data in region.files.items()}
    files |= {TEXT_FILE: f"{written.module.script()}\n", LIBRARY_FILE: built.library, **built.files}
    manifest: dict[str, Any] = {
        "version": MANIFEST_VERSION,
        "name": prefix,
        "target": chosen.name,
        "options": dict(settings),
        **signature(module.main),
        "sizes": _input_sizes(module),
        "parameters": dict(written.inputs),
        "checked": written.checked,
        "arena_bytes": sum(region.artifact.manifest["arena_bytes"] for region in regions),
        "weights_bytes": sum(region.artifact.manifest["weights_bytes"] for region in regions),
        "files": sorted(files),
    }
    if built.digest:
        manifest["kernels"] = built.digest
    return Artifact(files, manifest, built.stages)


@dataclass(frozen=True)
class _Built:
    """The module in Relax, its library, and the parts of it that are C."""

    written: Written
    library: bytes
    regions: Sequence[Region] = ()
    stages: dict[str, object] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    digest: str = ""


def _for_processor(
    module: Module, target: Target, settings: Mapping[str, OptionValue], prefix: str
) -> _Built:
    for option in CUDA_OPTIONS:
        if settings[option.name] != option.default:
            raise TargetError(f"option {option.name} is for target {CUDA}, not for {target.name}")
    parts = partition(module, {name: settings[name] for name in SHARED_OPTIONS}, prefix)
    written = write_module(module, parts)
    regions = [part.region for part in parts if isinstance(part, RegionPart)]
    sources = {file: data for region in regions for file, data in region.files.items()}
    library = export_library(written.module, sources, target, thread_flags(settings))
    stages = regions[0].artifact.stages if len(parts) == len(regions) == 1 else {}
    return _Built(written, library, regions, stages)


def _for_gpu(module: Module, settings: Mapping[str, OptionValue]) -> _Built:
    dtype = str(settings["dtype"])
    written = write_module(module, device="cuda", dtype="" if dtype == "fp32" else dtype)
    found = export_cuda(written.module, str(settings["arch"]))
    files = {} if found.kernels is None else {KERNELS_FILE: found.kernels}
    return _Built(written, found.library, files=files, digest=found.digest)


def _input_sizes(module: Module) -> list[dict[str, Any]]:
    """The dimensions that inputs decide, and their ranges."""
    shapes = (arg.type.shape for arg in module.main.args)
    names = dict.fromkeys(n for shape in shapes for dim in shape for n in sorted(symbols_of(dim)))
    ranges = {name: module.symbols.get(name, (0, MAX_DIM)) for name in names}
    return [
        {"name": name, "low": low, "high": high, "input": True}
        for name, (low, high) in ranges.items()
    ]


def runner(artifact: Artifact) -> TvmRunner:
    """Load the library into TVM's virtual machine.

    Raises:
        ToolchainError: apache-tvm is not installed, or does not load the library.
    """
    library = artifact.files[LIBRARY_FILE]
    assert isinstance(library, bytes)
    kernels = artifact.files.get(KERNELS_FILE)
    assert not isinstance(kernels, str)
    return TvmRunner(library, artifact.manifest, kernels)


def runner_from_files(folder: str | Path, manifest: Mapping[str, Any]) -> TvmRunner:
    """The same for files that were saved.

    Raises:
        ModelError: the library is missing.
        ToolchainError: as for :func:`runner`.
    """
    path = Path(folder) / LIBRARY_FILE
    for name in (LIBRARY_FILE, KERNELS_FILE):
        if name in manifest["files"] and not (Path(folder) / name).is_file():
            raise ModelError(f"the saved model lacks {name}", at=str(folder))
    kernels = Path(folder) / KERNELS_FILE
    code = kernels.read_bytes() if KERNELS_FILE in manifest["files"] else None
    return TvmRunner(path.read_bytes(), manifest, code)


def code_size(artifact: Artifact, target: Target) -> int | None:
    """None: code for a virtual machine has no size of its own."""
    return None
