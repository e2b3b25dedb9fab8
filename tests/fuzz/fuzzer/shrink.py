"""Making a failing module small, by the reducer of burnish: the predicate is the fuzzer's check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from burnish.ir import Array, Module
from burnish.passes.trust import Draw, reduce_with_inputs, simpler_draw

from .checks import Settings, Subject, check

Inputs = Mapping[str, Array]
BUDGET = 400
"""Modules that are tried: each is compiled."""


def kind_of(verdict: str) -> str:
    """What sort of failure a verdict tells: its words, without numbers."""
    text = verdict.split("\n", maxsplit=1)[0]
    for sign, kind in (
        ("instead of", "differs"),
        ("shape", "shape"),
        ("raised", text.split(":")[0]),
    ):
        if sign in text:
            return kind
    return re.sub(r"[^a-z ]+", "", text.split(":")[0])


def shrink(
    module: Module, inputs: Sequence[Inputs], settings: Settings, verdict: str
) -> tuple[Module, dict[str, Array], str]:
    """A small module and inputs that fail in the same way, and its verdict."""
    kind = kind_of(verdict)

    def verdict_of(module: Module, inputs: Inputs) -> str:
        """What is wrong, if it is of the same kind."""
        subject = Subject("s", module, [inputs])
        check([subject], settings)
        return subject.verdict if kind_of(subject.verdict) == kind else ""

    def fails(module: Module, inputs: Inputs) -> bool:
        return bool(verdict_of(module, inputs))

    chosen = next((given for given in inputs if fails(module, given)), None)
    if chosen is None:
        return module, dict(inputs[0]), verdict  # a matter of several runs
    small, given = reduce_with_inputs(module, chosen, fails, budget=BUDGET)
    draw = Draw(small.main.name, given, "", "inputs of the fuzzer")
    draw = simpler_draw(draw, lambda simple: fails(small.copy(), simple.inputs))
    return small, dict(draw.inputs), verdict_of(small, draw.inputs) or verdict
