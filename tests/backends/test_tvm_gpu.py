"""Modules for a GPU compute what they mean: their kernels are run by a processor."""

from __future__ import annotations

import shutil
from itertools import islice

import numpy as np
import pytest
from op_cases import assert_close, cases, data
from trials import trial

from burnish import interpret, parse
from burnish.backends import tvm as backend
from burnish.backends.tvm.write import write_module

pytestmark = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")


EDGES = """
module "edges" {
  func @main(%x: tensor<f32[1, 6]>, %w: tensor<f32[4, 6]>, %z: tensor<f32[5, 1]>)
      -> ("y": tensor<f32[1, 4]>, "m": tensor<f32[]>, "e": tensor<f32[5]>) {
    %y = nn.matmul(%x, %w) {transpose_b = true}
    %m = tensor.reduce(%w) {kind = "max", axes = [0, 1]}
    %s = tensor.reduce(%z) {kind = "sum", axes = [1]}
    %e = math.exp(%s)
    core.return(%y, %m, %e)
  }
}
"""


@pytest.mark.parametrize("backwards", [False, True])
def test_schedules_that_would_be_wrong_are_not_taken(backwards: bool) -> None:
    """Threads beyond the last column write nothing; the processor starts no kernel in a loop; and
    what follows a sum of one number is computed once."""
    from gpu_batches import EmulatedModule

    module = parse(EDGES)
    inputs = {"x": data((1, 6)), "w": data((4, 6)), "z": data((5, 1))}
    found = EmulatedModule(module).run(inputs, backwards=backwards)
    for name, expected in interpret(module, inputs).items():
        assert_close(found[name], np.asarray(expected), name)


CASES = (
    "math.sign-u64-outer",  # literals of 64 bits
    "nn.attention-no-keys",  # tensors without elements on the way
    "tensor.reduce-min-empty",
    "nn.attention-bf16",
    "tensor.scatter_elements-i64-ends-none",
    "tensor.pad-wrap",
)


def test_ends_of_ranges() -> None:
    from gpu_batches import gpu_differences

    chosen = [trial(case) for case in cases() if case.id in CASES]
    assert len(chosen) == len(CASES)
    assert dict(gpu_differences(chosen)) == {}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_gpus_compute_random_modules() -> None:
    from gpu_batches import EmulatedModule
    from random_trials import random_trials
    from trials import differences, merged

    from burnish.backends.tvm import cuda
    from burnish.backends.tvm.kernels import compile_kernels

    trials = list(islice(random_trials(0, "tvm", lambda m: write_module(m, None, "cuda")), 16))
    compiled = EmulatedModule(merged([each.module for each in trials]))
    assert compiled.gpu is not None
    assert compile_kernels(compiled.gpu.source, cuda.gpu_target("sm_90"))
    assert dict(differences(trials, lambda _, inputs: compiled.run(inputs), ())) == {}
