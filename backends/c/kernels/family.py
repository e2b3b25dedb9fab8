"""Kernel families: what one is, and the registry of all.

A family is a class with a name, the ops it implements and ``emit``, which writes one C function
through a :class:`KernelBuilder`::

    @register
    class Transpose(KernelFamily):
        '''Element by element, in the order of the result.'''

        name = "transpose"
        ops = ("tensor.transpose",)

        def emit(self, k: KernelBuilder) -> None:
            x, permutation = k.operand("x"), k.attributes.permutation
            with k.loops("i", k.result.shape) as indices:
                source = [indices[permutation.index(axis)] for axis in range(len(indices))]
                k.store(indices, k.load(x, source))

A family never sees whether its op stands alone or anchors a fused group: :meth:`store` applies
the group's elementwise ops to the value before writing it.  For that a *fusable* family calls
``store`` exactly once per result element and never reads a result back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeVar

from burnish.ir import Constant, Layout, Op

from ..isa import Isa
from .builder import KernelBuilder
from .unit import Unit

MAX_TABLE = 1 << 22
"""A table of constants in C has at most this many entries: each is text for a compiler."""


def table_refusal(entries: int) -> str:
    """Why a family that needs a table of so many entries refuses; empty when it need not."""
    if entries <= MAX_TABLE:
        return ""
    return f"it needs a table of {entries} constants (the limit is {MAX_TABLE})"


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A way to compute an op other than in row-major order.

    ``operands`` and ``results`` are the layouts in which it reads and writes (None: row-major), and
    ``cycles`` what its arithmetic takes.
    """

    operands: tuple[Layout | None, ...]
    results: tuple[Layout | None, ...]
    cycles: float = 0.0


class Preparation(ABC):
    """Another form in which a kernel reads a constant: computed at compile time, stored instead.

    Equal ones make equal constants equal; subclasses are frozen dataclasses.  ``beside`` says which
    other operands of the op it depends on, constants too.
    """

    beside: tuple[int, ...] = ()

    @abstractmethod
    def __call__(self, *constants: Constant) -> Constant:
        """The constant that is stored, from the operand and those beside it."""


class Storage(Enum):
    """How the tensors that a family computes with are stored."""

    ROW_MAJOR = "all row by row"
    LAID_OUT = "some in a layout"
    ANY = "row by row or in layouts"


class KernelFamily(ABC):
    """A generator of kernels for some ops.

    ``name`` names the family in selections and C names; ``ops`` the ops it implements;
    ``fusable`` says that ``emit`` stores every result element exactly once through
    :meth:`KernelBuilder.store` and never reads results, so that groups may be anchored on it.
    """

    name: ClassVar[str]
    ops: ClassVar[tuple[str, ...]]
    fusable: ClassVar[bool] = False
    computes_operands: ClassVar[bool] = False
    """Whether elementwise ops may come before: operands are only loaded, by logical indices."""
    storage: ClassVar[Storage] = Storage.ROW_MAJOR
    """How operands and results may be stored."""
    checks_data: ClassVar[bool] = False
    """Whether the kernel can fail even where its results are empty, so that it always runs."""

    def refusal(self, unit: Unit) -> str:
        """Why this family cannot compute ``unit``; empty when it can."""
        return ""

    def facts(self, unit: Unit) -> Hashable:
        """What kernels depend on beside types, such as what is known of constants.

        Ops share a kernel only if their facts are equal.
        """
        return None

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        """In which layouts, other than row-major, this family can compute an op that stands alone.

        Whatever elementwise ops are fused to it later must not lead to a refusal.
        """
        return ()

    def parameters(self, unit: Unit) -> dict[str, object]:
        """What was decided for ``unit`` (tile sizes, variants), for the printed selection."""
        return {}

    def preparations(self, unit: Unit) -> Mapping[int, Preparation]:
        """Which operands of ``unit.op``, constants all, the kernel reads in another form."""
        return {}

    @abstractmethod
    def emit(self, k: KernelBuilder) -> None:
        """Write the kernel."""


_FAMILIES: dict[str, list[KernelFamily]] = {}
ELEMENTWISE = "elementwise"
"""Stands in ``ops`` for every op with the trait."""

Family = TypeVar("Family", bound=type[KernelFamily])


def register(cls: Family) -> Family:
    """Class decorator: enter a family into the registry (earlier ones are preferred)."""
    family = cls()
    for op in family.ops:
        _FAMILIES.setdefault(op, []).append(family)
    return cls


def families_of(name: str) -> Sequence[KernelFamily]:
    """The families that implement the ops of that name, preferred ones first."""
    return _FAMILIES.get(name, ())


def families_for(unit: Unit) -> list[KernelFamily]:
    """The families that implement the unit's main op, preferred ones first."""
    if unit.anchor is None:
        return _FAMILIES[ELEMENTWISE]
    return _FAMILIES.get(unit.anchor.name, [])
