"""Recurrent layers, written out step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from burnish.ir import DType, scalar
from burnish.ir.ops.recurrent import gate_activations

from ..refusal import Refusal
from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .matmul import product
from .scalars import Scalar, constant, select

_MOST_STEPS = 1024
"""Time steps that are written out; each takes about a dozen calls."""

State = tuple[Expr, ...]
"""Hidden state [batch, H]; an LSTM's cell state after it."""


@dataclass(frozen=True)
class _Cell:
    """One direction's weights and functions, in the compute type."""

    c: Context
    dtype: DType
    recurrence: Expr
    """[gates·H, H]"""
    bias: Expr | None
    """[gates·H], that of the recurrence."""
    peephole: Expr | None
    activations: Sequence[scalar.Expr]

    @property
    def size(self) -> int:
        return int(self.c.a.hidden_size)

    def value(self, text: str | scalar.Expr, **values: Expr) -> Expr:
        """A scalar expression over expressions."""
        return self.c.map(text, self.dtype, values)

    def activate(self, index: int, x: Expr) -> Expr:
        """Activation ``index`` of this direction, of ``x`` limited by the clip."""
        clip = float(self.c.a.clip)
        if clip > 0:
            x = self.c.map("min(max(x, -clip), clip)", self.dtype, {"x": x, "clip": clip})
        return self.value(self.activations[index], x=x)

    def gates(self, x: Expr, first: int, last: int) -> Expr:
        """Gates ``first`` up to ``last``, in the last axis."""
        return _part(self.c, x, -1, first * self.size, last * self.size)

    def recalled(self, h: Expr, first: int, last: int) -> Expr:
        """The share of the state ``h`` in some gates, with their bias."""
        weights = _part(self.c, self.recurrence, 0, first * self.size, last * self.size)
        y = product(self.c, h, weights, self.dtype, transpose_b=True)
        if self.bias is None:
            return y
        return self.value("y + b", y=y, b=self.gates(self.bias, first, last))


def _rnn(cell: _Cell, projected: Expr, state: State) -> State:
    (h,) = state
    return (cell.activate(0, cell.value("x + r", x=projected, r=cell.recalled(h, 0, 1))),)


def _gru(cell: _Cell, projected: Expr, state: State) -> State:
    (h,) = state
    both = cell.value("x + r", x=cell.gates(projected, 0, 2), r=cell.recalled(h, 0, 2))
    gates = cell.activate(0, both)
    update, reset = cell.gates(gates, 0, 1), cell.gates(gates, 1, 2)
    if cell.c.a.linear_before_reset:
        recalled = cell.value("x * r", x=reset, r=cell.recalled(h, 2, 3))
    else:
        recalled = cell.recalled(cell.value("x * h", x=reset, h=h), 2, 3)
    total = cell.value("x + r", x=cell.gates(projected, 2, 3), r=recalled)
    candidate = cell.activate(1, total)
    return (cell.value("(1 - z) * n + z * h", z=update, n=candidate, h=h),)


def _lstm(cell: _Cell, projected: Expr, state: State) -> State:
    h, memory = state
    total = cell.value("x + r", x=projected, r=cell.recalled(h, 0, 4))
    into, out, forget, candidate = (cell.gates(total, i, i + 1) for i in range(4))

    def peeped(gate: Expr, index: int, memory: Expr) -> Expr:
        if cell.peephole is None:
            return gate
        weights = cell.gates(cell.peephole, index, index + 1)
        return cell.value("g + w * m", g=gate, w=weights, m=memory)

    i = cell.activate(0, peeped(into, 0, memory))
    if cell.c.a.input_forget:
        f = cell.value("1 - i", i=i)
    else:
        f = cell.activate(0, peeped(forget, 2, memory))
    new = cell.activate(1, candidate)
    memory = cell.value("f * c + i * g", f=f, c=memory, i=i, g=new)
    o = cell.activate(0, peeped(out, 1, memory))
    return cell.value("o * h", o=o, h=cell.activate(2, memory)), memory


_Step = Callable[[_Cell, Expr, State], State]
_LAYERS: Mapping[str, tuple[_Step, int, int]] = {
    "nn.rnn": (_rnn, 1, 1),
    "nn.gru": (_gru, 2, 1),
    "nn.lstm": (_lstm, 3, 2),
}
"""The step of each layer, its activations per direction, and how many states it has."""


@te_lowering(*_LAYERS)
def _recurrent(c: Context) -> list[Expr]:
    _, functions, states = _LAYERS[c.op.name]
    (time,) = c.static(c.type().shape[:1], "a number of time steps")
    if not 0 < time <= _MOST_STEPS:
        raise Refusal(f"a recurrent layer of {time} steps")
    (directions,) = c.static(c.type(1).shape[:1], "a number of directions")
    expressions = gate_activations(c.a)
    runs = [
        _run(c, time, index, expressions[index * functions : (index + 1) * functions])
        for index in range(directions)
    ]
    dtype = c.type().dtype
    y = _stacked(c, [outputs for outputs, _ in runs], 1)
    final = [_stacked(c, [state[i] for _, state in runs], 0) for i in range(states)]
    return [c.cast(x, dtype.compute, dtype) for x in (y, *final)]


