"""A pytest plugin for golden tests: stored text is what the code under test must produce.

Load it with ``-p burnish.testing`` or ``pytest_plugins = ["burnish.testing"]``::

    def test_fuse(golden):
        golden(str(optimized))                     # IR, in ….ir
        golden(emitted["model.c"], suffix=".c")    # emitted C, in ….c

The stored file lies at ``tests/golden/<test module>/<test name><suffix>`` (the first folder is
the ini option ``golden_dir``).  ``pytest --update-golden`` writes the files and shows what
changed; it is refused where ``CI`` is set, because nobody would read the change there.

Rule files are tests, too: see :mod:`burnish.rule_tests`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .rule_tests import add_options, pytest_collect_file

__all__ = ["Golden", "golden", "pytest_collect_file"]

MAX_DIFF_LINES = 200
MAX_NAME = 100


class Golden:
    """Compares texts with the stored files of one test.

    Attributes:
        folder: where the files of the test's module lie.
        name: the test's file name, without suffix.
        nodeid: the test, as pytest names it.
        update: write files instead of comparing.
        written: one entry per file that an update changed: its path and the diff.
    """

    def __init__(self, folder: Path, name: str, nodeid: str, *, update: bool) -> None:
        self.folder = folder
        self.name = name
        self.nodeid = nodeid
        self.update = update
        self.written: list[tuple[Path, str]] = []
        self._suffixes: set[str] = set()

    def __call__(self, text: str, suffix: str = ".ir") -> None:
        """Fail unless ``text`` equals the stored file; one missing final newline is added.

        A test with several texts gives each its own ``suffix``.
        """
        __tracebackhide__ = True
        if suffix in self._suffixes:
            pytest.fail(f"golden() was called twice with suffix {suffix!r}; name them apart")
        self._suffixes.add(suffix)
        path = self.folder / f"{self.name}{suffix}"
        text = text if text.endswith("\n") else f"{text}\n"
        stored = path.read_bytes().decode("utf-8") if path.exists() else None
        if text == stored:
            return
        diff = unified_diff(stored or "", text, path)
        if self.update:
            replace_file(path, text)
            self.written.append((path, diff))
            return
        what = "is missing" if stored is None else "differs"
        accept = f"pytest --update-golden {shlex.quote(self.nodeid)}"
        message = f"golden file {what}: {path}\n{diff}\naccept the new text with:\n  {accept}"
        pytest.fail(message, pytrace=False)


def unified_diff(stored: str, text: str, path: Path) -> str:
    """What changes from ``stored`` to ``text``, at most ``MAX_DIFF_LINES`` lines of it."""
    # Split at "\n" alone, so that other line ends show up as the characters they are.
    lines = list(
        difflib.unified_diff(
            stored.split("\n"), text.split("\n"), f"stored {path.name}", "now", lineterm=""
        )
    )
    shown = [line.replace("\r", "\\r") for line in lines[:MAX_DIFF_LINES]]
    if len(lines) > MAX_DIFF_LINES:
        shown.append(f"… {len(lines) - MAX_DIFF_LINES} more lines")
    return "\n".join(shown)


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` at once: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".golden-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        # mkstemp files are private to the user; what lands in a repository must not be.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def file_stem(nodeid: str) -> str:
    """A file name for the test: ``tests/t.py::C::test_f[a b]`` gives ``C.test_f-a_b-<hash>``.

    The hash is there only when a character had to be replaced or the name was cut, so that
    two tests never share a file.
    """
    name = ".".join(nodeid.split("::")[1:])
    plain = re.sub(r"\[(.*)\]$", r"-\1", name, flags=re.DOTALL)
    safe = re.sub(r"[^A-Za-z0-9_.=+-]", "_", plain)
    if safe == plain and len(safe) <= MAX_NAME:
        return safe
    return f"{safe[:MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def golden_folder(module: Path, golden_dir: Path) -> Path:
    """The folder of a test module's files: its path beside ``golden_dir``, mirrored into it."""
    beside = golden_dir.parent
    relative = module.relative_to(beside) if module.is_relative_to(beside) else Path(module.name)
    return golden_dir / relative.with_suffix("")


_WRITTEN = pytest.StashKey[list[tuple[Path, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``, the ini option ``golden_dir``, and the options for rules."""
    add_options(parser)
    group = parser.getgroup("golden files")
    group.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files instead of comparing with them, and show what changed",
    )
    parser.addini(
        "golden_dir", "folder of the golden files, from the root folder", default="tests/golden"
    )


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
