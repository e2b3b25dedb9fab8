"""A rewrite within rounding may be more accurate than what it replaces; not less."""

from __future__ import annotations

import numpy as np

from burnish.ir import Module, parse
from burnish.passes.promises import EXACT, ROUNDING
from burnish.passes.trust import compare_modules
from burnish.passes.trust.widened import is_closer

LONG = """
    %square = math.mul(%x, %x)
    %mean = tensor.reduce(%square) {kind = "mean", axes = [1], keep_dims = true}
    %e = core.constant() {value = dense<f16[], [1.0]>}
    %shifted = math.add(%mean, %e)
    %root = math.sqrt(%shifted)
    %y = math.div(%x, %root)
"""

ONE = """
    %s = core.constant() {value = dense<f16[], [1.0]>}
    %y = nn.rms_norm(%x, %s) {axis = 1, epsilon = 1.0}
"""


def module(body: str, dtype: str = "f16") -> Module:
    text = f"""
module "m" {{
  func @main(%x: tensor<{dtype}[2, 3]>) -> ("y": tensor<{dtype}[2, 3]>) {{{body}
    core.return(%y)
  }}
}}
"""
    return parse(text)


def test_what_overflowed_may_be_finite() -> None:
    before, after = module(LONG), module(ONE)
    assert compare_modules(before, after, promise=ROUNDING) is None
    assert compare_modules(before, after, promise=EXACT) is not None


def test_what_was_finite_may_not_overflow() -> None:
    assert compare_modules(module(ONE), module(LONG), promise=ROUNDING) is not None


def test_what_is_infinite_unrounded_may_be_infinite() -> None:
    """Such as infinity times a weight that f16 rounded to 0, which was NaN."""
    reference = np.array([np.inf, np.inf, -np.inf, np.nan])
    before = np.full(4, np.nan, np.float16)
    after = np.array([np.inf, -np.inf, 1, np.inf], np.float16)
    assert is_closer(reference, before, after).tolist() == [True, False, False, False]


def test_what_overflowed_on_the_way_may_be_anything() -> None:
    """A sum of large terms of both signs: NaN or infinite, as they are rounded and ordered."""
    reference = np.array([1.0, 1.0, 1e6, 1e6, 1.0])
    before = np.array([np.nan, np.inf, np.nan, np.inf, 2.0], np.float16)
    after = np.array([np.inf, np.nan, -np.inf, np.nan, np.inf], np.float16)
    assert is_closer(reference, before, after).tolist() == [True, True, True, False, False]


def test_another_number_is_no_rounding() -> None:
    before, after = module("%y = math.gelu(%x)", "f32"), module("%y = math.gelu_tanh(%x)", "f32")
    assert compare_modules(before, after, promise=ROUNDING) is not None
