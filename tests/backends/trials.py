"""Modules with inputs and judges, many of them computed as one: a build takes long to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from op_cases import OpCase, assert_close

from burnish import ir
from burnish.ir.clone import clone_op

Results = Mapping[str, ir.Array]


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


def differences(
    trials: Sequence[Trial],
    compute: Callable[[ir.Module, Results], Results],
    errors: tuple[type[Exception], ...],
) -> Iterator[tuple[str, str]]:
    """The trials that ``compute`` does otherwise, or not at all, and how; in halves if need be.

    It gets a module and its inputs, and raises one of ``errors`` where it cannot build it.
    """
    inputs = {
        f"{n}:{name}": array for n, t in enumerate(trials) for name, array in t.inputs.items()
    }
    try:
        found = compute(merged([t.module for t in trials]), inputs)
    except errors as error:
        if len(trials) == 1:
            yield trials[0].name, str(error)
            return
        middle = len(trials) // 2
        yield from differences(trials[:middle], compute, errors)
        yield from differences(trials[middle:], compute, errors)
        return
    for number, each in enumerate(trials):
        mark = f"{number}:"
        own = {k.removeprefix(mark): v for k, v in found.items() if k.startswith(mark)}
        try:
            each.judge(own)
        except AssertionError as error:
            yield each.name, " ".join(str(error).split())
