"""Data files beside a model: what is read, and that nothing outside the folder ever is."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from burnish.frontend.onnx.load import load_model
from burnish.ir.errors import ExternalDataError

ARRAY = np.arange(6, dtype=np.float32)
SIZE = ARRAY.nbytes


def external_model(
    *entries: tuple[str, str], dims: tuple[int, ...] = (6,), dtype: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=dtype, dims=dims)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries:
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])],
        "g",
        [],
        [helper.make_tensor_value_info("y", dtype, None)],
        [tensor],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def load(folder: Path, *entries: tuple[str, str]) -> np.ndarray:
    path = folder / "net.onnx"
    path.write_bytes(external_model(*entries).SerializeToString())
    return load_model(path).graph.initializers["w"].array


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a model, with data files in it and a secret outside."""
    inside = tmp_path / "model"
    (inside / "sub").mkdir(parents=True)
    (inside / "w.bin").write_bytes(b"12345678" + ARRAY.tobytes())
    (inside / "sub" / "w.bin").write_bytes(ARRAY.tobytes())
    (tmp_path / "secret.bin").write_bytes(ARRAY.tobytes())
    return inside


@pytest.mark.parametrize(
    "entries",
    [
        [("location", "w.bin"), ("offset", "8"), ("length", str(SIZE))],
        [("location", "w.bin"), ("offset", "8")],
        [("location", "sub/w.bin")],
        [("location", "./sub//w.bin"), ("basepath", "/etc")],
        [("location", "sub/w.bin"), ("checksum", hashlib.sha1(ARRAY.tobytes()).hexdigest())],
    ],
)
def test_data_inside_the_folder_is_mapped(folder: Path, entries: list[tuple[str, str]]) -> None:
    array = load(folder, *entries)
    np.testing.assert_array_equal(array, ARRAY)
    assert not array.flags.writeable
    assert not array.flags.owndata


def test_model_given_relative_to_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(folder, ("location", "sub/w.bin"))
    monkeypatch.chdir(folder)
    np.testing.assert_array_equal(load_model("net.onnx").graph.initializers["w"].array, ARRAY)


def test_a_zero_sized_tensor_in_an_empty_file(folder: Path) -> None:
    (folder / "empty.bin").touch()
    path = folder / "net.onnx"
    path.write_bytes(external_model(("location", "empty.bin"), dims=(0,)).SerializeToString())
    assert load_model(path).graph.initializers["w"].array.shape == (0,)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../secret.bin", "outside the folder"),
        ("sub/../../secret.bin", "outside the folder"),
        ("sub/../w.bin", "outside the folder"),
        ("..", "outside the folder"),
        ("/etc/passwd", "outside the folder"),
        ("//etc/passwd", "outside the folder"),
        ("..\\secret.bin", "outside the folder"),
        ("w.bin\0.txt", "outside the folder"),
        ("", "names no file"),
        (".", "no file"),
        ("sub/", "no file"),
        ("sub", "no regular file"),
        ("absent.bin", "cannot be opened"),
        ("w.bin/x", "cannot be opened"),
        ("x" * 10_000, "cannot be opened"),
        ("link.bin", "symbolic link"),
        ("inside.bin", "symbolic link"),
        ("linked/secret.bin", "symbolic link"),
        ("sub/up/secret.bin", "symbolic link"),
        ("loop", "symbolic link"),
        ("hard.bin", "hard links"),
        ("pipe", "no regular file"),
        ("null", "symbolic link"),
    ],
)
def test_locations_that_are_refused(folder: Path, location: str, words: str) -> None:
    (folder / "link.bin").symlink_to("../secret.bin")
    (folder / "inside.bin").symlink_to("w.bin")
    (folder / "linked").symlink_to("..")
    (folder / "sub" / "up").symlink_to("../..")
    (folder / "loop").symlink_to("loop")
    (folder / "null").symlink_to("/dev/zero")
    os.link(folder.parent / "secret.bin", folder / "hard.bin")
    os.mkfifo(folder / "pipe")
    with pytest.raises(ExternalDataError, match=words) as caught:
        load(folder, ("location", location))
    assert caught.value.at[0] == 'tensor "w"'
    assert caught.value.at[-1].endswith("net.onnx")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("offset", "-1")], "plain decimal"),
        ([("offset", "0x10")], "plain decimal"),
        ([("offset", " 8")], "plain decimal"),
        ([("offset", "٣")], "plain decimal"),
        ([("offset", "")], "plain decimal"),
        ([("offset", "8.0")], "plain decimal"),
        ([("offset", "1" * 5000)], "plain decimal"),
        ([("offset", "9")], "ends at byte 33"),
        ([("offset", str(10**17))], "ends at byte"),
        ([("length", "-24")], "plain decimal"),
        ([("length", "23")], "23 bytes long, the tensor needs 24"),
        ([("length", str(1 << 50))], "the tensor needs 24"),
        ([("length", "24"), ("length", "24")], "twice"),
        ([("location", "sub/w.bin")], "twice"),
        ([("__class__", "x")], "unknown key"),
        ([("size", "24")], "unknown key"),
        ([("", "")], "unknown key"),
        ([("checksum", "0" * 40)], "checksum"),
    ],
)
def test_entries_that_lie(folder: Path, entries: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ExternalDataError, match=words):
        load(folder, ("location", "w.bin"), *entries)


