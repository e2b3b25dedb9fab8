"""Recurrent layers: LSTM, GRU and the plain recurrent cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import scalar
from ..attributes import (
    BOOL,
    FLOAT,
    FLOATS,
    INT,
    AttributeKind,
    Attributes,
    BadAttributeError,
    choice,
)
from ..constants import Array
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import FLOATS as FLOAT_DTYPES
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_length, require_shape, widen


@dataclass(frozen=True, slots=True)
class Activation:
    """A gate's activation function, with ONNX's default parameters.

    ``expression`` is a scalar expression (see :mod:`burnish.ir.scalar`) over ``x`` and, where
    a default is given, ``alpha`` and ``beta``.
    """

    expression: str
    alpha: float | None = None
    beta: float | None = None


ACTIVATIONS = {
    "Affine": Activation("alpha * x + beta", 1.0, 0.0),
    "Elu": Activation("x if x > 0 else alpha * expm1(x)", 1.0),
    "HardSigmoid": Activation("min(max(alpha * x + beta, 0), 1)", 0.2, 0.5),
    "LeakyRelu": Activation("alpha * x if x < 0 else x", 0.01),
    "Relu": Activation("max(x, 0)"),
    "ScaledTanh": Activation("alpha * tanh(beta * x)", 1.0, 1.0),
    "Sigmoid": Activation("1 / (1 + exp(-x))"),
    "Softplus": Activation("max(x, 0) + log1p(exp(-abs(x)))"),
    "Softsign": Activation("x / (1 + abs(x))"),
    "Tanh": Activation("tanh(x)"),
    "ThresholdedRelu": Activation("x if x > alpha else 0", 1.0),
}
"""By ONNX's name; attributes take them in any case."""

_SPELLING = {name.lower(): name for name in ACTIVATIONS}


