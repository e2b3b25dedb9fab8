"""``burnish prune``."""

from __future__ import annotations

import click

from .common import dims_options, json_option, print_json
from .files import is_onnx, read_module, write_onnx, write_text


@click.command("prune", short_help="Set small weights to zero, to try sparse kernels.")
@click.argument("model")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    required=True,
    help="Where the result goes: ONNX when it ends in .onnx, else IR.",
)
@click.option(
    "--method",
    type=click.Choice(["unstructured", "block", "channel"]),
    default="unstructured",
    show_default=True,
    help="What becomes zero: single weights, blocks of them, or all weights of an input.",
)
@click.option(
    "--sparsity",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.75,
    show_default=True,
    metavar="S",
    help="Fraction that becomes zero, in each matrix of weights.",
)
@click.option(
    "--block",
    default="8x1",
    show_default=True,
    metavar="RxC",
    help="With --method block: R outputs by C inputs.",
)
@json_option
@dims_options
def prune_command(
    model: str,
    out: str,
    method: str,
    sparsity: float,
    block: str,
    as_json: bool,
    dims: tuple[str, ...],
    shapes: tuple[str, ...],
    dims_from: str | None,
) -> None:
    """Prune MODEL (ONNX, or IR text *.burnish) by magnitude, and write it.

    Looks at convolutions by 1 and matrix products with constant f32 weights.  Nothing is retrained,
    so the model is less accurate than before: this shows what sparse kernels would gain.

    Example: burnish prune model.onnx -o sparse.onnx --method block --sparsity 0.75 --block 8x1
    """
    from burnish.ir.errors import ModelError
    from burnish.passes import make_pass, run_pipeline
    from burnish.passes.sparsity import count_zeros

    prune = make_pass("prune-weights", {"method": method, "sparsity": sparsity, "block": block})
    module = read_module(model, dims, shapes, dims_from)
    before = count_zeros(module)
    if not before.weights:
        raise ModelError(
            "there is nothing to prune",
            at=model,
            help="only f32 weights of convolutions by 1 and of matrix products are pruned",
        )
    run_pipeline(module, [prune], verify="each")
    after = count_zeros(module)
    if is_onnx(out):
        write_onnx(module, out)
    else:
        write_text(module, out, embed=True)
    if as_json:
        print_json(
            {
                "ops": after.ops,
                "weights": after.weights,
                "before": before.zeros,
                "zeros": after.zeros,
            }
        )
        return
    share = after.zeros / after.weights
    click.echo(
        f"{share:.1%} of {after.weights} weights of {after.ops} ops are zero "
        f"({before.zeros / before.weights:.1%} before)"
    )
