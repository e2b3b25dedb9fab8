"""ONNX's own test suite through the target tvm: built and run by the installed apache-tvm."""

from __future__ import annotations

import pytest

import burnish.onnx_backend as backend
from burnish.backends.tvm import has_tvm, package
from burnish.conformance import ERROR, MISMATCH, PASSED, load_suite, run_suite
from burnish.ir.errors import UsageError
from burnish.onnx_backend import TVM
from burnish.operators import profile

FLOORS = {1: 1399, 2: 420}
"""How many of the cases of a tier pass at least: all."""


@pytest.mark.slow
@pytest.mark.skipif(not has_tvm(), reason="apache-tvm is not installed")
@pytest.mark.parametrize("tier", FLOORS)
def test_so_many_cases_pass(tier: int) -> None:
    cases = [case for case in load_suite() if profile(case.load()[0]).tier == tier]
    outcomes = run_suite(cases, TVM, processes=1)
    wrong = {o.case: o.reason for o in outcomes if o.status in (MISMATCH, ERROR)}
    assert wrong == {}
    assert sum(o.status == PASSED for o in outcomes) >= FLOORS[tier]


def test_the_device_is_there_where_tvm_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.supports_device("TVM") == has_tvm()
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda name: None)
    assert not backend.supports_device("TVM")
    with pytest.raises(UsageError, match="no device TVM"):
        backend.prepare(load_suite()[0].load()[0], device="TVM")
