"""Many op cases as one Relay module: Relay takes longer to start a build than to build an op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from op_cases import OpCase, assert_close

from burnish import ir
from burnish.backends.relay import compile_module, runner
from burnish.ir.errors import Error


def combined(cases: Sequence[OpCase]) -> ir.Module:
    """A module that computes all cases side by side."""
    module = ir.Module("cases")
    types = {
        f"c{number}_{index}": type_
        for number, case in enumerate(cases)
        for index, type_ in enumerate(case.types)
        if type_ is not None
    }
    names = [
        f"r{number}_{index}"
        for number, case in enumerate(cases)
        for index in range(len(case.result_types()))
    ]
    function, builder = ir.build_function(module, "main", types, names)
    arguments = dict(zip(types, function.args))
    results: list[ir.Value] = []
    for number, case in enumerate(cases):
        operands = [arguments.get(f"c{number}_{i}") for i in range(len(case.operands))]
        results += builder.create(case.op, operands, case.attributes).results
    builder.ret(*results)
    return module


def differences(cases: Sequence[OpCase]) -> Iterator[tuple[OpCase, str]]:
    """The cases that Relay computes otherwise, or not at all, and how; halves if need be."""
    inputs = {
        f"c{number}_{index}": array
        for number, case in enumerate(cases)
        for index, array in enumerate(case.operands)
        if array is not None
    }
    try:
        found = runner(compile_module(combined(cases))).run(inputs)
    except Error as error:
        if len(cases) == 1:
            yield cases[0], str(error)
            return
        middle = len(cases) // 2
        yield from differences(cases[:middle])
        yield from differences(cases[middle:])
        return
    for number, case in enumerate(cases):
        for index, expected in enumerate(case.expected()):
            try:
                assert_close(found[f"r{number}_{index}"], np.asarray(expected), f"result {index}")
            except AssertionError as error:
                yield case, " ".join(str(error).split())
                break
