"""ONNX's own test suite through burnish and out again: imported, optimized, exported, run.

What runs the exported models is onnxruntime, or onnx.reference where that refuses a model.  What
does not pass is listed with its reason in expected_export_failures.json: burnish refuses it, ONNX
has no operator for it, or the runtime is at fault.  To write the list anew:

    pytest -m slow tests/conformance/test_onnx_export.py --update-golden
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.conformance import MISMATCH, PASSED, load_suite, run_suite
from burnish.onnx_backend import ONNX
from burnish.testing import replace_file

EXPECTED = Path(__file__).with_name("expected_export_failures.json")
PROCESSES = 2


@pytest.mark.slow
def test_the_suite_survives(request: pytest.FixtureRequest) -> None:
    outcomes = run_suite(load_suite(), ONNX, processes=PROCESSES)
    failed = {
        outcome.case: f"{outcome.status}: {outcome.reason}"
        for outcome in outcomes
        if outcome.status != PASSED
    }
    text = json.dumps(failed, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-golden"):
        replace_file(EXPECTED, text)
    assert failed == json.loads(EXPECTED.read_text("utf-8"))


def test_nothing_is_computed_wrongly_but_by_the_runtime() -> None:
    """Differences that are listed are those of the runtimes; see the table."""
    failed = json.loads(EXPECTED.read_text("utf-8"))
    wrong = {name for name, reason in failed.items() if reason.startswith(MISMATCH)}
    assert wrong == RUNTIME_DIFFERS


RUNTIME_DIFFERS = {
    "test_attention_4d_causal_fp16",
    "test_dft",
    "test_dft_axis",
    "test_dft_axis_opset19",
    "test_dft_inverse",
    "test_dft_inverse_opset19",
    "test_dft_irfft",
    "test_dft_irfft_opset19",
    "test_dft_opset19",
    "test_dft_rfft",
    "test_dft_rfft_opset19",
    "test_range_bfloat16_type_positive_delta_expanded",
    "test_stft",
    "test_stft_with_window",
}
"""onnxruntime rounds transforms and halves otherwise; onnx.reference stacks scalars as rows."""
