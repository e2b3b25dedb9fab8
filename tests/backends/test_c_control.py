"""Conditionals and loops in emitted C, against the interpreter and under the sanitizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from regions import region

from burnish.backends.c import compile_module, runner
from burnish.ir import (
    Builder,
    Module,
    Value,
    build_function,
    interpret,
    symbol,
    tensor,
)
from burnish.ir.errors import InputError

F = tensor("f32", 3)
FLAG = tensor("bool")
COUNT = tensor("i64")


def assert_agree(module: Module, *inputs: dict[str, Any]) -> None:
    artifact = compile_module(module, "c:generic")
    for run in (runner(artifact), runner(artifact, sanitize=True)):
        for values in inputs:
            actual, expected = run.run(values), interpret(module, values)
            for name in expected:
                np.testing.assert_array_equal(actual[name], expected[name])


def vector(*values: float) -> Any:
    return np.array(values, np.float32)


def test_branches_share_memory_and_hand_over_captures_constants_and_results() -> None:
    module = Module("branches")
    function, b = build_function(module, "main", {"x": F, "c": FLAG}, ["p", "q"])
    x, c = function.args
    y = b("math.neg", x)

    def then(b: Builder, x: Value, y: Value) -> list[Value]:
        s = b("math.add", x, y)
        return [b("math.mul", s, s), x]  # the second is a captured input

    def otherwise(b: Builder, x: Value, y: Value) -> list[Value]:
        k = b.constant(vector(1, 2, 3))
        return [k, b("math.sub", y, k)]  # the first is a constant

    op = b.create(
        "control.if", [c, x, y], regions=[region([F, F], then), region([F, F], otherwise)]
    )
    p, q = op.results
    b.ret(b("math.add", p, y), q)
    x_value = vector(4, 5, 6)
    assert_agree(*[module, *({"x": x_value, "c": np.array(flag)} for flag in (True, False))])


def test_one_value_may_be_yielded_twice() -> None:
    module = Module("twice")
    function, b = build_function(module, "main", {"x": F, "c": FLAG}, ["p", "q"])
    x, c = function.args

    def both(b: Builder, x: Value) -> list[Value]:
        y = b("math.neg", x)
        return [y, y]

    op = b.create("control.if", [c, x], regions=[region([F], both), region([F], both)])
    b.ret(*op.results)
    assert_agree(module, {"x": vector(1, 2, 3), "c": np.array(True)})


def test_conditionals_nest() -> None:
    module = Module("nested")
    function, b = build_function(module, "main", {"x": F, "c": FLAG, "d": FLAG}, ["y"])
    x, c, d = function.args

    def outer(b: Builder, x: Value, d: Value) -> list[Value]:
        z = b("math.abs", x)
        inner = b.create(
            "control.if",
            [d, z],
            regions=[
                region([F], lambda b, z: [b("math.neg", z)]),
                region([F], lambda b, z: [b("math.mul", z, z)]),
            ],
        )
        return [b("math.add", inner.result, z)]

    op = b.create(
        "control.if",
        [c, x, d],
        regions=[region([F, FLAG], outer), region([F, FLAG], lambda b, x, d: [x])],
    )
    b.ret(op.result)
    flags = [(False, False), (False, True), (True, False), (True, True)]
    assert_agree(
        module,
        *({"x": vector(1, -2, 3), "c": np.array(c), "d": np.array(d)} for c, d in flags),
    )


def fibonacci() -> Module:
    """Carried values that swap places, a scan of all numbers, a captured operand."""
    module = Module("loop")
    types = {"n": COUNT, "a": F, "b": F, "k": F}
    function, b = build_function(module, "main", types, ["a_end", "b_end", "all"])
    n, first, second, k = function.args

    def body(b: Builder, i: Value, going: Value, a: Value, c: Value, k: Value) -> list[Value]:
        index = b("math.cast", i, to=first.type.dtype)
        total = b("math.add", b("math.add", a, c), b("math.mul", k, index))
        return [going, c, total, a]

    block = region([COUNT, FLAG, F, F, F], body)
    op = b.create(
        "control.loop",
        [n, None, first, second, k],
        {"carried": 2, "iterations": 5},
        regions=[block],
    )
    b.ret(*op.results)
    return module


def test_loops_carry_scan_and_capture() -> None:
    values = {"a": vector(0, 1, 2), "b": vector(1, 1, 1), "k": vector(0, 0.5, 1)}
    assert_agree(fibonacci(), {"n": np.array(5, np.int64), **values})


@pytest.mark.parametrize("count", [0, 4, 6])
def test_a_loop_that_runs_another_number_of_times_is_an_error(count: int) -> None:
    values = {"a": vector(0, 1, 2), "b": vector(1, 1, 1), "k": vector(0, 0, 0)}
    run = runner(compile_module(fibonacci(), "c:generic"), sanitize=True)
    with pytest.raises(InputError, match="loop"):
        run.run({"n": np.array(count, np.int64), **values})


def running_sums(*, finds_elements: bool) -> Module:
    """v[n] plus one s[t] after another; scans of the sums, and of how many are positive."""
    module = Module("sums", symbols={"n": (0, 9), "t": (0, 6), "found": (0, 9)})
    n, t, found = symbol("n"), symbol("t"), symbol("found")
    types = {"x": tensor("f32", n), "s": tensor("f32", t)}
    function, b = build_function(module, "main", types, ["y", "sums", "counts"])

    def body(b: Builder, i: Value, going: Value, v: Value, s: Value) -> list[Value]:
        total = b("math.add", v, b("tensor.gather", s, b("tensor.reshape", i, shape=(1,)), axis=0))
        if not finds_elements:
            return [going, total, total, b("tensor.dimension", value=2 * n + t)]
        places = b("tensor.non_zero", b("math.relu", total), size=found)
        flat = b("tensor.reshape", places, shape=(found,))
        taken = b("tensor.gather", total, flat, axis=0)
        total_taken = b("tensor.reduce", taken, kind="sum", axes=(0,), keep_dims=False)
        return [going, total, total, total_taken]

    block = region([COUNT, FLAG, *types.values()], body)
    op = b.create(
        "control.loop",
        [b("tensor.dimension", value=t), None, *function.args],
        {"carried": 1, "iterations": t},
        regions=[block],
    )
    b.ret(*op.results)
    return module


@pytest.mark.parametrize("finds_elements", [False, True])
def test_loops_over_dynamic_sizes(finds_elements: bool) -> None:
    """Also sizes that each iteration finds anew, and loops that never run."""
    module = running_sums(finds_elements=finds_elements)
    built = runner(compile_module(module), sanitize=True)
    for n, t in ((0, 0), (0, 2), (1, 6), (9, 0), (9, 6)):
        x = np.linspace(-3, 3, n).astype(np.float32)
        inputs = {"x": x, "s": np.arange(t, dtype=np.float32) - 1}
        actual, expected = built.run(inputs), interpret(module, inputs)
        for name, array in expected.items():
            assert actual[name].shape == array.shape
            np.testing.assert_allclose(actual[name], array, rtol=1e-6, err_msg=name)


def test_loops_end_by_condition_and_swap_values() -> None:
    module = Module("while_loop")
    function, b = build_function(module, "main", {"a": F, "b": F, "c": FLAG}, ["p", "q"])
    a, second, c = function.args

    def body(b: Builder, i: Value, going: Value, p: Value, q: Value) -> list[Value]:
        limit = b.constant(np.array(6, np.int64))
        return [b("math.less", i, limit), q, p]

    op = b.create(
        "control.loop",
        [None, c, a, second],
        {"carried": 2},
        regions=[region([COUNT, FLAG, F, F], body)],
    )
    b.ret(*op.results)
    values = {"a": vector(1, 2, 3), "b": vector(4, 5, 6)}
    assert_agree(module, *({**values, "c": np.array(flag)} for flag in (True, False)))
