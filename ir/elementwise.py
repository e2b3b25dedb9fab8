"""Declaring elementwise ops: one scalar expression each.

    elementwise("math.relu", "max(x, 0)", "Rectified linear unit.", dtypes=NUMERIC)

makes an op with operand ``x`` that broadcasts like NumPy; its type inference, reference and
cost follow from the expression, and backends render the same expression.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from . import scalar
from .attributes import Attributes
from .constants import Array
from .dtypes import DType
from .opdef import (
    ANY,
    AttributeSpec,
    Cost,
    OpDef,
    OperandSpec,
    OperandTypes,
    Trait,
    register_instance,
    traffic,
)
from .types import TensorType, broadcast_shapes

SAME = "same"
BOOL = "bool"
TO = "to"
"""Result element type: that of the operands, bool, or the attribute ``to``."""


class ElementwiseOp(OpDef):
    """An op given by a scalar expression over its operands and attributes.

    ``expression`` is that expression; ``result`` says the result's element type (``SAME``,
    ``BOOL`` or ``TO``); operands of group ``T`` share the element type the arithmetic is in.
    """

    expression: scalar.Expr
    formula: str
    """The expression as it was written."""
    result: str
    _doc: str

    @property
    def doc(self) -> str:
        return self._doc

    def result_dtype(self, a: Attributes, dtypes: Sequence[DType]) -> DType:
        """Element type of the result for operands of ``dtypes``."""
        if self.result == BOOL:
            return DType.BOOL
        if self.result == TO:
            to: DType = a.to
            return to
        return self.work_dtype(dtypes)

    def work_dtype(self, dtypes: Sequence[DType]) -> DType:
        """Element type of the operands of group ``T`` (before widening to ``compute``)."""
        for spec, dtype in zip(self.operands.values(), dtypes):
            if spec.group == "T":
                return dtype
        return dtypes[0]

    def infer(self, a: Attributes, *operands: TensorType) -> TensorType:
        shape = broadcast_shapes(*(t.shape for t in operands))
        return TensorType(shape, self.result_dtype(a, [t.dtype for t in operands]))

    def evaluate(self, a: Attributes, *operands: Array) -> Array:
        dtypes = [DType.from_numpy(x.dtype) for x in operands]
        work = self.work_dtype(dtypes).compute
        values: dict[str, Array | float | int | bool] = {
            name: x.astype(d.compute.numpy) if d.compute is not d else x
            for name, x, d in zip(self.operands, operands, dtypes)
        }
        values.update({k: v for k, v in a.items() if isinstance(v, (bool, int, float))})
        result = scalar.evaluate(self.expression, values, work)
        shape = np.broadcast_shapes(*(x.shape for x in operands))
        if result.shape != shape:
            result = np.broadcast_to(result, shape)
        return scalar.convert(result, self.result_dtype(a, dtypes))

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        each = max(1, scalar.cost(self.expression))
        return Cost(flops=results[0].elements * each, **traffic(operands, results))


def elementwise(
    name: str,
    expression: str,
    doc: str,
    *,
    dtypes: Collection[DType],
    result: str = SAME,
    attributes: Mapping[str, AttributeSpec] | None = None,
    operand_dtypes: Mapping[str, Collection[DType]] | None = None,
    traits: Collection[Trait] = (),
) -> ElementwiseOp:
    """Declare and register an elementwise op.

    Operands are the expression's variables that are not attributes, in order of appearance.
    They share one element type out of ``dtypes``, except those named in ``operand_dtypes``.
    """
    parsed = scalar.parse(expression)
    attributes = dict(attributes or {})
    special = dict(operand_dtypes or {})
    names = [v for v in scalar.variables(parsed) if v not in attributes]
    operands = {
        v: OperandSpec("", frozenset(special[v]))
        if v in special
        else OperandSpec("", frozenset(dtypes or ANY), group="T")
        for v in names
    }
    cls = type(
        "Elementwise_" + name.replace(".", "_"),
        (ElementwiseOp,),
        {
            "name": name,
            "expression": parsed,
            "formula": expression,
            "result": result,
            "_doc": doc,
            "operands": operands,
            "attributes": attributes,
            "traits": frozenset({Trait.ELEMENTWISE, *traits}),
        },
    )
    definition = cls()
    assert isinstance(definition, ElementwiseOp)
    register_instance(definition)
    return definition
