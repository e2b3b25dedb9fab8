from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from burnish.ir import Function, Module, build_function, tensor
from burnish.ir.errors import InputError
from burnish.samples import (
    Samples,
    file_beside,
    read_arrays,
    read_samples,
    seeded_samples,
    write_arrays,
)


def function_of(*types: tuple[str, tuple[int, ...]]) -> Function:
    arguments = {f"i{k}": tensor(dtype, *shape) for k, (dtype, shape) in enumerate(types)}
    function, builder = build_function(Module(), "main", arguments, list(arguments))
    builder.ret(*function.args)
    return function


def test_arrays_round_trip_whatever_their_names(tmp_path: Path) -> None:
    arrays = {"a/b": np.arange(3), "file": np.eye(2, dtype=np.float32), "../x": np.zeros(())}
    write_arrays(tmp_path / "a.npz", arrays)
    again = read_arrays(tmp_path / "a.npz")
    assert list(again) == list(arrays)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_files_are_reproducible(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, {"x": np.arange(5)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken", b"\x93NUMPY\x01\x00"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match="holds no arrays"):
        read_arrays(tmp_path / "x.npz")


def test_python_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="holds no arrays"):
        read_arrays(tmp_path / "x.npz")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_arrays(tmp_path / "x.npz")


def test_samples_are_cut_from_the_leading_axis(tmp_path: Path) -> None:
    write_arrays(tmp_path / "s.npz", {"x": np.arange(6).reshape(3, 2), "label": np.arange(3)})
    samples = read_samples(tmp_path / "s.npz", ["x"])
    assert len(samples) == 3
    assert [sample["x"].tolist() for sample in samples] == [[0, 1], [2, 3], [4, 5]]
    assert samples.shapes == {"x": (2,)}
    assert len(samples.first(2)) == 2


def test_samples_of_scalars_stay_arrays() -> None:
    assert Samples({"x": np.arange(3)}, "")[1]["x"].shape == ()


def test_samples_must_fit(tmp_path: Path) -> None:
    write_arrays(tmp_path / "s.npz", {"x": np.zeros((3, 2)), "y": np.zeros((2, 2))})
    with pytest.raises(InputError, match='no array for input "z"'):
        read_samples(tmp_path / "s.npz", ["x", "z"])
    with pytest.raises(InputError, match="same samples"):
        read_samples(tmp_path / "s.npz", ["x", "y"])


def test_the_file_beside_a_model(tmp_path: Path) -> None:
    assert file_beside(tmp_path / "int8.onnx") is None
    for name in ("inputs.npz", "int8_inputs.npz"):
        write_arrays(tmp_path / name, {})
    assert file_beside(tmp_path / "model.onnx") == tmp_path / "inputs.npz"
    assert file_beside(tmp_path / "int8.onnx") == tmp_path / "int8_inputs.npz"


def test_random_samples_are_seeded_and_of_a_kind() -> None:
    function = function_of(("f32", (50,)), ("i64", (50,)), ("i8", (500,)), ("bool", (50,)),
                           ("u8", (500,)), ("f16", (3,)), ("u64", (9,)))  # fmt: skip
    one, same = seeded_samples(function, 2, 7), seeded_samples(function, 2, 7)
    other = seeded_samples(function, 2, 8)
    assert all(np.array_equal(one[1][name], same[1][name]) for name in one.arrays)
    assert not np.array_equal(one[0]["i0"], other[0]["i0"])
    types = {name: value.type.dtype.numpy for name, value in zip(one.arrays, function.args)}
    assert {name: array.dtype for name, array in one[0].items()} == types
    assert set(np.unique(one.arrays["i1"])) == {0, 1}
    assert one.arrays["i2"].min() < -100
    assert one.arrays["i2"].max() > 100
    assert one.arrays["i4"].max() > 200