def _activation_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise BadAttributeError(f"expected a list of activations, got {value!r}")
    names = tuple(value)
    for name in names:
        if not isinstance(name, str) or name.lower() not in _SPELLING:
            raise BadAttributeError(f"expected one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return tuple(_SPELLING[name.lower()] for name in names)


ACTIVATION_NAMES = AttributeKind("activations", _activation_names)


def gate_activations(a: Attributes) -> list[scalar.Expr]:
    """The activations of a recurrent op as scalar expressions over ``x``, in order.

    ``activation_alpha`` and ``activation_beta`` go, one after another, to the activations
    that have such a parameter; the rest keep ONNX's defaults (onnxruntime's rule).
    """
    alphas, betas = iter(a.activation_alpha), iter(a.activation_beta)
    expressions = []
    for name in a.activations:
        activation = ACTIVATIONS[name]
        values: dict[str, scalar.Expr] = {}
        if activation.alpha is not None:
            values["alpha"] = scalar.Literal(next(alphas, activation.alpha))
        if activation.beta is not None:
            values["beta"] = scalar.Literal(next(betas, activation.beta))
        expressions.append(scalar.substitute(scalar.parse(activation.expression), values))
    return expressions


@dataclass(frozen=True)
class _Cell:
    """One direction's weights and functions, in the compute type, ready for its steps."""

    a: Attributes
    recurrence: Array
    """[gates·H, H]"""
    bias: Array
    """[2·gates·H]: that of the input, then that of the recurrence."""
    peephole: Array | None
    activations: list[scalar.Expr]

    def activate(self, index: int, x: Array) -> Array:
        """Activation ``index`` of this direction, of ``x`` limited by the clip."""
        if self.a.clip > 0:
            x = np.clip(x, -self.a.clip, self.a.clip)
        return scalar.evaluate(self.activations[index], {"x": x}, DType.from_numpy(x.dtype))


State = tuple[Array, ...]
"""Hidden state [batch, H]; an LSTM's cell state after it."""


class _Recurrent(OpDef):
    """What the three layers share; ``_step`` says how one time step changes the state."""

    gates: ClassVar[int]
    functions: ClassVar[int]
    """Activations per direction."""
    states: ClassVar[int] = 1

    x = operand("input [time, batch, I]", dtypes=FLOAT_DTYPES, rank=3, group="T")
    w = operand("input weights [directions, gates·H, I]", dtypes=FLOAT_DTYPES, rank=3, group="T")
    r = operand(
        "recurrence weights [directions, gates·H, H]", dtypes=FLOAT_DTYPES, rank=3, group="T"
    )
    b = operand(
        "input bias, then recurrence bias [directions, 2·gates·H]",
        dtypes=FLOAT_DTYPES,
        rank=2,
        optional=True,
        group="T",
    )
    sequence_lengths = operand(
        "time steps of each batch entry [batch]; all when absent",
        dtypes={DType.I32},
        rank=1,
        optional=True,
    )
    initial_h = operand(
        "first hidden state [directions, batch, H]; 0 when absent",
        dtypes=FLOAT_DTYPES,
        rank=3,
        optional=True,
        group="T",
    )
    hidden_size = attribute(INT, "H, the size of the hidden state")
    direction = attribute(
        choice("forward", "reverse", "bidirectional"), "order of the time steps", "forward"
    )
    activations = attribute(ACTIVATION_NAMES, "functions of the gates, for each direction")
    activation_alpha = attribute(FLOATS, "alpha of those activations that have one, in order", ())
    activation_beta = attribute(FLOATS, "beta of those activations that have one, in order", ())
    clip = attribute(FLOAT, "limit of what activations are applied to; 0 for none", 0.0)

    def infer(
        self,
        a: Attributes,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None,
        sequence_lengths: TensorType | None,
        initial_h: TensorType | None,
        *more: TensorType | None,
    ) -> list[TensorType]:
        time, batch, inputs = x.shape
        directions = 2 if a.direction == "bidirectional" else 1
        hidden: int = a.hidden_size
        if hidden < 1:
            raise TypeInferenceError(f"hidden_size is {hidden}, needs 1 at least")
        require_length(a.activations, directions * self.functions, "activations")
        require_shape(w, [directions, self.gates * hidden, inputs], "w")
        require_shape(r, [directions, self.gates * hidden, hidden], "r")
        require_shape(b, [directions, 2 * self.gates * hidden], "b")
        require_shape(sequence_lengths, [batch], "sequence_lengths")
        state = (directions, batch, hidden)
        require_shape(initial_h, state, "initial_h")
        if more:
            initial_c, p = more
            require_shape(initial_c, state, "initial_c")
            require_shape(p, [directions, 3 * hidden], "p")
        y = TensorType((time, directions, batch, hidden), x.dtype)
        return [y, *[TensorType(state, x.dtype)] * self.states]

    def evaluate(
        self,
        a: Attributes,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None,
        sequence_lengths: Array | None,
        initial_h: Array | None,
        initial_c: Array | None = None,
        p: Array | None = None,
    ) -> list[Array]:
        wide = widen(x)
        time, batch, _ = x.shape
        lengths = _lengths(sequence_lengths, time, batch)
        expressions = gate_activations(a)
        zeros = np.zeros((batch, a.hidden_size), wide.dtype)
        per_direction = []
        for index in range(w.shape[0]):
            cell = _Cell(
                a,
                widen(r[index]),
                np.zeros(2 * w.shape[1], wide.dtype) if b is None else widen(b[index]),
                None if p is None else widen(p[index]),
                expressions[index * self.functions : (index + 1) * self.functions],
            )
            given = (initial_h, initial_c)[: self.states]
            state = tuple(zeros if s is None else widen(s[index]) for s in given)
            backwards = a.direction == "reverse" or index == 1
            with np.errstate(all="ignore"):
                per_direction.append(
                    self._run(cell, wide, widen(w[index]), lengths, state, backwards)
                )
        y = np.stack([outputs for outputs, _ in per_direction], axis=1)
        final = [np.stack(states) for states in zip(*(state for _, state in per_direction))]
        return [narrow(result, x.dtype) for result in (y, *final)]

    def _run(
        self, cell: _Cell, x: Array, w: Array, lengths: Array, state: State, backwards: bool
    ) -> tuple[Array, State]:
        """All time steps in one direction: hidden states [time, batch, H] and the last state."""
        time, batch, _ = x.shape
        steps = np.arange(time)[:, np.newaxis]
        order = np.where(steps < lengths, lengths - 1 - steps, steps) if backwards else None
        everyone = np.arange(batch)
        if order is not None:
            x = x[order, everyone]
        projected = np.matmul(x, w.T) + cell.bias[: w.shape[0]]
        outputs = np.zeros((time, batch, cell.a.hidden_size), x.dtype)
        for step in range(time):
            active = (step < lengths)[:, np.newaxis]
            changed = self._step(cell, projected[step], state)
            state = tuple(np.where(active, new, old) for new, old in zip(changed, state))
            outputs[step] = np.where(active, state[0], 0)
        return outputs if order is None else outputs[order, everyone], state

    def _step(self, cell: _Cell, projected: Array, state: State) -> State:
        """The state after a step; ``projected`` [batch, gates·H] holds the input's share."""
        raise NotImplementedError

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        x, w, r = operands[:3]
        assert x is not None
        assert w is not None
        assert r is not None
        macs = x.shape[0] * x.shape[1] * (w.elements + r.elements)
        flops = results[0].elements * self.gates * 20
        return Cost(macs=macs, flops=flops, **traffic(operands, results))


def _lengths(sequence_lengths: Array | None, time: int, batch: int) -> Array:
    if sequence_lengths is None:
        return np.full(batch, time)
    if ((sequence_lengths < 0) | (sequence_lengths > time)).any():
        raise InputError(
            f"sequence lengths {sequence_lengths.tolist()} are not all between 0 and {time}"
        )
    return sequence_lengths.astype(np.int64)


@register
class RNN(_Recurrent):
    """Plain recurrent layer: h' = f(W·x + Wb + R·h + Rb) in each time step.  ONNX RNN, layout 0.

    Results are the hidden states of all steps [time, directions, batch, H] (0 beyond an
    entry's length) and the last ones [directions, batch, H].  The reverse direction starts
    at an entry's last step.
    """

    name = "nn.rnn"
    result_names = ("y", "y_h")
    gates = 1
    functions = 1

    def _step(self, cell: _Cell, projected: Array, state: State) -> State:
        (h,) = state
        bias = cell.bias[projected.shape[1] :]
        return (cell.activate(0, projected + h @ cell.recurrence.T + bias),)


@register
class GRU(_Recurrent):
    """Gated recurrent unit; gates in the order update z, reset r, hidden h.  ONNX GRU, layout 0.

    z = f(Wz·x + Rz·h + bias), r = f(Wr·x + Rr·h + bias), c = g(Wh·x + Rh·(r∘h) + bias), or with
    ``linear_before_reset`` c = g(Wh·x + Wbh + r∘(Rh·h + Rbh)); then h' = (1 - z)∘c + z∘h.
    Activations per direction: f, g.  Results as those of nn.rnn.
    """

    name = "nn.gru"
    result_names = ("y", "y_h")
    gates = 3
    functions = 2
    linear_before_reset = attribute(
        BOOL, "multiply by the recurrence weights before the reset gate", False
    )

    def _step(self, cell: _Cell, projected: Array, state: State) -> State:
        (h,) = state
        size = h.shape[1]
        bias = cell.bias[3 * size :]
        recurrent = h @ cell.recurrence[: 2 * size].T + bias[: 2 * size]
        gates = cell.activate(0, projected[:, : 2 * size] + recurrent)
        update, reset = gates[:, :size], gates[:, size:]
        hidden_weights, hidden_bias = cell.recurrence[2 * size :].T, bias[2 * size :]
        if cell.a.linear_before_reset:
            recalled = reset * (h @ hidden_weights + hidden_bias)
        else:
            recalled = (reset * h) @ hidden_weights + hidden_bias
        candidate = cell.activate(1, projected[:, 2 * size :] + recalled)
        return ((1 - update) * candidate + update * h,)


@register
class LSTM(_Recurrent):
    """Long short-term memory; gates in the order input i, output o, forget f, cell c.

    i = f(Wi·x + Ri·h + Pi∘C + bias), f likewise (or 1 - i with ``input_forget``),
    c = g(Wc·x + Rc·h + bias), C' = f∘C + i∘c, o = f(Wo·x + Ro·h + Po∘C' + bias), h' = o∘h(C').
    Activations per direction: f, g, h.  Results: the hidden states of all steps [time,
    directions, batch, H] (0 beyond an entry's length), the last hidden and the last cell
    state [directions, batch, H].  ONNX LSTM, layout 0.
    """

    name = "nn.lstm"
    result_names = ("y", "y_h", "y_c")
    gates = 4
    functions = 3
    states = 2
    initial_c = operand(
        "first cell state [directions, batch, H]; 0 when absent",
        dtypes=FLOAT_DTYPES,
        rank=3,
        optional=True,
        group="T",
    )
    p = operand(
        "peephole weights of i, o, f [directions, 3·H]; no peepholes when absent",
        dtypes=FLOAT_DTYPES,
        rank=2,
        optional=True,
        group="T",
    )
    input_forget = attribute(BOOL, "couple the input and forget gates", False)

    def _step(self, cell: _Cell, projected: Array, state: State) -> State:
        h, memory = state
        size = h.shape[1]
        total = projected + h @ cell.recurrence.T + cell.bias[4 * size :]
        into, out, forget, candidate = np.split(total, 4, axis=1)

        def peeped(gate: Array, index: int, memory: Array) -> Array:
            """The gate with its peephole; none is nothing, also where the memory is infinite."""
            weights = cell.peephole
            if weights is None:
                return gate
            return np.asarray(gate + weights[index * size : (index + 1) * size] * memory)

        i = cell.activate(0, peeped(into, 0, memory))
        f = 1 - i if cell.a.input_forget else cell.activate(0, peeped(forget, 2, memory))
        memory = f * memory + i * cell.activate(1, candidate)
        o = cell.activate(0, peeped(out, 1, memory))
        return o * cell.activate(2, memory), memory
