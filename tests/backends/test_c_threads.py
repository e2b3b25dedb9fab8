"""Kernels that several threads compute: equal results, no races, and workers that come and go."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_batches import BATCH, CASES, STRICT, together

import burnish
from burnish.backends import Artifact, find_target
from burnish.backends.c import compile_module, runner, threads
from burnish.backends.c.host import SHARED, build, compile_files, thread_flags
from burnish.backends.c.kernels.sharing import best_loop
from burnish.backends.c.select import Selection
from burnish.ir import Layout, Module, build_function, interpret, symbol, tensor
from burnish.ir.errors import TargetError

BATCHES = range(-(-len(CASES) // BATCH))


@pytest.fixture
def share_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small kernels are, they are shared."""
    monkeypatch.setattr(threads, "LEAST_CYCLES", 0.0)


def shared(artifact: Artifact) -> set[str]:
    """The families of kernels that threads share."""
    selection = artifact.stages["select"]
    assert isinstance(selection, Selection)
    return {kernel.family for kernel in selection.kernels if kernel.threads > 1}


def network(size: int = 96, classes: int = 2000) -> Module:
    """Convolutions, pooling and a matrix product, each large enough to be shared."""
    random = np.random.default_rng(0)
    made = Module("net")
    function, b = build_function(made, "main", {"x": tensor("f32", 1, 8, size, size)}, ["y"])

    def weights(*shape: int) -> Any:
        return b.constant(random.standard_normal(shape).astype(np.float32))

    ones, plain = (1, 1), (0, 0, 0, 0)
    unit = {"strides": ones, "dilations": ones, "groups": 1}
    y = b("nn.conv", function.args[0], weights(32, 8, 3, 3), weights(32), pads=(1,) * 4, **unit)
    y = b("math.tanh", y)
    window = {"kernel": (2, 2), "strides": (2, 2), "dilations": ones, "overhang": (0, 0)}
    y = b("nn.max_pool", y, pads=plain, **window)
    y = b("nn.conv", y, weights(64, 32, 1, 1), weights(64), pads=plain, **unit)
    y = b("tensor.reduce", y, kind="mean", axes=(2, 3))
    b.ret(b("nn.matmul", y, weights(64, classes)))
    return made


def compiled(target: str = "c", **options: object) -> Artifact:
    """The network after all passes, so that its kernels work in blocks of channels."""
    return burnish.compile(network(), target, options=options).artifact


X = {"x": np.random.default_rng(1).standard_normal((1, 8, 96, 96)).astype(np.float32)}


def results(number: int, count: int, *, sanitize: str | bool = False) -> dict[str, Any]:
    """What a batch of the op cases gives with so many threads."""
    module, inputs = together(CASES[number * BATCH : (number + 1) * BATCH])
    artifact = compile_module(module, "c", {"threads": count})
    return build(artifact.files, artifact.manifest, STRICT, sanitize=sanitize).run(inputs)


def bits(value: Any) -> tuple[bytes, bytes]:
    """Every bit of an array, but those of NaN, which compilers make differ from build to build."""
    is_nan = np.not_equal(value, value)
    numbers = value.copy()
    numbers[is_nan] = 0
    return is_nan.tobytes(), numbers.tobytes()


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert actual.keys() == expected.keys()
    assert not [name for name, value in expected.items() if bits(actual[name]) != bits(value)]