def test_no_location(folder: Path) -> None:
    with pytest.raises(ExternalDataError, match="names no file"):
        load(folder)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_model_without_a_folder_has_no_data_files(
    folder: Path, as_bytes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    proto = external_model(("location", "sub/w.bin"))
    with pytest.raises(ExternalDataError, match="has no folder") as caught:
        load_model(proto.SerializeToString() if as_bytes else proto)
    assert "path" in caught.value.help


def test_constants_in_nodes_are_checked_too(folder: Path) -> None:
    tensor = external_model(("location", "../secret.bin")).graph.initializer[0]
    node = helper.make_node("Constant", [], ["y"], name="k", value=tensor)
    graph = helper.make_graph(
        [node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ExternalDataError, match="outside the folder") as caught:
        load_model(folder / "net.onnx")
    assert 'node "k" (Constant)' in caught.value.at


def test_a_file_swapped_after_loading_is_not_read(folder: Path) -> None:
    """The file is opened once: what the check saw is what is read, whatever the name means now."""
    (folder / "net.onnx").write_bytes(external_model(("location", "sub/w.bin")).SerializeToString())
    tensor = load_model(folder / "net.onnx").graph.initializers["w"]
    (folder / "sub" / "w.bin").unlink()
    (folder / "sub" / "w.bin").symlink_to("/dev/zero")
    np.testing.assert_array_equal(tensor.array, ARRAY)


def test_three_gigabytes_are_mapped_not_read(tmp_path: Path) -> None:
    count = 3 << 28
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(4 * count)
    proto = external_model(("location", "w.bin"), ("length", str(4 * count)), dims=(count,))
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    tracemalloc.start()
    array = load_model(tmp_path / "net.onnx").graph.initializers["w"].array
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert array.nbytes == 3 << 30
    assert array[-1] == 0
    assert peak < 1 << 20


@pytest.mark.parametrize("dtype", [TensorProto.INT4, TensorProto.BOOL, TensorProto.BFLOAT16])
def test_other_element_types(tmp_path: Path, dtype: int) -> None:
    expected = helper.make_tensor("w", dtype, [5], [1, 0, 1, 1, 1])
    raw = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(expected)).raw_data
    (tmp_path / "w.bin").write_bytes(raw)
    proto = external_model(("location", "w.bin"), ("length", str(len(raw))), dims=(5,), dtype=dtype)
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    array = load_model(tmp_path / "net.onnx").graph.initializers["w"].array
    np.testing.assert_array_equal(array.astype(np.int32), [1, 0, 1, 1, 1])
