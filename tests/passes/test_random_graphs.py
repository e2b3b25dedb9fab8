"""Every pass, and the standard pipelines, keep the meaning of random modules."""

from __future__ import annotations

import os
import time
from random import Random

import numpy as np
import pytest
import random_graphs as graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.ir import Array, Module, interpret, verify
from burnish.passes import passes, run_pipeline, standard_pipeline
from burnish.passes.layout import layout_models
from burnish.testing import assert_pipeline_preserves

EXACT_PASSES = ["canonicalize", "fold", "cse", "dce", "fuse", "fold-pad"]
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def run(module: Module, inputs: dict[str, Array]) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return interpret(module, inputs)


def assert_equal(before: dict[str, Array], after: dict[str, Array], *, signs: bool) -> None:
    """Equal; any NaN equals any other; with ``signs`` -0 differs from 0."""
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected, err_msg=name)
        if expected.dtype.kind == "f" and signs:
            numbers = ~np.isnan(expected)
            np.testing.assert_array_equal(
                np.signbit(after[name])[numbers], np.signbit(expected)[numbers], err_msg=name
            )


def assert_close(before: dict[str, Array], after: dict[str, Array]) -> None:
    for name, expected in before.items():
        if expected.dtype.kind != "f":
            np.testing.assert_array_equal(after[name], expected, err_msg=name)
            continue
        finite = np.abs(expected[np.isfinite(expected)])
        scale = float(finite.max()) if finite.size else 0.0
        np.testing.assert_allclose(
            after[name], expected, rtol=2e-3, atol=2e-4 * scale + 1e-6, err_msg=name
        )


BOUNDS = ["min", "max", "relu", "hard_swish"]
"""The sign of a zero that these choose among 0 and -0 is not defined; div makes it visible."""


@pytest.mark.parametrize("bounds", [False, True], ids=["signs-of-zero", "bounds"])
@pytest.mark.parametrize("pipeline", [*EXACT_PASSES, ",".join(EXACT_PASSES)])
@SETTINGS
@given(random=st.randoms(use_true_random=False), seed=st.integers(0, 1000))
def test_exact_passes_keep_every_bit(
    bounds: bool, pipeline: str, random: Random, seed: int
) -> None:
    steps = [step for step in graphs.EXACT if bounds or step != "clamp"]
    without = ["div"] if bounds else BOUNDS
    module = graphs.random_module(random, 14, steps, without)
    verify(module)
    inputs = graphs.random_inputs(module, seed, special=True)
    before = run(module, inputs)
    run_pipeline(module, pipeline, verify="each")
    assert_equal(before, run(module, inputs), signs=not bounds)


CONTINUOUS = [step for step in graphs.EVERYTHING if step != "compare"]
JUMPS = ["floor", "round", "sign", "div"]
"""Functions that turn a rounding error into a large one."""


ALONE = sorted(name for name, cls in passes().items() if not cls.needs)
"""The passes that work without options."""


@pytest.mark.parametrize("pipeline", [*ALONE, standard_pipeline("c"), standard_pipeline("onnx")])
@SETTINGS
@given(random=st.randoms(use_true_random=False), seed=st.integers(0, 1000))
def test_passes_keep_results_within_rounding(pipeline: str, random: Random, seed: int) -> None:
    module = graphs.random_module(random, 14, CONTINUOUS, JUMPS)
    inputs = graphs.random_inputs(module, seed)
    before = run(module, inputs)
    run_pipeline(module, pipeline, verify="each")
    assert_close(before, run(module, inputs))


# Random pipelines over modules with everything, jumps included -------------------------------

FUZZED = {
    **{name: name for name, cls in passes().items() if not cls.needs},
    **{f"layout of {name}": f'layout{{target="{name}"}}' for name in layout_models()},
}
"""All passes, with the options that they cannot do without."""


def random_pipeline(random: Random) -> str:
    """Up to eight passes."""
    names = sorted(FUZZED)
    return ",".join(FUZZED[random.choice(names)] for _ in range(random.randint(1, 8)))


def check(seed: int, pipeline: str = "") -> None:
    """A module and a pipeline that depend on the seed alone; a failure is made small."""
    random = Random(seed)
    module = graphs.random_module(random, 20)
    assert_pipeline_preserves(module, pipeline or random_pipeline(random), seed=seed)


@pytest.mark.parametrize("name", sorted(FUZZED))
def test_each_pass_keeps_the_meaning(name: str) -> None:
    for seed in range(6):
        check(seed, FUZZED[name])


def test_random_pipelines_keep_the_meaning() -> None:
    for seed in range(12):
        check(seed)


FUZZ_SECONDS, FUZZ_SEED = "BURNISH_FUZZ_SECONDS", "BURNISH_FUZZ_SEED"


@pytest.mark.slow
def test_random_pipelines_keep_the_meaning_for_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Other modules in every run; the seed is printed, and ``BURNISH_FUZZ_SEED`` sets it."""
    first = int(os.environ.get(FUZZ_SEED) or time.time_ns() // 1000 % 10**9)
    end = time.monotonic() + float(os.environ.get(FUZZ_SECONDS) or 60)
    seed = first
    with capsys.disabled():
        print(f" {FUZZ_SEED}={first} ", end="", flush=True)
    while time.monotonic() < end:
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"{FUZZ_SEED}={seed} {FUZZ_SECONDS}=0.1 repeats this") from error
        seed += 1
    with capsys.disabled():
        print(f"{seed - first} modules ", end="", flush=True)
    assert seed > first
