"""verify="semantic": wrong rewrites are found, bisected and named; right ones pass."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from burnish.passes import make_pass, run_pipeline
from burnish.passes.trust import SemanticMismatchError


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


wrong = load("wrong_rewrites")


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
