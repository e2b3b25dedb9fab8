"""Models on a GPU: built for CUDA, and where there is a GPU verified and timed.

    python benchmarks/gpu.py [MODEL ...] [--dtype fp32 fp16] [--arch sm_90] [--rounds 30]

MODEL is an ONNX file, a folder of them, or the name of a network of benchmarks/networks.py; by
default all networks.  Without a GPU models are only built, and the table says how long that took.
With one, results are compared with onnxruntime's on the processor, "error" being the norm of the
difference over that of the result, and the time is the median of rounds between two CUDA events,
inputs being on the GPU already.  Beside it stand, where they are installed, onnxruntime's with its
CUDA provider, and that of torch.compile (with the package onnx2torch), inputs and outputs on the
GPU; the latter in the precision of the row.

"of peak" is the rate at which the model's products are computed as a share of the peak measured
on the same GPU: for fp32 that of a kernel which multiplies and adds and does nothing else, for fp16
and bf16 that of a large product, by torch where it is installed, else by burnish.  "of bandwidth"
is the same for bytes: inputs and weights are read, and outputs written, once at least; the ceiling
is that of a copy.

--processor measures the target tvm instead, on this machine's processor: to try this script.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
SIDE = 8192
"""Of the matrices whose product measures the peak of tensor cores."""

WIDTH = 120
"""Columns of text that the table takes."""

BOUNDS = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
"""Larger errors are wrong results."""


@dataclass(frozen=True)
class Device:
    """What is measured: a target, and the options that it takes."""

    target: str
    arch: str = ""

    def options(self, dtype: str) -> dict[str, str]:
        return {"dtype": dtype, "arch": self.arch} if self.arch else {}


@dataclass(frozen=True)
class Ceilings:
    """What the device reaches: operations per second by precision, and bytes per second."""

    operations: Mapping[str, float]
    bandwidth: float


@dataclass(frozen=True)
class Result:
    """A model at one precision; times in seconds, None where nothing was run or is installed."""

    name: str
    dtype: str
    build: float
    error: float | None = None
    run: float | None = None
    onnxruntime: float | None = None
    torch: float | None = None
    operations: int = 0
    bytes: int = 0

    @property
    def is_wrong(self) -> bool:
        """Whether the results were not those of onnxruntime; NaN counts as wrong."""
        return self.error is not None and not self.error <= BOUNDS[self.dtype]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=sorted(NETWORKS))
    parser.add_argument("--dtype", nargs="+", default=["fp32", "fp16"], choices=list(BOUNDS))
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--processor", action="store_true")
    given = parser.parse_args(arguments)
    device = Device("tvm") if given.processor else Device("tvm:cuda", given.arch)
    dtypes = ["fp32"] if given.processor else given.dtype
    runs = given.processor or bool(tvm_package().cuda().exist)
    ceilings = measured_ceilings(device, dtypes, given.rounds) if runs else None
    with tempfile.TemporaryDirectory(prefix="burnish-gpu-") as folder:
        results = [
            measured(path, dtype, device, given.rounds, runs)
            for path in model_files(given.models, Path(folder))
            for dtype in dtypes
        ]
    report(results, ceilings)
    return int(any(result.is_wrong for result in results))


def measured(path: Path, dtype: str, device: Device, rounds: int, runs: bool) -> Result:
    """One model; dimensions that are not bound are 1."""
    module = burnish.import_onnx(path)
    sizes = dict.fromkeys(module.symbols, 1)
    start = time.perf_counter()
    compiled = burnish.compile(path, device.target, dims=sizes, options=device.options(dtype))
    build = time.perf_counter() - start
    macs = compiled.report.macs
    operations = 2 * macs if isinstance(macs, int) else 0
    result = Result(label(path), dtype, build, operations=operations, bytes=least_bytes(compiled))
    if not runs:
        return result
    inputs = random_inputs(compiled.module)
    expected = on_processor(path, inputs)
    found = compiled.run(inputs)
    return replace(
        result,
        error=max(difference(found[name], expected[name]) for name in expected),
        run=device_seconds(compiled, inputs, rounds),
        onnxruntime=onnxruntime_seconds(path, inputs, rounds),
        torch=torch_seconds(path, inputs, dtype, rounds),
    )


def least_bytes(compiled: burnish.CompiledModel) -> int:
    """What must be moved at least: inputs, outputs and weights once, as the model keeps them."""
    main = compiled.module.main
    values = [*main.args, *main.results]
    constants = [r for op in main.body for r in op.results if r.constant is not None]
    return sum(math.prod(v.type.static_shape) * v.type.dtype.bits // 8 for v in values + constants)


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


def device_seconds(
    compiled: burnish.CompiledModel, inputs: Mapping[str, Array], rounds: int
) -> float:
    """The median time of a run, on a GPU between two CUDA events."""
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


def torch_seconds(path: Path, inputs: Mapping[str, Array], dtype: str, rounds: int) -> float | None:
    """The median time of torch.compile on the GPU between two CUDA events, products in ``dtype``.

    None without torch for CUDA or onnx2torch, which makes a module of the model.
    """
    torch = torch_for_cuda()
    if torch is None or importlib.util.find_spec("onnx2torch") is None:
        return None
    module = importlib.import_module("onnx2torch").convert(str(path)).cuda().eval()
    compiled = torch.compile(module)
    tensors = [torch.from_numpy(array).cuda() for array in inputs.values()]
    rounded = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(dtype)
    with torch.no_grad(), torch.autocast("cuda", rounded, enabled=rounded is not None):
        return torch_median(torch, lambda: compiled(*tensors), rounds)


def torch_for_cuda() -> Any | None:
    """The package torch, if it is installed and finds a GPU."""
    if importlib.util.find_spec("torch") is None:
        return None
    torch = importlib.import_module("torch")
    return torch if torch.cuda.is_available() else None


def torch_median(torch: Any, run: Callable[[], object], rounds: int) -> float:
    """The median of seconds between two CUDA events."""
    times = []
    for _ in range(rounds + WARM_UP):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times[WARM_UP:])


def measured_ceilings(device: Device, dtypes: Sequence[str], rounds: int) -> Ceilings:
    """What a chain of multiplications and additions, a large product and a copy reach."""
    chain = Module("chain")
    function, builder = build_function(chain, "main", {"x": tensor("f32", ELEMENTS)}, ["y"])
    y = x = function.args[0]
    for _ in range(STEPS):
        y = builder("math.add", builder("math.mul", y, x), x)
    builder.ret(y)
    copy = Module("copy")
    function, builder = build_function(copy, "main", {"x": tensor("f32", ELEMENTS * 8)}, ["y"])
    builder.ret(builder("math.neg", function.args[0]))
    operations = {
        dtype: 2 * STEPS * ELEMENTS / alone(chain, device, "fp32", rounds)
        if dtype == "fp32"
        else 2 * SIDE**3 / product_seconds(device, dtype, rounds)
        for dtype in dtypes
    }
    return Ceilings(operations, 2 * 4 * ELEMENTS * 8 / alone(copy, device, "fp32", rounds))


def product_seconds(device: Device, dtype: str, rounds: int) -> float:
    """The time of a large product of matrices in 16 bits."""
    torch = torch_for_cuda()
    if torch is None:
        square = tensor("f32", SIDE, SIDE)
        module = Module("product")
        function, builder = build_function(module, "main", {"a": square, "b": square}, ["y"])
        builder.ret(builder("nn.matmul", *function.args))
        return alone(module, device, dtype, rounds)
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=kind) for _ in range(2))
    return torch_median(torch, lambda: a @ b, rounds)


def alone(module: Module, device: Device, dtype: str, rounds: int) -> float:
    """The time of a module as it is, without passes."""
    compiled = burnish.compile(module, device.target, passes="", options=device.options(dtype))
    return device_seconds(compiled, random_inputs(module), rounds)


def report(
    results: Sequence[Result], ceilings: Ceilings | None, console: Console | None = None
) -> None:
    """A table of ``results``, and what shares in it are of."""
    console = console or Console(width=max(Console().width, WIDTH))
    table = Table()
    columns = ("build s", "error", "ms", "of peak", "of bandwidth", "onnxruntime ms", "torch ms")
    for column in ("model", "dtype"):
        table.add_column(column)
    for column in columns:
        table.add_column(column, justify="right")
    for each in results:
        peak = ceilings.operations[each.dtype] if ceilings else None
        bandwidth = ceilings.bandwidth if ceilings else None
        error = "" if each.error is None else f"{each.error:.1e}{' wrong' if each.is_wrong else ''}"
        table.add_row(
            each.name,
            each.dtype,
            f"{each.build:.1f}",
            error,
            milliseconds(each.run),
            share(each.operations, each.run, peak),
            share(each.bytes, each.run, bandwidth),
            milliseconds(each.onnxruntime),
            milliseconds(each.torch),
        )
    console.print(table)
    if ceilings is None:
        console.print("There is no GPU here: models were built, not run.")
        return
    peaks = ", ".join(f"{t} {rate / 1e12:.1f}" for t, rate in ceilings.operations.items())
    console.print(f"peak, T operations/s: {peaks}; bandwidth: {ceilings.bandwidth / 1e9:.0f} GB/s")


def milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.3f}"


def share(amount: int, seconds: float | None, ceiling: float | None) -> str:
    """``amount`` per second as a share of the most that is possible."""
    return f"{amount / seconds / ceiling:.0%}" if seconds and ceiling else ""


if __name__ == "__main__":
    sys.exit(main())
