"""What a pass is worth in C: two pipelines on the same models, side by side.

    python benchmarks/pipelines.py MODELS... --without conv-to-matmul [--runs 20]
    python benchmarks/pipelines.py MODELS... --first space-to-depth
    python benchmarks/pipelines.py MODELS... --before PIPELINE --after PIPELINE

MODELS are files or folders of ONNX models; open sizes are those of the ``inputs.npz`` beside.
``--without PASS`` leaves a pass (or, with its options, one spelled like that) out of the standard
pipeline; ``--first PASS`` puts one in front of it.  Per model: kernels that run, bytes of the
arena, bytes that kernels move, and the time of the second pipeline over that of the first (median
of runs taken in turns).
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import burnish
from burnish.backends import find_target
from burnish.dimensions import dims_from_samples
from burnish.passes import make_pass, parse_pipeline, pipeline_text, standard_pipeline
from burnish.samples import file_beside, read_samples, seeded_samples

TOLERANCE = 1e-3


@dataclass
class Measured:
    """A model compiled by one pipeline."""

    kernels: int
    arena: int
    moved: int


@dataclass
class Row:
    """One model by both pipelines; ``ratio`` is the time of the second over that of the first."""

    model: str
    before: Measured
    after: Measured
    ratio: float
    difference: float


def measure(path: Path, pipelines: tuple[str, str], target: str, runs: int) -> Row:
    samples = file_beside(path)
    dims = {} if samples is None else dict(dims_from_samples(path, {}, samples).dims)
    made = [burnish.compile(path, target, dims=dims, passes=p) for p in pipelines]
    function = made[0].module.main
    if samples is None:
        inputs = seeded_samples(function, 1)[0]
    else:
        inputs = read_samples(samples, function.arg_names)[0]
    expected, found = (model.run(inputs) for model in made)
    difference = max(
        float(np.abs(expected[n].astype(float) - found[n]).max(initial=0.0))
        / (float(np.abs(expected[n]).max(initial=0.0)) or 1.0)
        for n in expected
    )
    first, second = ((lambda m=model: m.run(inputs)) for model in made)
    name = path.parent.name if path.name == "model.onnx" else f"{path.parent.name}/{path.stem}"
    ratio = latency_ratio(first, second, runs) if runs else math.nan
    return Row(name, figures(made[0]), figures(made[1]), ratio, difference)


def figures(model: burnish.CompiledModel) -> Measured:
    report = model.report
    moved = sum(layer.moved for layer in report.layers if isinstance(layer.moved, int))
    arena = report.memory.arena if report.memory is not None else 0
    return Measured(sum(bool(layer.kernel) for layer in report.layers), arena, moved)


def latency_ratio(first: Callable[[], object], second: Callable[[], object], runs: int) -> float:
    """The median time of ``second`` over that of ``first``, run in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(runs):
        pair = ((0, first), (1, second))
        for index, run in pair if turn % 2 else reversed(pair):
            start = time.perf_counter()
            run()
            times[index].append(time.perf_counter() - start)
    return statistics.median(times[1]) / statistics.median(times[0])


def without(pipeline: str, left_out: str) -> str:
    """``pipeline`` without the passes that are spelled, or named, ``left_out``."""
    name = str(make_pass(left_out)) if "{" in left_out else left_out
    kept = [p for p in parse_pipeline(pipeline) if name not in (p.name, str(p))]
    return pipeline_text(kept)


def models_in(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.onnx")) if path.is_dir() else [path]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, help="models, or folders of models")
    parser.add_argument("--target", default="c")
    parser.add_argument("--without", metavar="PASS", help="compare with the standard less this")
    parser.add_argument("--first", metavar="PASS", help="compare with this before the standard")
    parser.add_argument("--before", metavar="PIPELINE", help="default: the standard one")
    parser.add_argument("--after", metavar="PIPELINE", help="default: the standard one")
    parser.add_argument("--runs", type=int, default=20, help="runs to take times of; 0 for none")
    arguments = parser.parse_args()
    target = find_target(arguments.target)
    standard = standard_pipeline(target.backend, target.isa)
    before, after = arguments.before or standard, arguments.after or standard
    if arguments.without:
        before = without(after, arguments.without)
    if arguments.first:
        after = f"{arguments.first},{before}"
    print(f"{'model':<28} {'kernels':>11} {'arena':>20} {'moved':>22} {'time':>6} {'differ':>8}")
    ratios = []
    for path in models_in(arguments.models):
        row = measure(path, (before, after), arguments.target, arguments.runs)
        a, b = row.before, row.after
        ratios.append(row.ratio)
        print(
            f"{row.model:<28} {a.kernels:>5} {b.kernels:>5} {a.arena:>10,} {b.arena:>9,}"
            f" {a.moved:>11,} {b.moved:>10,} {row.ratio:>6.3f} {row.difference:>8.0e}",
            flush=True,
        )
    if ratios and arguments.runs:
        print(f"geometric mean of times: {statistics.geometric_mean(ratios):.3f}")


if __name__ == "__main__":
    main()
