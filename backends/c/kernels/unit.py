"""What one kernel computes: a single op, or a fused group seen as anchor and epilogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from burnish.ir import Constant, Dim, Op, TensorType, Value
from burnish.ir.dims import Interval, bounds

from ..isa import SCALAR, Isa
from ..sizes import most_elements


@dataclass(frozen=True, slots=True)
class Unit:
    """One op, or one ``core.group``, in the form kernels are written for.

    ``op`` is the op in the function; ``anchor`` the op a family implements (None when all is
    elementwise); ``prologue`` the elementwise ops that its operands are computed by, and
    ``epilogue`` those after or beside it, in order; ``operands`` the inner values that
    are read from memory, paired with the index of the operand of ``op``; ``literals`` the
    constants of one element inside the group; ``results`` the inner values to be stored;
    ``ranges`` the bounds of sizes known at run time only; ``isa`` the vectors there are.
    """

    op: Op
    anchor: Op | None
    epilogue: tuple[Op, ...]
    operands: Mapping[Value, int]
    literals: Mapping[Value, Constant]
    results: tuple[Value, ...]
    ranges: Mapping[str, Interval] = field(default_factory=dict)
    isa: Isa = SCALAR
    prologue: tuple[Op, ...] = ()

    def low(self, dim: Dim) -> int:
        """The least value of a dimension."""
        return bounds(dim, self.ranges)[0]

    def high(self, dim: Dim) -> int:
        """The greatest value of a dimension."""
        return bounds(dim, self.ranges)[1]

    def most_elements(self, shape: Iterable[Dim]) -> int:
        """The most elements that a tensor of ``shape`` can have."""
        return most_elements(shape, self.ranges)

    @property
    def is_fused(self) -> bool:
        """Whether this is a group."""
        return self.op.name == "core.group"

    @property
    def main(self) -> Op:
        """The op that names the kernel: the anchor, else the last elementwise op."""
        return self.anchor or self.epilogue[-1]

    @property
    def space(self) -> TensorType:
        """The iteration space of the epilogue: the type of what is stored."""
        return self.results[0].type

    def constant(self, value: Value) -> Constant | None:
        """The constant that is read as ``value``, if that is known."""
        if value in self.literals:
            return self.literals[value]
        outside = self.op.operands[self.operands[value]] if value in self.operands else None
        return None if outside is None else outside.constant

    @staticmethod
    def of(op: Op, ranges: Mapping[str, Interval] | None = None, isa: Isa = SCALAR) -> Unit:
        """The unit that ``op`` is."""
        unit = Unit._of_group(op) if op.name == "core.group" else Unit._of_single(op)
        return replace(unit, ranges=ranges or {}, isa=isa)

    @staticmethod
    def _of_single(op: Op) -> Unit:
        operands: dict[Value, int] = {}
        for index, value in enumerate(op.operands):
            if value is not None:
                operands.setdefault(value, index)
        if op.is_pointwise:
            return Unit(op, None, (op,), operands, {}, op.results)
        return Unit(op, op, (), operands, {}, op.results)

    @staticmethod
    def _of_group(op: Op) -> Unit:
        (body,) = op.regions
        anchor: Op | None = None
        prologue: list[Op] = []
        pointwise: list[Op] = []
        literals: dict[Value, Constant] = {}
        for inner in body:
            if inner.is_terminator:
                continue
            constant = inner.results[0].constant
            if constant is not None:
                literals[inner.results[0]] = constant
            elif inner.is_pointwise:
                pointwise.append(inner)
            else:
                anchor = inner
                prologue = making(inner.inputs, pointwise)
        return Unit(
            op,
            anchor,
            tuple(inner for inner in pointwise if inner not in prologue),
            {arg: index for index, arg in enumerate(body.args)},
            literals,
            tuple(body.results),
            prologue=tuple(prologue),
        )


def making(values: Iterable[Value], ops: Sequence[Op]) -> list[Op]:
    """Those of ``ops`` that compute ``values``, in order."""
    needed = set(values)
    found = []
    for op in reversed(ops):
        if not needed.isdisjoint(op.results):
            found.append(op)
            needed.update(op.inputs)
    return found[::-1]
