"""verify="semantic": wrong rewrites are found, bisected and named; right ones pass."""

from __future__ import annotations

from typing import Any

import pytest
import wrong_rewrites as wrong

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
