"""The report as one HTML page: no scripts, nothing from outside, every name escaped.

The page is part of what ``save()`` writes, which is reproducible: it shows no times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from burnish.ir.errors import clip

from ..requests import show_count, show_size
from .data import Buffer, Memory, Report
from .text import CHOICE_COLUMNS, choice_rows, count_text, flash_text, ram_text

MAX_DRAWN = 2000
"""The plan's picture shows the largest buffers only beyond this many."""

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em;
       color: #222; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; } td, th { padding: .2em .8em .2em 0; text-align: left;
       vertical-align: top; border-bottom: 1px solid #e4e4e4; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; border: 1px solid #ccc; background: #fafafa; }
.bar { background: #4c78a8; height: .7em; display: inline-block; }
small { color: #666; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818; } td, th { border-color: #333; }
  svg { background: #222; border-color: #444; } text { fill: #ddd; } }
"""
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#bab0ac")


def page(report: Report) -> str:
    """The whole page."""
    title = f"{clip(report.model)} for {report.target}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        _table((), _summary_rows(report)),
        "<h2>Layers</h2>",
        _layers(report),
    ]
    if report.choices:
        rows = [[escape(cell) for cell in row] for row in choice_rows(report)]
        parts += ["<h2>Sparse weights</h2>", _table(CHOICE_COLUMNS, rows)]
    if report.memory is not None:
        parts += ["<h2>Memory</h2>", _memory(report.memory)]
    if report.passes:
        parts += ["<h2>Passes</h2>", _passes(report)]
    parts += ["<h2>Files</h2>", _files(report)]
    parts.append(f"<p><small>burnish {escape(report.version)}</small></p></body></html>\n")
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; columns in ``numbers`` are aligned to the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="number">{cell}</{tag}>'
            if column in numbers
            else f"<{tag}>{cell}</{tag}>"
            for column, cell in enumerate(row)
        )

    lines = ["<table>"]
    if head:
        lines.append(f"<tr>{cells('th', [escape(name) for name in head])}</tr>")
    lines += [f"<tr>{cells('td', row)}</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _summary_rows(report: Report) -> list[tuple[str, str]]:
    rows = [("input", f"{clip(port.name)}: {port.type}") for port in report.inputs]
    rows += [("output", f"{clip(port.name)}: {port.type}") for port in report.outputs]
    rows += [
        ("operations", f"{len(report.layers)}, {count_text(report.macs)} MACs"),
        ("parameters", show_count(report.parameters)),
        ("flash", flash_text(report)),
    ]
    if report.memory is not None:
        rows.append(("RAM", ram_text(report.memory)))
    rows.append(("pipeline", report.pipeline))
    rows += [("note", note) for note in report.notes]
    return [(escape(label), escape(value)) for label, value in rows]


def _layers(report: Report) -> str:
    most = max((x.macs for x in report.layers if isinstance(x.macs, int)), default=0)
    rows = []
    for index, layer in enumerate(report.layers):
        share = layer.macs / most if isinstance(layer.macs, int) and most else 0
        bar = f'<span class="bar" style="width:{share * 6:.2f}em"></span>' if share else ""
        moved = show_size(layer.moved) if isinstance(layer.moved, int) else layer.moved
        rows.append(
            (
                str(index),
                escape(layer.op),
                escape(layer.kernel),
                escape(", ".join(layer.results)),
                escape(clip(", ".join(layer.nodes), 200)),
                escape(count_text(layer.macs)) if layer.macs else "",
                bar,
                show_count(layer.parameters) if layer.parameters else "",
                escape(moved),
            )
        )
    head = ("#", "op", "kernel", "result", "node", "MACs", "", "parameters", "bytes moved")
    return _table(head, rows, numbers=(0, 5, 7, 8))


def _memory(memory: Memory) -> str:
    live = ", ".join(clip(name, 60) for name in memory.live_at_peak)
    rows = [
        ("arena", show_size(memory.arena)),
        ("lower bound", show_size(memory.lower_bound)),
        ("peak", f"{show_size(memory.peak)} at step {memory.peak_step}"),
        ("live at the peak", live),
    ]
    escaped = [(escape(label), escape(value)) for label, value in rows]
    return _table((), escaped) + "\n" + plan_picture(memory)


def plan_picture(memory: Memory) -> str:
    """The arena over time as SVG: steps to the right, offsets upwards, one box per buffer."""
    width, height = 1000.0, 360.0
    across = width / max(memory.steps, 1)
    up = height / max(memory.arena, 1)
    drawn = sorted(memory.buffers, key=lambda b: -b.bytes)[:MAX_DRAWN]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + 20:g}" '
        'role="img" aria-label="arena over time">'
    ]
    x = memory.peak_step * across
    lines.append(
        f'<rect x="{x:.2f}" y="0" width="{across:.2f}" height="{height:g}" '
        'fill="#e45756" opacity="0.15"/>'
    )
    drawn.sort(key=lambda b: (b.first, b.offset))
    lines += [_box(b, i, across, up, height) for i, b in enumerate(drawn)]
    caption = f"step 0 to {max(memory.steps - 1, 0)}; height = {show_size(memory.arena)}"
    lines.append(f'<text x="4" y="{height + 15:g}" font-size="12">{escape(caption)}</text></svg>')
    if len(memory.buffers) > MAX_DRAWN:
        lines.append(f"<p><small>The largest {MAX_DRAWN} buffers are drawn.</small></p>")
    return "\n".join(lines)


def _box(buffer: Buffer, index: int, across: float, up: float, height: float) -> str:
    top = height - (buffer.offset + buffer.bytes) * up
    title = (
        f"{clip(buffer.name, 80)}: {show_size(buffer.bytes)} at {buffer.offset}, "
        f"steps {buffer.first} to {buffer.last}"
    )
    return (
        f'<rect x="{buffer.first * across:.2f}" y="{top:.2f}" '
        f'width="{(buffer.last - buffer.first + 1) * across:.2f}" '
        f'height="{buffer.bytes * up:.2f}" fill="{_COLOURS[index % len(_COLOURS)]}" '
        f'stroke="#fff" stroke-width="0.5"><title>{escape(title)}</title></rect>'
    )


def _passes(report: Report) -> str:
    rows = [
        (
            escape(run.name),
            str(run.ops_before),
            str(run.ops_after),
            escape(", ".join(f"{name} {times}" for name, times in sorted(run.rewrites.items()))),
        )
        for run in report.passes
    ]
    return _table(("pass", "ops before", "ops after", "rewrites"), rows, numbers=(1, 2))


def _files(report: Report) -> str:
    rows = [(escape(name), show_size(size)) for name, size in sorted(report.sizes.files.items())]
    return _table(("file", "size"), rows, numbers=(1,))
