"""Recurrent layers, written out step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import DType, scalar
from burnish.ir.ops.recurrent import gate_activations

from ..builder import Refusal, Term
from ..context import Context
from ..elementwise import expression
from ..registry import lowering
from .matmul import product

_MOST_STEPS = 4096
"""Time steps that are written out; each takes about twenty lines."""

State = tuple[Term, ...]
"""Hidden state [batch, H]; an LSTM's cell state after it."""


@dataclass(frozen=True)
class _Cell:
    """One direction's weights and functions, in the compute type."""

    c: Context
    recurrence: Term
    """[gates·H, H]"""
    bias: Term | None
    """[gates·H], that of the recurrence."""
    peephole: Term | None
    activations: Sequence[scalar.Expr]

    @property
    def size(self) -> int:
        return int(self.c.a.hidden_size)

    def activate(self, index: int, x: Term) -> Term:
        """Activation ``index`` of this direction, of ``x`` limited by the clip."""
        clip = self.c.a.clip
        if clip > 0:
            bounds = {"low": -clip, "high": clip}
            x = expression(self.c, "min(max(x, low), high)", {"x": x, **bounds}, x.dtype)
        if self.activations[index] == _SIGMOID:
            return self.c.call("sigmoid", x)
        return expression(self.c, self.activations[index], {"x": x}, x.dtype)

    def gates(self, term: Term, first: int, last: int) -> Term:
        """Gates ``first`` up to ``last``, in the last axis."""
        return self.c.slice(term, term.rank - 1, first * self.size, last * self.size)

    def recalled(self, h: Term, first: int, last: int) -> Term:
        """The share of the state ``h`` in some gates, with their bias."""
        weights = self.c.slice(self.recurrence, 0, first * self.size, last * self.size)
        y = product(self.c, h, weights, transpose_b=True)
        if self.bias is None:
            return y
        return self.c.call("nn.bias_add", y, self.gates(self.bias, first, last), axis=-1)

    def value(self, text: str, **values: Term) -> Term:
        """A scalar expression over terms."""
        return expression(self.c, text, values, next(iter(values.values())).dtype)


_SIGMOID = scalar.parse("1 / (1 + exp(-x))")


def _rnn(cell: _Cell, projected: Term, state: State) -> State:
    (h,) = state
    total = cell.c.call("add", projected, cell.recalled(h, 0, 1))
    return (cell.activate(0, total),)


def _gru(cell: _Cell, projected: Term, state: State) -> State:
    (h,) = state
    c = cell.c
    total = c.call("add", cell.gates(projected, 0, 2), cell.recalled(h, 0, 2))
    gates = cell.activate(0, total)
    update, reset = cell.gates(gates, 0, 1), cell.gates(gates, 1, 2)
    if c.a.linear_before_reset:
        recalled = c.call("multiply", reset, cell.recalled(h, 2, 3))
    else:
        recalled = cell.recalled(c.call("multiply", reset, h), 2, 3)
    candidate = cell.activate(1, c.call("add", cell.gates(projected, 2, 3), recalled))
    return (cell.value("(1 - z) * n + z * h", z=update, n=candidate, h=h),)


def _lstm(cell: _Cell, projected: Term, state: State) -> State:
    h, memory = state
    c = cell.c
    total = c.call("add", projected, cell.recalled(h, 0, 4))
    into, out, forget, candidate = (cell.gates(total, i, i + 1) for i in range(4))

    def peeped(gate: Term, index: int, memory: Term) -> Term:
        if cell.peephole is None:
            return gate
        weights = cell.gates(cell.peephole, index, index + 1)
        return c.call("add", gate, c.call("multiply", weights, memory))

    i = cell.activate(0, peeped(into, 0, memory))
    if c.a.input_forget:
        f = cell.value("1 - i", i=i)
    else:
        f = cell.activate(0, peeped(forget, 2, memory))
    memory = cell.value("f * c + i * g", f=f, c=memory, i=i, g=cell.activate(1, candidate))
    o = cell.activate(0, peeped(out, 1, memory))
    return c.call("multiply", o, cell.activate(2, memory)), memory


