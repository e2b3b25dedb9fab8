"""Functions whose rewrites golden files show, by what the rewrites are about."""

from __future__ import annotations

from . import (
    affine,
    algebra,
    control,
    folding,
    fusion,
    movement,
    quantization,
    shapes,
    sharing,
    windows,
)
from .case import Case

_CONCEPTS = (
    affine,
    algebra,
    control,
    folding,
    fusion,
    movement,
    quantization,
    shapes,
    sharing,
    windows,
)

CASES: dict[str, Case] = {
    name: case for concept in _CONCEPTS for name, case in concept.CASES.items()
}
