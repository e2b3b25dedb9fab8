"""Dimensions: the normal form must agree with plain integer arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.ir import dims
from burnish.ir.errors import DimensionError

N, M = dims.symbol("N"), dims.symbol("M")


def expressions() -> st.SearchStrategy[tuple[dims.Dim, object]]:
    """Pairs of a Dim and a function (n, m) -> int that must agree with it."""
    leaves = st.one_of(
        st.integers(-7, 7).map(lambda c: (c, lambda n, m, c=c: c)),
        st.just((N, lambda n, m: n)),
        st.just((M, lambda n, m: m)),
    )

    def combine(children):
        def binary(pair):
            name, (a, f), (b, g) = pair
            return {
                "+": lambda: (a + b, lambda n, m: f(n, m) + g(n, m)),
                "-": lambda: (a - b, lambda n, m: f(n, m) - g(n, m)),
                "*": lambda: (a * b, lambda n, m: f(n, m) * g(n, m)),
                "min": lambda: (dims.minimum(a, b), lambda n, m: min(f(n, m), g(n, m))),
                "max": lambda: (dims.maximum(a, b), lambda n, m: max(f(n, m), g(n, m))),
            }[name]()

        def by_constant(pair):
            name, (a, f), c = pair
            if name == "//":
                return (dims.floordiv(a, c), lambda n, m: f(n, m) // c)
            return (dims.mod(a, c), lambda n, m: f(n, m) % c)

        return st.one_of(
            st.tuples(st.sampled_from(["+", "-", "*", "min", "max"]), children, children).map(
                binary
            ),
            st.tuples(st.sampled_from(["//", "%"]), children, st.integers(1, 5)).map(by_constant),
        )

    return st.recursive(leaves, combine, max_leaves=8)


@given(expressions(), st.integers(0, 20), st.integers(0, 20))
def test_expressions_agree_with_integers(pair, n, m):
    dim, function = pair
    assert dims.evaluate(dim, {"N": n, "M": m}) == function(n, m)


@given(expressions(), st.integers(0, 20), st.integers(0, 20))
def test_bounds_hold_every_value(pair, n, m):
    dim, _ = pair
    low, high = dims.bounds(dim, {"N": (0, 20), "M": (0, 20)})
    assert low <= dims.evaluate(dim, {"N": n, "M": m}) <= high


def test_equal_polynomials_are_equal():
    assert (N + 1) * (N - 1) == N * N - 1
    assert hash((N + M) * 2) == hash(2 * M + 2 * N)
    assert (2 * N + 4) // 2 == N + 2
    assert N - N == 0
    assert (N * M) // M == N
    assert dims.mod(4 * N, 2) == 0
    assert (N // 2) // 3 == N // 6
    assert (N // 2 + 6) // 3 == N // 6 + 2
    assert str(2 * N * N - M + 1) == "2*N*N - M + 1"


def test_division_by_zero_and_unbound_symbols_are_errors():
    with pytest.raises(DimensionError, match="divided by zero"):
        dims.floordiv(3, 0)
    with pytest.raises(DimensionError, match='"N"'):
        dims.evaluate(N + 1, {})
    with pytest.raises(DimensionError, match="no upper bound"):
        dims.bounds(N, {})


def test_truth_of_an_unknown_is_refused():
    with pytest.raises(TypeError, match="not known at compile time"):
        bool(N)


@pytest.mark.parametrize("name", ["seq len", "a`b", "true", "min", "é\n", "1x", ""])
def test_hostile_symbol_names_are_quoted(name):
    assert dims.quote_symbol(name).startswith("`")


def test_extrema_are_flat_and_drop_what_cannot_win():
    """Folding maximum over many sizes once nested as many calls."""
    assert dims.maximum(2 * N, N) == 2 * N
    assert dims.minimum(N + 1, N) == N
    assert dims.maximum(N, dims.maximum(M, N + 2)) == dims.maximum(M, N + 2)
    total: dims.Dim = 0
    for i in range(60):
        total = dims.maximum(total, N * (60 - i) + M * i)
    assert str(total).count("max") == 1
    assert dims.evaluate(total, {"N": 1, "M": 2}) == 119
    assert dims.is_nonnegative(dims.floordiv(N, 2) * M + 3)
    assert not dims.is_nonnegative(N - 1)
    assert not dims.is_nonnegative(dims.floordiv(N - 3, 2))


def test_expressions_that_grow_without_end_are_refused():
    """Repeated squaring of an unbound size once hung the import."""
    square: dims.Dim = N + 1
    for _ in range(4):
        square = square * square
    with pytest.raises(DimensionError, match="grows beyond"):
        square * square
    with pytest.raises(DimensionError, match="grows beyond"):
        N * (1 << 81)
