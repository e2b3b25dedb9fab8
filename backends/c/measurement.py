"""Sizes that only the target's own compiler knows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from burnish.ir.errors import ToolchainError

from ..base import Artifact
from ..target import Target
from .host import compile_files, find_compiler


def code_size(artifact: Artifact, target: Target) -> int | None:
    """Bytes of machine code and read-only data, weights and the C library's functions left out.

    None when the target's compiler or its ``size`` is not installed.

    Raises:
        ToolchainError: the compiler refuses the sources.
    """
    try:
        compiler = Path(find_compiler(target)[0])
    except ToolchainError:
        return None
    size = _size_command(compiler)
    if size is None:
        return None
    name = artifact.manifest["name"]
    headers = {file: text for file, text in artifact.files.items() if file.endswith(".h")}
    total = 0
    for file, text in artifact.files.items():
        if file.endswith(".c") and file != f"{name}_weights.c":
            built = compile_files({file: text, **headers}, target, f"{file[:-2]}.o", ("-c",))
            answer = subprocess.run([size, str(built)], capture_output=True, text=True, check=False)
            fields = answer.stdout.splitlines()[-1].split() if answer.returncode == 0 else []
            if len(fields) < 3:
                return None
            # The second line reads: text data bss dec hex filename.
            total += int(fields[0]) + int(fields[1])
    return total


def _size_command(compiler: Path) -> str | None:
    """``size`` of the compiler's own tools: arm-none-eabi-gcc has arm-none-eabi-size."""
    prefix, dash, _ = compiler.name.rpartition("-")
    beside = compiler.with_name(f"{prefix}{dash}size")
    return shutil.which(str(beside)) or shutil.which(beside.name)
