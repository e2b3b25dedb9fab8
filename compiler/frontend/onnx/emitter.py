"""Creating IR ops during import, with what is known of small values carried along.

An op whose operands are small constants becomes a constant at once; one whose operands are
integers over symbolic dimensions keeps its content beside its value.  So the shape-computing
parts of a model are evaluated while they are imported, whatever ops they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from burnish.ir import (
    Block,
    Builder,
    Constant,
    Encoding,
    Error,
    Op,
    TensorType,
    Value,
    lookup,
)
from burnish.ir.interpreter import evaluate_definition
from burnish.ir.locations import UNKNOWN, Location

from . import shapes
from .shapes import MAX_KNOWN_ELEMENTS, Content, Ranges
from .tensors import Array

_FOLDED_FAMILIES = ("math.", "tensor.")


class Knowledge:
    """What is known of values at import time, for all blocks of one module."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self._contents: dict[Value, Content] = {}

    def content(self, value: Value) -> Content | None:
        """Small integer content of ``value``, possibly with symbols; None when unknown."""
        found = self._contents.get(value)
        if found is not None:
            return found
        constant = value.constant
        if constant is None:
            return shapes.empty_content(value.type)
        if constant.size > MAX_KNOWN_ELEMENTS:
            return None
        return shapes.content_of(constant.array)

    def learn(self, value: Value, content: Content | None) -> None:
        """Remember the content of a value that is no constant."""
        if content is not None:
            self._contents[value] = content

    def learned(self, value: Value) -> Content | None:
        """What :meth:`learn` was told of ``value``."""
        return self._contents.get(value)


class Emitter:
    """Appends ops to ``block``; new ops carry the current :attr:`location`."""

    def __init__(self, block: Block, knowledge: Knowledge, location: Location = UNKNOWN) -> None:
        self.block = block
        self.knowledge = knowledge
        self._builder = Builder(block, location=location)

    @property
    def location(self) -> Location:
        return self._builder.location

    @location.setter
    def location(self, location: Location) -> None:
        self._builder.location = location

    def op(self, name: str, /, *operands: Value | None, **attributes: object) -> Value:
        """The only result of the op ``name`` (or a constant equal to it).

        Raises:
            TypeInferenceError: operands or attributes do not fit the op.
        """
        (result,) = self.results(name, operands, attributes)
        return result

    def results(
        self,
        name: str,
        operands: Sequence[Value | None],
        attributes: Mapping[str, object],
        regions: Sequence[Block] = (),
    ) -> Sequence[Value]:
        """The results of the op ``name`` (or constants equal to them)."""
        if not regions and name.startswith(_FOLDED_FAMILIES):
            folded = self._fold(name, operands, attributes)
            if folded is not None:
                return folded
        return self.create(name, operands, attributes, regions).results

    def create(
        self,
        name: str,
        operands: Sequence[Value | None],
        attributes: Mapping[str, object],
        regions: Sequence[Block] = (),
    ) -> Op:
        """Create the op without looking for known contents."""
        return self._builder.create(name, operands, attributes, regions=regions)

    def constant(
        self,
        value: Constant | Array | np.generic,
        name: str | None = None,
        encoding: Encoding | None = None,
    ) -> Value:
        """A constant; arrays are referenced, not copied."""
        return self._builder.constant(value, name, encoding=encoding)

    def _fold(
        self, name: str, operands: Sequence[Value | None], attributes: Mapping[str, object]
    ) -> Sequence[Value] | None:
        """Constants or values with known content, where all operands are known."""
        knowledge = self.knowledge
        for operand in operands:
            if operand is None or operand.type.encoding is not None:
                return None
            constant = operand.constant
            if constant is None:
                if knowledge.learned(operand) is None:
                    return None
            elif constant.size > MAX_KNOWN_ELEMENTS:
                return None
        present = [operand for operand in operands if operand is not None]
        opdef = lookup(name)
        try:
            complete = opdef.complete(attributes)
            types = opdef.result_types(complete, [operand.type for operand in present])
        except Error:
            return None  # the builder reports it, with its place
        if any(not _is_small(type_) for type_ in types):
            return None
        if present and all(operand.constant is not None for operand in present):
            arrays = [operand.constant.array for operand in present if operand.constant]
            try:
                results = evaluate_definition(
                    opdef, complete, [operand.type for operand in present], arrays
                )
            except Error:
                return None  # such as an index out of range: an error only if it is executed
            return [self.constant(np.asarray(result)) for result in results]
        contents = [knowledge.content(operand) for operand in present]
        if len(types) != 1 or any(content is None for content in contents):
            return None
        known = [content for content in contents if content is not None]
        content = shapes.evaluate(name, complete, types[0], known, knowledge.ranges)
        if content is None:
            return None
        if shapes.is_static(content):
            return [self.constant(content.astype(types[0].dtype.numpy))]
        value = self.create(name, operands, attributes).result
        knowledge.learn(value, content)
        return [value]


def _is_small(type_: TensorType) -> bool:
    if not type_.is_static:
        return False
    elements = type_.elements
    return isinstance(elements, int) and elements <= MAX_KNOWN_ELEMENTS
