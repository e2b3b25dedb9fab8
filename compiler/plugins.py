"""Python files of the user's own that define passes, targets or ops."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from burnish.ir.errors import Error, UsageError, clip

_LOADED: dict[Path, ModuleType] = {}


def load_file(path: str | Path) -> ModuleType:
    """Run a Python file, so that what it registers is there; once per process.

    Raises:
        UsageError: there is no such file, or running it fails.
    """
    file = Path(path).resolve()
    if file in _LOADED:
        return _LOADED[file]
    name = f"burnish_plugin_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise UsageError("the file is no Python file", at=clip(str(path)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Error as error:
        del sys.modules[name]
        raise error.located(clip(str(path))) from None
    except Exception as error:
        del sys.modules[name]
        raise UsageError(
            f"running the file fails: {type(error).__name__}: {clip(str(error))}",
            at=clip(str(path)),
        ) from error
    _LOADED[file] = module
    return module
