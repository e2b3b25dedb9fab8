"""What a target offers: in which layouts ops can be computed, and what that costs.

A :class:`LayoutModel` is a backend's answer to "how could this op read and write its tensors, and
how long would each way take?".  The pass ``layout`` knows nothing of targets: it picks one offer
per op so that the whole is cheapest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Builder, Layout, Op, TensorType, Value
from burnish.ir.errors import PassError

Layouts = tuple[Layout | None, ...]
"""One per value; None: row-major."""


Replacement = Callable[[Builder, Sequence[Value | None]], Op]
"""Makes another op of the operands, which are stored as its offer says.

The op has the results of the one that it stands for.
"""


@dataclass(frozen=True)
class Offer:
    """One way to compute an op.

    Attributes:
        operands: how it reads each operand (None too where the operand is absent).
        results: how it writes each result.
        cost: its time, in the unit of the model.
        kernels: who computes it, by a name of the target; "" where there is but one way.
        replacement: makes another op that does the same, if it is one.
        name: what reports call such a way.
    """

    operands: Layouts
    results: Layouts
    cost: float
    kernels: str = ""
    replacement: Replacement | None = None
    name: str = ""


class LayoutModel(ABC):
    """The offers of a target."""

    @abstractmethod
    def layouts(self, type_: TensorType) -> Sequence[Layout]:
        """The layouts, other than row-major, that tensors of this type may have."""

    @abstractmethod
    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        """Time of ``op`` when it reads and writes these layouts; ``inf`` if it cannot."""

    @abstractmethod
    def conversion(self, type_: TensorType, source: Layout | None, target: Layout | None) -> float:
        """Time to store a tensor anew."""

    def offers(self, op: Op) -> list[Offer]:
        """All ways to compute ``op``, row-major first.

        Elementwise ops work in any layout in which all their full-sized operands are; a transpose
        of which the result is laid out accordingly moves nothing.  An op with regions stays as it
        is: they fix how it reads and writes.  Other ops: see :meth:`of_op`.
        """
        row_major: tuple[Layouts, Layouts] = ((None,) * len(op.operands), (None,) * len(op.results))
        if op.regions:
            return [Offer(*_layouts_of(op), self.cost(op, *row_major))]
        candidates = [row_major]
        if op.is_terminator:
            pass
        elif op.is_pointwise:
            candidates += [_elementwise(op, layout) for layout in self.layouts(op.result.type)]
        elif op.name == "tensor.transpose":
            candidates += self._transposes(op)
        else:
            candidates += self.of_op(op)
        offers = [Offer(*layouts, self.cost(op, *layouts)) for layouts in candidates]
        return [offer for offer in offers if offer.cost != float("inf")]

    def of_op(self, op: Op) -> Sequence[tuple[Layouts, Layouts]]:
        """Layouts of operands and results, other than row-major, that ``op`` may be tried in."""
        return ()

    def _transposes(self, op: Op) -> list[tuple[Layouts, Layouts]]:
        permutation = op.attributes.permutation
        inverse = sorted(range(len(permutation)), key=permutation.__getitem__)
        (source,), row_major = op.inputs, Layout(tuple(range(len(permutation))))
        before: list[Layout | None] = [None, *self.layouts(source.type)]
        after = [layout.transposed(inverse) for layout in self.layouts(op.result.type)]
        before += [layout for layout in after if layout not in before]
        pairs = [(layout, (layout or row_major).transposed(permutation)) for layout in before]
        return [((_normal(a),), (_normal(b),)) for a, b in pairs]


def _normal(layout: Layout | None) -> Layout | None:
    return None if layout is None or layout.is_row_major else layout


def _layouts_of(op: Op) -> tuple[Layouts, Layouts]:
    """How an op reads and writes as it stands."""
    operands = tuple(None if value is None else value.type.layout for value in op.operands)
    return operands, tuple(result.type.layout for result in op.results)


def _elementwise(op: Op, layout: Layout) -> tuple[Layouts, Layouts]:
    shape = op.result.type.shape
    full = (None if v is None or v.type.shape != shape else layout for v in op.operands)
    return tuple(full), (layout,) * len(op.results)


_MODELS: dict[str, LayoutModel] = {}


def register_layouts(name: str, model: LayoutModel) -> None:
    """Make a target's offers known under a name (option ``target`` of the pass ``layout``).

    Raises:
        ValueError: the name is taken.
    """
    if name in _MODELS:
        raise ValueError(f"layouts of {name} are registered twice")
    _MODELS[name] = model


def layout_models() -> Mapping[str, LayoutModel]:
    """All registered models by name."""
    return dict(sorted(_MODELS.items()))


def layout_model(name: str) -> LayoutModel:
    """The model of that name.

    Raises:
        PassError: there is none.
    """
    model = _MODELS.get(name)
    if model is None:
        known = ", ".join(layout_models()) or "none"
        raise PassError(f"no target {name} offers layouts", help=f"registered: {known}")
    return model
