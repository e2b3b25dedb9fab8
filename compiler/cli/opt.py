"""``burnish opt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import dims_options, note, seed_option
from .files import is_onnx, read_module, write_onnx, write_text

if TYPE_CHECKING:
    from burnish.ir import Module
    from burnish.passes import Pass
    from burnish.passes.instruments import Instrument
    from burnish.passes.trust import Reproducer


@click.command("opt", short_help="Run passes on a model; write IR or ONNX; find wrong passes.")
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
@click.option(
    "--fast-math", is_flag=True, help="Let passes use what holds in real arithmetic only."
)
@click.option("--opset", type=int, metavar="N", help="Version of the operators of an ONNX result.")
@click.option(
    "--embed/--no-embed",
    default=None,
    help="Include the data of large constants; default: in files, but not when printing.",
)
@click.option(
    "--load",
    multiple=True,
    metavar="FILE.py",
    help="Run a Python file first that defines passes of your own.",
)
@click.option(
    "--print-ir-after",
    "print_after",
    metavar="PASSES",
    help="Print the IR to standard error after these passes (comma-separated, or 'all').",
)
@click.option(
    "--print-ir-after-change",
    "print_changes",
    is_flag=True,
    help="Print the IR after every pass that changed it.",
)
@click.option(
    "--print-ir-dir",
    "print_dir",
    metavar="DIR",
    help="Write printed IR to files there, such as 07-fuse.ir.",
)
@click.option("--time-passes", is_flag=True, help="Print a table of passes to standard error.")
@click.option("--stats", is_flag=True, help="Print how often each rewrite was applied or refused.")
@click.option(
    "--verify",
    type=click.Choice(["off", "each", "semantic"]),
    default="each",
    show_default=True,
    help="Check the IR after every pass; 'semantic' also interprets it before and after.",
)
@seed_option("Seed of inputs to interpret on.")
@click.option(
    "--rewrite-limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Apply no more than N rewrites in all passes together.",
)
@click.option(
    "--reproducers",
    metavar="DIR",
    envvar="BURNISH_REPRODUCERS",
    help="Folder for reproducers of failures; default: the system's temporary folder.",
)
@click.option("--replay", is_flag=True, help="MODEL is a reproducer: does it still fail?")
@click.option("--reduce", is_flag=True, help="Make a small reproducer of what fails (needs -o).")
@click.option(
    "--target",
    metavar="NAME",
    default="",
    help="With --reduce: what fails is code compiled for this target, run and compared.",
)
@dims_options
@click.pass_context
def opt_command(
    context: click.Context,
    model: str,
    passes: str | None,
    out: str | None,
    fast_math: bool,
    opset: int | None,
    embed: bool | None,
    load: tuple[str, ...],
    print_after: str | None,
    print_changes: bool,
    print_dir: str | None,
    time_passes: bool,
    stats: bool,
    verify: str,
    seed: int,
    rewrite_limit: int | None,
    reproducers: str | None,
    replay: bool,
    reduce: bool,
    target: str,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
) -> None:
    """Run a pipeline of passes on MODEL (ONNX, or IR text *.burnish) and print the IR.

    When a pass crashes, makes something invalid, or (--verify semantic) changes what the model
    computes, a reproducer is written, which --replay repeats and --reduce makes small.

    With --out FILE.onnx the result is an optimized ONNX model, and the standard pipeline is the
    one for ONNX.

    Example: burnish opt model.onnx -p canonicalize,dce --time-passes -o model.burnish

    Example: burnish opt model.onnx -o optimized.onnx
    """
    from burnish.passes import parse_pipeline, run_pipeline, standard_pipeline, with_fast_math

    from ..debugging import keeper
    from ..plugins import load_file

    for file in load:
        load_file(file)
    if replay:
        context.exit(_replay(model))
    if reduce and out is None:
        raise click.UsageError("--reduce needs -o, the file for the small reproducer")
    to_onnx = out is not None and is_onnx(out) and not reduce
    if opset is not None and not to_onnx:
        raise click.UsageError("--opset is for ONNX results: give --out FILE.onnx")
    backend = "onnx" if to_onnx else "c"
    text = standard_pipeline(backend) if passes is None else passes.strip()
    pipeline = parse_pipeline(text) if text else []
    if fast_math:
        pipeline = with_fast_math(pipeline)
    if reduce and out is not None:
        _reduce(_failing(model, pipeline, target, seed, load, (dims, shapes, dims_from)), out)
        return
    module = read_module(model, dims, shapes, dims_from)
    watch = _printing(print_after, print_changes, print_dir)
    report = run_pipeline(
        module,
        pipeline,
        verify=verify,
        instruments=[keeper(reproducers, seed=seed, load=load), *watch],
        seed=seed,
        rewrite_limit=rewrite_limit,
    )
    for said in report.notes:
        note(said)
    if time_passes:
        click.echo(str(report), err=True)
    if stats:
        click.echo(report.statistics(), err=True)
    if out is not None and to_onnx:
        write_onnx(module, out, opset)
    else:
        write_text(module, out, embed=out is not None if embed is None else embed)


def _printing(names: str | None, changes: bool, folder: str | None) -> list[Instrument]:
    """What prints the IR, as the options ask for it."""
    from burnish.ir import to_text
    from burnish.passes import PrintAfter, make_pass

    from ..outputs import OutputError

    if names is None and not changes:
        if folder is not None:
            raise click.UsageError("--print-ir-dir goes with --print-ir-after(-change)")
        return []
    chosen = [] if names in (None, "all") else [n.strip() for n in (names or "").split(",")]
    for name in chosen:
        make_pass(name)
    if folder is None:
        return [PrintAfter(chosen, changed_only=changes)]
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder cannot be written: {error.strerror}", at=folder) from None

    def write(title: str, text: str) -> None:
        from ..outputs import write_file

        write_file(place / f"{title}.ir", text.encode())

    def whole(module: Module) -> str:
        return to_text(module, embed=True)

    return [PrintAfter(chosen, changed_only=changes, write=write, to_text=whole)]


def _replay(path: str) -> int:
    """Repeat a reproducer and say what happens; the exit status."""
    from ..debugging import read_reproducer, replay

    reproducer = read_reproducer(path)
    failure = replay(reproducer)
    if failure is None:
        click.echo(f"it does not fail any more ({reproducer.failure.kind} of "
                   f"{reproducer.failure.pass_})")  # fmt: skip
        return 0
    same = failure.signature == reproducer.failure.signature
    how = "it still fails" if same else f"it fails otherwise than {reproducer.failure.kind}"
    click.echo(f"{how}: {failure.kind} of {failure.pass_}\n{failure}")
    return 1


def _failing(
    model: str,
    pipeline: Sequence[Pass],
    target: str,
    seed: int,
    load: tuple[str, ...],
    dims: tuple[tuple[str, ...], tuple[str, ...], str | None],
) -> Reproducer:
    """The failure to reduce: what a reproducer says, or the first that is found."""
    from ..debugging import find, holds_reproducer, read_reproducer

    if holds_reproducer(model):
        return read_reproducer(model)
    found = find(read_module(model, *dims), pipeline, target=target, seed=seed, load=load)
    if found is None:
        raise click.UsageError("there is nothing to reduce: every pass does well")
    return found


def _reduce(reproducer: Reproducer, out: str) -> None:
    """Write a small reproducer of the same failure."""
    from burnish.passes import count_ops

    from ..debugging import reduced
    from ..outputs import write_file
    from ..progress import terminal_progress

    with terminal_progress() as progress:
        small = reduced(reproducer, progress)
    write_file(out, str(small).encode())
    before, after = count_ops(reproducer.module), count_ops(small.module)
    click.echo(f"{small.failure.kind} of {small.failure.pass_}: {before} ops became {after}")
    click.echo(str(small.failure))
