"""Building IR: new ops at an insertion point, with inferred result types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .attributes import Attributes
from .constants import Array, Constant
from .core import Block, Function, Module, Op, Value
from .errors import Error, InternalError
from .locations import UNKNOWN, Location
from .opdef import lookup
from .types import Encoding, Layout, TensorType

if TYPE_CHECKING:
    from collections.abc import Callable


class Builder:
    """Creates ops in ``block``, before ``before`` or at the end.

    Every created op gets the builder's current ``location`` unless one is given.
    ``on_create`` is called with each op after it is in place (the rewriter listens).
    """

    def __init__(
        self,
        block: Block,
        before: Op | None = None,
        location: Location = UNKNOWN,
        on_create: Callable[[Op], None] | None = None,
    ) -> None:
        self.block = block
        self.before = before
        self.location = location
        self._on_create = on_create

    def create(
        self,
        name: str,
        operands: Sequence[Value | None] = (),
        attributes: Mapping[str, object] | Attributes | None = None,
        *,
        regions: Sequence[Block] = (),
        location: Location | None = None,
        names: Sequence[str | None] = (),
        layouts: Sequence[Layout | None] | None = None,
    ) -> Op:
        """Create the op ``name``; result types are inferred.

        ``layouts`` says how results are stored, where inference does not.

        Raises:
            TypeInferenceError: operands or attributes do not fit the definition.
        """
        opdef = lookup(name)
        where = self.location if location is None else location
        try:
            complete = opdef.complete(attributes or {})
            kept = list(operands)
            while kept and kept[-1] is None:
                kept.pop()
            types = [None if value is None else value.type for value in kept]
            results = opdef.result_types(complete, types, regions)
        except Error as error:
            raise error.located(str(where) if where else "") from None
        if layouts is not None:
            results = tuple(map(TensorType.with_layout, results, layouts))
        op = Op(opdef, kept, complete, results, regions, where, names)
        self.insert(op)
        return op

    def insert(self, op: Op) -> None:
        """Put a detached op at the insertion point."""
        if op.parent is not None:
            raise InternalError(f"{op.name} is already in a block")
        self.block._insert(op, self.before)
        if self._on_create is not None:
            self._on_create(op)

    def __call__(self, op: str, /, *operands: Value | None, **attributes: object) -> Value:
        """Create an op with one result and return that result."""
        return self.create(op, operands, attributes).result

    def constant(
        self,
        value: Constant | Array | np.generic,
        name: str | None = None,
        *,
        encoding: Encoding | None = None,
        location: Location | None = None,
    ) -> Value:
        """A constant; arrays are referenced, not copied."""
        handle = value if isinstance(value, Constant) else Constant(value)
        attributes: dict[str, object] = {"value": handle}
        if encoding is not None:
            attributes["encoding"] = (encoding,)
        created = self.create("core.constant", (), attributes, location=location, names=(name,))
        return created.result

    def ret(self, *values: Value) -> Op:
        """End a function with its results."""
        return self.create("core.return", values)

    def yield_(self, *values: Value) -> Op:
        """End a nested region with its results."""
        return self.create("core.yield", values)


def build_function(
    module: Module,
    name: str,
    arguments: Mapping[str, TensorType],
    result_names: Sequence[str] = (),
) -> tuple[Function, Builder]:
    """Add an empty function to ``module`` and return it with a builder at its end."""
    block = Block(list(arguments.values()), list(arguments))
    function = module.add(Function(name, block, result_names))
    return function, Builder(block)
