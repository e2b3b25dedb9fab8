"""``burnish inspect``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import dims_options, is_ir, json_option, print_json, show

if TYPE_CHECKING:
    from ..frontend.onnx.bindings import Binding
    from ..inspection import Inspection


@click.command("inspect", short_help="Say what a model is, and whether it will compile.")
@click.argument("model")
@dims_options
@json_option
@click.pass_context
def inspect_command(
    context: click.Context,
    model: str,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
    as_json: bool,
) -> None:
    """Show ops, parameters, MACs, peak activation memory, inputs and outputs of MODEL.

    Also says, before any work is done, whether it will compile: which operators are not
    supported, what the C backend refuses, and which dimensions have no size and how to bind
    them.  The exit status is 1 when something is not supported.

    Example: burnish inspect model.onnx --dim batch=1
    """
    from ..driver import read_model
    from ..inspection import inspect_model, inspect_module

    if is_ir(model):
        found = inspect_module(read_model(model), Path(model))
    else:
        found = inspect_model(model, _bindings(model, dims, shapes, dims_from))
    if as_json:
        print_json(dataclasses.asdict(found) | {"compiles": found.compiles})
    else:
        _show(found)
    context.exit(1 if found.unsupported or found.refused else 0)


def _bindings(
    model: str, dims: tuple[str, ...], shapes: tuple[str, ...], dims_from: str | None
) -> Mapping[str, Binding]:
    """What the user binds, and only that: open dimensions are what inspect tells about."""
    from ..requests import parse_dims
    from .common import bindings

    if dims_from is not None:
        return bindings(model, dims, shapes, dims_from)
    return parse_dims(dims, shapes)


def _show(found: Inspection) -> None:
    from rich.table import Table
    from rich.text import Text

    from burnish.ir.errors import clip

    from ..report.text import count_text
    from ..requests import show_count, show_size

    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    rows = [("model", found.model)]
    if found.opsets:
        opsets = ", ".join(f"{clip(name)} {version}" for name, version in found.opsets.items())
        rows += [("opsets", f"{opsets} (IR version {found.ir_version})")]
    if found.producer:
        rows.append(("producer", found.producer))
    rows += [("input", f"{clip(port.name)}: {port.type}") for port in found.inputs]
    rows += [("output", f"{clip(port.name)}: {port.type}") for port in found.outputs]
    rows.append(
        ("parameters", f"{show_count(found.parameters)} ({show_size(found.parameter_bytes)})")
    )
    if found.macs is not None:
        rows.append(("MACs", count_text(found.macs)))
    if found.peak_bytes is not None:
        peak = found.peak_bytes
        rows.append(("peak memory", show_size(peak) if isinstance(peak, int) else clip(peak)))
    for label, value in rows:
        facts.add_row(label, Text(clip(value, 200)))
    ops = Table(title=f"{sum(found.operators.values())} ops", title_justify="left")
    ops.add_column("op")
    ops.add_column("count", justify="right")
    for name, times in found.operators.items():
        ops.add_row(Text(clip(name)), str(times))
    show(facts, ops)
    _show_verdict(found)


def _show_verdict(found: Inspection) -> None:
    from burnish.ir.errors import clip

    if found.unsupported:
        click.echo("It will not compile; these operators are not supported:")
        for finding in found.unsupported:
            nodes = ", ".join(f'"{clip(node, 40)}"' for node in finding.nodes[:5])
            more = f" and {finding.count - 5} more" if finding.count > 5 else ""
            click.echo(f"  {clip(finding.op)} ({finding.count}x): {finding.reason}: {nodes}{more}")
    if found.refused:
        click.echo(f"It will not compile: {found.refused}")
    if found.unbound:
        click.echo(f"It needs sizes: {found.unbound}\n  {found.bind}")
    if found.compiles:
        click.echo("It will compile.")
