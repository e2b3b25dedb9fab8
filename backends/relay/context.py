"""What lowerings are handed: the op, its operands as terms, and the means to write calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from burnish.ir import Array, Attributes, Block, DType, Layout, Op, TensorType

from .builder import Builder, Refusal, Term
from .conversions import converted, plain_cast
from .storage_order import layout_of
from .syntax import AttributeValue, Body, Type


@dataclass(frozen=True)
class Choices:
    """What may be written in several ways.

    Attributes:
        exact: whether ties of quantization and NaN through bounds go as ONNX has them, at the
            price of operators that Relay's passes for quantized models do not know.
        groups: whether groups are written inline, as primitive functions or as composite ones.
        codegen: whose patterns composite functions are named as.
        sparse: whether products by weights that are mostly zeros leave these out.
    """

    exact: bool = True
    groups: str = "inline"
    codegen: str = ""
    sparse: bool = False


class Writing(Protocol):
    """Who writes the ops of regions."""

    def inline(self, block: Block, arguments: Sequence[Term]) -> list[Term]:
        """The ops of a region among those around it."""

    def check(self, holds: Term) -> None:
        """Let the model say whether a condition held."""


class Context:
    """One op on its way out.

    Attributes:
        op: the op.
        a: its attributes.
        builder: where calls are written.
        choices: what may be written in several ways.
    """

    def __init__(
        self,
        op: Op,
        builder: Builder,
        writing: Writing,
        operands: Sequence[Term | None],
        choices: Choices,
    ) -> None:
        self.op = op
        self.a: Attributes = op.attributes
        self.builder = builder
        self.choices = choices
        self._writing = writing
        self._operands = operands

    # Operands ----------------------------------------------------------------------------

    def optional(self, index: int) -> Term | None:
        """Operand ``index``; None when it is absent."""
        return self._operands[index] if index < len(self._operands) else None

    def input(self, index: int) -> Term:
        """Operand ``index``, which is there."""
        term = self.optional(index)
        assert term is not None
        return term

    def inputs(self) -> list[Term]:
        """All operands that are there."""
        return [term for term in self._operands if term is not None]

    def wide(self, index: int) -> Term:
        """Operand ``index`` in the type that arithmetic happens in."""
        term = self.input(index)
        return self.cast(term, term.dtype.compute)

    def type(self, index: int = 0) -> TensorType:
        """The IR's type of operand ``index``, which is there."""
        type_ = self.op.operand_types[index]
        assert type_ is not None
        return type_

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """Shape of a result."""
        return self.op.results[index].type.static_shape

    def layout(self) -> Layout | None:
        """The layout that the first operand and the results are stored in; None: in order.

        Raises:
            Refusal: they are stored in different ones.
        """
        layout = layout_of(self.type())
        for result in self.op.results:
            self.require(layout_of(result.type) == layout, f"from {layout} to another layout")
        return layout

    # Constants ---------------------------------------------------------------------------

    def array(self, array: Array) -> Term:
        return self.builder.array(array)

    def ints(self, values: Sequence[int] | Array, dtype: DType = DType.I64) -> Term:
        """A constant of integers."""
        return self.array(np.asarray(values, dtype.numpy))

    def scalar(self, value: float | int | bool, dtype: DType) -> Term:
        """A constant of rank 0."""
        return self.array(np.asarray(value).astype(dtype.numpy))

    # Calls -------------------------------------------------------------------------------

    def call(self, op: str, *args: Term, **attributes: AttributeValue) -> Term:
        """A call of a Relay operator."""
        return self.builder.call(op, *args, **attributes)

    def pack(self, *fields: Term) -> Term:
        return self.builder.pack(*fields)

    def project(self, term: Term, index: int) -> Term:
        return self.builder.project(term, index)

    def inline(self, block: Block, arguments: Sequence[Term]) -> list[Term]:
        """A region of the op among the bindings around it; what its terminator hands out."""
        return self._writing.inline(block, arguments)

    def check(self, holds: Term) -> None:
        """Let the model say, as one more result, whether a condition held.

        Raises:
            Refusal: it is checked in a branch, which may not be taken.
        """
        if self.builder.depth > 1:
            raise Refusal("a check at run time in a branch")
        self._writing.check(holds)

    def body(self, block: Block, arguments: Sequence[Term]) -> tuple[Body, Type]:
        """A region of the op as a body of its own, which sees what is around it."""
        self.builder.open()
        return self.builder.close(self.inline(block, arguments))

    # Common forms ------------------------------------------------------------------------

    def cast(self, term: Term, dtype: DType) -> Term:
        """``term`` in another element type, converted as burnish defines it."""
        return converted(self, term, dtype)

    def plain_cast(self, term: Term, dtype: DType) -> Term:
        """``term`` as the machine converts what lies within the range of ``dtype``."""
        return plain_cast(self, term, dtype)

    def reshape(self, term: Term, shape: Sequence[int]) -> Term:
        """``term`` in another shape; a constant is reshaped at once."""
        term = self.builder.before_reshape(term)
        if term.shape == tuple(shape):
            return term
        if term.constant is not None:
            return self.builder.changed(term, term.constant.array.reshape(shape))
        allowzero = {"allowzero": True} if 0 in shape else {}
        return self.call("reshape", term, newshape=tuple(shape), **allowzero)

    def transpose(self, term: Term, permutation: Sequence[int]) -> Term:
        """``term`` with axes in another order; a constant is transposed at once."""
        order = tuple(permutation)
        if order == tuple(range(len(order))):
            return term
        if term.constant is not None:
            return self.builder.changed(term, term.constant.array.transpose(order))
        return self.call("transpose", term, axes=order)

    def moved(self, term: Term, source: int, target: int) -> Term:
        """``term`` with one axis moved to another place."""
        order = [axis for axis in range(term.rank) if axis != source]
        order.insert(target, source)
        return self.transpose(term, order)

    def broadcast(self, term: Term, shape: Sequence[int]) -> Term:
        """``term`` repeated to a shape; a constant is repeated at once."""
        if term.shape == tuple(shape):
            return term
        if term.constant is not None:
            return self.array(np.broadcast_to(term.constant.array, shape))
        return self.call("broadcast_to", term, shape=tuple(shape), dtype="")

    def slice(self, term: Term, axis: int, start: int, stop: int, step: int = 1) -> Term:
        """A part along one axis; ``stop`` as Python has it, for a negative step too."""
        if (start, stop, step) == (0, term.shape[axis], 1):
            return term
        return self.call(
            "strided_slice",
            term,
            begin=(start,),
            end=(stop,),
            strides=(step,),
            axes=(axis,),
        )

    def concat(self, terms: Sequence[Term], axis: int) -> Term:
        """Terms one after another."""
        if len(terms) == 1:
            return terms[0]
        return self.call("concatenate", self.pack(*terms), axis=axis)

    def differs(self, x: Term, y: Term) -> Term:
        """Whether elements differ; NaN differs from all, which Relay's operator does not know."""
        result = self.call("not_equal", x, y)
        for term in (x, y):
            data = term.constant
            if term.dtype.is_float and (data is None or np.isnan(data.array).any()):
                result = self.call("logical_or", result, self.call("isnan", term))
        return result

    def where(self, condition: Term, x: Term, y: Term) -> Term:
        return self.call("where", condition, x, y)

    def apart(self, term: Term) -> Term:
        """``term``, not to be computed anew wherever it is used."""
        return self.builder.apart(term)

    def require(self, condition: bool, reason: str) -> None:
        """Refuse the op unless the condition holds."""
        if not condition:
            raise Refusal(reason)
