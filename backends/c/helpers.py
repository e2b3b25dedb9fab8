"""Small C functions that kernels call: arithmetic C leaves undefined, and narrow types.

One table, from the name used in :mod:`.scalar` to C text.  ``@`` in the text stands for the
model's prefix.  Only the helpers a model uses (and those they use) are emitted, in an order that
does not depend on where they were used first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from burnish.ir.dtypes import DType, Kind
from burnish.ir.errors import InternalError

from .elements import storage_type

_INTEGERS = [dtype for dtype in DType if dtype.is_integer]
_TABLE: dict[str, str] = {}


def _define(name: str, result: str, arguments: str, body: str, doc: str = "") -> None:
    """Enter a function; ``arguments`` as in ``"float x, float y"``."""
    comment = f"/* {doc} */\n" if doc else ""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    _TABLE[name] = f"{comment}static inline {result} @_{name}({arguments})\n{{\n{lines}}}\n"


def _define_integer_arithmetic(dtype: DType) -> None:
    """Two's complement arithmetic without undefined behaviour, for one element type."""
    c_type = storage_type(dtype)
    name = dtype.text
    # Unsigned arithmetic wraps; narrower types than unsigned would be promoted to int.
    unsigned = "uint64_t" if dtype.bits == 64 else "uint32_t"
    low, _ = dtype.integer_range
    signed = dtype.kind is Kind.INT
    binary = f"{c_type} x, {c_type} y"
    _define_wrap(dtype, unsigned)
    for function, operator in (("add", "+"), ("sub", "-"), ("mul", "*")):
        _define(f"{function}_{name}", c_type, binary,
                f"return @_wrap_{name}(({unsigned})x {operator} ({unsigned})y);")
    _define(f"neg_{name}", c_type, f"{c_type} x", f"return @_wrap_{name}(0 - ({unsigned})x);")
    absolute = f"return x < 0 ? @_wrap_{name}(0 - ({unsigned})x) : x;" if signed else "return x;"
    _define(f"abs_{name}", c_type, f"{c_type} x", absolute)
    _define(f"bit_not_{name}", c_type, f"{c_type} x", f"return @_wrap_{name}(~({unsigned})x);")
    for function, operator in (("min", "<"), ("max", ">")):
        _define(f"{function}_{name}", c_type, binary, f"return x {operator} y ? x : y;")
    minus_one = f"if (y == -1) {{\n    return @_wrap_{name}(0 - ({unsigned})x);\n}}\n"
    guard = "if (y == 0) {\n    return 0;\n}\n"
    _define(f"div_{name}", c_type, binary,
            guard + (minus_one if signed else "") + f"return ({c_type})(x / y);",
            "Truncates; x / 0 is 0, and MIN / -1 wraps." if signed else "x / 0 is 0.")
    zero = "if (y == 0 || y == -1) {\n    return 0;\n}\n" if signed else guard
    _define(f"truncated_mod_{name}", c_type, binary, zero + f"return ({c_type})(x % y);",
            "Sign of the dividend; 0 where the divisor is 0.")
    fix = f"return ({c_type})(r != 0 && (r < 0) != (y < 0) ? r + y : r);" if signed else "return r;"
    _define(f"floor_mod_{name}", c_type, binary,
            zero + f"const {c_type} r = ({c_type})(x % y);\n" + fix,
            "Sign of the divisor; 0 where the divisor is 0.")
    _define(f"pow_{name}", c_type, binary, _power_body(dtype, c_type, unsigned),
            "Wraps; a negative exponent gives 0, or +-1 for a base of +-1." if signed else "")
    width = dtype.bits if dtype.bits >= 8 else 8
    beyond = f"y < 0 || y >= {width}" if signed else f"y >= {width}"
    _define(f"shift_left_{name}", c_type, binary,
            f"return {beyond} ? 0 : @_wrap_{name}(({unsigned})x << y);")
    if signed:
        # A right shift of a negative number is implementation-defined: shift its complement.
        body = (f"const {c_type} n = ({c_type})({beyond} ? {width - 1} : y);\n"
                f"return ({c_type})(x < 0 ? ~(~x >> n) : x >> n);")
    else:
        body = f"return ({c_type})({beyond} ? 0 : x >> y);"
    _define(f"shift_right_{name}", c_type, binary, body)
    for source, c_source in (("f32", "float"), ("f64", "double")):
        _define(f"{source}_to_{name}", c_type, f"{c_source} x", _saturate_body(dtype, source),
                "Truncates towards zero and saturates; NaN gives 0.")


