"""Files that hold what became of the suite, compared or written anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.recorded import Record, read_record, record_path
from burnish.testing import replace_file

UPDATE = "pytest -m slow tests/conformance --update-golden"


@pytest.fixture
def stored(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Fails unless a file holds a text; with --update-golden, writes it."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            replace_file(path, text)
        elif path.read_text("utf-8") != text:
            fresh, old = set(text.splitlines()), set(path.read_text("utf-8").splitlines())
            changed = [f"- {line}" for line in sorted(old - fresh)]
            changed += [f"+ {line}" for line in sorted(fresh - old)]
            shown = "\n".join(changed[:40])
            pytest.fail(f"{path.name} is out of date; run: {UPDATE}\n{shown}", pytrace=False)

    return compare


@pytest.fixture
def recorded(
    stored: Callable[[Path, str], None], request: pytest.FixtureRequest
) -> Callable[[Record], None]:
    """Fails unless a record holds, with whatever version; with --update-golden, writes it."""

    def compare(found: Record) -> None:
        if not request.config.getoption("--update-golden"):
            found = replace(found, measured_with=read_record(found.engine).measured_with)
        stored(record_path(found.engine), found.text())

    return compare
