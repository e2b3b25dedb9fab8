"""Vectors of floats in C: types of GCC and Clang, what they are computed with, and expressions.

A vector of eight floats is ``NAME_f32x8``.  Loads and stores go through ``NAME_f32x8_at``, which is
aligned as a float is.  What the languages' operators cannot say is a macro, with a definition for
each instruction set that has an instruction for it, and one that every machine can compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from burnish.ir import DType, scalar

from .code import UNARY, Expr, binary, call
from .elements import literal, storage_type
from .scalar import Helper
from .vector_functions import FUNCTIONS, MOST_TOGETHER, function_helper, function_text

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_WINS = {"max": ">", "min": "<"}
_LIMITS = {"max": "at_least", "min": "at_most"}

_DEFINITIONS = """\
/* Vectors of {lanes} floats, which lie in memory as aligned as floats are. */
#if !defined(__GNUC__)
#error "vectors need GCC or Clang; emit for the target c:generic to compile with others"
#endif
typedef float @_{v} __attribute__((vector_size({bytes})));
typedef float @_{v}_at __attribute__((vector_size({bytes}), aligned(4), may_alias));
typedef int32_t @_i32x{lanes} __attribute__((vector_size({bytes})));
typedef uint32_t @_u32x{lanes} __attribute__((vector_size({bytes})));
#define @_splat_{v}(s) ((@_{v}){{{splat}}})
#define @_fence_{v}() __asm__ volatile("" ::: "memory")
#define @_fetch_{v}(p, bytes) __builtin_prefetch((const void *)((uintptr_t)(p) + (bytes)), 0, 2)
#define @_choose_{v}(c, x, y) \\
    ((@_{v})(((@_i32x{lanes})(x) & (c)) | ((@_i32x{lanes})(y) & ~(c))))
#define @_rounded_{v}(x, low, high) __extension__ ({{ \\
    const @_{v} x_ = (x), known_ = (@_{v})((@_i32x{lanes})x_ & (x_ == x_)); \\
    const @_{v} above_ = @_at_least_{v}(known_, @_splat_{v}(low)); \\
    @_at_most_{v}(above_, @_splat_{v}(high)) + 12582912.0f - 12582912.0f; }})
#define @_power_{v}(n) ((@_{v})((@_u32x{lanes})((n) + 127) << 23))
"""

_INTEGERS = """\
typedef {c_type} @_{name} __attribute__((vector_size({bytes})));
typedef {c_type} @_{name}_at __attribute__((vector_size({bytes}), aligned({align}), may_alias));
"""
"""As many integers as a vector has floats."""

_PICK = """\
/* Elements of two vectors by their numbers; those of y follow those of x. */
#if defined(__clang__)
#define @_pick_{v}(x, y, ...) __builtin_shufflevector((x), (y), __VA_ARGS__)
#else
#define @_pick_{v}(x, y, ...) __builtin_shuffle((x), (y), (@_i32x{lanes}){{__VA_ARGS__}})
#endif
"""

_ACROSS: Mapping[str, str] = {"sum": "{a} + {b}", "max": "{b} > {a} ? {b} : {a}"}
"""What combines all elements of a vector, by halves; the maximum may miss NaN."""

_INSTRUCTIONS: Mapping[int, str] = {
    8: """\
#if defined(__FMA__) && !defined(__clang__)
#define @_fma_{v}(x, y, sum) __builtin_ia32_vfmaddps256((x), (y), (sum))
#define @_at_least_{v}(x, limit) __builtin_ia32_maxps256((limit), (x))
#define @_at_most_{v}(x, limit) __builtin_ia32_minps256((limit), (x))
#elif defined(__FMA__)
#include <immintrin.h>
#define @_fma_{v}(x, y, sum) _mm256_fmadd_ps((x), (y), (sum))
#define @_at_least_{v}(x, limit) _mm256_max_ps((limit), (x))
#define @_at_most_{v}(x, limit) _mm256_min_ps((limit), (x))
""",
    4: """\
