"""Makers of the elementwise ops, from their declarations."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from burnish.ir import DType, Error, Op, Value, broadcast_shapes, lookup, registry
from burnish.ir.attributes import BOOL, DTYPE, FLOAT
from burnish.ir.elementwise import ElementwiseOp

from .maker import COMPLEX, Graph, maker

FLOATS = [-1.5, -0.5, 0.0, 0.1, 0.5, 1.0, 2.0]
PARAMETERS: dict[tuple[str, str], list[float]] = {
    ("math.clamp", "low"): [-math.inf, -1.0, -0.0, 0.0, 0.5, 3.0],
    ("math.clamp", "high"): [math.inf, 1.0, 0.25, -2.0],
    ("math.celu", "alpha"): [-1.5, 0.3, 1.0, 2.0],  # documented as not 0
}
"""Values of float attributes, where they are not any number."""


def _attributes(g: Graph, definition: ElementwiseOp) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, spec in definition.attributes.items():
        if spec.kind is BOOL:
            found[name] = g.coin()
        elif spec.kind is FLOAT:
            found[name] = g.random.choice(PARAMETERS.get((definition.name, name), FLOATS))
        elif spec.kind is DTYPE:
            found[name] = g.dtype(set(DType) - COMPLEX)
        else:
            raise Error(f"no values for attributes of kind {spec.kind}")
    return found


def _elementwise(name: str, g: Graph) -> Op | Value | None:
    definition = lookup(name)
    assert isinstance(definition, ElementwiseOp)
    specs = list(definition.operands.values())
    main = next(spec for spec in specs if spec.group == "T")
    x = g.value(main.dtypes, dynamic=True)
    operands: list[Value] = []
    for spec in specs:
        if spec is main:
            operands.append(x)
        else:
            dtype = x.type.dtype if spec.group == "T" else g.dtype(spec.dtypes)
            operands.append(g.partner(x, dtype))
    alike = [i for i, spec in enumerate(specs) if spec.group == "T"]
    if len(alike) == 2 and g.coin(0.3):
        i, j = alike
        operands[i], operands[j] = operands[j], operands[i]
    if all(v.type.is_static for v in operands):
        shape = broadcast_shapes(*(v.type.static_shape for v in operands))
        if np.prod(shape) > g.profile.most:
            return None
    return g.builder.create(name, operands, _attributes(g, definition))


for _name, _definition in registry().items():
    if isinstance(_definition, ElementwiseOp):
        maker(_name)(partial(_elementwise, _name))
