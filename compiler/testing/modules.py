"""Assertions about what modules compute; failures show a small counter-example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burnish.ir import Module
    from burnish.passes import Pass
    from burnish.passes.trust import Draw

MAX_SHOWN = 32


def assert_equivalent(
    actual: Module, expected: Module, *, promise: str = "rounding", seed: int = 0
) -> None:
    """Fail unless two modules of one signature compute the same on seeded inputs.

    The inputs are ordinary and special ones (zeros, infinities, NaN, integer extremes), and
    symbolic dimensions take several sizes.  The message has inputs that show the difference, as
    simple as could be found.

    Args:
        promise: ``"exact"``: the same bits; ``"rounding"``: up to rounding; ``"fast-math"``: also
            only where everything is finite.
    """
    __tracebackhide__ = True
    from burnish.passes.trust import Execution, compare, compare_modules, simpler_draw

    for name, function in expected.functions.items():
        other = actual.functions.get(name)
        if other is None or [a.type for a in function.args] != [a.type for a in other.args]:
            raise AssertionError(f"the modules do not both have @{name} with the same inputs")
    found = compare_modules(expected, actual, promise=promise, seed=seed)
    if found is None:
        return

    def differs(draw: Draw) -> bool:
        return compare(Execution(expected, [draw]), actual, promise) is not None

    draw = simpler_draw(found.draw, differs)
    simple = compare(Execution(expected, [draw]), actual, promise) or found
    raise AssertionError(
        f"the modules compute different things: output {simple.difference}\n{_shown(draw)}"
    )


def assert_pipeline_preserves(
    module: Module, pipeline: str | Sequence[Pass], *, seed: int = 0
) -> None:
    """Fail if a pass of the pipeline crashes, breaks the module, or changes what it computes.

    ``module`` is left as it is.  The message names the first wrong rewrite and has a small
    module that shows it, in the form that ``burnish opt --replay`` takes.
    """
    __tracebackhide__ = True
    from burnish.passes import parse_pipeline
    from burnish.passes.trust import Reproducer, draws_for, find_failure, shrink

    passes = parse_pipeline(pipeline) if isinstance(pipeline, str) else list(pipeline)
    found = find_failure(module, passes, draws_for(module, seed))
    if found is None:
        return
    before, failure = found
    chosen = [pass_ for pass_ in passes if str(pass_) == failure.pass_]
    try:
        small = str(shrink(Reproducer(before, failure.pass_, failure, seed), passes=chosen[:1]))
    except ValueError:  # it does not show in a second run
        small = str(before)
    raise AssertionError(f"pass {failure.pass_}: {failure}\na small example:\n{small}")


def assert_compiled(
    model: Any,
    target: str = "c",
    *,
    dims: Mapping[str, Any] | None = None,
    tolerance: float = 1e-4,
    steps: int = 1,
    seed: int = 0,
) -> None:
    """Fail unless a model, compiled and run, agrees with the interpreter and with onnxruntime.

    ``model`` is whatever :func:`burnish.compile` takes; samples beside a model's file are used,
    else random ones.  See :func:`burnish.verification.verify_model` for ``tolerance`` (relative
    to an output's scale) and ``steps`` (of quantized outputs).
    """
    __tracebackhide__ = True
    from burnish.verification import verify_model

    result = verify_model(model, target, dims=dims, tolerance=tolerance, steps=steps, seed=seed)
    wrong = [c for c in result.comparisons if not c.ok]
    if wrong or not result.ok:
        said = [
            f'"{c.output}" differs from {c.reference}: '
            + (c.problem or f"{c.differing} of {c.elements} elements, by at most {c.max_abs:.6g}")
            for c in wrong
        ]
        said += [f"{name}: {reason}" for name, reason in result.skipped.items()]
        raise AssertionError("\n".join([f"compiled for {target}, on {result.origin}:", *said]))


def _shown(draw: Draw) -> str:
    """The inputs, in short."""
    import numpy as np

    lines = []
    for name, array in draw.inputs.items():
        text = np.array2string(array, threshold=MAX_SHOWN, separator=", ")
        lines.append(f"for {name} = {array.dtype}{list(array.shape)} {text}")
    return "\n".join(lines)
