"""The C backend's door: a module in, C files out, and the way to run them here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.ir import Function, Module, Op
from burnish.ir.errors import ModelError, TargetError, clip

from ..base import Artifact, signature
from ..target import Target, complete_options, find_target
from .emit import Program, emit, weight_layout
from .host import CRunner, SanitizedRunner, build, thread_flags
from .isa import isa_of
from .machine import machine_for
from .names import identifier
from .plan import plan
from .select import refused, select
from .sizes import Sizes, with_sizes
from .threads import check_threads

MANIFEST_VERSION = 1


def compile_module(
    module: Module,
    target: str | Target = "c",
    options: Mapping[str, object] | None = None,
    name: str | None = None,
) -> Artifact:
    """Compile the entry function of ``module`` into C.

    ``name`` (by default the module's) becomes the prefix of all files and symbols, after it has
    been made a C identifier.  ``stages`` of the result holds the selection and the plan.

    Raises:
        UnsupportedError: ops, types or unbound dimensions the backend cannot compile, all named.
        TargetError: unknown target or option, or more memory than the target can address.
    """
    chosen = find_target(target)
    settings = complete_options(chosen, options)
    threads = settings["threads"]
    assert isinstance(threads, int)
    check_threads(threads, chosen)
    prefix = identifier(module.name if name is None else name, "model")
    function, sizes = with_sizes(module)
    selection = select(function, prefix, sizes, isa_of(chosen), threads, machine_for(chosen))
    planned = plan(selection, chosen.alignment, sizes)
    layout = weight_layout(function, planned, chosen.alignment)
    program = Program(prefix, module.main, chosen, settings, selection, planned, layout, sizes)
    files = emit(program)
    manifest: dict[str, Any] = {
        "version": MANIFEST_VERSION,
        "name": prefix,
        "target": chosen.name,
        "options": dict(settings),
        "flags": [*chosen.flags, *thread_flags(settings)],
        "alignment": chosen.alignment,
        **signature(module.main),
        **sizes_of_manifest(sizes, function),
        "arena_bytes": planned.arena_bytes,
        "arena_bound": planned.bound,
        "weights_bytes": layout.size,
        "files": sorted(files),
    }
    ports = {
        f'{kind} "{clip(name)}"': sizes.most_elements(value.type.shape) * value.type.dtype.bytes
        for kind, names, values in (
            ("input", module.main.arg_names, function.args),
            ("output", module.main.result_names, function.results),
        )
        for name, value in zip(names, values)
    }
    _check_sizes({"the arena": planned.arena_bytes, "weights": layout.size, **ports}, chosen)
    return Artifact(files, manifest, {"select": selection, "plan": planned})


def check_module(module: Module) -> None:
    """Refuse what :func:`compile_module` refuses whatever the target, without emitting anything.

    Raises:
        UnsupportedError: ops, types or unbound dimensions the backend cannot compile, all named.
    """
    function, sizes = with_sizes(module)
    select(function, "model", sizes)


def refused_ops(module: Module, target: Target) -> list[Op]:
    """The ops of the entry function that :func:`compile_module` refuses.

    Raises:
        UnsupportedError: a dimension is not bound.
    """
    function, sizes = with_sizes(module)
    original = dict(zip(function.body, module.main.body))
    return [original[op] for op in refused(function, sizes, isa_of(target))]


def _check_sizes(sizes: Mapping[str, int], target: Target) -> None:
    """Refuse memory that the target's pointers cannot span.

    Raises:
        TargetError: naming what is largest.
    """
    what, size = max(sizes.items(), key=lambda item: item[1])
    if size >= 1 << (target.word - 1):
        raise TargetError(f"{what} of {size} bytes is more than {target.name} can address")


def sizes_of_manifest(sizes: Sizes, function: Function) -> dict[str, Any]:
    """What callers of a model with dynamic dimensions need to know; nothing of a static one.

    ``sizes`` lists the struct's members in order; ``room`` how many elements each output may
    have, and ``exact`` which outputs' shapes are known before the run.
    """
    if not sizes:
        return {}
    return {
        "sizes": [
            {
                "name": m.symbol,
                "member": m.member,
                "low": m.low,
                "high": m.high,
                "input": m.is_input,
            }
            for m in sizes.members
        ],
        "room": [sizes.most_elements(value.type.shape) for value in function.results],
        "exact": [
            all(map(sizes.is_known_at_start, value.type.shape)) for value in function.results
        ],
    }


def runner(artifact: Artifact, *, sanitize: bool | str = False) -> CRunner | SanitizedRunner:
    """Build ``artifact`` for this machine, to call it; with ``sanitize``, under sanitizers.

    These watch over memory, or, with ``sanitize="threads"``, over threads.

    Raises:
        ToolchainError: no compiler, it fails, or the target does not run here.
    """
    target = find_target(artifact.manifest["target"])
    return build(artifact.files, artifact.manifest, target, sanitize=sanitize)


def runner_from_files(
    folder: str | Path, manifest: Mapping[str, Any], *, sanitize: bool = False
) -> CRunner | SanitizedRunner:
    """The same for files that were saved.

    Raises:
        ModelError: a file of the manifest is missing.
        ToolchainError: as for :func:`runner`.
    """
    files: dict[str, str | bytes] = {}
    for name in manifest["files"]:
        path = Path(folder) / Path(name).name
        if not path.is_file():
            raise ModelError(f"the saved model lacks {name}", at=str(folder))
        content = path.read_bytes()
        files[name] = content if name.endswith(".bin") else content.decode("utf-8")
    return build(files, manifest, find_target(manifest["target"]), sanitize=sanitize)
