"""The emitted function as it is, and the machine's peak: C that is built and called directly."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.backends import find_target
from burnish.backends.c.host import SHARED, compile_files, thread_flags
from burnish.backends.c.isa import isa_of
from burnish.backends.c.peak import peak_text
from burnish.backends.c.plan import CallStep, Plan
from burnish.backends.c.select import Selection, describe
from burnish.ir import Array, DType
from burnish.ir.cost import op_cost
from burnish.ir.errors import InputError

from ..compiled import CompiledModel
from .data import BURNISH, Layer
from .prepared import Prepared

_SOURCES = Path(__file__).parent / "runtime"
_CLOCKS = ("-D_GNU_SOURCE",)

_METER = """\
#include <stdint.h>
#include <string.h>
#include <time.h>

double products_per_second(void);

static double seconds(void)
{{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}}

{peak}
double products_per_second(void)
{{
    return peak();
}}
"""
"""Time of the thread, which leaves out the turns of other programs."""


def peak_meter() -> Callable[[], float]:
    """A function that measures the floating-point operations per second of one core once.

    Raises:
        ToolchainError: there is no C compiler.
    """
    target = find_target("c")
    text = _METER.format(peak=peak_text(isa_of(target)))
    library = compile_files({"peak.c": text}, target, "peak.so", (*SHARED, *_CLOCKS))
    products = ctypes.CDLL(str(library)).products_per_second
    products.restype = ctypes.c_double
    return lambda: 2.0 * float(products())


def _pointers(arrays: Sequence[Array]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(1, len(arrays)))(*[array.ctypes.data for array in arrays])


@dataclass
class Emitted:
    """A compiled model, built with the hooks of its profile if it has one."""

    compiled: CompiledModel
    library: ctypes.CDLL

    @staticmethod
    def build(compiled: CompiledModel) -> Emitted:
        """Build the files of a model.

        Raises:
            ToolchainError: there is no C compiler, or it fails.
        """
        manifest = compiled.artifact.manifest
        macro, flags = manifest["name"].upper(), (*SHARED, *thread_flags(manifest["options"]))
        files = dict(compiled.artifact.files)
        if manifest["options"]["profile"]:
            files["steps.c"] = (_SOURCES / "steps.c").read_text("utf-8")
            hook = "do{extern void step_end(int);step_end(n);}while(0)"
            flags = (*flags, *_CLOCKS, f"-D{macro}_STEP(n)={hook}")
        library = compile_files(files, compiled.target, f"{manifest['name']}.so", flags)
        return Emitted(compiled, ctypes.CDLL(str(library)))

    def prepare(self, inputs: Sequence[Array], threads: int) -> Prepared:
        """The emitted function with memory that is ready."""
        manifest = self.compiled.artifact.manifest
        outputs = [
            np.empty(entry["shape"], DType.parse(entry["dtype"]).numpy)
            for entry in manifest["outputs"]
        ]
        alignment = manifest["alignment"]
        arena = np.zeros(manifest["arena_bytes"] + alignment, np.uint8)
        place = ctypes.c_void_p(-(-arena.ctypes.data // alignment) * alignment)
        run = getattr(self.library, f"{manifest['name']}_run")
        given, taken = _pointers(inputs), _pointers(outputs)
        begin = self.library.step_begin if manifest["options"]["profile"] else None

        def call(_kept: object = (arena, inputs, outputs)) -> None:
            if begin is not None:
                begin()
            if run(given, taken, place) != 0:
                raise InputError("the model refuses the inputs of the benchmark")

        selection = self.compiled.artifact.stages["select"]
        assert isinstance(selection, Selection)
        in_caller = all(kernel.threads == 1 for kernel in selection.kernels)
        return Prepared(BURNISH, threads, call, outputs, in_caller)

    def layers(self) -> tuple[Layer, ...]:
        """The least time of each step so far."""
        found = (ctypes.c_double * 65536).in_dll(self.library, "step_seconds")
        plan = self.compiled.artifact.stages["plan"]
        assert isinstance(plan, Plan)
        layers = []
        for step in plan.walk():
            if isinstance(step, CallStep):
                op, kernel = step.choice.op, step.choice.kernel
                assert kernel is not None
                macs = op_cost(op).macs
                details = " ".join(f"{key}={value}" for key, value in step.choice.details)
                flops = 2.0 * macs if isinstance(macs, int) else 0.0
                layers.append(
                    Layer(step.number, kernel.family, details, describe(op),
                          str(op.results[0].type), found[step.number], flops)
                )  # fmt: skip
        return tuple(layers)
