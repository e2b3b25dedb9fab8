"""How long models take in C beside other engines.

    python benchmarks/latency.py MODEL.onnx FOLDER ... [--rounds 30] [--threads 1 2] [--layers]
    python benchmarks/latency.py FOLDER ... --write docs/benchmarks.md

FOLDER is searched for models.  The names of ``networks.py`` (``mobilenet-v2``, ``resnet-18``,
``resnet-50``) build full-size networks with random weights.  All installed engines get the same
inputs and run in turns, in one process, as ``burnish bench`` has them do for one model.  The table
has medians, ratios (burnish over the engine: less than 1 is faster), the speed-up of several
threads, the share of the machine's peak of fused multiply-adds, which is measured between the
rounds, and the largest difference of the outputs.  ``--write`` puts it into a page, between the
lines ``<!-- latency: begin -->`` and ``<!-- latency: end -->``, with the command that made it.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from networks import NETWORKS
from rich.console import Console

import burnish
from burnish.bench import Measurement, installed_engines, measure
from burnish.bench.emitted import peak_meter
from burnish.bench.table import MARKDOWN_HEADER, layer_table, markdown_rows
from burnish.dimensions import dims_from_samples
from burnish.samples import file_beside

BEGIN, END = "<!-- latency: begin -->\n", "<!-- latency: end -->\n"


def models(arguments: Sequence[str], folder: Path) -> Iterator[Path]:
    """The files of what the command line asks for."""
    for argument in arguments:
        path = Path(argument)
        if argument in NETWORKS:
            path = folder / f"{argument}.onnx"
            path.write_bytes(NETWORKS[argument]().SerializeToString())
            yield path
        elif path.is_dir():
            yield from sorted(path.rglob("*.onnx"))
        else:
            yield path


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


def machine() -> str:
    """What was measured on, and which engines."""
    name = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        lines = (line for line in cpu.read_text("utf-8").splitlines() if "model name" in line)
        name = next(lines, name).partition(":")[2].strip() or name
    versions = []
    for engine in installed_engines():
        try:
            versions.append(f"{engine} {version('apache-tvm' if engine == 'tvm' else engine)}")
        except PackageNotFoundError:
            versions.append(engine)
    return f"{name}; {', '.join(versions) or 'no other engine'}"


def write(page: Path, lines: Sequence[str]) -> None:
    """Replace what stands between the marks of a page."""
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no lines {BEGIN.strip()} and {END.strip()}")
    body = "".join(f"{line}\n" for line in lines)
    page.write_text(f"{before}{begin}{body}{end}{after}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--target", default="c")
    parser.add_argument("--layers", action="store_true", help="the time of each step")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page")
    arguments = parser.parse_args()
    found: list[Measurement] = []
    lines = [f"| {' | '.join(MARKDOWN_HEADER)} |", f"|{' --- |' * len(MARKDOWN_HEADER)}"]
    print("\n".join(lines), flush=True)
    peak = peak_meter()
    with tempfile.TemporaryDirectory() as name:
        for path in models(arguments.models, Path(name)):
            try:
                beside = file_beside(path)
                row = measure(
                    path,
                    arguments.target,
                    threads=arguments.threads,
                    engines=installed_engines(),
                    rounds=arguments.rounds,
                    layers=arguments.layers,
                    dims=dims_from_samples(path, {}, beside).dims if beside else None,
                    peak=peak,
                )
            except burnish.Error as error:
                print(f"{path}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            found.append(row)
            lines += markdown_rows(row)
            print("\n".join(markdown_rows(row)), flush=True)
            if row.layers:
                Console().print(layer_table(row.layers, row.peak))
    means = summary(found)
    print("", *means, sep="\n")
    if arguments.write is not None:
        command = shlex.join(["python", "benchmarks/latency.py", *sys.argv[1:]])
        write(arguments.write, [machine(), "", f"    {command}", "", *lines, "", *means])
    return 0


if __name__ == "__main__":
    sys.exit(main())
