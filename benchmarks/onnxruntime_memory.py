"""Prints the most bytes that a run of a model takes in onnxruntime; for ``memory.py``.

LD_PRELOAD=COUNTER python benchmarks/onnxruntime_memory.py MODEL INPUTS.npz COUNTER on|off
"""

from __future__ import annotations

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import onnxruntime as ort

from burnish.ir import Array
from burnish.samples import read_arrays


def bound(model: str, samples: str, pattern: bool) -> tuple[Any, Any]:
    """A session without an arena, and a binding of its inputs; outputs go where it likes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # each tensor is an allocation of its own
    options.enable_mem_pattern = pattern
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in read_arrays(samples).items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return session, binding


def outputs_of(model: str, samples: str) -> list[Array]:
    """What the model computes."""
    session, binding = bound(model, samples, pattern=False)
    session.run_with_iobinding(binding)
    outputs: list[Array] = binding.copy_outputs_to_cpu()
    return outputs


def main(model: str, samples: str, counter: str, pattern: str) -> int:
    count = ctypes.CDLL(counter)
    count.allocations_end.restype = ctypes.c_longlong
    with ThreadPoolExecutor() as pool:  # whose thread takes with it what kernels keep per thread
        outputs = pool.submit(outputs_of, model, samples).result()
    session, binding = bound(model, samples, pattern == "on")
    values = [ort.OrtValue.ortvalue_from_numpy(y) for y in outputs]
    binding.clear_binding_outputs()
    for output, value in zip(session.get_outputs(), values):
        binding.bind_ortvalue_output(output.name, value)
    count.allocations_begin()
    for _ in range(3):  # the first one shows what the next ones are planned for
        session.run_with_iobinding(binding)
    print(count.allocations_end())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
