"""Backends: what runs, emitted from the IR."""

from .base import Artifact, Backend, Runner, backend_of
from .target import (
    COMMON_OPTIONS,
    Option,
    Target,
    chosen_target,
    complete_options,
    find_target,
    options_of,
    register_backend,
    register_target,
    split_options,
    targets,
)

# Importing a backend registers its targets.
from . import c, onnx, relay, tvm  # isort: skip

__all__ = [
    "COMMON_OPTIONS",
    "Artifact",
    "Backend",
    "Option",
    "Runner",
    "Target",
    "backend_of",
    "c",
    "chosen_target",
    "complete_options",
    "find_target",
    "onnx",
    "options_of",
    "register_backend",
    "register_target",
    "relay",
    "split_options",
    "targets",
    "tvm",
]
