"""burnish.testing: golden numbers, golden compiled models, and what assertions say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import burnish
from burnish.ir import parse
from burnish.passes import Match, Outcome, PatternPass, PatternSet
from burnish.testing import (
    Golden,
    assert_compiled,
    assert_equivalent,
    assert_numbers,
    assert_pipeline_preserves,
)


def golden(folder: Path, *, update: bool = False) -> Golden:
    return Golden(folder, "test", "tests/test_a.py::test", update=update)


def function(body: str, types: str = "f32[3]") -> burnish.Module:
    return parse(
        f'module "m" {{ func @main(%x: tensor<{types}>) -> ("y": tensor<{types}>) {{'
        f"{body} core.return(%y) }} }}"
    )


def test_numbers_agree_within_a_tolerance(tmp_path: Path) -> None:
    arrays = {
        "a/b": np.array([1.0, np.nan, np.inf, -0.0]),
        "i": np.arange(3),
        "h": np.arange(4).astype(ml_dtypes.bfloat16),
        "c": np.array([1 + 2j], np.complex64),
        "empty": np.zeros((0, 2), np.float32),
    }
    first = golden(tmp_path, update=True)
    first.numbers(arrays)
    [(path, _)] = first.written
    near = arrays | {"a/b": arrays["a/b"] * (1 + 1e-6)}
    golden(tmp_path).numbers(near)
    again = golden(tmp_path, update=True)
    stored = path.read_bytes()
    again.numbers(near)
    assert not again.written
    assert path.read_bytes() == stored
    with pytest.raises(pytest.fail.Exception, match="1 of 4 elements differ"):
        golden(tmp_path).numbers(near, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"y": [[1, 2, 3], [4, 5.5, 6]]}, "at [1, 1]: stored 5.0, now 5.5 (by 0.5)"),
        ({"y": [[1, 2, 3], [4, np.nan, 6]]}, "stored 5.0, now nan (by inf)"),
        ({"y": [[1, 2, 3], [4, np.inf, 6]]}, "stored 5.0, now inf (by inf)"),
        ({"y": [[1, 2, 3]]}, '"y": stored float64[2, 3], now float64[1, 3]'),
        ({"z": [[1, 2, 3], [4, 5, 6]]}, '"y" is stored, but is no more'),
        ({"y": [[1, 2, 3], [4, 5, 6]], "z": [1.0]}, '"z" is not stored'),
    ],
)
def test_numbers_that_differ_are_shown(
    tmp_path: Path, now: dict[str, list[float]], said: str
) -> None:
    golden(tmp_path, update=True).numbers({"y": np.arange(1.0, 7).reshape(2, 3)})
    with pytest.raises(pytest.fail.Exception) as caught:
        golden(tmp_path).numbers({name: np.array(data, np.float64) for name, data in now.items()})
    assert said in str(caught.value)
    assert "pytest --update-golden tests/test_a.py::test" in str(caught.value)


def test_many_differences_are_cut_to_the_worst() -> None:
    expected = np.zeros(100)
    with pytest.raises(AssertionError) as caught:
        assert_numbers(np.arange(100.0), expected)
    assert "99 of 100 elements differ, by at most 99" in str(caught.value)
    assert "at [99]: expected 0.0, is 99.0" in str(caught.value)
    assert "and 91 more" in str(caught.value)
    assert_numbers({"y": expected}, {"y": expected})


def test_a_compiled_model_has_a_file_per_part(tmp_path: Path) -> None:
    compiled = burnish.compile(function("%y = math.neg(%x)"), "c:generic")
    fixture = golden(tmp_path, update=True)
    fixture.compiled(compiled, files=["m.h"])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["test.ir", "test.m.h", "test.plan", "test.select"]
    golden(tmp_path).compiled(compiled, stages=["plan"], files=["m.h"])


def test_equivalent_modules() -> None:
    twice = function("%y = math.add(%x, %x)")
    two = "%c = core.constant() {value = dense<f32[], [2.0]>}"
    assert_equivalent(function(f"{two} %y = math.mul(%x, %c)"), twice, promise="exact")


def test_modules_that_differ_give_a_small_counter_example() -> None:
    bounded = function("%y = math.clamp(%x) {low = -inf, high = 3.0e38}", "f32[4, 4]")
    same = function("%y = tensor.reshape(%x) {shape = [4, 4]}", "f32[4, 4]")
    with pytest.raises(AssertionError) as caught:
        assert_equivalent(same, bounded)
    said = str(caught.value)
    assert 'output "y" is ' in said
    assert "(1 of 16 elements differ)" in said
    assert said.count("1.") >= 15  # all other elements are simple
    with pytest.raises(AssertionError, match="same inputs"):
        assert_equivalent(function("%y = math.neg(%x)"), function("%y = math.neg(%x)", "f32[9]"))


def test_a_pipeline_that_is_wrong_is_shown_small() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("log-of-exp", "math.log")
    def log_of_exp(m: Match) -> Outcome:
        """Right but for overflow."""
        return m.producer(m.operand(0), "math.exp").operands[0]

    @dataclass(frozen=True)
    class LogOfExp(PatternPass):
        """Not registered anywhere."""

    LogOfExp.name, LogOfExp.patterns = "log-of-exp", patterns
    module = function("%a = math.neg(%x) %b = math.exp(%a) %c = math.log(%b) %y = math.tanh(%c)")
    assert_pipeline_preserves(module, "canonicalize,fuse")
    with pytest.raises(AssertionError) as caught:
        assert_pipeline_preserves(module, [LogOfExp()])
    said = str(caught.value)
    assert "rewrite 1, log-of-exp at math.log" in said
    assert "a small example:\n//! burnish reproducer 1" in said
    assert "math.tanh" not in said.partition("a small example:")[2]


def test_compiled_models_are_compared() -> None:
    module = function("%a = math.exp(%x) %y = math.tanh(%a)")
    assert_compiled(module)
    with pytest.raises(AssertionError, match=r'"y" differs from interpreter: \d of 3 elements'):
        assert_compiled(module, tolerance=-1.0)
