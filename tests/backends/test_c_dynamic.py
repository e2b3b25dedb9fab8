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
from regions import region

import burnish
from burnish.backends.c import compile_module, runner
from burnish.ir import DType, Module, build_function, interpret, symbol, tensor
from burnish.ir.errors import InputError, UnsupportedError

BATCH = 40
SAMPLES = 5
COMPLEX = (DType.C64, DType.C128)
STEP = 12
"""Everyday runs take each so many-th batch; the slow ones take all."""


def compiles(case: DynamicCase) -> bool:
    try:
        compile_module(module_of([case])[0], "c")
    except UnsupportedError:
        return False
    return True


@cache
def dynamic_cases(low: int) -> list[DynamicCase]:
    """Of each case of the table the most dynamic variant with sizes from ``low`` on."""
    found = []
    for number, case in enumerate(cases()):
        types = [t for t in [*case.types, *case.result_types()] if t is not None]
        if any(t.dtype in COMPLEX for t in types):
            continue
        made = next((v for v in variants(case, number) if v.low == low and compiles(v)), None)
        if made is not None:
            found.append(made)
    return found


def expected(case: DynamicCase, sizes: Mapping[str, int]) -> list[Any] | None:
    """What the interpreter gives; None where the op means nothing for these sizes."""
    module, (inputs,), (outputs,) = module_of([case])
    try:
        results = interpret(module, dict(zip(inputs, case.inputs(sizes))))
    except InputError:
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


