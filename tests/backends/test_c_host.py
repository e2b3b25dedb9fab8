"""Building on the host: the cache, missing and failing compilers, checked inputs, threads."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish.backends import find_target
from burnish.backends.c import compile_module, runner
from burnish.backends.c.host import SHARED, CRunner, build, compile_files
from burnish.ir import Module, build_function, tensor
from burnish.ir.errors import InputError, ToolchainError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("BURNISH_CACHE", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


def module(scale: float = 2) -> Module:
    made = Module("net")
    function, b = build_function(made, "main", {"x": tensor("f32", 4)}, ["y"])
    y = b("math.mul", function.args[0], b.constant(np.full(4, scale, np.float32)))
    b.ret(b("math.add", b("math.exp", y), y))
    return made


X = {"x": np.arange(4, dtype=np.float32)}


def libraries(cache: Path) -> list[Path]:
    return sorted(cache.rglob("net.so"))


def test_equal_sources_are_built_once(cache: Path) -> None:
    runner(compile_module(module()))
    (built,) = libraries(cache)
    before = built.stat().st_mtime_ns
    runner(compile_module(module()))
    assert libraries(cache) == [built]
    assert built.stat().st_mtime_ns == before
    runner(compile_module(module(3)))
    assert len(libraries(cache)) == 2


def test_a_cache_entry_without_its_library_is_built_anew(cache: Path) -> None:
    runner(compile_module(module()))
    (built,) = libraries(cache)
    built.unlink()
    runner(compile_module(module())).run(X)
    assert libraries(cache) == [built]


def test_a_truncated_library_is_built_anew(cache: Path) -> None:
    artifact = compile_module(module())
    library = compile_files(artifact.files, find_target("c"), "net.so", SHARED)
    whole = library.stat().st_size
    library.write_bytes(b"\x7fELF")
    runner(artifact).run(X)
    assert library.stat().st_size == whole


def test_builds_at_the_same_moment_do_not_disturb_each_other(cache: Path) -> None:
    artifact = compile_module(module())
    with ThreadPoolExecutor(4) as pool:
        runners = list(pool.map(lambda _: runner(artifact), range(4)))
    assert len(libraries(cache)) == 1
    assert [path.name for path in (cache / "c").iterdir()] == [libraries(cache)[0].parent.name]
    assert len({run.run(X)["y"].tobytes() for run in runners}) == 1


def test_no_compiler_is_said_with_what_to_install(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolchainError, match="not installed") as caught:
        runner(compile_module(module()))
    assert "apt-get install gcc" in caught.value.help


def test_a_failing_compiler_is_quoted(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "fakecc"
    fake.write_text("#!/bin/sh\necho 'net.c:1: error: cosmic ray' >&2\nexit 3\n")
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(ToolchainError, match="cosmic ray") as caught:
        runner(compile_module(module()))
    assert "the sources are in" in str(caught.value)


def test_code_for_another_machine_is_not_run_here(cache: Path) -> None:
    with pytest.raises(ToolchainError, match="cortex-m4"):
        runner(compile_module(module(), "c:cortex-m4"))


def test_extra_flags_make_another_build(cache: Path) -> None:
    artifact = compile_module(module())
    target = find_target("c")
    build(artifact.files, artifact.manifest, target)
    build(artifact.files, artifact.manifest, replace(target, flags=(*target.flags, "-O0")))
    assert len(libraries(cache)) == 2


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, '"x" is missing'),
        ({**X, "z": X["x"]}, 'no "z"'),
        ({"x": np.zeros(4)}, "float64"),
        ({"x": np.zeros(5, np.float32)}, r"\[5\]"),
        ({"x": np.zeros((4, 1), np.float32)}, r"\[4, 1\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    cache: Path, inputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        runner(compile_module(module())).run(inputs)


def test_inputs_need_not_be_contiguous_nor_arrays(cache: Path) -> None:
    run = runner(compile_module(module()))
    strided = np.repeat(X["x"], 2)[::2]
    assert not strided.flags.c_contiguous
    np.testing.assert_array_equal(run.run({"x": strided})["y"], run.run(X)["y"])


def test_a_runner_may_be_called_from_several_threads(cache: Path) -> None:
    run = runner(compile_module(module()))
    assert isinstance(run, CRunner)
    arrays = [np.full(4, i / 50, np.float32) for i in range(50)]
    expected = [run.run({"x": x})["y"] for x in arrays]
    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(lambda x: run.run({"x": x})["y"], arrays))
    np.testing.assert_array_equal(actual, expected)
