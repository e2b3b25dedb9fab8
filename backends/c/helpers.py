"""Small C functions that kernels call: arithmetic C leaves undefined, and narrow types.

One table, from the name used in :mod:`.scalar` to C text.  ``@`` in the text stands for the
model's prefix.  Only the helpers a model uses (and those they use) are emitted, in an order that
does not depend on where they were used first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from burnish.ir.dtypes import DType, Kind
from burnish.ir.errors import InternalError

from . import vectors
from .elements import is_narrow_float, storage_type, value_type

_INTEGERS = [dtype for dtype in DType if dtype.is_integer]
_TABLE: dict[str, str] = {}


def _define(name: str, result: str, arguments: str, body: str, doc: str = "") -> None:
    """Enter a function; ``arguments`` as in ``"float x, float y"``."""
    comment = f"/* {doc} */\n" if doc else ""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    _TABLE[name] = f"{comment}static inline {result} @_{name}({arguments})\n{{\n{lines}}}\n"


def _unsigned_for(dtype: DType) -> str:
    """Unsigned arithmetic wraps; types narrower than ``unsigned`` would be promoted to int."""
    return "uint64_t" if dtype.bits == 64 else "uint32_t"


def _define_integer_arithmetic(dtype: DType) -> None:
    """Two's complement arithmetic without undefined behaviour, for one element type."""
    c_type = value_type(dtype)
    name = dtype.text
    unsigned = _unsigned_for(dtype)
    signed = dtype.kind is Kind.INT
    binary = f"{c_type} x, {c_type} y"
    _define_wrap(dtype, unsigned)
    for function, operator in (("add", "+"), ("sub", "-"), ("mul", "*")):
        _define(
            f"{function}_{name}",
            c_type,
            binary,
            f"return @_wrap_{name}(({unsigned})x {operator} ({unsigned})y);",
        )
    _define(f"neg_{name}", c_type, f"{c_type} x", f"return @_wrap_{name}(0 - ({unsigned})x);")
    absolute = f"return x < 0 ? @_wrap_{name}(0 - ({unsigned})x) : x;" if signed else "return x;"
    _define(f"abs_{name}", c_type, f"{c_type} x", absolute)
    _define(f"bit_not_{name}", c_type, f"{c_type} x", f"return @_wrap_{name}(~({unsigned})x);")
    for function, operator in (("min", "<"), ("max", ">")):
        _define(f"{function}_{name}", c_type, binary, f"return x {operator} y ? x : y;")
    _define(
        f"pow_{name}",
        c_type,
        binary,
        _power_body(dtype, c_type, unsigned),
        "Wraps; a negative exponent gives 0, or +-1 for a base of +-1." if signed else "",
    )
    for source, c_source in (("f32", "float"), ("f64", "double")):
        _define(
            f"{source}_to_{name}",
            c_type,
            f"{c_source} x",
            _saturate_body(dtype, source),
            "Truncates towards zero and saturates; NaN gives 0.",
        )


def _define_division(dtype: DType) -> None:
    """Quotients and remainders of one element type, for every divisor."""
    c_type, name, unsigned = value_type(dtype), dtype.text, _unsigned_for(dtype)
    signed = dtype.kind is Kind.INT
    binary = f"{c_type} x, {c_type} y"
    minus_one = f"if (y == -1) {{\n    return @_wrap_{name}(0 - ({unsigned})x);\n}}\n"
    guard = "if (y == 0) {\n    return 0;\n}\n"
    _define(
        f"div_{name}",
        c_type,
        binary,
        guard + (minus_one if signed else "") + f"return ({c_type})(x / y);",
        "Truncates; x / 0 is 0, and MIN / -1 wraps." if signed else "x / 0 is 0.",
    )
    zero = "if (y == 0 || y == -1) {\n    return 0;\n}\n" if signed else guard
    _define(
        f"truncated_mod_{name}",
        c_type,
        binary,
        zero + f"return ({c_type})(x % y);",
        "Sign of the dividend; 0 where the divisor is 0.",
    )
    fix = f"return ({c_type})(r != 0 && (r < 0) != (y < 0) ? r + y : r);" if signed else "return r;"
    _define(
        f"floor_mod_{name}",
        c_type,
        binary,
        zero + f"const {c_type} r = ({c_type})(x % y);\n" + fix,
        "Sign of the divisor; 0 where the divisor is 0.",
    )


