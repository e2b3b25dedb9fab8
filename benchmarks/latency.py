"""How long models take in C beside other engines.

    python benchmarks/latency.py MODEL.onnx FOLDER ... [--rounds 30] [--threads 1 2] [--layers]
    python benchmarks/latency.py FOLDER ... --write docs/benchmarks.md --front README.md

FOLDER is searched for models.  The names of ``networks.py`` (``mobilenet-v2``, ``resnet-18``,
``resnet-50``) build full-size networks with random weights.  All installed engines get the same
inputs and run in turns, in one process, as ``burnish bench`` has them do for one model.  The table
has medians, ratios (burnish over the engine: less than 1 is faster), the speed-up of several
threads, the share of the machine's peak of fused multiply-adds, which is measured between the
rounds, and the largest difference of the outputs.  ``--write`` puts it into a page, between the
lines ``<!-- latency: begin -->`` and ``<!-- latency: end -->`` (``--marks`` gives another word for
``latency``), with the command that made it;
``--front`` puts the times of burnish and onnxruntime on one thread into another, between the marks
of ``figures``, with that command.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from models import label, model_files
from page import machine, replace_between_marks
from rich.console import Console

import burnish
from burnish.bench import Measurement, installed_engines, measure
from burnish.bench.data import BURNISH
from burnish.bench.emitted import peak_meter
from burnish.bench.table import MARKDOWN_HEADER, layer_table, markdown_rows
from burnish.dimensions import dims_from_samples
from burnish.samples import file_beside


def summary(found: Sequence[Measurement]) -> list[str]:
    """The geometric mean of the ratios to each engine, per number of threads."""
    lines = []
    for threads in dict.fromkeys(t.threads for m in found for t in m.timings):
        for engine in installed_engines():
            ratios = [r for m in found if (r := m.ratio(engine, threads)) is not None]
            if ratios:
                mean = statistics.geometric_mean(ratios)
                lines.append(
                    f"Threads: {threads}. Geometric mean of {len(ratios)} ratios "
                    f"to {engine}: {mean:.2f}."
                )
    return lines


def figures(found: Sequence[Measurement]) -> list[str]:
    """The lines of a short table: burnish beside onnxruntime on one thread."""
    lines = ["| one thread | burnish | onnxruntime | ratio |", "| --- | --- | --- | --- |"]
    for row in found:
        ours, theirs = row.find(BURNISH, 1), row.find("onnxruntime", 1)
        if ours is not None and theirs is not None:
            times = (f"{timing.median * 1e3:.3g} ms" for timing in (ours, theirs))
            ratio = f"{ours.median / theirs.median:.2f}"
            lines.append(f"| {' | '.join((row.model, *times, ratio))} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--target", default="c")
    parser.add_argument("--layers", action="store_true", help="the time of each step")
    parser.add_argument("--engine", nargs="+", choices=installed_engines(),
                        default=installed_engines())  # fmt: skip
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page")
    parser.add_argument("--marks", default="latency", help="between which marks of the page")
    parser.add_argument("--front", type=Path, metavar="PAGE", help="put a short one into a page")
    arguments = parser.parse_args()
    found: list[Measurement] = []
    lines = [f"| {' | '.join(MARKDOWN_HEADER)} |", f"|{' --- |' * len(MARKDOWN_HEADER)}"]
    print("\n".join(lines), flush=True)
    peak = peak_meter()
    with tempfile.TemporaryDirectory() as name:
        for path in model_files(arguments.models, Path(name)):
            try:
                beside = file_beside(path)
                row = measure(
                    path,
                    arguments.target,
                    threads=arguments.threads,
                    engines=arguments.engine,
                    rounds=arguments.rounds,
                    layers=arguments.layers,
                    dims=dims_from_samples(path, {}, beside).dims if beside else None,
                    peak=peak,
                )
            except burnish.Error as error:
                print(f"{path}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            row = dataclasses.replace(row, model=label(path))
            found.append(row)
            lines += markdown_rows(row)
            print("\n".join(markdown_rows(row)), flush=True)
            if row.layers:
                Console().print(layer_table(row.layers, row.peak))
    means = summary(found)
    print("", *means, sep="\n")
    command = shlex.join(["python", "benchmarks/latency.py", *sys.argv[1:]])
    if arguments.write is not None:
        body = [machine(arguments.engine), "", f"    {command}", "", *lines, "", *means]
        replace_between_marks(arguments.write, arguments.marks, body)
    if arguments.front is not None:
        replace_between_marks(arguments.front, "figures", [*figures(found), "", f"    {command}"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
