"""Fused groups: every case of an op that may anchor one, with an epilogue behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from op_cases import OpCase, assert_close, cases

from burnish.backends.c import compile_module, runner
from burnish.backends.c.plan import CallStep, Plan, verify_plan
from burnish.ir import (
    Block,
    Builder,
    DType,
    Module,
    Quantized,
    build_function,
    interpret,
    parse,
    tensor,
)
from burnish.passes import run_pipeline
from burnish.passes.fuse import ANCHORS, COMPUTED_OPERANDS

BATCH = 40
FLOATS = ("f16", "bf16", "f32", "f64")
CASES = [
    case for case in cases() if case.op in ANCHORS and str(case.result_types()[0].dtype) in FLOATS
]


def fused(batch: list[OpCase]) -> tuple[Module, dict[str, Any]]:
    """Per case: negate a residual (it dies in the group), then relu(anchor * 0.5 + residual)."""
    module = Module("fused")
    types, inputs = {}, {}
    rng = np.random.default_rng(0)
    for i, case in enumerate(batch):
        for j, (type_, array) in enumerate(zip(case.types, case.operands)):
            if type_ is not None:
                types[f"c{i}x{j}"], inputs[f"c{i}x{j}"] = type_, array
        result = case.result_types()[0]
        types[f"c{i}r"] = result
        inputs[f"c{i}r"] = rng.uniform(-1, 1, result.static_shape).astype(result.dtype.numpy)
    names = [f"c{i}{letter}" for i in range(len(batch)) for letter in "yz"]
    function, b = build_function(module, "main", types, names)
    args = dict(zip(types, function.args))
    values = []
    for i, case in enumerate(batch):
        operands = [args[f"c{i}x{j}"] for j, t in enumerate(case.types) if t is not None]
        residual = b("math.neg", args[f"c{i}r"])
        body = Block([v.type for v in (*operands, residual)])
        inner = Builder(body)
        given = iter(body.args)
        anchor = inner.create(
            case.op, [None if t is None else next(given) for t in case.types], case.attributes
        )
        half = inner.constant(np.asarray(0.5).astype(residual.type.dtype.numpy))
        total = inner("math.add", inner("math.mul", anchor.results[0], half), body.args[-1])
        inner.yield_(inner("math.relu", total), total)
        values += b.create("core.group", [*operands, residual], regions=[body]).results
    b.ret(*(b("math.abs", value) for value in values))
    return module, inputs


@pytest.mark.parametrize("number", range(-(-len(CASES) // BATCH)))
def test_groups_compute_what_their_ops_mean(number: int) -> None:
    batch = CASES[number * BATCH : (number + 1) * BATCH]
    module, inputs = fused(batch)
    artifact = compile_module(module, "c")
    plan = artifact.stages["plan"]
    assert isinstance(plan, Plan)
    verify_plan(plan)
    actual, expected = runner(artifact).run(inputs), interpret(module, inputs)
    for i, case in enumerate(batch):
        for letter in "yz":
            assert_close(actual[f"c{i}{letter}"], expected[f"c{i}{letter}"], case.id)


def test_a_residual_that_dies_is_overwritten() -> None:
    module = Module("residual")
    types = {"x": tensor("f32", 1, 4, 8, 8), "w": tensor("f32", 4, 4, 1, 1)}
    function, b = build_function(module, "main", types, ["y"])
    x, w = function.args
    skip, data = b("math.neg", x), b("math.exp", x)
    body = Block([data.type, w.type, skip.type])
    inner = Builder(body)
    attributes = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1}
    conv = inner.create("nn.conv", body.args[:2], attributes).result
    inner.yield_(inner("math.add", conv, body.args[2]))
    group = b.create("core.group", [data, w, skip], regions=[body])
    b.ret(b("math.abs", b("math.exp", group.result)))
    artifact = compile_module(module, "c")
    plan = artifact.stages["plan"]
    assert isinstance(plan, Plan)
    (step,) = [s for s in plan.steps if isinstance(s, CallStep) and s.choice.op is group]
    assert step.operands[2] is not None
    assert step.operands[2].root is step.results[0].root
    rng = np.random.default_rng(0)
    inputs = {n: rng.uniform(-1, 1, t.static_shape).astype(np.float32) for n, t in types.items()}
    np.testing.assert_allclose(
        runner(artifact).run(inputs)["y"], interpret(module, inputs)["y"], rtol=1e-4
    )


@pytest.mark.parametrize("shape", [(4, 1, 1), (5,), (1, 3, 1), (1, 4, 3, 5)])
def test_movement_anchors_meet_operands_that_broadcast(shape: tuple[int, ...]) -> None:
    """A concat and a slice that runs backwards, scaled; the concat is a result as well."""
    module = Module("movement")
    types = {"x": tensor("f32", 1, 1, 3, 5), "y": tensor("f32", 1, 3, 3, 5)}
    types["s"] = tensor("f32", *shape)
    function, b = build_function(module, "main", types, ["joined", "a", "b"])
    x, y, s = function.args
    joined = b("tensor.concat", x, y, axis=1)
    taken = b("tensor.slice", joined, starts=[0, 3, 0, 4], sizes=[1, 4, 3, 5], steps=[1, -1, 1, -1])
    b.ret(joined, b("math.relu", b("math.mul", joined, s)), b("math.add", taken, s))
    rng = np.random.default_rng(0)
    inputs = {n: rng.normal(size=t.static_shape).astype(np.float32) for n, t in types.items()}
    expected = interpret(module, inputs)
    run_pipeline(module, "fuse,dce", verify="each")
    assert [op.name for op in module.main.body].count("core.group") == 2
    actual = runner(compile_module(module, "c")).run(inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array)


STORAGES = ["i8", "u8", "i4", "u4", "i16", "u16", "i32", "f8e4m3fn", "f8e5m2"]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("expressed", ["f32", "f16", "f64"])
def test_quantization_is_part_of_groups(storage: str, expressed: str) -> None:
    """sum → quantize → dequantize → tanh → quantize, and what is quantized is a result too."""
    dtype, real = DType.parse(storage), DType.parse(expressed)
    zero_point = 0 if dtype.is_float or dtype is DType.I32 else 3
    encoding = Quantized((0.25,), (zero_point,), dtype=real)
    types = {"x": tensor(real, 3, 40), "y": tensor(real, 3, 40)}
    module = Module("quantized")
    function, b = build_function(module, "main", types, ["q", "r"])
    total = b("math.add", *function.args)
    stored = b("quant.quantize", total, encoding=encoding, dtype=dtype)
    back = b("math.neg", b("quant.dequantize", stored))
    b.ret(stored, b("quant.quantize", back, encoding=encoding, dtype=dtype))
    rng = np.random.default_rng(0)
    inputs = {n: rng.normal(size=(3, 40)).astype(real.numpy) * 9 for n in types}
    for column, special in enumerate([np.nan, np.inf, -np.inf, 6e4, -0.0, 0.125]):
        inputs["x"][:, column] = np.asarray(special).astype(real.numpy)
    expected = interpret(module, inputs)
    run_pipeline(module, "fuse,dce", verify="each")
    assert [op.name for op in module.main.body] == ["core.group", "core.return"]
    actual = runner(compile_module(module, "c")).run(inputs)
    for name, array in expected.items():
        found = actual[name].astype(np.float64)
        np.testing.assert_array_equal(found, array.astype(np.float64))


def test_parameters_along_an_axis_stay_outside_of_groups() -> None:
    encoding = Quantized((0.5, 0.25), (0, 0), axis=0)
    module = Module("along")
    function, b = build_function(module, "main", {"x": tensor("f32", 2, 5)}, ["y"])
    x = b("math.relu", function.args[0])
    b.ret(b("quant.quantize", x, encoding=encoding, dtype=DType.I8))
    run_pipeline(module, "fuse,dce", verify="each")
    assert [op.name for op in module.main.body] == ["math.relu", "quant.quantize", "core.return"]


BEFORE = [case for case in CASES if case.op in COMPUTED_OPERANDS]


def preceded(batch: list[OpCase]) -> tuple[Module, dict[str, Any]]:
    """Per case: the op, of operands that are scaled and shifted by a number per last axis."""
    module = Module("preceded")
    types, inputs = {}, {}
    for i, case in enumerate(batch):
        for j, (type_, array) in enumerate(zip(case.types, case.operands)):
            assert type_ is not None
            types[f"c{i}x{j}"], inputs[f"c{i}x{j}"] = type_, array
            row = type_.static_shape[-1:]
            types[f"c{i}s{j}"] = tensor(type_.dtype, *row)
            numbers = np.linspace(0.5, 2, math.prod(row)).reshape(row)
            inputs[f"c{i}s{j}"] = numbers.astype(type_.dtype.numpy)
    function, b = build_function(module, "main", types, [f"y{i}" for i in range(len(batch))])
    args = dict(zip(types, function.args))
    values = []
    for i, case in enumerate(batch):
        operands = []
        for j in range(len(case.types)):
            x, s = args[f"c{i}x{j}"], args[f"c{i}s{j}"]
            half = b.constant(np.asarray(0.5).astype(x.type.dtype.numpy))
            operands.append(b("math.sub", b("math.mul", x, s), half))
        values.append(b.create(case.op, operands, case.attributes).results[0])
    b.ret(*(b("math.abs", value) for value in values))
    return module, inputs


@pytest.mark.parametrize("number", range(-(-len(BEFORE) // BATCH)))
def test_operands_are_computed_where_they_are_read(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is legal, whether it pays or not."""
    monkeypatch.setattr("burnish.passes.fuse.saved_by_prologue", lambda *_: 1)
    batch = BEFORE[number * BATCH : (number + 1) * BATCH]
    module, inputs = preceded(batch)
    expected = interpret(module, inputs)
    run_pipeline(module, "fuse,dce", verify="each")
    groups = [op for op in module.main.body if op.name == "core.group"]
    assert len(groups) == len(batch)
    computed = sum(op.name in COMPUTED_OPERANDS for group in groups for op in group.regions[0])
    assert computed == len(batch)
    actual = runner(compile_module(module, "c")).run(inputs)
    for i, case in enumerate(batch):
        assert_close(actual[f"y{i}"], expected[f"y{i}"], case.id)


