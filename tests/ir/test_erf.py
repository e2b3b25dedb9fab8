"""The vectorized error function against the standard library's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from burnish.ir.erf import erf

POINTS = np.concatenate(
    [
        np.linspace(-7, 7, 20001),
        [bound + tiny for bound in (0.84375, 1.25, 1 / 0.35, 6.0) for tiny in (-1e-15, 0, 1e-15)],
        [0.0, -0.0, 1e-320, -1e-10, 1e300, np.inf, -np.inf],
    ]
)


def test_erf_is_accurate_to_1e_15():
    expected = np.array([math.erf(x) for x in POINTS])
    assert np.abs(erf(POINTS) - expected).max() < 1e-15
    assert (np.signbit(erf(POINTS)) == np.signbit(POINTS)).all()


def test_erf_keeps_nan_shape_and_dtype():
    x = np.array([[np.nan, 0.5]], np.float32)
    assert erf(x).dtype == np.float32
    assert np.isnan(erf(x)).tolist() == [[True, False]]
    assert erf(np.asarray(0.5)).shape == ()
    assert erf(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf_is_odd(dtype):
    x = POINTS.astype(dtype)
    np.testing.assert_array_equal(erf(-x), -erf(x))
