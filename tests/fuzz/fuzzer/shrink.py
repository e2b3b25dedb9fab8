"""Making a failing module small: fewer results, fewer ops, smaller sizes, plainer numbers."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from burnish.ir import Array, Dim, Error, Module, Op, Value, interpret

from .checks import Settings, Subject, check
from .rebuild import rebuild

Inputs = Mapping[str, Array]
Case = tuple[Module, dict[str, Array]]
SECONDS = 60
"""How long one failure is shrunk."""

TOGETHER = 12
"""Attempts that are compiled together."""


def kind_of(verdict: str) -> str:
    """What sort of failure a verdict tells: its words, without numbers."""
    text = verdict.split("\n", maxsplit=1)[0]
    for sign, kind in (
        ("instead of", "differs"),
        ("shape", "shape"),
        ("raised", text.split(":")[0]),
    ):
        if sign in text:
            return kind
    return re.sub(r"[^a-z ]+", "", text.split(":")[0])


def shrink(
    module: Module, inputs: Sequence[Inputs], settings: Settings, verdict: str
) -> tuple[Module, dict[str, Array], str]:
    """A small module and inputs that fail in the same way, and its verdict."""
    kind = kind_of(verdict)

    def first_failure(cases: Sequence[Case]) -> tuple[Case, str] | None:
        subjects = [Subject(f"s{i}", made, [given]) for i, (made, given) in enumerate(cases)]
        check(subjects, settings)
        for case, subject in zip(cases, subjects):
            if subject.verdict and kind_of(subject.verdict) == kind:
                return case, subject.verdict
        return None

    found = first_failure([(module, dict(chosen)) for chosen in inputs])
    if found is None:
        return module, dict(inputs[0]), verdict  # a matter of several runs
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        smaller = None
        for step in (_fewer_results, _cut, _smaller, _plainer):
            candidates = (case for case in step(*found[0]) if case is not None)
            while (
                smaller is None
                and time.monotonic() < end
                and (some := list(itertools.islice(candidates, TOGETHER)))
            ):
                smaller = first_failure(some)
            if smaller is not None:
                break
        if smaller is None:
            break
        found = smaller
    (module, final), verdict = found
    return module, final, verdict


def _attempt(action: Callable[[], Case]) -> Case | None:
    try:
        return action()
    except Error:
        return None


def _fewer_results(module: Module, inputs: dict[str, Array]) -> Iterator[Case | None]:
    """One result only: first each there is, then any value."""
    results = list(module.main.results)
    if len(results) > 1:
        for value in results:
            yield _attempt(lambda v=value: rebuild(module, inputs, results=[v]))  # type: ignore[misc]
        half = len(results) // 2
        for part in (results[:half], results[half:]):
            yield _attempt(lambda p=part: rebuild(module, inputs, results=p))  # type: ignore[misc]
        return
    ops = [op for op in module.main.body if op.name not in ("core.constant", "core.return")]
    for op in ops[:-1]:
        for value in op.results:
            if value not in results:
                yield _attempt(lambda v=value: rebuild(module, inputs, results=[v]))  # type: ignore[misc]


def _cut(module: Module, inputs: dict[str, Array]) -> Iterator[Case | None]:
    """A value an input, with what it was: later ones first, which leave less."""
    known: dict[Value, Array] = {}

    def observe(op: Op, results: Sequence[Array]) -> None:
        known.update(zip(op.results, results))

    try:
        with np.errstate(all="ignore"):
            interpret(module, inputs, observe=observe)
    except Exception:  # what was computed before it helps all the same
        pass
    computed = [v for v in known if v.constant is None and v.type.is_static]
    for value in reversed(computed):
        if value not in module.main.results:
            yield _attempt(lambda v=value: rebuild(module, inputs, cut=[v], arrays=known))  # type: ignore[misc]


def _smaller(module: Module, inputs: dict[str, Array]) -> Iterator[Case | None]:
    """One size replaced by a smaller one everywhere."""
    sizes = {d for v in module.main.args for d in v.type.shape if isinstance(d, int) and d > 1}
    for constant in module.constants():
        sizes |= {d for d in constant.shape if d > 1}
    for size in sorted(sizes, reverse=True):
        for smaller in dict.fromkeys([1, size // 2, size - 1]):
            if not 0 < smaller < size:
                continue

            def dim(d: Dim, old: int = size, new: int = smaller) -> Dim:
                return new if d == old else d

            def array(x: Array, old: int = size, new: int = smaller) -> Array:
                return x[tuple(slice(0, new) if n == old else slice(None) for n in x.shape)]

            yield _attempt(lambda d=dim, a=array: rebuild(module, inputs, dim=d, array=a))  # type: ignore[misc]
            yield _attempt(lambda d=dim, a=array: rebuild(module, inputs, dim=d, array=a, also=d))  # type: ignore[misc]


def _plainer(module: Module, inputs: dict[str, Array]) -> Iterator[Case | None]:
    """Inputs of plain numbers: all 0, or all but one element, or rounded."""
    for name, x in inputs.items():
        if not x.size:
            continue
        zeros = np.zeros_like(x)
        if _differs(zeros, x):
            yield module, {**inputs, name: zeros}
        if x.size <= 12:
            for place in np.ndindex(x.shape):
                if x[place] != 0:
                    plain = x.copy()
                    plain[place] = 0
                    yield module, {**inputs, name: plain}
        else:
            half = x.reshape(-1).copy()
            half[: x.size // 2] = 0
            if _differs(half, x.reshape(-1)):
                yield module, {**inputs, name: half.reshape(x.shape)}
        if x.dtype.kind == "f":
            with np.errstate(all="ignore"):
                rounded = np.round(x)
            if _differs(rounded, x):
                yield module, {**inputs, name: rounded}


def _differs(a: Array, b: Array) -> bool:
    return a.tobytes() != b.tobytes()
