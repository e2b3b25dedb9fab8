"""Do two modules compute the same?  A comparison that gives a counter-example if not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from burnish.ir import Array, DType, Error, Module, Op, Trait, Value, interpret
from burnish.ir.cost import block_cost
from burnish.ir.dtypes import Kind
from burnish.ir.errors import clip

from ..promises import EXACT, FAST_MATH, LOSSY, ROUNDING
from .draws import FINITE, KINDS, Draw, draws, float_info
from .latitude import leaves_zeros_open, spread
from .widened import is_closer, widened_results

Runner = Callable[[Draw], dict[str, Array]]
"""Whatever executes a module: a compiled one, say."""

MARGIN = 8.0
"""Results may lie outside of what a few runs gave by this many times their spread."""

JUDGED_BY: Mapping[str, tuple[str, ...]] = {
    EXACT: tuple(KINDS),
    ROUNDING: tuple(kind for kind in KINDS if kind != "extreme"),
    FAST_MATH: FINITE,
    LOSSY: (),
}
"""Kinds of draws that show whether a promise is kept.

What is rounded differently may also overflow elsewhere.
"""

PATIENCE = 1 << 12
"""Iterations of loops before a module counts as refusing its inputs: a trip count that is an input
is drawn like any number.  What it is compared with may take :data:`LONGER` times as many."""

LONGER = 4

LARGE = 1 << 27
"""Of a module with more operations than this, two draws are interpreted, not all kinds."""


@dataclass(frozen=True)
class Difference:
    """Where two executions differ.

    Attributes:
        output: name of the result.
        index: position of the first element that differs; None when it is not about elements.
        expected, actual: what is there, as text.
        differing, elements: how many elements differ, of how many.
    """

    output: str
    index: tuple[int, ...] | None
    expected: str
    actual: str
    differing: int = 1
    elements: int = 1

    def __str__(self) -> str:
        if self.index is None:
            return f'"{clip(self.output)}" is {self.actual}, was {self.expected}'
        at = f" at [{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f'"{clip(self.output)}" is {self.actual}{at}, was {self.expected} '
            f"({self.differing} of {self.elements} elements differ)"
        )


@dataclass(frozen=True)
class CounterExample:
    """Inputs for which two modules differ, and how."""

    draw: Draw
    difference: Difference

    def __str__(self) -> str:
        return f"output {self.difference}, for {self.draw.what}"


class Execution:
    """What a module computes on a number of draws; each is interpreted once, when asked for.

    Attributes:
        problem: why a draw could not be interpreted; empty if all were.
    """

    def __init__(self, module: Module, chosen: Sequence[Draw]) -> None:
        self.module = module
        self.draws = tuple(chosen)
        self.problem = ""
        self._results: dict[int, dict[str, Array] | None] = {}
        self._spreads: dict[tuple[int, str], list[dict[str, Array]]] = {}
        self._widened: dict[int, dict[str, Array] | None] = {}

    def on(self, module: Module) -> Execution:
        """The execution of another module on the same draws."""
        return Execution(module, self.draws)

    def results(self, index: int) -> dict[str, Array] | None:
        """Results of draw ``index``; None where the module refuses the inputs."""
        if index not in self._results:
            draw = self.draws[index]
            try:
                self._results[index] = _run(self.module, draw, PATIENCE)
            except Error as error:
                self.problem = error.message
                self._results[index] = None
        return self._results[index]

    def spread(self, index: int, promise: str) -> list[dict[str, Array]]:
        """Other results that draw ``index`` may have; see :mod:`.latitude`."""
        key = (index, promise)
        if key not in self._spreads:
            draw = self.draws[index]
            self._spreads[key] = spread(
                self.module, draw.function, draw.inputs, promise, LONGER * PATIENCE
            )
        return self._spreads[key]

    def widened(self, index: int) -> dict[str, Array] | None:
        """Results of draw ``index`` in f64; see :mod:`.widened`."""
        if index not in self._widened:
            draw = self.draws[index]
            self._widened[index] = widened_results(self.module, draw.function, draw.inputs)
        return self._widened[index]

    @cached_property
    def open_zeros(self) -> bool:
        """Whether signs of zeros are not defined."""
        return leaves_zeros_open(self.module)

    @cached_property
    def random_outputs(self) -> frozenset[tuple[str, str]]:
        """Function and name of the outputs that depend on random numbers."""
        return frozenset(
            (function.name, name)
            for function in self.module.functions.values()
            for name, value in zip(function.result_names, function.results)
            if _is_random(value)
        )


def draws_for(module: Module, seed: int = 0) -> list[Draw]:
    """Draws of all kinds, fewer when a module takes long to interpret."""
    work = 0
    for function in module.functions.values():
        cost = block_cost(function.body)
        work += sum(amount for amount in (cost.macs, cost.flops) if isinstance(amount, int))
    return list(draws(module, seed, 2 if work > LARGE else len(KINDS)))


def compare(
    before: Execution, after: Module | Runner, promise: str = EXACT
) -> CounterExample | None:
    """The first draw on which ``after`` does not compute what ``before`` does, if there is one.

    Where ``before`` refuses the inputs, ``after`` may do anything.
    """
    longer = LONGER * PATIENCE
    run = partial(_run, after, max_regions=longer) if isinstance(after, Module) else after
    for index, draw in enumerate(before.draws):
        if draw.kind not in JUDGED_BY[promise]:
            continue
        expected = before.results(index)
        if expected is None:
            continue
        try:
            actual = run(draw)
        except Exception as error:  # whatever it is, the module before did not raise it
            what = f"{type(error).__name__}: {clip(str(error))}"
            return CounterExample(draw, Difference("all", None, "computed", f"an error, {what}"))
        found = _compare_draw(before, index, expected, actual, promise)
        if found is not None:
            return CounterExample(draw, found)
    return None


def compare_modules(
    before: Module, after: Module, *, promise: str = EXACT, seed: int = 0
) -> CounterExample | None:
    """A counter-example to two modules of one signature computing the same; None if none is found.

    ``promise`` says what is asked for: :data:`~burnish.passes.promises.EXACT` and its like.
    """
    return compare(Execution(before, draws_for(before, seed)), after, promise)


def _run(module: Module, draw: Draw, max_regions: int) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return interpret(module, draw.inputs, function=draw.function, max_regions=max_regions)


def _compare_draw(
    before: Execution,
    index: int,
    expected: dict[str, Array],
    actual: dict[str, Array],
    promise: str,
) -> Difference | None:
    function = before.draws[index].function
    if expected.keys() != actual.keys():
        return Difference("all", None, ", ".join(expected), ", ".join(actual))
    for name, array in expected.items():
        found = actual[name]
        if found.shape != array.shape or found.dtype != array.dtype:
            return Difference(
                name, None, f"{array.dtype}{list(array.shape)}", f"{found.dtype}{list(found.shape)}"
            )
        if (function, name) in before.random_outputs:
            continue
        signs = promise == EXACT and not before.open_zeros
        wrong = differing(array, found, signs=signs)
        if wrong.any() and (promise != EXACT or before.spread(index, promise)):
            others = [run[name] for run in before.spread(index, promise)]
            wrong &= ~within(array, found, others, promise)
        if wrong.any() and promise != EXACT and DType.from_numpy(array.dtype).is_float:
            wide = before.widened(index)
            if wide is not None:
                wrong &= ~is_closer(wide[name], array, found)
        if wrong.any():
            return first_difference(name, array, found, wrong)
    return None


def first_difference(name: str, expected: Array, actual: Array, wrong: Array) -> Difference:
    """The first element where ``wrong``, a mask, holds."""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return Difference(
        name, place, str(expected[place]), str(actual[place]), int(wrong.sum()), wrong.size
    )


def differing(expected: Array, actual: Array, *, signs: bool = True) -> Array:
    """Mask of the elements that are not equal; NaN equals NaN; with ``signs`` -0 is not 0."""
    a, b = expected, actual
    if a.dtype.kind not in "biu":
        wide = np.complex128 if a.dtype.kind == "c" else np.float64
        a, b = a.astype(wide), b.astype(wide)
        both_nan = np.isnan(a) & np.isnan(b)
    else:
        both_nan = np.zeros(a.shape, bool)
    wrong = np.asarray((a != b) & ~both_nan)
    if signs and a.dtype.kind == "f":
        wrong |= (np.signbit(a) != np.signbit(b)) & ~both_nan
    return wrong


def within(expected: Array, actual: Array, others: Sequence[Array], promise: str) -> Array:
    """Mask of the elements that may be as they are, given what other executions found there."""
    a, b, *runs = (_real(array) for array in (expected, actual, *others))
    stack = np.stack([a, *runs])
    with np.errstate(all="ignore"):
        finite = np.isfinite(stack).all(axis=0)
        low, high = stack.min(axis=0), stack.max(axis=0)
        width = np.where(finite, high - low, 0.0)
        typical = float(np.median(width[finite])) if finite.any() else 0.0
        allowance = MARGIN * np.maximum(width, typical)
        if promise != EXACT and DType.from_numpy(expected.dtype).kind in (Kind.FLOAT, Kind.COMPLEX):
            info = _float_info(expected.dtype)
            allowance += 4 * float(info.eps) * np.abs(a) + 4 * float(info.tiny)
        near = finite & (low - allowance <= b) & (b <= high + allowance)
        # Where some executions overflow or have NaN, what any of them has will do.
        seen = (stack == b).any(axis=0) | (np.isnan(stack).any(axis=0) & np.isnan(b))
        seen |= np.isfinite(stack).any(axis=0) & np.isfinite(b)
        fine = near | (~finite & seen)
        if promise == FAST_MATH:
            fine |= ~np.isfinite(a)
    return np.asarray(fine.all(axis=-1) if expected.dtype.kind == "c" else fine)


def _real(array: Array) -> Array:
    """As 64-bit floats; a complex array gets one more axis, of real and imaginary parts."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1).astype(np.float64)
    return array.astype(np.float64)


def _float_info(dtype: np.dtype[Any]) -> Any:
    real = {np.dtype(np.complex64): np.float32, np.dtype(np.complex128): np.float64}
    return float_info(np.dtype(real.get(dtype, dtype)))


def _is_random(value: Value) -> bool:
    """Whether ``value`` depends on the result of an impure op."""
    seen: set[Op] = set()
    pending = [value]
    while pending:
        op = pending.pop().op
        if op is None or op in seen:
            continue
        seen.add(op)
        if any(Trait.IMPURE in inner.opdef.traits for inner in op.walk()):
            return True
        pending.extend(op.inputs)
    return False
