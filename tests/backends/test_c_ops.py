"""Every case of the op table through the C backend, against the op's definition.

Cases are compiled many to a module, because a build takes a quarter of a second however small it
is.  When a batch does not build, its cases are built one by one, so that each tells its own story.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from op_batches import BATCH, CASES, STRICT, WARNINGS, together
from op_cases import OpCase, assert_close

from burnish.backends.c import compile_module
from burnish.backends.c.host import build
from burnish.ir.errors import Error

NUMBERS = {case.id: i for i, case in enumerate(CASES)}


def run_together(batch: list[OpCase], *, sanitize: bool = False) -> list[list[Any]]:
    """The results of each case, from one module that holds them all, built without a warning."""
    module, inputs = together(batch)
    artifact = compile_module(module, "c")
    outputs = build(artifact.files, artifact.manifest, STRICT, sanitize=sanitize).run(inputs)
    return [
        [outputs[f"c{i}y{j}"] for j in range(len(case.result_types()))]
        for i, case in enumerate(batch)
    ]


@cache
def batch_results(number: int) -> list[list[Any] | Error]:
    batch = CASES[number * BATCH : (number + 1) * BATCH]
    try:
        return list(run_together(batch))
    except Error:
        return [alone(case) for case in batch]


def alone(case: OpCase) -> list[Any] | Error:
    try:
        return run_together([case])[0]
    except Error as error:
        return error


@pytest.mark.parametrize("case", CASES, ids=str)
def test_c_computes_what_the_op_means(case: OpCase) -> None:
    number = NUMBERS[case.id]
    results = batch_results(number // BATCH)[number % BATCH]
    if isinstance(results, Error):
        raise results
    for actual, expected in zip(results, case.expected()):
        assert_close(actual, expected, case.id)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(-(-len(CASES) // BATCH)))
def test_sanitizers_find_nothing_in_the_cases(number: int) -> None:
    run_together(CASES[number * BATCH : (number + 1) * BATCH], sanitize=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(-(-len(CASES) // BATCH)))
def test_the_arm_compiler_accepts_the_cases_without_a_warning(number: int, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    module, _ = together(CASES[number * BATCH : (number + 1) * BATCH])
    artifact = compile_module(module, "c:cortex-m4")
    artifact.write(tmp_path)
    command = ["arm-none-eabi-gcc", *artifact.manifest["flags"], *WARNINGS, "-c", "cases.c"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
