"""How long optimizing and emitting takes, and with ``--cc`` the C compiler, too.

    python benchmarks/compile_time.py [--runs 3] [--cc]

Networks are built here with seeded random weights (the same ops and shapes as the published
architectures, at their full size), so that nothing has to be downloaded.  For the chain of
elementwise nodes the last column is the time over that of half as many nodes.  The exit status
is 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import onnx
from networks import chain, mobilenet_v2, resnet50
from rich.console import Console
from rich.table import Table

import burnish
from burnish.backends.c import runner

MAX_RATIO = 2.2
"""Twice the nodes may cost this much more."""


@dataclass(frozen=True)
class Job:
    """A model, and the seconds that optimizing and emitting it may take."""

    name: str
    build: Callable[[], onnx.ModelProto]
    limit: float
    half: str = ""
    limit_with_cc: float = 0.0


JOBS = (
    Job("MobileNetV2", mobilenet_v2, 3.0, limit_with_cc=20.0),
    Job("ResNet-50", resnet50, 5.0, limit_with_cc=30.0),
    Job("chain of 5,000", lambda: chain(5_000), 7.5),
    Job("chain of 10,000", lambda: chain(10_000), 15.0, "chain of 5,000"),
    Job("chain of 20,000", lambda: chain(20_000), 33.0, "chain of 10,000"),
)


@dataclass(frozen=True)
class Timing:
    """Seconds of one compilation."""

    read: float
    optimize: float
    emit: float

    @property
    def all(self) -> float:
        return self.read + self.optimize + self.emit


def measure(model: bytes, runs: int) -> Timing:
    """The fastest of ``runs`` compilations."""
    timings = []
    for _ in range(runs):
        marks: list[tuple[str, float]] = []

        def mark(stage: str, fraction: float, marks: list[tuple[str, float]] = marks) -> None:
            marks.append((stage, time.perf_counter()))

        burnish.compile(model, "c", progress=mark)
        end = time.perf_counter()
        first = next(at for stage, at in marks if stage.startswith("optimize"))
        emit = next(at for stage, at in marks if stage == "emit")
        timings.append(Timing(first - marks[0][1], emit - first, end - emit))
    return min(timings, key=lambda timing: timing.all)


def build_time(model: bytes) -> float:
    """Seconds that the C compiler takes, with nothing in its cache."""
    artifact = burnish.compile(model, "c").artifact
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BURNISH_CACHE"] = folder
        start = time.perf_counter()
        runner(artifact)
        return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=int, default=3, help="compilations, of which the best counts"
    )
    parser.add_argument("--cc", action="store_true", help="also build the networks with limits")
    arguments = parser.parse_args()
    runs = arguments.runs
    table = Table(title="Seconds to compile for c; all is without the C compiler")
    columns = ("model", "nodes", "import", "optimize", "emit", "all", "limit", "ratio")
    for column in (*columns, *(("cc", "all + cc", "limit") if arguments.cc else ())):
        table.add_column(column, justify="left" if column == "model" else "right")
    totals: dict[str, float] = {}
    slow = []
    measure(chain(10).SerializeToString(), 1)
    for job in JOBS:
        model = job.build()
        timing = measure(model.SerializeToString(), runs)
        totals[job.name] = timing.all
        ratio = timing.all / totals[job.half] if job.half else 0.0
        if timing.all > job.limit or ratio > MAX_RATIO:
            slow.append(job.name)
        parts = (timing.read, timing.optimize, timing.emit, timing.all, job.limit)
        shown = [f"{seconds:.2f}" for seconds in parts]
        nodes = str(len(model.graph.node))
        cells = [job.name, nodes, *shown, f"{ratio:.2f}" if ratio else ""]
        if arguments.cc and job.limit_with_cc:
            cc = build_time(model.SerializeToString())
            cells += [f"{t:.2f}" for t in (cc, timing.all + cc, job.limit_with_cc)]
            if timing.all + cc > job.limit_with_cc:
                slow.append(f"{job.name} with cc")
        table.add_row(*cells)
    Console().print(table)
    if slow:
        print(f"too slow: {', '.join(slow)}")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
