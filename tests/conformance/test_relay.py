"""ONNX's own test suite through Relay: compiled to text, built and run by a TVM that has Relay.

BURNISH_RELAY_PYTHON names its interpreter.  Most of the time would go into starting builds, so
that many cases are one module.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx
import pytest
from relay_batches import batches, needs_relay, relay_differences
from trials import Trial

import burnish.onnx_backend as backend
from burnish import CompiledModel
from burnish.backends.relay import RELAY_PYTHON
from burnish.conformance import (
    ERROR,
    MISMATCH,
    PASSED,
    REFUSED,
    Case,
    assert_alike,
    failed,
    load_suite,
    run_suite,
)
from burnish.ir import Array
from burnish.ir.errors import UsageError
from burnish.onnx_backend import RELAY
from burnish.operators import profile
from burnish.recorded import Record

SHARES = {1: 0.97, 2: 0.85, 3: 0.6}
"""How many of the cases of a tier pass at least."""
RELAY_DIFFERS: dict[str, str] = {
    "test_attention_4d_causal_fp16_expanded": "every op rounds to f16: where sums of f32 end "
    "otherwise in the last place, two of 192 elements differ by two units of f16, which is 1.04e-3 "
    "where 1e-3 is allowed",
    **dict.fromkeys(
        ("test_dft_inverse", "test_dft_inverse_opset19"),
        "the expected imaginary parts are the rounding errors of another algorithm, around 2e-7 "
        "beside sums of 900, and are compared with a tolerance of 1e-7",
    ),
}
"""Cases that Relay computes otherwise, with the reason."""


def trials_of(case: Case) -> Iterator[Trial]:
    """A case as a module, with each of its sets of data.

    Raises:
        Exception: whatever keeps it from being compiled.
    """
    model, data_sets = case.load()
    prepared = backend.prepare(model, engine=RELAY)
    for inputs, expected in data_sets:
        compiled, named = prepared.bound(inputs)
        assert isinstance(compiled, CompiledModel)

        def judge(found: Mapping[str, Array], expected: Sequence[object] = expected) -> None:
            assert_alike(case, model, expected, prepared.outputs(found))

        yield Trial(case.name, compiled.module, named, judge)


@dataclass(frozen=True)
class Found:
    """The cases that do not pass, with reasons."""

    refused: Mapping[str, str]
    wrong: Mapping[str, str]


@pytest.fixture(scope="module")
def found() -> Found:
    """What becomes of the suite."""
    trials: list[Trial] = []
    refused, wrong = {}, {}
    for case in load_suite():
        try:
            trials += trials_of(case)
        except Exception as error:
            outcome = failed(case, error)
            (refused if outcome.status == REFUSED else wrong)[case.name] = outcome.reason
    for batch in batches(trials):
        wrong |= relay_differences(batch)
    return Found(refused, wrong)


@pytest.mark.slow
@needs_relay
def test_nothing_is_computed_wrongly(found: Found) -> None:
    assert {name: why for name, why in found.wrong.items() if name not in RELAY_DIFFERS} == {}


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("tier", SHARES)
def test_so_many_cases_pass(tier: int, found: Found) -> None:
    cases = {case.name for case in load_suite() if profile(case.load()[0]).tier == tier}
    passed = cases - found.refused.keys() - found.wrong.keys()
    assert len(passed) >= SHARES[tier] * len(cases), found.refused


@pytest.mark.slow
@needs_relay
def test_the_record_holds(found: Found, recorded: Callable[[Record], None]) -> None:
    which = "import importlib.metadata as m; d, *_ = m.packages_distributions()['tvm']"
    command = [os.environ[RELAY_PYTHON], "-c", f"{which}; print(d, m.version(d))"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    recorded(Record(RELAY, ran.stdout.strip(), onnx.__version__, found.refused, RELAY_DIFFERS))


@pytest.mark.slow
@needs_relay
def test_cases_pass_one_by_one_through_the_engine() -> None:
    cases = [case for case in load_suite() if case.kind == "simple"]
    outcomes = run_suite(cases, RELAY, processes=1)
    assert [o for o in outcomes if o.status in (MISMATCH, ERROR)] == []
    assert any(o.status == PASSED for o in outcomes)


def test_the_device_is_there_where_an_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RELAY_PYTHON, "python")
    assert backend.supports_device("RELAY")
    monkeypatch.delenv(RELAY_PYTHON)
    assert not backend.supports_device("RELAY")
    with pytest.raises(UsageError, match="no device RELAY"):
        backend.prepare(load_suite()[0].load()[0], device="RELAY")
