"""One op of an instance while it is drawn: what is known of it, and how the rest is filled in.

What ops need beyond their declarations is data in :mod:`.operations`: recipes for operand types
that depend on each other (a convolution and its weights), and how attributes are drawn, by name.
What neither says is drawn by kind, and type inference has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from burnish.ir import Array, DType, OpDef, TensorType
from burnish.ir.dims import Dim
from burnish.ir.elementwise import SAME, TO, ElementwiseOp
from burnish.ir.opdef import OperandSpec

from .choices import Choices
from .drawing import Base, Wish, element_type, static, variation

VALUE, CONST, SCALAR = "value", "const", "scalar"


class UnfitError(Exception):
    """The instance that is being drawn cannot be completed; the text says what does not fit."""


@dataclass
class Slot:
    """An operand of the op.

    Attributes:
        kind: any value, a constant, or a constant of one element.
        type: None until it is drawn; an operand that the pattern determines has it at once.
        absent: an optional operand that is not there.
        data: draws the data of a constant for which only some numbers make sense.
    """

    kind: str = VALUE
    type: TensorType | None = None
    absent: bool = False
    data: Callable[[Choices, str, TensorType], Array] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the type is still to be drawn."""
        return self.type is None and not self.absent


@dataclass
class Drawing:
    """An op while it is drawn.

    Attributes:
        fixed: attributes that the pattern determines.
        adapt: gives the value of an attribute that the rule's conditions ask for, instead of one
            that was drawn.
        adapt_type: the same for the type of an operand.
        attributes: all that are decided.
    """

    choices: Choices
    site: str
    base: Base
    wish: Wish
    definition: OpDef
    slots: list[Slot]
    fixed: Mapping[str, object] = field(default_factory=dict)
    adapt: Callable[[str, object], object] = lambda name, value: value
    adapt_type: Callable[[int, TensorType], TensorType] = lambda index, type_: type_
    attributes: dict[str, object] = field(default_factory=dict)

    def attribute(self, name: str, draw: Callable[[], object]) -> object:
        """The attribute ``name``, drawn by ``draw`` unless it is decided already."""
        if name not in self.attributes:
            value = self.fixed[name] if name in self.fixed else self.adapt(name, draw())
            self.attributes[name] = value
        return self.attributes[name]

    def integers(self, name: str, draw: Callable[[], Sequence[int]]) -> list[int]:
        """An attribute that is a list of integers."""
        return _integers(self.attribute(name, draw))

    def integer(self, name: str, draw: Callable[[], int]) -> int:
        """An attribute that is an integer."""
        (value,) = _integers([self.attribute(name, draw)])
        return value

    def flag(self, name: str) -> bool:
        """An attribute that is true or false."""
        return bool(self.attribute(name, lambda: self.choices.chance(self.at(name), 0.35)))

    def at(self, name: str) -> str:
        """The site of a decision about this op."""
        return f"{self.site}.{name}"

    # Operands ------------------------------------------------------------------------

    def spec(self, index: int) -> OperandSpec:
        """The declaration of operand ``index``."""
        specs = list(self.definition.operands.values())
        return specs[min(index, len(specs) - 1)]

    def type(self, index: int) -> TensorType | None:
        """The type of operand ``index``, if it is there and known."""
        return self.slots[index].type if index < len(self.slots) else None

    def is_open(self, index: int) -> bool:
        """Whether operand ``index`` is there and its type still to be drawn."""
        return index < len(self.slots) and self.slots[index].is_open

    def give(self, index: int, shape: Sequence[Dim], dtype: DType | None = None) -> TensorType:
        """Decide the type of an open operand; constants have no symbols.

        Raises:
            UnfitError: a constant of one element would have several.
        """
        slot = self.slots[index]
        type_ = TensorType(tuple(shape), dtype or self.dtype_of(index))
        type_ = self.adapt_type(index, type_)
        if slot.kind != VALUE:
            type_ = TensorType(static(type_.shape), type_.dtype, None, type_.encoding)
        if slot.kind == SCALAR and type_.elements != 1:
            raise UnfitError(f"operand {index} of {self.definition.name} has several elements")
        slot.type = type_
        return type_

    def dtype_of(self, index: int) -> DType:
        """The element type for an open operand: that of its group, or as wished."""
        spec = self.spec(index)
        for other, slot in enumerate(self.slots):
            if slot.type is not None and spec.group and self.spec(other).group == spec.group:
                return slot.type.dtype
        wished = self.wish.dtype if self._keeps_dtype(index) else None
        preferred = (wished, self.base.dtype)
        return element_type(self.choices, self.at(f"{index}.dtype"), spec.dtypes, preferred)

    def _keeps_dtype(self, index: int) -> bool:
        """Whether the result has the element type of operand ``index``."""
        if isinstance(self.definition, ElementwiseOp):
            return self.definition.result == SAME and self.spec(index).group == "T"
        return index == 0 or bool(self.spec(index).group)

    @property
    def target(self) -> tuple[Dim, ...]:
        """The shape that operands are variations of, where nothing else is said."""
        return self.base.shape if self.wish.shape is None else self.wish.shape

    def fill(self) -> None:
        """Draw what no recipe did: types of open operands, then the attributes."""
        whole = 0.8 if not any(slot.type for slot in self.slots) else 0.55
        for index, slot in enumerate(self.slots):
            if not slot.is_open:
                continue
            rank = self.spec(index).rank
            if slot.kind == SCALAR:
                count = self.choices.below(self.at(f"{index}.rank"), 3, (8, 1, 1))
                self.give(index, (1,) * (count if rank is None else rank))
            elif rank is not None and rank != len(self.target):
                self.give(index, _of_rank(self.target, rank))
            else:
                site = self.at(str(index))
                self.give(index, variation(self.choices, site, self.target, whole=whole))
        if isinstance(self.definition, ElementwiseOp) and self.definition.result == TO:
            self.attribute("to", lambda: self.wish.dtype or self._any_dtype())

    def _any_dtype(self) -> DType:
        return element_type(self.choices, self.at("to"), frozenset(DType), ())


def _of_rank(shape: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    """``shape`` with leading axes of size 2 added, or cut off."""
    missing = rank - len(shape)
    return (*(2,) * missing, *shape) if missing >= 0 else tuple(shape)[-missing:]


def _integers(values: object) -> list[int]:
    """``values`` as a list of integers.

    Raises:
        UnfitError: they are none.
    """
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, int) for v in values):
        raise UnfitError(f"{values!r} are not integers")
    return list(values)
