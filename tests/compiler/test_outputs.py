from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.ir.errors import UsageError
from burnish.outputs import MANIFEST, OutputError, is_output, read_folder, write_folder


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_round_trip(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a" / "b", {"x.c": "int x;\n", "w.bin": b"\x00\xff"}, {"k": 1})
    files, manifest = read_folder(folder)
    assert files == {"x.c": b"int x;\n", "w.bin": b"\x00\xff"}
    assert manifest["k"] == 1
    assert is_output(folder)
    assert names(tmp_path) == ["a/b/manifest.json", "a/b/w.bin", "a/b/x.c"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert names(write_folder(tmp_path / "out", {"x": "1"}, {})) == [MANIFEST, "x"]


def test_own_files_are_replaced_and_others_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_folder(folder, {"x": "1", "stale": "1"}, {})
    (folder / "main.c").write_text("mine")
    write_folder(folder, {"x": "2", "new": "2"}, {})
    assert names(folder) == ["main.c", MANIFEST, "new", "x"]
    assert read_folder(folder)[0] == {"x": b"2", "new": b"2"}


def test_a_users_file_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_folder(folder, {"x": "1"}, {})
    (folder / "new").write_text("mine")
    with pytest.raises(OutputError, match=r"new is there already"):
        write_folder(folder, {"x": "2", "new": "2"}, {})
    assert (folder / "new").read_text() == "mine"
    assert (folder / "x").read_text() == "1"


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"name": "another tool"}'])
def test_foreign_folders_are_refused(tmp_path: Path, manifest: str | None) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(OutputError, match="not of burnish"):
        write_folder(tmp_path, {"x": "1"}, {})
    assert "x" not in names(tmp_path)
    with pytest.raises(OutputError):
        read_folder(tmp_path)
    assert not is_output(tmp_path)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="there is a file of that name"):
        write_folder(tmp_path / "out", {}, {})
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(tmp_path / "out" / "inside", {}, {})


def test_changed_and_missing_files_are_found(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "out", {"x": "1"}, {})
    (folder / "x").write_text("2")
    with pytest.raises(OutputError, match="x is not the file that its manifest describes"):
        read_folder(folder)
    (folder / "x").unlink()
    with pytest.raises(OutputError, match="x cannot be read"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", ""])
def test_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        write_folder(tmp_path / "out", {name: "1"}, {})
    assert names(tmp_path) == []
    folder = write_folder(tmp_path / "out", {"x": "1"}, {})
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {name: manifest["files"]["x"]}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match="damaged"):
        read_folder(folder)
    with pytest.raises(OutputError, match="damaged"):
        write_folder(folder, {"x": "1"}, {})


def test_another_format_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "out", {}, {})
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"burnish-output": 99}))
    with pytest.raises(OutputError, match="format 99"):
        read_folder(folder)
    assert is_output(folder)


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_folder(tmp_path / "out", {"good": "1", "../bad": "1"}, {})
    assert list(tmp_path.iterdir()) == []
