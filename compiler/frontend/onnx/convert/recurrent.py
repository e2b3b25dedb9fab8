"""Recurrent layers."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .registry import converter

_DIRECTIONS = ("forward", "reverse", "bidirectional")


@dataclass(frozen=True)
class _Layer:
    """How one operator maps to its op."""

    op: str
    activations: tuple[str, ...]
    inputs: int
    states: int
    flags: dict[str, str]
    """ONNX attribute → attribute of the op."""


_LAYERS = {
    "LSTM": _Layer("nn.lstm", ("Sigmoid", "Tanh", "Tanh"), 8, 2, {"input_forget": "input_forget"}),
    "GRU": _Layer(
        "nn.gru", ("Sigmoid", "Tanh"), 6, 1, {"linear_before_reset": "linear_before_reset"}
    ),
    "RNN": _Layer("nn.rnn", ("Tanh",), 6, 1, {}),
}


@converter("LSTM", "GRU", "RNN")
def _recurrent(node: NodeContext) -> list[Value]:
    layer = _LAYERS[node.node.op_type]
    batch_first = node.flag("layout")
    operands = [node.optional(index) for index in range(layer.inputs)]
    if batch_first:
        for index in (0, *range(5, 5 + layer.states)):
            value = operands[index]
            if value is not None:
                operands[index] = node.transpose(value, (1, 0, 2))
    lengths = operands[4]
    if lengths is not None:
        operands[4] = node.cast(lengths, DType.I32)
    direction = node.string("direction", "forward")
    if direction not in _DIRECTIONS:
        raise ModelError(f"attribute direction is {clip(repr(direction))}")
    directions = 2 if direction == "bidirectional" else 1
    weights = node.input(2).type
    if weights.rank != 3:
        raise ModelError(f"its recurrence weights are {weights}, not of rank 3")
    (units,) = node.static(weights.shape[-1:], "hidden size")
    attributes: dict[str, object] = {
        "hidden_size": node.integer("hidden_size", units),
        "direction": direction,
        "activations": node.strings("activations") or layer.activations * directions,
        "activation_alpha": node.numbers("activation_alpha") or (),
        "activation_beta": node.numbers("activation_beta") or (),
        "clip": node.number("clip", 0.0),
    }
    attributes.update({name: node.flag(flag) for flag, name in layer.flags.items()})
    y, *states = node.results(layer.op, operands, attributes)
    if batch_first:
        y = node.transpose(y, (2, 0, 1, 3))
        states = [node.transpose(state, (1, 0, 2)) for state in states]
    return [y, *states]
