"""Writing Winograd's transforms of tiles, with vectors of channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from burnish.ir import DType

from ..code import Expr, binary
from ..elements import literal
from ..vectors import VectorRenderer
from .builder import KernelBuilder
from .winograd import Filtering

Vectors = Sequence[Expr | None]
"""None: zero."""


class TransformWriter:
    """Writes transforms along one dimension, of vectors in variables."""

    def __init__(self, k: KernelBuilder, filtering: Filtering) -> None:
        self.k, self.filtering = k, filtering
        self.vectors = VectorRenderer(k.isa.lanes, k.helper)

    def elements(self, x: Vectors) -> list[Expr]:
        """B x: the factors of the products, from the elements that outputs meet."""
        f, zero = self.filtering, self.vectors.splat(Expr("0.0f"))
        last = f.size - 1
        found: list[Expr | None] = [None] * f.size
        found[0] = self._sum(zip(f.ends, x[0::2]))
        found[last] = self._sum(zip(f.ends, x[1::2]))
        for i, p in enumerate(f.pairs):
            even = self._named("even", self._sum(zip(f.inner(i), x[2::2])))
            odd = self._named("odd", self._sum(zip(f.inner(i), x[1:last:2])))
            found[2 * i + 1] = self._sum([(Fraction(1), even), (p, odd)])
            found[2 * i + 2] = self._sum([(Fraction(1), even), (-p, odd)])
        return [zero if value is None else value for value in found]

    def outputs(self, products: Sequence[Expr]) -> list[Expr]:
        """A m: the outputs, from the products."""
        f, one = self.filtering, Fraction(1)
        sums, differences = [], []
        for i in range(len(f.pairs)):
            plus, minus = products[2 * i + 1], products[2 * i + 2]
            sums.append(self._named("even", binary("+", plus, minus)))
            differences.append(self._named("odd", binary("-", plus, minus)))
        found = []
        for power in range(f.outputs):
            parts = differences if power % 2 else sums
            terms = [(p**power, part) for p, part in zip(f.pairs, parts)]
            if power == 0:
                terms.insert(0, (one, products[0]))
            if power == f.outputs - 1:
                terms.insert(0, (one, products[-1]))
            total = self._sum(terms)
            assert total is not None
            found.append(total)
        return found

    def _named(self, name: str, value: Expr | None) -> Expr | None:
        if value is None:
            return None
        return self.k.declare(f"const {self.vectors.type}", name, value)

    def _sum(self, terms: Iterable[tuple[Fraction, Expr | None]]) -> Expr | None:
        """The sum of multiples, by fused multiply-adds; None if all are zero."""
        total: Expr | None = None
        present = [(factor, value) for factor, value in terms if value is not None]
        for factor, value in sorted(present, key=lambda term: term[0] != 1):
            scale = self.vectors.splat(literal(float(factor), DType.F32))
            if total is None:
                total = value if factor == 1 else binary("*", scale, value)
            elif abs(factor) == 1:
                total = binary("+" if factor > 0 else "-", total, value)
            else:
                total = self.vectors.fma(scale, value, total)
        return total
