"""What a form is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A function that spells out an op.

    Attributes:
        body: its ops; ``#0.5`` is a constant of one element.
        ops: names of the ops in the end, but constants.
        fast_math: whether recovery needs that option.
    """

    name: str
    body: str
    ops: tuple[str, ...]
    inputs: str = "%x: tensor<f32[2, 3, 8]>"
    result: str = "tensor<f32[2, 3, 8]>"
    fast_math: bool = False
