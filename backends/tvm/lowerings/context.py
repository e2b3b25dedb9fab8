"""What lowerings written as tensor expressions are handed: one op on its way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tvm_ffi
from tvm import relax, te, tirx

from burnish.ir import Array, Attributes, Dim, DType, Op, TensorType, scalar

from ...codes import decoding, rounding
from ...expressions import Number
from ..refusal import Refusal
from ..registry import Expr, lowering
from ..storage import carrier
from .scalars import Scalar, cast, converted, expression

if TYPE_CHECKING:
    from ..lowering import Lowering

Tensor = Any
"""A ``te.Tensor``."""


PRODUCTS = {"fp16": DType.F16, "bf16": DType.BF16}
"""What products can be computed in, by the option ``dtype``."""


class Context:
    """One op, its operands in Relax, and the means to compute with them.

    Symbols are known inside a tensor function only as far as they are handed to it: sizes go in
    as arguments (:meth:`sizes`), and are found again in the function's parameters.

    Attributes:
        lowering: where expressions go.
        op: the op.
        a: its attributes.
    """

    def __init__(self, lowering: Lowering, op: Op, operands: Sequence[Expr | None]) -> None:
        self.lowering = lowering
        self.op = op
        self.a: Attributes = op.attributes
        self._operands = operands

    # Operands ----------------------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Whether operand ``index`` is there."""
        return index < len(self._operands) and self._operands[index] is not None

    def input(self, index: int) -> Expr:
        """Operand ``index``, which is there."""
        expr = self._operands[index]
        assert expr is not None
        return expr

    def present(self, *indices: int) -> list[int]:
        """Those of the operands ``indices`` that are there."""
        return [index for index in indices if self.has(index)]

    def type(self, index: int = 0) -> TensorType:
        """The IR's type of operand ``index``, which is there."""
        type_ = self.op.operand_types[index]
        assert type_ is not None
        return type_

    def result(self, index: int = 0) -> TensorType:
        """The IR's type of a result."""
        return self.op.results[index].type

    def wide(self, index: int) -> Expr:
        """Operand ``index`` with floats widened to the type that arithmetic happens in."""
        dtype = self.type(index).dtype
        return self.cast(self.input(index), dtype, dtype.compute)

    def factor(self, index: int) -> tuple[Expr, DType]:
        """Operand ``index`` as a factor of products, and what its elements are.

        That is the type that products are asked for in, where the operand is of ``f32``; weights
        are rounded now, not at run time.
        """
        dtype = self.type(index).dtype
        known = dtype.compute if is_coded(dtype) else dtype
        wanted = PRODUCTS.get(self.lowering.dtype, known) if known is DType.F32 else known
        value = self.op.operands[index]
        if wanted is not dtype and value is not None and value.constant is not None:
            return self.constant(scalar.convert(value.constant.array, wanted)), wanted
        return self.cast(self.input(index), dtype, wanted), wanted

    def static(self, shape: Sequence[Dim], what: str) -> tuple[int, ...]:
        """``shape`` as numbers.

        Raises:
            Refusal: a dimension is not bound.
        """
        found = tuple(dim for dim in shape if isinstance(dim, int))
        if len(found) != len(shape):
            raise Refusal(f"{what} that is not bound")
        return found

    # Sizes -------------------------------------------------------------------------------

    def size(self, dim: Dim) -> Scalar:
        """A dimension as an expression of type int64, to be handed to a tensor function."""
        found = self.lowering.dim(dim)
        return tirx.IntImm("int64", found) if isinstance(found, int) else found

    def sizes(self, shape: Sequence[Dim]) -> list[Scalar]:
        """Dimensions as expressions, to be handed to a tensor function."""
        return [self.size(dim) for dim in shape]

    # Expressions -------------------------------------------------------------------------

    def reshape(self, expr: Expr, shape: Sequence[Any]) -> Expr:
        """The same elements under another shape."""
        if any(isinstance(size, tirx.IntImm) and not size.value for size in shape):
            # Relax reads a size of 0 as that of the operand.
            nothing = tirx.const(0, str(expr.ty.dtype))
            return self.te(lambda sizes: compute(sizes, lambda *_: nothing), list(shape))
        return self.emit(relax.op.reshape(expr, relax.ShapeExpr(list(shape))))

    def per_channel(self, expr: Expr, rank: int) -> Expr:
        """A vector over the channels as a tensor that broadcasts onto [N, C, ...] of a rank."""
        ones = [tirx.IntImm("int64", 1)] * (rank - 2)
        return self.reshape(expr, [*expr.ty.shape.values, *ones])

    def te(self, function: Callable[..., Any], *args: Any) -> Any:
        """The results of a tensor function of relax expressions, sizes and lists of these."""
        hint = self.op.name.replace(".", "_")
        result = self.lowering.emit_te(function, *args, primfunc_name_hint=hint)
        if not isinstance(result.ty, relax.TupleType):
            return result
        return [
            self.lowering.emit(relax.TupleGetItem(result, index))
            for index in range(len(result.ty.fields))
        ]

    def map(
        self,
        text: str | scalar.Expr,
        dtype: DType,
        values: Mapping[str, Expr | Number],
        result: DType | None = None,
    ) -> Expr:
        """A scalar expression over expressions that broadcast onto each other, in ``dtype``.

        Elements are of ``dtype``, or truth values; so is the result, unless ``result`` is given.
        """
        names = [name for name, value in values.items() if not isinstance(value, Number)]
        numbers = {name: value for name, value in values.items() if isinstance(value, Number)}
        kind = DType.BOOL if result is DType.BOOL else dtype

        def function(tensors: Sequence[Tensor]) -> Tensor:
            def element(*index: Scalar) -> Scalar:
                found = {name: broadcast(x, index) for name, x in zip(names, tensors)}
                return converted(
                    expression(text, {**numbers, **found}, dtype), kind, result or kind
                )

            return compute(broadcast_shape(*tensors), element)

        return self.te(function, [values[name] for name in names])

    def emit(self, expr: Expr) -> Expr:
        return self.lowering.emit(expr)

    def constant(self, array: Array) -> Expr:
        return self.lowering.constant(array)

    def cast(self, expr: Expr, source: DType, dtype: DType) -> Expr:
        """``expr`` in another element type, converted as burnish defines it."""
        if source is dtype:
            return expr
        if is_coded(source):
            table = self.constant(decoding(source))
            expr = self.te(_decoded, expr, table)
            return self.cast(expr, DType.F32, dtype)
        if is_coded(dtype):
            return self._encoded(expr, source, dtype)
        return self.te(lambda x: each(x, lambda v: converted(v, source, dtype)), expr)

    def _encoded(self, expr: Expr, source: DType, dtype: DType) -> Expr:
        if source is not DType.F64:
            expr, source = self.cast(expr, source, DType.F32), DType.F32
        table = rounding(dtype, source)
        arrays = [self.constant(a) for a in (table.bounds, table.positive, table.negative)]
        return self.te(lambda *ts: _encoded(table.nan, source, *ts), expr, *arrays)