#if defined(__aarch64__)
#include <arm_neon.h>
#define @_fma_{v}(x, y, sum) vfmaq_f32((sum), (x), (y))
#define @_at_least_{v}(x, limit) vmaxq_f32((x), (limit))
#define @_at_most_{v}(x, limit) vminq_f32((x), (limit))
""",
}
"""Fused multiply-adds, and limits that NaN passes."""

_SCALED = """\
#if defined(__AVX512VL__) && {lanes} == 8 && !defined(__clang__)
#define @_times_power_{v}(x, n) \\
    ((@_{v})__builtin_ia32_scalefps256_mask((x), (n), (x), (unsigned char)-1))
#elif defined(__AVX512VL__) && {lanes} == 8
#define @_times_power_{v}(x, n) _mm256_scalef_ps((x), (n))
#else
#define @_times_power_{v}(x, n) __extension__ ({{ \\
    const @_i32x{lanes} n_ = __builtin_convertvector((n), @_i32x{lanes}), half_ = n_ >> 1; \\
    (x) * @_power_{v}(half_) * @_power_{v}(n_ - half_); }})
#endif
"""
"""``x`` times 2 to the power of ``n``, a vector of whole numbers from -151 to 129.

Two factors, or the first would overflow where the product does not.
"""

_BROADCAST = """\
#if defined(__AVX512VL__)
#define @_broadcast_{v}(s) __extension__ ({{ \\
    @_{v} x_ = @_splat_{v}(s); __asm__("" : "+x"(x_)); x_; }})
#else
#define @_broadcast_{v}(s) @_splat_{v}(s)
#endif
"""
"""A vector of equal elements from memory, in one of the registers that AVX had: there it takes a
load; in one of those that AVX-512 added, it takes as much of the time as one product in six."""

_OTHERWISE = """\
#else
#define @_fma_{v}(x, y, sum) ((x) * (y) + (sum))
#define @_at_least_{v}(x, limit) @_choose_{v}((x) < (limit), (limit), (x))
#define @_at_most_{v}(x, limit) @_choose_{v}((x) > (limit), (limit), (x))
#endif
"""


def vector_type(lanes: int) -> str:
    """Name of the helper that defines vectors of so many f32: it is the type's name, too."""
    return f"f32x{lanes}"


def definitions() -> dict[str, str]:
    """C text by the name of the type; ``@`` stands for the model's prefix."""
    found = {}
    for lanes, instructions in _INSTRUCTIONS.items():
        text = _DEFINITIONS + instructions + _OTHERWISE + _SCALED + _BROADCAST
        names = {"v": vector_type(lanes), "lanes": lanes, "bytes": 4 * lanes}
        splat = ", ".join(["(s)"] * lanes)
        found[vector_type(lanes)] = text.format(**names, splat=splat)
        for name in FUNCTIONS:
            for count in range(1, MOST_TOGETHER + 1):
                helper = function_helper(name, vector_type(lanes), count)
                found[helper] = function_text(name, vector_type(lanes), count)
        found[f"pick_{vector_type(lanes)}"] = _PICK.format(**names)
        for dtype in (DType.I8, DType.U8, DType.I16, DType.U16):
            name, size = f"{dtype}x{lanes}", dtype.bits // 8
            found[name] = _INTEGERS.format(
                name=name, c_type=storage_type(dtype), bytes=size * lanes, align=size
            )
        for name in _ACROSS:
            found[f"{name}_of_{vector_type(lanes)}"] = _across(name, lanes)
    return found


def _across(name: str, lanes: int) -> str:
    """C text of a function that combines the elements of a vector."""
    stem, lines = vector_type(lanes), []
    values = [f"(*x)[{lane}]" for lane in range(lanes)]
    while len(values) > 1:
        half = len(values) // 2
        names = [f"x{half}_{number}" for number in range(half)]
        for number, (a, b) in enumerate(zip(values[:half], values[half:])):
            lines.append(f"    const float {names[number]} = {_ACROSS[name].format(a=a, b=b)};\n")
        values = names
    body = "".join(lines)
    return f"""\
static inline float @_{name}_of_{stem}(const @_{stem} *x)
{{
{body}    return {values[0]};
}}
"""


