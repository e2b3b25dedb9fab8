"""The rates that estimates are made with, and how they are kept."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from burnish.backends.c import machine as machines
from burnish.backends.c.machine import DEFAULT, Level, Machine, keep, machine_of, native_machine
from burnish.ir import DType, Module, Op, build_function, tensor
from burnish.ir.errors import ToolchainError, UsageError

OTHER = replace(DEFAULT, levels=(Level(1024.0, 8.0), Level(math.inf, 2.0)), call_cycles=7.0)


@pytest.fixture(autouse=True)
def no_memory() -> None:
    """Rates are read once in a process."""
    machines._read_machine.cache_clear()


def matmul(rows: int) -> Op:
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor(DType.F32, rows, 10)}, ["y"])
    op = b.create("nn.matmul", [function.args[0], b.constant(np.ones((10, 20), np.float32))])
    b.ret(op.result)
    return op


def test_bytes_move_at_the_rate_of_the_level_that_holds_them() -> None:
    assert OTHER.moving(1024) == 128
    assert OTHER.moving(1025) == 512.5
    assert OTHER.converting(1024) == pytest.approx(128 / OTHER.conversion)


def test_arithmetic_by_kind() -> None:
    assert DEFAULT.computing(matmul(1)) == 200 / DEFAULT.rates["matrix-vector"]
    assert DEFAULT.computing(matmul(4)) == 800 / DEFAULT.rates["matmul"]


def test_convolutions_of_few_positions_fill_no_vectors() -> None:
    def conv(size: int) -> float:
        types = {"x": tensor("f32", 1, 8, size), "w": tensor("f32", 8, 8, 1)}
        function, b = build_function(Module("m"), "main", types, ["y"])
        windows = {"strides": (1,), "pads": (0, 0), "dilations": (1,), "groups": 1}
        return DEFAULT.computing(b.create("nn.conv", function.args, windows))

    assert conv(32) == 2 * conv(16) == 2 * conv(4)


def test_text_round_trip() -> None:
    text = machines.text_of(OTHER)
    assert machine_of(text) == OTHER
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_kept_calibration_counts_here_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path))
    monkeypatch.delenv(machines.CHOICE)
    assert native_machine() == DEFAULT
    place = keep(OTHER)
    assert native_machine() == OTHER
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    monkeypatch.setenv(machines.CHOICE, "default")
    assert native_machine() == DEFAULT
    monkeypatch.setenv(machines.CHOICE, str(place))
    assert native_machine() == OTHER


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", machines.text_of(replace(OTHER, call_cycles=-1.0)),
     machines.text_of(OTHER).replace("null", "5")],
)  # fmt: skip
def test_broken_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What was kept is not used; what was asked for is refused."""
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path))
    monkeypatch.delenv(machines.CHOICE)
    place = keep(OTHER)
    place.write_text(text, "utf-8")
    assert native_machine() == DEFAULT
    monkeypatch.setenv(machines.CHOICE, str(place))
    with pytest.raises(UsageError, match="holds no rates of a machine"):
        native_machine()


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolchainError, match="cannot be written"):
        keep(Machine())
