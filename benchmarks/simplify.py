"""How burnish simplifies ONNX models, beside other tools.

    python benchmarks/simplify.py MODELS... [--tools PYTHON] [--json FILE] [--runs 30]

MODELS are files or folders of ONNX models; sizes that a model leaves open are bound to those of
the ``inputs.npz`` beside it, for all tools alike.  The other tools (onnxsim, onnxslim, the
optimizer and rewriter of onnxscript, the basic level of onnxruntime's offline optimizer) are run
with the Python given by ``--tools``, as far as they are installed there.

The table has per model the number of nodes (Constant nodes aside, bodies of control flow
included), and for burnish the size and time over those of the original model in onnxruntime
(median of interleaved runs), and whether outputs agree: 1e-4 of the scale for floats, exactly for
integers.  The exit status is 1 when a model has more nodes than the best other tool gives, an
output differs, a model is slower by more than 3 %, or the total is not 10 % less.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

TOOLS = ("onnxsim", "onnxslim", "onnxscript", "onnxruntime")
TOLERANCE, SLOWER, FEWER = 1e-4, 1.03, 0.9
TIMEOUT = 120


# What runs with the Python of the other tools --------------------------------------------


def _onnxsim(source: str, result: str) -> None:
    import onnxsim

    simplified, _ = onnxsim.simplify(onnx.load(source))
    onnx.save(simplified, result)


def _onnxslim(source: str, result: str) -> None:
    import onnxslim

    onnx.save(onnxslim.slim(onnx.load(source)), result)


def _onnxscript(source: str, result: str) -> None:
    from onnxscript import optimizer, rewriter

    model = optimizer.optimize(onnx.load(source))
    onnx.save(optimizer.optimize(rewriter.rewrite(model)), result)


def _onnxruntime(source: str, result: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = result
    onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])


_WORKERS: dict[str, Callable[[str, str], None]] = {
    "onnxsim": _onnxsim,
    "onnxslim": _onnxslim,
    "onnxscript": _onnxscript,
    "onnxruntime": _onnxruntime,
}


# One model -------------------------------------------------------------------------------


@dataclass
class Outcome:
    """A model as one tool left it; ``problem`` says why it did not."""

    nodes: int = 0
    bytes: int = 0
    seconds: float = 0.0
    problem: str = ""


@dataclass
class Row:
    """Everything measured of one model; ``ratio`` is onnxruntime's time after over before."""

    model: str
    original: Outcome
    tools: dict[str, Outcome] = field(default_factory=dict)
    difference: float | None = None
    ratio: float | None = None

    @property
    def burnish(self) -> Outcome:
        return self.tools["burnish"]

    @property
    def best(self) -> int:
        """The fewest nodes of the other tools, and of the original."""
        others = [o.nodes for name, o in self.tools.items() if name != "burnish" and not o.problem]
        return min([self.original.nodes, *others])

    def failures(self) -> list[str]:
        """What is not as it must be."""
        if self.burnish.problem:
            return [self.burnish.problem]
        found = []
        if self.burnish.nodes > self.best:
            found.append(f"{self.burnish.nodes - self.best} more nodes than the best")
        if self.difference is None or not self.difference <= TOLERANCE:
            found.append(f"outputs differ ({self.difference})")
        if self.ratio is not None and self.ratio > SLOWER:
            found.append(f"{self.ratio:.2f} times as slow")
        return found


def count_nodes(graph: onnx.GraphProto) -> int:
    """Nodes of a graph and those nested in it, Constant nodes aside."""
    total = 0
    for node in graph.node:
        total += node.op_type != "Constant"
        for attribute in node.attribute:
            total += count_nodes(attribute.g) if attribute.HasField("g") else 0
    return total


def outcome_of(path: Path, seconds: float = 0.0) -> Outcome:
    model = onnx.load(path, load_external_data=False)
    return Outcome(count_nodes(model.graph), path.stat().st_size, seconds)


def measure(path: Path, arguments: argparse.Namespace) -> Row:
    """One model through all tools."""
    with tempfile.TemporaryDirectory() as folder:
        source, ours = Path(folder) / "bound.onnx", Path(folder) / "burnish.onnx"
        bind(path, source)
        row = Row(name_of(path), outcome_of(source))
        row.tools["burnish"] = _by_burnish(path, ours, arguments.opset)
        for tool in TOOLS if arguments.tools else ():
            result = Path(folder) / f"{tool}.onnx"
            row.tools[tool] = _by_worker(arguments.tools, tool, source, result)
        if not row.burnish.problem:
            _compare(row, path, source, ours, arguments.runs)
    return row


def name_of(path: Path) -> str:
    """Folder and file, the usual file name left out."""
    return path.parent.name if path.name == "model.onnx" else f"{path.parent.name}/{path.stem}"


def _bindings(path: Path) -> dict[str, Any]:
    from burnish.dimensions import dims_from_samples
    from burnish.samples import file_beside

    beside = file_beside(path)
    return {} if beside is None else dims_from_samples(path, {}, beside).dims


def bind(path: Path, bound: Path) -> None:
    """Write the model with the sizes of its samples where it leaves inputs open."""
    model = onnx.load(path)
    shapes = {k: v for k, v in _bindings(path).items() if isinstance(v, tuple)}
    symbols: dict[str, int] = {}
    for info in model.graph.input:
        for dim, size in zip(info.type.tensor_type.shape.dim, shapes.get(info.name, ())):
            if size is not None:
                symbols[dim.dim_param] = size
                dim.dim_value = size
    for info in (*model.graph.output, *model.graph.value_info):
        for dim in info.type.tensor_type.shape.dim:
            if symbols.get(dim.dim_param) and dim.dim_param:
                dim.dim_value = symbols[dim.dim_param]
    onnx.save(model, bound)


