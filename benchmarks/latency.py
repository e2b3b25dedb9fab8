"""How long models take in C beside onnxruntime, on one thread.

    python benchmarks/latency.py MODEL.onnx FOLDER ... [--rounds 30] [--layers] [--target c]

FOLDER is searched for models.  The names ``mobilenet-v2``, ``resnet-18`` and ``resnet-50`` build
full-size networks with random weights.  Both engines get the same inputs and run in turns, in
one process; what is compared is the emitted function itself, called with memory that is ready, and
onnxruntime's session with bound inputs and outputs.  The table has medians, their ratio, the
largest difference of the outputs, and the share of the machine's peak of fused multiply-adds, which
is measured between the rounds: all figures of a row are from the same seconds, in processor time.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from compile_time import Net, mobilenet_v2, resnet50
from onnx import ModelProto

import burnish
from burnish.backends.c.host import find_compiler
from burnish.backends.c.plan import CallStep, Plan
from burnish.backends.c.select import Selection, describe
from burnish.ir.cost import block_cost, op_cost

PEAK = """
#include <time.h>
typedef float vector __attribute__((vector_size(32)));
#if defined(__FMA__)
#define FMA(a, b) __builtin_ia32_vfmaddps256(a, b, b)
#else
#define FMA(a, b) ((a) * (b) + (b))
#endif
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
volatile float sink;
double peak(void)
{
    const double start = seconds();
    vector b = {.5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f};
#define DECLARE(i) vector a##i = {i, i, i, i, i, i, i, i};
    EACH(DECLARE)
    __asm__ volatile("" : "+x"(b));
    for (int k = 0; k < 20000; k++) {
#define ADD(i) a##i = FMA(a##i, b);
        EACH(ADD)
    }
#define SUM(i) b += a##i;
    EACH(SUM)
    sink = b[0] + b[3];
    return 20000.0 * 12 * 16 / (seconds() - start);
}
"""
"""Floating-point operations per second of twelve independent chains of multiply-adds."""

STEPS = """
#include <stdint.h>
#include <time.h>
double step_seconds[65536];
static struct timespec last;
void step_begin(void)
{
    clock_gettime(CLOCK_MONOTONIC, &last);
}
void step_end(int number)
{
    struct timespec now;
    double spent;
    clock_gettime(CLOCK_MONOTONIC, &now);
    spent = (double)(now.tv_sec - last.tv_sec) + 1e-9 * (double)(now.tv_nsec - last.tv_nsec);
    if (step_seconds[number] == 0 || spent < step_seconds[number]) {
        step_seconds[number] = spent;
    }
    clock_gettime(CLOCK_MONOTONIC, &last);
}
"""
"""The least time of each step."""


def resnet18() -> ModelProto:
    """ResNet-18 (He et al. 2015), 224 x 224."""
    net = Net()
    x, channels = net.conv("x", 3, 64, 7, 2, activation="Relu"), 64
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            y = net.conv(x, channels, width, 3, stride, activation="Relu")
            y = net.conv(y, width, width, 3)
            short = net.conv(x, channels, width, 1, stride) if stride > 1 else x
            x, channels = net.node("Relu", net.node("Add", short, y)), width
    return net.model(net.classifier(x, channels), [1, 3, 224, 224], [1, 1000])


BUILT: dict[str, Callable[[], ModelProto]] = {
    "mobilenet-v2": mobilenet_v2,
    "resnet-18": resnet18,
    "resnet-50": resnet50,
}


@dataclass(frozen=True)
class Engine:
    """One way to run a model: ``call`` runs it once, ``outputs`` are what it wrote."""

    call: Callable[[], object]
    outputs: Sequence[np.ndarray]


@dataclass(frozen=True)
class Row:
    """What was measured of a model: seconds, and FLOP per second."""

    name: str
    burnish: float
    onnxruntime: float
    error: float
    flops: float
    peak: float

    @property
    def cells(self) -> list[str]:
        rate = self.flops / self.burnish
        return [
            self.name,
            f"{self.burnish * 1e3:.3f}",
            f"{self.onnxruntime * 1e3:.3f}",
            f"{self.burnish / self.onnxruntime:.2f}",
            f"{rate / 1e9:.1f}",
            f"{rate / self.peak:.0%}",
            f"{self.error:.0e}",
        ]


HEADER = ["model", "burnish ms", "onnxruntime ms", "ratio", "GFLOP/s", "of peak", "error"]


def library(folder: Path, sources: Sequence[str], flags: Sequence[str]) -> ctypes.CDLL:
    """Sources built into a shared library."""
    compiler = find_compiler(burnish.targets()["c"])
    command = [*compiler, *flags, "-shared", "-fPIC", *sources, "-o", "built.so", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "built.so"))


def peak_meter(folder: Path) -> Callable[[], float]:
    """A function that measures the machine's peak once."""
    folder.mkdir()
    (folder / "peak.c").write_text(PEAK, "utf-8")
    peak = library(folder, ["peak.c"], ["-O2", "-march=native"]).peak
    peak.restype = ctypes.c_double
    return lambda: float(peak())


def pointers(arrays: Sequence[np.ndarray]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(1, len(arrays)))(*[array.ctypes.data for array in arrays])


