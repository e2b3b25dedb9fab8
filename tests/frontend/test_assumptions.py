"""Values of inputs that declared shapes imply: found by trying, never guessed."""

from __future__ import annotations

from burnish.frontend.onnx.assumptions import MAX_NUMBERS, implied_values


def test_each_number_is_the_dimension_it_decides() -> None:
    found = implied_values({"n": 2, "m": 1}, [[7, 9], [5]], lambda v: [[v["m"][0], v["n"][1]], [5]])
    assert found == {"n": [None, 9], "m": [7]}


def test_a_number_that_cannot_change_is_what_it_is() -> None:
    found = implied_values(
        {"n": 2}, [[2, 6]], lambda v: [[2, v["n"][1]]] if v["n"][0] == 2 else None
    )
    assert found == {"n": [2, 6]}


def test_other_arithmetic_is_not_guessed() -> None:
    assert implied_values({"n": 1}, [[7]], lambda v: [[2 * v["n"][0] + 1]]) is None


def test_nothing_decides_nothing() -> None:
    assert implied_values({"n": 1}, [[7]], lambda _: [[7]]) is None
    assert implied_values({"n": 1}, [[7]], lambda _: None) is None
    assert implied_values({}, [[7]], lambda _: [[7]]) is None
    assert implied_values({"n": MAX_NUMBERS + 1}, [[7]], lambda v: [[v["n"][0]]]) is None
