"""Inputs that are sequences or optionals: bound to a form, they become inputs that are tensors.

``dims`` gives a sequence the shapes of its elements, ``{"frames": [(3, 8), (3, 8)]}``, and an
optional what it would give for its content, or None when it is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from burnish.ir import Value
from burnish.ir.errors import DimensionError, UnsupportedError, clip

from .graph import DeclaredType, ValueInfo
from .items import Item, KnownOptional, KnownSequence

_BuildItem = Callable[[Mapping[str, Value]], Item]


@dataclass(frozen=True)
class SpreadInputs:
    """The inputs as tensors, the dims of those, and how to put items together again."""

    values: tuple[ValueInfo, ...]
    dims: Mapping[str, Any]
    builders: Mapping[str, _BuildItem]

    def items(self, arguments: Mapping[str, Value]) -> dict[str, Item]:
        """What the names of sequences and optionals stand for, given the tensors by name."""
        return {name: build(arguments) for name, build in self.builders.items()}


def spread_inputs(inputs: Sequence[ValueInfo], dims: Mapping[str, Any] | None) -> SpreadInputs:
    """Tensors in place of the sequences and optionals whose form ``dims`` gives.

    The elements of ``s`` are called ``s[0]``, ``s[1]``, …; the content of an optional keeps its
    name.

    Raises:
        DimensionError: what ``dims`` gives is no form of the input.
        UnsupportedError: two of the resulting inputs have one name.
    """
    spread: list[ValueInfo] = []
    bound = dict(dims or {})
    builders: dict[str, _BuildItem] = {}
    for value in inputs:
        if value.type.kind not in ("sequence", "optional") or value.name not in bound:
            spread.append(value)
            continue
        binding = bound.pop(value.name)
        tensors, builders[value.name] = _spread(value, binding)
        spread += [info for info, _ in tensors]
        bound.update((info.name, shape) for info, shape in tensors)
    names = [value.name for value in spread]
    for name in names:
        if names.count(name) > 1:
            raise UnsupportedError(f'two inputs of the model are called "{clip(name)}"')
    return SpreadInputs(tuple(spread), bound, builders)


def _spread(
    value: ValueInfo, binding: Any
) -> tuple[list[tuple[ValueInfo, Sequence[Any]]], _BuildItem]:
    """The tensors in an input and their shapes, and what makes the item of them."""
    content, name = value.type.item, value.name
    if content is None:
        raise UnsupportedError(f'input "{clip(name)}" does not declare what is in it')
    if value.type.kind == "sequence":
        names = [f"{name}[{index}]" for index in range(len(_shapes(name, binding)))]
        infos = [(ValueInfo(label, _open(content)), s) for label, s in zip(names, binding)]
        return infos, lambda arguments: KnownSequence(tuple(arguments[n] for n in names))
    if binding is None:
        return [], lambda _: KnownOptional(None)
    if content.kind == "sequence":
        tensors, build = _spread(replace(value, type=content), binding)
        return tensors, lambda arguments: _optional(build(arguments))
    info = ValueInfo(name, content)
    return [(info, binding)], lambda arguments: KnownOptional(arguments[name])


def _optional(content: Item) -> KnownOptional:
    assert not isinstance(content, KnownOptional)
    return KnownOptional(content)


def _open(content: DeclaredType) -> DeclaredType:
    """The declared type of one element: each may have other sizes than the declaration names."""
    shape = content.shape
    open_shape = None if shape is None else tuple(d if isinstance(d, int) else None for d in shape)
    return replace(content, shape=open_shape)


def _shapes(name: str, binding: Any) -> Sequence[Any]:
    if not isinstance(binding, (list, tuple)) or not all(
        isinstance(shape, (list, tuple)) for shape in binding
    ):
        raise DimensionError(
            f'"{clip(name)}" is a sequence, which needs the shapes of its elements, '
            f"not {clip(repr(binding))}",
            help=f'dims={{"{clip(name)}": [(3, 8), (3, 8)]}}',
        )
    return binding
