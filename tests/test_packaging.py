"""The package as users get it: complete, light to import, and the same however installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

import burnish

IGNORED = shutil.ignore_patterns(
    ".*_cache", ".git", ".hypothesis", ".typing", ".venv", "*.egg-info", "__pycache__", "build"
)
PACKAGE_DATA = ("py.typed", "*.lark", "*.rules", "runtime/*.h", "runtime/*.c", "recorded/*.json")
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""

needs_setuptools = pytest.mark.skipif(
    Version(importlib.metadata.version("setuptools")) < Version("77"),
    reason="building needs setuptools 77 or newer (the test extra brings it)",
)


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """The command's standard output; fails the test, with all output, unless it succeeds."""
    # A PYTHONPATH from outside could put another burnish before the one under test.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def shipped_files(root: Path, mapping: dict[str, str]) -> set[str]:
    """Where every file of the packages must lie in a wheel."""
    files = set()
    for package, folder in mapping.items():
        for pattern in ("*.py", *PACKAGE_DATA):
            for path in (root / folder).rglob(pattern):
                inside = path.relative_to(root / folder).as_posix()
                files.add(f"{package.replace('.', '/')}/{inside}")
    return files


def wheel_files(wheel: Path) -> set[str]:
    names = zipfile.ZipFile(wheel).namelist()
    return {name for name in names if ".dist-info/" not in name}


def build(tree: Path, kind: str, into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    output = run([sys.executable, "-c", BUILD, kind, into], cwd=tree)
    return into / output.splitlines()[-1]


@pytest.fixture(scope="module")
def mapping(project: dict[str, Any]) -> dict[str, str]:
    """Package name to folder, from pyproject.toml."""
    folders: dict[str, str] = project["tool"]["setuptools"]["package-dir"]
    return folders


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    """A copy of the repository, for building in."""
    return Path(shutil.copytree(root, tmp_path / "tree", ignore=IGNORED))


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A virtual environment that sees this one's packages, burnish excepted."""
    venv = tmp_path / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", venv], cwd=tmp_path)
    others = tmp_path / "others"
    others.mkdir()
    for scheme in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(scheme).iterdir():
            link = others / entry.name
            if "burnish" not in entry.name and not link.exists():
                link.symlink_to(entry)
    python = venv / "bin" / "python"
    site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path)
    (Path(site.strip()) / "others.pth").write_text(f"{others}\n")
    return python


# --- what pyproject.toml says ---


def test_packages_list_matches_the_folders(root: Path, project: dict[str, Any]) -> None:
    tool = project["tool"]["setuptools"]
    on_disk = set()
    for package, folder in tool["package-dir"].items():
        for init in (root / folder).rglob("__init__.py"):
            on_disk.add(".".join([package, *init.parent.relative_to(root / folder).parts]))
    listed = tool["packages"]
    assert sorted(listed) == sorted(on_disk), "update [tool.setuptools] packages in pyproject.toml"
    assert listed == sorted(listed)


def test_every_python_file_lies_in_a_package(root: Path, mapping: dict[str, str]) -> None:
    folders = {path.parent for f in mapping.values() for path in (root / f).rglob("*.py")}
    assert not [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()]


def test_package_data_patterns(project: dict[str, Any]) -> None:
    assert project["tool"]["setuptools"]["package-data"] == {"*": list(PACKAGE_DATA)}


def test_each_package_is_typed(root: Path, mapping: dict[str, str]) -> None:
    assert all((root / folder / "py.typed").exists() for folder in mapping.values())


def test_ruff_bans_importing_folders(root: Path) -> None:
    pytest.importorskip("ruff")
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "tests/test_x.py", "-"]
    for line in ("import ir", "from passes import fold", "import backends.c", "import compiler"):
        done = subprocess.run(
            command, cwd=root, input=f"{line}\n", capture_output=True, text=True, check=False
        )
        assert "TID251" in done.stdout, line


# --- import burnish ---


def test_version_is_the_projects(project: dict[str, Any]) -> None:
    assert burnish.__version__ == project["project"]["version"]


@pytest.mark.parametrize("name", sorted(burnish._PUBLIC))
def test_public_names_resolve(name: str) -> None:
    module = importlib.util.resolve_name(burnish._PUBLIC[name], "burnish")
    assert name in burnish.__all__
    assert name in dir(burnish)
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{module} is not written yet")
    assert getattr(burnish, name) is getattr(importlib.import_module(module), name)


