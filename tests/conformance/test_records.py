"""What is on record of engines that are not on every machine."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest

from burnish.conformance import MISMATCH, PASSED, REFUSED, load_suite
from burnish.coverage import SuiteRun, coverage_page
from burnish.onnx_backend import DEVICES, ENGINES
from burnish.operators import profile
from burnish.recorded import Record, load_records, record_path

RECORD = Record("tvm", "apache-tvm 1", onnx.__version__, {"b": "Abs: no"}, {"c": "rounded"})


def small_run() -> SuiteRun:
    """Three cases that pass on the engines of burnish."""
    names = dict(zip("abc", load_suite()))
    passed = {engine: replace(RECORD, refused={}, wrong={}).outcomes(names) for engine in ENGINES}
    profiles = {name: profile(case.load()[0]) for name, case in names.items()}
    return SuiteRun(profiles, passed, {engine: {} for engine in ENGINES})


def test_there_is_a_record_of_every_device_and_it_is_of_this_suite() -> None:
    records = {record.engine: record for record in load_records()}
    assert set(records) == set(DEVICES.values())
    names = {case.name for case in load_suite()}
    for engine, record in records.items():
        assert record.onnx == onnx.__version__
        assert record.refused.keys() | record.wrong.keys() <= names
        assert not record.refused.keys() & record.wrong.keys()
        assert record.text() == record_path(engine).read_text("utf-8")


def test_outcomes_of_a_record() -> None:
    found = RECORD.outcomes("abc")
    assert [found[name].status for name in "abc"] == [PASSED, REFUSED, MISMATCH]
    assert [found[name].reason for name in "abc"] == ["", "Abs: no", "rounded"]


def test_the_page_has_the_record_with_what_measured_it() -> None:
    page = coverage_page(small_run(), [RECORD])
    assert "- TVM: apache-tvm 1\n" in page
    assert "| C | interpreter | TVM | notes |" in page
    assert "On TVM only:\n\n- Abs: no: `b`\n- rounded: `c`\n" in page


@pytest.mark.parametrize("records", [[], [replace(RECORD, onnx="1.0")]], ids=["none", "other"])
def test_a_record_of_another_suite_is_not_counted(records: list[Record]) -> None:
    page = coverage_page(small_run(), records)
    assert "| C | interpreter | notes |" in page
    assert ("TVM, is of the suite of onnx 1.0" in page) == bool(records)
