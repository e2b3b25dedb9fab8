"""The report as tables for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from burnish.ir.errors import clip

from ..requests import shorten, show_count, show_size
from .data import Count, Memory, Report

MAX_ROWS = 200
"""A terminal shows this many layers; JSON and HTML have all."""


def render(report: Report, width: int) -> str:
    """The report as plain text."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False)
    for part in tables(report):
        console.print(part)
    return stream.getvalue()


def tables(report: Report, *, layers: bool = True) -> Iterator[RenderableType]:
    """The parts of the report as rich renderables."""
    yield _summary(report)
    if layers:
        yield _layers(report)
    if report.choices:
        yield _choices(report)
    if report.memory is not None:
        yield _memory(report)
    if report.passes:
        yield _passes(report)


def count_text(count: Count) -> str:
    """A count for people; an expression as it is."""
    return show_count(count) if isinstance(count, int) else clip(count, 40)


def _summary(report: Report) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = [("model", report.model), ("target", report.target)]
    rows += [("input", f"{clip(port.name)}: {port.type}") for port in report.inputs]
    rows += [("output", f"{clip(port.name)}: {port.type}") for port in report.outputs]
    rows += [
        ("ops", str(len(report.layers))),
        ("MACs", count_text(report.macs)),
        ("parameters", show_count(report.parameters)),
    ]
    if report.memory is not None:
        rows.append(("RAM", ram_text(report.memory)))
    rows.append(("flash", flash_text(report)))
    rows += [("note", note) for note in report.notes]
    for label, value in rows:
        table.add_row(label, Text(clip(value, 200)))
    return table


def ram_text(memory: Memory) -> str:
    """RAM in all, and what it is for."""
    parts = (f"{show_size(memory.arena)} arena", f"{show_size(memory.inputs)} inputs",
             f"{show_size(memory.outputs)} outputs")  # fmt: skip
    return f"{show_size(memory.ram)} ({', '.join(parts)})"


def flash_text(report: Report) -> str:
    """Flash as far as it is known, and what it is for."""
    weights = f"{show_size(report.sizes.weights)} weights"
    if report.sizes.code is None:
        return weights
    return f"{show_size(report.sizes.flash)} ({weights}, {show_size(report.sizes.code)} code)"


def _layers(report: Report) -> Table:
    table = Table(title="Layers", title_justify="left")
    # Where the table is too wide, names are wrapped, never numbers cut.
    table.add_column("#", justify="right", no_wrap=True)
    for name in ("op", "kernel", "result", "node"):
        table.add_column(name, overflow="fold")
    for name in ("MACs", "parameters", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    for index, layer in enumerate(report.layers[:MAX_ROWS]):
        table.add_row(
            str(index),
            Text(layer.op),
            Text(layer.kernel),
            Text(", ".join(layer.results)),
            Text(shorten(", ".join(layer.nodes), 32)),
            count_text(layer.macs) if layer.macs else "",
            show_count(layer.parameters) if layer.parameters else "",
            show_size(layer.moved) if isinstance(layer.moved, int) else layer.moved,
        )
    if len(report.layers) > MAX_ROWS:
        table.caption = f"{len(report.layers) - MAX_ROWS} more in report.html and report.json"
    return table


CHOICE_COLUMNS = ("node", "weights", "computed", "estimated cycles")


def choice_rows(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """Per op with sparse weights: what was chosen, and the estimate of each kernel."""
    for choice in report.choices:
        cycles = sorted(choice.cycles.items(), key=lambda item: item[1])
        estimates = ", ".join(f"{name} {show_count(round(count))}" for name, count in cycles)
        nodes = shorten(", ".join(choice.nodes), 32)
        yield nodes or choice.op, choice.weights, choice.chosen, estimates


def _choices(report: Report) -> Table:
    table = Table(title="Sparse weights", title_justify="left")
    for name in CHOICE_COLUMNS:
        table.add_column(name, overflow="fold")
    for row in choice_rows(report):
        table.add_row(*map(Text, row))
    return table


def _memory(report: Report) -> Table:
    memory = report.memory
    assert memory is not None
    table = Table(title="Memory", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    live = ", ".join(shorten(name, 40) for name in memory.live_at_peak[:8])
    more = len(memory.live_at_peak) - 8
    table.add_row("arena", show_size(memory.arena))
    table.add_row("lower bound", show_size(memory.lower_bound))
    table.add_row("peak", f"{show_size(memory.peak)} at step {memory.peak_step}")
    table.add_row("live at the peak", Text(live + (f" and {more} more" if more > 0 else "")))
    table.add_row("buffers", str(len(memory.buffers)))
    return table


def _passes(report: Report) -> Table:
    table = Table(title="Passes", title_justify="left")
    table.add_column("pass")
    for name in ("ms", "ops before", "ops after"):
        table.add_column(name, justify="right")
    table.add_column("rewrites", overflow="fold")
    for run in report.passes:
        rewrites = ", ".join(f"{name} {times}" for name, times in sorted(run.rewrites.items()))
        row = [f"{run.seconds * 1e3:.1f}", str(run.ops_before), str(run.ops_after)]
        table.add_row(Text(run.name), *row, Text(rewrites))
    return table
