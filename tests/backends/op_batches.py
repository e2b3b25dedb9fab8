"""The cases of the op table that the C backend has, many to a module.

A build takes a quarter of a second however small it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from op_cases import OpCase, cases

from burnish.backends import find_target
from burnish.ir import DType, Module, build_function

BATCH = 48
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
STRICT = replace(find_target("c"), flags=(*find_target("c").flags, *WARNINGS))
COMPLEX = (DType.C64, DType.C128)
CASES = [
    case
    for case in cases()
    if not any(t is not None and t.dtype in COMPLEX for t in [*case.types, *case.result_types()])
]


def together(batch: list[OpCase]) -> tuple[Module, dict[str, Any]]:
    """A module that holds all the cases, and its inputs."""
    module = Module("cases")
    types = {f"c{i}x{j}": t for i, case in enumerate(batch) for j, t in enumerate(case.types) if t}
    inputs = {
        f"c{i}x{j}": x
        for i, case in enumerate(batch)
        for j, x in enumerate(case.operands)
        if x is not None
    }
    names = [f"c{i}y{j}" for i, case in enumerate(batch) for j in range(len(case.result_types()))]
    function, b = build_function(module, "main", types, names)
    args = dict(zip(types, function.args))
    values = []
    for i, case in enumerate(batch):
        operands = [args.get(f"c{i}x{j}") for j in range(len(case.operands))]
        values += b.create(case.op, operands, case.attributes).results
    b.ret(*values)
    return module, inputs
