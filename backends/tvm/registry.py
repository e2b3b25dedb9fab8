"""The table of lowerings: which function writes which op of the IR in Relax.

@lowering("nn.softmax")
def softmax(lowering: Lowering, op: Op, operands: Sequence[Expr]) -> list[Expr]:
    return [lowering.emit(relax.op.nn.softmax(operands[0], op.attributes.axis))]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from burnish.ir import Op

if TYPE_CHECKING:
    from .lowering import Lowering

Expr: TypeAlias = Any
"""A ``tvm.relax.Expr``; burnish is type-checked without TVM, too."""

LoweringFunction = Callable[["Lowering", Op, Sequence[Any]], Sequence[Any]]
"""Gets the op and its operands (None for absent ones), and returns one expression per result.

Operands are variables or constants with the types of :meth:`Lowering.type`; results must have
those, too.  Raises :class:`~burnish.backends.tvm.refusal.Refusal` for what it cannot express.
"""

_FunctionT = TypeVar("_FunctionT", bound=LoweringFunction)
LOWERINGS: dict[str, LoweringFunction] = {}
"""By the op's name."""

ELEMENTWISE = "elementwise"
"""The name of the lowering that writes elementwise ops without one of their own, from their
scalar expressions."""


def lowering(*names: str) -> Callable[[_FunctionT], _FunctionT]:
    """Decorator: register the lowering of one or several ops."""

    def register(function: _FunctionT) -> _FunctionT:
        for name in names:
            if name in LOWERINGS:
                raise ValueError(f"{name} has two lowerings")
            LOWERINGS[name] = function
        return function

    return register
