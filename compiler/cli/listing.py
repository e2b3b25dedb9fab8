"""``burnish targets`` and ``burnish ops``: what there is, from the registries."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import json_option, print_json, show

if TYPE_CHECKING:
    from burnish.ir import OpDef


@click.command("targets", short_help="List what can be compiled for.")
@click.option(
    "--calibrate",
    is_flag=True,
    help="Measure how fast this machine is (some seconds); code compiled for it afterwards is "
    "chosen by that.",
)
@json_option
def targets_command(calibrate: bool, as_json: bool) -> None:
    """List the targets, and the options each family takes.

    Example: burnish targets
    """
    if calibrate:
        _calibrate(as_json)
        return
    from rich.table import Table
    from rich.text import Text

    from burnish.backends import COMMON_OPTIONS, options_of, targets

    everything = targets()
    backends = list(dict.fromkeys(target.backend for target in everything.values()))
    if as_json:
        print_json([_target_data(target) for target in everything.values()])
        return
    table = Table(title="Targets", title_justify="left")
    for column in ("name", "what it is", "compilers", "flags"):
        table.add_column(column, overflow="fold")
    for name, target in everything.items():
        flags, compilers = " ".join(target.flags), ", ".join(target.compilers)
        table.add_row(Text(name), Text(target.doc), Text(compilers), Text(flags))
    show(table)
    for title, declared in (
        ("Options of all targets", COMMON_OPTIONS),
        *((f"Options of {backend}", options_of(backend)) for backend in backends),
    ):
        options = Table(title=f"{title} (--option KEY=VALUE)", title_justify="left")
        for column in ("key", "values", "default", "what it says"):
            options.add_column(column, overflow="fold")
        for option in declared:
            row = (option.name, ", ".join(map(str, option.choices)), option.default, option.doc)
            options.add_row(*(Text(str(cell)) for cell in row))
        show(options)


def _calibrate(as_json: bool) -> None:
    """Measure this machine, keep its rates and show them."""
    from burnish.backends.c.machine import DEFAULT, keep, text_of

    from ..progress import terminal_progress
    from ..requests import show_size
    from ..tuning.calibrate import calibrate

    with terminal_progress() as notify:
        machine = calibrate(notify)
    place = keep(machine)
    if as_json:
        click.echo(text_of(machine), nl=False)
        return
    from rich.table import Table

    table = Table(title="This machine, per cycle of its peak", title_justify="left")
    table.add_column("what")
    for column in ("measured", "by default"):
        table.add_column(column, justify="right")
    for level, default in zip(machine.levels, DEFAULT.levels):
        size = "beyond" if level.size == math.inf else f"up to {show_size(int(level.size))}"
        rates = (level.bytes_per_cycle, default.bytes_per_cycle)
        table.add_row(f"bytes moved, {size}", *(f"{rate:.2f}" for rate in rates))
    table.add_row("share of that between layouts", f"{machine.conversion:.2f}",
                  f"{DEFAULT.conversion:.2f}")  # fmt: skip
    for kind, rate in machine.rates.items():
        table.add_row(f"operations, {kind}", f"{rate:.2f}", f"{DEFAULT.rates[kind]:.2f}")
    table.add_row("cycles of a call", f"{machine.call_cycles:.0f}", f"{DEFAULT.call_cycles:.0f}")
    show(table)
    click.echo(f"kept in {place}")


def _target_data(target: Any) -> dict[str, Any]:
    from burnish.backends import COMMON_OPTIONS, options_of

    options = {o.name: {"doc": o.doc, "choices": list(o.choices), "default": o.default}
               for o in (*options_of(target.backend), *COMMON_OPTIONS)}  # fmt: skip
    return {
        "name": target.name,
        "doc": target.doc,
        "backend": target.backend,
        "compilers": list(target.compilers),
        "flags": list(target.flags),
        "host": target.host,
        "options": options,
    }


def _first_line(doc: str) -> str:
    return doc.splitlines()[0] if doc else ""


@click.command("ops", short_help="List the ops of the IR, or explain one.")
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="Print the reference of all ops (docs/ops.md).")
@click.option(
    "--coverage",
    is_flag=True,
    help="Run ONNX's own test suite (some minutes), and say how every ONNX operator fares.",
)
@click.option("-o", "--out", metavar="FILE", help="Write the page of --coverage there.")
@json_option
def ops_command(
    name: str | None, markdown: bool, coverage: bool, out: str | None, as_json: bool
) -> None:
    """List the ops of the graph IR, or explain the op NAME.

    Example: burnish ops nn.conv
    """
    if name is not None and (markdown or coverage):
        raise click.UsageError("--markdown and --coverage are about all ops: leave out the name")
    if out is not None and not coverage:
        raise click.UsageError("--out goes with --coverage")
    if markdown:
        from burnish.reference import ops_reference

        click.echo(ops_reference(), nl=False)
        return
    from rich.table import Table
    from rich.text import Text

    from burnish.ir import lookup, registry

    if coverage:
        _coverage(out)
        return
    chosen = [lookup(name)] if name is not None else [d for _, d in sorted(registry().items())]
    if as_json:
        print_json([op_data(definition) for definition in chosen])
    elif name is not None:
        click.echo(op_page(chosen[0]))
    else:
        table = Table(title="Ops", title_justify="left")
        table.add_column("name", no_wrap=True)
        table.add_column("what it computes", overflow="fold")
        for definition in chosen:
            table.add_row(Text(definition.name), Text(_first_line(definition.doc)))
        show(table)


def _coverage(out: str | None) -> None:
    """Print the page of operators, or write it."""
    from burnish.ir.errors import UsageError, clip

    from ..coverage import coverage_page, measure

    page = coverage_page(measure())
    if out is None:
        click.echo(page, nl=False)
        return
    try:
        Path(out).write_text(page, "utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be written: {error.strerror}", at=clip(out)) from None


def op_data(definition: OpDef) -> dict[str, Any]:
    """An op's definition as JSON-able data."""
    from burnish.ir.opdef import REQUIRED

    return {
        "name": definition.name,
        "doc": definition.doc,
        "operands": [
            {
                "name": name,
                "doc": spec.doc,
                "dtypes": sorted(map(str, spec.dtypes)),
                "rank": spec.rank,
                "optional": spec.optional,
                "variadic": spec.variadic,
            }
            for name, spec in definition.operands.items()
        ],
        "attributes": [
            {
                "name": name,
                "doc": spec.doc,
                "kind": str(spec.kind),
                "default": None if spec.default is REQUIRED else str(spec.default),
            }
            for name, spec in definition.attributes.items()
        ],
        "traits": sorted(trait.name.lower() for trait in definition.traits),
        "regions": list(definition.regions),
    }


def op_page(definition: OpDef) -> str:
    """An op's definition for people."""
    import inspect

    from burnish.ir.opdef import REQUIRED

    lines = [definition.name, "", inspect.cleandoc(definition.doc)]
    if definition.operands:
        lines += ["", "Operands:"]
    for name, spec in definition.operands.items():
        marks = [m for m, on in (("optional", spec.optional), ("variadic", spec.variadic)) if on]
        extra = f" ({', '.join(marks)})" if marks else ""
        lines.append(f"  {name}{extra}{': ' if spec.doc else ''}{spec.doc}")
    if definition.attributes:
        lines += ["", "Attributes:"]
    for name, attribute in definition.attributes.items():
        default = "" if attribute.default is REQUIRED else f" = {attribute.default}"
        lines.append(f"  {name}{default}: {attribute.kind}; {attribute.doc}")
    if definition.traits:
        lines += ["", f"Traits: {', '.join(sorted(t.name.lower() for t in definition.traits))}"]
    return "\n".join(lines)