def _define_shifts(dtype: DType) -> None:
    """Shifts of one element type by any number of bits."""
    c_type, name, unsigned = value_type(dtype), dtype.text, _unsigned_for(dtype)
    signed = dtype.kind is Kind.INT
    binary = f"{c_type} x, {c_type} y"
    width = max(8, dtype.bits)
    beyond = f"y < 0 || y >= {width}" if signed else f"y >= {width}"
    _define(
        f"shift_left_{name}",
        c_type,
        binary,
        f"return {beyond} ? 0 : @_wrap_{name}(({unsigned})x << y);",
    )
    if signed:
        # A right shift of a negative number is implementation-defined: shift its complement.
        body = (
            f"const {c_type} n = ({c_type})({beyond} ? {width - 1} : y);\n"
            f"return ({c_type})(x < 0 ? ~(~x >> n) : x >> n);"
        )
    else:
        body = f"return ({c_type})({beyond} ? 0 : x >> y);"
    _define(f"shift_right_{name}", c_type, binary, body)


def _define_wrap(dtype: DType, unsigned: str) -> None:
    """``wrap``: the value of the element type that has the low bits of an unsigned number."""
    c_type = value_type(dtype)
    if dtype.kind is Kind.UINT:
        mask = f" & {(1 << dtype.bits) - 1}" if dtype.bits < 8 else ""
        body = f"return ({c_type})(x{mask});" if mask or dtype.bits < 32 else "return x;"
    elif dtype.bits >= 32:
        top, low = f"INT{dtype.bits}_MAX", f"INT{dtype.bits}_MIN"
        # The conversion of a too large unsigned number is implementation-defined in C99.
        body = (
            f"return x <= ({unsigned}){top} ? ({c_type})x\n"
            f"    : ({c_type})(x - ({unsigned}){top} - 1) + {low};"
        )
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
    c_type = value_type(dtype)
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
    _define_division(_dtype)
    _define_shifts(_dtype)


def _define_float_arithmetic(name: str, c_type: str, f: str) -> None:
    pair = f"{c_type} x, {c_type} y"
    _define(
        f"min_{name}",
        c_type,
        pair,
        "return x < y || isnan(x) ? x : y;",
        "The smaller one; NaN when either is NaN.",
    )
    _define(
        f"max_{name}",
        c_type,
        pair,
        "return x > y || isnan(x) ? x : y;",
        "The larger one; NaN when either is NaN.",
    )
    _define(
        f"floor_mod_{name}",
        c_type,
        pair,
        f"const {c_type} r = fmod{f}(x, y);\n"
        f"if (r == 0) {{\n    return copysign{f}(0, y);\n}}\n"
        "return (r < 0) != (y < 0) ? r + y : r;",
        "Remainder with the sign of the divisor.",
    )


for _name, _operator, _doc in (
    ("at_least", "<", "max(x, limit) for a limit that is a number; NaN stays NaN."),
    ("at_most", ">", "min(x, limit) for a limit that is a number; NaN stays NaN."),
):
    for _type, _c_type in (("f32", "float"), ("f64", "double")):
        _define(
            f"{_name}_{_type}",
            _c_type,
            f"{_c_type} x, {_c_type} limit",
            f"return x {_operator} limit ? limit : x;",
            _doc,
        )

_define_float_arithmetic("f32", "float", "f")
_define_float_arithmetic("f64", "double", "")


# Narrow floats ---------------------------------------------------------------------------


