"""The report as data: what was compiled into what, at which cost.

Plain dataclasses of numbers and texts, so that a report can be saved as JSON, compared, and
drawn.  A count that depends on a symbolic dimension is text, such as ``"12*seq"``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

Count: TypeAlias = int | str
"""A number, or an expression over symbolic dimensions."""


@dataclass(frozen=True)
class Port:
    """An input or output of the model."""

    name: str
    type: str


@dataclass(frozen=True)
class Layer:
    """One op of the final program, or one fused group.

    Attributes:
        op: name of the op; of a group, names of its ops joined by " + ".
        kernel: kernel family that computes it; empty where the backend has none.
        nodes: nodes of the ONNX model it stands for.
        results: types of its results.
        macs, flops: multiply-accumulates, and other arithmetic operations.
        moved: bytes read and written when every operand and result is touched once.
        parameters: elements of its constant operands.
        parameter_bytes: their bytes.
    """

    op: str
    kernel: str
    nodes: tuple[str, ...]
    results: tuple[str, ...]
    macs: Count
    flops: Count
    moved: Count
    parameters: int
    parameter_bytes: int


@dataclass(frozen=True)
class Buffer:
    """A stretch of the arena: ``offset`` to ``offset + bytes``, from step ``first`` to ``last``."""

    name: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Memory:
    """The plan of the activation memory, in bytes.

    Attributes:
        arena: bytes of the arena, which holds what flows between the layers.
        inputs, outputs: bytes of the model's inputs and outputs, which the caller provides; of
            dynamic dimensions at their greatest sizes.
        peak: most bytes live at one step.
        lower_bound: no plan for this order of ops needs less.
        peak_step: the first step at which ``peak`` is live.
        live_at_peak: the buffers live then, largest first.
        steps: how many steps the program has.
        buffers: all buffers, in order of their first step.
    """

    arena: int
    inputs: int
    outputs: int
    peak: int
    lower_bound: int
    peak_step: int
    live_at_peak: tuple[str, ...]
    steps: int
    buffers: tuple[Buffer, ...]

    @property
    def ram(self) -> int:
        """Arena, inputs and outputs together."""
        return self.arena + self.inputs + self.outputs


@dataclass(frozen=True)
class PassRun:
    """What one pass did.  ``seconds`` is 0 in a saved report, which must be reproducible."""

    name: str
    seconds: float
    ops_before: int
    ops_after: int
    rewrites: dict[str, int]


@dataclass(frozen=True)
class KernelChoice:
    """How an op with sparse weights is computed, and why.

    Attributes:
        op, nodes: the op, and the nodes of the ONNX model it stands for.
        weights: the type of its weights, which tells the pattern of their zeros.
        chosen: what was chosen: ``dense``, or how zeros are left out.
        cycles: estimates by name, of each kernel alone; conversions of layouts count beside them.
    """

    op: str
    nodes: tuple[str, ...]
    weights: str
    chosen: str
    cycles: dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """Bytes of what was emitted.

    Attributes:
        weights: constants that go into flash.
        code: machine code of the target's compiler, when it was measured.
        files: size of each file.
    """

    weights: int
    code: int | None
    files: dict[str, int]

    @property
    def flash(self) -> int:
        """Weights, and code as far as it was measured."""
        return self.weights + (self.code or 0)


@dataclass(frozen=True)
class Report:
    """Everything burnish knows about a compilation; see the parts."""

    model: str
    target: str
    version: str
    pipeline: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[Layer, ...]
    passes: tuple[PassRun, ...] = ()
    memory: Memory | None = None
    sizes: Sizes = field(default_factory=lambda: Sizes(0, None, {}))
    choices: tuple[KernelChoice, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> Count:
        """Multiply-accumulates of one run."""
        return total(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Elements of all constants that the program reads."""
        return sum(layer.parameters for layer in self.layers)

    def to_dict(self, *, timing: bool = True) -> dict[str, Any]:
        """The report as JSON-able data; without ``timing``, the same on every run."""
        data = dataclasses.asdict(self)
        if not timing:
            for run in data["passes"]:
                run["seconds"] = 0.0
        data["totals"] = {"macs": self.macs, "parameters": self.parameters}
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """The report that :meth:`to_dict` described.

        Raises:
            TypeError, KeyError, ValueError: ``data`` is no report.
        """
        report = _revive(cls, {key: value for key, value in data.items() if key != "totals"})
        assert isinstance(report, cls)
        return report

    def text(self, width: int = 100) -> str:
        """Tables for a terminal of ``width`` columns, without colours."""
        from .text import render

        return render(self, width)

    def html(self) -> str:
        """One self-contained page, the same on every run."""
        from .html import page

        return page(self)


def total(counts: Any) -> Count:
    """Sum of counts; symbolic parts stay an expression."""
    known, symbolic = 0, []
    for count in counts:
        if isinstance(count, int):
            known += count
        else:
            symbolic.append(count)
    if not symbolic:
        return known
    return " + ".join([*symbolic, *([str(known)] if known else [])])


def _revive(kind: Any, value: Any) -> Any:
    """Rebuild dataclasses and tuples from what JSON keeps of them."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _revive(hints[name], item) for name, item in value.items()})
    if get_origin(kind) is tuple:
        return tuple(_revive(get_args(kind)[0], item) for item in value)
    options = [option for option in get_args(kind) if dataclasses.is_dataclass(option)]
    if options and value is not None:
        return _revive(options[0], value)
    return value
