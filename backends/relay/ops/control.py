"""Control flow.

A loop is a function that calls itself: Relay has no other.  Loops that run a few times are unrolled
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from burnish.ir import DType

from ..builder import Term, parameter_of, relay_dtype
from ..context import Context
from ..registry import lowering
from ..syntax import FunctionType, Lambda, Tuple


@lowering("control.if")
def _if(c: Context) -> Sequence[Term]:
    condition, *captured = c.inputs()
    then, otherwise = (c.body(region, captured) for region in c.op.regions)
    result = c.builder.branch(c.reshape(condition, ()), then, otherwise)
    count = len(c.op.results)
    return [result] if count == 1 else [c.project(result, index) for index in range(count)]


@lowering("control.loop")
def _loop(c: Context) -> Sequence[Term]:
    """``let %loop = fn (%i, %going, state..., scans..., captured...) { if ... }``.

    Constants are not handed over: a function sees the parameters of ``@main``.
    """
    limit, start = c.optional(0), c.optional(1)
    state, captured = _values(c)
    stacks = [c.op.results[len(state) + i].type for i in range(len(c.op.results) - len(state))]
    scans = [_nothing(c, type_.static_shape, type_.dtype) for type_ in stacks]
    read = (term for term in (limit, *captured) if term is not None and term.constant is None)
    handed = list(dict.fromkeys(read))
    first = [c.scalar(0, DType.I64), c.scalar(True, DType.BOOL) if start is None else start]
    initial = [*first, *state, *scans, *handed]
    b = c.builder
    wanted = ["at", "going", *["state"] * len(state), *["scan"] * len(scans)]
    wanted += ["read"] * len(handed)
    params = [b.parameter(name, t.tensor, t.dtype) for name, t in zip(wanted, initial)]
    result = Tuple(tuple(term.type for term in (first[0], *state, *scans)))
    loop = b.name("loop", FunctionType(tuple(term.type for term in initial), result))
    inner = dict(zip(handed, params[len(initial) - len(handed) :]))
    b.open(closed=True)
    at, going = params[:2]
    condition = going
    if limit is not None:
        condition = c.call("logical_and", going, c.call("less", at, inner.get(limit, limit)))
    kept = params[2 : 2 + len(state) + len(scans)]
    b.open()
    arguments = [*params[:2], *kept[: len(state)], *(inner.get(term, term) for term in captured)]
    again, *yielded = c.inline(c.op.regions[0], arguments)
    fresh = yielded[: len(state)]
    fresh += map(partial(_noted, c, at), kept[len(state) :], yielded[len(state) :])
    next_ = c.call("add", at, c.scalar(1, DType.I64))
    then = b.close([b.apply(loop, [next_, again, *fresh, *inner.values()])])
    b.open()
    otherwise = b.close([b.pack(at, *kept)])
    body, type_ = b.close([b.branch(condition, then, otherwise)])
    b.let(loop, Lambda(tuple(map(parameter_of, params)), type_, body))
    final = b.apply(loop, initial)
    if scans:
        c.check(c.call("equal", c.project(final, 0), c.scalar(c.a.iterations, DType.I64)))
    return [c.project(final, 1 + index) for index in range(len(c.op.results))]


def _values(c: Context) -> tuple[list[Term], list[Term]]:
    """What a loop carries, and what its body reads besides."""
    values = [c.input(2 + index) for index in range(len(c.op.operands) - 2)]
    return values[: c.a.carried], values[c.a.carried :]


def _nothing(c: Context, shape: Sequence[int], dtype: DType) -> Term:
    """What scans are written over."""
    zeros = c.call("zeros", shape=tuple(shape), dtype=relay_dtype(dtype))
    return replace(zeros, dtype=dtype)


def _noted(c: Context, at: Term, scan: Term, value: Term) -> Term:
    """The rows of ``scan``, of which row ``at`` becomes ``value``."""
    rows = c.ints(np.arange(scan.shape[0]).reshape(-1, *[1] * value.rank))
    return c.where(c.call("equal", rows, at), c.reshape(value, (1, *value.shape)), scan)


@lowering("control.require")
def _require(c: Context) -> Term:
    """x; whether the numbers are those expected is one more result of the model."""
    agrees = c.call("equal", c.input(1), c.ints(c.a.expected))
    c.check(c.call("all", agrees))
    return c.input(0)
