"""Root configuration of pytest: makes burnish importable from a plain checkout."""

from __future__ import annotations

import atexit
import importlib.util
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent


class CheckoutFinder:
    """Finds burnish and its parts in the folders that pyproject.toml maps them to."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The import system's hook; modules inside the mapped folders are found as usual."""
        folder = self._folders.get(name)
        if folder is None:
            return None
        return importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def _use_checkout() -> None:
    """Let this process, and the Python processes that tests start, import the checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    mapping = project["tool"]["setuptools"]["package-dir"]
    sys.meta_path.append(CheckoutFinder({name: ROOT / mapping[name] for name in mapping}))
    links = tempfile.mkdtemp(prefix="burnish-checkout-")
    atexit.register(shutil.rmtree, links, ignore_errors=True)
    runpy.run_path(str(ROOT / ".ci" / "alias.py"))["link"](ROOT, Path(links))
    paths = [links, *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


if importlib.util.find_spec("burnish") is None:
    _use_checkout()

pytest_plugins = ["burnish.testing", "pytester"]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Dir | None:
    """Look for rule files below passes/ without importing its packages under the folder's name."""
    if path.is_relative_to(ROOT / "passes"):
        return pytest.Dir.from_parent(parent, path=path)
    return None


def pytest_report_header() -> str:
    """Say which burnish is under test: an installed one, or this checkout."""
    spec = importlib.util.find_spec("burnish")
    assert spec is not None
    assert spec.origin is not None
    return f"burnish: {Path(spec.origin).parent}"
