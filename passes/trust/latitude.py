"""What the meaning of a module leaves open, found by running it in other ways.

Sums may be made in any order, a minimum of 0 and -0 may be either, and a rewrite may promise its
results up to rounding only.  How far results then spread depends on the whole module: a rounding
error is harmless before a product, and decides everything before a comparison.  So the module is
run several times with every such freedom used at random (discrete stochastic arithmetic: Vignes,
*A stochastic arithmetic for reliable scientific computation*, 1993), and what comes out is the
latitude that another execution of the module has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from burnish.ir import Array, DType, Error, Module, Op, Trait, interpret
from burnish.ir.cost import op_cost
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.interpreter import Evaluation

from ..promises import EXACT
from .draws import float_info

RUNS = 6
STEPS = 4.0
"""Perturbations have up to this many units in the last place: errors of sums are larger than one
unit, and results near a jump must be seen on both sides of it."""

SMALL = 64
"""Multiples of a half up to this are taken for exact."""


def accumulates(op: Op) -> bool:
    """Whether ``op`` adds or multiplies elements in an order that is not defined."""
    if Trait.ELEMENTWISE in op.opdef.traits or op.regions:
        return False
    cost = op_cost(op)
    return cost.macs != 0 or cost.flops != 0


def chooses_zero(op: Op) -> bool:
    """Whether ``op`` may give 0 or -0 where operands hold both."""
    definition = op.opdef
    if isinstance(definition, ElementwiseOp):
        return "min(" in definition.formula or "max(" in definition.formula
    return accumulates(op)


def leaves_zeros_open(module: Module) -> bool:
    """Whether the signs of zeros in the results of ``module`` are not defined."""
    return any(map(chooses_zero, module.walk()))


def spread(
    module: Module, function: str, inputs: Mapping[str, Array], promise: str, max_regions: int
) -> list[dict[str, Array]]:
    """Results of ``module`` when its freedoms are used; none when it has none."""
    if promise == EXACT and not any(accumulates(op) or chooses_zero(op) for op in module.walk()):
        return []
    found = []
    for run in range(RUNS):
        perturbation = _Perturbation(np.random.default_rng(run), _zero_sign(run), promise)
        try:
            with np.errstate(all="ignore"):
                found.append(
                    interpret(
                        module,
                        inputs,
                        function=function,
                        around=perturbation.evaluate,
                        max_regions=max_regions,
                    )
                )
        except Error:  # an index may be out of range after a perturbation
            continue
    return found


def _zero_sign(run: int) -> float | None:
    """All zeros that are open are 0 in the first run, -0 in the second, then any."""
    return {0: 1.0, 1: -1.0}.get(run)


def _few_bits(array: Array) -> Array:
    """Mask of the elements that are small multiples of a half; of other types, all are."""
    if not DType.from_numpy(array.dtype).is_float:
        return np.ones(array.shape, bool)
    wide = array.astype(np.float64)
    return np.asarray((np.abs(wide) <= SMALL) & (np.rint(2 * wide) == 2 * wide))


class _Perturbation:
    """Evaluates ops with roundings, orders of summation and signs of zeros of its own."""

    def __init__(self, generator: np.random.Generator, sign: float | None, promise: str) -> None:
        self._generator = generator
        self._sign = sign
        self._rounds = promise != EXACT

    def evaluate(
        self, op: Op, operands: Sequence[Array | None], evaluation: Evaluation
    ) -> list[Array]:
        """Results of ``op``, as another correct implementation might give them."""
        if accumulates(op):
            # Sums of small multiples of a half are exact; a norm of them is not.
            keeps = all(_few_bits(np.asarray(array)).all() for array in evaluation(operands))
            operands = [x if x is None else self._rounded(x, keeps=keeps) for x in operands]
        results = evaluation(operands)
        if self._rounds and isinstance(op.opdef, ElementwiseOp):
            results = [self._rounded(array) for array in results]
        if chooses_zero(op):
            results = [self._signed(array) for array in results]
        return results

    def _rounded(self, array: Array, *, keeps: bool = True) -> Array:
        """``array`` times numbers near 1.

        With ``keeps`` small multiples of a half stay: they are exponents and counts.
        """
        dtype = DType.from_numpy(array.dtype)
        if not dtype.is_float or not array.size:
            return array
        epsilon = float(float_info(array.dtype).eps)
        wide = array.astype(np.float64)
        factor = 1 + epsilon * self._generator.uniform(-STEPS, STEPS, array.shape)
        kept = _few_bits(array) if keeps else np.zeros(array.shape, bool)
        return np.where(kept, wide, wide * factor).astype(array.dtype)

    def _signed(self, array: Array) -> Array:
        """``array`` with other signs of its zeros."""
        if not DType.from_numpy(array.dtype).is_float or array.all():
            return array
        signs = self._generator.choice([-1.0, 1.0], array.shape)
        if self._sign is not None:
            signs = np.full(array.shape, self._sign)
        zeros = np.copysign(np.zeros(array.shape), signs).astype(array.dtype)
        return np.where(array == 0, zeros, array)
