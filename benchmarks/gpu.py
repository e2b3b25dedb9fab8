"""Models on a GPU: built for CUDA, and where there is a GPU verified and timed.

    python benchmarks/gpu.py [MODEL ...] [--dtype fp32 fp16] [--arch sm_90] [--rounds 30]

MODEL is an ONNX file, a folder of them, or the name of a network of benchmarks/networks.py; by
default all networks.  Without a GPU models are only built, and the table says how long that took.
With one, results are compared with onnxruntime's on the processor, and the time is the median of
rounds between two CUDA events, inputs being on the GPU already.  If onnxruntime has its CUDA
provider, its time stands beside, inputs and outputs bound to the GPU.  "of peak" is the share of
what products of the model take at the rate of multiplications and additions that a kernel of TVM
reaches which does nothing else, measured on the same GPU; "bandwidth" is that of a copy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models import label, model_files
from networks import NETWORKS
from rich.console import Console
from rich.table import Table

import burnish
from burnish.backends import tvm as tvm_backend
from burnish.backends.tvm.package import tvm_package
from burnish.ir import Array, Module, build_function, tensor

STEPS = 120
"""Multiplications and additions per element of the kernel that measures the peak; TVM makes one
kernel of up to 256 ops."""
ELEMENTS = 1 << 24
WARM_UP = 3


@dataclass(frozen=True)
class Ceilings:
    """What the GPU reaches: operations and bytes per second."""

    operations: float
    bandwidth: float


@dataclass(frozen=True)
class Result:
    """A model at one precision; times in seconds, None where there is no GPU."""

    name: str
    dtype: str
    build: float
    error: float | None = None
    run: float | None = None
    reference: float | None = None
    operations: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=sorted(NETWORKS))
    parser.add_argument("--dtype", nargs="+", default=["fp32", "fp16"])
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    has_gpu = bool(tvm_package().cuda().exist)
    ceilings = measured_ceilings(arguments.arch, arguments.rounds) if has_gpu else None
    results = []
    with tempfile.TemporaryDirectory(prefix="burnish-gpu-") as folder:
        for path in model_files(arguments.models, Path(folder)):
            for dtype in arguments.dtype:
                results.append(measured(path, dtype, arguments.arch, arguments.rounds, has_gpu))
    report(results, ceilings)
    return 0


def measured(path: Path, dtype: str, arch: str, rounds: int, has_gpu: bool) -> Result:
    """One model; dimensions that are not bound are 1."""
    module = burnish.import_onnx(path)
    sizes = dict.fromkeys(module.symbols, 1)
    start = time.perf_counter()
    compiled = burnish.compile(path, "tvm:cuda", dims=sizes, options={"dtype": dtype, "arch": arch})
    build = time.perf_counter() - start
    macs = compiled.report.macs
    operations = 2 * macs if isinstance(macs, int) else 0
    if not has_gpu:
        return Result(label(path), dtype, build, operations=operations)
    inputs = random_inputs(compiled.module)
    expected = on_processor(path, inputs)
    found = compiled.run(inputs)
    error = max(difference(found[name], expected[name]) for name in expected)
    seconds = gpu_seconds(compiled, inputs, rounds)
    reference = onnxruntime_seconds(path, inputs, rounds)
    return Result(label(path), dtype, build, error, seconds, reference, operations)


def random_inputs(module: Module) -> dict[str, Array]:
    random = np.random.default_rng(0)
    return {
        name: random.normal(0, 1, arg.type.static_shape).astype(arg.type.dtype.numpy)
        for name, arg in zip(module.main.arg_names, module.main.args)
    }


def difference(found: Array, expected: Array) -> float:
    """‖found - expected‖ / ‖expected‖."""
    wide = expected.astype(np.float64)
    return float(np.linalg.norm(found - wide) / max(np.linalg.norm(wide), 1e-30))


def on_processor(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs))))


def gpu_seconds(compiled: burnish.CompiledModel, inputs: Mapping[str, Array], rounds: int) -> float:
    """The median time of a run between two CUDA events."""
    runner = tvm_backend.runner(compiled.artifact)
    tensors = runner.tensors(inputs)
    return statistics.median(runner.seconds(tensors, rounds + WARM_UP)[WARM_UP:])


def onnxruntime_seconds(path: Path, inputs: Mapping[str, Array], rounds: int) -> float | None:
    """The median time of onnxruntime on the GPU; None without its CUDA provider."""
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return None
    session = onnxruntime.InferenceSession(str(path), providers=["CUDAExecutionProvider"])
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(
            name, onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
        )
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")
    times = []
    for _ in range(rounds + WARM_UP):
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])


def measured_ceilings(arch: str, rounds: int) -> Ceilings:
    """What a chain of multiplications and additions, and a copy, reach on this GPU."""
    chain = Module("chain")
    function, builder = build_function(chain, "main", {"x": tensor("f32", ELEMENTS)}, ["y"])
    y = x = function.args[0]
    for _ in range(STEPS):
        y = builder("math.add", builder("math.mul", y, x), x)
    builder.ret(y)
    copy = Module("copy")
    function, builder = build_function(copy, "main", {"x": tensor("f32", ELEMENTS * 8)}, ["y"])
    builder.ret(builder("math.neg", function.args[0]))
    chained, copied = (alone(module, arch, rounds) for module in (chain, copy))
    return Ceilings(2 * STEPS * ELEMENTS / chained, 2 * 4 * ELEMENTS * 8 / copied)


def alone(module: Module, arch: str, rounds: int) -> float:
    """The time of a module as it is, without passes."""
    compiled = burnish.compile(module, "tvm:cuda", passes="", options={"arch": arch})
    return gpu_seconds(compiled, random_inputs(module), rounds)


def report(results: list[Result], ceilings: Ceilings | None) -> None:
    console = Console()
    table = Table()
    for column in ("model", "dtype", "build s", "error", "ms", "of peak", "onnxruntime ms"):
        table.add_column(column, justify="left" if column in ("model", "dtype") else "right")
    for each in results:
        share = None
        if ceilings is not None and each.run:
            share = each.operations / each.run / ceilings.operations
        cells = (
            f"{each.build:.1f}",
            "" if each.error is None else f"{each.error:.1e}",
            "" if each.run is None else f"{each.run * 1e3:.3f}",
            "" if share is None else f"{share:.0%}",
            "" if each.reference is None else f"{each.reference * 1e3:.3f}",
        )
        table.add_row(each.name, each.dtype, *cells)
    console.print(table)
    if ceilings is None:
        console.print("There is no GPU here: models were built, not run.")
        return
    operations, bandwidth = ceilings.operations / 1e12, ceilings.bandwidth / 1e9
    console.print(f"peak {operations:.1f} T operations/s, bandwidth {bandwidth:.0f} GB/s")


if __name__ == "__main__":
    sys.exit(main())
