"""ONNX's own test suite through Relay: compiled to text, built and run by a TVM that has Relay.

BURNISH_RELAY_PYTHON names its interpreter.  Most of the time would go into starting builds, so
that many cases are one module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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

SHARES = {1: 0.97, 2: 0.85}
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


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("tier", SHARES)
def test_so_many_cases_pass_and_the_others_are_refused(tier: int) -> None:
    cases = [case for case in load_suite() if profile(case.load()[0]).tier == tier]
    trials: list[Trial] = []
    refused, wrong = {}, {}
    for case in cases:
        try:
            trials += trials_of(case)
        except Exception as error:
            outcome = failed(case, error)
            (refused if outcome.status == REFUSED else wrong)[case.name] = outcome.reason
    for batch in batches(trials):
        wrong |= relay_differences(batch)
    assert {name: why for name, why in wrong.items() if name not in RELAY_DIFFERS} == {}
    assert len(cases) - len(refused) - len(wrong) >= SHARES[tier] * len(cases), refused


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
