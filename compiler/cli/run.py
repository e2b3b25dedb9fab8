"""``burnish run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    bindings,
    console,
    dims_options,
    json_option,
    note,
    print_json,
    seed_option,
    target_option,
)

if TYPE_CHECKING:
    from burnish.ir import Array

    from ..compiled import CompiledModel


@click.command("run", short_help="Run a model, or a folder that compile wrote.")
@click.argument("model")
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE",
    help="An input from an .npy file, or FILE.npz with an array per input.",
)
@click.option("--random", is_flag=True, help="Seeded random inputs instead.")
@seed_option("Seed of --random.")
@click.option("-o", "--out", metavar="FILE.npz", help="Write the outputs there.")
@target_option
@dims_options
@json_option
def run_command(
    model: str,
    inputs: tuple[str, ...],
    random: bool,
    seed: int,
    out: str | None,
    target: str,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
    as_json: bool,
) -> None:
    """Run MODEL once on this machine and show its outputs.

    MODEL is an ONNX model, IR text (*.burnish), or a folder that `burnish compile` wrote.
    Arrays are NumPy files; "/" in a name is written __slash__ inside an .npz.

    Example: burnish run model.onnx --input x=image.npy --out outputs.npz
    """
    from ..samples import seeded_samples, write_arrays

    if random == bool(inputs):
        raise click.UsageError("give --input for every input of the model, or --random")
    compiled = _compiled(model, target, dims, shapes, dims_from)
    if random:
        arrays = seeded_samples(compiled.module.main, 1, seed)[0]
        note(f"inputs are random numbers, seed {seed}")
    else:
        arrays = _read_inputs(inputs)
    outputs = compiled.run(arrays)
    if out is not None:
        write_arrays(out, outputs)
    if as_json:
        print_json({name: _described(array, full=True) for name, array in outputs.items()})
    else:
        _show(outputs)
        if out is not None:
            click.echo(f"wrote {out}")


def _compiled(
    model: str,
    target: str,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
) -> CompiledModel:
    from ..compiled import load
    from ..driver import compile as compile_model

    if not Path(model).is_dir():
        bound = bindings(model, dims, shapes, dims_from)
        return compile_model(model, target, dims=bound, progress=True)
    if dims or shapes or dims_from:
        raise click.UsageError("the dimensions of a compiled folder are bound already")
    return load(model)


def _read_inputs(texts: tuple[str, ...]) -> dict[str, Array]:
    """Arrays by input name from ``name=file`` and ``file.npz``."""
    from burnish.ir.errors import UsageError, clip

    from ..samples import read_arrays

    arrays: dict[str, Any] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        whole = not equals or Path(text).is_file()
        found = read_arrays(text if whole else path)
        if not whole:
            if len(found) != 1:
                raise UsageError(
                    f'"{clip(path)}" holds {len(found)} arrays, one is needed',
                    help="give an .npy file, or the .npz without a name before it",
                )
            found = {name: next(iter(found.values()))}
        elif "" in found:
            raise UsageError(
                f'"{clip(text)}" does not say which input it is for',
                help=f"write --input NAME={clip(text)}",
            )
        arrays.update(found)
    return arrays


def _show(outputs: dict[str, Array]) -> None:
    from rich.table import Table
    from rich.text import Text

    from burnish.ir.errors import clip

    table = Table()
    for column in ("output", "type", "values"):
        table.add_column(column, overflow="fold")
    for name, array in outputs.items():
        data = _described(array, full=False)
        table.add_row(Text(clip(name)), Text(f"{array.dtype}{list(array.shape)}"), data["text"])
    console().print(table)


def _described(array: Array, *, full: bool) -> dict[str, Any]:
    import numpy as np

    if full:
        wide = array if array.dtype.kind in "biuf" else array.astype(np.float64)
        return {"dtype": str(array.dtype), "shape": list(array.shape), "data": wide.tolist()}
    flat = array.reshape(-1)
    return {"text": np.array2string(flat, threshold=8, precision=6, separator=", ")}