@pytest.mark.parametrize(("number", "count"), [(n, 2 + n // 6 % 2) for n in BATCHES[::6]])
def test_results_do_not_depend_on_the_number_of_threads(
    number: int, count: int, share_all: None
) -> None:
    assert_same(results(number, count), results(number, 1))


def test_threads_write_their_own_parts_only(share_all: None) -> None:
    """GCC 12's predictive commoning writes back what it read of the next thread's part.

    Results suffer where that thread has been faster.
    """
    module = Module("own")
    function, b = build_function(module, "main", {"x": tensor("f32", 1, 5, 3, 3)}, ["y"])
    b.ret(b("nn.softmax", function.args[0], axis=1))
    x = {"x": np.random.default_rng(0).standard_normal((1, 5, 3, 3)).astype(np.float32)}
    expected = runner(compile_module(module)).run(x)
    artifact = compile_module(module, options={"threads": 7})
    found = runner(artifact)
    for _ in range(50):
        assert_same(found.run(x), expected)
    spread = compiled(threads=2, files=2)
    name = spread.manifest["name"]
    for files, start in ((artifact.files, "own.c"), (spread.files, f"{name}_internal.h")):
        text = str(files[start])
        assert 0 < text.find("no-predictive-commoning") < text.index("_KERNEL")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("number", BATCHES)
def test_no_result_depends_on_the_number_of_threads(
    number: int, count: int, share_all: None
) -> None:
    assert_same(results(number, count), results(number, 1))


@pytest.mark.slow
@pytest.mark.parametrize("number", BATCHES)
def test_the_thread_sanitizer_finds_nothing_in_the_cases(number: int, share_all: None) -> None:
    results(number, 3, sanitize="threads")


# Models ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["c", "c:generic"])
@pytest.mark.parametrize("weights", ["blob", "load"])
def test_a_model_gives_the_same_with_any_number_of_threads(target: str, weights: str) -> None:
    expected = runner(compiled(target, weights=weights, arena="static")).run(X)
    for count in (2, 3, 5):
        artifact = compiled(target, weights=weights, arena="static", threads=count)
        assert len(shared(artifact)) >= 3
        run = runner(artifact)
        for _ in range(3):
            assert_same(run.run(X), expected)


def test_sizes_known_at_run_time_are_cut_too(share_all: None) -> None:
    module = Module("rows")
    n = symbol("n")
    function, b = build_function(module, "main", {"x": tensor("f32", n, 24)}, ["y"])
    y = b("nn.softmax", b("math.exp", function.args[0]), axis=1)
    b.ret(b("tensor.transpose", y, permutation=(1, 0)))
    module.symbols["n"] = (0, 40)
    artifact = compile_module(module, "c", {"threads": 3})
    assert shared(artifact)
    run = runner(artifact)
    for rows in (0, 1, 2, 7, 40):
        inputs = {"x": np.random.default_rng(rows).standard_normal((rows, 24)).astype(np.float32)}
        expected = interpret(module, inputs)["y"]
        np.testing.assert_allclose(run.run(inputs)["y"], expected, rtol=1e-5)


MOVEMENT: dict[str, tuple[str, dict[str, Any]]] = {
    "transpose": ("tensor.transpose", {"permutation": (2, 0, 1)}),
    "slice": ("tensor.slice", {"starts": (0, 1, 0), "sizes": (6, 3, 50), "steps": (1, 1, 2)}),
    "broadcast": ("tensor.broadcast", {"shape": (2, 6, 4, 100)}),
    "pad": ("tensor.pad", {"before": (1, 2, 3), "after": (1, 0, 2), "mode": "constant"}),
    "arg_reduce": ("tensor.arg_reduce", {"kind": "max", "axis": 2}),
    "cumulative_sum": ("tensor.cumulative_sum", {"axis": 1}),
}


@pytest.mark.parametrize("family", MOVEMENT)
def test_data_movement_is_shared(family: str, share_all: None) -> None:
    """Every core adds to the bandwidth."""
    name, attributes = MOVEMENT[family]
    module = Module("moved")
    function, b = build_function(module, "main", {"x": tensor("f32", 6, 4, 100)}, ["y"])
    b.ret(b(name, function.args[0], **attributes))
    assert shared(compile_module(module, options={"threads": 2})) == {family}


def test_storing_in_another_order_is_shared(share_all: None) -> None:
    module = Module("stored")
    function, b = build_function(module, "main", {"x": tensor("f32", 6, 4, 100)}, ["y"])
    y = b("tensor.relayout", function.args[0], layout=Layout((0, 2, 1), ((0, 2),)))
    b.ret(b("tensor.relayout", y, layout=Layout((0, 1, 2))))
    artifact = compile_module(module, options={"threads": 2})
    assert [kernel.threads for kernel in artifact.stages["select"].kernels] == [2, 2]


def test_one_thread_leaves_no_trace() -> None:
    plain = compile_module(network())
    assert compile_module(network(), options={"threads": 1}).files == plain.files
    for content in plain.files.values():
        if isinstance(content, str):
            assert "thread" not in content
    assert "-pthread" not in plain.manifest["flags"]
    assert "-pthread" in compile_module(network(), options={"threads": 2}).manifest["flags"]


def test_small_kernels_stay_with_the_caller() -> None:
    artifact = compile_module(network(4, 10), options={"threads": 2})
    assert not shared(artifact)
    text = artifact.files["net.c"]
    assert isinstance(text, str)
    assert "pthread" not in text
    assert "void net_shutdown(void)" in text
    runner(artifact).run({"x": X["x"][:, :, :4, :4]})


def test_the_plan_has_scratch_memory_for_every_thread(share_all: None) -> None:
    module = Module("lines")
    function, b = build_function(module, "main", {"x": tensor("f32", 6, 100)}, ["y"])
    b.ret(b("nn.softmax", function.args[0], axis=1))
    (one,) = (compile_module(module, "c:generic").stages["select"],)
    (three,) = (compile_module(module, "c:generic", {"threads": 3}).stages["select"],)
    assert isinstance(one, Selection)
    assert isinstance(three, Selection)
    assert one.kernels[0].scratch == 400
    assert three.kernels[0].scratch == 3 * 448  # whole cache lines each
    assert "scratch=1344 threads=3" in str(three)


@pytest.mark.parametrize("target", ["c:cortex-m4", "c:cortex-m55", "c:rv32imc"])
def test_microcontrollers_have_no_threads(target: str) -> None:
    with pytest.raises(TargetError, match=f"target {target} has no threads"):
        compile_module(network(), target, {"threads": 2})
    compile_module(network(4, 10), target, {"threads": 1})


@pytest.mark.parametrize("count", [0, -1, 257])
def test_the_number_of_threads_has_limits(count: int) -> None:
    with pytest.raises(TargetError, match="must be a whole number from 1 to 256"):
        compile_module(network(), "c", {"threads": count})


@pytest.mark.parametrize(
    ("counts", "shared", "chosen"),
    [
        ((1, 1, 8, 14), 2, 2),
        ((1, 1, 3, 14), 2, 3),
        ((1, 1, 3, 5), 2, 3),
        ((4, 100), 4, 0),
        ((5, 100), 4, 1),
        ((1,), 2, 0),
        ((), 2, 0),
    ],
)
def test_the_outermost_loop_that_keeps_threads_busy_is_cut(
    counts: tuple[int, ...], shared: int, chosen: int
) -> None:
    assert best_loop(counts, shared) == chosen


def pointwise(size: int) -> Module:
    """A convolution by 1 of 32 channels to 64."""
    made = Module("net")
    function, b = build_function(made, "main", {"x": tensor("f32", 1, 32, size, size)}, ["y"])
    weights = np.random.default_rng(0).standard_normal((64, 32, 1, 1)).astype(np.float32)
    lists = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    b.ret(b("nn.conv", function.args[0], b.constant(weights), **lists))
    return made


@pytest.mark.parametrize(("size", "by_positions"), [(56, True), (28, True), (14, False)])
def test_threads_share_positions_of_large_maps_and_channels_of_small_ones(
    size: int, by_positions: bool, share_all: None
) -> None:
    artifact = burnish.compile(pointwise(size), "c:x86-64-v3", options={"threads": 2}).artifact
    selection = artifact.stages["select"]
    assert isinstance(selection, Selection)
    (body,) = (k.body for k in selection.kernels if k.family == "blocked_conv")
    loop = next(line for line in body.splitlines() if "thread" in line and "for" in line)
    assert ("ptrdiff_t o" in loop) == by_positions, loop


# Workers -----------------------------------------------------------------------------------


def test_runs_at_the_same_time_give_the_same() -> None:
    run = runner(compiled(threads=2))
    other = runner(compiled(threads=3, profile="on"))
    expected = run.run(X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: (run, other)[i % 2].run(X), range(40)))
    for outputs in found:
        assert_same(outputs, expected)


def workers() -> int:
    """How many threads this process has, without those of runners that are no more."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/task").iterdir())


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts by /proc")


@needs_proc
def test_workers_start_with_the_first_run_and_end_with_the_runner() -> None:
    before = workers()
    run = runner(compiled(threads=4))
    assert workers() == before
    run.run(X)
    run.run(X)
    assert workers() == before + 3
    del run
    assert workers() == before


@needs_proc
def test_a_library_can_be_unloaded_and_loaded_again(tmp_path: Path) -> None:
    artifact = compiled(threads=3, arena="static")
    flags = (*SHARED, *thread_flags(artifact.manifest["options"]))
    library = compile_files(artifact.files, find_target("c"), "net.so", flags)
    own = tmp_path / "own.so"
    shutil.copy(library, own)
    before = workers()
    x, y = X["x"], np.empty((1, 2000), np.float32)
    close = ctypes.CDLL(None).dlclose
    close.argtypes = (ctypes.c_void_p,)
    for _ in range(3):
        loaded = ctypes.CDLL(str(own))
        for _ in range(2):
            y[:] = 0
            assert loaded.net_predict(ctypes.c_void_p(x.ctypes.data),
                                      ctypes.c_void_p(y.ctypes.data), None) == 0  # fmt: skip
            assert y.any()
            assert workers() == before + 2
            loaded.net_shutdown()
            loaded.net_shutdown()
            assert workers() == before
        loaded.net_predict(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), None)
        assert close(loaded._handle) == 0
        assert workers() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_starts_workers_of_its_own() -> None:
    program = """
        import os
        from test_c_threads import X, compiled, runner

        run = runner(compiled(threads=3))
        expected = run.run(X)["y"].tobytes()
        child = os.fork()
        same = all(run.run(X)["y"].tobytes() == expected for _ in range(20))
        if child == 0:
            del run
            os._exit(not same)
        assert same
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    folder = Path(__file__).parent
    path = os.pathsep.join(str(p) for p in (folder, folder.parent / "ir"))
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_thread_sanitizer_finds_nothing_in_a_model() -> None:
    runner(compiled(threads=3), sanitize="threads").run(X)
