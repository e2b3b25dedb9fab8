"""What each rewrite does, as text: the golden file shows a function before and after.

The function is also interpreted before and after, so that a golden file nobody read cannot bless
a wrong rewrite.
"""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import CASES

from burnish.ir import DType, interpret, parse
from burnish.passes import run_pipeline
from burnish.passes.rules import read_rules, rule_files
from burnish.testing import Golden

SHOWN = (
    *("algebra", "conversions", "fast-math", "kernels", "logic", "movement", "pads", "shapes"),
    *("single-windows", "space-to-depth"),
)
"""Rule files, each rule of which is applied in one of the cases."""


@pytest.mark.parametrize("case", CASES)
def test_rewrite(case: str, golden: Golden) -> None:
    pipeline, source = CASES[case]
    module = parse(f'module "golden" {{ {source} }}')
    original = module.copy()
    run_pipeline(module, pipeline, verify="each")
    golden(f"{original}// {pipeline}\n{module}")

    rng = np.random.default_rng(0)
    inputs = {}
    for value, name in zip(original.main.args, original.main.arg_names):
        shape = [2 if not isinstance(dim, int) else dim for dim in value.type.shape]
        numbers = rng.normal(size=shape) * (3 if value.type.dtype is DType.F32 else 60)
        inputs[name] = np.asarray(numbers).astype(value.type.dtype.numpy)
    before, after = interpret(original, inputs), interpret(module, inputs)
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_rule_is_shown() -> None:
    """Each rule of these files is applied in one of the cases."""
    shown: set[str] = set()
    for pipeline, source in CASES.values():
        module = parse(f'module "golden" {{ {source} }}')
        shown |= run_pipeline(module, pipeline).rewrites.keys()
    files = {path.stem: path for path in rule_files()}
    missing = {
        rule.name
        for name in SHOWN
        for rule in read_rules(files[name]).rules
        if rule.name not in shown
    }
    assert sorted(missing) == []
