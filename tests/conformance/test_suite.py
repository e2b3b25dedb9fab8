"""ONNX's own test suite: a part of it every day, all of it in the slow tests.

What does not pass is listed with its reason in expected_failures.json and docs/operators.md.
After a change for the better, write both anew with one command, and read the difference:

    pytest -m slow tests/conformance --update-golden

The same command writes what is on record of TVM and Relay, where they are (test_apache_tvm.py and
test_relay.py, which come first, as the page holds the records).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from burnish.conformance import (
    ERROR,
    MISMATCH,
    PASSED,
    Case,
    load_suite,
    run_suite,
    with_known_operands,
)
from burnish.coverage import SuiteRun, coverage_page, failures, measure
from burnish.onnx_backend import ENGINES
from burnish.operators import profile

EXPECTED = Path(__file__).with_name("expected_failures.json")
PROCESSES = 2
TIER_SIZES = {1: 1399, 2: 420, 3: 214}
FLOORS = {
    ("c", 1): 1399,
    ("c", 2): 420,
    ("c", 3): 149,
    ("interpreter", 1): 1399,
    ("interpreter", 2): 420,
    ("interpreter", 3): 149,
}
"""How many cases pass at least, by engine and tier."""
KNOWN_FLOORS = {1: 249, 2: 66, 3: 3}
"""The same of the cases whose operands are turned into initializers, on each engine."""


def everyday_cases(cases: Sequence[Case]) -> list[Case]:
    """Of every operator with cases of its own, the one with the shortest name that passes."""
    failing = json.loads(EXPECTED.read_text("utf-8"))
    chosen: dict[str, Case] = {}
    for case in sorted(cases, key=lambda case: (len(case.name), case.name)):
        if case.kind == "node" and not any(case.name in failing[engine] for engine in ENGINES):
            nodes = case.load()[0].graph.node
            if len(nodes) == 1:
                chosen.setdefault(nodes[0].op_type, case)
    return list(chosen.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_one_case_of_every_operator_passes(engine: str) -> None:
    outcomes = run_suite(everyday_cases(load_suite()), engine, processes=PROCESSES)
    assert len(outcomes) > 100
    assert [outcome for outcome in outcomes if outcome.status != PASSED] == []


@pytest.mark.parametrize("engine", ENGINES)
def test_one_case_of_every_operator_passes_when_it_knows_its_operands(engine: str) -> None:
    cases = everyday_cases(with_known_operands(load_suite()))
    outcomes = run_suite(cases, engine, processes=PROCESSES)
    assert len(outcomes) > 30
    assert [outcome for outcome in outcomes if outcome.status != PASSED] == []


def test_the_suite_is_the_one_whose_tiers_are_known() -> None:
    assert Counter(profile(case.load()[0]).tier for case in load_suite()) == TIER_SIZES


def test_the_tiers_are_those_of_the_reference(shared: Path) -> None:
    reference = json.loads((shared / "reference" / "onnx_tiers.json").read_text("utf-8"))
    expected = {name: int(tier[1:]) for tier, names in reference["cases"].items() for name in names}
    assert {case.name: profile(case.load()[0]).tier for case in load_suite()} == expected


@pytest.fixture(scope="module")
def suite_run() -> SuiteRun:
    """Every case on every engine."""
    return measure(processes=PROCESSES)


@pytest.mark.slow
def test_nothing_is_computed_wrongly(suite_run: SuiteRun) -> None:
    wrong = [
        (engine, outcome.case, outcome.reason)
        for outcomes in (suite_run.outcomes, suite_run.known)
        for engine in ENGINES
        for outcome in outcomes[engine].values()
        if outcome.status in (MISMATCH, ERROR)
    ]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "tier"), FLOORS)
def test_so_many_cases_pass(suite_run: SuiteRun, engine: str, tier: int) -> None:
    assert suite_run.count(suite_run.outcomes, engine, tier)[PASSED] >= FLOORS[engine, tier]
    assert suite_run.count(suite_run.known, engine, tier)[PASSED] >= KNOWN_FLOORS[tier]


@pytest.mark.slow
def test_what_fails_is_expected(suite_run: SuiteRun, stored: Callable[[Path, str], None]) -> None:
    found = {engine: failures(suite_run.outcomes[engine]) for engine in ENGINES}
    found["with operands as initializers"] = {
        f"{name} ({engine})": reason
        for engine in ENGINES
        for name, reason in failures(suite_run.known[engine]).items()
    }
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    stored(EXPECTED, text)


@pytest.mark.slow
def test_the_page_of_operators_is_up_to_date(
    suite_run: SuiteRun, root: Path, stored: Callable[[Path, str], None]
) -> None:
    stored(root / "docs" / "operators.md", coverage_page(suite_run))
