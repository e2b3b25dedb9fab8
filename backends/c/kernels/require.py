"""Checks of integers that the model declares."""

from __future__ import annotations

from .builder import ERROR_SHAPE, KernelBuilder
from .family import KernelFamily, register


@register
class Require(KernelFamily):
    """Compares; the result is the operand where it lies."""

    name = "require"
    ops = ("control.require",)
    checks_data = True

    def emit(self, k: KernelBuilder) -> None:
        actual, expected = k.operand("actual"), k.attributes.expected
        for position, wanted in enumerate(expected):
            found = k.load(actual, (position,))
            k.fail_when(found.differs(k.size_value(wanted, actual.dtype)), ERROR_SHAPE)
