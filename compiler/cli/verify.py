"""``burnish verify``."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import click

from .common import (
    bindings,
    dims_options,
    is_ir,
    json_option,
    layouts_option,
    note,
    options_option,
    passes_option,
    print_json,
    seed_option,
    show,
    target_option,
)

if TYPE_CHECKING:
    from ..verification import Verification


def _number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """The value, unless it is NaN, which lies in every range."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number")
    return value


@click.command("verify", short_help="Compare a compiled model with onnxruntime.")
@click.argument("model")
@target_option
@click.option(
    "--inputs",
    metavar="FILE.npz",
    help="Samples: an array per input, leading axis = samples. "
    "Default: the inputs.npz beside the model, else random numbers.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), metavar="N", help="Run the first N samples only."
)
@seed_option("Seed of random inputs.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    callback=_number,
    help="Accepted difference of floating-point outputs, relative to the output's scale.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Accepted difference of quantized outputs, in quantization steps.",
)
@dims_options
@layouts_option
@passes_option
@options_option
@json_option
@click.pass_context
def verify_command(
    context: click.Context,
    model: str,
    target: str,
    inputs: str | None,
    samples: int | None,
    seed: int,
    tolerance: float,
    steps: int,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
    layouts: tuple[str, ...],
    passes: str | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compile MODEL, run it, and compare every output with independent executions.

    The references are onnxruntime with its graph optimizations off (when it is installed) and
    the interpreter of the IR.  Dimensions that are open take their sizes from the samples.
    Random inputs are standard normal; 32- and 64-bit integers are 0 or 1, narrower ones span
    their type.  The exit status is 1 when an output differs.

    Example: burnish verify model.onnx --dim batch=1 --samples 4
    """
    from ..progress import terminal_progress
    from ..requests import parse_layouts, parse_options
    from ..verification import verify_model

    if inputs is not None and dims_from is None:
        dims_from = inputs
    bound = bindings(model, dims, shapes, dims_from)
    with terminal_progress() as progress:
        result = verify_model(
            model,
            target,
            dims=bound,
            inputs=inputs,
            samples=samples,
            seed=seed,
            tolerance=tolerance,
            steps=steps,
            passes=passes,
            options=parse_options(options),
            layouts=parse_layouts(layouts),
            progress=progress,
        )
    if as_json:
        print_json(dataclasses.asdict(result) | {"ok": result.ok})
    else:
        _show(result)
    for name, reason in result.skipped.items():
        if name != "onnxruntime" or not is_ir(model):
            note(f"not compared with {name}: {reason}")
    context.exit(0 if result.ok else 1)


def _show(result: Verification) -> None:
    from rich.table import Table
    from rich.text import Text

    from burnish.ir.errors import clip

    count = "1 sample" if result.samples == 1 else f"{result.samples} samples"
    table = Table(title=Text(f"{count} ({clip(result.origin)})"), title_justify="left")
    table.add_column("output", overflow="fold")
    table.add_column("reference")
    for column in ("max abs", "relative", "differing"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for c in result.comparisons:
        verdict = Text("ok", "green") if c.ok else Text(c.problem or "DIFFERS", "bold red")
        share = f"{c.differing}/{c.elements}"
        numbers = (f"{c.max_abs:.3g}", f"{c.max_rel:.3g}", share)
        table.add_row(Text(clip(c.output)), c.reference, *numbers, verdict)
    show(table)
    if not result.comparisons:
        click.echo("nothing was compared")
