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

CASES: dict[str, Case] = {
    name: case
    for module in (
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
    for name, case in module.CASES.items()
}
