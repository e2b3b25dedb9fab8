"""Measuring the rates of this machine: kernels of typical sizes, timed alone."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from burnish.backends import find_target
from burnish.backends.c.isa import isa_of
from burnish.backends.c.kernels.blocked import blocked
from burnish.backends.c.machine import DEFAULT, Level, Machine, kind_of, work_of
from burnish.backends.c.timer import build_timer, run_timer
from burnish.ir import DType, Module, Op, build_function, tensor
from burnish.ir.errors import TargetError
from burnish.passes.layout import Offer

from .candidates import candidate

RUN_SECONDS = 0.04
"""For each run of a kernel."""

RUNS = 3
"""Of each kernel; the median counts.  What disturbs the machine can slow a kernel down, and also
the measurement of the peak that its cycles are counted with."""

Shape = Sequence[int]
Notify = Callable[[str, float], None]


def _op(name: str, x: Shape, *weights: Shape, **attributes: object) -> Op:
    """One op in a module of its own, with constant weights."""
    module = Module("probe")
    function, builder = build_function(module, "main", {"x": tensor(DType.F32, *x)}, ["y"])
    operands = [function.args[0]]
    operands += [builder.constant(np.full(shape, 0.5, np.float32)) for shape in weights]
    op = builder.create(name, operands, attributes)
    builder.ret(*op.results)
    return op


def _conv(channels: int, size: int, kernel: int, groups: int = 1) -> Op:
    weights = (channels, channels // groups, kernel, kernel)
    pads = [kernel // 2] * 4
    return _op("nn.conv", (1, channels, size, size), weights,
               strides=[1, 1], pads=pads, dilations=[1, 1], groups=groups)  # fmt: skip


def _gru(hidden: int) -> Op:
    weights = (1, 3 * hidden, hidden)
    return _op("nn.gru", (16, 1, hidden), weights, weights, hidden_size=hidden,
               activations=["Sigmoid", "Tanh"])  # fmt: skip


def _pool(kind: str, channels: int, size: int) -> Op:
    return _op(f"nn.{kind}_pool", (1, channels, size, size), kernel=[3, 3], strides=[2, 2],
               pads=[1] * 4, dilations=[1, 1], overhang=[0, 0])  # fmt: skip


def _probes() -> list[Op]:
    """Kernels whose rates are asked for; those of one kind count alike."""
    return [
        _conv(64, 14, 1),
        _conv(32, 28, 3),
        _conv(128, 7, 3),
        _conv(64, 28, 3, groups=64),
        _conv(256, 7, 3, groups=256),
        _op("nn.matmul", (64, 128), (128, 128)),
        _op("nn.matmul", (64, 128), (128, 128), transpose_b=True),
        _op("nn.matmul", (1, 320), (320, 96)),
        _op("nn.matmul", (1, 320), (96, 320), transpose_b=True),
        _gru(64),
        _op("nn.conv_transpose", (1, 32, 14, 14), (32, 32, 2, 2), strides=[2, 2], pads=[0] * 4,
            dilations=[1, 1], output_padding=[0, 0]),
        _op("nn.resize", (1, 32, 14, 14), shape=[1, 32, 28, 28], scales=[1.0, 1.0, 2.0, 2.0],
            mode="linear"),
        _pool("max", 32, 28),
        _pool("average", 32, 28),
        _op("tensor.reduce", (1, 64, 14, 14), kind="mean", axes=[2, 3], keep_dims=False),
        _op("tensor.reduce", (64, 256), kind="mean", axes=[1], keep_dims=False),
    ]  # fmt: skip


class _Meter:
    """Times single ops on this machine."""

    def __init__(self) -> None:
        self.target = find_target("c")
        self.isa = isa_of(self.target)

    def cycles(self, op: Op) -> float:
        """Cycles of ``op``, which reads row-major tensors."""
        plain = Offer((None,) * len(op.operands), tuple(r.type.layout for r in op.results), 0.0)
        made = candidate(op, plain, self.target)
        assert made is not None
        program = build_timer(made.job)
        runs = [run_timer(program, self.isa, RUN_SECONDS) for _ in range(RUNS)]
        return statistics.median(sum(run[number] for number in made.steps) for run in runs)


def calibrate(notify: Notify) -> Machine:
    """The rates of this machine, measured.

    Raises:
        TargetError: kernels for this machine use no vectors, so that there is nothing to choose.
        ToolchainError: there is no C compiler.
    """
    meter = _Meter()
    if not meter.isa.has_vectors:
        raise TargetError("kernels for this machine use no vectors: there is nothing to calibrate")
    probes = _probes()
    found: dict[str, list[float]] = {}
    for done, op in enumerate(probes):
        notify(f"calibrate: {kind_of(op)}", done / len(probes))
        found.setdefault(kind_of(op), []).append(work_of(op) / meter.cycles(op))
    notify("calibrate: memory", 0.9)
    call = meter.cycles(_op("math.neg", (1,)))
    levels = _levels(meter, call)
    partial = Machine(levels, call_cycles=call, rates=_means(found))
    return Machine(levels, _conversion(meter, partial), call, DEFAULT.element_cycles, partial.rates)


def _means(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {kind: statistics.geometric_mean(rates) for kind, rates in found.items()}


def _levels(meter: _Meter, call: float) -> tuple[Level, ...]:
    """Rates of copying tensors of half the size of each level, of the last one four times that."""
    sizes = [level.size for level in DEFAULT.levels]
    measured = []
    for fits in (*(s / 2 for s in sizes[:-1]), 4 * sizes[-2]):
        count = int(fits) // 8
        cycles = max(1.0, meter.cycles(_op("math.neg", (count,))) - call)
        measured.append(8 * count / cycles)
    return tuple(map(Level, sizes, _falling(measured)))


def _falling(rates: Sequence[float]) -> list[float]:
    """Each rate, or the greatest behind it: no level is slower than the next, and what disturbs a
    measurement makes it too small."""
    return list(itertools.accumulate(reversed(rates), max))[::-1]


def _conversion(meter: _Meter, machine: Machine) -> float:
    """How much slower tensors are stored in blocks than copied."""
    shape = (1, 64, 28, 28)
    cycles = meter.cycles(_op("tensor.relayout", shape, layout=blocked(4, meter.isa.lanes)))
    return min(1.0, machine.moving(8.0 * math.prod(shape)) / cycles)
