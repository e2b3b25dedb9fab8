"""Modules of thousands of small ops: emission and the C compiler stay fast, memory is reused."""

from __future__ import annotations

import numpy as np

from burnish.backends.c import compile_module, runner
from burnish.ir import Builder, Module, Value, build_function, interpret, tensor

SHAPE = (4, 6)
COUNT = 2000


def small_op(b: Builder, x: Value, number: int) -> Value:
    """One of a dozen ops from ``SHAPE`` to ``SHAPE``; some of them repeat, some are unique."""
    rows, columns = SHAPE
    shift = number // 12 % 5
    options = [
        lambda: b("math.tanh", x),
        lambda: b("math.add", x, b.constant(np.full((), number / COUNT, np.float32))),
        lambda: b("tensor.reshape", b("tensor.transpose", x, permutation=(1, 0)), shape=SHAPE),
        lambda: b("math.leaky_relu", x, alpha=0.001 * number),
        lambda: b(
            "tensor.slice",
            b("tensor.pad", x, before=(0, shift), after=(0, 0), mode="edge"),
            starts=(0, 0),
            sizes=SHAPE,
            steps=(1, 1),
        ),
        lambda: b("tensor.gather", x, b.constant(np.array([3, 1, 0, 2])), axis=0),
        lambda: b("math.mul", x, b.constant(np.full((1, columns), 0.9, np.float32))),
        lambda: b("tensor.slice", x, starts=(rows - 1, 0), sizes=SHAPE, steps=(-1, 1)),
        lambda: b("math.max", x, b("math.neg", x)),
        lambda: b("tensor.cumulative_sum", x, axis=number % 2),
        lambda: b("math.sin", x),
        lambda: b("math.clamp", x, low=-3.0, high=3.0 + number),
    ]
    return options[number % len(options)]()


def test_two_thousand_small_ops() -> None:
    module = Module("many")
    function, b = build_function(module, "main", {"x": tensor("f32", *SHAPE)}, ["y"])
    (x,) = function.args
    for number in range(COUNT):
        x = small_op(b, x, number)
    b.ret(x)
    artifact = compile_module(module, "c:generic")
    # A chain keeps two values alive at a time, whatever its length; a padded one is wider.
    assert artifact.manifest["arena_bytes"] <= 4 * 64 * 4
    compiled = runner(artifact)
    inputs = {"x": np.linspace(-1, 1, 24, dtype=np.float32).reshape(SHAPE)}
    actual, expected = compiled.run(inputs)["y"], interpret(module, inputs)["y"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
