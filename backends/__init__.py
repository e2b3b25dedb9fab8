"""Backends: what runs, emitted from the IR."""

from .base import Artifact, Runner
from .target import (
    Option,
    Target,
    complete_options,
    find_target,
    options_of,
    register_backend,
    register_target,
    targets,
)

# Importing a backend registers its targets.
from . import c  # isort: skip

__all__ = [
    "Artifact",
    "Option",
    "Runner",
    "Target",
    "c",
    "complete_options",
    "find_target",
    "options_of",
    "register_backend",
    "register_target",
    "targets",
]
