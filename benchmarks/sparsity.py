"""Speed against sparsity: layers with pruned weights, beside our own dense kernels.

    python benchmarks/sparsity.py [LAYER ...] [--sparsity 0.5 0.75] [--method block] [--rounds 30]
                                  [--target c] [--plot sparsity.png] [--write docs/sparsity.md]

Each layer is pruned by magnitude (random weights), and computed by the dense kernel and in every
sparse form that there is a kernel for; these run in turns, in one process.  What is compared is
the time of the kernel itself, in whatever layout it works, so that the cost of converting a lone
layer's tensors counts for nobody.  The table has medians of the rounds, the ratio dense / sparse
for each form, and which form the estimates select; "of best" is how that one compares with the
fastest.  ``--write`` puts that ratio for the selected forms into a page, between the lines
``<!-- sparsity: begin -->`` and ``<!-- sparsity: end -->``, with the command that made it.
"""

from __future__ import annotations

import argparse
import ctypes
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from page import machine, replace_between_marks

from burnish.backends import find_target
from burnish.backends.c import compile_module
from burnish.backends.c.host import SHARED, compile_files
from burnish.backends.c.isa import isa_of
from burnish.backends.c.layouts import CLayouts
from burnish.backends.c.plan import CallStep, Plan
from burnish.ir import Module, Op, Rewriter, build_function, interpret, parse, tensor
from burnish.passes import run_pipeline
from burnish.passes.layout import Offer, lay_out

DENSE = "dense"
SPARSITIES = (0.4, 0.5, 0.6, 0.75, 0.9)
METHODS = {"block": "8x1", "unstructured": "1x1", "channel": "8x1"}

STEPS = """
#include <stdint.h>
#include <time.h>
double step_seconds[4096];
static struct timespec last;
void step_begin(void) { clock_gettime(CLOCK_MONOTONIC, &last); }
void step_end(int number)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    step_seconds[number] =
        (double)(now.tv_sec - last.tv_sec) + 1e-9 * (double)(now.tv_nsec - last.tv_nsec);
    clock_gettime(CLOCK_MONOTONIC, &last);
}
"""
"""The time of each step of the last run."""


@dataclass(frozen=True)
class LayerShape:
    """A convolution by 1 of a square map, or, where ``rows`` is not 0, a matrix product."""

    inputs: int
    outputs: int
    size: int = 0
    rows: int = 0

    def __str__(self) -> str:
        where = f"{self.rows} at a time" if self.rows else f"{self.size} x {self.size}"
        return f"{self.inputs} to {self.outputs}, {where}"

    def module(self) -> Module:
        """The layer with random weights, a bias and ReLU."""
        random = np.random.default_rng(self.inputs * self.outputs)
        module = Module("layer")
        shape = (self.rows, self.inputs) if self.rows else (1, self.inputs, self.size, self.size)
        function, b = build_function(module, "main", {"x": tensor("f32", *shape)}, ["y"])
        weights = random.standard_normal((self.outputs, self.inputs)).astype(np.float32)
        bias = b.constant(random.standard_normal(self.outputs).astype(np.float32), "b")
        if self.rows:
            w = b.constant(np.ascontiguousarray(weights.T), "w")
            y = b("nn.matmul", function.args[0], w, bias)
        else:
            w = b.constant(weights.reshape(*weights.shape, 1, 1), "w")
            lists = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
            y = b("nn.conv", function.args[0], w, bias, **lists)
        b.ret(b("math.relu", y))
        return module


LAYERS = {
    "mobilenet-56": LayerShape(64, 128, size=56),
    "mobilenet-28": LayerShape(128, 256, size=28),
    "mobilenet-14": LayerShape(512, 512, size=14),
    "mobilenet-7": LayerShape(512, 1024, size=7),
    "mobilenetv2-14": LayerShape(96, 576, size=14),
    "resnet-56": LayerShape(256, 64, size=56),
    "resnet-14": LayerShape(1024, 256, size=14),
    "resnet-7": LayerShape(512, 2048, size=7),
    "ffn-128": LayerShape(768, 3072, rows=128),
    "ffn-16": LayerShape(192, 768, rows=16),
    "gemv": LayerShape(1024, 1024, rows=1),
}