def test_no_module_hides_a_public_name(root: Path, mapping: dict[str, str]) -> None:
    # Importing compiler/verify.py would set burnish.verify to the module.
    stems = {path.stem for path in (root / mapping["burnish"]).iterdir()}
    assert not stems & set(burnish._PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'burnish' has no attribute 'nothing'"):
        _ = burnish.nothing


@pytest.mark.parametrize("module", ["burnish", "burnish.ir"])
def test_importing_is_light(module: str, tmp_path: Path) -> None:
    script = f"import sys, {module}; print(*sorted(sys.modules))"
    inherited = os.environ.get("PYTHONPATH", "")
    loaded = run([sys.executable, "-c", script], cwd=tmp_path, PYTHONPATH=inherited).split()
    assert module in loaded
    heavy = {"onnx", "onnx_graphsurgeon", "rich", "click", "burnish.driver", "burnish.cli"}
    assert not heavy.intersection(loaded)


# --- wheel, source distribution, editable install, plain checkout ---


@needs_setuptools
def test_the_wheel_is_complete(tree: Path, mapping: dict[str, str], tmp_path: Path) -> None:
    wheel = build(tree, "wheel", tmp_path / "dist")
    assert wheel_files(wheel) == shipped_files(tree, mapping)
    metadata = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("/licenses/LICENSE")]
    assert len(metadata) == 1


@needs_setuptools
def test_a_wheel_from_the_source_distribution_is_complete(
    tree: Path, mapping: dict[str, str], tmp_path: Path
) -> None:
    archive = build(tree, "sdist", tmp_path / "dist")
    (tmp_path / "unpacked").mkdir()
    run(["tar", "-xf", archive], cwd=tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for name in ("conftest.py", "tests/conftest.py", ".ci/run", "CONTRIBUTING.md", "LICENSE"):
        assert (unpacked / name).exists(), name
    wheel = build(unpacked, "wheel", tmp_path / "dist")
    assert wheel_files(wheel) == shipped_files(tree, mapping)


@pytest.mark.slow
@needs_setuptools
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_an_installed_package_works(
    tree: Path, bare_python: Path, tmp_path: Path, editable: bool
) -> None:
    source = ["--editable", tree] if editable else [tree]
    pip = [sys.executable, "-m", "pip", "--python", bare_python, "--disable-pip-version-check"]
    run([*pip, "install", "-q", "--no-deps", "--no-build-isolation", *source], cwd=tmp_path)
    script = "import burnish.ir; print(burnish.__version__, burnish.__file__)"
    version, file = run([bare_python, "-c", script], cwd=tmp_path).split()
    assert version == burnish.__version__
    assert Path(file).is_relative_to(tree if editable else bare_python.parents[1])
    by_module = run([bare_python, "-m", "burnish", "--help"], cwd=tmp_path)
    assert by_module == run([bare_python.parent / "burnish", "--help"], cwd=tmp_path)
    if editable:
        (tree / "passes" / "brand_new.py").write_text("answer = 42\n")
        script = "from burnish.passes.brand_new import answer; print(answer)"
        assert run([bare_python, "-c", script], cwd=tmp_path) == "42\n"


@pytest.mark.slow
def test_a_plain_checkout_works_under_pytest(tree: Path, bare_python: Path) -> None:
    probe = tree / "tests" / "test_probe.py"
    probe.write_text(
        "import subprocess, sys\n"
        "from pathlib import Path\n"
        "import burnish, burnish.ir.errors\n"
        "def test_modules_have_their_real_paths(root):\n"
        "    assert burnish.ir.errors.__file__ == str(root / 'ir' / 'errors.py')\n"
        f"    assert burnish.__version__ == {burnish.__version__!r}\n"
        "def test_child_processes_find_it_too():\n"
        "    script = 'import burnish.passes; print(burnish.__version__)'\n"
        "    output = subprocess.check_output([sys.executable, '-c', script], text=True)\n"
        "    assert output.strip() == burnish.__version__\n"
    )
    output = run([bare_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", probe], cwd=tree)
    assert "2 passed" in output
