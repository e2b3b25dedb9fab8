"""Scalar expressions: parsing, and the corners of their semantics."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.ir import DType, scalar


def run(text: str, dtype: DType = DType.F32, **values) -> list:
    arrays = {k: np.asarray(v, dtype.numpy) for k, v in values.items()}
    return scalar.evaluate(scalar.parse(text), arrays, dtype).tolist()


def test_python_syntax_becomes_primitives():
    assert run("a * (b + 1) if a >= 0 else -b", a=[2, -1], b=[3, 4]) == [8, -4]
    assert run("not (a < 1 or a > 2)", a=[0, 1, 2, 3]) == [False, True, True, False]
    assert run("min(max(x, -inf), 2)", x=[1, 5]) == [1, 2]


@pytest.mark.parametrize("text", ["x +", "f(x)", "exp(x, x)", "x.y", "[x]", "'a'", "a < b < c"])
def test_what_is_no_scalar_expression_is_refused(text):
    with pytest.raises((ValueError, SyntaxError)):
        scalar.parse(text)


def test_variables_and_substitution():
    expr = scalar.parse("x * alpha + exp(y) * x")
    assert scalar.variables(expr) == ["x", "alpha", "y"]
    once = scalar.substitute(expr, {"alpha": scalar.Literal(2.0), "y": scalar.Var("x")})
    assert scalar.variables(once) == ["x"]
    assert scalar.cost(expr) > 15


INTEGERS = {
    "division truncates": ("x / y", [-7, 7, -7, 7], [2, -2, -2, 2], [-3, -3, 3, 3]),
    "by zero is zero": ("x / y", [5, -5], [0, 0], [0, 0]),
    "minimum by -1 wraps": ("x / y", [-(2**31)], [-1], [-(2**31)]),
    "floor mod": ("floor_mod(x, y)", [-7, 7, 3], [3, -3, 0], [2, -2, 0]),
    "truncated mod": ("truncated_mod(x, y)", [-7, 7, 3], [3, -3, 0], [-1, 1, 0]),
    "sums wrap": ("x + y", [2**31 - 1], [1], [-(2**31)]),
    "negative powers": ("pow(x, y)", [2, 1, -1, -1, 0], [-1, -5, -3, -2, -1], [0, 1, -1, 1, 0]),
    "shifts beyond the width": ("shift_right(x, y)", [-8, 8, 8], [40, 40, 1], [-1, 0, 4]),
    "left shifts beyond": ("shift_left(x, y)", [1, 1, 3], [31, 32, 1], [-(2**31), 0, 6]),
}


@pytest.mark.parametrize("case", INTEGERS)
def test_integer_corners(case):
    text, x, y, expected = INTEGERS[case]
    assert run(text, DType.I32, x=x, y=y) == expected


def test_minimum_and_maximum_propagate_nan():
    assert np.isnan(run("min(x, 0)", x=[np.nan]))
    assert np.isnan(run("max(0, x)", x=[np.nan]))


CONVERSIONS = [
    (DType.F32, [1.9, -1.9, np.nan, 1e30, -1e30, np.inf], DType.I8, [1, -1, 0, 127, -128, 127]),
    (DType.F32, [-1.0, 300.0, 3.7], DType.U8, [0, 255, 3]),
    (DType.F64, [2.0**63, -(2.0**63), 2.0**62], DType.I64, [2**63 - 1, -(2**63), 2**62]),
    (DType.F64, [2.0**64, 2.0**63, -1.0], DType.U64, [2**64 - 1, 2**63, 0]),
    (DType.I32, [300, -1, 128], DType.I8, [44, -1, -128]),
    (DType.I32, [-1, 256], DType.U8, [255, 0]),
    (DType.I32, [9, -9, 7], DType.I4, [-7, 7, 7]),
    (DType.F32, [0.0, -0.0, np.nan, 0.5], DType.BOOL, [False, False, True, True]),
    (DType.F32, [1e30, 65520.0, 1.0], DType.F16, [np.inf, np.inf, 1.0]),
    (DType.BOOL, [True, False], DType.F32, [1.0, 0.0]),
    # Just above, at, and just below the middle between two bf16 numbers: rounded once.
    (
        DType.F64,
        [1 + 2**-8 + 2**-40, 1 + 2**-8, 1 + 2**-7 + 2**-8 - 2**-40, -(1 + 2**-8 + 2**-40), 1e300],
        DType.BF16,
        [1 + 2**-7, 1.0, 1 + 2**-7, -(1 + 2**-7), np.inf],
    ),
    (DType.F64, [1 + 2**-4 + 2**-40, 1 + 2**-4, 2.0**-200], DType.F8E4M3FN, [1.125, 1.0, 0.0]),
]


@pytest.mark.parametrize(("source", "values", "to", "expected"), CONVERSIONS)
def test_conversions_are_defined_everywhere(source, values, to, expected):
    result = scalar.convert(np.array(values, source.numpy), to)
    assert result.dtype == to.numpy
    assert result.astype(object).tolist() == expected
