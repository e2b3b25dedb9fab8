"""Softmax and its logarithm."""

from __future__ import annotations

from ..context import Context
from ..graph import Edge
from ..registry import exporter

_OPERATORS = {"nn.softmax": "Softmax", "nn.log_softmax": "LogSoftmax"}


@exporter(*_OPERATORS)
def _softmax(c: Context) -> Edge:
    return c.node(_OPERATORS[c.op.name], c.input(0), axis=c.a.axis)
