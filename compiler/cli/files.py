"""Models as commands read them and write them: ONNX, or IR text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import bindings, is_ir

if TYPE_CHECKING:
    from burnish.ir import Module


def read_module(
    model: str, dims: tuple[str, ...], shapes: tuple[str, ...], dims_from: str | None
) -> Module:
    """The module in a file, dimensions bound as far as options say."""
    from ..driver import read_model
    from ..frontend.onnx.importer import import_onnx

    if is_ir(model):
        if dims or shapes or dims_from:
            raise click.UsageError("dimensions are bound when an ONNX model is imported")
        return read_model(model)
    return import_onnx(model, bindings(model, dims, shapes, dims_from), allow_unbound=True)


def is_onnx(path: str) -> bool:
    """Whether a result of that name is ONNX rather than IR text."""
    return path.endswith(".onnx")


def write_text(module: Module, out: str | None, *, embed: bool) -> None:
    """The module as IR text: to a file, or printed."""
    from burnish.ir import to_text

    text = to_text(module, embed=embed)
    if out is None:
        click.echo(text)
    else:
        from ..outputs import write_file

        write_file(out, (text if text.endswith("\n") else f"{text}\n").encode())


def write_onnx(module: Module, out: str, opset: int | None = None) -> None:
    """The model as ``out``; weights beyond what one file holds lie beside it."""
    from burnish.backends.onnx import export_onnx, model_files

    from ..outputs import write_file

    files = model_files(export_onnx(module, opset=opset), name=Path(out).name)
    for name in sorted(files, reverse=True):  # the model itself last
        write_file(Path(out).with_name(name), files[name])
