"""Tests by a TVM that has Relay, where there is one: many modules as one.

Relay takes longer to start a build than to build an op.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from op_cases import OpCase, assert_close

from burnish import ir
from burnish.backends.relay import RELAY_PYTHON, RELAY_TARGET, compile_module, runner
from burnish.ir.clone import clone_op
from burnish.ir.errors import Error

needs_relay = pytest.mark.skipif(
    not os.environ.get(RELAY_PYTHON),
    reason=f"{RELAY_PYTHON} names no interpreter that has Relay",
)
"""Marks tests that run what is compiled."""

FAST_BUILD = "llvm -opt-level=0"
"""Target of modules that take longer to build than to run."""


@dataclass(frozen=True)
class Trial:
    """A module, what goes in, and a judge of what comes out (raises AssertionError)."""

    name: str
    module: ir.Module
    inputs: Mapping[str, ir.Array]
    judge: Callable[[Mapping[str, ir.Array]], None]


def trial(case: OpCase) -> Trial:
    """An op case."""

    def judge(found: Mapping[str, ir.Array]) -> None:
        for index, expected in enumerate(case.expected()):
            assert_close(found[f"y{index}"], np.asarray(expected), f"result {index}")

    return Trial(case.id, case.module(), case.inputs(), judge)


def merged(modules: Sequence[ir.Module]) -> ir.Module:
    """A module that computes all of them side by side; names get their number in front."""
    result = ir.Module("merged")
    mains = list(enumerate(module.main for module in modules))
    types = {f"{n}:{name}": arg.type for n, f in mains for name, arg in zip(f.arg_names, f.args)}
    names = [f"{n}:{name}" for n, f in mains for name in f.result_names]
    function, builder = ir.build_function(result, "main", types, names)
    arguments, results = iter(function.args), []
    for _, main in mains:
        values = dict(zip(main.args, arguments))
        for op in main.body:
            if not op.is_terminator:
                builder.insert(clone_op(op, values))
        results += [values[value] for value in main.results]
    builder.ret(*results)
    return result


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


def differences(trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    """The trials that Relay computes otherwise, or not at all, and how; in halves if need be."""
    inputs = {
        f"{n}:{name}": array for n, t in enumerate(trials) for name, array in t.inputs.items()
    }
    try:
        artifact = compile_module(merged([t.module for t in trials]))
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(RELAY_TARGET, FAST_BUILD)
            found = runner(artifact).run(inputs)
    except Error as error:
        if len(trials) == 1:
            yield trials[0].name, str(error)
            return
        middle = len(trials) // 2
        yield from differences(trials[:middle])
        yield from differences(trials[middle:])
        return
    for number, each in enumerate(trials):
        mark = f"{number}:"
        own = {k.removeprefix(mark): v for k, v in found.items() if k.startswith(mark)}
        try:
            each.judge(own)
        except AssertionError as error:
            yield each.name, " ".join(str(error).split())
