"""What operators there are in an opset, and which element types they take: ONNX's own schemas.

Nothing about availability is written down in this package but here, and here it is derived.
"""

from __future__ import annotations

from functools import cache

import onnx
from onnx import helper
from onnx.defs import OpSchema, SchemaError, get_all_schemas_with_history, get_schema

from burnish.ir import DType

ML = "ai.onnx.ml"
_SEPARATOR = " of "
OLDEST_OPSET = 13
"""Older ones give axes as attributes that are operands since, and lack most element types."""

ELEMENT_CODES: dict[DType, int] = {
    dtype: helper.np_dtype_to_tensor_dtype(dtype.numpy) for dtype in DType
}
"""``TensorProto.DataType`` of each element type."""

_TYPE_TEXTS = {
    f"tensor({onnx.TensorProto.DataType.Name(code).lower()})": dtype
    for dtype, code in ELEMENT_CODES.items()
}


def newest_opset() -> int:
    """The newest opset that the installed onnx package knows."""
    return onnx.defs.onnx_opset_version()


@cache
def find_schema(op_type: str, opset: int, domain: str = "") -> OpSchema | None:
    """The operator as it is in that opset; None where it is missing or deprecated."""
    try:
        schema = get_schema(op_type, opset, domain)
    except SchemaError:
        return None
    return None if schema.deprecated else schema


@cache
def first_opset(op_type: str, domain: str = "") -> int:
    """The opset that introduced an operator."""
    return min(
        schema.since_version
        for schema in get_all_schemas_with_history()
        if (schema.domain, schema.name) == (domain, op_type)
    )


@cache
def type_variable(op_type: str, opset: int, domain: str, index: int, *, output: bool) -> str:
    """The name of the type variable (or the type) of an input or output; variadic ones repeat.

    Those of which each may be of another type, as of Loop, have names of their own.
    """
    schema = find_schema(op_type, opset, domain)
    assert schema is not None
    listed = schema.outputs if output else schema.inputs
    formal = listed[min(index, len(listed) - 1)]
    if formal.is_homogeneous:
        return formal.type_str
    return f"{formal.type_str}{_SEPARATOR}{'output' if output else 'input'} {index}"


@cache
def allowed_dtypes(op_type: str, opset: int, domain: str, variable: str) -> frozenset[DType]:
    """The element types that a type variable of an operator may stand for."""
    schema = find_schema(op_type, opset, domain)
    assert schema is not None
    variable = variable.partition(_SEPARATOR)[0]
    texts = [variable]
    for constraint in schema.type_constraints:
        if constraint.type_param_str == variable:
            texts = list(constraint.allowed_type_strs)
    return frozenset(_TYPE_TEXTS[text] for text in texts if text in _TYPE_TEXTS)


def first_opset_taking(dtype: DType, op_type: str, opset: int, domain: str, variable: str) -> int:
    """The first newer opset whose operator takes an element type; 0 if none does."""
    later = range(opset + 1, newest_opset() + 1) if domain == "" else ()
    return next((o for o in later if dtype in allowed_dtypes(op_type, o, domain, variable)), 0)


_WIDER: dict[DType, tuple[DType, ...]] = {
    DType.F8E4M3FN: (DType.F32,),
    DType.F8E4M3FNUZ: (DType.F32,),
    DType.F8E5M2: (DType.F32,),
    DType.F8E5M2FNUZ: (DType.F32,),
    DType.F8E8M0: (DType.F32,),
    DType.F4E2M1: (DType.F32,),
    DType.BF16: (DType.F32,),
    DType.F16: (DType.F32,),
    DType.I2: (DType.I8, DType.I32),
    DType.I4: (DType.I8, DType.I32),
    DType.I8: (DType.I32, DType.I64),
    DType.I16: (DType.I32, DType.I64),
    DType.I32: (DType.I64,),
    DType.U2: (DType.U8, DType.I32),
    DType.U4: (DType.U8, DType.I32),
    DType.U8: (DType.I32, DType.I64),
    DType.U16: (DType.I32, DType.I64),
    DType.U32: (DType.U64, DType.I64),
    DType.BOOL: (DType.U8, DType.I32),
}
"""Types that hold every number of another one, so that computing in them and converting back is
the same: integers wrap, and floats narrower than f32 are defined to compute in f32."""

_EXACT_FLOATS: dict[DType, tuple[DType, ...]] = {
    DType.I8: (DType.F32,),
    DType.I16: (DType.F32,),
    DType.I32: (DType.F64,),
    DType.U8: (DType.F32,),
    DType.U16: (DType.F32,),
    DType.U32: (DType.F64,),
}
"""Floats that hold every number of an integer type: for operators that only choose elements."""


def work_dtype(dtype: DType, allowed: frozenset[DType], *, chooses: bool = False) -> DType | None:
    """The type to compute in where an operator takes ``allowed`` only; None where there is none.

    ``chooses`` says that every result is one of the elements given.
    """
    candidates = (dtype, *_WIDER.get(dtype, ()))
    if chooses:
        candidates = (*candidates, *_EXACT_FLOATS.get(dtype, ()))
    return next((candidate for candidate in candidates if candidate in allowed), None)
