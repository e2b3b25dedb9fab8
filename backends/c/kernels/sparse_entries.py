"""What kernels of sparse products share: rows of weights, and a copy of what a tile sees."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import DType, Op, TensorType
from burnish.ir.errors import InputError
from burnish.ir.ops.sparse import check_rows

from ..code import Expr, Index, index
from .blocked import ChannelSteps, flat
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily
from .strided import static
from .unit import Unit


@dataclass(frozen=True)
class SparseTypes:
    """What the kernel of a sparse product depends on: the types of ``nn.sparse_product``."""

    x: TensorType
    values: TensorType
    result: TensorType
    axis: int

    @staticmethod
    def of(op: Op) -> SparseTypes:
        """Those of an op."""
        x, values = (value.type for value in op.inputs[:2])
        return SparseTypes(x, values, op.result.type, op.attributes.axis)

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return self.result.static_shape[self.axis]


class SparseFamily(KernelFamily):
    """What the families of sparse products have in common: one kernel of each can trust its rows.

    Rows and tiles that are constants are checked here, all others by the kernel, when it runs.
    """

    ops = ("nn.sparse_product",)
    fusable = True
    checks_data = True

    def facts(self, unit: Unit) -> bool:
        return is_known_valid(unit)


def is_known_valid(unit: Unit) -> bool:
    """Whether rows and tiles of a sparse product are constants, and none is out of range."""
    inputs, starts = (unit.constant(value) for value in unit.main.inputs[2:4])
    if inputs is None or starts is None:
        return False
    types = SparseTypes.of(unit.main)
    (size,) = static((types.x.shape[types.axis],))
    try:
        check_rows(types.values.static_shape[0], inputs.array, starts.array, size)
    except InputError:
        return False
    return True


def require_valid(k: KernelBuilder) -> None:
    """Fail unless rows are of inputs that there are, and tiles follow one another."""
    if is_known_valid(k.unit):
        return
    inputs, starts = k.operand("inputs"), k.operand("starts")
    (entries,), (count,) = inputs.shape, starts.shape
    size = k.operand("x").shape[k.attributes.axis]
    bad = k.index_variable("bad", 0)
    with k.loop("e", entries) as e:
        place = inputs.at([e])
        k.statement(f"{bad} |= {place} < 0 || {place} >= {size}")
    with k.loop("t", index(count) - 1) as t:
        k.statement(f"{bad} |= {starts.at([t])} > {starts.at([t + 1])}")
    first, last = starts.at([0]), starts.at([index(count) - 1])
    k.statement(f"{bad} |= {first} != 0 || {last} != {entries}")
    k.fail_when(Expr(f"{bad}"))


def entries_of(k: KernelBuilder, tile: Index) -> tuple[Expr, Expr]:
    """The first row of ``values`` for a tile, and the end."""
    starts = k.operand("starts")
    first = k.let_index("first", Expr(starts.at([tile]).text))
    return first, k.let_index("end", Expr(starts.at([index(tile) + 1]).text))


COPY_CYCLES, GATHER_CYCLES = 0.25, 1.0
"""To copy an element into a panel: of neighbours in memory, and of others."""


class Panel:
    """A copy of what a tile of positions sees: positions of an input are neighbours there.

    Sparse kernels read inputs in no order.  Those of a tile lie far apart, each on a page of its
    own; in the panel they fill whole lines of a cache, of which every byte is needed.
    """

    def __init__(self, k: KernelBuilder, steps: ChannelSteps, step: int, width: int) -> None:
        self.k, self.steps, self.step, self.width = k, steps, step, width
        self.x = flat(k.operand("x"))
        self.memory = k.scratch("panel", DType.F32, (steps.planes * steps.lanes * width,))

    @staticmethod
    def cycles(steps: ChannelSteps, step: int, positions: int) -> float:
        """An estimate of the time that copying takes in all."""
        each = COPY_CYCLES if step == 1 else GATHER_CYCLES
        return positions * steps.planes * steps.lanes * each

    def fill(self, image: Expr, start: Expr, count: int) -> None:
        """Copy ``count`` positions from ``start`` on of an image; zeros follow."""
        k, steps, x = self.k, self.steps, self.x
        seen = k.view("seen", x, image * steps.image + start * self.step, x.shape)
        with k.loop("c", steps.planes) as c, k.loop("l", steps.lanes) as lane:
            row = (c * steps.lanes + lane) * self.width
            place = c * steps.plane + lane * steps.lane
            with k.loop("p", count) as p:
                source = seen.at([place + p * self.step])
                k.statement(f"{self.memory.at([row + p])} = {source}")
            with k.loop("p", self.width, start=count) as p:
                k.statement(f"{self.memory.at([row + p])} = 0.0f")

    def row(self, entry: Expr) -> Buffer:
        """What the tile sees of the input that a row of weights is for."""
        number = self.k.let_index("at", Expr(self.k.operand("inputs").at([entry]).text))
        return self.k.view("seen", self.memory, number * self.width, self.memory.shape)
