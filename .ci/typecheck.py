"""Check types with mypy: ``python .ci/typecheck.py [burnish.ir ...] [mypy's options]``.

mypy cannot be told that compiler/ is the package ``burnish`` and ir/ is ``burnish.ir``; this
hands it each file under its installed name, so that its messages show real paths.  Without
package names, everything is checked, these scripts included.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mypy import build
from mypy import main as mypy_main
from mypy.errors import CompileError
from mypy.fscache import FileSystemCache
from mypy.modulefinder import BuildSource

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def package_sources(mapping: dict[str, str]) -> list[BuildSource]:
    """One source per Python file of the packages, under its installed module name."""
    sources = []
    for package, folder in mapping.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            module = ".".join([package, *(part for part in parts if part != "__init__")])
            sources.append(BuildSource(str(path.relative_to(ROOT)), module))
    return sources


def script_sources() -> list[BuildSource]:
    """The Python files beside the packages: this folder's scripts and the root conftest."""
    paths = [ROOT / "conftest.py", *sorted((ROOT / ".ci").glob("*.py"))]
    return [BuildSource(str(path.relative_to(ROOT)), path.stem) for path in paths]


def main(arguments: list[str]) -> int:
    """Check and print; 0 when clean, 1 with findings, 2 for an unknown package."""
    os.chdir(ROOT)
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    mapping: dict[str, str] = project["tool"]["setuptools"]["package-dir"]
    wanted = [argument for argument in arguments if argument.startswith("burnish")]
    if unknown := sorted(set(wanted) - set(mapping)):
        print(f"unknown package {unknown[0]}; there are {', '.join(mapping)}", file=sys.stderr)
        return 2
    if wanted:
        sources = package_sources({package: mapping[package] for package in wanted})
    else:
        sources = package_sources(mapping) + script_sources()
    _, options = mypy_main.process_options(
        [argument for argument in arguments if argument not in wanted],
        require_targets=False,
        fscache=FileSystemCache(),
    )
    options.fast_module_lookup = True
    try:
        errors = build.build(sources, options).errors
    except CompileError as error:
        errors = error.messages
    print("\n".join(errors) or f"types are clean: {len(sources)} files")
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
