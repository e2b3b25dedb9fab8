"""What a time step of recurrent layers does to one element of the state, or to a vector of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from burnish.ir import Attributes, DType, scalar

from ..code import Expr
from .builder import KernelBuilder


class CellMath(ABC):
    """Arithmetic for one place of a direction's state.

    ``activations`` are those of the direction, and ``dtype`` is what is computed with.  Subclasses
    say whether a place is an element or a vector of neighbours, and where its values lie.
    """

    def __init__(self, k: KernelBuilder, dtype: DType, activations: Sequence[scalar.Expr]) -> None:
        self.k, self.dtype = k, dtype
        self.attributes: Attributes = k.attributes
        self.activations = activations

    @abstractmethod
    def evaluate(self, expression: str | scalar.Expr, **values: Expr) -> Expr:
        """A scalar expression over values at this place."""

    @abstractmethod
    def let(self, name: str, value: Expr) -> Expr:
        """``value`` under a name."""

    @abstractmethod
    def gate(self, number: int) -> Expr:
        """What is accumulated for a gate."""

    @abstractmethod
    def state(self, number: int) -> Expr:
        """The hidden state (0), or an LSTM's cell state (1): before the step, or since set."""

    @abstractmethod
    def set_state(self, number: int, value: Expr) -> None:
        """Give a state its value after the step."""

    @abstractmethod
    def recalled(self) -> Expr:
        """What a GRU's hidden gate gets from the state, where the reset gate scales that."""

    @abstractmethod
    def peephole(self, number: int) -> Expr | None:
        """The weight with which a gate sees the cell state."""

    def number(self, value: float) -> Expr:
        """A constant."""
        return self.k.literal(value, self.dtype)

    def activate(self, number: int, value: Expr) -> Expr:
        """Activation ``number`` of the direction, of ``value`` limited by the clip."""
        limit = self.attributes.clip
        if limit > 0:
            low, high = self.number(-limit), self.number(limit)
            value = self.evaluate("min(max(x, low), high)", x=value, low=low, high=high)
        return self.evaluate(self.activations[number], x=self.let("a", value))


class Cell(ABC):
    """A kind of layer: how many gates it has, and what it does with them.

    Attributes:
        gates: the gates, whose weights lie one after another.
        functions: activations per direction.
        states: 2 where there is a cell state beside the hidden one.
    """

    gates: int
    functions: int
    states: int = 1

    @abstractmethod
    def update(self, m: CellMath) -> None:
        """Set the states from the gates."""


class PlainCell(Cell):
    """h' = f(W·x + Wb + R·h + Rb)."""

    gates = 1
    functions = 1

    def update(self, m: CellMath) -> None:
        m.set_state(0, m.activate(0, m.gate(0)))


class GRUCell(Cell):
    """Gates in the order update, reset, hidden."""

    gates = 3
    functions = 2

    def scaled(self, m: CellMath) -> Expr:
        """The state scaled by the reset gate."""
        return m.evaluate("r * h", r=m.activate(0, m.gate(1)), h=m.state(0))

    def update(self, m: CellMath) -> None:
        total = m.gate(2)
        if m.attributes.linear_before_reset:
            reset = m.activate(0, m.gate(1))
            total = m.evaluate("x + r * s", x=total, r=reset, s=m.recalled())
        candidate = m.let("candidate", m.activate(1, total))
        update = m.let("update", m.activate(0, m.gate(0)))
        state = m.evaluate("(1 - z) * c + z * h", z=update, c=candidate, h=m.state(0))
        m.set_state(0, state)


class LSTMCell(Cell):
    """Gates in the order input, output, forget, cell."""

    gates = 4
    functions = 3
    states = 2

    def update(self, m: CellMath) -> None:
        old = m.let("old", m.state(1))
        into = m.let("into", self._gate(m, 0, old))
        if m.attributes.input_forget:
            kept = m.evaluate("1 - i", i=into)
        else:
            kept = m.let("kept", self._gate(m, 2, old))
        candidate = m.activate(1, m.gate(3))
        new = m.evaluate("f * old + i * c", f=kept, old=old, i=into, c=candidate)
        new = m.let("new", new)
        m.set_state(1, new)
        out = m.let("out", self._gate(m, 1, new))
        m.set_state(0, m.evaluate("o * c", o=out, c=m.activate(2, new)))

    def _gate(self, m: CellMath, number: int, cell: Expr) -> Expr:
        """A gate's value; through its peephole it sees the cell state."""
        total, weight = m.gate(number), m.peephole(number)
        if weight is not None:
            total = m.evaluate("x + p * c", x=total, p=weight, c=cell)
        return m.activate(0, total)
