"""What several commands share: options, notes, JSON and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..frontend.onnx.bindings import Binding

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

target_option = click.option(
    "--target",
    default="c",
    show_default=True,
    metavar="NAME",
    help="What to compile for; `burnish targets` lists all.",
)

passes_option = click.option(
    "-p",
    "--passes",
    metavar="TEXT",
    help="The pipeline, such as 'canonicalize,fuse'; default: the target's own.",
)

options_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the target; `burnish targets` lists them.",
)


layouts_option = click.option(
    "--layout",
    "layouts",
    multiple=True,
    metavar="NAME=AXES",
    help="Take an input, or give an output, with its axes in this order: --layout image=NHWC.",
)


def seed_option(help: str) -> Callable[[Command], Command]:
    """The option --seed."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help=help
    )


def dims_options(command: Command) -> Command:
    """The options that bind dynamic dimensions: --dim, --shape, --dims-from."""
    for option in (
        click.option(
            "--dims-from",
            metavar="FILE.npz",
            help="Take sizes still open from sample inputs (leading axis: samples). "
            "Default: the inputs.npz beside the model, if any.",
        ),
        click.option(
            "--shape",
            "shapes",
            multiple=True,
            metavar="INPUT=SIZES",
            help="Bind the shape of an input: --shape image=1,3,224,224, or 1,3,32*h,32*w.",
        ),
        click.option(
            "--dim",
            "dims",
            multiple=True,
            metavar="NAME=SIZE",
            help="Bind a dynamic dimension: --dim batch=1, or to a range: --dim seq=1..512.",
        ),
    ):
        command = option(command)
    return command


def note(message: str) -> None:
    """Say on standard error what the user should know but did not ask for."""
    click.echo(f"note: {message}", err=True)


def is_ir(path: str) -> bool:
    """Whether the file is IR text rather than an ONNX model."""
    return path.endswith(".burnish")


def bindings(
    model: str, dims: Iterable[str], shapes: Iterable[str], dims_from: str | None
) -> dict[str, Binding]:
    """``dims`` as :func:`burnish.compile` takes them, completed from samples where they are open.

    What was taken from samples is announced.
    """
    from ..requests import parse_dims

    bound: dict[str, Binding] = dict(parse_dims(dims, shapes))
    if is_ir(model) and dims_from is None:
        return bound
    from burnish.ir.errors import InputError, clip

    from ..dimensions import dims_from_samples
    from ..samples import file_beside

    path = Path(dims_from) if dims_from is not None else file_beside(model)
    if path is None:
        return bound
    if not path.is_file():
        raise InputError("there is no file of that name", at=clip(str(path)))
    completed = dims_from_samples(model, bound, path)
    if completed.taken:
        note(str(completed))
    return completed.dims


def print_json(data: object) -> None:
    """One JSON document on standard output; numbers that JSON lacks become text."""
    click.echo(json.dumps(_plain(data), indent=2, ensure_ascii=True))


def _plain(data: object) -> object:
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return str(data)
    return data


def console() -> Console:
    """Standard output as rich sees it; a pipe gets wide, plain text."""
    from rich.console import Console

    made = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not made.is_terminal:
        made.width = 120
    return made


def show(*parts: RenderableType) -> None:
    """Print rich renderables on standard output."""
    out = console()
    for part in parts:
        out.print(part)
