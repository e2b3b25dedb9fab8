"""Dimensions known at run time only: compiled once, run at many sizes, compared with the oracle.

The cases of the op table are made dynamic (see dynamic_cases.py) and compiled many to a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from dynamic_cases import DynamicCase, module_of, variants
from op_cases import assert_close, cases

import burnish
from burnish.backends.c import compile_module, runner
from burnish.ir import Block, Builder, DType, Module, build_function, interpret, symbol, tensor
from burnish.ir.errors import Error, InputError, InternalError, UnsupportedError

BATCH = 40
SAMPLES = 5
COMPLEX = (DType.C64, DType.C128)
REFUSED = {
    "ml.tree_ensemble",
    "nn.determinant",
    "nn.non_max_suppression",
    "nn.region_align",
    "nn.region_max_pool",
    "nn.sample",
    "signal.dft",
    "signal.frames",
    "tensor.non_zero",
    "tensor.unique",
}
"""Ops that some dynamic sizes are refused for."""
STEP = 12
"""Everyday runs take each so many-th batch; the slow ones take all."""


def compiles(case: DynamicCase) -> bool:
    try:
        compile_module(module_of([case])[0], "c")
    except UnsupportedError:
        return False
    return True


@cache
def dynamic_cases() -> list[DynamicCase]:
    """Of each case of the table the most dynamic variant that compiles."""
    found = []
    for number, case in enumerate(cases()):
        types = [t for t in [*case.types, *case.result_types()] if t is not None]
        if any(t.dtype in COMPLEX for t in types):
            continue
        made = next((v for v in variants(case, number) if v.low and compiles(v)), None)
        if made is not None:
            found.append(made)
    return found


def expected(case: DynamicCase, sizes: Mapping[str, int]) -> list[Any] | None:
    """What the interpreter gives; None where the op means nothing for these sizes."""
    module, (inputs,), (outputs,) = module_of([case])
    try:
        if any(t is not None and t.substitute(dict(sizes)).problem() for t in case.all_types()):
            return None
        results = interpret(module, dict(zip(inputs, case.inputs(sizes))))
    except (Error, InternalError, ValueError, IndexError):
        return None
    return [results[name] for name in outputs]


def check(batch: list[DynamicCase], samples: int, *, sanitize: bool = False) -> list[str]:
    """Run a batch at several sizes; what went wrong."""
    module, inputs, outputs = module_of(batch)
    built = runner(compile_module(module, "c"), sanitize=sanitize)
    wrong = []
    listed = [case.samples(samples) for case in batch]
    for chosen in zip(*listed):
        arrays: dict[str, Any] = {}
        wanted = []
        for case, own, sampled, names in zip(batch, listed, chosen, inputs):
            sizes = sampled
            want = expected(case, sizes)
            if want is None:
                sizes = own[0]
                want = expected(case, sizes)
            wanted.append((sizes, want))
            arrays.update(zip(names, case.inputs(sizes)))
        results = built.run(arrays)
        for case, (sizes, want), names in zip(batch, wanted, outputs):
            assert want is not None, case.id
            try:
                for name, array in zip(names, want):
                    assert_close(results[name], array, case.id)
            except AssertionError as error:
                wrong.append(f"{case.id} at {sizes}: {error}")
    return wrong


@pytest.mark.parametrize("part", range(4))
def test_some_ops_of_dynamic_sizes_agree_with_the_interpreter(part: int) -> None:
    found = dynamic_cases()[part :: 4 * STEP]
    assert found
    assert not check(found, SAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("sanitize", [False, True])
def test_ops_of_dynamic_sizes_agree_with_the_interpreter(sanitize: bool) -> None:
    found = dynamic_cases()
    wrong = []
    for start in range(0, len(found), BATCH):
        wrong += check(found[start : start + BATCH], SAMPLES, sanitize=sanitize)
    assert not wrong


def test_what_is_refused_is_named() -> None:
    """Sizes of filters must be known; everything else is listed."""
    done: set[str] = set()
    for number, case in enumerate(cases()):
        if case.op in done or any(t is not None and t.dtype in COMPLEX for t in case.types):
            continue
        for variant in variants(case, number):
            if variant.low and not compiles(variant):
                assert case.op in {*REFUSED, "nn.conv", "nn.conv_transpose"}, variant.id
                break
        done.add(case.op)


def line(low: int = 1, high: int = 40, name: str = "seq len") -> Module:
    """relu(x + y) on x [n, 3], y [3]."""
    module = Module("m", symbols={name: (low, high)})
    types = {"x": tensor("f32", symbol(name), 3), "y": tensor("f32", 3)}
    function, b = build_function(module, "main", types, ["z"])
    b.ret(b("math.relu", b("math.add", *function.args)))
    return module


def arrays(count: int) -> dict[str, Any]:
    return {"x": np.ones((count, 3), np.float32), "y": np.ones(3, np.float32)}


@pytest.mark.parametrize("sanitize", [False, True])
def test_runners_derive_sizes_from_shapes(sanitize: bool) -> None:
    built = runner(compile_module(line(0)), sanitize=sanitize)
    for count in (0, 1, 40):
        (z,) = built.run(arrays(count)).values()
        np.testing.assert_array_equal(z, np.full((count, 3), 2, np.float32))
    with pytest.raises(InputError, match=r'"seq len" is 41, declared as 0\.\.40'):
        built.run(arrays(41))


def test_sizes_without_a_range_are_refused_by_name() -> None:
    module = line()
    module.symbols.clear()
    with pytest.raises(UnsupportedError, match=r'"seq len"(.|\n)*--dim NAME=LOW..HIGH'):
        compile_module(module)


def test_upper_bounds_no_tensor_has_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="smaller upper bounds"):
        compile_module(line(1, 1 << 39))


@pytest.mark.parametrize("name", ["N", "input_0", "memcpy", "*/ 1", "int", "dim_1", "sizes", "1"])
def test_symbols_may_be_called_anything(name: str) -> None:
    (z,) = runner(compile_module(line(name=name))).run(arrays(3)).values()
    assert z.shape == (3, 3)


def test_a_reshape_that_needs_an_even_size_is_checked() -> None:
    module = Module("m", symbols={"n": (0, 9)})
    n = symbol("n")
    function, b = build_function(module, "main", {"x": tensor("f32", n)}, ["y"])
    b.ret(b("tensor.reshape", function.args[0], shape=(n // 2, 2)))
    built = runner(compile_module(module))
    x = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(built.run({"x": x})["y"], x.reshape(3, 2))
    with pytest.raises(InputError, match="outside its range"):
        built.run({"x": x[:5]})


def test_a_slice_beyond_its_axis_is_refused_at_run_time() -> None:
    module = Module("m", symbols={"n": (1, 9)})
    function, b = build_function(module, "main", {"x": tensor("f32", symbol("n"))}, ["y"])
    b.ret(b("tensor.slice", function.args[0], starts=[0], sizes=[5], steps=[1]))
    built = runner(compile_module(module), sanitize=True)
    x = np.arange(9, dtype=np.float32)
    np.testing.assert_array_equal(built.run({"x": x})["y"], x[:5])
    with pytest.raises(InputError, match="outside its range"):
        built.run({"x": x[:4]})


@pytest.mark.parametrize("op", ["gather_elements(%x, %i)", "scatter_elements(%x, %i, %u)"])
def test_indices_larger_than_what_they_index_are_refused_at_run_time(op: str) -> None:
    module = burnish.parse(f"""module "m" {{
      symbols {{N = 1..4}}
      func @main(%x: tensor<f32[5, N]>) -> ("y": tensor<f32[{"5, N" if "u" in op else "2, 3"}]>) {{
        %i = core.constant() {{value = splat<i64[2, 3], 4>}}
        %u = core.constant() {{value = splat<f32[2, 3], 1.0>}}
        %0 = tensor.{op}
        core.return(%0)
      }}
    }}""")
    run = runner(compile_module(module)).run
    assert run({"x": np.ones((5, 3), np.float32)})["y"].shape
    with pytest.raises(InputError, match="a dimension lies outside its range"):
        run({"x": np.ones((5, 2), np.float32)})


def test_values_of_dimensions_and_regions() -> None:
    module = _branching()
    built = runner(compile_module(module), sanitize=True)
    x = np.arange(5, dtype=np.float32)
    for c in (True, False):
        results = built.run({"x": x, "c": np.array(c)})
        np.testing.assert_array_equal(results["y"], np.abs(x) if c else -x)
        assert results["d"] == 11


def _branching() -> Module:
    module = Module("m", symbols={"n": (0, 9)})
    n = symbol("n")
    types = {"x": tensor("f32", n), "c": tensor("bool")}
    function, b = build_function(module, "main", types, ["y", "d"])
    blocks = []
    for name in ("abs", "neg"):
        block = Block([tensor("f32", n)], ["x"])
        inner = Builder(block)
        inner.yield_(inner(f"math.{name}", block.args[0]))
        blocks.append(block)
    x, c = function.args
    y = b.create("control.if", [c, x], regions=blocks).result
    b.ret(y, b("tensor.dimension", value=2 * n + 1))
    return module


@pytest.mark.parametrize("model", ["silero_vad_sequence"])
def test_models_agree_with_their_static_compilation(model: str, shared: Any) -> None:
    path = shared / "models" / model / "model.onnx"
    data = np.load(shared / "models" / model / "inputs.npz")
    dynamic = burnish.compile(path, dims={"sequence_length": (1, 64)}, verify="each")
    for count in (1, 31, 64):
        inputs = {port.name: data[port.name][0] for port in dynamic.report.inputs}
        inputs["input"] = np.resize(inputs["input"], (count, 576))
        static = burnish.compile(path, dims={"sequence_length": count})
        for name, array in static.run(inputs).items():
            assert_close(dynamic.run(inputs)[name], array, name)
