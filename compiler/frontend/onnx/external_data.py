"""Tensor data in files beside the model: opened safely, mapped, never copied.

A model is untrusted input, and ``external_data`` lets it name files.  Only regular files below
the model's own folder are opened, component by component without following symbolic links, and
what was opened is checked on its descriptor, so that nothing can be swapped in between.  The
folder is that of the path the user gave, also where that path is itself a link.  Hard
links are refused because they reach files outside the folder without looking like it.  This
closes the classes of CVE-2022-25882 and CVE-2024-27318 (``..`` and absolute paths),
CVE-2025-51480 (paths rewritten after the check), CVE-2026-27489 (links) and CVE-2026-34445
(unknown keys, lying offset and length).
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from burnish.ir.errors import ExternalDataError, clip

_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})
"""Keys of the format.  ``basepath`` is written by some tools and never used to form a path."""

_HELP_INSIDE = "put the data file into the folder of the model, as a plain file, and name it there"
_HELP_LINK = "replace the link by a copy of the file, next to the model"
_DECIMAL = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Reference:
    """What a tensor says about its external data: a file and a range of bytes in it."""

    location: str
    offset: int
    length: int | None
    checksum: str


def parse_reference(entries: Iterable[tuple[str, str]]) -> Reference:
    """Read the key-value pairs of ``TensorProto.external_data``.

    Raises:
        ExternalDataError: unknown or repeated keys, no location, or an offset or length that is
            no plain decimal number.
    """
    found: dict[str, str] = {}
    for key, value in entries:
        if key not in _KEYS:
            raise ExternalDataError(
                f'its external data has the unknown key "{clip(key)}"',
                help=f"the format knows {', '.join(sorted(_KEYS))}; save the model again",
            )
        if key in found:
            raise ExternalDataError(f'its external data has the key "{key}" twice')
        found[key] = value
    if not found.get("location"):
        raise ExternalDataError("its external data names no file (key location)")
    length = _number(found, "length") if "length" in found else None
    return Reference(
        found["location"], _number(found, "offset"), length, found.get("checksum", "").lower()
    )


def _number(found: dict[str, str], key: str) -> int:
    text = found.get(key, "0")
    if not _DECIMAL.fullmatch(text):
        raise ExternalDataError(
            f'the {key} of its external data is "{clip(text)}", not a plain decimal number'
        )
    return int(text)


class ExternalFiles:
    """The data files of one model: each is opened once and mapped read-only.

    ``folder`` is the model's folder, or None when the model did not come from a file.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._opened: dict[str, memoryview] = {}
        self._checksums: dict[str, str] = {}

    def view(self, reference: Reference, size: int) -> memoryview:
        """The ``size`` bytes that ``reference`` names, read-only, mapped on demand.

        Raises:
            ExternalDataError: the file may not be opened, or the range does not fit it.
        """
        if reference.length is not None and reference.length != size:
            raise ExternalDataError(
                f"its external data is {reference.length} bytes long, the tensor needs {size}"
            )
        data = self._open(reference.location)
        if reference.offset + size > len(data):
            raise ExternalDataError(
                f"its external data ends at byte {reference.offset + size}, "
                f'the file "{clip(reference.location)}" at byte {len(data)}',
                help="the data file is truncated or belongs to another model; copy it again",
            )
        self._check_sum(reference, data)
        return data[reference.offset : reference.offset + size]

    def _open(self, location: str) -> memoryview:
        if location not in self._opened:
            if self._folder is None:
                raise ExternalDataError(
                    f'its data lies in the file "{clip(location)}", but a model given as bytes '
                    "or ModelProto has no folder",
                    help="give the path of the model file instead",
                )
            self._opened[location] = _map(self._folder, location)
        return self._opened[location]

    def _check_sum(self, reference: Reference, data: memoryview) -> None:
        """Compare the file with the SHA-1 that the format allows to give."""
        if not reference.checksum:
            return
        location = reference.location
        if location not in self._checksums:
            digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            self._checksums[location] = digest
        if self._checksums[location] != reference.checksum:
            raise ExternalDataError(
                f'the file "{clip(location)}" does not have the checksum that the model names',
                help="the data file is damaged or belongs to another model; copy it again",
            )


def _components(location: str) -> list[str]:
    """The folders and the file of a relative location.

    Raises:
        ExternalDataError: it is absolute, or climbs out of the folder.
    """
    parts = location.split("/")
    absolute = location.startswith("/") or (os.name == "nt" and ":" in location)
    if absolute or "\\" in location or "\0" in location or ".." in parts:
        raise ExternalDataError(
            f'its external data lies at "{clip(location)}", outside the folder of the model',
            help=_HELP_INSIDE,
        )
    inside = [part for part in parts if part not in ("", ".")]
    if not inside or parts[-1] in ("", "."):
        raise ExternalDataError(f'its external data lies at "{clip(location)}", which is no file')
    return inside


def _map(folder: Path, location: str) -> memoryview:
    """Open ``location`` below ``folder``, check what was opened, and map it.

    Raises:
        ExternalDataError: see the module's text.
    """
    components = _components(location)
    try:
        descriptor = _open_beneath(folder, components)
    except OSError as error:
        where = _first_link(folder, components)
        if where is not None:
            raise ExternalDataError(
                f'its external data lies at "{clip(location)}", and "{clip(where)}" '
                "is a symbolic link",
                help=_HELP_LINK,
            ) from None
        raise ExternalDataError(
            f'its external data file "{clip(location)}" cannot be opened: {error.strerror}',
            help=f'put it into "{clip(str(folder))}", the folder of the model',
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ExternalDataError(
                f'its external data lies at "{clip(location)}", which is no regular file',
                help=_HELP_INSIDE,
            )
        if status.st_nlink > 1:
            raise ExternalDataError(
                f'its external data file "{clip(location)}" has {status.st_nlink} hard links: '
                "it may be a file from outside the folder of the model",
                help=_HELP_LINK,
            )
        if status.st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise ExternalDataError(
            f'its external data file "{clip(location)}" cannot be mapped: {error}'
        ) from None
    finally:
        os.close(descriptor)


def _open_beneath(folder: Path, components: list[str]) -> int:
    """A descriptor of the file, opened without following any link below ``folder``.

    O_NONBLOCK keeps a named pipe from blocking until its type has been checked.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    no_follow = getattr(os, "O_NOFOLLOW", 0)
    file_flags = flags | no_follow | getattr(os, "O_NONBLOCK", 0)
    if os.open not in os.supports_dir_fd:
        if _first_link(folder, components) is not None:
            raise OSError(0, "a link")
        return os.open(folder.joinpath(*components), file_flags)
    folder_flags = flags | getattr(os, "O_DIRECTORY", 0)
    descriptor = os.open(folder, folder_flags)
    try:
        for component in components[:-1]:
            inner = os.open(component, folder_flags | no_follow, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return os.open(components[-1], file_flags, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _first_link(folder: Path, components: list[str]) -> str | None:
    """The first component below ``folder`` that is a symbolic link, for the message."""
    path = folder
    for component in components:
        path = path / component
        try:
            if path.is_symlink():
                return str(path.relative_to(folder))
        except OSError:
            return None
    return None
