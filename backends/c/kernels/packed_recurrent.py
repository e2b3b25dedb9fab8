"""Recurrent layers over vectors: one product for the inputs of all time steps, one per step.

The products with the inputs do not wait for the state, so they are taken for all steps at once, by
tiles of steps and gates.  What is left for a step is one product of the states with the recurrence
weights, and the activations of all gates, for a vector of neighbours in the state at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from burnish.ir import DType, Layout, Op, scalar
from burnish.ir.ops.recurrent import gate_activations

from ..code import Expr, Index, binary, conditional, index
from ..isa import Isa
from ..vectors import VectorRenderer, is_vector_expression
from .blocked import flat, is_static_float
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register
from .packed_matmul import product_shape
from .packed_products import ProductWriter, Total
from .recurrent_cells import Cell, CellMath, GRUCell, LSTMCell, PlainCell
from .strided import static
from .unit import Unit

ACTIVATION_CYCLES = 12.0
"""Of one activation of a vector."""


def packed_rows(lanes: int) -> Layout:
    """How weights [directions, gates·H, n] are packed: rows in blocks, innermost."""
    return Layout((0, 1, 2), ((1, lanes),))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of a layer; ``gates`` counts rows of the weights."""

    time: int
    batch: int
    inputs: int
    hidden: int
    gates: int
    lanes: int

    @staticmethod
    def of(op: Op, lanes: int) -> _Sizes:
        time, batch, inputs = static(op.inputs[0].type.shape)
        _, gates, hidden = static(op.inputs[2].type.shape)
        return _Sizes(time, batch, inputs, hidden, gates, lanes)

    def padded(self, count: int) -> int:
        """``count`` up to whole vectors."""
        return -(-count // self.lanes) * self.lanes

    @property
    def row(self) -> int:
        """Elements from one row of gates to the next.

        A vector may begin at any gate's last whole or partial block, and is loaded as a whole.
        """
        return self.padded(self.gates + (self.lanes - 1 if self.hidden % self.lanes else 0))

    def cycles(self, cell: Cell, isa: Isa) -> float:
        """An estimate of one direction's time."""
        project = product_shape(self.time * self.batch, self.inputs, self.gates, self.lanes)
        recur = product_shape(self.batch, self.hidden, self.gates, self.lanes)
        vectors = self.padded(self.hidden) // self.lanes * self.batch
        activations = vectors * (cell.gates + cell.states - 1) * ACTIVATION_CYCLES
        return project.cycles(isa) + self.time * (recur.cycles(isa) + activations)


class _PackedRecurrent(KernelFamily):
    """Constant weights in blocks of rows; inputs, states and results lie as they always do."""

    cell: ClassVar[Cell]
    storage = Storage.LAID_OUT

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        w, r = op.inputs[1:3]
        if w.constant is None or r.constant is None or self._not_in_vectors(op):
            return ()
        packed = packed_rows(isa.lanes)
        operands = (None, packed, packed, *[None] * (len(op.operands) - 3))
        cycles = static(w.type.shape)[0] * _Sizes.of(op, isa.lanes).cycles(self.cell, isa)
        return [LaidOut(operands, (None,) * len(op.results), cycles)]

    def _not_in_vectors(self, op: Op) -> str:
        floats = [v.type for v in (*op.inputs, *op.results) if v.type.dtype is not DType.I32]
        if not is_static_float(*floats):
            return "of these types"
        if not all(map(is_vector_expression, gate_activations(op.attributes))):
            return "with these activations"
        return ""

    def refusal(self, unit: Unit) -> str:
        op, packed = unit.main, packed_rows(unit.isa.lanes)
        for number, value in enumerate(op.operands):
            expected = packed if number in (1, 2) else None
            if not unit.isa.has_vectors or (value and value.type.layout != expected):
                return "with weights that are not packed"
        if any(value.type.layout is not None for value in op.results):
            return "with results in a layout"
        return self._not_in_vectors(op)

    def emit(self, k: KernelBuilder) -> None:
        expressions, count = gate_activations(k.attributes), k.operand("w").shape[0]
        first, second = expressions[: self.cell.functions], expressions[self.cell.functions :]
        writer = _Writer(k, self.cell)
        writer.find_longest()
        with k.loop("d", count if first == second else 1, parallel=True) as d:
            writer.direction(d, first)
        if count == 2 and first != second:
            with k.alone():
                writer.direction(index(1), second)


class _Writer:
    """Writes one kernel.

    ``projected`` [time·batch, row] are the gates' shares of the inputs with all biases, ``gates``
    [batch, row] those of the states, ``states`` [batch, H in whole vectors].
    """

    def __init__(self, k: KernelBuilder, cell: Cell) -> None:
        self.k, self.cell = k, cell
        self.v = VectorRenderer(k.isa.lanes, k.helper)
        self.sizes = s = _Sizes.of(k.op, k.isa.lanes)
        self.block = s.padded(s.hidden)
        self.is_gru = isinstance(cell, GRUCell)
        self.splits = self.is_gru and not k.attributes.linear_before_reset
        """Whether the hidden gate's product waits for the reset gate."""
        self.projected = k.scratch("projected", DType.F32, (s.time * s.batch, s.row))
        self.gates = k.scratch("gates", DType.F32, (s.batch, s.row))
        names = ("h", "cell")[: cell.states]
        self.states = [k.scratch(name, DType.F32, (s.batch, self.block)) for name in names]
        self.peepholes: Buffer | None = None
        self.bias: Buffer | None = None
        self.state_bias: Buffer | None = None
        if k.optional("b") is not None:
            self.bias = k.scratch("bias", DType.F32, (s.row,))
            if self.is_gru and not self.splits:
                self.state_bias = k.scratch("state_bias", DType.F32, (self.block,))
        if cell.states == 2 and k.optional("p") is not None:
            self.peepholes = k.scratch("peepholes", DType.F32, (2 * s.hidden + self.block,))
        if self.splits:
            self.scaled = k.scratch("scaled", DType.F32, (s.batch, self.block))
            self.hidden_gate = k.scratch("hidden_gate", DType.F32, (s.batch, s.row))
        self.longest: Index = s.time

    def find_longest(self) -> None:
        """Check the lengths of all entries; no step after the longest is taken."""
        k, lengths = self.k, self.k.optional("sequence_lengths")
        if lengths is None:
            return
        longest = k.index_variable("longest", 0)
        with k.loop("n", self.sizes.batch) as n:
            length = self._length(n)
            k.fail_when((length < 0) | (index(self.sizes.time) < length))
            k.assign(longest, conditional(longest < length, length, longest))
        self.longest = longest

    def _length(self, n: Expr) -> Expr:
        lengths = self.k.optional("sequence_lengths")
        if lengths is None:
            return index(self.sizes.time)
        return self.k.let_index("length", lengths.at([n]))

    def direction(self, d: Expr, activations: Sequence[scalar.Expr]) -> None:
        """All time steps in one direction."""
        k, s = self.k, self.sizes
        self._start(d)
        k.comment("The inputs' shares of all gates, for all time steps.")
        x = k.operand("x").reshaped((s.time * s.batch, s.inputs))
        weights = self._weights("w", d)
        self._product(x, s.inputs, weights, range(s.gates), self.projected, self.bias)
        state_weights = self._weights("r", d)
        with k.loop("step", self.longest) as step:
            self._step(d, step, state_weights, activations)
        if k.optional("sequence_lengths") is not None:
            with k.loop("n", s.batch) as n:
                rest = k.loop("t", s.time, start=self._length(n))
                with rest as t, k.loop("i", s.hidden) as i:
                    k.store([t, d, n, i], k.literal(0, DType.F32))
        for number, state in enumerate(self.states, start=1):
            with k.loops("n i", (s.batch, s.hidden)) as (n, i):
                k.store([d, n, i], k.load(state, [n, i]), number)

    def _start(self, d: Expr) -> None:
        """First states, biases and peepholes of a direction, padded to whole vectors."""
        k, s = self.k, self.sizes
        for state, name in zip(self.states, ("initial_h", "initial_c")):
            given = k.optional(name)
            with k.loops("n i", (s.batch, s.hidden)) as (n, i):
                first = k.literal(0, DType.F32) if given is None else k.load(given, [d, n, i])
                k.write(state, [n, i], first)
        b, p = k.optional("b"), k.optional("p") if self.peepholes else None
        if b is not None and self.bias is not None:
            apart = s.gates if self.state_bias is None else s.gates - s.hidden
            with k.loop("i", apart) as i:
                values = {"a": k.load(b, [d, i]), "b": k.load(b, [d, i + s.gates])}
                k.write(self.bias, [i], k.value("a + b", DType.F32, **values))
            with k.loop("i", s.gates, start=apart) as i:
                k.write(self.bias, [i], k.load(b, [d, i]))
            if self.state_bias is not None:
                with k.loop("i", s.hidden) as i:
                    k.write(self.state_bias, [i], k.load(b, [d, i + (s.gates + apart)]))
        if p is not None and self.peepholes is not None:
            with k.loop("i", 3 * s.hidden) as i:
                k.write(self.peepholes, [i], k.load(p, [d, i]))

    def _weights(self, name: str, d: Expr) -> Buffer:
        """The packed weights of a direction."""
        weights = self.k.operand(name)
        memory = flat(weights)
        size = memory.shape[0] // weights.shape[0]
        return self.k.view(f"{name}_packed", memory, d * size, (size,))

    def _product(
        self,
        x: Buffer,
        depth: int,
        weights: Buffer,
        rows: range,
        into: Buffer,
        bias: Buffer | None = None,
    ) -> None:
        """``into[:, row]`` = Σ x[:, c] weights[row, c] + bias[row] for blocks with these rows.

        ``depth`` elements of each row of x are multiplied.
        """
        k, lanes = self.k, self.sizes.lanes
        count, step = static(x.shape)
        first = rows.start // lanes
        shape = product_shape(count, depth, rows.stop - first * lanes, lanes, step)
        packed = k.view("part", weights, first * lanes * depth, weights.shape)

        def finish(totals: Sequence[Total]) -> None:
            for total in totals:
                place = into.at([total.windows[0], (total.block + first) * lanes])
                k.statement(self.v.store(place, total.value))

        ProductWriter(k, shape, x, packed, bias, finish).emit()

    def _step(
        self, d: Expr, step: Expr, weights: Buffer, activations: Sequence[scalar.Expr]
    ) -> None:
        """One time step of all entries that have one."""
        s, h, size = self.sizes, self.states[0], self.sizes.hidden
        if self.splits:
            self._product(h, size, weights, range(2 * size), self.gates)
            with self._places(d, step, activations) as m:
                m.write(self.scaled, GRUCell().scaled(m))
            hidden = range(2 * size, s.gates)
            self._product(self.scaled, size, weights, hidden, self.hidden_gate)
        else:
            self._product(h, size, weights, range(s.gates), self.gates)
        with self._places(d, step, activations) as m:
            self.cell.update(m)
            m.result()

    @contextmanager
    def _places(
        self, d: Expr, step: Expr, activations: Sequence[scalar.Expr]
    ) -> Iterator[_VectorMath]:
        """Loops over vectors of the states of all entries that have such a step."""
        k, s = self.k, self.sizes
        with k.loop("n", s.batch) as n:
            length = self._length(n)
            with k.when(step < length if k.optional("sequence_lengths") else index(1)):
                t = index(0)
                if s.time != 1:
                    backwards = index(int(k.attributes.direction == "reverse"))
                    if k.attributes.direction == "bidirectional":
                        backwards = d.equals(1)
                    t = k.let_index("t", conditional(backwards, length - 1 - step, step))
                with k.loop("i", self.block, step=s.lanes) as i:
                    yield _VectorMath(self, activations, (t, d, n, i))


class _VectorMath(CellMath):
    """Arithmetic for the vector of a state that begins at ``i``."""

    def __init__(
        self,
        writer: _Writer,
        activations: Sequence[scalar.Expr],
        at: tuple[Expr, Expr, Expr, Expr],
    ) -> None:
        super().__init__(writer.k, DType.F32, activations)
        self.writer, self.v, self.sizes = writer, writer.v, writer.sizes
        self.t, self.d, self.n, self.i = at

    def _load(self, buffer: Buffer, at: Sequence[Index]) -> Expr:
        return self.v.load(buffer.at(at))

    def write(self, buffer: Buffer, value: Expr) -> None:
        """Write the vector of a buffer [batch, H]."""
        self.k.statement(self.v.store(buffer.at([self.n, self.i]), value))

    def evaluate(self, expression: str | scalar.Expr, **values: Expr) -> Expr:
        if isinstance(expression, str):
            return self.v.evaluate(expression, **values)
        return self.v.render(expression, values)

    def let(self, name: str, value: Expr) -> Expr:
        return self.k.declare(f"const {self.v.type}", name, value)

    def gate(self, number: int) -> Expr:
        w, place = self.writer, number * self.sizes.hidden + self.i
        total = self._load(w.projected, [self.t * self.sizes.batch + self.n, place])
        if w.is_gru and number == 2:
            if not w.splits:
                return total
            return binary("+", total, self._load(w.hidden_gate, [self.n, place]))
        return binary("+", total, self._load(w.gates, [self.n, place]))

    def state(self, number: int) -> Expr:
        return self._load(self.writer.states[number], [self.n, self.i])

    def set_state(self, number: int, value: Expr) -> None:
        self.write(self.writer.states[number], value)

    def recalled(self) -> Expr:
        w = self.writer
        product = self._load(w.gates, [self.n, 2 * self.sizes.hidden + self.i])
        if w.state_bias is None:
            return product
        return binary("+", product, self._load(w.state_bias, [self.i]))

    def peephole(self, number: int) -> Expr | None:
        if self.writer.peepholes is None:
            return None
        return self._load(self.writer.peepholes, [number * self.sizes.hidden + self.i])

    def result(self) -> None:
        """Copy the new hidden state to the result, the last vector as far as it goes."""
        k, s = self.k, self.sizes
        at, state = [self.t, self.d, self.n, self.i], self.writer.states[0]
        rest = s.hidden % s.lanes
        with k.branch(self.i <= s.hidden - s.lanes if rest else index(1)) as (whole, part):
            with whole:
                k.statement(self.v.store(k.results[0].at(at), self.state(0)))
            with part, k.loop("lane", rest) as lane:
                k.store([*at[:3], self.i + lane], k.load(state, [self.n, self.i + lane]))


@register
class PackedRNN(_PackedRecurrent):
    """The plain recurrent cell."""

    name = "packed_rnn"
    ops = ("nn.rnn",)
    cell = PlainCell()


@register
class PackedGRU(_PackedRecurrent):
    """One product per step, or two where the reset gate scales the state itself."""

    name = "packed_gru"
    ops = ("nn.gru",)
    cell = GRUCell()


@register
class PackedLSTM(_PackedRecurrent):
    """One product per step for all gates."""

    name = "packed_lstm"
    ops = ("nn.lstm",)
    cell = LSTMCell()
