"""The shape of the house: who may import whom, and no import circles.

The checks are functions of a repository's root, so that each is also tested on small trees
that break it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDERS = {"burnish": "compiler"} | {f"burnish.{p}": p for p in ("ir", "passes", "backends")}
LAYERS = {"burnish.ir": 0, "burnish.passes": 1, "burnish.backends": 2, "burnish": 3}
NEIGHBOURS = ("tests", "examples", "benchmarks", ".ci")


@dataclass(frozen=True)
class Import:
    """One import statement's edge, at ``path:line``; ``eager`` if it runs with the module."""

    importer: str
    imported: str
    path: Path
    line: int
    eager: bool
    relative: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.importer} imports {self.imported}"


def modules(root: Path) -> dict[str, Path]:
    """Every module of the four packages under its installed name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def is_type_checking(node: ast.AST) -> bool:
    """Whether ``node`` is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def import_statements(
    node: ast.AST, eager: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements below ``node``, each with whether it runs on import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, eager
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from import_statements(child, eager=False)
        elif isinstance(child, ast.If) and is_type_checking(child):
            for part in child.body:
                wrapped = ast.Module([part], [])
                yield from import_statements(wrapped, eager=False)
            yield from import_statements(ast.Module(child.orelse, []), eager)
        else:
            yield from import_statements(child, eager)


def targets(
    statement: ast.Import | ast.ImportFrom, package: str, known: Mapping[str, Path]
) -> list[str]:
    """The modules a statement names; ``package`` is what a leading dot stands for."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    base = statement.module or ""
    if statement.level:
        parts = package.split(".")
        above = ".".join(parts[: len(parts) - statement.level + 1])
        base = f"{above}.{base}" if base else above
    submodules = [f"{base}.{alias.name}" for alias in statement.names]
    return [submodule if submodule in known else base for submodule in submodules]


def imports(root: Path) -> list[Import]:
    """Every import statement in the four packages."""
    known = modules(root)
    found = []
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for statement, eager in import_statements(ast.parse(path.read_text("utf-8"))):
            relative = isinstance(statement, ast.ImportFrom) and statement.level > 0
            place = path.relative_to(root)
            for target in targets(statement, package, known):
                found.append(Import(name, target, place, statement.lineno, eager, relative))
    return found


def home(module: str) -> str | None:
    """The package of the four that holds ``module``; None for one from outside."""
    parts = module.split(".")
    for length in (2, 1):
        if (package := ".".join(parts[:length])) in FOLDERS:
            return package
    return None


def wrong_directions(root: Path) -> list[str]:
    """Imports that go up the layers, lazily or not, and relative ones that leave a package."""
    findings = []
    for edge in imports(root):
        source, target = home(edge.importer), home(edge.imported)
        if source is None or target is None:
            continue
        if LAYERS[source] < LAYERS[target]:
            findings.append(f"{edge}, which lies above it")
        elif edge.relative and source != target:
            findings.append(f"{edge} by a relative import; write from {target} import ...")
    return findings


def folder_imports(root: Path) -> list[str]:
    """Absolute imports of a folder's own name (``import ir``), which load a module twice."""
    names = set(FOLDERS.values())
    paths = [root / "conftest.py", *modules(root).values()]
    for neighbour in NEIGHBOURS:
        paths += sorted((root / neighbour).rglob("*.py"))
    findings = []
    for path in filter(Path.exists, paths):
        for statement, _ in import_statements(ast.parse(path.read_text("utf-8"))):
            if isinstance(statement, ast.ImportFrom) and statement.level:
                continue
            for target in targets(statement, "", {}):
                if target.split(".")[0] in names:
                    place = f"{path.relative_to(root)}:{statement.lineno}"
                    findings.append(f"{place}: imports the folder {target}")
    return findings


def cycles(root: Path) -> list[list[str]]:
    """Groups of modules that need one another while being imported (Tarjan's algorithm)."""
    graph: dict[str, set[str]] = {name: set() for name in modules(root)}
    for edge in imports(root):
        if edge.eager and edge.imported in graph:
            graph[edge.importer].add(edge.imported)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(graph[name]):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            start = stack.index(name)
            group = sorted(stack[start:])
            del stack[start:]
            if len(group) > 1 or name in graph[name]:
                found.append(group)

    for name in graph:
        if name not in index:
            visit(name)
    return found


def shadows(root: Path) -> list[str]:
    """Modules in compiler/ that would hide one of the other packages."""
    compiler = root / FOLDERS["burnish"]
    hidden = [package.rpartition(".")[2] for package in FOLDERS if package != "burnish"]
    candidates = [compiler / name for stem in hidden for name in (stem, f"{stem}.py")]
    return [str(path.relative_to(root)) for path in candidates if path.exists()]


def stale_goldens(root: Path) -> list[str]:
    """Golden files whose test module or test function is gone."""
    golden = root / "tests" / "golden"
    findings = []
    for path in sorted(path for path in golden.rglob("*") if path.is_file()):
        module = root / "tests" / path.parent.relative_to(golden).with_suffix(".py")
        tree = ast.parse(module.read_text("utf-8")) if module.exists() else ast.Module([], [])
        tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        # Names are "test_f.ir", "test_f-case.ir" or "TestClass.test_f.ir".
        if tests.isdisjoint(re.split("[-.]", path.name)[:2]):
            findings.append(str(path.relative_to(root)))
    return findings


# --- this repository ---


def test_imports_go_one_way(root: Path) -> None:
    assert not wrong_directions(root)


def test_folders_are_not_imported_by_their_own_names(root: Path) -> None:
    assert not folder_imports(root)


def test_no_import_cycles(root: Path) -> None:
    assert not cycles(root)


def test_nothing_shadows_a_package(root: Path) -> None:
    assert not shadows(root)


def test_no_stale_golden_files(root: Path) -> None:
    assert not stale_goldens(root)


# --- the checks themselves ---


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    for folder in FOLDERS.values():
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").write_text("")
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ir/core.py", "from burnish.passes import manager"),
        ("ir/core.py", "import burnish.backends.c"),
        ("ir/core.py", "import burnish"),
        ("passes/fold.py", "from burnish import backends"),
        ("passes/fold.py", "def f():\n    from burnish.driver import compile"),
        ("backends/c/emit.py", "import burnish.cli"),
        ("backends/c/emit.py", "from burnish import cli"),
        ("passes/fold.py", "from ..ir import core"),
        ("compiler/driver.py", "from .ir import core"),
    ],
)
def test_a_wrong_direction_is_found(tmp_path: Path, path: str, text: str) -> None:
    extra = {"compiler/cli.py": "", "passes/manager.py": "", "ir/core.py": "", path: text}
    (finding,) = wrong_directions(write_tree(tmp_path, extra))
    assert finding.startswith(f"{path}:")


