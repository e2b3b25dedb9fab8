"""What a name in an ONNX graph can stand for: a tensor, or a sequence or optional of known form.

burnish has tensors at run time and nothing else.  A sequence whose length is known while the
model is imported is a list of tensors, and an optional of which it is known whether it is empty is
its content or nothing: they are followed through the graph, and leave no trace in the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from burnish.ir import Value


@dataclass(frozen=True, slots=True)
class KnownSequence:
    """A sequence of known length: its elements."""

    elements: tuple[Value, ...]

    def __str__(self) -> str:
        return f"a sequence of {len(self.elements)}"


@dataclass(frozen=True, slots=True)
class KnownOptional:
    """An optional of which it is known whether there is something in it."""

    content: Value | KnownSequence | None

    def __str__(self) -> str:
        return "an empty optional" if self.content is None else "an optional"


Item: TypeAlias = Value | KnownSequence | KnownOptional


def flatten(item: Item | None) -> list[Value]:
    """The tensors in an item, in order."""
    if isinstance(item, KnownSequence):
        return list(item.elements)
    if isinstance(item, KnownOptional):
        return flatten(item.content)
    return [] if item is None else [item]


def rebuild(item: Item, values: Iterator[Value]) -> Item:
    """An item of the same form, its tensors taken from ``values``."""
    if isinstance(item, KnownSequence):
        return KnownSequence(tuple(next(values) for _ in item.elements))
    if isinstance(item, KnownOptional):
        content = item.content
        if content is None:
            return item
        if isinstance(content, KnownSequence):
            return KnownOptional(KnownSequence(tuple(next(values) for _ in content.elements)))
        return KnownOptional(next(values))
    return next(values)


def form(items: Sequence[Item]) -> list[str]:
    """How items look, tensors by their types: equal for items that may stand for each other."""
    return [_form(item) for item in items]


def _form(item: Item | None) -> str:
    if isinstance(item, KnownSequence):
        return f"sequence({', '.join(str(value.type) for value in item.elements)})"
    if isinstance(item, KnownOptional):
        return f"optional({_form(item.content)})"
    return "" if item is None else str(item.type)


def named(name: str, item: Item) -> list[tuple[str, Value]]:
    """The tensors in an item under names of their own.

    A tensor keeps the name; the elements of a sequence called ``s`` are ``s[0]``, ``s[1]``, …; an
    optional is what it holds, and nothing when it is empty.
    """
    content = item.content if isinstance(item, KnownOptional) else item
    if isinstance(content, KnownSequence):
        return [(f"{name}[{index}]", value) for index, value in enumerate(content.elements)]
    return [] if content is None else [(name, content)]
