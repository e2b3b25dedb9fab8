"""Rewriting IR: the only way to change a built module.

A :class:`Rewriter` keeps use lists, order and locations right and tells listeners what
changed, so that pattern drivers can keep their worklist and statistics exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from .attributes import Attributes, AttributeValue
from .builder import Builder
from .core import Block, Op, Value
from .errors import InternalError
from .locations import Location


class Listener(Protocol):
    """What a rewriter reports to: called after the change, except ``erased`` (just before)."""

    def created(self, op: Op) -> None: ...

    def modified(self, op: Op) -> None: ...

    def erased(self, op: Op) -> None: ...


class Rewriter:
    """Mutates ops in place; counts every change in ``changes``."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.changes = 0
        self._listener = listener

    def before(self, op: Op, *, location: Location | None = None) -> Builder:
        """A builder that inserts before ``op``; new ops get ``op``'s location by default."""
        if op.parent is None:
            raise InternalError(f"{op.name} has been erased")
        where = op.location if location is None else location
        return Builder(op.parent, op, where, self._created)

    def after(self, op: Op, *, location: Location | None = None) -> Builder:
        """A builder that inserts after ``op``."""
        if op.parent is None:
            raise InternalError(f"{op.name} has been erased")
        where = op.location if location is None else location
        return Builder(op.parent, op.next, where, self._created)

    def _created(self, op: Op) -> None:
        self.changes += 1
        if self._listener is not None:
            self._listener.created(op)

    def _modified(self, op: Op) -> None:
        self.changes += 1
        if self._listener is not None:
            self._listener.modified(op)

    def set_operand(self, op: Op, index: int, value: Value | None) -> None:
        """Make ``value`` operand ``index`` of ``op``; the old operand must have the same type."""
        old = op.operands[index]
        if old is value:
            return
        if old is not None and value is not None and old.type != value.type:
            raise InternalError(f"{op.name}: operand of type {old.type} replaced by {value.type}")
        op._set_operand(index, value)
        self._modified(op)

    def set_attributes(self, op: Op, **changes: AttributeValue) -> None:
        """Change attributes of ``op`` where that keeps the result types as they are."""
        attributes = op.opdef.complete({**op.attributes, **changes})
        types = op.opdef.result_types(attributes, op.operand_types, op.regions)
        if list(types) != op.result_types:
            raise InternalError(f"{op.name}: changing attributes would change the result types")
        op.attributes = attributes
        self._modified(op)

    def replace_all_uses(self, old: Value, new: Value) -> None:
        """Let every user of ``old`` use ``new`` instead; types must be equal."""
        if old is new:
            return
        if old.type != new.type:
            raise InternalError(f"value of type {old.type} replaced by one of {new.type}")
        if new.name is None:
            new.name = old.name
        for use in old.uses:
            use.op._set_operand(use.index, new)
            self._modified(use.op)

    def replace(self, op: Op, values: Value | Sequence[Value]) -> None:
        """Let users of ``op``'s results use ``values``, then erase ``op``.

        The ops that produce ``values`` take on ``op``'s location beside their own when they
        are new in this rewrite (they then stand for ``op`` too).
        """
        replacements = [values] if isinstance(values, Value) else list(values)
        if len(replacements) != len(op.results):
            raise InternalError(f"{op.name} replaced by {len(replacements)} values")
        for old, new in zip(op.results, replacements):
            self.replace_all_uses(old, new)
        self.erase(op)

    def replace_with(
        self,
        op: Op,
        name: str,
        operands: Sequence[Value | None],
        attributes: Mapping[str, object] | Attributes | None = None,
        *,
        regions: Sequence[Block] = (),
        absorbed: Iterable[Op] = (),
    ) -> Op:
        """Replace ``op`` by a new op with the same result types.

        ``absorbed`` are further ops the new one stands for: their locations are joined.
        """
        location = Location.join(*(other.location for other in absorbed), op.location)
        new = self.before(op, location=location).create(name, operands, attributes, regions=regions)
        self.replace(op, new.results)
        return new

    def erase(self, op: Op) -> None:
        """Remove ``op`` from its block.

        Raises:
            InternalError: a result still has uses.
        """
        if op.parent is None:
            raise InternalError(f"{op.name} has been erased before")
        for result in op.results:
            if result.use_count:
                raise InternalError(f"{op.name} is erased while {result!r} has uses")
        if self._listener is not None:
            self._listener.erased(op)
        self.changes += 1
        for region in op.regions:
            for inner in region.walk():
                inner._drop_operands()
        op._drop_operands()
        op.parent._unlink(op)

    def move_before(self, op: Op, anchor: Op) -> None:
        """Move ``op`` right before ``anchor`` in the same block."""
        if op.parent is None or op.parent is not anchor.parent:
            raise InternalError("ops are moved within one block only")
        if op is anchor or op.next is anchor:
            return
        block = op.parent
        block._unlink(op)
        block._insert(op, anchor)
        self._modified(op)
