"""How much memory models take for activations, beside onnxruntime.

    python benchmarks/memory.py MODEL.onnx FOLDER ... [--write docs/benchmarks.md]

Models are named as for ``latency.py``.  Of burnish there are the arena, the lower bound of its
plan (the most bytes of buffers that hold data at one step, in the order in which steps are
computed), and how much of the arena is working memory of the kernel at the step that needs most.
Inputs and outputs lie in the caller's memory and count on neither side.

onnxruntime's memory is what a run takes from the system's allocator, counted by a library that is
preloaded into a process of its own (``allocations.c``), while its own arena is off: tensors and
the working memory of kernels, not weights.  "In use" frees every tensor after its last use, and is
the most that is live at once in the order it computes; "planned" is with its memory pattern, its
default, which takes all tensors of a run as one block.

The exit status is 1 when an arena exceeds the lower bound by more than ``--slack``.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models import label, model_files
from page import machine, replace_between_marks

import burnish
from burnish.backends import find_target
from burnish.backends.c.host import SHARED, compile_files
from burnish.backends.c.plan import CallStep, Plan
from burnish.dimensions import dims_from_samples
from burnish.ir import Array
from burnish.samples import file_beside, read_samples, seeded_samples, write_arrays

HERE = Path(__file__).parent
HEADER = (
    "model",
    "arena",
    "lower bound",
    "ratio",
    "scratch at the peak",
    "onnxruntime, in use",
    "ratio",
    "onnxruntime, planned",
    "ratio",
)


@dataclass(frozen=True)
class Memory:
    """Bytes of a model in burnish (``plain_arena`` without Winograd's convolutions) and in
    onnxruntime."""

    model: str
    arena: int
    bound: int
    scratch: int
    plain_arena: int
    in_use: int
    planned: int

    def row(self) -> str:
        cells = [self.model, f"{self.arena:,}"]
        cells += [f"{self.bound:,}", _ratio(self.arena, self.bound), f"{self.scratch:,}"]
        for other in (self.in_use, self.planned):
            cells += [f"{other:,}", _ratio(self.arena, other)]
        return f"| {' | '.join(cells)} |"


def _ratio(one: int, other: int) -> str:
    return f"{one / other:.3f}" if other else ("1.000" if one == 0 else "")


def measure(path: Path, counter: Path, folder: Path) -> Memory:
    """The memory of one model.

    Raises:
        Error: the model does not compile.
        CalledProcessError: onnxruntime does not run it.
    """
    beside = file_beside(path)
    dims = dims_from_samples(path, {}, beside).dims if beside else None
    compiled = burnish.compile(path, dims=dims)
    plan = compiled.artifact.stages["plan"]
    assert isinstance(plan, Plan)
    peak = compiled.report.memory.peak_step if compiled.report.memory else 0
    working = [step.scratch for step in plan.walk() if isinstance(step, CallStep) and step.scratch]
    arguments = compiled.module.main
    inputs = (
        read_samples(beside, arguments.arg_names) if beside else seeded_samples(arguments, 1)
    )[0]
    plain = burnish.compile(path, dims=dims, options={"winograd": "off"})
    in_use, planned = onnxruntime_memory(path, inputs, counter, folder)
    return Memory(
        label(path),
        plan.arena_bytes,
        plan.bound,
        sum(storage.bytes for storage in working if storage.first <= peak <= storage.last),
        plain.artifact.stages["plan"].arena_bytes,
        in_use,
        planned,
    )


def onnxruntime_memory(
    path: Path, inputs: dict[str, Array], counter: Path, folder: Path
) -> tuple[int, int]:
    """Bytes in use, and planned, by onnxruntime (module docstring)."""
    samples = folder / "samples.npz"
    write_arrays(samples, {name: np.ascontiguousarray(a) for name, a in inputs.items()})
    command = [sys.executable, str(HERE / "onnxruntime_memory.py"), str(path), str(samples)]
    found = []
    for pattern in ("off", "on"):
        result = subprocess.run(
            [*command, str(counter), pattern],
            env={**os.environ, "LD_PRELOAD": str(counter)},
            capture_output=True,
            check=True,
            text=True,
        )
        found.append(int(result.stdout))
    return found[0], found[1]


def summary(found: Sequence[Memory], slack: float) -> list[str]:
    """Which models exceed what, and what they take without Winograd's convolutions."""
    over = [m for m in found if m.arena > slack * m.bound]
    lines = [f"Arenas above {slack:.2f} of the lower bound: {_listed(m.model for m in over)}."]
    for what, theirs in (("in use", "in_use"), ("planned", "planned")):
        larger = (
            f"{m.model} ({_ratio(m.arena, getattr(m, theirs))}; "
            f"{_ratio(m.plain_arena, getattr(m, theirs))} with `winograd=off`)"
            for m in found
            if m.arena > getattr(m, theirs)
        )
        lines.append(f"Larger than what onnxruntime has {what}: {_listed(larger)}.")
    return lines


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--slack", type=float, default=1.05)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page")
    arguments = parser.parse_args()
    source = {"allocations.c": (HERE / "allocations.c").read_text("utf-8")}
    flags = (*SHARED, "-D_GNU_SOURCE")
    counter = compile_files(source, find_target("c"), "allocations.so", flags)
    lines = [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    print("\n".join(lines), flush=True)
    found = []
    with tempfile.TemporaryDirectory() as name:
        for path in model_files(arguments.models, Path(name)):
            try:
                memory = measure(path, counter, Path(name))
            except burnish.Error as error:
                print(f"{path}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            except subprocess.CalledProcessError as error:
                said = error.stderr.strip().splitlines() or [""]
                print(f"{path}: onnxruntime: {said[-1]}", file=sys.stderr)
                continue
            found.append(memory)
            print(memory.row(), flush=True)
    said = summary(found, arguments.slack)
    print("", *said, sep="\n")
    if arguments.write is not None:
        command = shlex.join(["python", "benchmarks/memory.py", *sys.argv[1:]])
        rows = [memory.row() for memory in found]
        body = [
            machine(["onnxruntime"]),
            "",
            f"    {command}",
            "",
            *lines,
            *rows,
            "",
            *(f"- {s}" for s in said),
        ]
        replace_between_marks(arguments.write, "memory", body)
    return int(any(memory.arena > arguments.slack * memory.bound for memory in found))


if __name__ == "__main__":
    sys.exit(main())
