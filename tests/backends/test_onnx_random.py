"""Random modules, exported: a runtime computes what the interpreter does."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import random_graphs as graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish import export_onnx, import_onnx
from burnish.backends.onnx import compile_module, runner
from burnish.ir import Array, Module, interpret
from burnish.ir.errors import InputError

CONTINUOUS = [step for step in graphs.EVERYTHING if step != "compare"]
JUMPS = ["floor", "round", "sign", "div"]
"""Functions that turn a rounding error into a large one."""


def by_onnxruntime(module: Module, inputs: dict[str, Array]) -> dict[str, Array] | None:
    """None where it lacks a kernel, or fails as ONNX lets it: an integer is divided by 0."""
    execution = runner(compile_module(module))
    if execution.engine != "onnxruntime":
        return None
    try:
        return execution.run(inputs)
    except InputError as error:
        if "by zero" in error.message:
            return None
        raise


def check(random: Random, seed: int, ops: int) -> None:
    module = graphs.random_module(random, ops, CONTINUOUS, JUMPS)
    inputs = graphs.random_inputs(module, seed)
    with np.errstate(all="ignore"):
        expected = interpret(module, inputs)
        again = interpret(import_onnx(export_onnx(module)), inputs)
    # Whether the largest of numbers and NaN is NaN, ONNX does not say.
    clean = not any(np.isnan(array).any() for array in expected.values() if array.dtype.kind == "f")
    for found in (by_onnxruntime(module, inputs) if clean else None, again):
        for name, array in expected.items() if found is not None else ():
            if array.dtype.kind != "f":
                np.testing.assert_array_equal(found[name], array, err_msg=name)
                continue
            scale = float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
            np.testing.assert_allclose(
                found[name], array, rtol=2e-3, atol=2e-4 * scale + 1e-6, err_msg=name
            )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(random=st.randoms(use_true_random=False), seed=st.integers(0, 1000))
def test_random_modules_survive(random: Random, seed: int) -> None:
    check(random, seed, 14)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), seed=st.integers(0, 1000))
def test_many_random_modules_survive(random: Random, seed: int) -> None:
    check(random, seed, 25)
