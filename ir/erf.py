"""The Gauss error function on arrays, which NumPy lacks.

Rational approximations on four intervals from FreeBSD's ``msun/src/s_erf.c`` (Copyright (C)
1993 by Sun Microsystems, Inc.; permission to use, copy, modify, and distribute is freely
granted, provided that this notice is preserved).  The splitting of ``exp(-x²)`` there,
which perfects relative accuracy of erfc, is left out: the absolute error stays below 1e-15.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .constants import Array

_Coefficients = tuple[float, ...]

# Numerators and denominators, lowest power first; the names of the intervals are Sun's.
_PP: _Coefficients = (
    1.28379167095512558561e-01,
    -3.25042107247001499370e-01,
    -2.84817495755985104766e-02,
    -5.77027029648944159157e-03,
    -2.37630166566501626084e-05,
)
_QQ: _Coefficients = (
    1.0,
    3.97917223959155352819e-01,
    6.50222499887672944485e-02,
    5.08130628187576562776e-03,
    1.32494738004321644526e-04,
    -3.96022827877536812320e-06,
)
_ERX = 8.45062911510467529297e-01
_PA: _Coefficients = (
    -2.36211856075265944077e-03,
    4.14856118683748331666e-01,
    -3.72207876035701323847e-01,
    3.18346619901161753674e-01,
    -1.10894694282396677476e-01,
    3.54783043256182359371e-02,
    -2.16637559486879084300e-03,
)
_QA: _Coefficients = (
    1.0,
    1.06420880400844228286e-01,
    5.40397917702171048937e-01,
    7.18286544141962662868e-02,
    1.26171219808761642112e-01,
    1.36370839120290507362e-02,
    1.19844998467991074170e-02,
)
_RA: _Coefficients = (
    -9.86494403484714822705e-03,
    -6.93858572707181764372e-01,
    -1.05586262253232909814e01,
    -6.23753324503260060396e01,
    -1.62396669462573470355e02,
    -1.84605092906711035994e02,
    -8.12874355063065934246e01,
    -9.81432934416914548592e00,
)
_SA: _Coefficients = (
    1.0,
    1.96512716674392571292e01,
    1.37657754143519042600e02,
    4.34565877475229228821e02,
    6.45387271733267880336e02,
    4.29008140027567833386e02,
    1.08635005541779435134e02,
    6.57024977031928170135e00,
    -6.04244152148580987438e-02,
)
_RB: _Coefficients = (
    -9.86494292470009928597e-03,
    -7.99283237680523006574e-01,
    -1.77579549177547519889e01,
    -1.60636384855821916062e02,
    -6.37566443368389627722e02,
    -1.02509513161107724954e03,
    -4.83519191608651397019e02,
)
_SB: _Coefficients = (
    1.0,
    3.03380607434824582924e01,
    3.25792512996573918826e02,
    1.53672958608443695994e03,
    3.19985821950859553908e03,
    2.55305040643316442583e03,
    4.74528541206955367215e02,
    -2.24409524465858183362e01,
)


def _ratio(numerator: _Coefficients, denominator: _Coefficients, x: Array) -> Array:
    return np.asarray(_polynomial(numerator, x) / _polynomial(denominator, x))


def _polynomial(coefficients: _Coefficients, x: Array) -> Array:
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total *= x
        total += coefficient
    return total


def _near_zero(x: Array) -> Array:
    return np.asarray(x + x * _ratio(_PP, _QQ, x * x))


def _near_one(x: Array) -> Array:
    return np.asarray(_ERX + _ratio(_PA, _QA, x - 1))


def _tail(numerator: _Coefficients, denominator: _Coefficients) -> Callable[[Array], Array]:
    def erf_of_large(x: Array) -> Array:
        square = x * x
        power = np.exp(-square - 0.5625 + _ratio(numerator, denominator, 1 / square))
        return np.asarray(1 - power / x)

    return erf_of_large


_INTERVALS: tuple[tuple[float, float, Callable[[Array], Array]], ...] = (
    (0.0, 0.84375, _near_zero),
    (0.84375, 1.25, _near_one),
    (1.25, 1 / 0.35, _tail(_RA, _SA)),
    (1 / 0.35, 6.0, _tail(_RB, _SB)),
)
"""Where |x| lies, and erf(|x|) there; from 6 on erf is 1 to within half an ulp."""


def _quotient(numerator: _Coefficients, denominator: _Coefficients) -> str:
    above, below = (
        " + z * (".join(map(repr, each)) + ")" * (len(each) - 1)
        for each in (numerator, denominator)
    )
    return f"({above}) / ({below})"


def erf_expressions() -> tuple[tuple[float, str, str], ...]:
    """The same as scalar expressions, for languages that lack an exact erf of f64.

    For each interval its end, what z is there by m = |x|, and erf(m) by both.
    """
    tails = ((1 / 0.35, _RA, _SA), (6.0, _RB, _SB))
    return (
        (0.84375, "m * m", f"m + m * ({_quotient(_PP, _QQ)})"),
        (1.25, "m - 1", f"{_ERX!r} + {_quotient(_PA, _QA)}"),
        *(
            (end, "1 / (m * m)", f"1 - exp(-m * m - 0.5625 + {_quotient(a, b)}) / m")
            for end, a, b in tails
        ),
    )


def erf(x: Array) -> Array:
    """erf(x), elementwise: computed in f64, returned in x's dtype."""
    magnitude = np.abs(x.astype(np.float64))
    result = np.where(np.isnan(magnitude), magnitude, 1.0)
    for low, high, function in _INTERVALS:
        chosen = (magnitude >= low) & (magnitude < high)
        result[chosen] = function(magnitude[chosen])
    return np.copysign(result, x.astype(np.float64)).astype(x.dtype)