_Step = Callable[[_Cell, Term, State], State]
_LAYERS: Mapping[str, tuple[_Step, int, int]] = {
    "nn.rnn": (_rnn, 1, 1),
    "nn.gru": (_gru, 2, 1),
    "nn.lstm": (_lstm, 3, 2),
}
"""The step of each layer, its activations per direction, and how many states it has."""


@lowering(*_LAYERS)
def _recurrent(c: Context) -> Sequence[Term]:
    _, functions, states = _LAYERS[c.op.name]
    time, batch, _ = c.type().static_shape
    if time > _MOST_STEPS or 0 in (time, batch):
        raise Refusal(f"a recurrent layer of {time} steps")
    expressions = gate_activations(c.a)
    directions = c.type(1).static_shape[0]
    runs = [
        _run(c, index, expressions[index * functions : (index + 1) * functions])
        for index in range(directions)
    ]
    dtype = c.type().dtype
    y = c.concat([outputs for outputs, _ in runs], 1)
    final = [c.concat([_lifted(c, state[i], 0) for _, state in runs], 0) for i in range(states)]
    return [c.cast(term, dtype) for term in (y, *final)]


def _lifted(c: Context, term: Term, axis: int) -> Term:
    """``term`` with a new axis of size 1."""
    return c.reshape(term, (*term.shape[:axis], 1, *term.shape[axis:]))


def _entry(c: Context, index: int, direction: int) -> Term | None:
    """The part of an operand that belongs to a direction."""
    if c.optional(index) is None:
        return None
    part = c.slice(c.wide(index), 0, direction, direction + 1)
    if part.constant is None and c.input(index).constant is not None:
        constant = c.input(index).constant
        assert constant is not None
        return c.cast(c.array(constant.array[direction]), part.dtype)
    return c.reshape(part, part.shape[1:])


def _run(c: Context, direction: int, activations: Sequence[scalar.Expr]) -> tuple[Term, State]:
    """Hidden states [time, 1, batch, H] of a direction, and the last state."""
    step, _, states = _LAYERS[c.op.name]
    backwards = c.a.direction == "reverse" or direction == 1
    x, lengths = c.wide(0), c.optional(4)
    time, batch, inputs = x.shape
    x = _ordered(c, x, lengths) if backwards else x
    w, recurrence, bias = (_entry(c, index, direction) for index in (1, 2, 3))
    assert w is not None
    assert recurrence is not None
    gates, hidden = w.shape[0], c.a.hidden_size
    projected = product(c, c.reshape(x, (time * batch, inputs)), w, transpose_b=True)
    if bias is not None:
        projected = c.call("nn.bias_add", projected, _part(c, bias, 0, gates), axis=-1)
        bias = _part(c, bias, gates, 2 * gates)
    peephole = _entry(c, 7, direction) if states == 2 else None
    cell = _Cell(c, recurrence, bias, peephole, activations)
    zeros = c.array(np.zeros((batch, hidden), x.dtype.numpy))
    state = tuple(_entry(c, 5 + i, direction) or zeros for i in range(states))
    outputs = []
    for at in range(time):
        changed = step(cell, c.slice(projected, 0, at * batch, (at + 1) * batch), state)
        output = changed[0]
        if lengths is not None:
            active = c.call("greater", c.reshape(lengths, (batch, 1)), c.scalar(at, DType.I32))
            output = c.where(active, output, c.scalar(0, x.dtype))
            changed = tuple(c.where(active, new, old) for new, old in zip(changed, state))
        state = changed
        outputs.append(c.reshape(output, (1, batch, hidden)))
    y = c.concat(outputs, 0)
    y = _ordered(c, y, lengths) if backwards else y
    return c.reshape(y, (time, 1, batch, hidden)), state


def _part(c: Context, term: Term, start: int, stop: int) -> Term:
    if term.constant is not None:
        return c.array(term.constant.array[start:stop])
    return c.slice(term, 0, start, stop)


def _ordered(c: Context, x: Term, lengths: Term | None) -> Term:
    """Time steps turned around, for every entry of the batch those that it has."""
    if lengths is None:
        return c.call("reverse", x, axis=0)
    return c.call("reverse_sequence", x, lengths, seq_axis=0, batch_axis=1)