def _define_wrap(dtype: DType, unsigned: str) -> None:
    """``wrap``: the value of the element type that has the low bits of an unsigned number."""
    c_type = storage_type(dtype)
    if dtype.kind is Kind.UINT:
        mask = f" & {(1 << dtype.bits) - 1}" if dtype.bits < 8 else ""
        body = f"return ({c_type})(x{mask});" if mask or dtype.bits < 32 else "return x;"
    elif dtype.bits >= 32:
        top, low = f"INT{dtype.bits}_MAX", f"INT{dtype.bits}_MIN"
        # The conversion of a too large unsigned number is implementation-defined in C99.
        body = (f"return x <= ({unsigned}){top} ? ({c_type})x\n"
                f"    : ({c_type})(x - ({unsigned}){top} - 1) + {low};")
    else:
        half = 1 << (dtype.bits - 1)
        body = f"return ({c_type})((int32_t)((x + {half}u) & {2 * half - 1}u) - {half});"
    _define(f"wrap_{dtype}", c_type, f"{unsigned} x", body)


def _power_body(dtype: DType, c_type: str, unsigned: str) -> str:
    negative = (
        "if (y < 0) {\n    return (x == 1 || (x == -1 && y % 2 == 0)) ? 1 : x == -1 ? -1 : 0;\n}\n"
        if dtype.kind is Kind.INT
        else ""
    )
    return negative + (
        f"{unsigned} result = 1;\n{unsigned} factor = ({unsigned})x;\n"
        f"for ({c_type} rest = y; rest > 0; rest = ({c_type})(rest / 2)) {{\n"
        "    if (rest % 2 != 0) {\n        result *= factor;\n    }\n    factor *= factor;\n}\n"
        f"return @_wrap_{dtype}(result);"
    )


def _saturate_body(dtype: DType, source: str) -> str:
    low, high = dtype.integer_range
    suffix = "f" if source == "f32" else ""
    c_type = storage_type(dtype)
    top = f"{2.0 ** (dtype.bits - (dtype.kind is Kind.INT))!r}{suffix}"
    limits = {64: ("INT64", "UINT64"), 32: ("INT32", "UINT32")}.get(dtype.bits)
    if limits is None:
        low_text, high_text = str(low), str(high)
    elif dtype.kind is Kind.INT:
        low_text, high_text = f"{limits[0]}_MIN", f"{limits[0]}_MAX"
    else:
        low_text, high_text = "0", f"{limits[1]}_MAX"
    low_float = f"{float(low)!r}{suffix}"
    return (
        f"if (x >= {top}) {{\n    return {high_text};\n}}\n"
        f"if (x <= {low_float}) {{\n    return {low_text};\n}}\n"
        f"return isnan(x) ? 0 : ({c_type})x;"
    )


for _dtype in _INTEGERS:
    _define_integer_arithmetic(_dtype)


def _define_float_arithmetic(name: str, c_type: str, f: str) -> None:
    pair = f"{c_type} x, {c_type} y"
    _define(f"min_{name}", c_type, pair, "return x < y || isnan(x) ? x : y;",
            "The smaller one; NaN when either is NaN.")
    _define(f"max_{name}", c_type, pair, "return x > y || isnan(x) ? x : y;",
            "The larger one; NaN when either is NaN.")
    _define(f"floor_mod_{name}", c_type, pair,
            f"const {c_type} r = fmod{f}(x, y);\n"
            f"if (r == 0) {{\n    return copysign{f}(0, y);\n}}\n"
            "return (r < 0) != (y < 0) ? r + y : r;",
            "Remainder with the sign of the divisor.")


_define_float_arithmetic("f32", "float", "f")
_define_float_arithmetic("f64", "double", "")


_CALL = re.compile(r"@_(\w+)\(")


def closure(names: Iterable[str]) -> list[str]:
    """``names`` and all helpers they call, callees first, otherwise in alphabetical order.

    Raises:
        InternalError: there is no helper of that name.
    """
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        if name not in _TABLE:
            raise InternalError(f"there is no C helper {name}")
        for callee in sorted(set(_CALL.findall(_TABLE[name])) - {name}):
            visit(callee)
        done[name] = None

    for name in sorted(names):
        visit(name)
    return list(done)


def text_of(name: str, prefix: str) -> str:
    """C text of the helper ``name`` for a model of that prefix."""
    return _TABLE[name].replace("@", prefix)
