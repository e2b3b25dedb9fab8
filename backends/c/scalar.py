"""Scalar expressions of :mod:`burnish.ir.scalar` as C.

One table per kind of element type says how each primitive reads in C.  ``{x}`` and ``{y}``
stand for the arguments; an entry that is a plain name is a helper of :mod:`.helpers`, which is
emitted into the model's source only when it is used.  The C computes what the interpreter
computes, bit for bit where no function of ``<math.h>`` with an accuracy of its own is involved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import scalar
from burnish.ir.dtypes import DType

from .. import expressions
from ..expressions import MATH_FUNCTIONS, Number
from .code import UNARY, Expr, binary, call, cast, conditional, integer
from .elements import is_narrow_float, is_narrow_integer, literal, storage_type, value_type

Helper = Callable[[str], str]
"""Gives the C name of a helper function and notes that it is used."""

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_LOGIC = {"logical_and": "&&", "logical_or": "||", "logical_xor": "!="}
_LIMITS = {"max": "at_least", "min": "at_most"}
_BITS = {"bit_and": "&", "bit_or": "|", "bit_xor": "^"}

_MATH_FUNCTIONS = {
    **MATH_FUNCTIONS,
    "abs": "fabs",
    "truncated_mod": "fmod",
    "round_even": "rint",
    "pow": "pow",
}
"""Primitives of floats that are a function of ``<math.h>`` (``f`` is appended for f32)."""


@dataclass(frozen=True)
class _C:
    """C as a language of scalar expressions."""

    helper: Helper

    def literal(self, value: Number, dtype: DType) -> Expr:
        return literal(value, dtype)

    def primitive(self, name: str, arguments: Sequence[Expr], dtype: DType) -> Expr:
        return primitive(name, list(arguments), dtype, self.helper)


def render(expr: scalar.Expr, values: Mapping[str, Expr], dtype: DType, helper: Helper) -> Expr:
    """``expr`` in C with variables replaced by ``values`` (of ``value_type(dtype)``, or bool).

    ``dtype`` is the type arithmetic happens in; narrow floats mean f32.
    """
    return expressions.render(expr, values, dtype.compute, _C(helper))


def primitive(function: str, args: list[Expr], dtype: DType, helper: Helper) -> Expr:
    """One primitive applied to arguments of ``dtype``."""
    if function == "select":
        return conditional(*args)
    if function in _COMPARISONS:
        if not dtype.is_signed:
            x, y = (arg.value for arg in args)
            # Compilers warn of comparisons that no unsigned number can pass.
            if (function == "lt" and y == 0) or (function == "gt" and x == 0):
                return integer(0)
            if (function == "ge" and y == 0) or (function == "le" and x == 0):
                return integer(1)
        return binary(_COMPARISONS[function], *args)
    if function in _LOGIC:
        return binary(_LOGIC[function], *args)
    if function == "logical_not":
        return Expr(f"!{args[0].within(UNARY)}", UNARY)
    if dtype.is_float:
        return _float_primitive(function, args, dtype, helper)
    return _integer_primitive(function, args, dtype, helper)


def _float_primitive(function: str, args: list[Expr], dtype: DType, helper: Helper) -> Expr:
    if function in _OPERATORS:
        return binary(_OPERATORS[function], *args)
    if function == "neg":
        return _negated(args[0])
    if function == "is_nan":
        return Expr(f"isnan({args[0]}) != 0", 9)
    if function == "is_inf":
        return Expr(f"isinf({args[0]}) != 0", 9)
    if function in _MATH_FUNCTIONS:
        suffix = "" if dtype is DType.F64 else "f"
        return call(_MATH_FUNCTIONS[function] + suffix, *args)
    if function in _LIMITS:
        # One comparison, one instruction: enough where one side is known to be a number.
        for value, limit in (args, reversed(args)):
            if limit.is_number:
                return call(helper(f"{_LIMITS[function]}_{dtype}"), value, limit)
    return call(helper(f"{function}_{dtype}"), *args)


def _negated(value: Expr) -> Expr:
    return Expr(f"-{value.within(UNARY + 1)}", UNARY)


def _integer_primitive(function: str, args: list[Expr], dtype: DType, helper: Helper) -> Expr:
    if function in ("is_nan", "is_inf"):
        return integer(0)
    if function in ("floor", "ceil", "trunc", "round_even"):
        return args[0]
    if function in _BITS:
        # Operands of one type keep their bits under C's promotions: no conversion is needed.
        return binary(_BITS[function], *args)
    if dtype in (DType.U32, DType.U64) and function in ("add", "sub", "mul"):
        return binary(_OPERATORS[function], *args)
    return call(helper(f"{function}_{dtype}"), *args)


def load(text: Expr, dtype: DType, helper: Helper) -> Expr:
    """The value of a stored element."""
    if is_narrow_integer(dtype):
        return call(helper(f"wrap_{dtype}"), text)
    return call(helper(f"{dtype}_to_f32"), text) if is_narrow_float(dtype) else text


def stored(value: Expr, dtype: DType, helper: Helper) -> Expr:
    """The stored form of a value of ``value_type(dtype)``."""
    if is_narrow_integer(dtype) and dtype.is_signed:
        return binary("&", value, integer((1 << dtype.bits) - 1))
    return call(helper(f"f32_to_{dtype}"), value) if is_narrow_float(dtype) else value


def rounded(value: Expr, dtype: DType, helper: Helper) -> Expr:
    """``value`` after one trip through memory: narrow floats lose the extra precision."""
    if not is_narrow_float(dtype):
        return value
    return load(stored(value, dtype, helper), dtype, helper)


def convert(value: Expr, source: DType, to: DType, helper: Helper) -> Expr:
    """``value`` of ``source`` as a value of ``to``, as :func:`burnish.ir.scalar.convert` does.

    Both are in their value types; a narrow-float result is rounded to its type.
    """
    if source is to:
        return value
    if to is DType.BOOL:
        return binary("!=", value, literal(0, source.compute))
    if source.is_float and to.is_integer:
        return call(helper(f"{source.compute}_to_{to}"), value)
    if to.is_float:
        if is_narrow_float(to):
            if source is DType.F64:
                return load(call(helper(f"f64_to_{to}"), value), to, helper)
            if source.is_integer and source.bits > 16:
                return load(call(helper(f"f64_to_{to}"), cast("double", value)), to, helper)
            wide = value if source.is_float else cast("float", value)
            return rounded(wide, to, helper)
        return cast(value_type(to), value)
    if to.bits < 8:
        return call(helper(f"wrap_{to}"), cast("unsigned", value))
    if not to.is_signed or source.bits < to.bits or source is DType.BOOL:
        return cast(value_type(to), value)
    return call(helper(f"wrap_{to}"), cast(storage_type(DType.parse(f"u{to.bits}")), value))


def is_chosen(expr: scalar.Expr, name: str, chosen: bool = False) -> bool:
    """Whether a variable stands where it is evaluated under a condition only.

    Loads there become masked loads, which GCC 12 gives the wrong masks where the condition is
    narrower than the data (``y[i] = c[i] ? x[i] : limit[0]`` with bytes in c): such elements are
    loaded into a local first.
    """
    if isinstance(expr, scalar.Var):
        return chosen and expr.name == name
    if not isinstance(expr, scalar.Call):
        return False
    first = 1 if expr.function in ("select", "logical_and", "logical_or") else len(expr.args)
    return any(is_chosen(arg, name, chosen or i >= first) for i, arg in enumerate(expr.args))


def occurrences(expr: scalar.Expr, name: str) -> int:
    """How often a variable is read."""
    if isinstance(expr, scalar.Call):
        return sum(occurrences(arg, name) for arg in expr.args)
    return int(expr == scalar.Var(name))
