"""Values of dimensions."""

from __future__ import annotations

from ..code import cast, index
from .builder import KernelBuilder
from .family import KernelFamily, register


@register
class Dimension(KernelFamily):
    """A number, or a size known at run time."""

    name = "dimension"
    ops = ("tensor.dimension",)

    def emit(self, k: KernelBuilder) -> None:
        value = index(k.attributes.value)
        k.write(k.result, (), value if value.value is not None else cast("int64_t", value))
