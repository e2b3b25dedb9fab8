"""What kernels of sparse products share: rows of weights, and a copy of what a tile sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache

from burnish.ir import DType, Op, TensorType
from burnish.ir.errors import InputError
from burnish.ir.ops.sparse import check_rows

from ..code import Expr, Index, binary, cast, index
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

    def facts(self, unit: Unit) -> Hashable:
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


BLOCK_CYCLES, COPY_CYCLES, GATHER_CYCLES = 0.15, 0.25, 1.0
"""To copy an element of a tile: in blocks, of neighbours in memory, and of others."""


NEAR = 24 << 10
"""Bytes of inputs that fit into the first cache beside everything else."""

LINE, SETS, PLACES = 64, 64, 6
"""Bytes of a line of the first cache; after how many of them addresses meet in the same places; and
how many places there are for those that meet, beside everything else."""


@dataclass(frozen=True)
class Seen:
    """What tiles of positions see: all inputs at some neighbouring positions.

    Attributes:
        inputs: steps through the input.
        step: from one position to the next.
    """

    inputs: ChannelSteps
    step: int

    @property
    def count(self) -> int:
        """Inputs, and what pads the last plane of them."""
        return self.inputs.planes * self.inputs.lanes

    def bytes(self, width: int) -> int:
        """Bytes that a tile of ``width`` positions sees."""
        return 4 * self.count * width

    def keeps_blocks(self, width: int) -> bool:
        """Whether a tile is read in blocks: it lies so, and is small enough for the first cache."""
        in_blocks = self.inputs.is_blocked and self.step == self.inputs.lanes
        return in_blocks and self.bytes(width) <= NEAR

    def is_direct(self, width: int) -> bool:
        """Whether it is read where it lies: its planes find room in the first cache together."""
        if not self.keeps_blocks(width):
            return False
        return most_met(self.inputs.planes, 4 * self.inputs.plane, 4 * width * self.step) <= PLACES

    def copying(self, positions: int, *, in_blocks: bool) -> float:
        """An estimate of the cycles that it takes to copy what tiles see of all positions."""
        if in_blocks:
            return positions * self.count * BLOCK_CYCLES
        return positions * self.count * (COPY_CYCLES if self.step == 1 else GATHER_CYCLES)


@lru_cache(maxsize=1024)
def most_met(count: int, step: int, length: int) -> int:
    """How many lines meet in a place of the first cache, at most.

    Those of ``count`` runs of ``length`` bytes, each ``step`` bytes behind the one before.
    """
    lines = range(-(-length // LINE))
    met = Counter((run * step // LINE + line) % SETS for run in range(count) for line in lines)
    return max(met.values())


class Panel:
    """A copy of what a tile of positions sees: positions of an input are neighbours there.

    Sparse kernels read inputs in no order.  Those of a tile lie far apart, each on a page of its
    own; in the panel they fill whole lines of a cache, of which every byte is needed.
    """

    step = 1
    """From one position of an input to the next."""

    def __init__(self, k: KernelBuilder, seen: Seen, width: int) -> None:
        self.k, self.seen, self.width = k, seen, width
        self.x, inputs = flat(k.operand("x")), seen.inputs
        self.memory = k.scratch("panel", DType.F32, (inputs.planes * inputs.lanes * width,))

    def show(self, image: Expr, start: Expr, count: int) -> None:
        """Turn to the ``count`` positions from ``start`` on of an image; zeros follow them."""
        k, inputs, step, x = self.k, self.seen.inputs, self.seen.step, self.x
        seen = k.view("seen", x, image * inputs.image + start * step, x.shape)
        with k.loop("c", inputs.planes) as c, k.loop("l", inputs.lanes) as lane:
            row = (c * inputs.lanes + lane) * self.width
            place = c * inputs.plane + lane * inputs.lane
            with k.loop("p", count) as p:
                k.statement(f"{self.memory.at([row + p])} = {seen.at([place + p * step])}")
            with k.loop("p", self.width, start=count) as p:
                k.statement(f"{self.memory.at([row + p])} = 0.0f")

    def row(self, entry: Expr) -> Buffer:
        """What the tile sees of the input that a row of weights is for."""
        number = self.k.let_index("at", Expr(self.k.operand("inputs").at([entry]).text))
        return self.k.view("row", self.memory, number * self.width, self.memory.shape)


class BlocksView:
    """What a tile sees of a tensor in blocks: where it lies, or a copy of it.

    Planes a power of two apart would drive one another out of the first cache; in a copy they
    follow one another.
    """

    def __init__(self, k: KernelBuilder, seen: Seen, width: int) -> None:
        self.k, self.inputs, self.step, self.width = k, seen.inputs, seen.step, width
        self.x = self.tile = flat(k.operand("x"))
        self.is_direct, self.plane = seen.is_direct(width), seen.inputs.plane
        if not self.is_direct:
            self.plane = width * self.step
            self.tile = k.scratch("panel", DType.F32, (self.inputs.planes * self.plane,))

    def show(self, image: Expr, start: Expr, count: int) -> None:
        """Turn to the ``count`` positions from ``start`` on of an image."""
        k, place = self.k, image * self.inputs.image + start * self.step
        seen = k.view("seen", self.x, place, self.x.shape)
        if self.is_direct:
            self.tile = seen
            return
        with k.loop("c", self.inputs.planes) as c, k.loop("p", count * self.step) as p:
            copied = seen.at([c * self.inputs.plane + p])
            k.statement(f"{self.tile.at([c * self.plane + p])} = {copied}")

    def row(self, entry: Expr) -> Buffer:
        """What the tile sees of the input that a row of weights is for."""
        number = Expr(self.k.operand("inputs").at([entry]).text)
        # Unsigned: quotients and remainders by powers of two are shifts and masks then.
        number = self.k.declare("const size_t", "at", cast("size_t", number))
        lanes = index(self.inputs.lanes)
        plane = binary("*", binary("/", number, lanes), index(self.plane))
        place = binary("+", plane, binary("%", number, lanes))
        return self.k.view("row", self.tile, place, self.tile.shape)


def view_of(k: KernelBuilder, seen: Seen, width: int) -> Panel | BlocksView:
    """How a kernel reads its input, in tiles of ``width`` positions."""
    return BlocksView(k, seen, width) if seen.keeps_blocks(width) else Panel(k, seen, width)