def _stacked(c: Context, parts: Sequence[Expr], axis: int) -> Expr:
    """Expressions of one shape one after another along a new axis."""

    def function(tensors: Sequence[Tensor]) -> Tensor:
        shape = list(tensors[0].shape)
        shape.insert(axis, tirx.IntImm("int64", len(tensors)))

        def element(*index: Scalar) -> Scalar:
            own = [*index[:axis], *index[axis + 1 :]]
            found = tensors[-1](*own)
            for number, tensor in reversed(list(enumerate(tensors[:-1]))):
                found = tirx.if_then_else(index[axis].equal(number), tensor(*own), found)
            return found

        return compute(shape, element)

    return c.te(function, list(parts))


def _part(c: Context, x: Expr, axis: int, start: int, stop: int) -> Expr:
    """A part along an axis."""

    def function(x: Tensor) -> Tensor:
        shape = list(x.shape)
        place = axis % len(shape)
        shape[place] = tirx.IntImm("int64", stop - start)
        return compute(shape, lambda *i: x(*i[:place], i[place] + start, *i[place + 1 :]))

    return c.te(function, x)


def _entry(c: Context, index: int, direction: int) -> Expr | None:
    """The part of an operand that belongs to a direction."""
    if not c.has(index):
        return None
    return c.te(lambda x: compute(x.shape[1:], lambda *i: x(direction, *i)), c.wide(index))


def _run(
    c: Context, time: int, direction: int, activations: Sequence[scalar.Expr]
) -> tuple[Expr, State]:
    """Hidden states [time, batch, H] of a direction, and the last state."""
    step, _, states = _LAYERS[c.op.name]
    backwards = c.a.direction == "reverse" or direction == 1
    dtype = c.type().dtype.compute
    lengths = [c.input(index) for index in c.present(4)]
    x = _turned(c, c.wide(0), lengths) if backwards else c.wide(0)
    w, recurrence, bias = (_entry(c, index, direction) for index in (1, 2, 3))
    (gates,) = c.static(c.type(1).shape[1:2], "a number of gates")
    projected = product(c, x, w, dtype, transpose_b=True)
    if bias is not None:
        projected = c.map("x + b", dtype, {"x": projected, "b": _part(c, bias, 0, 0, gates)})
        bias = _part(c, bias, 0, gates, 2 * gates)
    peephole = _entry(c, 7, direction) if states == 2 else None
    cell = _Cell(c, dtype, recurrence, bias, peephole, activations)
    start = [_entry(c, 5 + i, direction) for i in range(states)]
    zeros = c.te(
        lambda shape: compute(shape, lambda *i: constant(0, dtype)),
        c.sizes((c.type().shape[1], c.a.hidden_size)),
    )
    state = tuple(zeros if entry is None else entry for entry in start)
    outputs = []
    for at in range(time):
        changed = step(cell, _row(c, projected, at), state)
        output = changed[0]
        if lengths:
            kept = c.constant(np.array(at, np.int32))
            output = _while_active(c, lengths[0], kept, output, None, dtype)
            changed = tuple(
                _while_active(c, lengths[0], kept, new, old, dtype)
                for new, old in zip(changed, state)
            )
        state = changed
        outputs.append(output)
    y = _stacked(c, outputs, 0)
    return _turned(c, y, lengths) if backwards else y, state


def _row(c: Context, x: Expr, at: int) -> Expr:
    return c.te(lambda x: compute(x.shape[1:], lambda *i: x(at, *i)), x)


def _while_active(
    c: Context, lengths: Expr, step: Expr, new: Expr, old: Expr | None, dtype: DType
) -> Expr:
    """``new`` for those entries of the batch that have this step, else ``old`` or 0."""

    def function(lengths: Tensor, step: Tensor, new: Tensor, olds: Sequence[Tensor]) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            rest = olds[0](*index) if olds else constant(0, dtype)
            return select(tirx.Cast("int32", lengths(index[0])) > step(), new(*index), rest)

        return compute(new.shape, element)

    return c.te(function, lengths, step, new, [] if old is None else [old])


def _turned(c: Context, x: Expr, lengths: Sequence[Expr]) -> Expr:
    """Time steps turned around, for every entry of the batch those that it has."""

    def function(x: Tensor, lengths: Sequence[Tensor]) -> Tensor:
        def element(t: Scalar, batch: Scalar, *rest: Scalar) -> Scalar:
            count = tirx.Cast("int64", lengths[0](batch)) if lengths else x.shape[0]
            return x(select(t < count, count - 1 - t, t), batch, *rest)

        return compute(x.shape, element)

    return c.te(function, x, list(lengths))
