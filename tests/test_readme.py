"""What the documentation tells readers to run, runs.

A fenced block after ``<!-- test: run -->`` is executed, with the repository's ``examples`` beside
it: ``sh`` blocks by bash, ``python`` blocks by Python; after ``<!-- test: run with tvm -->`` only
where that module is installed.  Blocks of one page run in order, in one
folder.  A block after ``<!-- test: prints -->`` is what the block before it prints, or lines of it
with others left out between them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^<!-- test: (?:run(?: with (\w+))?|prints) -->\n+```(\w+)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"^<!-- test: .*-->$", re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Of the marked blocks the module that each needs (or ""), language and text."""
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [(block[1] or "", block[2], block[3]) for block in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the examples, and a ``burnish`` that is the one under test."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "bin").mkdir()
    # An installed burnish gives pytest its plugin; from a checkout it must be named.
    programs = {"burnish": "-m burnish", "pytest": "-m pytest -p burnish.testing"}
    for name, arguments in programs.items():
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        command.chmod(0o755)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_mark_has_a_block(page: Path) -> None:
    assert len(MARK.findall(page.read_text("utf-8"))) == len(blocks(page))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.name)
def test_marked_blocks_run(page: Path, folder: Path) -> None:
    printed = ""
    for module, language, text in blocks(page):
        if module and importlib.util.find_spec(module) is None:
            continue
        if language == "python":
            printed = run(folder, sys.executable, "-c", text)
        elif language == "sh":
            printed = run(folder, "bash", "-euo", "pipefail", "-c", text)
        else:
            assert language == "text"
            lines = iter(printed.splitlines())
            missing = [line for line in text.splitlines() if line not in lines]
            assert not missing, printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert not missing


def test_the_digits_example(folder: Path) -> None:
    printed = run(folder, sys.executable, "examples/digits/run.py")
    accuracy = re.search(r"^accuracy +([\d.]+)% of 450 digits$", printed, re.MULTILINE)
    assert accuracy is not None, printed
    assert float(accuracy[1]) > 99
    for label in ("latency", "RAM", "flash"):
        assert re.search(rf"^{label} +\d", printed, re.MULTILINE), printed


def test_the_firmware_example_builds_without_warnings(folder: Path) -> None:
    source = (ROOT / "examples" / "digits" / "main.c").read_text("utf-8")
    comment = source[: source.index("*/")].replace("\\\n *", "").replace("\n", "\n ")
    commands = re.findall(r"^ +\*   (\S.*)$", comment, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["burnish", "cc"]
    for command in commands:
        strict = command.replace("cc -O2", "cc -O2 -std=c99 -Wall -Wextra -Wpedantic -Werror")
        run(folder, "bash", "-euo", "pipefail", "-c", strict)
    assert run(folder, "build/digits/demo").startswith("This is a 3.")
