"""``burnish bench``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from .common import (
    bindings,
    dims_options,
    json_option,
    note,
    options_option,
    passes_option,
    print_json,
    show,
    target_option,
)

if TYPE_CHECKING:
    from ..bench import Measurement


@click.command("bench", short_help="Measure a model beside onnxruntime.")
@click.argument("model")
@target_option
@click.option(
    "--threads",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1,),
    show_default=True,
    metavar="N",
    help="Measure with so many threads; may be given several times.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="How often each engine takes its turn.",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME",
    help="An engine to compare with: onnxruntime, openvino, tvm, burnish-tvm, emx-onnx-cgen. "
    "Default: all that are installed.",
)
@click.option("--layers", is_flag=True, help="Also show the time of each step of the emitted C.")
@dims_options
@passes_option
@options_option
@json_option
def bench_command(
    model: str,
    target: str,
    threads: tuple[int, ...],
    rounds: int,
    engines: tuple[str, ...],
    layers: bool,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
    passes: str | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure how fast MODEL runs on this machine, compiled by burnish and in other engines.

    All engines run in one process and take turns, so that each has its share of whatever else the
    machine does; what counts is the ratio of medians. The machine's peak of multiply-adds is
    measured between the turns.

    Example: burnish bench model.onnx --threads 1 --threads 2 --layers
    """
    from ..bench import installed_engines, measure
    from ..progress import terminal_progress
    from ..requests import parse_options

    bound = bindings(model, dims, shapes, dims_from)
    with terminal_progress() as progress:
        found = measure(
            model,
            target,
            threads=tuple(dict.fromkeys(threads)),
            engines=engines or installed_engines(),
            rounds=rounds,
            layers=layers,
            dims=bound,
            passes=passes,
            options=parse_options(options),
            progress=progress,
        )
    for engine, reason in found.missing:
        note(f"not compared with {engine}: {reason}")
    if as_json:
        print_json(_described(found))
        return
    from ..bench.table import layer_table, timing_table

    show(timing_table(found))
    if found.layers:
        show(layer_table(found.layers, found.peak))


def _described(found: Measurement) -> dict[str, Any]:
    """The measurement with what follows from it."""
    described = dataclasses.asdict(found)
    for entry, timing in zip(described["timings"], found.timings):
        entry["ratio"] = found.ratio(timing.engine, timing.threads)
        entry["share_of_peak"] = found.share(timing)
    return described
