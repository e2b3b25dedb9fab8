"""control.if and control.loop: what their regions take and yield, and when they run."""

from __future__ import annotations

import numpy as np
import pytest
from regions import region

from burnish import ir
from burnish.ir.errors import InputError, TypeInferenceError

F32 = ir.tensor("f32", 2)
FLAG = ir.tensor("bool")
COUNT = ir.tensor("i64")


def conditional(otherwise=lambda b, x: [b("math.neg", x)]) -> ir.Module:
    module = ir.Module("m")
    types = {"cond": FLAG, "x": F32}
    function, builder = ir.build_function(module, "main", types, ["y"])
    regions = [region([F32], lambda b, x: [b("math.exp", x)]), region([F32], otherwise)]
    op = builder.create("control.if", function.args, regions=regions)
    builder.ret(*op.results)
    return module


@pytest.mark.parametrize("cond", [True, False])
def test_if_runs_one_region(cond):
    x = np.array([1, -2], np.float32)
    y = ir.interpret(conditional(), {"cond": np.asarray(cond), "x": x})["y"]
    np.testing.assert_allclose(y, np.exp(x) if cond else -x, rtol=1e-6)


def test_if_refuses_regions_that_yield_different_types():
    with pytest.raises(TypeInferenceError, match="results of region else"):
        conditional(lambda b, x: [b("math.is_nan", x)])


def loop(*, trip_count=True, cond=False, limit=100.0, scans=0, iterations=-1) -> ir.Module:
    """x doubles while its sum stays below ``limit``; with scans, each iteration's x is kept."""
    module = ir.Module("m")
    types = {"n": COUNT, "go": FLAG, "x": F32, "step": F32}
    results = ["y"] + [f"scan{i}" for i in range(scans)]
    function, builder = ir.build_function(module, "main", types, results)

    def body(b, iteration, going, x, step):
        doubled = b("math.add", b("math.mul", x, step), x)
        total = b("tensor.reduce", doubled, kind="sum", axes=(0,))
        bound = b.constant(np.asarray(limit, np.float32))
        return [b("math.less", total, bound), doubled, *[doubled] * scans]

    n, go, x, step = function.args
    op = builder.create(
        "control.loop",
        [n if trip_count else None, go if cond else None, x, step],
        {"carried": 1, "iterations": iterations},
        regions=[region([COUNT, FLAG, F32, F32], body)],
    )
    builder.ret(*op.results)
    return module


def run_loop(module: ir.Module, n: int = 3, go: bool = True) -> dict[str, ir.Array]:
    ones = np.ones(2, np.float32)
    inputs = {"n": np.asarray(n), "go": np.asarray(go), "x": ones, "step": ones}
    return ir.interpret(module, inputs)


@pytest.mark.parametrize(
    ("options", "n", "go", "expected"),
    [
        ({}, 3, True, 8),
        ({}, 0, True, 1),
        ({"cond": True}, 3, False, 1),
        ({"limit": 5.0}, 10, True, 4),
        ({"trip_count": False, "limit": 30.0}, 0, True, 16),
        ({"trip_count": False, "cond": True}, 0, False, 1),
    ],
)
def test_loop_runs_while_the_condition_holds(options, n, go, expected):
    assert run_loop(loop(**options), n, go)["y"].tolist() == [expected] * 2


def test_loop_stacks_scans():
    results = run_loop(loop(scans=1, iterations=3))
    assert results["scan0"].tolist() == [[2, 2], [4, 4], [8, 8]]


def test_loop_with_scans_runs_as_often_as_declared():
    with pytest.raises(InputError, match="ran 2 times, but was declared to run 3 times"):
        run_loop(loop(scans=1, iterations=3), 2)


def test_loop_with_scans_needs_its_number_of_iterations():
    with pytest.raises(TypeInferenceError, match="scan results need the attribute iterations"):
        loop(scans=1)
