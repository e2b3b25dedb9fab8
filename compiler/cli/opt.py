"""``burnish opt``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .common import bindings, dims_options, is_ir

if TYPE_CHECKING:
    from burnish.ir import Module
    from burnish.passes.instruments import Instrument


@click.command("opt", short_help="Run passes on a model; print the IR or write ONNX.")
@click.argument("model")
@click.option(
    "-p",
    "--passes",
    metavar="TEXT",
    help="The pipeline, such as 'canonicalize,fuse'; '' for none; default: the standard one.",
)
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="Write the result there instead of printing it: ONNX when it ends in .onnx, else IR.",
)
@click.option("--opset", type=int, metavar="N", help="Version of the operators of an ONNX result.")
@click.option(
    "--embed/--no-embed",
    default=None,
    help="Include the data of large constants; default: in files, but not when printing.",
)
@click.option(
    "--print-ir-after",
    "print_after",
    metavar="PASSES",
    help="Print the IR to standard error after these passes (comma-separated, or 'all').",
)
@click.option("--time-passes", is_flag=True, help="Print a table of passes to standard error.")
@click.option("--verify/--no-verify", default=True, help="Check the IR after every pass (default).")
@dims_options
def opt_command(
    model: str,
    passes: str | None,
    out: str | None,
    opset: int | None,
    embed: bool | None,
    print_after: str | None,
    time_passes: bool,
    verify: bool,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
) -> None:
    """Run a pipeline of passes on MODEL (ONNX, or IR text *.burnish) and print the IR.

    With --out FILE.onnx the result is an optimized ONNX model, and the standard pipeline is the
    one for ONNX.

    Example: burnish opt model.onnx -p canonicalize,dce --time-passes -o model.burnish

    Example: burnish opt model.onnx -o optimized.onnx
    """
    from burnish.ir import to_text
    from burnish.passes import run_pipeline, standard_pipeline

    from ..driver import read_model

    to_onnx = out is not None and out.endswith(".onnx")
    if opset is not None and not to_onnx:
        raise click.UsageError("--opset is for ONNX results: give --out FILE.onnx")
    if is_ir(model):
        if dims or shapes or dims_from:
            raise click.UsageError("dimensions are bound when an ONNX model is imported")
        module = read_model(model)
    else:
        module = _import(model, dims, shapes, dims_from)
    report = run_pipeline(
        module,
        standard_pipeline("onnx" if to_onnx else "c") if passes is None else passes.strip() or [],
        verify="each" if verify else "off",
        instruments=_instruments(print_after),
    )
    if time_passes:
        click.echo(str(report), err=True)
    if out is not None and to_onnx:
        _write_onnx(module, out, opset)
        return
    text = to_text(module, embed=out is not None if embed is None else embed)
    if out is None:
        click.echo(text)
    else:
        from ..outputs import write_file

        write_file(out, (text if text.endswith("\n") else f"{text}\n").encode())


def _write_onnx(module: Module, out: str, opset: int | None) -> None:
    """The model as ``out``; weights beyond what one file holds lie beside it."""
    from pathlib import Path

    from burnish.backends.onnx import export_onnx, model_files

    from ..outputs import write_file

    files = model_files(export_onnx(module, opset=opset), name=Path(out).name)
    for name in sorted(files, reverse=True):  # the model itself last
        write_file(Path(out).with_name(name), files[name])


def _import(
    model: str, dims: tuple[str, ...], shapes: tuple[str, ...], dims_from: str | None
) -> Module:
    from ..frontend.onnx.importer import import_onnx

    return import_onnx(model, bindings(model, dims, shapes, dims_from), allow_unbound=True)


def _instruments(print_after: str | None) -> list[Instrument]:
    from burnish.passes import make_pass
    from burnish.passes.instruments import PrintAfter

    if print_after is None:
        return []
    names = [] if print_after == "all" else [name.strip() for name in print_after.split(",")]
    for name in names:
        make_pass(name)
    return [PrintAfter(names, stream=sys.stderr)]
