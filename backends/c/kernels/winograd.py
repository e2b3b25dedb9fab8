"""Winograd's minimal filtering by three taps: the numbers (Lavin and Gray 2016).

``outputs`` neighbours of a row, ``y[i] = x[i] w[0] + x[i + 1] w[1] + x[i + 2] w[2]``, are a
product of polynomials but for order.  Both factors are evaluated at ``size = outputs + 2`` points,
the values multiplied, and the product is interpolated (Toom and Cook)::

    y = A ((G w) * (B x))        in two dimensions  Y = A ((G W G') * (B X B')) A'

That is ``size`` products in place of ``3 outputs``, squared in two dimensions.  Points are 0,
infinity, and pairs +-p, for which sums of even and of odd terms are shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from burnish.ir import Array

TAPS = 3

_PAIRS: Mapping[int, tuple[Fraction, ...]] = {
    2: (Fraction(1),),
    4: (Fraction(3, 4), Fraction(3, 2)),
}
"""Points by the number of outputs.

For four outputs 1 and 2 are usual; with these, found by trying fractions that f32 represents with
their powers, errors are a quarter.
"""


@dataclass(frozen=True)
class Filtering:
    """The transforms for so many outputs."""

    outputs: int

    @property
    def size(self) -> int:
        """Elements that a row of outputs meets, and products along it."""
        return self.outputs + TAPS - 1

    @property
    def pairs(self) -> tuple[Fraction, ...]:
        """The points p > 0 of the pairs +-p."""
        return _PAIRS[self.outputs]

    @property
    def points(self) -> tuple[Fraction, ...]:
        """All but infinity, in the order of the products: 0, then the pairs."""
        return (Fraction(0), *(sign for p in self.pairs for sign in (p, -p)))

    @property
    def ends(self) -> list[Fraction]:
        """B for the points 0 (even elements) and infinity (odd ones): prod (x^2 - p^2)."""
        return _squares(self.pairs)

    def inner(self, pair: int) -> list[Fraction]:
        """B for a pair, both the even and the odd part: the same without its own factor."""
        return _squares([p for i, p in enumerate(self.pairs) if i != pair])

    @property
    def weights(self) -> Array:
        """G: values of w at the points, divided by what interpolation divides by, [size, taps]."""
        points = self.points
        rows = [
            [p**k / prod(p - other for other in points if other != p) for k in range(TAPS)]
            for p in points
        ]
        rows.append([Fraction(int(k == TAPS - 1)) for k in range(TAPS)])
        return np.array(rows, np.float64)

    def transformed(self, weights: Array) -> Array:
        """G W G' for weights [M, C, 3, 3], in f64: [size, size, M, C]."""
        g = self.weights
        return np.asarray(
            np.einsum("ay,mcyx,bx->abmc", g, weights.astype(np.float64), g, optimize=True)
        )


def _squares(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of prod (s - root^2), constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        scaled = [c * root * root for c in coefficients] + [Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled)]
    return coefficients
