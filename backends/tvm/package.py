"""The door to apache-tvm, which is optional: nothing of it is imported before it is needed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from burnish.ir.errors import ToolchainError

INSTALL = 'pip install "burnish[tvm]"'


def has_tvm() -> bool:
    """Whether there is a TVM that has Relax, by what is installed; it is not imported."""
    return all(importlib.util.find_spec(name) for name in ("tvm", "tvm_ffi"))


def tvm_package() -> Any:
    """The package ``tvm``.

    Raises:
        ToolchainError: apache-tvm is not installed, or does not load.
    """
    if not has_tvm():
        raise ToolchainError("target tvm needs apache-tvm", help=INSTALL)
    try:
        return importlib.import_module("tvm")
    except (ImportError, OSError, RuntimeError) as error:
        raise ToolchainError(f"apache-tvm does not load: {error}", help=INSTALL) from None


def include_folders() -> list[str]:
    """Where the headers of TVM's calling convention are.

    Raises:
        ToolchainError: apache-tvm is not installed.
    """
    tvm_package()
    folders: list[str] = importlib.import_module("tvm_ffi.libinfo").include_paths()
    return folders


def named_like(found: Any, function: Any) -> Any:
    """``found``, which was scheduled under another name, with the name of ``function``."""
    name = function.attrs.get("global_symbol")
    if name is None:
        return found.without_attr("global_symbol")
    return found.with_attr("global_symbol", name)
