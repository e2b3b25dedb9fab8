"""Softmax and its logarithm."""

from __future__ import annotations

from ..builder import Term
from ..context import Context
from ..registry import lowering

_OPERATORS = {"nn.softmax": "nn.softmax", "nn.log_softmax": "nn.log_softmax"}


@lowering(*_OPERATORS)
def _softmax(c: Context) -> Term:
    y = c.call(_OPERATORS[c.op.name], c.wide(0), axis=c.a.axis)
    return c.cast(y, c.type().dtype)
