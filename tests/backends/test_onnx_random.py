"""Random modules, exported: imported again they mean the same, and onnxruntime runs them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from fuzzer.agreement import differences
from fuzzer.checks import FOREIGN, disagreement, interpreted
from fuzzer.maker import Profile, random_module

from burnish import export_onnx, import_onnx
from burnish.backends.onnx import compile_module, runner
from burnish.ir import Array, DType, Error, Module
from burnish.ir.errors import InputError, UnsupportedError
from burnish.passes import run_pipeline, standard_pipeline

REQUIRE = frozenset({"control.require"})
"""A requirement that never holds is an error of the pass that sees it."""

SPARSE = frozenset({"nn.sparse_product"})
"""It leaves weights of 0 out, which ONNX has no operator for: there, 0 times infinity is NaN."""

EVERYTHING = Profile(16, without=SPARSE)
"""All other ops of all element types, extremes among the data, sizes known at run time."""

PIPELINE = Profile(16, without=REQUIRE | SPARSE)
"""What the standard pipeline runs on before."""

PLAIN = Profile(16, special=False, without=SPARSE)
"""The same without extremes: more of what is computed is a number in the end."""

RUNNABLE = Profile(
    16,
    frozenset(
        {f"math.{name}" for name in ("relu", "sigmoid", "tanh", "neg", "abs", "exp", "erf", "silu")}
        | {f"math.{name}" for name in ("softsign", "add", "sub", "mul", "clamp", "select")}
        | {"tensor.reshape", "tensor.transpose", "tensor.broadcast", "tensor.slice"}
        | {"tensor.concat", "tensor.tile", "tensor.gather", "nn.matmul", "nn.conv"}
        | {"nn.max_pool", "nn.batch_norm", "nn.softmax", "math.logical_and", "math.logical_not"}
    ),
    special=False,
    symbols=False,
    dtypes=frozenset({DType.F32, DType.I32, DType.I64, DType.BOOL}),
)
"""What onnxruntime computes as ONNX says, without large jumps (its gelu of -4 has four digits)."""


def check_meaning(seed: int) -> bool:
    """The exported module, imported again, is what it was; whether it could be exported."""
    profile = (EVERYTHING, PLAIN, PIPELINE)[seed % 3]
    draft = random_module(Random(seed), profile)
    module, inputs = draft.module, draft.inputs
    exported = module.copy()
    if profile is PIPELINE:
        run_pipeline(exported, standard_pipeline("onnx"))
    try:
        model = export_onnx(exported)
    except UnsupportedError:
        return False
    again = import_onnx(model, {name: list(array.shape) for name, array in inputs.items()})
    expected, actual = interpreted(module, inputs), interpreted(again, inputs)
    wrong = disagreement(module, inputs, expected, actual, reassociated=True)
    assert not wrong, f"seed {seed}: {wrong}"
    return True


def by_onnxruntime(module: Module, inputs: dict[str, Array]) -> dict[str, Array] | None:
    """None where it lacks a kernel, or its kernel refuses (empty tensors, windows all padding)."""
    try:
        execution = runner(compile_module(module))
        return execution.run(inputs) if execution.engine == "onnxruntime" else None
    except (InputError, UnsupportedError):
        return None


def check_run(seed: int) -> bool:
    """onnxruntime computes what the interpreter does; whether it could run the module."""
    draft = random_module(Random(seed), RUNNABLE)
    module, inputs = draft.module, draft.inputs
    expected = interpreted(module, inputs)
    # Whether the largest of numbers and NaN is NaN, ONNX does not say; and for onnxruntime the
    # largest of infinities is a number.
    if isinstance(expected, Error) or not all(
        np.isfinite(array).all() for array in expected.values() if array.dtype.kind == "f"
    ):
        return False
    found = by_onnxruntime(module, inputs)
    if found is None:
        return False
    wrong = differences(
        module, inputs, expected, found, reassociated=True, safety=FOREIGN, floor=FOREIGN
    )
    assert not wrong, f"seed {seed}: {wrong}"
    return True


def test_random_modules_mean_the_same() -> None:
    assert sum(map(check_meaning, range(120))) > 100


def test_random_modules_run() -> None:
    pytest.importorskip("onnxruntime")
    assert sum(map(check_run, range(40))) > 15


@pytest.mark.slow
def test_many_random_modules_survive() -> None:
    pytest.importorskip("onnxruntime")
    seeds = range(1190, 1600)
    assert sum(map(check_meaning, seeds)) > 340
    assert sum(map(check_run, seeds)) > 80
