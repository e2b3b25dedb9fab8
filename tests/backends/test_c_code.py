"""The structured C builder: folding, parentheses, scopes, comments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.backends.c.code import (
    CodeWriter,
    Expr,
    binary,
    cast,
    comment_text,
    conditional,
    index,
)

A, B = Expr("i"), Expr("j")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (A * 1 + 0, "i"),
        (A * 0 + 3, "3"),
        (A + 1 + 2, "i + 3"),
        (A + 1 - 1, "i"),
        ((A + 1) * 4 - 4, "i * 4"),
        ((A - 1) * 4 + B, "i * 4 + j - 4"),
        (2 * A + (B + 1), "i * 2 + j + 1"),
        (A - (B - 1), "i - j + 1"),
        (A - (B + A), "i - (j + i)"),
        ((A + B) * 3, "(i + j) * 3"),
        (-A + B, "-i + j"),
        (0 - A, "-i"),
        (A % 1, "0"),
        (index(7) // 2, "3"),
        ((A + B) // 2, "(i + j) / 2"),
        (A * 2 // 3, "i * 2 / 3"),
        (B * (A * 2), "j * (i * 2)"),
        ((A < 3) & (B >= 1), "i < 3 && j >= 1"),
        ((A < 3) | (B > 1) & A.equals(0), "i < 3 || (j > 1 && i == 0)"),
        ((index(1) < 3) & (A < B), "i < j"),
        (conditional(A < B, A, B + 1), "i < j ? i : j + 1"),
        (cast("float", A + B), "(float)(i + j)"),
        (binary("-", A, binary("-", B, A)), "i - (j - i)"),
        (binary("<<", binary("+", A, B), index(2)), "(i + j) << 2"),
        (binary("&", binary("==", A, B), A), "(i == j) & i"),
    ],
)
def test_expressions_are_folded_and_parenthesized(expr: Expr, text: str) -> None:
    assert str(expr) == text


LEAVES = st.one_of(st.integers(-5, 5), st.sampled_from("ij"))
TREES = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner), max_leaves=12
)


@given(TREES)
def test_folded_expressions_have_the_value_of_the_original(tree: object) -> None:
    def build(node: object) -> Expr:
        if isinstance(node, tuple):
            a, b = build(node[1]), build(node[2])
            return a + b if node[0] == "+" else a - b if node[0] == "-" else a * b
        return Expr(node) if isinstance(node, str) else index(node)  # type: ignore[arg-type]

    def value(node: object) -> int:
        if isinstance(node, tuple):
            a, b = value(node[1]), value(node[2])
            return a + b if node[0] == "+" else a - b if node[0] == "-" else a * b
        return {"i": 7, "j": 11}[node] if isinstance(node, str) else node  # type: ignore[return-value]

    # These operators mean the same in Python.
    assert eval(str(build(tree)), {"i": 7, "j": 11}) == value(tree)


def test_loops_of_one_and_of_no_iteration_vanish() -> None:
    w = CodeWriter()
    with w.loop("i", 1) as i, w.loop("j", 4) as j:
        w.line(f"y[{i * 4 + j}] = 0;")
    with w.loop("i", 0) as i:
        w.line(f"y[{i}] = 1;")
    with w.loop("k", 3), w.loop("l", 0):
        w.line("never();")
    assert w.text == "for (ptrdiff_t j = 0; j < 4; j++) {\n    y[j] = 0;\n}\n"


def test_names_do_not_clash_with_visible_ones() -> None:
    w = CodeWriter()
    with w.loop("i", 2) as outer, w.loop("i", 2) as inner:
        assert (str(outer), str(inner)) == ("i", "i2")
    with w.loop("i", 2) as again:
        assert str(again) == "i"


def test_branches_that_are_decided_leave_one_side() -> None:
    w = CodeWriter()
    for condition in (index(1), index(0), A < 2):
        with w.branch(condition) as (yes, no):
            with yes:
                w.line("a();")
            with no:
                w.line("b();")
    assert w.text == "a();\nb();\nif (i < 2) {\n    a();\n} else {\n    b();\n}\n"


def test_a_branch_with_an_empty_first_side_is_negated() -> None:
    w = CodeWriter()
    with w.branch(A < 2) as (yes, no):
        with yes:
            pass
        with no:
            w.line("b();")
    assert w.text == "if (!(i < 2)) {\n    b();\n}\n"


def test_unread_locals_are_dropped_one_after_another() -> None:
    w = CodeWriter()
    a = w.declare("int", "a", index(1))
    w.declare("int", "b", a + 1)
    kept = w.declare("int", "c", index(2))
    w.line(f"use({kept});")
    assert w.text == "int c = 2;\nuse(c);\n"


@pytest.mark.parametrize("text", ["*/", "*/*/", "/*", "??/", "a\nb\\", "*" + "/" * 3, "é\u2028\0"])
def test_comments_cannot_be_left_or_continued(text: str) -> None:
    safe = comment_text(text)
    assert all(bad not in safe for bad in ("*/", "/*", "??", "\n"))
    assert safe.isascii()
    assert safe.isprintable()


def test_long_lines_are_broken_at_spaces() -> None:
    w = CodeWriter()
    w.line("y = " + " + ".join(["value"] * 40) + ";")
    lines = w.text.splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert "".join(line.strip() + " " for line in lines).count("value") == 40


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        *((text, True) for text in ("1.0f", "-3", "1e-05f", "0x1.8p+3", "INFINITY", "-INFINITY")),
        *((text, False) for text in ("1.0f / (1.0f + x)", "x", "-x", "2 * i", "NAN", "1 - 2")),
    ],
)
def test_numbers_are_told_from_what_begins_with_one(text: str, is_number: bool) -> None:
    assert Expr(text).is_number == is_number
