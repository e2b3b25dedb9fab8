"""``burnish compile``."""

from __future__ import annotations

import click

from .common import (
    bindings,
    dims_options,
    json_option,
    layouts_option,
    options_option,
    passes_option,
    print_json,
    show,
    target_option,
)


@click.command("compile", short_help="Compile a model to sources, with a report.")
@click.argument("model")
@target_option
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder for the output.")
@dims_options
@layouts_option
@passes_option
@options_option
@click.option("--ram", metavar="SIZE", help="RAM there is for activations: 64K, 1M.")
@click.option("--flash", metavar="SIZE", help="Flash there is for code and weights: 512K, 1M.")
@click.option(
    "--verify",
    type=click.Choice(["off", "each", "semantic"]),
    default="off",
    show_default=True,
    help="Check the IR after every pass; 'semantic' also interprets it before and after.",
)
@click.option("--layers", is_flag=True, help="Print the whole report, layer by layer.")
@json_option
def compile_command(
    model: str,
    target: str,
    out: str,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
    layouts: tuple[str, ...],
    passes: str | None,
    options: tuple[str, ...],
    ram: str | None,
    flash: str | None,
    verify: str,
    layers: bool,
    as_json: bool,
) -> None:
    """Compile MODEL (ONNX, or IR text *.burnish) and write everything to a folder.

    The folder holds the sources, report.html and manifest.json.  If the model does not fit
    --ram or --flash, one sentence says by how much, and nothing is written.

    Example: burnish compile model.onnx --target c --dim batch=1 --ram 64K --out build
    """
    from ..driver import compile as compile_model
    from ..report.text import tables
    from ..requests import parse_layouts, parse_options

    compiled = compile_model(
        model,
        target,
        dims=bindings(model, dims, shapes, dims_from),
        passes=passes,
        options=parse_options(options),
        layouts=parse_layouts(layouts),
        ram=ram,
        flash=flash,
        verify=verify,
        progress=True,
    )
    folder = compiled.save(out)
    if as_json:
        print_json(compiled.report.to_dict() | {"folder": str(folder)})
        return
    parts = list(tables(compiled.report))
    show(*(parts if layers else parts[:1]))
    names = ", ".join(sorted(compiled.files))
    click.echo(f"\nwrote {folder}: {names}, report.html")
