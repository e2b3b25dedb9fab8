"""A pytest plugin for golden tests, and assertions about modules.

Where burnish is installed, pytest loads the plugin by itself::

    def test_fuse(golden):
        golden(str(optimized))                     # IR, in ….ir
        golden(emitted["model.c"], suffix=".c")    # emitted C, in ….c
        golden.numbers(outputs)                    # arrays within a tolerance, in ….npz

The stored file lies at ``tests/golden/<test module>/<test name><suffix>`` (the first folder is
the ini option ``golden_dir``).  ``pytest --update-golden`` writes the files and shows what
changed; it is refused where ``CI`` is set, because nobody would read the change there.

Rule files are tests, too: see :mod:`burnish.rule_tests`.

The assertions are :func:`assert_equivalent`, :func:`assert_pipeline_preserves`,
:func:`assert_compiled` and :func:`assert_numbers`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..rule_tests import add_options, pytest_collect_file
from .golden import Golden, file_stem, golden_folder, replace_file, unified_diff
from .modules import assert_compiled, assert_equivalent, assert_pipeline_preserves
from .numbers import assert_numbers

__all__ = [
    "Golden",
    "assert_compiled",
    "assert_equivalent",
    "assert_numbers",
    "assert_pipeline_preserves",
    "file_stem",
    "golden",
    "golden_folder",
    "pytest_collect_file",
    "replace_file",
    "unified_diff",
]

_WRITTEN = pytest.StashKey[list[tuple[Path, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``, the ini option ``golden_dir``, and the options for rules."""
    group = parser.getgroup("golden files")
    group.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files instead of comparing with them, and show what changed",
    )
    parser.addini(
        "golden_dir", "folder of the golden files, from the root folder", default="tests/golden"
    )
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to accept changes where nobody reads them."""
    if config.getoption("--update-golden") and os.environ.get("CI", "").lower() not in (
        "",
        "0",
        "false",
    ):
        raise pytest.UsageError(
            "--update-golden is refused because CI is set: update on your machine, read the "
            "change, and commit it"
        )
    config.stash[_WRITTEN] = []


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Iterator[Golden]:
    """``golden(text, suffix=".ir")`` fails unless ``text`` equals the test's stored file."""
    config = request.config
    folder = golden_folder(request.path, config.rootpath / config.getini("golden_dir"))
    nodeid = request.node.nodeid
    update = config.getoption("--update-golden")
    fixture = Golden(folder, file_stem(nodeid), nodeid, update=update)
    yield fixture
    config.stash[_WRITTEN].extend(fixture.written)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List the files that ``--update-golden`` wrote, with their diffs."""
    if not (written := config.stash[_WRITTEN]):
        return
    terminalreporter.section("golden files written")
    for path, diff in written:
        terminalreporter.line(str(path))
        terminalreporter.line(diff)
