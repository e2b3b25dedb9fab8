"""The TVM backend's door: a module in, a Relax module and its library out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.ir import Module
from burnish.ir.dims import MAX_DIM, symbols_of
from burnish.ir.errors import ModelError, TargetError, ToolchainError

from ..base import Artifact, Notify, signature, silent
from ..c.host import thread_flags
from ..c.names import identifier
from ..target import OptionValue, Target, chosen_target, complete_options
from .cuda import cuda_target, export_cuda, scheduled_function
from .library import export_library, host_target
from .package import tvm_package
from .partition import RegionPart, partition
from .regions import Region
from .runner import TvmRunner
from .targets import CPU, CUDA, CUDA_OPTIONS, LLVM, OPTIONS, SHARED_OPTIONS, TUNE
from .tuning import Machine, Tuning
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
    notify: Notify = silent,
) -> Artifact:
    """Compile the entry function of ``module`` to a library for TVM's virtual machine.

    The files are the library, the text of the Relax module, and the sources of the kernels that it
    calls.  ``stages`` of the result are those of the C backend, where all of it is one function.

    ``notify`` is told how far tuning is.

    Raises:
        UnsupportedError: ops, types or dimensions that can be compiled in no way, all named.
        TargetError: unknown target or option.
        ToolchainError: apache-tvm or a C compiler is missing, or one of them refuses; or there is
            no GPU to tune on.
    """
    tvm_package()
    chosen = chosen_target(target, options)
    settings = complete_options(chosen, options)
    prefix = identifier(module.name if name is None else name, "model")
    _check_options(chosen, settings)
    tuning = _tuning(chosen, settings, notify)
    if chosen.name == CUDA:
        built = _for_gpu(module, settings, tuning)
    else:
        built = _for_processor(module, chosen, settings, prefix, tuning)
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
    if len(regions) == 1 and regions[0].entry:
        manifest["function"] = regions[0].entry
    if built.digest:
        manifest["kernels"] = built.digest
    if tuning is not None:
        manifest["notes"] = tuning.notes
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


def _check_options(target: Target, settings: Mapping[str, OptionValue]) -> None:
    """Refuse options that make no difference.

    Raises:
        TargetError: the target has no use for an option that is given.
    """
    if target.name == CUDA:
        return
    useless = {option.name: (option.default, CUDA) for option in CUDA_OPTIONS}
    if target.name == LLVM:
        shared = (option for option in OPTIONS if option.name in SHARED_OPTIONS)
        useless |= {option.name: (option.default, CPU) for option in shared}
    for name, (default, other) in useless.items():
        if settings[name] != default:
            raise TargetError(f"option {name} is for target {other}, not for {target.name}")


def _tuning(target: Target, settings: Mapping[str, OptionValue], notify: Notify) -> Tuning | None:
    """How schedules are found for a target; None if not asked for.

    Raises:
        ToolchainError: it is for a GPU, and there is none.
    """
    trials = int(settings[TUNE.name])
    if not trials:
        return None
    if target.name != CUDA:
        return Tuning(Machine(host_target() | {"num-cores": 1}), trials, notify)
    if not tvm_package().cuda().exist:
        raise ToolchainError(
            "schedules are tried on a GPU of NVIDIA, and this machine has none",
            help=f"leave the option {TUNE.name} out, or compile where there is one",
        )
    machine = Machine(cuda_target(str(settings["arch"])), "cuda", "llvm")
    return Tuning(machine, trials, notify, scheduled_function)


def _for_processor(
    module: Module,
    target: Target,
    settings: Mapping[str, OptionValue],
    prefix: str,
    tuning: Tuning | None,
) -> _Built:
    if target.name == LLVM:
        written = write_module(module)
        return _Built(written, export_library(written.module, {}, target, (), tuning))
    parts = partition(module, {name: settings[name] for name in SHARED_OPTIONS}, prefix)
    written = write_module(module, parts)
    regions = [part.region for part in parts if isinstance(part, RegionPart)]
    sources = {file: data for region in regions for file, data in region.files.items()}
    library = export_library(written.module, sources, target, thread_flags(settings), tuning)
    stages = regions[0].artifact.stages if len(parts) == len(regions) == 1 else {}
    return _Built(written, library, regions, stages)


def _for_gpu(module: Module, settings: Mapping[str, OptionValue], tuning: Tuning | None) -> _Built:
    dtype = str(settings["dtype"])
    written = write_module(module, device="cuda", dtype="" if dtype == "fp32" else dtype)
    found = export_cuda(written.module, str(settings["arch"]), tuning)
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