def is_vector_expression(expr: scalar.Expr) -> bool:
    """Whether :meth:`VectorRenderer.render` has the functions of ``expr``."""
    if isinstance(expr, scalar.Var):
        return True
    if isinstance(expr, scalar.Literal):
        return not isinstance(expr.value, bool)
    args: tuple[scalar.Expr, ...] = expr.args
    if expr.function == "select":
        condition, *values = expr.args
        if not isinstance(condition, scalar.Call) or condition.function not in _COMPARISONS:
            return False
        args = (*condition.args, *values)
    elif expr.function not in (*_OPERATORS, *_LIMITS, *FUNCTIONS, "neg"):
        return False
    return all(map(is_vector_expression, args))


def functions_of(expr: scalar.Expr) -> set[str]:
    """The functions of ``<math.h>`` in ``expr`` that vectors have."""
    if not isinstance(expr, scalar.Call):
        return set()
    return {expr.function}.intersection(FUNCTIONS).union(*map(functions_of, expr.args))


def without_functions(expr: scalar.Expr) -> tuple[list[tuple[str, scalar.Call]], scalar.Expr]:
    """The calls of vector functions in ``expr``, and what is left of it.

    Calls come in the order in which they can be made; each has a name, which stands for its result
    in the calls that follow and in what is left.
    """
    found: list[tuple[str, scalar.Call]] = []

    def rest(part: scalar.Expr) -> scalar.Expr:
        if not isinstance(part, scalar.Call):
            return part
        part = scalar.Call(part.function, tuple(map(rest, part.args)))
        if part.function not in FUNCTIONS:
            return part
        found.append((f"{part.function}:{len(found)}", part))  # no operand has such a name
        return scalar.Var(found[-1][0])

    left = rest(expr)
    return found, left


