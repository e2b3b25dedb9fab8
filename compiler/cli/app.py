"""The ``burnish`` command: its subcommands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from .bench import bench_command
from .compile import compile_command
from .inspect import inspect_command
from .listing import ops_command, targets_command
from .opt import opt_command
from .passes import passes_command
from .prune import prune_command
from .run import run_command
from .verify import verify_command

OK, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 130
DEBUG = "BURNISH_DEBUG"
"""Environment variable that shows tracebacks of internal errors."""


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import burnish

        click.echo(f"burnish {burnish.__version__}")
        context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`burnish COMMAND --help` explains a command, with an example.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def burnish() -> None:
    """Compile trained neural networks: ONNX in, dependency-free C out."""


for _command in (
    compile_command,
    run_command,
    verify_command,
    bench_command,
    inspect_command,
    opt_command,
    prune_command,
    targets_command,
    passes_command,
    ops_command,
):
    burnish.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit status.  Never raises for a user's error."""
    try:
        # Without its standalone mode, click returns the status that a command exits with.
        status = burnish.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="burnish",
            standalone_mode=False,
        )
        return status if isinstance(status, int) else OK
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return USAGE
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left, as in "burnish … | head".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """Print an error as people need it."""
    from burnish.ir.errors import Error, UsageError, clip

    if isinstance(error, Error):
        click.echo(str(error), err=True)
        return USAGE if isinstance(error, UsageError) else FAILED
    kept = getattr(error, "reproducer", "")
    if kept:
        click.echo(f"note: {kept}", err=True)
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if isinstance(error, MemoryError):
        click.echo("error: there is not enough memory", err=True)
        return FAILED
    if isinstance(error, OSError):
        # What a file or stream refuses, such as a full disk behind standard output.
        place = f": {clip(str(error.filename))}" if error.filename else ""
        click.echo(f"error: {error.strerror or error}{place}", err=True)
        return FAILED
    what = clip(f"{type(error).__name__}: {error}", 300)
    click.echo(
        f"internal error: {what}\n"
        "  This is a bug in burnish, not in your model.  Please report it with the model\n"
        f"  and the output of the same command under {DEBUG}=1.",
        err=True,
    )
    return FAILED
