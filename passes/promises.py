"""What a rewrite promises about the results of the modules it is applied to."""

from __future__ import annotations

from collections.abc import Iterable

EXACT = "exact"
"""The same bits, but for the sign of a zero that a minimum or maximum chooses."""

ROUNDING = "rounding"
"""The same up to rounding of floating-point arithmetic."""

FAST_MATH = "fast-math"
"""The same up to rounding where everything is finite: no NaN, no infinity, no overflow."""

LOSSY = "lossy"
"""Other results, on purpose: by how much is for the user to judge, and nothing is compared."""

PROMISES = (EXACT, ROUNDING, FAST_MATH, LOSSY)
"""From the strongest to the weakest."""


def weakest(promises: Iterable[str]) -> str:
    """What can be said of several rewrites together; exact of none."""
    return max(promises, key=PROMISES.index, default=EXACT)