@dataclass(frozen=True)
class FloatFormat:
    """Bits of a float type: sign, ``exponent`` and ``mantissa`` fields.

    ``bias`` is the exponent's; ``largest`` the code of the largest finite magnitude; a larger
    one becomes ``overflow``; ``infinity`` is its code where there is one; ``nan`` the code of
    NaN, None where there is none; ``has_negative_zero`` is false where that code means NaN.
    """

    mantissa: int
    bias: int
    largest: int
    overflow: int
    nan: int | None
    sign: int
    infinity: int | None = None
    has_negative_zero: bool = True


FORMATS = {
    DType.F16: FloatFormat(10, 15, 0x7BFF, 0x7C00, 0x7E00, 0x8000, 0x7C00),
    DType.BF16: FloatFormat(7, 127, 0x7F7F, 0x7F80, 0x7FC0, 0x8000, 0x7F80),
    DType.F8E4M3FN: FloatFormat(3, 7, 0x7E, 0x7F, 0x7F, 0x80),
    DType.F8E4M3FNUZ: FloatFormat(3, 8, 0x7F, 0x80, 0x80, 0x80, None, False),
    DType.F8E5M2: FloatFormat(2, 15, 0x7B, 0x7C, 0x7E, 0x80, 0x7C),
    DType.F8E5M2FNUZ: FloatFormat(2, 16, 0x7F, 0x80, 0x80, 0x80, None, False),
    DType.F4E2M1: FloatFormat(1, 1, 0x07, 0x07, None, 0x08),
}


def _define_rounding(source: str, c_type: str, bits: int, mantissa: int, bias: int) -> None:
    """The code of a magnitude in a narrower format, to nearest, ties to even."""
    unsigned = f"uint{bits}_t"
    _define(
        f"round_{source}",
        "uint32_t",
        f"{c_type} x, int mantissa, int bias",
        f"{unsigned} code;\n"
        "int field, above, shift;\n"
        "memcpy(&code, &x, sizeof code);\n"
        f"field = (int)((code >> {mantissa}) & {(1 << (bits - mantissa - 1)) - 1});\n"
        f"above = (field > 0 ? field : 1) - {bias + 1} + bias;\n"
        f"shift = {mantissa} - mantissa + (above < 0 ? -above : 0);\n"
        f"if (shift > {mantissa + 1}) {{\n    return 0;\n}}\n"
        f"code &= (({unsigned})1 << {mantissa}) - 1;\n"
        f"if (field > 0) {{\n    code |= ({unsigned})1 << {mantissa};\n}}\n"
        f"code += (({unsigned})1 << (shift - 1)) - 1 + ((code >> shift) & 1);\n"
        "return (uint32_t)(code >> shift) + (above > 0 ? (uint32_t)above << mantissa : 0);",
        "Code of |x| with that many mantissa bits, rounded to nearest, ties to even.",
    )


_define_rounding("f32", "float", 32, 23, 127)
_define_rounding("f64", "double", 64, 52, 1023)
_define(
    "scale_f32",
    "float",
    "uint32_t code, int mantissa, int bias",
    "const uint32_t fraction = code & ((1u << mantissa) - 1);\n"
    "const int exponent = (int)(code >> mantissa);\n"
    "return exponent == 0 ? ldexpf((float)fraction, 1 - bias - mantissa)\n"
    "    : ldexpf((float)(fraction + (1u << mantissa)), exponent - bias - mantissa);",
    "Value of a positive finite code.",
)