def emitted(
    compiled: burnish.CompiledModel, inputs: Sequence[np.ndarray], folder: Path
) -> tuple[Engine, ctypes.CDLL]:
    """The emitted function, in a library of its own."""
    manifest = compiled.artifact.manifest
    name = manifest["name"]
    compiled.artifact.write(folder)
    (folder / "steps.c").write_text(STEPS, "utf-8")
    sources = [file for file in manifest["files"] if file.endswith((".c", ".S"))]
    hook = f"-D{name.upper()}_STEP(n)=do{{extern void step_end(int);step_end(n);}}while(0)"
    built = library(folder, [*sources, "steps.c"], [*manifest["flags"], "-D_GNU_SOURCE", hook])
    outputs = [np.empty(entry["shape"], np.float32) for entry in manifest["outputs"]]
    arena = np.zeros(manifest["arena_bytes"] + 64, np.uint8)
    place = ctypes.c_void_p(-(-arena.ctypes.data // 64) * 64)
    run, begin = getattr(built, f"{name}_run"), built.step_begin
    given, taken = pointers(inputs), pointers(outputs)
    profiled = manifest["options"]["profile"]

    def call() -> None:
        if profiled:
            begin()
        if run(given, taken, place) != 0:
            raise RuntimeError(f"{name} stopped")
        assert arena.size

    return Engine(call, outputs), built


def session(path: Path, names: Sequence[str], inputs: Sequence[np.ndarray]) -> Engine:
    """onnxruntime on one thread, with everything bound."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = made.io_binding()
    for name, array in zip(names, inputs):
        binding.bind_cpu_input(name, array)
    values = []
    for output in made.get_outputs():
        binding.bind_output(output.name)
    made.run_with_iobinding(binding)
    found = binding.copy_outputs_to_cpu()
    for output, array in zip(made.get_outputs(), found):
        value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        values.append(value)
        binding.bind_ortvalue_output(output.name, value)
    return Engine(lambda: made.run_with_iobinding(binding), [value.numpy() for value in values])


def seconds(call: Callable[[], object], count: int) -> float:
    """Time that this thread takes for one call, other programs' turns not counted."""
    start = time.thread_time()
    for _ in range(count):
        call()
    return (time.thread_time() - start) / count


def example(shape: Sequence[int], dtype: str) -> np.ndarray:
    random = np.random.default_rng(0)
    if dtype == "f32":
        return random.standard_normal(shape).astype(np.float32)
    return random.integers(0, 2, shape).astype(burnish.ir.DType.parse(dtype).numpy)


def measure(
    name: str, path: Path, target: str, rounds: int, layers: bool, folder: Path,
    peak: Callable[[], float],
) -> Row:  # fmt: skip
    """One model, in turns with onnxruntime."""
    compiled = burnish.compile(path, target=target, options={"profile": layers, "name": "net"})
    entries = compiled.artifact.manifest["inputs"]
    inputs = [example(entry["shape"], entry["dtype"]) for entry in entries]
    ours, built = emitted(compiled, inputs, folder)
    theirs = session(path, [entry["name"] for entry in entries], inputs)
    ours.call()
    theirs.call()
    error = max(
        float(np.abs(a - b).max() / max(1e-30, float(np.abs(b).max())))
        for a, b in zip(ours.outputs, theirs.outputs)
    )
    count = max(1, int(0.01 / seconds(ours.call, 3)))
    times: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        times.append((seconds(ours.call, count), seconds(theirs.call, count), peak()))
    mine, other, peaks = (list(column) for column in zip(*times))
    macs = block_cost(burnish.import_onnx(path).main.body).macs
    assert isinstance(macs, int)
    row = Row(name, statistics.median(mine), statistics.median(other), error, 2.0 * macs,
              statistics.median(peaks))  # fmt: skip
    if layers:
        show_layers(compiled, built, max(peaks))
    return row


def show_layers(compiled: burnish.CompiledModel, built: ctypes.CDLL, peak: float) -> None:
    """The least time of each step, dearest first."""
    found = (ctypes.c_double * 65536).in_dll(built, "step_seconds")
    plan, selection = (compiled.artifact.stages[stage] for stage in ("plan", "select"))
    assert isinstance(plan, Plan)
    assert isinstance(selection, Selection)
    steps = [step for step in plan.walk() if isinstance(step, CallStep)]
    total = sum(found[step.number] for step in steps)
    for step in sorted(steps, key=lambda step: -found[step.number]):
        spent, op = found[step.number], step.choice.op
        macs = op_cost(op).macs
        share = (
            f"{2 * macs / spent / peak:4.0%}" if isinstance(macs, int) and macs and spent else ""
        )
        assert step.choice.kernel is not None
        details = " ".join(f"{key}={value}" for key, value in step.choice.details)
        print(
            f"  {spent * 1e6:9.1f} us {spent / total:4.0%} {share:>5} "
            f"{step.choice.kernel.family} {details} {describe(op)} {op.results[0].type}"
        )


def models(arguments: Sequence[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and files of what the command line asks for."""
    for argument in arguments:
        path = Path(argument)
        if argument in BUILT:
            path = folder / f"{argument}.onnx"
            path.write_bytes(BUILT[argument]().SerializeToString())
            yield argument, path
        elif path.is_dir():
            for found in sorted(path.rglob("*.onnx")):
                yield found.parent.name if found.stem == "model" else found.stem, found
        else:
            yield path.parent.name if path.stem == "model" else path.stem, path


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--target", default="c")
    parser.add_argument("--layers", action="store_true", help="the time of each step")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peak = peak_meter(folder / "peak")
        print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}", flush=True)
        for number, (title, path) in enumerate(models(arguments.models, folder)):
            work = folder / str(number)
            work.mkdir()
            try:
                row = measure(title, path, arguments.target, arguments.rounds,
                              arguments.layers, work, peak)  # fmt: skip
            except burnish.Error as error:
                print(f"| {title} | {str(error).splitlines()[0]} |")
                continue
            rows.append(row)
            print(f"| {' | '.join(row.cells)} |", flush=True)
    if rows:
        mean = statistics.geometric_mean(row.burnish / row.onnxruntime for row in rows)
        print(f"\ngeometric mean of {len(rows)} ratios: {mean:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
