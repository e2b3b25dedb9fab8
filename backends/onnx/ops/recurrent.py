"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..context import Context
from ..graph import Edge
from ..registry import exporter

_OPERATORS = {"nn.rnn": "RNN", "nn.gru": "GRU", "nn.lstm": "LSTM"}
_FLAGS = ("linear_before_reset", "input_forget")


@exporter(*_OPERATORS)
def _recurrent(c: Context) -> Sequence[Edge]:
    flags: dict[str, Any] = {name: 1 for name in _FLAGS if c.a.get(name)}
    return c.nodes(
        _OPERATORS[c.op.name],
        *c.inputs(),
        outputs=[None] * len(c.op.results),
        hidden_size=c.a.hidden_size,
        direction=c.a.direction,
        activations=c.a.activations,
        activation_alpha=c.a.activation_alpha,
        activation_beta=c.a.activation_beta,
        clip=c.a.clip or None,
        **flags,
    )
