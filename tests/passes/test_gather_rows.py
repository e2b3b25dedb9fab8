"""Random chains of moves: what is gathered from rows is what was moved."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.ir import Builder, Module, Value, build_function, interpret, tensor, verify
from burnish.ir.dims import symbol
from burnish.passes import run_pipeline

SEEDS = 150
Random = np.random.Generator


def reshaped(builder: Builder, random: Random, x: Value) -> Value:
    """An axis split, or two merged."""
    shape = list(x.type.static_shape)
    axis = int(random.integers(len(shape)))
    factors = [n for n in range(2, shape[axis]) if shape[axis] % n == 0]
    if factors and random.random() < 0.7:
        factor = int(random.choice(factors))
        shape[axis : axis + 1] = [factor, shape[axis] // factor]
    elif axis + 1 < len(shape):
        shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
    return builder("tensor.reshape", x, shape=shape)


def transposed(builder: Builder, random: Random, x: Value) -> Value:
    rank = x.type.rank
    order = list(range(rank))
    at = int(random.integers(max(rank - 1, 1)))
    order[at : at + 2] = order[at : at + 2][::-1]
    return builder("tensor.transpose", x, permutation=order)


def piece(builder: Builder, x: Value, axis: int, start: int, size: int, step: int = 1) -> Value:
    starts, steps = [0] * x.type.rank, [1] * x.type.rank
    sizes = list(x.type.static_shape)
    starts[axis], sizes[axis], steps[axis] = start, size, step
    return builder("tensor.slice", x, starts=starts, sizes=sizes, steps=steps)


def rolled(builder: Builder, random: Random, x: Value) -> Value:
    """The end of an axis in front of its begin."""
    axis = int(random.integers(x.type.rank))
    extent = x.type.static_shape[axis]
    cut = int(random.integers(extent))
    if cut == 0:
        return x
    parts = [piece(builder, x, axis, cut, extent - cut), piece(builder, x, axis, 0, cut)]
    return builder("tensor.concat", *parts, axis=axis)


def thinned(builder: Builder, random: Random, x: Value) -> Value:
    """Every other element of an axis, maybe backwards."""
    axis = int(random.integers(x.type.rank))
    size = (x.type.static_shape[axis] + 1) // 2
    if random.random() < 0.5:
        return piece(builder, x, axis, 0, size, 2)
    return piece(builder, x, axis, 2 * (size - 1), size, -2)


def drawn(seed: int) -> tuple[Module, np.ndarray]:
    """Some moves in a row; values on the way are results too, now and then."""
    random = np.random.default_rng(seed)
    shape = [int(n) for n in random.choice([1, 2, 4, 6, 8], size=random.integers(2, 5))]
    module = Module("moves")
    names = ["last", "middle", "other"]
    function, builder = build_function(module, "main", {"x": tensor("f32", *shape)}, names)
    value = function.args[0]
    seen = [value]
    for _ in range(random.integers(3, 9)):
        move = [reshaped, transposed, rolled, thinned][random.choice(4, p=[0.35, 0.3, 0.25, 0.1])]
        value = move(builder, random, value)
        seen.append(value)
    middle = seen[int(random.integers(len(seen)))] if random.random() < 0.3 else value
    results = [builder("math.neg", v) for v in (value, middle)]
    builder.ret(*results, builder("math.relu", value))
    return module, random.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_gathered_was_moved(seed: int) -> None:
    module, x = drawn(seed)
    gathered = module.copy()
    run_pipeline(gathered, "gather-rows{row=1},dce", verify="each")
    before, after = interpret(module, {"x": x}), interpret(gathered, {"x": x})
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected)


def test_many_chains_are_gathered() -> None:
    reports = [run_pipeline(drawn(seed)[0], "gather-rows{row=1}") for seed in range(SEEDS)]
    applied = sum(report.rewrites.get("moves-to-gather", 0) for report in reports)
    assert applied > SEEDS // 4


def test_indices_are_few() -> None:
    module, _ = drawn(next(s for s in range(SEEDS) if _applies(s, "gather-rows{row=1}")))
    assert not run_pipeline(module, "gather-rows{row=1,limit=0}").changed


def _applies(seed: int, pipeline: str) -> bool:
    return run_pipeline(drawn(seed)[0], pipeline).changed


def test_places_that_symbols_name_are_left() -> None:
    """Whose types are static all the same: a slice of one element begins at ``N``."""
    module = Module("offsets")
    arguments = {"x": tensor("f32", 6, 8), "n": tensor("f32", symbol("N"))}
    function, builder = build_function(module, "main", arguments, ["y", "n"])
    x, n = function.args
    (start,) = n.type.shape
    parts = [
        builder("tensor.slice", x, starts=(at, 0), sizes=(1, 8), steps=(1, 1))
        for at in (start, 4, 2, 0)
    ]
    builder.ret(builder("tensor.concat", *parts, axis=0), n)
    verify(module)
    data = np.arange(48, dtype=np.float32).reshape(6, 8)
    inputs = {"x": data, "n": np.zeros(3, np.float32)}
    run_pipeline(module, "gather-rows,dce", verify="each")
    np.testing.assert_array_equal(interpret(module, inputs)["y"], data[[3, 4, 2, 0]])
