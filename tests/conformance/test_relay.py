"""ONNX's own test suite through Relay: compiled to text, built and run by a TVM that has Relay.

BURNISH_RELAY_PYTHON names its interpreter.  What does not pass is listed with its reason in
expected_relay_failures.json.  To write the list anew:

    pytest -m slow tests/conformance/test_relay.py --update-golden
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import burnish.onnx_backend as backend
from burnish.backends.relay import RELAY_PYTHON
from burnish.conformance import ERROR, MISMATCH, PASSED, load_suite, run_suite
from burnish.ir.errors import UsageError
from burnish.onnx_backend import RELAY
from burnish.operators import profile
from burnish.testing import replace_file

EXPECTED = Path(__file__).with_name("expected_relay_failures.json")
SHARES = {1: 0.97, 2: 0.85}
"""How many of the cases of a tier pass at least."""


def tiers() -> dict[str, int]:
    return {case.name: profile(case.load()[0]).tier for case in load_suite()}


@pytest.mark.slow
def test_the_suite_runs_in_relay(request: pytest.FixtureRequest) -> None:
    if not os.environ.get(RELAY_PYTHON):
        pytest.skip(f"{RELAY_PYTHON} names no interpreter that has Relay")
    tier = tiers()
    outcomes = run_suite([c for c in load_suite() if tier[c.name] in SHARES], RELAY, processes=1)
    failed = {o.case: f"{o.status}: {o.reason}" for o in outcomes if o.status != PASSED}
    text = json.dumps(failed, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-golden"):
        replace_file(EXPECTED, text)
    assert failed == json.loads(EXPECTED.read_text("utf-8"))


@pytest.mark.parametrize("tier", SHARES)
def test_so_many_cases_pass(tier: int) -> None:
    known = tiers()
    failed = json.loads(EXPECTED.read_text("utf-8"))
    total = sum(t == tier for t in known.values())
    assert sum(known[name] == tier for name in failed) <= (1 - SHARES[tier]) * total


def test_nothing_is_computed_wrongly_but_what_is_known() -> None:
    failed = json.loads(EXPECTED.read_text("utf-8"))
    wrong = {n for n, reason in failed.items() if reason.startswith((MISMATCH, ERROR))}
    assert wrong == set(RELAY_DIFFERS)


RELAY_DIFFERS: dict[str, str] = {}
"""Cases that Relay computes otherwise, with the reason."""


def test_the_device_is_there_where_an_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RELAY_PYTHON, "python")
    assert backend.supports_device("RELAY")
    monkeypatch.delenv(RELAY_PYTHON)
    assert not backend.supports_device("RELAY")
    with pytest.raises(UsageError, match="no device RELAY"):
        backend.prepare(load_suite()[0].load()[0], device="RELAY")