class VectorRenderer:
    """Writes C on vectors of f32."""

    def __init__(self, lanes: int, helper: Helper) -> None:
        self.lanes = lanes
        self.helper = helper
        self.stem = vector_type(lanes)
        self.type = helper(self.stem)
        """C name of a vector's type."""

    def _macro(self, name: str, *args: Expr) -> Expr:
        return call(f"{self.type.removesuffix(self.stem)}{name}_{self.stem}", *args)

    def splat(self, value: Expr) -> Expr:
        """A vector of equal elements."""
        return self._macro("splat", value)

    def broadcast(self, place: Expr) -> Expr:
        """A vector of elements equal to the float at an lvalue, for products in a loop."""
        return self._macro("broadcast", place)

    def rounded(self, value: Expr, low: Expr, high: Expr) -> Expr:
        """The nearest integers, ties to even, within a range below 2^22; 0 for NaN."""
        return self._macro("rounded", value, low, high)

    def load_integers(self, place: Expr, dtype: str) -> Expr:
        """The vector of the integers that begin with the one at an lvalue."""
        at = self.helper(f"{dtype}x{self.lanes}")
        return Expr(f"__builtin_convertvector(*(const {at}_at *)&{place}, {self.type})")

    def store_integers(self, place: Expr, dtype: str, value: Expr) -> str:
        """The statement that writes integers to where the one at an lvalue is the first."""
        at, prefix = self.helper(f"{dtype}x{self.lanes}"), self.type.removesuffix(self.stem)
        whole = f"__builtin_convertvector({value}, {prefix}i32x{self.lanes})"
        return f"*({at}_at *)&{place} = __builtin_convertvector({whole}, {at})"

    def numbers(self) -> Expr:
        """The vector 0, 1, 2 …"""
        values = ", ".join(f"{lane}.0f" for lane in range(self.lanes))
        return Expr(f"(({self.type}){{{values}}})")

    def load(self, place: Expr) -> Expr:
        """The vector that begins with the float at an lvalue."""
        return Expr(f"*(const {self.type}_at *)&{place}", UNARY)

    def store(self, place: Expr, value: Expr) -> str:
        """The statement that writes a vector to where the float at an lvalue is the first."""
        return f"*({self.type}_at *)&{place} = {value}"

    def fma(self, x: Expr, y: Expr, total: Expr) -> Expr:
        """``x * y + total``, rounded once where the machine can do that."""
        return self._macro("fma", x, y, total)

    def pick(self, x: Expr, y: Expr, lanes: Sequence[int]) -> Expr:
        """Elements of two vectors by number, those of ``y`` following those of ``x``."""
        numbers = (Expr(str(lane)) for lane in lanes)
        return call(self.helper(f"pick_{self.stem}"), x, y, *numbers)

    def at_least(self, x: Expr, limit: Expr) -> Expr:
        """The larger elements of two vectors; NaN where ``x`` is NaN."""
        return self._macro("at_least", x, limit)

    def across(self, name: str, variable: Expr) -> Expr:
        """The ``sum`` or ``max`` of a variable's elements; the maximum may miss NaN."""
        return Expr(f"{self.helper(f'{name}_of_{self.stem}')}(&{variable})")

    def fence(self) -> str:
        """A statement that keeps loads after it from being made before it.

        It costs nothing at run time.  Without it, GCC loads everything early that another
        tap reads as well, and has no registers left for the sums.
        """
        return self._macro("fence").text

    def fetch(self, pointer: str, bytes_: Expr) -> str:
        """A statement that has memory behind ``pointer`` brought near, whether it exists or not."""
        return self._macro("fetch", Expr(pointer), bytes_).text

    def choose(self, condition: Expr, yes: Expr, no: Expr) -> Expr:
        """Elements of ``yes`` where a comparison of vectors holds, else of ``no``."""
        return self._macro("choose", condition, yes, no)

    def evaluate(self, expression: str, **values: Expr) -> Expr:
        """A scalar expression over vectors; see :meth:`render`."""
        return self.render(scalar.parse(expression), values)

    def render(self, expr: scalar.Expr, values: Mapping[str, Expr]) -> Expr:
        """``expr`` with variables replaced by vectors, or by numbers."""
        if isinstance(expr, scalar.Call):
            return self._call(expr, values)
        value = self._operand(expr, values)
        return self.splat(value) if value.is_number else value

    def apply_together(self, function: str, variables: Sequence[Expr]) -> str:
        """The statement that applies a function to variables, which no others stand between.

        There are at most :data:`.MOST_TOGETHER` of them.
        """
        name = function_helper(function, self.stem, len(variables))
        places = [Expr(f"&{variable}") for variable in variables]
        return call(self.helper(name), *places).text

    def _operand(self, expr: scalar.Var | scalar.Literal, values: Mapping[str, Expr]) -> Expr:
        if isinstance(expr, scalar.Var):
            return values[expr.name]
        return literal(float(expr.value), DType.F32)

    def _call(self, expr: scalar.Call, values: Mapping[str, Expr]) -> Expr:
        if expr.function == "select":
            condition, yes, no = expr.args
            assert isinstance(condition, scalar.Call)
            sides = (self.render(arg, values) for arg in condition.args)
            compared = binary(_COMPARISONS[condition.function], *sides)
            return self.choose(compared, self.render(yes, values), self.render(no, values))
        args = [self.render(arg, values) for arg in expr.args]
        if expr.function in _OPERATORS:
            return binary(_OPERATORS[expr.function], *args)
        if expr.function in FUNCTIONS:
            return call(self.helper(function_helper(expr.function, self.stem)), *args)
        if expr.function == "neg":
            return Expr(f"-{args[0].within(UNARY + 1)}", UNARY)
        return self._extreme(expr, args, values)

    def _extreme(self, expr: scalar.Call, args: list[Expr], values: Mapping[str, Expr]) -> Expr:
        """The minimum or maximum; NaN if one side is NaN."""
        pairs = list(zip(expr.args, args))
        for (_, value), (source, limit) in (pairs, pairs[::-1]):
            if not isinstance(source, scalar.Call) and self._operand(source, values).is_number:
                return self._macro(_LIMITS[expr.function], value, limit)
        x, y = args
        wins = binary("|", binary(_WINS[expr.function], x, y), binary("!=", x, x))
        return self.choose(wins, x, y)