def _define_narrow_float(dtype: DType, f: FloatFormat) -> None:
    c_type = storage_type(dtype)
    magnitude = f.sign - 1
    for source, c_source in (("f32", "float"), ("f64", "double")):
        nan = "" if f.nan is None else f"if (isnan(x)) {{\n    return {f.nan:#x};\n}}\n"
        if f.nan is None:
            nan = f"if (isnan(x)) {{\n    return {f.sign:#x};\n}}\n"
        negative = (
            f"signbit(x) ? {f.sign:#x}u : 0"
            if f.has_negative_zero
            else f"signbit(x) && code != 0 && code <= {f.largest:#x} ? {f.sign:#x}u : 0"
        )
        _define(
            f"{source}_to_{dtype}",
            c_type,
            f"{c_source} x",
            f"{nan}"
            f"uint32_t code = isinf(x) ? {f.largest + 1:#x}"
            f" : @_round_{source}(x, {f.mantissa}, {f.bias});\n"
            f"if (code > {f.largest:#x}) {{\n    code = {f.overflow:#x};\n}}\n"
            f"return ({c_type})(code | ({negative}));",
        )
    checks = ""
    if f.infinity is not None:
        checks = (
            f"if ((x & {magnitude:#x}) > {f.infinity:#x}) {{\n    return NAN;\n}}\n"
            f"if ((x & {magnitude:#x}) == {f.infinity:#x}) {{\n"
            f"    return x & {f.sign:#x} ? -INFINITY : INFINITY;\n}}\n"
        )
    elif not f.has_negative_zero:
        checks = f"if (x == {f.nan:#x}) {{\n    return NAN;\n}}\n"
    elif f.nan is not None:
        checks = f"if ((x & {magnitude:#x}) == {f.nan:#x}) {{\n    return NAN;\n}}\n"
    _define(
        f"{dtype}_to_f32",
        "float",
        f"{c_type} x",
        f"{checks}const float value = @_scale_f32(x & {magnitude:#x}u, {f.mantissa}, {f.bias});\n"
        f"return x & {f.sign:#x} ? -value : value;",
    )


for _dtype, _format in FORMATS.items():
    _define_narrow_float(_dtype, _format)

_define(
    "f8e8m0_to_f32",
    "float",
    "uint8_t x",
    "return x == 0xff ? NAN : ldexpf(1.0f, (int)x - 127);",
    "A power of two.",
)
for _source, _c_source in (("f32", "float"), ("f64", "double")):
    _define(
        f"{_source}_to_f8e8m0",
        "uint8_t",
        f"{_c_source} x",
        "uint32_t code;\n"
        "if (isnan(x) || isinf(x) || signbit(x) || x == 0) {\n    return 0xff;\n}\n"
        f"code = @_round_{_source}(x, 0, 128);\n"
        "return (uint8_t)(code > 0xff ? 0xff : code == 0 ? 0 : code - 1);",
        "The nearest power of two.",
    )

# Indices, order, quantization --------------------------------------------------------------

_define(
    "position",
    "ptrdiff_t",
    "int64_t index, ptrdiff_t size",
    "const int64_t position = index < 0 ? index + size : index;\n"
    "return position < 0 || position >= size ? -1 : (ptrdiff_t)position;",
    "Where an index points; negative ones count from the end, and -1 means out of range.",
)
_define(
    "wrapped",
    "ptrdiff_t",
    "ptrdiff_t place, ptrdiff_t size",
    "const ptrdiff_t rest = place % size;\nreturn rest < 0 ? rest + size : rest;",
    "The place on an axis that repeats itself.",
)
_define(
    "reflected",
    "ptrdiff_t",
    "ptrdiff_t place, ptrdiff_t last",
    "if (last == 0) {\n    return 0;\n}\n"
    "const ptrdiff_t folded = @_wrapped(place, 2 * last);\n"
    "return folded < last ? folded : 2 * last - folded;",
    "The place on an axis that is mirrored at 0 and at last.",
)
_define(
    "window_count",
    "ptrdiff_t",
    "ptrdiff_t start, ptrdiff_t taps, ptrdiff_t step, ptrdiff_t low, ptrdiff_t high",
    "const ptrdiff_t first = start < low ? (low - start + step - 1) / step : 0;\n"
    "const ptrdiff_t room = start < high ? (high - start + step - 1) / step : 0;\n"
    "const ptrdiff_t last = room < taps ? room : taps;\n"
    "return first < last ? last - first : 0;",
    "How many taps, step apart from start on, lie between low and high.",
)
for _type, _c_type, _f in (("f32", "float", "f"), ("f64", "double", "")):
    _define(
        f"round_within_{_type}",
        "int32_t",
        f"{_c_type} x, int32_t low, int32_t high",
        f"const {_c_type} number = isnan(x) ? 0 : x;\n"
        f"const {_c_type} above = number > ({_c_type})low ? number : ({_c_type})low;\n"
        f"return (int32_t)rint{_f}(above < ({_c_type})high ? above : ({_c_type})high);",
        "The nearest integer, ties to even, within a range; 0 for NaN.  Nothing here depends on a\n"
        " * branch, so that loops become vectors.",
    )
