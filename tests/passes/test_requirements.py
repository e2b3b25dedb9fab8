"""Checks at run time in passes: kept while open, folded when decided."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.ir import interpret, parse, verify
from burnish.ir.errors import InputError, ModelError
from burnish.passes import run_pipeline

SIMPLIFY = "canonicalize,fold,cse,canonicalize,dce"


def function(actual: str, *, inputs: str = "") -> str:
    return f"""module "m" {{
      func @main(%x: tensor<f32[2]>{inputs}) -> ("y": tensor<f32[2]>) {{
        {actual}
        %0 = control.require(%x, %n) {{expected = [2, 3], what = "shape"}} : tensor<f32[2]>
        core.return(%0)
      }}
    }}"""


KNOWN = "%n = core.constant() {{value = dense<i64[2], [2, {}]>}} : tensor<i64[2]>"


def test_an_open_check_stays():
    module = parse(function("", inputs=", %n: tensor<i64[2]>"))
    before = str(module)
    run_pipeline(module, SIMPLIFY)
    verify(module)
    assert str(module) == before
    x = np.ones(2, np.float32)
    assert interpret(module, {"x": x, "n": np.array([2, 3])})["y"] is not None
    with pytest.raises(InputError, match=r"its shape is \[2, 4\], but .* needs \[2, 3\]"):
        interpret(module, {"x": x, "n": np.array([2, 4])})


def test_a_check_that_holds_goes():
    module = parse(function(KNOWN.format(3)))
    run_pipeline(module, SIMPLIFY)
    verify(module)
    assert [op.name for op in module.walk()] == ["core.return"]


def test_a_check_that_fails_is_an_error_at_compile_time():
    module = parse(function(KNOWN.format(4)))
    with pytest.raises(ModelError, match=r"its shape is \[2, 4\], but .* needs \[2, 3\]"):
        run_pipeline(module, SIMPLIFY)


def test_a_check_that_fails_in_a_branch_stays():
    module = parse(f"""module "m" {{
      func @main(%c: tensor<bool[]>, %x: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {{
        %0 = control.if(%c, %x) region(%t: tensor<f32[2]>) {{
          {KNOWN.format(4)}
          %1 = control.require(%t, %n) {{expected = [2, 3], what = "shape"}} : tensor<f32[2]>
          core.yield(%1)
        }} region(%e: tensor<f32[2]>) {{
          core.yield(%e)
        }} : tensor<f32[2]>
        core.return(%0)
      }}
    }}""")
    run_pipeline(module, SIMPLIFY)
    verify(module)
    x = np.ones(2, np.float32)
    interpret(module, {"c": np.array(False), "x": x})
    with pytest.raises(InputError, match="needs"):
        interpret(module, {"c": np.array(True), "x": x})
