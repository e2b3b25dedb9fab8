"""Write ``.typing/burnish/``: links that show the folders under their installed names.

pyright and editors follow files, not pyproject.toml's package-dir; ``python .ci/alias.py``
gives them a tree to follow.  The links are ignored by git; run it again after adding a file
to compiler/.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def link(root: Path, destination: Path) -> None:
    """Link every package of the project at ``root`` below ``destination``.

    The top package becomes a real folder with one link per entry, because the other packages
    are linked into it; those become one link each.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    for package, folder in sorted(project["tool"]["setuptools"]["package-dir"].items()):
        target = destination.joinpath(*package.split("."))
        if "." in package:
            target.symlink_to(root / folder, target_is_directory=True)
            continue
        target.mkdir(parents=True)
        for entry in sorted((root / folder).iterdir()):
            if entry.name != "__pycache__":
                (target / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())


if __name__ == "__main__":
    repository = Path(__file__).resolve().parent.parent
    shutil.rmtree(repository / ".typing", ignore_errors=True)
    link(repository, repository / ".typing")
