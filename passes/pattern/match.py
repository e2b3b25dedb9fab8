"""The API a pattern is written with: questions about the graph, then new ops.

A pattern first asks (``require``, ``producer``, ``constant`` …), and any question answered
with no ends it with a recorded :class:`Refusal`; then it builds.  It must not change anything
before its last question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np

from burnish.ir import Array, Attributes, Builder, Constant, Location, Op, Rewriter, Value
from burnish.ir.dims import Dim

Outcome = Value | Sequence[Value] | None
"""What a pattern returns: values that replace the root's results; None when it has changed the
graph itself, through the match's rewriter."""


class Refusal(Exception):
    """A pattern does not apply here; ``value`` is what stood in the way, if anything."""

    def __init__(self, reason: str, value: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Match:
    """One attempt of a pattern at one root op."""

    __slots__ = ("_absorbed", "_builder", "op", "rewriter")

    def __init__(self, op: Op, rewriter: Rewriter) -> None:
        self.op = op
        self.rewriter = rewriter
        self._absorbed: list[Op] = []
        self._builder: Builder | None = None

    # Questions -----------------------------------------------------------------------

    def refuse(self, reason: str, value: object = None) -> NoReturn:
        """Give up, for a reason that statistics and traces show."""
        raise Refusal(reason, value)

    def require(self, condition: bool, reason: str, value: object = None) -> None:
        """Give up unless ``condition`` holds."""
        if not condition:
            raise Refusal(reason, value)

    def operand(self, index: int) -> Value:
        """Operand ``index`` of the root."""
        return self.needed(self.op.operands[index] if index < len(self.op.operands) else None)

    def needed(self, value: Value | None) -> Value:
        """``value``, which must be present."""
        if value is None:
            raise Refusal("an optional operand is absent")
        return value

    def producer(self, value: Value | None, *names: str, one_use: bool = False) -> Op:
        """The op that makes ``value``: one of ``names``; it will be absorbed into the result.

        With ``one_use`` the value must have no other user, so that the op goes away.
        """
        op = None if value is None else value.op
        if value is None or op is None or op.name not in names:
            raise Refusal(f"an operand is not made by {' or '.join(names)}", value)
        if one_use and not value.has_one_use:
            raise Refusal(f"the result of {op.name} has other users", value)
        self._absorbed.append(op)
        return op

    def constant(self, value: Value | None) -> Array:
        """The data of ``value``, which must be a plain (not encoded) constant."""
        data = self.constant_handle(value)
        return data.array

    def constant_handle(self, value: Value | None) -> Constant:
        """Like :meth:`constant`, without looking at the data."""
        data = None if value is None else value.constant
        if value is None or data is None or value.type.encoding is not None:
            raise Refusal("an operand is not a constant", value)
        return data

    def scalar(self, value: Value | None) -> float | int | bool:
        """The number in ``value``, which must be a constant of one element."""
        data = self.constant_handle(value)
        if data.size != 1:
            raise Refusal("a constant has more than one element", value)
        number: float | int | bool = data.array.reshape(()).item()
        return number

    def movable(self, value: Value) -> None:
        """Give up if the meaning of ``value``'s bits depends on an axis (or layout)."""
        type_ = value.type
        by_axis = type_.quantized is not None and type_.quantized.axis is not None
        if by_axis or type_.layout is not None:
            raise Refusal("quantized along an axis, or laid out", value)

    def static(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        """``dims``, which must all be integers."""
        integers = tuple(dim for dim in dims if isinstance(dim, int))
        if len(integers) != len(dims):
            raise Refusal("a dimension is symbolic", dims)
        return integers

    # Building ------------------------------------------------------------------------

    def absorb(self, *ops: Op) -> None:
        """Further ops that the result stands for: their locations are joined."""
        self._absorbed.extend(ops)

    @property
    def builder(self) -> Builder:
        """Builds before the root, at the joined location of the root and all absorbed ops."""
        if self._builder is None:
            locations = [op.location for op in (*self._absorbed, self.op)]
            self._builder = self.rewriter.before(self.op, location=Location.join(*locations))
        return self._builder

    @property
    def _row_major_builder(self) -> Builder:
        """The builder, for a root that is not laid out: what is built is row-major."""
        if any(result.type.layout is not None for result in self.op.results):
            raise Refusal("the result is laid out", self.op)
        return self.builder

    def build(self, name: str, *operands: Value | None, **attributes: object) -> Value:
        """A new op with one result, right before the root."""
        return self._row_major_builder.create(name, operands, attributes).result

    def rebuild(self, op: Op, operands: Sequence[Value | None], **changes: object) -> Value:
        """A copy of ``op`` (one result) right before the root, with other operands.

        ``changes`` replace attributes.
        """
        attributes: Mapping[str, object] | Attributes = op.attributes
        if changes:
            attributes = {**op.attributes, **changes}
        return self._row_major_builder.create(op.name, operands, attributes).result

    def build_constant(
        self, array: Array | np.generic | Constant, name: str | None = None
    ) -> Value:
        """A new constant right before the root."""
        return self._row_major_builder.constant(array, name)