@dataclass
class Kernel:
    """One form of a layer, built: ``run`` gives the seconds that its kernel took."""

    form: str
    estimate: float
    run: Callable[[], float]


def the_map(module: Module) -> Op:
    """The layer itself."""
    return next(op for op in module.main.body if op.name in ("nn.conv", "nn.matmul"))


def best_offers(module: Module, target: str) -> dict[str, Offer]:
    """For each form of the layer, the cheapest way to compute it."""
    found: dict[str, Offer] = {}
    for offer in CLayouts(isa_of(find_target(target))).offers(the_map(module)):
        name = offer.name or DENSE
        if name not in found or offer.cost < found[name].cost:
            found[name] = offer
    return found


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy that starts a cache line, as what lies between the layers of a network does."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    found = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def built(module: Module, form: str, target: str, x: np.ndarray, expected: np.ndarray) -> Kernel:
    """The layer in one form, checked."""
    copy = parse(str(module))
    offer = best_offers(copy, target)[form]
    (activation,) = the_map(copy).result.users
    after = Offer(offer.results, offer.results, 0.0)
    lay_out(copy.main.body, {the_map(copy): offer, activation: after}, Rewriter())
    run_pipeline(copy, "dce,fuse,dce")
    artifact = compile_module(copy, target, {"profile": True}, name="layer")
    hook = "-DLAYER_STEP(n)=do{extern void step_end(int);step_end(n);}while(0)"
    flags = (*SHARED, "-D_GNU_SOURCE", hook)
    files = {**artifact.files, "steps.c": STEPS}
    code = ctypes.CDLL(str(compile_files(files, find_target(target), "layer.so", flags)))
    manifest = artifact.manifest
    y = np.empty(expected.shape, np.float32)
    arena = np.zeros(manifest["arena_bytes"] + 64, np.uint8)
    place = ctypes.c_void_p(-(-arena.ctypes.data // 64) * 64)
    x = aligned(x)
    given, taken = (ctypes.c_void_p * 1)(x.ctypes.data), (ctypes.c_void_p * 1)(y.ctypes.data)
    plan = artifact.stages["plan"]
    assert isinstance(plan, Plan)
    (number,) = (
        step.number
        for step in plan.walk()
        if isinstance(step, CallStep) and "relayout" not in step.choice.kernel.family
    )
    seconds = (ctypes.c_double * 4096).in_dll(code, "step_seconds")

    def run() -> float:
        code.step_begin()
        if code.layer_run(given, taken, place) != 0:
            raise RuntimeError(f"{form} stopped")
        assert all(array.size for array in (arena, x, y))  # they live as long as this does
        return float(seconds[number])

    run()
    error = np.abs(y - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"{form} is off by {error}"
    return Kernel(form, offer.cost, run)


@dataclass(frozen=True)
class Row:
    """What was measured: medians of seconds per form."""

    layer: str
    method: str
    sparsity: float
    seconds: dict[str, float]
    estimates: dict[str, float]

    @property
    def chosen(self) -> str:
        """The form of the least estimate."""
        return min(self.estimates, key=self.estimates.__getitem__)

    def gain(self, form: str) -> float:
        """How many times as fast as the dense kernel."""
        return self.seconds[DENSE] / self.seconds[form]

    @property
    def cells(self) -> list[str]:
        forms = [form for form in self.seconds if form != DENSE]
        return [
            self.layer,
            self.method,
            f"{self.sparsity:.0%}",
            f"{self.seconds[DENSE] * 1e6:.1f}",
            ", ".join(f"{form} {self.gain(form):.2f}" for form in forms),
            ", ".join(
                f"{form} {self.estimates[DENSE] / self.estimates[form]:.2f}" for form in forms
            ),
            self.chosen,
            f"{self.gain(self.chosen):.2f}",
            f"{min(self.seconds.values()) / self.seconds[self.chosen]:.0%}",
        ]


HEADER = ("layer", "pruned", "zeros", "dense us", "times as fast", "estimated", "chosen", "gain",
          "of best")  # fmt: skip


def measure(layer: str, method: str, sparsity: float, target: str, rounds: int) -> Row:
    """All forms of a pruned layer, in turns."""
    module = LAYERS[layer].module()
    block = METHODS[method]
    options = f'method={method},sparsity={sparsity},block="{block}"'
    run_pipeline(module, f"prune-weights{{{options}}},recognize-sparsity{{least=0.01}}")
    shape = module.main.args[0].type.static_shape
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = interpret(module, {"x": x})["y"]
    kernels = [built(module, form, target, x, expected) for form in best_offers(module, target)]
    times: dict[str, list[float]] = {kernel.form: [] for kernel in kernels}
    for _ in range(rounds):
        for kernel in kernels:
            times[kernel.form].append(min(kernel.run() for _ in range(5)))
    return Row(
        layer,
        method,
        sparsity,
        {form: statistics.median(found) for form, found in times.items()},
        {kernel.form: kernel.estimate for kernel in kernels},
    )


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """Everything that was asked for, as it is measured."""
    for layer in arguments.layers or LAYERS:
        for method in arguments.method:
            for sparsity in arguments.sparsity:
                yield measure(layer, method, sparsity, arguments.target, arguments.rounds)


def gains(found: Sequence[Row]) -> list[str]:
    """The lines of a table of how much the selected forms gain, a line for each layer."""
    columns = sorted(
        {(row.method, row.sparsity) for row in found},
        key=lambda column: (list(METHODS).index(column[0]), column[1]),
    )
    header = ("layer", *(f"{method} {sparsity:.0%}" for method, sparsity in columns))
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    for layer in dict.fromkeys(row.layer for row in found):
        by_column = {(row.method, row.sparsity): row for row in found if row.layer == layer}
        chosen = [by_column[column] for column in columns]
        cells = [DENSE if r.chosen == DENSE else f"{r.gain(r.chosen):.2f}" for r in chosen]
        lines.append(f"| {' | '.join((f'{layer}: {LAYERS[layer]}', *cells))} |")
    return lines


def plot(found: Sequence[Row], path: Path) -> None:
    """Speed against sparsity, one line per layer and method."""
    from matplotlib import pyplot

    methods = list(dict.fromkeys(row.method for row in found))
    _, panels = pyplot.subplots(1, len(methods), sharey=True, squeeze=False)
    for panel, method in zip(panels[0], methods):
        for layer in dict.fromkeys(row.layer for row in found):
            line = [row for row in found if row.method == method and row.layer == layer]
            panel.plot([r.sparsity for r in line], [r.gain(r.chosen) for r in line], label=layer)
        panel.axhline(1, color="gray", linewidth=0.5)
        panel.set(title=method, xlabel="zeros", ylabel="times as fast as dense")
    panels[0][-1].legend()
    pyplot.savefig(path, bbox_inches="tight")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("layers", nargs="*", metavar="LAYER", help=", ".join(LAYERS))
    parser.add_argument("--sparsity", nargs="+", type=float, default=SPARSITIES)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--target", default="c", help="one whose code runs here")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--plot", type=Path, help="draw into this file (needs matplotlib)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put a table into a page")
    arguments = parser.parse_args()
    found = []
    print(f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}", sep="\n", flush=True)
    for row in rows(arguments):
        found.append(row)
        print(f"| {' | '.join(row.cells)} |", flush=True)
    if arguments.plot:
        plot(found, arguments.plot)
    if arguments.write:
        command = shlex.join(["python", "benchmarks/sparsity.py", *sys.argv[1:]])
        body = [machine([]), "", f"    {command}", "", *gains(found)]
        replace_between_marks(arguments.write, "sparsity", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