def te_lowering(*names: str) -> Callable[[Callable[[Context], Any]], Callable[[Context], Any]]:
    """Decorator: register a function of a context, which returns one expression or several."""

    def register(function: Callable[[Context], Any]) -> Callable[[Context], Any]:
        @lowering(*names)
        def lower(lowering: Lowering, op: Op, operands: Sequence[Expr]) -> Sequence[Expr]:
            values = [*op.operands, *op.results]
            if any(value is not None and value.type.layout is not None for value in values):
                raise Refusal("layouts")
            results = [result.type for result in op.results]
            if results and all(0 in type_.shape and is_static(type_) for type_ in results):
                return [lowering.constant(_empty(type_)) for type_ in results]
            found = function(Context(lowering, op, operands))
            return found if isinstance(found, list) else [found]

        return function

    return register


def is_static(type_: TensorType) -> bool:
    """Whether all sizes are numbers."""
    return all(isinstance(dim, int) for dim in type_.shape)


def _empty(type_: TensorType) -> Array:
    return np.zeros(type_.static_shape, type_.dtype.numpy)


# Tensor functions ----------------------------------------------------------------------------


def compute(shape: Sequence[Scalar], function: Callable[..., Scalar], name: str = "y") -> Tensor:
    """A tensor of ``shape``, its elements by a function of their indices."""

    def element(*index: Scalar) -> Scalar:
        return _without_unit_reduction(function(*index))

    return te.compute(tuple(shape), element, name=name)


