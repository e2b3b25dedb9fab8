"""The scripts in .ci/."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

README = """# burnish

<!-- ci: install-and-run -->
```sh
$ python3 -m pip install . \\
    --quiet && burnish --version
```

<!-- ci: install-and-test -->

```
pip install '.[test]'
pytest
```

<!-- ci: twice -->
```sh
a
```
<!-- ci: twice -->
```sh
b
```
<!-- ci: prose -->
No block here.

```sh
c
```
<!-- ci: empty -->
```sh

```
"""


@pytest.fixture(scope="module")
def readme_commands(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / ".ci" / "readme_commands.py"))


def test_a_block_is_extracted_without_prompts(readme_commands: dict[str, Any]) -> None:
    block = readme_commands["commands"](README, "install-and-run")
    assert block == "python3 -m pip install . \\\n    --quiet && burnish --version\n"


def test_a_blank_line_may_follow_the_marker(readme_commands: dict[str, Any]) -> None:
    block = readme_commands["commands"](README, "install-and-test")
    assert block == "pip install '.[test]'\npytest\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "found 0"),
        ("twice", "found 2"),
        ("prose", "no fenced block"),
        ("empty", "is empty"),
    ],
)
def test_what_is_not_one_block_is_refused(
    readme_commands: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    message: str,
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(README)
    assert readme_commands["main"]([name, str(readme)]) == 1
    output = capsys.readouterr()
    assert message in output.err
    assert not output.out


def test_a_missing_readme_is_one_sentence(root: Path, tmp_path: Path) -> None:
    script = root / ".ci" / "readme_commands.py"
    done = subprocess.run(
        [sys.executable, script, "install-and-run", tmp_path / "README.md"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "README.md" in done.stderr


def test_links_show_the_installed_layout(root: Path, tmp_path: Path) -> None:
    runpy.run_path(str(root / ".ci" / "alias.py"))["link"](root, tmp_path)
    top = tmp_path / "burnish"
    assert (top / "__init__.py").resolve() == root / "compiler" / "__init__.py"
    for package in ("ir", "passes", "backends"):
        assert (top / package).resolve() == root / package


def test_an_unknown_package_cannot_be_typechecked(root: Path) -> None:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, root / ".ci" / "typecheck.py", "burnish.nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown package burnish.nothing" in done.stderr


def test_the_ci_script_is_valid_bash(root: Path) -> None:
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
