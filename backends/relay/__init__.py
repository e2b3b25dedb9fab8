"""The Relay backend: text and parameters for TVM up to 0.19."""

from . import targets
from .checker import check_functions
from .compile import code_size, compile_module, runner, runner_from_files
from .parser import parse_relay
from .runner import RELAY_PYTHON, RELAY_TARGET

__all__ = [
    "RELAY_PYTHON",
    "RELAY_TARGET",
    "check_functions",
    "code_size",
    "compile_module",
    "parse_relay",
    "runner",
    "runner_from_files",
    "targets",
]