def _without_unit_reduction(x: Scalar) -> Scalar:
    """A reduction of one element as that element, combined with what reductions start from.

    TVM's schedules take the loops of one round away, and then what remains for a block without a
    reduction: they put what reads its result into it, which so runs before the sum, too.
    """
    if not isinstance(x, tirx.Reduce) or not all(is_one(a.dom.extent) for a in x.axis):
        return x
    combiner = x.combiner
    values = dict(zip(combiner.lhs, combiner.identity_element))
    values |= dict(zip(combiner.rhs, x.source))
    total = _replaced(combiner.result[x.value_index], values)
    return _replaced(total, {axis.var: axis.dom.min for axis in x.axis})


def _replaced(x: Scalar, values: Mapping[Any, Scalar]) -> Scalar:
    """``x`` with expressions in the places of variables."""
    return tvm_ffi.structural_map(x, (tirx.Var, lambda var: values.get(var, var)))


def each(x: Tensor, function: Callable[[Scalar], Scalar]) -> Tensor:
    """A function of every element."""
    return compute(x.shape, lambda *index: function(x(*index)))


def broadcast(x: Tensor, index: Sequence[Scalar]) -> Scalar:
    """The element of ``x`` that broadcasting puts at ``index``."""
    own = index[len(index) - len(x.shape) :]
    return x(*(0 if is_one(size) else at for size, at in zip(x.shape, own)))


def is_one(size: Scalar) -> bool:
    """Whether a size is known to be 1."""
    return isinstance(size, tirx.IntImm) and size.value == 1


def broadcast_shape(*tensors: Tensor) -> list[Scalar]:
    """The shape of tensors that broadcast onto each other."""
    shape: list[Scalar] = []
    for tensor in tensors:
        own = list(tensor.shape)
        shape = [tirx.IntImm("int64", 1)] * (len(own) - len(shape)) + shape
        for axis in range(1, len(own) + 1):
            if is_one(shape[-axis]):
                shape[-axis] = own[-axis]
    return shape


def widened(x: Scalar, dtype: DType) -> Scalar:
    """An element in the type that arithmetic happens in."""
    return x if dtype.compute is dtype else cast(x, dtype.compute)


# Floats of at most 8 bits --------------------------------------------------------------------


def is_coded(dtype: DType) -> bool:
    """Whether elements are kept as codes, which no machine computes with."""
    return dtype.is_float and carrier(dtype) is not dtype


def _decoded(x: Tensor, table: Tensor) -> Tensor:
    return each(x, lambda code: table(tirx.Cast("int64", code)))


def _encoded(
    nan: int, source: DType, x: Tensor, bounds: Tensor, positive: Tensor, negative: Tensor
) -> Tensor:
    step = te.reduce_axis((0, bounds.shape[0]), "bound")
    place = compute(
        x.shape,
        lambda *index: te.sum(tirx.Cast("int32", tirx.abs(x(*index)) > bounds[step]), axis=step),
        "place",
    )
    integer = "int32" if source is DType.F32 else "int64"

    def code(*index: Scalar) -> Scalar:
        minus = tirx.reinterpret(integer, x(*index)) < 0
        at = tirx.Cast("int64", place(*index))
        found = tirx.Select(minus, negative[at], positive[at])
        return tirx.Select(tirx.isnan(x(*index)), tirx.const(nan, "uint8"), found)

    return compute(x.shape, code)
