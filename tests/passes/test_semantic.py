"""verify="semantic": wrong rewrites are found, bisected and named; right ones pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import wrong_rewrites as wrong

from burnish.ir import interpret, parse
from burnish.ir.errors import InputError
from burnish.passes import make_pass, run_pipeline
from burnish.passes.trust import SemanticMismatchError


@pytest.mark.parametrize("case", wrong.CASES, ids=lambda case: case.name)
def test_a_wrong_rewrite_is_found_and_named(case: Any) -> None:
    module = case.module(30)
    with pytest.raises(SemanticMismatchError) as caught:
        run_pipeline(module, [make_pass("cse"), case.make_pass()], verify="semantic")
    failure = caught.value.failure
    assert failure.pass_ == "wrong"
    assert failure.rewrite is not None
    assert failure.rewrite.name == case.name
    assert case.root in failure.changed


@pytest.mark.parametrize("case", wrong.CASES, ids=lambda case: case.name)
def test_right_passes_pass(case: Any) -> None:
    run_pipeline(case.module(30), "canonicalize,fold,cse,dce,shape-cleanup,fuse", verify="semantic")


def test_a_trip_count_that_is_an_input_does_not_take_forever() -> None:
    """It is drawn like any number: of 2^63 iterations nothing is waited for."""
    text = """module "m" {
    func @main(%n: tensor<i64[]>, %x: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {
      %0 = control.loop(%n, _, %x) {carried = 1}
        region(%i: tensor<i64[]>, %go: tensor<bool[]>, %s: tensor<f32[2]>) {
        %t = math.add(%s, %s)
        %u = math.add(%s, %s)
        %m = math.mul(%t, %u)
        core.yield(%go, %m)
      }
      core.return(%0)
    } }"""
    run_pipeline(parse(text), "cse", verify="semantic")
    with pytest.raises(InputError, match="more than 5 iterations"):
        interpret(parse(text), {"n": np.array(6), "x": np.ones(2, np.float32)}, max_regions=5)
