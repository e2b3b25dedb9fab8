"""The C backend: select kernels, plan memory, emit C99, and build it for this machine."""

from . import targets
from .compile import check_module, compile_module, runner, runner_from_files

__all__ = ["check_module", "compile_module", "runner", "runner_from_files", "targets"]
