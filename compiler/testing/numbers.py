"""How arrays differ, element by element, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burnish.ir import Array

MAX_SHOWN = 8
"""So many of the worst elements are shown."""


def assert_numbers(
    actual: Mapping[str, Array] | Array,
    expected: Mapping[str, Array] | Array,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Fail unless arrays (or arrays by name) agree within ``atol + rtol * |expected|``.

    The message says which elements differ, and how far.
    """
    __tracebackhide__ = True
    a, b = (x if isinstance(x, Mapping) else {"array": x} for x in (actual, expected))
    found = differences(b, a, rtol=rtol, atol=atol, words=("expected", "is"))
    if found:
        raise AssertionError("the numbers differ\n" + "\n".join(found))


def differences(
    stored: Mapping[str, Array],
    now: Mapping[str, Array],
    *,
    rtol: float,
    atol: float,
    words: tuple[str, str] = ("stored", "now"),
) -> list[str]:
    """Lines on what differs between arrays by name; none if they agree."""
    lines = [f'"{name}" is not {words[0]}' for name in now if name not in stored]
    for name, old in stored.items():
        if name not in now:
            lines.append(f'"{name}" is {words[0]}, but is no more')
        else:
            lines += _array(name, old, now[name], rtol, atol, words)
    return lines


def _array(
    name: str, old: Array, new: Array, rtol: float, atol: float, words: tuple[str, str]
) -> list[str]:
    import numpy as np

    if old.dtype.kind == "V" and old.dtype.itemsize == new.dtype.itemsize:
        old = old.view(new.dtype)  # .npz knows no narrow floats
    if old.shape != new.shape or old.dtype != new.dtype:
        kinds = [f"{array.dtype}{list(array.shape)}" for array in (old, new)]
        return [f'"{name}": {words[0]} {kinds[0]}, {words[1]} {kinds[1]}']
    exact = old.dtype.kind in "biu"
    wide = np.complex128 if old.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        a, b = old.astype(wide), new.astype(wide)
        distance = np.where(old == new, 0.0, np.abs(b - a))
        distance = np.where(np.isnan(a) & np.isnan(b), 0.0, distance)
        distance = np.where(np.isnan(distance), np.inf, distance)
        allowed = 0.0 if exact else atol + rtol * np.where(np.isfinite(a), np.abs(a), 0.0)
        wrong = (old != new) & (distance > 0) if exact else distance > allowed
    if not wrong.any():
        return []
    said = "" if exact else f" (allowed: {atol:g} + {rtol:g} of it)"
    lines = [
        f'"{name}" {old.dtype}{list(old.shape)}: {int(wrong.sum())} of {wrong.size} elements '
        f"differ, by at most {float(distance[wrong].max()):.6g}{said}"
    ]
    places = np.argwhere(wrong)
    order = np.argsort(-distance[wrong], kind="stable")
    for place in places[order[:MAX_SHOWN]]:
        at = tuple(int(i) for i in place)
        lines.append(
            f"  at {list(at)}: {words[0]} {old[at]!s}, {words[1]} {new[at]!s}"
            f" (by {float(distance[at]):.6g})"
        )
    if len(places) > MAX_SHOWN:
        lines.append(f"  … and {len(places) - MAX_SHOWN} more")
    return lines
