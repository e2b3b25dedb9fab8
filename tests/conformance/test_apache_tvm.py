"""ONNX's own test suite through the target tvm: built and run by the installed apache-tvm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version

import onnx
import pytest

import burnish.onnx_backend as backend
from burnish.backends.tvm import has_tvm, package
from burnish.conformance import ERROR, MISMATCH, PASSED, Outcome, load_suite, run_suite
from burnish.coverage import failures
from burnish.ir.errors import UsageError
from burnish.onnx_backend import TVM
from burnish.operators import profile
from burnish.recorded import Record

FLOORS = {1: 1399, 2: 420, 3: 149}
"""How many of the cases of a tier pass at least: all of tiers 1 and 2."""
needs_tvm = pytest.mark.skipif(not has_tvm(), reason="apache-tvm is not installed")


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    """What becomes of every case, by name."""
    return {found.case: found for found in run_suite(load_suite(), TVM, processes=1)}


@pytest.mark.slow
@needs_tvm
def test_nothing_is_computed_wrongly(outcomes: Mapping[str, Outcome]) -> None:
    wrong = {o.case: o.reason for o in outcomes.values() if o.status in (MISMATCH, ERROR)}
    assert wrong == {}


@pytest.mark.slow
@needs_tvm
@pytest.mark.parametrize("tier", FLOORS)
def test_so_many_cases_pass(tier: int, outcomes: Mapping[str, Outcome]) -> None:
    cases = [case.name for case in load_suite() if profile(case.load()[0]).tier == tier]
    assert sum(outcomes[name].status == PASSED for name in cases) >= FLOORS[tier]


@pytest.mark.slow
@needs_tvm
def test_the_record_holds(
    outcomes: Mapping[str, Outcome], recorded: Callable[[Record], None]
) -> None:
    installed = f"apache-tvm {version('apache-tvm')}"
    recorded(Record(TVM, installed, onnx.__version__, failures(outcomes), {}))


def test_the_device_is_there_where_tvm_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.supports_device("TVM") == has_tvm()
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda name: None)
    assert not backend.supports_device("TVM")
    with pytest.raises(UsageError, match="no device TVM"):
        backend.prepare(load_suite()[0].load()[0], device="TVM")
