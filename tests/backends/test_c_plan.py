"""Memory plans: placement, lifetimes, sharing; on random graphs also that results stay right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.backends.c import compile_module, runner
from burnish.backends.c.arena import Lifetime, lower_bound, place
from burnish.backends.c.plan import verify_plan
from burnish.ir import Block, Builder, Module, Value, build_function, interpret, tensor

Work = Callable[[Callable[[], object]], int]

LIFETIMES = st.builds(
    lambda size, first, length: Lifetime(size * 8, first, first + length),
    st.integers(0, 40),
    st.integers(0, 30),
    st.integers(0, 12),
)


# How long examples take to make is a matter of what else the machine does.
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@PATIENT
@given(st.lists(LIFETIMES, max_size=40))
def test_no_two_live_buffers_overlap(buffers: list[Lifetime]) -> None:
    offsets = place(buffers)
    for i, a in enumerate(buffers):
        assert offsets[i] >= 0
        assert offsets[i] % 8 == 0
        for j, b in enumerate(buffers[:i]):
            if a.first <= b.last and b.first <= a.last:
                apart = offsets[i] + a.size <= offsets[j] or offsets[j] + b.size <= offsets[i]
                assert apart or not a.size or not b.size


@PATIENT
@given(st.lists(LIFETIMES, max_size=20))
def test_the_lower_bound_is_one(buffers: list[Lifetime]) -> None:
    height = max((o + b.size for o, b in zip(place(buffers), buffers)), default=0)
    steps = range(60)
    live = [sum(b.size for b in buffers if b.first <= s <= b.last) for s in steps]
    assert lower_bound(buffers) == max(live)
    assert height >= lower_bound(buffers)


def test_layers_of_equal_width_with_a_narrow_one_between_them_fit_into_two() -> None:
    widths = [512, 512, 512, 512, 64, 512, 512, 512, 512]
    buffers = [Lifetime(width, i, i + 1) for i, width in enumerate(widths)]
    buffers.append(Lifetime(64, 4, 4))
    height = max(o + b.size for o, b in zip(place(buffers), buffers))
    assert height == lower_bound(buffers) == 1024


def test_placements_of_random_buffers_are_near_the_lower_bound() -> None:
    rng = random.Random(3)
    ratios = []
    for _ in range(50):
        starts = [rng.randrange(40) for _ in range(40)]
        buffers = [Lifetime(rng.randrange(64, 4096, 64), s, s + rng.randrange(8)) for s in starts]
        height = max(o + b.size for o, b in zip(place(buffers), buffers))
        ratios.append(height / lower_bound(buffers))
    assert sum(ratios) / len(ratios) < 1.01
    assert max(ratios) < 1.06


def test_placing_twice_the_buffers_is_about_twice_the_work(work: Work) -> None:
    def buffers(count: int) -> list[Lifetime]:
        rng = random.Random(1)
        return [Lifetime(rng.randrange(64, 4096, 64), i, i + 2) for i in range(count)]

    small, large = buffers(4_000), buffers(8_000)
    assert work(lambda: place(large)) < 2.3 * work(lambda: place(small))


def random_module(seed: int) -> tuple[Module, dict[str, Any]]:
    """A graph of elementwise ops, groups, views and reductions, with shared and dead values."""
    rng = random.Random(seed)
    module = Module("random")
    types = {f"x{i}": tensor("f32", 2, 3, 4) for i in range(rng.randint(1, 3))}
    function, b = build_function(module, "main", types)
    values: list[Value] = list(function.args)
    values.append(b.constant(np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)))
    for _ in range(rng.randint(1, 25)):
        recent = values[-rng.randint(1, len(values)) :]
        values.append(random_op(rng, b, rng.choice(recent), rng.choice(recent)))
    results = [rng.choice(values) for _ in range(rng.randint(1, 4))]
    b.ret(*results)
    function.result_names = tuple(f"y{i}" for i in range(len(results)))
    generator = np.random.default_rng(seed)
    inputs = {
        n: generator.uniform(-1, 1, t.static_shape).astype(np.float32) for n, t in types.items()
    }
    return module, inputs


def random_op(rng: random.Random, b: Builder, x: Value, y: Value) -> Value:
    kind = rng.randrange(5)
    if kind == 0:
        return b(rng.choice(["math.neg", "math.abs", "math.relu"]), x)
    if kind == 1:
        flat = b("tensor.reshape", x, shape=(24,))
        other = b("tensor.reshape", y, shape=(24,))
        return b("tensor.reshape", b("math.mul", flat, other), shape=(2, 3, 4))
    if kind == 2:
        block = Block([x.type, y.type])
        inner = Builder(block)
        total = inner("math.add", *block.args)
        half = inner.constant(np.float32(0.5))
        product = inner("math.mul", total, half)
        inner.yield_(product, total)
        group = b.create("core.group", [x, y], regions=[block])
        return rng.choice(group.results)
    if kind == 3:
        moved = b("tensor.transpose", x, permutation=(2, 0, 1))
        return b("tensor.transpose", moved, permutation=(1, 2, 0))
    return b(rng.choice(["math.add", "math.sub", "math.max"]), x, y)


@given(st.integers(0, 1 << 30))
@settings(max_examples=300, deadline=None)
def test_plans_of_random_graphs_are_sound(seed: int) -> None:
    module, _ = random_module(seed)
    plan = compile_module(module, "c").stages["plan"]
    verify_plan(plan)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(12))
def test_sharing_memory_keeps_results(seed: int) -> None:
    module, inputs = random_module(seed)
    expected = interpret(module, inputs)
    actual = runner(compile_module(module, "c:generic")).run(inputs)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name])


def chain(length: int) -> Module:
    module = Module("chain")
    function, b = build_function(module, "main", {"x": tensor("f32", 8, 8)})
    value = skip = function.args[0]
    for i in range(length):
        value = b(("math.relu", "math.neg", "math.abs")[i % 3], value)
        if i % 7 == 0:
            value = skip = b("math.add", value, skip)
    b.ret(value)
    return module


def test_a_chain_is_computed_in_place_and_compiled_in_linear_time(work: Work) -> None:
    artifact = compile_module(chain(10_000), "c")
    assert artifact.manifest["arena_bytes"] == artifact.manifest["arena_bound"] <= 2 * 256
    small, large = chain(2_000), chain(4_000)
    assert work(lambda: compile_module(large, "c")) < 2.2 * work(lambda: compile_module(small, "c"))


def test_a_model_of_many_steps_runs_in_parts() -> None:
    module = Module("parts")
    function, b = build_function(module, "main", {"x": tensor("f32", 5)}, ["y"])
    value = function.args[0]
    step = b.constant(np.arange(5, dtype=np.float32))
    for _ in range(700):
        value = b("math.sub", step, b("math.neg", value))
    b.ret(value)
    artifact = compile_module(module, "c:generic", {"arena": "static"})
    assert "parts_part_2" in str(artifact.files["parts.c"])
    inputs = {"x": np.ones(5, np.float32)}
    np.testing.assert_array_equal(runner(artifact).run(inputs)["y"], interpret(module, inputs)["y"])
