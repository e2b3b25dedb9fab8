"""The ``golden`` fixture's object: stored text and numbers, compared or replaced."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from burnish.ir import Array

    from ..compiled import CompiledModel

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
        path = self._path(suffix)
        text = text if text.endswith("\n") else f"{text}\n"
        stored = path.read_bytes().decode("utf-8") if path.exists() else None
        if text != stored:
            self._differs(path, unified_diff(stored or "", text, path), text.encode("utf-8"))

    def compiled(
        self,
        model: CompiledModel,
        *,
        stages: Sequence[str] | None = None,
        files: Sequence[str] = (),
    ) -> None:
        """Compare what a compiled model is made of, each part with a file of its own.

        The final IR is in ``.ir``, every stage of the backend (of C: ``select`` and ``plan``) in
        a file that ends in its name; ``stages`` chooses some.  ``files`` are names of emitted
        files, such as ``"model.c"``.
        """
        __tracebackhide__ = True
        self(str(model.module), suffix=".ir")
        available = model.artifact.stages
        for stage in available if stages is None else stages:
            self(str(available[stage]), suffix=f".{stage}")
        for name in files:
            self(model.source[name], suffix=f".{name}")

    def numbers(
        self,
        arrays: Mapping[str, Array] | Array,
        suffix: str = ".npz",
        *,
        rtol: float = 1e-5,
        atol: float = 1e-6,
    ) -> None:
        """Fail unless arrays agree with the stored ones.

        Floating-point numbers may differ by ``atol + rtol * |stored|``; everything else, and the
        places of NaN and infinity, must be equal.  An update replaces the file only if it differs
        by more than that, so that files do not change with the machine.
        """
        __tracebackhide__ = True
        from burnish.samples import arrays_bytes, read_arrays

        from .numbers import differences

        path = self._path(suffix)
        given = dict(arrays) if isinstance(arrays, Mapping) else {"array": arrays}
        stored = read_arrays(path) if path.exists() else {}
        found = differences(stored, given, rtol=rtol, atol=atol)
        if found or not path.exists():
            self._differs(path, "\n".join(found), arrays_bytes(given))

    def _path(self, suffix: str) -> Path:
        __tracebackhide__ = True
        if suffix in self._suffixes:
            pytest.fail(f"golden() was called twice with suffix {suffix!r}; name them apart")
        self._suffixes.add(suffix)
        return self.folder / f"{self.name}{suffix}"

    def _differs(self, path: Path, diff: str, data: bytes) -> None:
        """Replace the stored file, or fail with the diff and the command that accepts it."""
        __tracebackhide__ = True
        if self.update:
            replace_file(path, data)
            self.written.append((path, diff))
            return
        what = "differs" if path.exists() else "is missing"
        accept = f"pytest --update-golden {shlex.quote(self.nodeid)}"
        message = f"golden file {what}: {path}\n{diff}\naccept what is now with:\n  {accept}"
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


def replace_file(path: Path, data: str | bytes) -> None:
    """Write ``data`` to ``path`` at once: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".golden-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
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
