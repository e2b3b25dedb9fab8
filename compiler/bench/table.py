"""Measurements as tables: for terminals, and as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from burnish.ir.errors import clip

from .data import BURNISH, Layer, Measurement, Timing

MARKDOWN_HEADER = (
    "model",
    "threads",
    "burnish ms",
    "onnxruntime ms",
    "ratio",
    "other engines",
    "speedup",
    "GFLOP/s",
    "of peak",
    "error",
)
"""Columns of :func:`markdown_rows`."""


def timing_table(measurement: Measurement) -> Table:
    """One row per engine and number of threads; ratios are burnish over the engine."""
    table = Table(
        title=Text(f"{clip(measurement.model)}, peak {measurement.peak / 1e9:.0f} GFLOP/s a core"),
        title_justify="left",
    )
    table.add_column("engine")
    for column in ("threads", "median ms", "least ms", "burnish / engine", "of peak", "error"):
        table.add_column(column, justify="right")
    for timing in measurement.timings:
        ours = timing.engine == BURNISH
        ratio = measurement.ratio(timing.engine, timing.threads)
        table.add_row(
            timing.engine,
            str(timing.threads),
            f"{timing.median * 1e3:.3f}",
            f"{timing.least * 1e3:.3f}",
            "" if ours or ratio is None else f"{ratio:.2f}",
            f"{measurement.share(timing):.0%}",
            "" if ours else f"{timing.error:.0e}",
        )
    return table


def layer_table(layers: Sequence[Layer], peak: float) -> Table:
    """The steps of the emitted code, dearest first."""
    total = sum(layer.seconds for layer in layers) or 1.0
    table = Table(title=Text("steps, least time of each"), title_justify="left")
    for column in ("step", "us", "share", "of peak"):
        table.add_column(column, justify="right")
    for column in ("kernel", "computes", "result"):
        table.add_column(column, overflow="fold")
    for layer in sorted(layers, key=lambda layer: -layer.seconds):
        rate = layer.flops / layer.seconds / peak if layer.seconds else 0.0
        table.add_row(
            str(layer.number),
            f"{layer.seconds * 1e6:.1f}",
            f"{layer.seconds / total:.0%}",
            f"{rate:.0%}" if layer.flops else "",
            Text(f"{layer.kernel} {layer.details}".strip()),
            Text(layer.ops),
            Text(layer.result),
        )
    return table


def markdown_rows(measurement: Measurement) -> list[str]:
    """Lines of a Markdown table, one per number of threads."""
    rows = []
    for threads in measurement.threads:
        ours = measurement.find(BURNISH, threads)
        assert ours is not None
        theirs = measurement.find("onnxruntime", threads)
        others = [
            f"{timing.engine} {measurement.ratio(timing.engine, threads):.2f}"
            for timing in measurement.timings
            if timing.threads == threads and timing not in (ours, theirs)
        ]
        speedup = measurement.speedup(threads) if threads > 1 else None
        cells = (
            measurement.model,
            str(threads),
            f"{ours.median * 1e3:.3f}",
            *_against(measurement, theirs),
            ", ".join(others),
            "" if speedup is None else f"{speedup:.2f}",
            f"{measurement.rate(ours) / 1e9:.1f}",
            f"{measurement.share(ours):.0%}",
            "" if theirs is None else f"{theirs.error:.0e}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _against(measurement: Measurement, theirs: Timing | None) -> tuple[str, str]:
    """The time of onnxruntime, and the ratio."""
    if theirs is None:
        return "", ""
    ratio = measurement.ratio(theirs.engine, theirs.threads)
    return f"{theirs.median * 1e3:.3f}", f"{ratio:.2f}"
