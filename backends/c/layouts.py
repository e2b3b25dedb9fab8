"""In which layouts the C backend can compute ops, and what each way costs.

Costs are cycles, by the roofline: arithmetic at the rate of the kernel that would be chosen, or
bytes at the rate of the memory that holds them, whichever takes longer.  Kernels in blocks of
channels estimate their own cycles; the other rates are those of the :class:`~.machine.Machine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache

from burnish.ir import Layout, Op, TensorType, Trait, Value
from burnish.ir.dims import Dim
from burnish.passes.layout import LayoutModel, register_layouts
from burnish.passes.layout.offers import Layouts, Offer

from ..target import find_target
from .isa import ISAS, NATIVE, Isa, isa_of
from .kernels.blocked import blocked, is_static_float
from .kernels.family import families_of
from .kernels.vector_quantize import is_vector_storage
from .machine import DEFAULT, Machine, native_machine
from .sparsity import sparse_offers


class CLayouts(LayoutModel):
    """The layouts that kernels for an instruction set work in; None: for this machine's."""

    def __init__(self, isa: Isa | None) -> None:
        self.given = isa

    @property
    def machine(self) -> Machine:
        """How fast the machine is: the one at hand as it was calibrated, others by the defaults."""
        return DEFAULT if self.given else native_machine()

    @cached_property
    def isa(self) -> Isa:
        """The instruction set."""
        return self.given or isa_of(find_target("c"))

    def layouts(self, type_: TensorType) -> Sequence[Layout]:
        if not self.isa.has_vectors or type_.rank < 3 or not type_.is_static or 0 in type_.shape:
            return ()
        if not (is_static_float(type_) or is_vector_storage(type_)):
            return ()
        return (blocked(type_.rank, self.isa.lanes),)

    def offers(self, op: Op) -> list[Offer]:
        found, machine = super().offers(op), self.machine
        static = all(value.type.is_static for value in (*op.inputs, *op.results))
        if not op.inputs or not static:
            return found
        for offer, stored in sparse_offers(op, self.isa):
            moved = _moved(op, offer.operands, offer.results)
            moved += stored - _bytes(op.inputs[1].type, None)
            cycles = machine.call_cycles + max(offer.cost, machine.moving(moved))
            found.append(replace(offer, cost=cycles))
        if self.isa.has_vectors:
            for family in families_of(op.name):
                for form in family.offers(op, self.isa):
                    moving = machine.moving(_moved(op, form.operands, form.results))
                    cycles = machine.call_cycles + max(form.cycles, moving)
                    found.append(Offer(form.operands, form.results, cycles, family.name))
        return found

    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        if op.is_terminator or Trait.CONSTANT in op.opdef.traits:
            return 0.0
        if op.name == "tensor.transpose" and (any(operands) or any(results)):
            return 0.0  # it gives axes other names, and moves nothing
        if Trait.VIEW in op.opdef.traits:
            return 0.0
        machine = self.machine
        cycles = machine.computing(op)
        if any(results) and _is_broadcast_by_element(op, self.isa.lanes):
            cycles = _number(op.result.type.elements) * machine.element_cycles
        moved = _moved(op, operands, results)
        if op.name == "tensor.transpose" and _moves_last_axis(op):
            return machine.call_cycles + machine.converting(moved)
        return machine.call_cycles + max(cycles, machine.moving(moved))

    def conversion(self, type_: TensorType, source: Layout | None, target: Layout | None) -> float:
        old, new = type_.with_layout(source), type_.with_layout(target)
        if source != target and old.storage_order() == new.storage_order():
            return 0.0
        moved = _bytes(type_, source) + _bytes(type_, target)
        return self.machine.call_cycles + self.machine.converting(moved)


def _moves_last_axis(op: Op) -> bool:
    """Whether a transpose does not keep runs of neighbours together; a scalar has none."""
    permutation = op.attributes.permutation
    return len(permutation) > 0 and permutation[-1] != len(permutation) - 1


def _moved(op: Op, operands: Layouts, results: Layouts) -> float:
    """Bytes of all that an op reads and writes."""
    pairs: list[tuple[Value | None, Layout | None]] = [*zip(op.operands, operands)]
    pairs += zip(op.results, results)
    return sum(_bytes(value.type, layout) for value, layout in pairs if value is not None)


@lru_cache(maxsize=4096)
def _bytes(type_: TensorType, layout: Layout | None) -> float:
    """Bytes of a tensor in a layout."""
    return _number(type_.with_layout(layout).bytes)


def _is_broadcast_by_element(op: Op, lanes: int) -> bool:
    """Whether an elementwise op in blocks has to find its operands' elements one by one.

    That is so where channels do not fill the blocks and an operand has one number for each.
    """
    shape = op.result.type.shape
    sizes = [(1,) * (len(shape) - v.type.rank) + v.type.shape for v in op.inputs]
    return shape[1] % lanes != 0 and any(size != shape and size[1] != 1 for size in sizes)


def _number(size: Dim) -> float:
    """A size; unknown ones, of which no choice depends, count as nothing."""
    return float(size) if isinstance(size, int) else 0.0


def _register_models() -> None:
    """Offer the layouts of each instruction set under its name."""
    for isa in ISAS.values():
        register_layouts(isa.name, CLayouts(isa))
    register_layouts(NATIVE, CLayouts(None))


_register_models()
