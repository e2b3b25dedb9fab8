"""A module with f64 in place of every other floating type: what it means, nearly unrounded.

A rewrite that promises its results within rounding may also round less than what it replaces, and
overflow less: e^x / (1 + e^x) by one op is finite where e^x is infinite.  Such results differ from
what was before by more than its latitude; but they are closer to those of the widened module.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from burnish.ir import Array, DType, Error, Function, Module, Value, build_function, interpret
from burnish.ir.attributes import AttributeValue
from burnish.ir.scalar import convert

from .draws import float_info


def widened_results(
    module: Module, function: str, inputs: Mapping[str, Array]
) -> dict[str, Array] | None:
    """Results of the widened module; None where there is none (regions, quantized types)."""
    try:
        wide = _widened(module, module.functions[function])
        arrays = {name: _wide(array) for name, array in inputs.items()}
        with np.errstate(all="ignore"):
            return interpret(wide, arrays)
    except Error:  # an op that f64 is not defined for, or an index that is out of range now
        return None


def is_closer(reference: Array, before: Array, after: Array) -> Array:
    """Mask of the elements of ``after`` that are as close to ``reference`` as those of ``before``.

    What overflows in the type of ``before`` may be infinite, or the largest number; what is
    infinite unrounded must be just that.  Where something overflowed on the way to a number,
    ``before`` is wrong, and infinities of which signs meet depends on roundings: anything will do.
    """
    info = float_info(before.dtype)
    a, b = before.astype(np.float64), after.astype(np.float64)
    with np.errstate(all="ignore"):
        rounding = 4 * (float(info.eps) * np.abs(reference) + float(info.tiny))
        error = np.where(np.isfinite(a), np.abs(a - reference), np.inf)
        close = np.abs(b - reference) <= error + rounding
        beyond = np.abs(reference) > float(info.max) * (1 - float(info.eps))
        overflown_a, overflown_b = (
            beyond & (np.sign(x) == np.sign(reference)) & (np.abs(x) >= float(info.max) / 2)
            for x in (a, b)
        )
        lost = ~np.isfinite(a) & ~overflown_a
        finite = np.isfinite(reference) & ((np.isfinite(b) & close) | overflown_b | lost)
        return np.asarray(finite | (np.isinf(reference) & (b == reference)))


def _widened(module: Module, function: Function) -> Module:
    """``function`` alone, as ``main``, in f64.

    Raises:
        TypeInferenceError: an op has no such form.
    """
    wide = Module(module.name, symbols=module.symbols)
    types = {
        name: arg.type.with_dtype(DType.F64) if arg.type.dtype.is_float else arg.type
        for name, arg in zip(function.arg_names, function.args)
    }
    target, builder = build_function(wide, "main", types, function.result_names)
    values: dict[Value, Value] = dict(zip(function.args, target.args))
    for op in function.body:
        if op.is_terminator:
            builder.ret(*(values[value] for value in op.inputs))
        elif op.result_types and (data := op.results[0].constant) is not None:
            encoding = op.results[0].type.encoding
            values[op.results[0]] = builder.constant(_wide(data.array), encoding=encoding)
        else:
            operands = [None if value is None else values[value] for value in op.operands]
            attributes = {name: _wide_attribute(value) for name, value in op.attributes.items()}
            copy = builder.create(op.name, operands, attributes)
            values.update(zip(op.results, copy.results))
    return wide


def _wide_attribute(value: AttributeValue) -> AttributeValue:
    return _wide_dtype(value) if isinstance(value, DType) else value


def _wide_dtype(dtype: DType) -> DType:
    return DType.F64 if dtype.is_float else dtype


def _wide(array: Array) -> Array:
    return convert(array, _wide_dtype(DType.from_numpy(array.dtype)))
