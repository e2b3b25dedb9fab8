"""How ops of the IR become Relax; importing this registers all lowerings, and imports TVM."""

from __future__ import annotations

import importlib
import pkgutil

# Every module of this folder registers its lowerings; the order of names decides nothing.
for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
