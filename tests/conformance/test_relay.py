"""ONNX's own test suite through Relay: compiled to text, built and run by a TVM that has Relay.

BURNISH_RELAY_PYTHON names its interpreter.
"""

from __future__ import annotations

import os

import pytest

import burnish.onnx_backend as backend
from burnish.backends.relay import RELAY_PYTHON
from burnish.conformance import ERROR, MISMATCH, PASSED, load_suite, run_suite
from burnish.ir.errors import UsageError
from burnish.onnx_backend import RELAY
from burnish.operators import profile

SHARES = {1: 0.97, 2: 0.85}
"""How many of the cases of a tier pass at least."""


@pytest.mark.slow
@pytest.mark.parametrize("tier", SHARES)
def test_so_many_cases_pass_and_the_others_are_refused(tier: int) -> None:
    if not os.environ.get(RELAY_PYTHON):
        pytest.skip(f"{RELAY_PYTHON} names no interpreter that has Relay")
    cases = [case for case in load_suite() if profile(case.load()[0]).tier == tier]
    outcomes = run_suite(cases, RELAY, processes=1)
    wrong = {o.case: o.reason for o in outcomes if o.status in (MISMATCH, ERROR)}
    assert wrong.keys() <= RELAY_DIFFERS.keys(), wrong
    assert sum(o.status == PASSED for o in outcomes) >= SHARES[tier] * len(cases)


RELAY_DIFFERS: dict[str, str] = {}
"""Cases that Relay computes otherwise, with the reason."""


def test_the_device_is_there_where_an_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RELAY_PYTHON, "python")
    assert backend.supports_device("RELAY")
    monkeypatch.delenv(RELAY_PYTHON)
    assert not backend.supports_device("RELAY")
    with pytest.raises(UsageError, match="no device RELAY"):
        backend.prepare(load_suite()[0].load()[0], device="RELAY")
