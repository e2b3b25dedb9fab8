"""Values of dimensions."""

from __future__ import annotations

from ..code import index
from .base import KernelBuilder, KernelFamily, register


@register
class Dimension(KernelFamily):
    """A constant: dimensions are bound before C is emitted."""

    name = "dimension"
    ops = ("tensor.dimension",)

    def emit(self, k: KernelBuilder) -> None:
        k.write(k.result, (), index(k.attributes.value))
