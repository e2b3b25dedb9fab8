"""What one kernel computes: a single op, or a fused group seen as anchor and epilogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from burnish.ir import Constant, Op, TensorType, Trait, Value


@dataclass(frozen=True, slots=True)
class Unit:
    """One op, or one ``core.group``, in the form kernels are written for.

    ``op`` is the op in the function; ``anchor`` the op a family implements (None when all is
    elementwise); ``epilogue`` the elementwise ops, in order; ``operands`` the inner values that
    are read from memory, paired with the index of the operand of ``op``; ``literals`` the
    constants of one element inside the group; ``results`` the inner values to be stored.
    """

    op: Op
    anchor: Op | None
    epilogue: tuple[Op, ...]
    operands: Mapping[Value, int]
    literals: Mapping[Value, Constant]
    results: tuple[Value, ...]

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

    @staticmethod
    def of(op: Op) -> Unit:
        """The unit that ``op`` is."""
        if op.name == "core.group":
            return _of_group(op)
        operands: dict[Value, int] = {}
        for index, value in enumerate(op.operands):
            if value is not None:
                operands.setdefault(value, index)
        elementwise = Trait.ELEMENTWISE in op.opdef.traits
        return Unit(
            op, None if elementwise else op, (op,) if elementwise else (), operands, {}, op.results
        )


def _of_group(op: Op) -> Unit:
    (body,) = op.regions
    anchor: Op | None = None
    epilogue: list[Op] = []
    literals: dict[Value, Constant] = {}
    for inner in body:
        if inner.is_terminator:
            continue
        constant = inner.results[0].constant
        if constant is not None:
            literals[inner.results[0]] = constant
        elif Trait.ELEMENTWISE in inner.opdef.traits:
            epilogue.append(inner)
        else:
            anchor = inner
    operands = {arg: index for index, arg in enumerate(body.args)}
    return Unit(op, anchor, tuple(epilogue), operands, literals, tuple(body.results))
