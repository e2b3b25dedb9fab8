"""Unrolling, invariant code, and what regions share with the block around them."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from regions import region

from burnish.ir import (
    Array,
    Builder,
    Module,
    Value,
    build_function,
    interpret,
    parse,
    tensor,
    verify,
)
from burnish.passes import run_pipeline

SETTINGS = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
VECTOR = tensor("f32", 3)


class RandomRegions:
    """Random functions with nested ifs and loops; numbers are integers, so that sums are exact."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def ops(self, builder: Builder, values: list[Value], count: int, depth: int) -> Value:
        """Some ops on ``values``, all vectors; the last result."""
        for _ in range(count):
            x, y = self.random.choice(values), self.random.choice(values)
            kind = self.random.choice(["add", "sub", "max", "relu", "constant", "if", "loop"])
            if kind in ("add", "sub", "max"):
                values.append(builder(f"math.{kind}", x, y))
            elif kind == "relu":
                values.append(builder("math.relu", x))
            elif kind == "constant":
                numbers = [self.random.randint(-3, 3) for _ in range(3)]
                values.append(builder.constant(np.array(numbers, np.float32)))
            elif depth:
                make = self.conditional if kind == "if" else self.loop
                values.extend(make(builder, [x, y], depth - 1))
        return values[-1]

    def flag(self, builder: Builder, x: Value) -> Value:
        if self.random.random() < 0.3:
            return builder.constant(np.array(self.random.random() < 0.7))
        total = builder("tensor.reduce", x, kind="sum", axes=[0])
        return builder("math.greater", total, builder.constant(np.float32(0)))

    def conditional(self, builder: Builder, captured: list[Value], depth: int) -> list[Value]:

        def branch(inner: Builder, *values: Value) -> list[Value]:
            return [self.ops(inner, list(values), 3, depth)]

        branches = [region([VECTOR, VECTOR], branch) for _ in range(2)]
        operands = [self.flag(builder, captured[0]), *captured]
        return list(builder.create("control.if", operands, regions=branches).results)

    def loop(self, builder: Builder, values: list[Value], depth: int) -> list[Value]:
        """One carried and one captured vector; sometimes a scan."""
        count = self.random.randint(0, 4)
        scans = bool(count) and self.random.random() < 0.5

        def body(inner: Builder, _: Value, again: Value, *values: Value) -> list[Value]:
            last = self.ops(inner, list(values), 4, depth)
            if not scans and self.random.random() < 0.4:
                again = self.flag(inner, last)
            return [again, last, *([last] if scans else [])]

        block = region([tensor("i64"), tensor("bool"), VECTOR, VECTOR], body)
        trips = builder.constant(np.array(count))
        attributes = {"carried": 1, "iterations": count if scans else -1}
        loop = builder.create("control.loop", [trips, None, *values], attributes, regions=[block])
        if not scans:
            return [loop.results[0]]
        total = builder("tensor.reduce", loop.results[1], kind="sum", axes=[0])
        return [loop.results[0], total]


def random_regions(random: Random) -> Module:
    module = Module("regions")
    arguments = {"x": VECTOR, "y": VECTOR}
    function, builder = build_function(module, "main", arguments, ["r"])
    builder.ret(RandomRegions(random).ops(builder, list(function.args), 8, 2))
    return module


def inputs() -> dict[str, Array]:
    return {"x": np.array([1, -2, 3], np.float32), "y": np.array([0, 2, -1], np.float32)}


@pytest.mark.parametrize("pipeline", ["unroll-loops", "hoist-invariants", "cse", "dce"])
@SETTINGS
@given(
    random=st.randoms(use_true_random=False),
    others=st.lists(
        st.sampled_from(["canonicalize", "fold", "cse", "dce", "hoist-invariants", "unroll-loops"]),
        max_size=4,
    ),
)
def test_regions_keep_their_results(pipeline: str, random: Random, others: list[str]) -> None:
    module = random_regions(random)
    verify(module)
    before = interpret(module, inputs())["r"]
    run_pipeline(module, ",".join([*others, pipeline]), verify="each")
    np.testing.assert_array_equal(interpret(module, inputs())["r"], before)


def names(module: Module) -> Counter[str]:
    return Counter(op.name for op in module.walk())


def loop_module(trips: str, start: str = "", body: str = "") -> Module:
    return parse(
        f"""module "m" {{ func @main(%x: tensor<f32[3]>, %n: tensor<i64[]>, %c: tensor<bool[]>)
          -> ("y": tensor<f32[3]>) {{
          %k = core.constant() {{value = dense<i64[], [{trips or 0}]>}}
          %0 = control.loop({"%k" if trips else "%n"}, {start or "%c"}, %x, %x) {{carried = 1}}
            region(%i: tensor<i64[]>, %go: tensor<bool[]>,
                   %s: tensor<f32[3]>, %z: tensor<f32[3]>) {{
            %e = math.exp(%z)
            %t = math.add(%s, %e)
            {body or "core.yield(%go, %t)"}
          }}
          core.return(%0)
        }} }}"""
    )


def test_loops_that_are_not_unrolled() -> None:
    """The report says why: iterations not known, or too many ops."""
    for module, reason in (
        (loop_module(""), "the number of iterations is not known"),
        (loop_module("2"), "the number of iterations is not known"),
    ):
        report = run_pipeline(module, "unroll-loops")
        assert report.records[0].refusals == {("unroll-loops", reason): 1}


def test_what_can_fail_stays_in_a_loop_that_may_not_run() -> None:
    """exp moves out of any loop; a gather, which may be an error, only where the loop runs."""
    module = loop_module("")
    run_pipeline(module, "hoist-invariants", verify="each")
    assert [op.name for op in module.main.body].count("math.exp") == 1
    gather = """%one = core.constant() {value = dense<i64[3], [0, 1, 7]>}
            %g = tensor.gather(%z, %one) {axis = 0}
            %u = math.add(%t, %g)
            core.yield(%go, %u)"""
    module = loop_module("", body=gather)
    run_pipeline(module, "hoist-invariants", verify="each")
    assert "tensor.gather" not in [op.name for op in module.main.body]
    given = {**inputs(), "n": np.array(0), "c": np.array(True)}
    del given["y"]
    np.testing.assert_array_equal(interpret(module, given)["y"], given["x"])