def test_right_directions_pass(tmp_path: Path) -> None:
    files = {
        "ir/ops/conv.py": "from ..core import Op\nfrom . import registry\nimport numpy",
        "passes/fold.py": "from burnish.ir import Op\nfrom burnish.ir.core import Op",
        "backends/c/emit.py": "from burnish.passes.fold import fold\nfrom ..base import Target",
        "compiler/driver.py": "from burnish import backends\nfrom . import cli\nimport burnish.ir",
    }
    assert not wrong_directions(write_tree(tmp_path, files))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"ir/a.py": "from . import b", "ir/b.py": "from .a import x"}, {"a", "b"}),
        (
            {
                "ir/a.py": "from .b import x",
                "ir/b.py": "try:\n    import burnish.ir.c\nexcept ImportError:\n    pass",
                "ir/c.py": "class C:\n    from burnish.ir import a",
            },
            {"a", "b", "c"},
        ),
        ({"ir/a.py": "import burnish.ir.a"}, {"a"}),
    ],
)
def test_a_cycle_is_found(tmp_path: Path, files: dict[str, str], expected: set[str]) -> None:
    assert cycles(write_tree(tmp_path, files)) == [sorted(f"burnish.ir.{n}" for n in expected)]


def test_a_cycle_through_the_door_is_found(tmp_path: Path) -> None:
    files = {"ir/__init__.py": "from .a import x", "ir/a.py": "from burnish.ir import y"}
    assert cycles(write_tree(tmp_path, files)) == [["burnish.ir", "burnish.ir.a"]]


def test_lazy_and_type_only_imports_are_no_cycle(tmp_path: Path) -> None:
    files = {
        "ir/a.py": "from .b import x",
        "ir/b.py": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from .a import y\n"
            "def f():\n    from .a import y\n"
        ),
    }
    assert not cycles(write_tree(tmp_path, files))


@pytest.mark.parametrize("name", ["ir.py", "passes.py", "backends.py", "ir/__init__.py"])
def test_a_shadow_is_found(tmp_path: Path, name: str) -> None:
    assert shadows(write_tree(tmp_path, {f"compiler/{name}": ""}))


def test_a_tree_without_shadows_passes(tmp_path: Path) -> None:
    assert not shadows(write_tree(tmp_path, {"compiler/driver.py": ""}))


@pytest.mark.parametrize("path", ["passes/fold.py", "tests/x/test_a.py", "examples/digits.py"])
@pytest.mark.parametrize("text", ["import ir.core", "from compiler import driver"])
def test_an_import_of_a_folder_is_found(tmp_path: Path, path: str, text: str) -> None:
    (finding,) = folder_imports(write_tree(tmp_path, {path: text}))
    assert finding.startswith(f"{path}:1:")


def test_relative_and_similar_names_are_not_folders(tmp_path: Path) -> None:
    files = {"ir/a.py": "from . import ir\nimport iris\nfrom burnish import ir"}
    assert not folder_imports(write_tree(tmp_path, files))


def test_stale_golden_files_are_found(tmp_path: Path) -> None:
    files = {
        "tests/a/test_m.py": "def test_f(golden): ...\nclass TestC:\n    def test_g(self): ...",
        "tests/golden/a/test_m/test_f.ir": "",
        "tests/golden/a/test_m/test_f-case.c": "",
        "tests/golden/a/test_m/TestC.test_g.ir": "",
        "tests/golden/a/test_m/test_gone.ir": "",
        "tests/golden/a/test_moved/test_f.ir": "",
    }
    assert stale_goldens(write_tree(tmp_path, files)) == [
        "tests/golden/a/test_m/test_gone.ir",
        "tests/golden/a/test_moved/test_f.ir",
    ]
