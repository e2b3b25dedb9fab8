"""Convolutions over tiny inputs with large padding: every tap inside or out, exactly."""

from __future__ import annotations

import itertools

import numpy as np

from burnish import interpret, ir
from burnish.backends.c import compile_module, runner

EXTENTS = [1, 2, 3]
KERNELS = [1, 2, 3]
WINDOWS = [(stride, before, after) for stride in (1, 2) for before in (0, 1, 2) for after in (0, 1)]


def counts(extent: int, kernel: int, stride: int, before: int, after: int) -> int:
    return (extent + before + after - kernel) // stride + 1


def test_rows_that_lie_in_the_padding_are_zero() -> None:
    """A row of windows known to lie in the padding once read the row beside it."""
    module = ir.Module("edges")
    rng = np.random.default_rng(0)
    cases = [
        (height, kernel, window, channels)
        for height, kernel, window in itertools.product(EXTENTS, KERNELS, WINDOWS)
        for channels in (1, 3)
        if counts(height, kernel, *window) > 0
    ]
    arrays = {}
    for number, (height, kernel, _, channels) in enumerate(cases):
        arrays[f"x{number}"] = rng.standard_normal((1, channels, height, 3)).astype(np.float32)
        arrays[f"w{number}"] = rng.standard_normal((2, channels, kernel, 2)).astype(np.float32)
    types = {name: ir.tensor("f32", *array.shape) for name, array in arrays.items()}
    names = [f"y{number}" for number in range(len(cases))]
    function, builder = ir.build_function(module, "main", types, names)
    arguments = dict(zip(types, function.args))
    results = [
        builder(
            "nn.conv",
            arguments[f"x{number}"],
            arguments[f"w{number}"],
            strides=(stride, 1),
            pads=(before, 1, after, 0),
            dilations=(1, 1),
            groups=1,
        )
        for number, (_, _, (stride, before, after), _) in enumerate(cases)
    ]
    builder.ret(*results)
    expected = interpret(module, arrays)
    actual = runner(compile_module(module, "c")).run(arrays)
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
