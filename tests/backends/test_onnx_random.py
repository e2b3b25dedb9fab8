"""Random modules, exported: imported again they mean the same, and onnxruntime runs them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from fuzzer.agreement import differences
from fuzzer.checks import FOREIGN, disagreement, interpreted
from fuzzer.maker import MAKERS, Profile, random_module

from burnish import export_onnx, import_onnx
from burnish.backends.onnx import compile_module, runner
from burnish.ir import Array, DType, Error, Module, lookup
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import InputError, UnsupportedError

OTHERS = [f"tensor.{name}" for name in ("reshape", "transpose", "broadcast", "slice", "concat")]
OTHERS += ["tensor.pad", "tensor.tile", "tensor.gather", "tensor.reduce", "nn.matmul", "nn.conv"]
OTHERS += ["nn.conv_transpose", "nn.max_pool", "nn.average_pool", "nn.batch_norm", "nn.softmax"]
DTYPES = frozenset({DType.F32, DType.I32, DType.I64, DType.BOOL})
ELEMENTWISE = [name for name in MAKERS if isinstance(lookup(name), ElementwiseOp)]
PROFILE = Profile(
    16, frozenset([*ELEMENTWISE, *OTHERS]), special=False, symbols=False, dtypes=DTYPES
)
"""What exported models are made of mostly, of the types that onnxruntime has kernels for."""

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
    dtypes=DTYPES,
)
"""What onnxruntime computes as ONNX says, without large jumps (its gelu of -4 has four digits)."""


def check_meaning(seed: int) -> bool:
    """The exported module, imported again, is what it was; whether it could be exported."""
    draft = random_module(Random(seed), PROFILE)
    module, inputs = draft.module, draft.inputs
    try:
        again = import_onnx(export_onnx(module))
    except UnsupportedError:
        return False
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
    # Whether the largest of numbers and NaN is NaN, ONNX does not say.
    if isinstance(expected, Error) or any(
        np.isnan(array).any() for array in expected.values() if array.dtype.kind == "f"
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
    assert sum(map(check_meaning, range(60))) > 20


def test_random_modules_run() -> None:
    pytest.importorskip("onnxruntime")
    assert sum(map(check_run, range(40))) > 15


@pytest.mark.slow
def test_many_random_modules_survive() -> None:
    pytest.importorskip("onnxruntime")
    seeds = range(1200, 1490)
    assert sum(map(check_meaning, seeds)) > 100
    assert sum(map(check_run, seeds)) > 80