@pytest.mark.parametrize("low", [0, 1])
@pytest.mark.parametrize("part", range(2))
def test_some_ops_of_dynamic_sizes_agree_with_the_interpreter(part: int, low: int) -> None:
    found = dynamic_cases(low)[2 * part + low :: 4 * STEP]
    assert found
    assert not check(found, SAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("low", [0, 1])
@pytest.mark.parametrize("sanitize", [False, True])
def test_ops_of_dynamic_sizes_agree_with_the_interpreter(sanitize: bool, low: int) -> None:
    found = dynamic_cases(low)
    wrong = []
    for start in range(0, len(found), BATCH):
        wrong += check(found[start : start + BATCH], SAMPLES, sanitize=sanitize)
    assert not wrong


def test_every_op_compiles_for_all_sizes_that_inference_follows() -> None:
    done: set[str] = set()
    for number, case in enumerate(cases()):
        if case.op in done or any(t is not None and t.dtype in COMPLEX for t in case.types):
            continue
        for variant in variants(case, number):
            assert compiles(variant), variant.id
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


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("op", ["conv", "conv_transpose"])
def test_kernels_without_taps_are_refused_at_run_time(op: str, groups: int) -> None:
    module = Module("m", symbols={"n": (0, 5)})
    types = {"x": tensor("f32", 1, 4, 6), "w": tensor("f32", 4, 4 // groups, symbol("n"))}
    function, b = build_function(module, "main", types, ["y"])
    attributes = {"strides": [1], "dilations": [1], "pads": [2, 2], "groups": groups}
    if op == "conv_transpose":
        attributes["output_padding"] = [0]
    b.ret(b(f"nn.{op}", *function.args, **attributes))
    built = runner(compile_module(module))
    x = np.ones((1, 4, 6), np.float32)
    assert built.run({"x": x, "w": np.ones((4, 4 // groups, 3), np.float32)})["y"].shape[0] == 1
    with pytest.raises(InputError, match="outside its range"):
        built.run({"x": x, "w": np.ones((4, 4 // groups, 0), np.float32)})


def test_a_signal_shorter_than_a_frame_is_refused_at_run_time() -> None:
    module = Module("m", symbols={"n": (1, 9)})
    function, b = build_function(module, "main", {"x": tensor("f32", 1, symbol("n"))}, ["y"])
    b.ret(b("signal.frames", function.args[0], length=4, step=2))
    built = runner(compile_module(module), sanitize=True)
    x = np.arange(9, dtype=np.float32).reshape(1, 9)
    np.testing.assert_array_equal(built.run({"x": x})["y"], [[x[0, :4], x[0, 2:6], x[0, 4:8]]])
    with pytest.raises(InputError, match="outside its range"):
        built.run({"x": x[:, :3]})


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


def test_an_empty_slice_may_start_anywhere() -> None:
    module = Module("m", symbols={"n": (0, 9)})
    n = symbol("n")
    function, b = build_function(module, "main", {"x": tensor("f32", n)}, ["y"])
    b.ret(b("tensor.slice", function.args[0], starts=[1], sizes=[n // 2], steps=[1]))
    built = runner(compile_module(module), sanitize=True)
    for count in (0, 1, 4):
        x = np.arange(count, dtype=np.float32)
        np.testing.assert_array_equal(built.run({"x": x})["y"], x[1 : 1 + count // 2])


@pytest.mark.parametrize("size", [0, 1, 3])
def test_axes_that_are_read_between_elements_may_not_be_empty(size: int) -> None:
    module = Module("m", symbols={"n": (0, 3)})
    types = {"x": tensor("f32", 1, 1, symbol("n")), "p": tensor("f32", 1, 4, 1)}
    function, b = build_function(module, "main", types, ["y"])
    sampled = {"mode": "linear", "padding": "reflection", "align_corners": True}
    b.ret(b("nn.sample", *function.args, **sampled))
    arrays = {
        "x": np.arange(size, dtype=np.float32).reshape(1, 1, size),
        "p": np.array([-1.25, 0, 0.5, 7.5], np.float32).reshape(1, 4, 1),
    }
    built = runner(compile_module(module), sanitize=True)
    if size == 0:
        for run in (built.run, lambda inputs: interpret(module, inputs)):
            with pytest.raises(InputError):
                run(arrays)
        return
    np.testing.assert_array_equal(built.run(arrays)["y"], interpret(module, arrays)["y"])


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
    vector = [tensor("f32", n)]
    blocks = [
        region(vector, lambda b, x: [b("math.abs", x)]),
        region(vector, lambda b, x: [b("math.neg", x)]),
    ]
    x, c = function.args
    y = b.create("control.if", [c, x], regions=blocks).result
    b.ret(y, b("tensor.dimension", value=2 * n + 1))
    return module


def test_an_axis_may_be_a_multiple() -> None:
    module = Module("m", symbols={"h": (0, 4), "w": (1, 4)})
    h, w = symbol("h"), symbol("w")
    types = {"x": tensor("f32", 8 * h, h + 2 * w), "y": tensor("f32", h + 1)}
    function, b = build_function(module, "main", types, ["z"])
    b.ret(b("tensor.reshape", function.args[0], shape=(h, 8 * h + 16 * w)))
    for sanitize in (False, True):
        built = runner(compile_module(module), sanitize=sanitize)
        x = np.arange(16 * 8, dtype=np.float32)
        y = np.zeros(3, np.float32)
        (z,) = built.run({"x": x.reshape(16, 8), "y": y}).values()
        np.testing.assert_array_equal(z, x.reshape(2, 64))
        with pytest.raises(InputError, match=r"must be \[8\*h, h \+ 2\*w\]"):
            built.run({"x": x[:120].reshape(15, 8), "y": y})
        with pytest.raises(InputError, match=r'"w" is 5, declared as 1\.\.4'):
            built.run({"x": x[:96].reshape(8, 12)[:, :11], "y": y[:2]})


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_text_detection_of_any_height_and_width(size: tuple[int, int], shared: Any) -> None:
    """Pyramids are added up: sizes are multiples of 32."""
    path = shared / "models" / "ppocr_v4_det" / "model.onnx"
    dims = {"x": (1, 3, "32*h", "32*w"), "h": (1, 4), "w": (1, 4)}
    height, width = (32 * s for s in size)
    data = np.load(path.with_name("inputs.npz"))["x"][0]
    x = np.ascontiguousarray(data.reshape(1, 3, *data.shape[-2:])[:, :, :height, :width])
    dynamic = burnish.compile(path, dims=dims)
    static = burnish.compile(path, dims={"x": (1, 3, height, width)})
    for name, array in static.run({"x": x}).items():
        np.testing.assert_allclose(dynamic.run({"x": x})[name], array, rtol=1e-4, atol=1e-5)


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
