"""Kernels that compute in f64, of which GCC makes vectors otherwise."""

from __future__ import annotations

import numpy as np

import burnish
from burnish.ir import interpret, parse


def test_rows_of_doubles_are_interpolated_as_they_stand() -> None:
    """GCC 12 permuted eight doubles wrongly where it made vectors of straight-line code."""
    text = """module "m" {
      func @main(%x: tensor<f64[1, 1, 2, 9]>) -> ("y": tensor<f64[2, 2, 2, 5]>) {
        %0 = nn.resize(%x) {shape = [2, 2, 2, 5], mode = "cubic",
            scales = [0.2857142984867096, 1.0, 2.3333332538604736, 0.5555555820465088]}
        core.return(%0)
      }
    }"""
    x = np.exp2(np.arange(18.0)).reshape(1, 1, 2, 9)
    compiled = burnish.compile(parse(text), target="c", passes="")
    assert "M_KERNEL M_DOUBLES void m_resize_0(" in compiled.source["m.c"]
    expected = interpret(parse(text), {"x": x})["y"]
    np.testing.assert_allclose(compiled.run({"x": x})["y"], expected, rtol=1e-12)


def test_kernels_without_doubles_are_declared_plainly() -> None:
    text = """module "m" {
      func @main(%x: tensor<f32[8]>) -> ("y": tensor<f32[8]>) {
        %0 = math.exp(%x)
        core.return(%0)
      }
    }"""
    assert "M_DOUBLES" not in burnish.compile(parse(text), target="c").source["m.c"]
