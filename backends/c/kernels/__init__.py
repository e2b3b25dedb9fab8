"""Kernel families: generators of C, one family per file, registered by importing this package."""

from __future__ import annotations

import importlib
import pkgutil

from .builder import KernelBuilder
from .family import KernelFamily, families_for, register

# Every module of this folder registers its families; the order of names decides nothing.
for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")

__all__ = ["KernelBuilder", "KernelFamily", "families_for", "register"]
