"""burnish, a graph compiler for trained neural networks.

The public names below are loaded on first use: every ``import burnish.ir`` runs this
file first, and must not pay for ONNX, the command line, or the backends.
"""

from __future__ import annotations

import importlib
from typing import Any

# Public name -> the module that defines it, relative to this package.
_PUBLIC = {
    "CompiledModel": ".driver",
    "Error": ".ir",
    "Module": ".ir",
    "Target": ".backends",
    "compile": ".driver",
    "export_onnx": ".backends.onnx",
    "import_onnx": ".frontend.onnx",
    "interpret": ".ir",
    "load": ".driver",
    "parse": ".ir",
    "register_op": ".ir",
    "register_pass": ".passes",
    "register_target": ".backends",
    "targets": ".backends",
    "verify": ".ir",
}

# Modules that are themselves handed around, such as to onnx.backend.test.BackendTest.
_MODULES = ("onnx_backend",)

__all__ = [*_PUBLIC, *_MODULES, "__version__"]  # noqa: PLE0604 - the keys are strings


def _version() -> str:
    """The installed version, or the one in pyproject.toml when run from a plain checkout."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("burnish")
    except PackageNotFoundError:
        import re
        from pathlib import Path

        project = Path(__file__).resolve().parent.parent / "pyproject.toml"
        found = re.search(r'^version = "(.+)"$', project.read_text("utf-8"), re.MULTILINE)
        return found[1] if found else "0"


def __getattr__(name: str) -> Any:
    """Import the module that defines the public ``name`` and keep what it defines."""
    if name == "__version__":
        value: Any = _version()
    elif name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name], __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
