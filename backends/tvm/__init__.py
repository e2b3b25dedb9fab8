"""The TVM backend: Relax modules for today's apache-tvm, which call burnish's kernels."""

from . import targets
from .compile import code_size, compile_module, runner, runner_from_files
from .package import has_tvm

__all__ = [
    "code_size",
    "compile_module",
    "has_tvm",
    "runner",
    "runner_from_files",
    "targets",
]
