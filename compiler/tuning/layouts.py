"""The pass ``layout`` with measured costs where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from burnish.backends import Target
from burnish.ir import Layout, Module, Op, TensorType
from burnish.ir.errors import TargetError
from burnish.passes import Pass, PassContext
from burnish.passes.layout import (
    LayoutModel,
    LayoutPass,
    Layouts,
    Offer,
    layout_model,
)

from .candidates import key_of, questions
from .measure import Measurements


class MeasuredLayouts(LayoutModel):
    """The offers of another model at measured costs.

    Where some of an op's offers were measured, estimates of the others are scaled as those of the
    measured ones would have to be.
    """

    def __init__(self, model: LayoutModel, cycles: Mapping[tuple[str, int], float]) -> None:
        self._model = model
        self._cycles = cycles

    def layouts(self, type_: TensorType) -> Sequence[Layout]:
        return self._model.layouts(type_)

    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        return self._model.cost(op, operands, results)

    def conversion(self, type_: TensorType, source: Layout | None, target: Layout | None) -> float:
        return self._model.conversion(type_, source, target)

    def offers(self, op: Op) -> list[Offer]:
        offers = self._model.offers(op)
        key = key_of(op)
        known = {i: self._cycles[key, i] for i in range(len(offers)) if (key, i) in self._cycles}
        if not known:
            return offers
        estimated = sum(offers[i].cost for i in known)
        scale = sum(known.values()) / estimated if estimated else 1.0
        return [
            replace(offer, cost=known.get(i, scale * offer.cost)) for i, offer in enumerate(offers)
        ]


@dataclass(frozen=True)
class TunedLayout(Pass):
    """The pass ``layout``, which asks the machine where the estimates are close."""

    name = "layout"
    plain: LayoutPass
    measurements: Measurements

    def __str__(self) -> str:
        return str(self.plain)

    def run(self, module: Module, context: PassContext) -> bool:
        """Measure what the estimates leave open, then lay out by that."""
        model = layout_model(self.plain.target)
        self.measurements.measure(questions(module, model, self.plain.without.split("+")))
        measured = MeasuredLayouts(model, self.measurements.cycles)
        return self.plain.lay_out(module, measured, context)


def tuned_pipeline(
    pipeline: Sequence[Pass], target: Target, measurements: Measurements
) -> list[Pass]:
    """``pipeline`` with layouts chosen by measurement.

    Raises:
        TargetError: code for ``target`` does not run on this machine, or there is no choice.
    """
    if not target.host:
        raise TargetError(
            f"target {target.name} cannot be tuned: its code does not run on this machine",
            help="leave the option tune out; choices are made by estimates then",
        )
    if not any(isinstance(pass_, LayoutPass) for pass_ in pipeline):
        raise TargetError(
            f"there is nothing to tune for target {target.name}: no pass chooses layouts",
            help="leave the option tune out, or add the pass layout to the pipeline",
        )
    return [
        TunedLayout(pass_, measurements) if isinstance(pass_, LayoutPass) else pass_
        for pass_ in pipeline
    ]
