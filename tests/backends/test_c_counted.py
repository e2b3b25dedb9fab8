"""C of checks, and of ops that find elements: sizes that fit, that do not, and that are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from op_cases import OpCase, cases

from burnish import ir
from burnish.backends import find_target
from burnish.backends.c import compile_module
from burnish.backends.c.host import build
from burnish.ir.errors import InputError

FOUND = [case for case in cases() if "size" in case.definition.attributes and case.op != "nn.lrn"]


def run(module: ir.Module, inputs: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
    artifact = compile_module(module, "c")
    return build(artifact.files, artifact.manifest, find_target("c"), sanitize=True).run(inputs)


def with_open_size(batch: list[OpCase], high: int) -> tuple[ir.Module, dict[str, np.ndarray]]:
    """A module that holds all the cases; each finds its size, up to ``high``."""
    ranges = {f"K{i}": (0, high) for i in range(len(batch))}
    module = ir.Module("found", symbols=ranges)
    types: dict[str, ir.TensorType] = {}
    inputs: dict[str, np.ndarray] = {}
    for i, case in enumerate(batch):
        for j, (array, type_) in enumerate(zip(case.operands, case.types)):
            if array is not None and type_ is not None:
                types[f"c{i}x{j}"], inputs[f"c{i}x{j}"] = type_, array
    names = [f"c{i}y{j}" for i, case in enumerate(batch) for j in range(len(case.result_types()))]
    function, builder = ir.build_function(module, "main", types, names)
    args = dict(zip(types, function.args))
    values = []
    for i, case in enumerate(batch):
        operands = [args.get(f"c{i}x{j}") for j in range(len(case.operands))]
        attributes = {**case.attributes, "size": ir.symbol(f"K{i}")}
        values += builder.create(case.op, operands, attributes).results
    builder.ret(*values)
    ir.verify(module)
    return module, inputs


def test_sizes_are_found():
    module, inputs = with_open_size(FOUND, 200)
    actual = run(module, inputs)
    for i, case in enumerate(FOUND):
        for j, expected in enumerate(case.expected()):
            np.testing.assert_array_equal(actual[f"c{i}y{j}"], expected, case.id)


@pytest.mark.parametrize("op", ["tensor.non_zero", "tensor.unique", "nn.non_max_suppression"])
def test_a_size_above_its_range_is_an_error(op):
    case = next(case for case in FOUND if case.op == op and case.attributes["size"] > 1)
    module, inputs = with_open_size([case], 1)
    with pytest.raises(InputError):
        run(module, inputs)


@pytest.mark.parametrize("difference", [-1, 1])
@pytest.mark.parametrize("op", ["tensor.non_zero", "tensor.unique", "nn.non_max_suppression"])
def test_another_size_than_promised_is_an_error(op, difference):
    case = next(case for case in FOUND if case.op == op and case.attributes["size"] > 1)
    size = case.attributes["size"] + difference
    wrong = OpCase(op, "wrong", case.operands, {**case.attributes, "size": size})
    with pytest.raises(InputError, match="not what the model declares"):
        run(wrong.module(), case.inputs())


@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_other_integers_than_required_are_an_error(shape):
    x = np.ones(shape, np.float32)
    case = OpCase("control.require", "shape", (x, np.array([2, 3])), {"expected": (2, 3)})
    module = case.module()
    np.testing.assert_array_equal(run(module, case.inputs())["y0"], x)
    with pytest.raises(InputError, match="not what the model declares"):
        run(module, {**case.inputs(), "x1": np.array([2, 4])})
