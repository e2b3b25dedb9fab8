"""How fast a machine computes and moves data: what estimates of time are made with.

All rates are per *cycle*: the time in which the machine, at its peak, can start as many products as
its :class:`~.isa.Isa` says.  So they hold whatever the clock does.  The defaults were measured on
an x86 core with AVX-512; ``burnish targets --calibrate`` measures those of the machine at hand.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from burnish.ir import Op
from burnish.ir.cost import op_cost
from burnish.ir.errors import UsageError

from ..cache import cache_folder, keep_text
from ..target import Target
from .host import processor
from .isa import NATIVE

CHOICE = "BURNISH_MACHINE"
"""The environment variable that names a file of rates, or says ``default``."""


@dataclass(frozen=True)
class Level:
    """A level of memory: kernels that touch at most ``size`` bytes move so many per cycle."""

    size: float
    bytes_per_cycle: float


@dataclass(frozen=True)
class Machine:
    """The rates of a machine.

    Attributes:
        levels: memory, the fastest first; the last one holds everything.
        conversion: the share of those rates at which tensors are stored in another layout: one
            side is not walked in its order.
        call_cycles: what any kernel costs.
        element_cycles: for each element that a kernel has to find by itself.
        rates: operations per cycle of kernels in row-major order, by kind (:func:`kind_of`).
    """

    levels: tuple[Level, ...] = (
        Level(32 << 10, 56.0),
        Level(1 << 20, 28.0),
        Level(32 << 20, 20.0),
        Level(math.inf, 4.0),
    )
    conversion: float = 0.3
    call_cycles: float = 50.0
    element_cycles: float = 4.0
    rates: Mapping[str, float] = field(
        default_factory=lambda: {
            "conv": 9.0,
            "depthwise": 0.6,
            "matmul": 10.0,
            "matrix-vector": 2.5,
            "recurrent": 1.0,
            "transposed-conv": 1.2,
            "resize": 1.5,
            "pool": 0.55,
            "reduce": 2.0,
        }
    )

    def moving(self, count: float) -> float:
        """Cycles to read or write so many bytes, once each."""
        level = next(level for level in self.levels if count <= level.size)
        return count / level.bytes_per_cycle

    def converting(self, count: float) -> float:
        """Cycles to read a tensor in one layout and write it in another, both sides counted."""
        return self.moving(count) / self.conversion

    def computing(self, op: Op) -> float:
        """Cycles of an op's arithmetic in row-major order; 0 where moving data is all that counts.

        Sizes that are not known, of which no choice depends, count as nothing.
        """
        rate = self.rates.get(kind_of(op))
        if not rate:
            return 0.0
        return work_of(op) * (1 / (rate * _filled(op)) + UNFOLDING * _unfolded(op))


DEFAULT = Machine()

FULL = 16
"""Positions with which convolutions in row-major order reach their rate."""

UNFOLDING = 0.5
"""Cycles to unfold an element for convolutions in row-major order."""

USERS = 32
"""Filters that share what was unfolded, from which on the rate of convolutions tells all."""


_KINDS = {
    **dict.fromkeys(("nn.rnn", "nn.gru", "nn.lstm"), "recurrent"),
    **dict.fromkeys(("nn.max_pool", "nn.average_pool"), "pool"),
    "tensor.reduce": "reduce",
    "nn.conv_transpose": "transposed-conv",
    "nn.resize": "resize",
}


def kind_of(op: Op) -> str:
    """The kind of kernel that computes ``op`` in row-major order; "" for those without a rate."""
    if op.name == "nn.conv":
        each = op.inputs[1].type.shape[1]
        return "depthwise" if op.attributes.groups > 1 and each == 1 else "conv"
    if op.name == "nn.matmul":
        x = op.inputs[0].type
        rows = x.shape[-1 if op.attributes.transpose_a else -2]
        return "matrix-vector" if rows == 1 else "matmul"
    return _KINDS.get(op.name, "")


def _filled(op: Op) -> float:
    """The share of vectors that are at work: those of convolutions hold neighbouring positions."""
    if kind_of(op) != "conv":
        return 1.0
    positions = math.prod(size for size in op.result.type.shape[2:] if isinstance(size, int))
    return min(1.0, positions / FULL) if positions else 1.0


def _unfolded(op: Op) -> float:
    """Elements unfolded for each product, beyond those that the rate of convolutions counts."""
    if kind_of(op) != "conv" or all(size == 1 for size in op.inputs[1].type.shape[2:]):
        return 0.0
    filters = op.inputs[1].type.shape[0]
    each = filters // op.attributes.groups if isinstance(filters, int) else 0
    return max(0.0, 1 / each - 1 / USERS) if each else 0.0


def work_of(op: Op) -> float:
    """Products, or other operations where there are no products; 0 where that is not known."""
    cost = op_cost(op)
    work = cost.flops if cost.macs == 0 else cost.macs
    return float(work) if isinstance(work, int) else 0.0


def machine_for(target: Target) -> Machine:
    """The rates that estimates for ``target`` go by: this machine's, or the defaults."""
    return native_machine() if target.isa == NATIVE else DEFAULT


def native_machine() -> Machine:
    """This machine as it was calibrated, or the defaults where it was not.

    Raises:
        UsageError: ``BURNISH_MACHINE`` names a file that holds no rates.
    """
    return _read_machine(os.environ.get(CHOICE, ""))


@lru_cache(maxsize=4)
def _read_machine(chosen: str) -> Machine:
    if chosen == "default":
        return DEFAULT
    place = Path(chosen) if chosen else calibration_place()
    try:
        return machine_of(place.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if chosen:
            raise UsageError(
                f"{CHOICE} names {place}, which holds no rates of a machine: {error}",
                help="`burnish targets --calibrate` makes such a file; 'default' stands for none",
            ) from None
        return DEFAULT


def calibration_place() -> Path:
    """The file of this machine's rates, whether it is there or not."""
    key = hashlib.sha256(processor().encode()).hexdigest()[:16]
    return cache_folder() / "machines" / f"{key}.json"


def text_of(machine: Machine) -> str:
    """``machine`` as JSON; the size of the level that holds everything is null."""
    data = asdict(machine)
    data["levels"][-1]["size"] = None
    return json.dumps(data, indent=2) + "\n"


def machine_of(text: str) -> Machine:
    """The machine of which ``text`` is the JSON.

    Raises:
        ValueError, KeyError, TypeError: it is none, or has rates that are not positive.
    """
    found = json.loads(text)
    levels = tuple(
        Level(math.inf if level["size"] is None else level["size"], float(level["bytes_per_cycle"]))
        for level in found["levels"]
    )
    rates = {str(kind): float(rate) for kind, rate in found["rates"].items()}
    numbers = {name: float(found[name]) for name in ("conversion", "call_cycles", "element_cycles")}
    positive = [*rates.values(), *numbers.values(), *(v.bytes_per_cycle for v in levels)]
    if not all(0 < number < math.inf for number in positive):
        raise ValueError("a rate is not a positive number")
    if not levels or levels[-1].size != math.inf:
        raise ValueError("no level of memory holds everything")
    return Machine(levels, rates=rates, **numbers)


def keep(machine: Machine) -> Path:
    """Let later compilations for this machine use its rates; says where they are.

    Raises:
        ToolchainError: the cache folder cannot be written.
    """
    place = calibration_place()
    keep_text(place, text_of(machine))
    _read_machine.cache_clear()
    return place
