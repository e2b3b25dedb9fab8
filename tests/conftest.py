"""Fixtures of all tests."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("BURNISH_MACHINE", "default")  # whatever this machine was calibrated to

# What tests try depends on nothing but the sources: what passes on one machine passes on any.
hypothesis.settings.register_profile(
    "same",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the fuzzer (tests/fuzz)."""
    group = parser.getgroup("fuzz")
    group.addoption("--fuzz-graphs", type=int, default=1440, help="how many the fuzzer makes")
    group.addoption("--fuzz-seed", type=int, help="the seed of an earlier run, to repeat it")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def fuzz_seed(request: pytest.FixtureRequest) -> int:
    """Where random tests start: the same for the same sources, new with every change of them.

    So a failure can be repeated, by running again or with ``--fuzz-seed``.
    """
    given: int | None = request.config.getoption("fuzz_seed")
    if given is not None:
        return given
    digest = hashlib.sha256()
    for folder in ("ir", "passes", "backends", "compiler", "tests/fuzz"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".py", ".rules"):
                digest.update(file.read_bytes())
    return int.from_bytes(digest.digest()[:4], "big") >> 2


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def work() -> Callable[[Callable[[], object]], int]:
    """Counts the calls, of Python and of built-in functions, that a function makes.

    A measure of work for tests of how it grows: the same on a busy machine as on an idle one.
    """

    def count(function: Callable[[], object]) -> int:
        calls = 0

        def observe(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(observe)
        try:
            function()
        finally:
            sys.setprofile(None)
        return calls

    return count


@pytest.fixture(scope="session")
def shared() -> Path:
    """Models, data and tools too large for the repository; the test skips where absent."""
    folder = Path(os.environ.get("BURNISH_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no shared material at {folder} (set BURNISH_SHARED)")
    return folder
