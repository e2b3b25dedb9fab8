"""Every op: documented, costed, in the case table, and typed as it evaluates."""

from __future__ import annotations

import pytest
from op_cases import assert_close, cases

from burnish import ir
from burnish.ir.opdef import Trait

CASES = cases()
WITHOUT_CASES = {
    "core.constant",
    "core.return",
    "core.yield",
    "core.group",
    "control.if",
    "control.loop",
}
"""Structure and control: tested in test_interpreter.py and test_ops_control.py."""


def test_every_op_has_cases():
    counts = dict.fromkeys(ir.registry(), 0)
    for case in CASES:
        counts[case.op] += 1
    assert {op for op, count in counts.items() if count < 3} == WITHOUT_CASES


@pytest.mark.parametrize("op", ir.registry())
def test_every_op_is_documented(op):
    definition = ir.lookup(op)
    assert definition.doc, op
    for name, spec in definition.attributes.items():
        assert spec.doc, f"{op}.{name}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_inferred_types_are_those_of_the_results(case):
    types = case.result_types()
    results = case.expected()
    assert [(t.shape, t.dtype) for t in types] == [
        (r.shape, ir.DType.from_numpy(r.dtype)) for r in results
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cost_is_known(case):
    cost = case.definition.cost(case.complete, case.types, case.result_types())
    for amount in (cost.macs, cost.flops, cost.reads, cost.writes):
        assert isinstance(amount, int)
        assert amount >= 0
    if Trait.VIEW not in case.definition.traits:
        assert cost.writes == sum(t.bytes for t in case.result_types())


@pytest.mark.parametrize("case", CASES[::7], ids=str)
def test_the_interpreter_runs_modules_of_cases(case):
    outputs = ir.interpret(case.module(), case.inputs())
    for actual, expected in zip(outputs.values(), case.expected()):
        assert_close(actual, expected)
