"""pytest collects rule files and attacks each rule; the same from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.cli.app import main

RULES = """\
"Rules."

rule right {
  "x - -y is x + y."
  match   math.sub(x, math.neg(y))
  rewrite math.add(x, y)
}

rule table for (op) in [math.neg, math.bit_not] {
  "Twice is not at all."
  match   op(op(x))
  rewrite x
}
"""

WRONG = """\

rule wrong {
  "x + 0 is x; not of -0."
  match   math.add(x, 0)
  rewrite x
}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\naddopts = -p burnish.testing")
    return pytester


def test_each_rule_is_a_test(suite: pytest.Pytester) -> None:
    (suite.path / "good.rules").write_text(RULES)
    result = suite.runpytest("-v", "--rule-instances=3")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*good.rules::right PASSED*", "*::table?math.neg? PASSED*"])


def test_a_wrong_rule_fails_with_its_counter_example(suite: pytest.Pytester) -> None:
    (suite.path / "bad.rules").write_text(RULES + WRONG)
    result = suite.runpytest("--rule-seed=7")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["rule wrong (bad.rules:15) is wrong", "*math.add*", "inputs:", "*found with seed 7"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_file_that_does_not_parse_is_an_error(suite: pytest.Pytester) -> None:
    (suite.path / "broken.rules").write_text('"x"\nrule a { "b" match math.nothing(x) rewrite x }')
    result = suite.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*math.nothing*"])


def test_the_seed_may_be_fresh(suite: pytest.Pytester) -> None:
    (suite.path / "good.rules").write_text(RULES)
    suite.runpytest("--rule-seed=fresh", "--rule-instances=2").assert_outcomes(passed=3)


def test_check_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.rules").write_text(RULES)
    status = main(["passes", "--check", str(tmp_path / "good.rules"), "--instances", "3"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "good.rules, seed 0" in printed
    assert printed.count("holds") == 3
    assert "table[math.neg]" in printed


def test_check_shows_counter_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.rules").write_text(RULES + WRONG)
    status = main(["passes", "--check", str(tmp_path / "bad.rules"), "--instances", "5"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "rule wrong (bad.rules:15) is wrong" in printed
    assert "found with seed 0" in printed


def test_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.rules").write_text(RULES + WRONG)
    status = main(["passes", "--check", str(tmp_path / "bad.rules"), "--json", "--seed", "3"])
    verdicts = json.loads(capsys.readouterr().out)
    assert status == 1
    assert [v["verdict"] for v in verdicts] == ["holds", "holds", "holds", "wrong"]
    assert verdicts[0]["instances"] == 100
    assert "math.add" in verdicts[3]["counter-example"]["before"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--check", "none.rules"],
        ["--check", "none.rules", "--seed", "x"],
        ["--rules"],
        ["one", "two"],
        ["cse", "--check", "none.rules"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passes", *arguments]) == 2
    assert capsys.readouterr().err
