"""Tests by a TVM that has Relay, where there is one: many modules as one.

Relay takes longer to start a build than to build an op.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from trials import Results, Trial, differences

from burnish import ir
from burnish.backends.relay import RELAY_PYTHON, RELAY_TARGET, compile_module, runner
from burnish.ir.errors import Error

needs_relay = pytest.mark.skipif(
    not os.environ.get(RELAY_PYTHON),
    reason=f"{RELAY_PYTHON} names no interpreter that has Relay",
)
"""Marks tests that run what is compiled."""

FAST_BUILD = "llvm -opt-level=0"
"""Target of modules that take longer to build than to run."""


def batches(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Trials that are built at once: 40 of one op, fewer of many.

    TVM simplifies a function by looking at all of it for each thing that it changes, which takes
    time by the square of the function's size.
    """
    batch: list[Trial] = []
    ops = 0
    for each in trials:
        size = sum(1 for _ in each.module.main.body)
        if batch and (len(batch) == 40 or ops + size > 160):
            yield batch
            batch, ops = [], 0
        batch.append(each)
        ops += size
    if batch:
        yield batch


def relay_differences(trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    """The trials that Relay computes otherwise, or not at all, and how."""
    return differences(trials, _computed, (Error,))


def _computed(module: ir.Module, inputs: Results) -> Results:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(RELAY_TARGET, FAST_BUILD)
        return runner(compile_module(module)).run(dict(inputs))
