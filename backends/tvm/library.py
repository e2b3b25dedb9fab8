"""From a Relax module and sources in C to the shared library that TVM loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.ir.errors import ToolchainError, clip

from ..c.host import SHARED, compile_files
from ..target import Target
from .package import include_folders, tvm_package
from .tuning import Tuning


def export_library(
    module: Any,
    sources: Mapping[str, str | bytes],
    target: Target,
    flags: Sequence[str],
    tuning: Tuning | None = None,
) -> bytes:
    """The library of a Relax module, with ``sources`` linked into it.

    ``flags`` are for the compiler of these sources; ``tuning`` finds schedules for the functions
    that TVM generates code for.

    Raises:
        ToolchainError: TVM or the C compiler refuses.
    """
    tvm = tvm_package()
    built: list[Path] = []

    def link(_output: str, objects: Sequence[str], **_: object) -> None:
        files = {**sources, **{Path(path).name: Path(path).read_bytes() for path in objects}}
        headers = [f"-I{folder}" for folder in include_folders()]
        built.append(compile_files(files, target, "model.so", (*SHARED, *flags, *headers)))

    try:
        chosen = tvm.target.Target(host_target())
        if tuning is not None:
            with chosen:
                module = tvm.relax.get_pipeline("zero")(module)
            module, _ = tuning.apply(module)
        executable = tvm.compile(module, target=chosen)
        executable.export_library("model.so", fcompile=link)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ToolchainError(f"TVM does not compile the module: {clip(str(error), 600)}") from None
    return built[0].read_bytes()


def host_target() -> dict[str, Any]:
    """This machine, as TVM describes targets."""
    return {"kind": "llvm", "mcpu": tvm_package().get_global_func("target.llvm_get_system_cpu")()}