_define(
    "fence",
    "void",
    "void",
    '#if defined(__GNUC__)\n__asm__ volatile("" ::: "memory");\n#endif',
    "Keeps stores where they are: GCC 12.2 moves those to working memory out of a loop that it\n"
    " * vectorizes, and takes the last sums and differences from wrong lanes.",
)


def _define_order(dtype: DType) -> None:
    """A total order of elements with their positions, and a heap of positions in that order."""
    c_type, value = storage_type(dtype), value_type(dtype)
    element = f"@_{dtype}_to_f32(x[{{}}])" if is_narrow_float(dtype) else "x[{}]"
    for order, operator in (("descending", "<"), ("ascending", ">")):
        compare = f"if (p != q) {{\n    return p {operator} q;\n}}\nreturn i > j;"
        if dtype.is_float:
            alone = "isnan(q)" if order == "descending" else "isnan(p)"
            compare = (
                f"if (!isnan(p) != !isnan(q)) {{\n    return {alone} != 0;\n}}\n"
                f"if (!isnan(p) && p != q) {{\n    return p {operator} q;\n}}\nreturn i > j;"
            )
        end = " (NaN is largest)" if dtype.is_float else ""
        if dtype.compute is dtype:
            _define(
                f"after_{order}_{dtype}",
                "int",
                f"{value} p, int64_t i, {value} q, int64_t j",
                compare,
                f"Whether p at position i follows q at j in {order} order{end}.",
            )
        after = f"@_after_{order}_{dtype.compute}"
        _define(
            f"sift_{order}_{dtype}",
            "void",
            f"const {c_type} *x, int64_t *heap, ptrdiff_t stride,\n"
            "    ptrdiff_t root, ptrdiff_t size",
            "const int64_t moved = heap[root * stride];\n"
            f"const {value} p = {element.format('moved * stride')};\n"
            "ptrdiff_t child;\n"
            "while ((child = 2 * root + 1) < size) {\n"
            "    int64_t j = heap[child * stride];\n"
            f"    {value} q = {element.format('j * stride')};\n"
            "    if (child + 1 < size) {\n"
            "        const int64_t i = heap[(child + 1) * stride];\n"
            f"        const {value} r = {element.format('i * stride')};\n"
            f"        if ({after}(r, i, q, j)) {{\n"
            "            child++;\n            j = i;\n            q = r;\n        }\n"
            "    }\n"
            f"    if ({after}(p, moved, q, j)) {{\n        break;\n    }}\n"
            "    heap[root * stride] = j;\n"
            "    root = child;\n"
            "}\n"
            "heap[root * stride] = moved;",
            "Restores a heap of positions in x, the last one in order at its root, from root on.",
        )


for _dtype in DType:
    if _dtype.is_integer or _dtype.is_float:
        _define_order(_dtype)

_TABLE.update(vectors.definitions())

_CALL = re.compile(r"@_(\w+)\(")
_DEFINITION = re.compile(r"(?:#define|static inline [^@]+) @_(\w+)\(")
_SOURCES = {found: name for name, text in _TABLE.items() for found in _DEFINITION.findall(text)}
"""Which entry defines a function or macro; some define several."""


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
        callees = {_SOURCES.get(callee, callee) for callee in _CALL.findall(_TABLE[name])}
        for callee in sorted(callees - {name}):
            visit(callee)
        done[name] = None

    for name in sorted(names):
        visit(name)
    return list(done)


def text_of(name: str, prefix: str) -> str:
    """C text of the helper ``name`` for a model of that prefix."""
    return _TABLE[name].replace("@", prefix)