def _by_burnish(path: Path, result: Path, opset: int | None) -> Outcome:
    from burnish import Error, export_onnx, import_onnx
    from burnish.backends.onnx import model_files
    from burnish.passes import run_pipeline, standard_pipeline

    start = time.perf_counter()
    try:
        module = import_onnx(path, _bindings(path), allow_unbound=True)
        run_pipeline(module, standard_pipeline("onnx"))
        for name, content in model_files(
            export_onnx(module, opset=opset), name=result.name
        ).items():
            result.with_name(name).write_bytes(content)
    except Error as error:
        return Outcome(problem=error.message)
    return outcome_of(result, time.perf_counter() - start)


def _by_worker(python: str, tool: str, source: Path, result: Path) -> Outcome:
    start = time.perf_counter()
    command = [python, __file__, "--worker", tool, str(source), str(result)]
    environment = {**os.environ, "PYTHONPATH": ""}
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return Outcome(problem=f"more than {TIMEOUT} s")
    if answer.returncode or not result.exists():
        lines = answer.stderr.strip().splitlines()
        return Outcome(problem=lines[-1] if lines else f"status {answer.returncode}")
    return outcome_of(result, time.perf_counter() - start)


# Outputs and speed -----------------------------------------------------------------------


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def _compare(row: Row, path: Path, source: Path, ours: Path, runs: int) -> None:
    before, after = _session(source), _session(ours)
    inputs = _inputs(path, source)
    names = [info.name for info in before.get_outputs()]
    expected, found = before.run(names, inputs), after.run(names, inputs)
    row.difference = max(map(difference, expected, found), default=0.0)
    if runs:
        row.ratio = latency_ratio(
            lambda: before.run(names, inputs), lambda: after.run(names, inputs), runs
        )


def _inputs(path: Path, source: Path) -> dict[str, Any]:
    from burnish import import_onnx
    from burnish.samples import file_beside, read_samples, seeded_samples

    function = import_onnx(source).main
    beside = file_beside(path)
    if beside is not None:
        return read_samples(beside, function.arg_names)[0]
    return seeded_samples(function, 1)[0]


def difference(expected: Any, found: Any) -> float:
    """The largest difference, relative to the scale of floats; infinite where kinds differ."""
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.dtype != found.dtype or expected.shape != found.shape:
        return float("inf")
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, found) else float("inf")
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(found)):
        return float("inf")
    scale = float(np.abs(expected[finite]).max(initial=0.0)) or 1.0
    return float(np.abs(expected[finite] - found[finite]).max(initial=0.0)) / scale


def latency_ratio(before: Callable[[], object], after: Callable[[], object], runs: int) -> float:
    """The median time of one over that of the other, run in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(2):
        before(), after()
    for turn in range(runs):
        pair = ((0, before), (1, after)) if turn % 2 else ((1, after), (0, before))
        for index, run in pair:
            start = time.perf_counter()
            run()
            times[index].append(time.perf_counter() - start)
    return statistics.median(times[1]) / statistics.median(times[0])


# The table -------------------------------------------------------------------------------


def models_in(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.onnx")) if path.is_dir() else [path]


def table(rows: list[Row], tools: list[str]) -> Any:
    from rich.table import Table

    made = Table(title="nodes (Constant aside)")
    made.add_column("model")
    for name in ("original", *tools, "best other", "size", "s", "time", "difference", ""):
        made.add_column(name, justify="right")
    for row in rows:
        ours = row.burnish
        counts = ["-" if row.tools[t].problem else str(row.tools[t].nodes) for t in tools]
        made.add_row(
            row.model,
            str(row.original.nodes),
            *counts,
            str(row.best),
            f"{ours.bytes / row.original.bytes:.2f}",
            f"{ours.seconds:.2f}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.difference is None else f"{row.difference:.1e}",
            "; ".join(row.failures()),
        )
    good = [row for row in rows if not row.burnish.problem]
    sums = [sum(row.tools[t].nodes for row in good) for t in tools]
    total = [sum(row.original.nodes for row in good), *sums, sum(row.best for row in good)]
    made.add_section()
    made.add_row("total", *map(str, total))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", type=Path, help="models, or folders of models")
    parser.add_argument("--tools", metavar="PYTHON", help="a Python that has the other tools")
    parser.add_argument("--opset", type=int, help="opset of burnish's results")
    parser.add_argument("--runs", type=int, default=30, help="runs to take times of; 0 for none")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures there")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        tool, source, result = arguments.worker
        _WORKERS[tool](source, result)
        return 0
    from rich.console import Console
    from rich.progress import track

    console = Console(width=None if sys.stdout.isatty() else 160)
    paths = list(models_in(arguments.models))
    error_console = Console(stderr=True)
    rows = [measure(path, arguments) for path in track(paths, "models", console=error_console)]
    tools = ["burnish", *(TOOLS if arguments.tools else ())]
    console.print(table(rows, tools))
    if arguments.json:
        data = [{**dataclasses.asdict(row), "failures": row.failures()} for row in rows]
        arguments.json.write_text(json.dumps(data, indent=2) + "\n")
    good = [row for row in rows if not row.burnish.problem]
    ours, best = sum(row.burnish.nodes for row in good), sum(row.best for row in good)
    console.print(f"burnish {ours} nodes, the best of the others {best}: {ours / max(best, 1):.3f}")
    return int(any(row.failures() for row in rows) or ours > FEWER * best)


if __name__ == "__main__":
    sys.exit(main())
