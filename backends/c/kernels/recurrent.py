"""Recurrent layers: LSTM, GRU and the plain recurrent cell, one batch entry after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from burnish.ir import scalar
from burnish.ir.ops.recurrent import gate_activations

from ..code import Expr, conditional, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .products import DOTS, Span, best_step, dot_products, tiles
from .recurrent_cells import Cell, CellMath, GRUCell, LSTMCell, PlainCell


@dataclass(frozen=True, slots=True)
class _Factor:
    """Weights [rows, n] to be multiplied with a vector [n], and a bias [rows] to be added."""

    weights: Buffer
    vector: Buffer
    bias: Buffer | None


@dataclass(frozen=True, slots=True)
class _Direction:
    """What a time step in one direction reads and changes.

    ``w`` [gates·H, I], ``r`` [gates·H, H]; ``wb``, ``rb`` [gates·H] and ``p`` [3·H] may be
    absent; ``states`` are the hidden state [H] and an LSTM's cell state after it.
    """

    hidden: int
    activations: Sequence[scalar.Expr]
    w: Buffer
    r: Buffer
    wb: Buffer | None
    rb: Buffer | None
    p: Buffer | None
    states: Sequence[Buffer]
    gates: Buffer
    spare: Buffer | None

    def factors(self, x: Buffer, h: Buffer) -> tuple[_Factor, _Factor]:
        """Products of the input weights with ``x`` and of the state weights with ``h``."""
        return _Factor(self.w, x, self.wb), _Factor(self.r, h, self.rb)


class _Recurrent(KernelFamily):
    """Direction by direction and entry by entry: the state stays in scratch over all time steps.

    A step multiplies the weights with the input and the state into the gates, some rows at a
    time, and then updates the state element by element.
    """

    cell: ClassVar[Cell]
    spares: ClassVar[int] = 0
    """Further vectors [H] a step needs."""

    def step(self, k: KernelBuilder, d: _Direction, x: Buffer) -> None:
        """Update the states by one time step with the input ``x`` [I]."""
        _multiply(k, d.gates, 0, range(self.cell.gates * d.hidden), *d.factors(x, d.states[0]))
        self.update(k, d)

    def update(self, k: KernelBuilder, d: _Direction) -> None:
        """Update the states from the gates."""
        with k.loop("i", d.hidden) as i:
            self.cell.update(_ElementMath(k, d, i))

    def emit(self, k: KernelBuilder) -> None:
        a, work = k.attributes, k.operand("x").dtype.compute
        expressions = gate_activations(a)
        size: int = a.hidden_size
        states = [k.scratch(name, work, (size,)) for name in ("h", "cell")[: self.cell.states]]
        gates = k.scratch("gates", work, (self.cell.gates * size,))
        spare = k.scratch("spare", work, (self.spares * size,)) if self.spares else None
        count = k.operand("w").shape[0]
        first, second = expressions[: self.cell.functions], expressions[self.cell.functions :]
        with k.loop("d", count if first == second else 1) as d:
            self._direction(k, d, first, states, gates, spare)
        if count == 2 and first != second:
            self._direction(k, index(1), second, states, gates, spare)

    def _direction(
        self,
        k: KernelBuilder,
        d: Expr,
        activations: Sequence[scalar.Expr],
        states: Sequence[Buffer],
        gates: Buffer,
        spare: Buffer | None,
    ) -> None:
        x, w, r, b = k.operand("x"), k.operand("w"), k.operand("r"), k.optional("b")
        rows, size = self.cell.gates * k.attributes.hidden_size, k.attributes.hidden_size
        time, batch, inputs = x.shape
        bias = (
            [None, None]
            if b is None
            else [
                k.view(name, b, b.offset([d, start]), (rows,))
                for name, start in (("input_bias", 0), ("state_bias", rows))
            ]
        )
        p = k.optional("p") if self.cell.states == 2 else None
        direction = _Direction(
            size,
            activations,
            k.view("input_weights", w, w.offset([d, 0, 0]), (rows, inputs)),
            k.view("state_weights", r, r.offset([d, 0, 0]), (rows, size)),
            bias[0],
            bias[1],
            None if p is None else k.view("peepholes", p, p.offset([d, 0]), (3 * size,)),
            states,
            gates,
            spare,
        )
        backwards = (
            d.equals(1)
            if k.attributes.direction == "bidirectional"
            else index(int(k.attributes.direction == "reverse"))
        )
        with k.loop("n", batch) as n:
            self._start(k, d, n, states)
            length = self._length(k, n)
            with k.loop("step", length) as step:
                t = index(0)
                if time != 1:
                    t = k.let_index("t", conditional(backwards, length - 1 - step, step))
                self.step(k, direction, k.view("now", x, x.offset([t, n, 0]), (inputs,)))
                with k.loop("i", size) as i:
                    k.store([t, d, n, i], k.load(states[0], [i]))
            with k.loop("t", time, start=length) as t, k.loop("i", size) as i:
                k.store([t, d, n, i], k.literal(0, states[0].dtype))
            for number, state in enumerate(states, start=1):
                with k.loop("i", size) as i:
                    k.store([d, n, i], k.load(state, [i]), number)

    def _start(self, k: KernelBuilder, d: Expr, n: Expr, states: Sequence[Buffer]) -> None:
        names = ("initial_h", "initial_c")
        for state, name in zip(states, names):
            given = k.optional(name)
            with k.loop("i", state.shape[0]) as i:
                first = k.literal(0, state.dtype) if given is None else k.load(given, [d, n, i])
                k.write(state, [i], first)

    def _length(self, k: KernelBuilder, n: Expr) -> Expr:
        lengths, time = k.optional("sequence_lengths"), k.operand("x").shape[0]
        if lengths is None:
            return index(time)
        length = k.let_index("length", lengths.at([n]))
        k.fail_when((length < 0) | (index(time) < length))
        return length


class _ElementMath(CellMath):
    """Arithmetic for element ``i`` of the state."""

    def __init__(self, k: KernelBuilder, d: _Direction, i: Expr) -> None:
        super().__init__(k, d.gates.dtype, d.activations)
        self.d, self.i = d, i

    def evaluate(self, expression: str | scalar.Expr, **values: Expr) -> Expr:
        return self.k.value(expression, self.dtype, **values)

    def let(self, name: str, value: Expr) -> Expr:
        return self.k.let(name, self.dtype, value)

    def gate(self, number: int) -> Expr:
        return self.k.load(self.d.gates, [number * self.d.hidden + self.i])

    def state(self, number: int) -> Expr:
        return self.k.load(self.d.states[number], [self.i])

    def set_state(self, number: int, value: Expr) -> None:
        self.k.write(self.d.states[number], [self.i], value)

    def recalled(self) -> Expr:
        assert self.d.spare is not None
        return self.k.load(self.d.spare, [self.i])

    def peephole(self, number: int) -> Expr | None:
        if self.d.p is None:
            return None
        return self.k.load(self.d.p, [number * self.d.hidden + self.i])


def _multiply(k: KernelBuilder, into: Buffer, shift: int, rows: range, *factors: _Factor) -> None:
    """``into[row - shift]`` = Σ over the factors weights[row] · vector + bias[row]."""
    work, count = into.dtype, best_step(len(rows), DOTS)
    with tiles(k, "j", len(rows), count) as span:
        row = span.start + rows.start
        sums = k.local("sum", work, (count,))
        with k.loop("r", count) as r:
            total = k.literal(0, work)
            for number, bias in enumerate(f.bias for f in factors if f.bias is not None):
                value = k.load(bias, [row + r])
                total = k.value("a + b", work, a=total, b=value) if number else value
            k.write(sums, [r], total)
        for factor in factors:
            _add_dots(k, sums, span, factor, row)
        with k.loop("r", count) as r:
            k.write(into, [row - shift + r], k.load(sums, [r]))


def _add_dots(k: KernelBuilder, sums: Buffer, span: Span, factor: _Factor, row: Expr) -> None:
    dot_products(
        k,
        factor.vector.shape[0],
        sums,
        span,
        lambda i: k.load(factor.vector, [i]),
        lambda r, i: k.load(factor.weights, [row + r, i]),
    )


@register
class RNN(_Recurrent):
    """The plain recurrent cell."""

    name = "rnn"
    ops = ("nn.rnn",)
    cell = PlainCell()


@register
class LSTM(_Recurrent):
    """One product for all gates."""

    name = "lstm"
    ops = ("nn.lstm",)
    cell = LSTMCell()


@register
class GRU(_Recurrent):
    """The hidden gate's product with the state is a separate one."""

    name = "gru"
    ops = ("nn.gru",)
    cell = GRUCell()
    spares = 1

    def step(self, k: KernelBuilder, d: _Direction, x: Buffer) -> None:
        (h,), size, recalled = d.states, d.hidden, d.spare
        assert recalled is not None
        _multiply(k, d.gates, 0, range(2 * size), *d.factors(x, h))
        hidden = range(2 * size, 3 * size)
        if k.attributes.linear_before_reset:
            k.comment("The reset gate scales what the hidden gate sees of the state.")
            from_input, from_state = d.factors(x, h)
            _multiply(k, recalled, hidden.start, hidden, from_state)
            _multiply(k, d.gates, 0, hidden, from_input)
        else:
            k.comment("The hidden gate sees the state scaled by the reset gate.")
            with k.loop("i", size) as i:
                k.write(recalled, [i], GRUCell().scaled(_ElementMath(k, d, i)))
            _multiply(k, d.gates, 0, hidden, *d.factors(x, recalled))
        self.update(k, d)
