"""Small files that ask for huge work: refused, or compiled without doing the work."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import helper
from seed_models import BOOL, FLOAT, INT64, integers, model, node, runtime_indices, weights

import burnish
from burnish.ir.errors import OutOfMemoryError, TargetError, UnsupportedError

BIG = 1 << 30


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Every test here takes little memory and little time."""
    tracemalloc.start()
    start = time.perf_counter()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 28
    assert time.perf_counter() - start < 10


def resize(scale: float, **more: object) -> onnx.ModelProto:
    scales = {"s": np.array([1, 1, 1, scale], np.float32)}
    return model([node("Resize", "x - s", "y", **more)], {"x": (FLOAT, [1, 1, 2, 2])}, "y", scales)


@pytest.mark.parametrize(
    "proto",
    [
        resize(BIG, mode="nearest"),
        resize(BIG, mode="linear"),
        resize(BIG, mode="cubic"),
        model(
            [node("AveragePool", "x", "y", kernel_shape=[2], pads=[BIG, BIG], strides=[2])],
            {"x": (FLOAT, [1, 1, 4])},
        ),
        model([node("LpPool", "x", "y", kernel_shape=[2])], {"x": (FLOAT, [1, 1, BIG])}),
    ],
)
def test_tables_of_constants_are_bounded(proto: onnx.ModelProto) -> None:
    with pytest.raises(UnsupportedError, match=r"needs a table of .* constants"):
        burnish.compile(proto, "c")


def test_a_kernel_as_large_as_its_padding() -> None:
    attributes = {"kernel_shape": [BIG], "pads": [BIG // 2, BIG // 2]}
    nodes = [node("AveragePool", "x", "y", **attributes), node("MaxPool", "x", "z", **attributes)]
    burnish.compile(model(nodes, {"x": (FLOAT, [1, 1, 4])}, "y z"), "c")


HALF = {"pads": [BIG // 2, BIG // 2]}


@pytest.mark.parametrize(
    "last",
    [
        node("MaxPool", "c", "y", kernel_shape=[BIG], **HALF),
        node("AveragePool", "c", "y", kernel_shape=[BIG], **HALF),
        node("Conv", "c w", "y", strides=[BIG], **HALF),
        node("LRN", "c", "y", size=(1 << 40) + 1),
    ],
    ids=lambda last: last.op_type,
)
def test_folding_does_not_do_huge_work(last: onnx.NodeProto) -> None:
    arrays = {"c": weights(1, 1, 4), "w": weights(1, 1, 3)}
    burnish.compile(model([last], {"x": (FLOAT, [1])}, "y", arrays), "c")


@pytest.mark.parametrize("op", ["ConstantOfShape", "Expand", "Tile"])
@pytest.mark.parametrize("size", [1 << 30, 1 << 39])
def test_huge_constants_are_not_made(op: str, size: int) -> None:
    inputs = "s" if op == "ConstantOfShape" else "c s"
    arrays = {"c": weights(1), "s": integers(size)}
    nodes = [node(op, inputs, "e"), node("Exp", "e", "f"), node("ReduceSum", "f", "y", keepdims=0)]
    burnish.compile(model(nodes, {"x": (FLOAT, [1])}, "y", arrays), "c")


def endless_loop() -> onnx.NodeProto:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Exp", "v", "w"), node("Identity", "c", "d")],
        "body",
        [value("i", INT64, []), value("c", BOOL, []), value("v", FLOAT, [1])],
        [value("d", BOOL, []), value("w", FLOAT, [1])],
    )
    return node("Loop", "n t start", "y", body=body)


def test_a_constant_loop_without_end_is_not_folded() -> None:
    arrays = {"n": np.array(1 << 62), "t": np.array(True), "start": weights(1)}
    burnish.compile(model([endless_loop()], {"x": (FLOAT, [1])}, "y", arrays), "c")


def test_memory_a_small_target_cannot_address() -> None:
    proto = model([node("Relu", "x", "y")], {"x": (FLOAT, [BIG])})
    burnish.compile(proto, "c")
    with pytest.raises(TargetError, match='"x" of 4294967296 bytes is more than c:cortex-m4'):
        burnish.compile(proto, "c:cortex-m4")


def test_too_little_memory_is_an_error_of_burnish(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = burnish.compile(model([node("Relu", "x", "y")], {"x": (FLOAT, [1])}), "c")

    def refuse(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("burnish.backends.c.host._aligned", refuse)
    monkeypatch.setattr("burnish.ir.interpreter._Frame._apply", refuse)
    for run in (compiled.run, lambda inputs: burnish.interpret(compiled.module, inputs)):
        with pytest.raises(OutOfMemoryError, match="not enough memory: no room"):
            run({"x": weights(1)})


def test_one_value_used_by_thousands() -> None:
    nodes = [helper.make_node("Concat", [f"x{i}" for i in range(1000)], ["y"], axis=0)]
    nodes += [helper.make_node("Neg", ["x0"], [f"n{i}"]) for i in range(1000)]
    outputs = " ".join(["y", *(f"n{i}" for i in range(1000))])
    burnish.compile(model(nodes, {f"x{i}": (FLOAT, [2]) for i in range(1000)}, outputs), "c")


@pytest.mark.parametrize("bad", [(3, 0), (-4, 0), (1 << 62, 0), (-(1 << 63), 0)])
def test_indices_out_of_range_are_found_at_run_time(bad: tuple[int, int]) -> None:
    from burnish.backends.c import runner

    compiled = burnish.compile(runtime_indices(), "c")
    inputs = {"x": weights(3, 4), "i": np.array(bad)}
    for run in (compiled.run, runner(compiled.artifact, sanitize=True).run):
        with pytest.raises(burnish.ir.errors.InputError, match="out of range"):
            run(inputs)
