"""Folders that burnish writes: complete or not at all, and never over somebody's own files.

The folder's ``manifest.json`` lists every file with its hash; it is written last, so that a
folder whose manifest fits its files is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from burnish.ir.errors import Error, UsageError, clip

MANIFEST = "manifest.json"
FORMAT = 1
"""Version of the manifest; a reader refuses newer ones."""


class OutputError(Error):
    """A folder of burnish's output is damaged, foreign, or cannot be written."""

    code = "E-OUTPUT"


def json_text(data: object) -> str:
    """Readable, reproducible JSON."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


def write_folder(
    folder: str | os.PathLike[str], files: Mapping[str, str | bytes], manifest: Mapping[str, Any]
) -> Path:
    """Write ``files`` and a manifest that lists them to ``folder``.

    A new or empty folder appears at once with everything in it.  In a folder burnish wrote
    before, each file is replaced at once, and files of the old manifest that are no more are
    removed; files it does not list are left alone.

    Raises:
        OutputError: the folder holds other things, or cannot be written.
    """
    folder = Path(folder)
    contents = {name: _bytes(data) for name, data in files.items()}
    listed = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    }
    complete = {"burnish-output": FORMAT, **manifest, "files": listed}
    contents[MANIFEST] = _bytes(json_text(complete))
    try:
        old = _earlier_files(folder, contents)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".burnish-") as temporary:
            stage = Path(temporary) / "stage"
            _fill(stage, contents)
            if old is None:
                stage.replace(folder)
            else:
                _replace_each(stage, folder, contents, old)
    except OSError as error:
        raise OutputError(
            f"the folder cannot be written: {error.strerror}", at=clip(str(folder))
        ) from None
    return folder


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write one file; readers see the old one or the whole new one.

    Raises:
        OutputError: it cannot be written; what was there before is unharmed.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a device or a pipe, which nothing may replace
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".burnish-") as temporary:
            stage = Path(temporary) / "stage"
            stage.write_bytes(data)
            stage.replace(path.resolve())
    except OSError as error:
        raise OutputError(
            f"the file cannot be written: {error.strerror}", at=clip(str(path))
        ) from None


def read_folder(folder: str | os.PathLike[str]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files by name, and the manifest, of a folder that :func:`write_folder` wrote.

    Raises:
        OutputError: there is no manifest, or a file is missing or not what it lists.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    if manifest is None:
        raise OutputError(
            f"there is no {MANIFEST} of burnish in the folder",
            at=clip(str(folder)),
            help="give the folder that `burnish compile --out` or save() wrote",
        )
    files = {}
    for name, entry in manifest["files"].items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise OutputError(
                f"{clip(name)} cannot be read: {error.strerror}",
                at=clip(str(folder)),
                help="compile the model again",
            ) from None
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise OutputError(
                f"{clip(name)} is not the file that its manifest describes",
                at=clip(str(folder)),
                help="it was changed, or writing was interrupted; compile the model again",
            )
        files[name] = data
    return files, manifest


def is_output(folder: str | os.PathLike[str]) -> bool:
    """Whether burnish wrote the folder."""
    try:
        return _read_manifest(Path(folder)) is not None
    except OutputError:
        return True


def _bytes(data: str | bytes) -> bytes:
    return data.encode("utf-8") if isinstance(data, str) else data


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest; None when there is none of burnish's."""
    try:
        data = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or "burnish-output" not in data:
        return None
    if data["burnish-output"] != FORMAT:
        raise OutputError(
            f"the folder has format {clip(str(data['burnish-output']))}, "
            f"this burnish knows {FORMAT}",
            at=clip(str(folder)),
            help="use the burnish that wrote it, or compile the model again",
        )
    files = data.get("files")
    if not isinstance(files, dict) or not all(
        _is_inside(name) and isinstance(entry, dict) and isinstance(entry.get("sha256"), str)
        for name, entry in files.items()
    ):
        raise OutputError(f"{MANIFEST} is damaged", at=clip(str(folder)))
    return data


def _is_inside(name: str) -> bool:
    """Whether a listed name stays in the folder; a manifest may come from anywhere."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _earlier_files(folder: Path, contents: Mapping[str, bytes]) -> list[str] | None:
    """Names of the files an earlier run left; None when the folder is new or empty."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise OutputError("there is a file of that name", at=clip(str(folder)))
    present = {p.name for p in folder.iterdir()}
    if not present:
        return None
    manifest = _read_manifest(folder)
    if manifest is None:
        some = ", ".join(clip(name, 40) for name in sorted(present)[:3])
        raise OutputError(
            f"the folder is not empty and not of burnish (it holds {some})",
            at=clip(str(folder)),
            help="choose a new or an empty folder",
        )
    old = list(manifest["files"])
    foreign = [n for n in contents if n != MANIFEST and n not in old and (folder / n).exists()]
    if foreign:
        raise OutputError(
            f"{clip(foreign[0])} is there already, and is not of burnish",
            at=clip(str(folder)),
            help="move it away, or choose another folder",
        )
    return old


def _fill(stage: Path, contents: Mapping[str, bytes]) -> None:
    stage.mkdir()
    for name, data in contents.items():
        if not _is_inside(name):
            raise UsageError(f'"{clip(name)}" is no name for a file in a folder')
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _replace_each(stage: Path, folder: Path, contents: Mapping[str, bytes], old: list[str]) -> None:
    for name in sorted(contents, key=lambda name: name == MANIFEST):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).replace(folder / name)
    for name in old:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
