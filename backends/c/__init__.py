"""The C backend: select kernels, plan memory, emit C99, and build it for this machine."""

from . import layouts, targets
from .compile import check_module, compile_module, refused_ops, runner, runner_from_files
from .measurement import code_size

__all__ = [
    "check_module",
    "code_size",
    "compile_module",
    "layouts",
    "refused_ops",
    "runner",
    "runner_from_files",
    "targets",
]
