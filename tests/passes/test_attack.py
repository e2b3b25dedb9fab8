"""The attack on rules: wrong ones are refuted, however seldom they are wrong; right ones hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from burnish.ir import DType, Module, lookup, tensor
from burnish.passes import Match, Outcome, PatternSet
from burnish.passes.attack import Verdict, attack_file, attack_pattern
from burnish.passes.attack.hints import counted

WRONG = {
    "infinity": """
        "clamp(x, -largest, largest) is x; but infinities are cut to the largest number."
        match   c: math.clamp(x)
        where   x.dtype == f32, c.low == -3.4028234663852886e38, c.high == 3.4028234663852886e38
        rewrite x
    """,
    "nan": """
        "not (x < y) is x >= y; but neither holds of NaN."
        match   math.logical_not(math.less(x, y))
        rewrite math.greater_equal(x, y)
    """,
    "zeros": """
        "x + 0 is x; but -0 + 0 is 0."
        match   math.add(x, 0)
        where   x.dtype.is_float
        rewrite x
    """,
    "broadcast": """
        "The sum of x + y is that of x plus that of y; but a broadcast y is added more often."
        match   r: tensor.reduce(math.add(x, y)){kind = "sum"}
        rewrite math.add(r(x), r(y))
    """,
    "extreme": """
        "-x < -y is y < x; but the least integer is its own negative."
        match   math.less(math.neg(x), math.neg(y))
        where   x.dtype.is_integer
        rewrite math.less(y, x)
    """,
    "overflow": """
        "(x + 1) - 1 is x; of floats only if nothing is rounded."
        match   math.sub(math.add(x, 1), 1)
        rewrite x
    """,
    "permutation": """
        "Two transposes are one: by the permutations in the other order."
        match   tensor.transpose(tensor.transpose(x){permutation = p}){permutation = q}
        rewrite tensor.transpose(x){permutation = permuted(q, p)}
    """,
}
"""Rules that are wrong only in the case that they are named after."""

RIGHT = {
    "negation": """
        "x - -y is x + y."
        match   math.sub(x, math.neg(y))
        rewrite math.add(x, y)
    """,
    "transposes": """
        "Two transposes are one."
        match   tensor.transpose(tensor.transpose(x){permutation = p}){permutation = q}
        rewrite tensor.transpose(x){permutation = permuted(p, q)}
    """,
    "integers": """
        "(x + c) - c is x, of integers."
        match   math.sub(math.add(x, y), y)
        where   x.dtype.is_integer
        rewrite x
    """,
}


def attacked(
    folder: Path, name: str, body: str, promise: str = "exact", seed: int = 0, instances: int = 60
) -> Verdict:
    path = folder / "test.rules"
    path.write_text(f'"A test."\nrule {name} promise {promise} {{{body}}}\n')
    (verdict,) = attack_file(path, instances=instances, seed=seed)
    return verdict


def test_a_rule_wrong_only_at_infinity(tmp_path: Path) -> None:
    verdict = attacked(tmp_path, "infinity", WRONG["infinity"])
    assert verdict.refutation is not None
    assert any(np.isinf(x).any() for x in verdict.refutation.inputs.values())


def test_a_rule_wrong_only_for_nan(tmp_path: Path) -> None:
    verdict = attacked(tmp_path, "nan", WRONG["nan"])
    assert verdict.refutation is not None
    assert any(np.isnan(x).any() for x in verdict.refutation.inputs.values())


def test_a_rule_wrong_only_for_negative_zero(tmp_path: Path) -> None:
    verdict = attacked(tmp_path, "zeros", WRONG["zeros"])
    assert verdict.refutation is not None
    (x,) = verdict.refutation.inputs.values()
    assert (np.signbit(x) & (x == 0)).any()


def test_a_rule_wrong_only_for_broadcasting(tmp_path: Path) -> None:
    verdict = attacked(tmp_path, "broadcast", WRONG["broadcast"], "rounding")
    assert verdict.refutation is not None
    assert len({x.shape for x in verdict.refutation.inputs.values()}) > 1


def test_a_rule_wrong_only_for_the_least_integer(tmp_path: Path) -> None:
    verdict = attacked(tmp_path, "extreme", WRONG["extreme"])
    assert verdict.refutation is not None
    least = [x.min() == np.iinfo(x.dtype).min for x in verdict.refutation.inputs.values()]
    assert any(least)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wrong_rules_are_refuted_by_any_seed(name: str, seed: int, tmp_path: Path) -> None:
    promise = "rounding" if name == "broadcast" else "exact"
    verdict = attacked(tmp_path, name, WRONG[name], promise, seed)
    assert verdict.word == "wrong", verdict
    assert verdict.attempts < 1000


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_hold(name: str, tmp_path: Path) -> None:
    verdict = attacked(tmp_path, name, RIGHT[name])
    assert verdict.holds, verdict
    assert verdict.instances == 60


def test_refutations_are_small(tmp_path: Path) -> None:
    verdict = attacked(tmp_path, "zeros", WRONG["zeros"])
    assert verdict.refutation is not None
    module: Module = verdict.refutation.before
    assert [op.name for op in module.main.body] == ["core.constant", "math.add", "core.return"]
    assert sum(x.size for x in verdict.refutation.inputs.values()) == 1
    text = str(verdict)
    assert "math.add" in text
    assert "found with seed 0" in text


def test_the_same_seed_gives_the_same_attack(tmp_path: Path) -> None:
    first = attacked(tmp_path, "nan", WRONG["nan"], seed=5)
    second = attacked(tmp_path, "nan", WRONG["nan"], seed=5)
    assert str(first) == str(second)
    assert first.attempts == second.attempts


def test_a_rule_that_nothing_satisfies_is_named(tmp_path: Path) -> None:
    body = """
        "Never."
        match   math.add(x, y)
        where   x.rank > 2, x.rank < 2
        rewrite math.sub(x, y)
    """
    verdict = attacked(tmp_path, "never", body, instances=1)
    assert verdict.is_starved
    assert not verdict.holds
    assert "x.rank < 2" in str(verdict)


def test_a_pattern_that_changes_what_others_use_is_refuted() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("steal-exp", "math.neg")
    def steal(m: Match) -> Outcome:
        """-exp(x), by changing what the exponential is for everybody."""
        exponential = m.producer(m.operand(0), "math.exp")
        negated = m.rewriter.before(m.op).create("math.neg", exponential.operands)
        m.rewriter.replace(exponential, negated.results)
        return m.build("math.exp", negated.results[0])

    verdict = attack_pattern(next(iter(patterns)), instances=30)
    assert verdict.word == "wrong"


def test_right_python_patterns_hold() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("neg-neg", "math.neg")
    def neg_neg(m: Match) -> Outcome:
        """-(-x) is x."""
        return m.producer(m.operand(0), "math.neg").operands[0]

    assert lookup("math.neg")
    assert attack_pattern(next(iter(patterns)), instances=30).holds


@pytest.mark.parametrize("dtype", ["bool", "i8", "f32", "bf16"])
def test_hints_count_in_every_type(dtype: str) -> None:
    """NumPy's own range refuses more than two truth values."""
    made = counted(tensor(dtype, 1, 5))
    assert made is not None
    assert made.tolist() == [np.arange(5).astype(DType.parse(dtype).numpy).tolist()]