def test_what_is_read_before_the_anchor_is_not_overwritten() -> None:
    """The source of a computed operand dies in the group, and has the result's shape."""
    module = Module("dies")
    function, b = build_function(module, "main", {"x": tensor("f32", 4, 8)}, ["y"])
    x = b("math.exp", function.args[0])  # expensive, so it is not part of what comes next
    b.ret(b("math.abs", b("nn.softmax", b("math.neg", x), axis=0)))
    run_pipeline(module, "fuse,dce", verify="each")
    group = next(op for op in module.main.body if op.name == "core.group")
    artifact = compile_module(module, "c")
    plan = artifact.stages["plan"]
    assert isinstance(plan, Plan)
    verify_plan(plan)
    (step,) = [s for s in plan.steps if isinstance(s, CallStep) and s.choice.op is group]
    assert step.operands[0] is not None
    assert step.operands[0].root is not step.results[0].root
    inputs = {"x": np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)}
    expected = interpret(module, inputs)["y"]
    np.testing.assert_allclose(runner(artifact).run(inputs)["y"], expected, rtol=1e-5)


def test_computed_operands_of_sizes_known_at_run_time() -> None:
    text = """module "dynamic" {
      symbols {N = 1..6, M = 1..70}
      func @main(%x: tensor<f32[N, 3, M]>, %s: tensor<f32[3, 1]>)
          -> ("a": tensor<f32[N, 3]>, "b": tensor<f32[N, M]>, "c": tensor<f32[N, 6, M]>) {
        %0 = math.mul(%x, %s)
        %a = tensor.reduce(%0) {kind = "sum", axes = [2], keep_dims = false}
        %1 = math.abs(%x)
        %b = tensor.reduce(%1) {kind = "max", axes = [1], keep_dims = false}
        %2 = math.neg(%x)
        %3 = math.add(%x, %s)
        %c = tensor.concat(%2, %3) {axis = 1}
        core.return(%a, %b, %c)
      }
    }"""
    module = parse(text)
    run_pipeline(module, "fuse,dce", verify="each")
    assert [op.name for op in module.main.body] == ["core.group"] * 3 + ["core.return"]
    run = runner(compile_module(module, "c")).run
    rng = np.random.default_rng(0)
    for n, m in [(1, 1), (6, 70), (2, 33)]:
        inputs = {"x": rng.normal(size=(n, 3, m)), "s": rng.normal(size=(3, 1))}
        inputs = {name: array.astype(np.float32) for name, array in inputs.items()}
        actual = run(inputs)
        for name, expected in interpret(module, inputs).items():
            np.testing.assert_allclose(actual[name], expected, rtol=1e-5, atol=1e-5)


def test_results_of_a_group_are_computed_before_any_is_stored() -> None:
    """The first result lies where an operand does that the second one depends on."""
    module = Module("cell")
    types = {name: tensor("f32", 4, 8) for name in ("i", "f", "c")}
    function, b = build_function(module, "main", types, ["h", "n"])
    i, f, c = (b("math.sin", arg) for arg in function.args)
    carried = b("math.mul", b("math.sigmoid", f), c)
    new = b("math.add", carried, b("math.sigmoid", i))
    b.ret(b("math.neg", b("math.tanh", new)), b("math.abs", new))
    run_pipeline(module, "fuse,dce", verify="each")
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=(4, 8)).astype(np.float32) for name in types}
    actual = runner(compile_module(module, "c")).run(inputs)
    for name, expected in interpret(module, inputs).items():
        np.testing.assert_allclose(actual[name], expected, rtol=1e-5)
