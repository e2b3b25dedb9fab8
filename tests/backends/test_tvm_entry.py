"""The function of a library that needs no virtual machine, beside that of the virtual machine."""

from __future__ import annotations

import ctypes
import gc
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_tvm import SUM, X

from burnish import CompiledModel, parse
from burnish import compile as compile_model
from burnish.backends import tvm as backend
from burnish.backends.tvm import package
from burnish.backends.tvm.calling import STACK_BYTES

pytestmark = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")


def cumulative(elements: int) -> str:
    """A model whose working memory is as large as its input."""
    return f"""
module "chain" {{
  func @main(%x: tensor<f32[{elements}]>) -> ("y": tensor<f32[{elements}]>) {{
    %s = tensor.cumulative_sum(%x) {{axis = 0}}
    %y = tensor.cumulative_sum(%s) {{axis = 0}}
    core.return(%y)
  }}
}}
"""


def library_of(compiled: CompiledModel, folder: Path) -> Any:
    """What TVM loads."""
    tvm: Any = package.tvm_package()
    return tvm.runtime.load_module(str(compiled.save(folder / "saved") / "model.so"))


def direct(library: Any, name: str = "sum") -> Callable[..., Any]:
    function: Callable[..., Any] = library.get_function(name, query_imports=True)
    return function


def in_machine(library: Any) -> Callable[..., Any]:
    tvm: Any = package.tvm_package()
    main: Callable[..., Any] = tvm.relax.VirtualMachine(library, tvm.cpu())["main"]
    return main


def tensor(array: Any) -> Any:
    tvm: Any = package.tvm_package()
    return tvm.runtime.tensor(array)


@pytest.fixture(scope="module")
def summing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return library_of(compile_model(parse(SUM), "tvm"), tmp_path_factory.mktemp("sum"))


@pytest.mark.parametrize("dtype", ["bool", "i4", "u2", "u16", "i64", "f16", "f64", "f8e4m3fn"])
def test_both_functions_take_and_give_the_same(dtype: str, tmp_path: Path) -> None:
    module = parse(f"""
module "turn" {{
  func @main(%x: tensor<{dtype}[2, 3]>, %s: tensor<{dtype}[]>, %e: tensor<{dtype}[0, 3]>)
      -> ("y": tensor<{dtype}[3, 2]>, "t": tensor<{dtype}[]>, "e": tensor<{dtype}[3, 0]>) {{
    %y = tensor.transpose(%x) {{permutation = [1, 0]}}
    %t = tensor.reshape(%s) {{shape = []}}
    %f = tensor.transpose(%e) {{permutation = [1, 0]}}
    core.return(%y, %t, %f)
  }}
}}
""")
    library = library_of(compile_model(module, "tvm"), tmp_path)
    kept = {"bool": np.bool_, "i4": np.int8, "u2": np.uint8, "f8e4m3fn": np.uint8, "u16": np.uint16}
    kind = kept.get(dtype) or module.main.args[0].type.dtype.numpy
    x = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    arguments = [tensor(array) for array in (x, x[0, 1], x[:0])]
    functions = (direct(library, "turn"), in_machine(library))
    found, expected = (list(function(*arguments)) for function in functions)
    for one, other in zip(found, expected):
        assert (one.dtype, one.shape, one.device) == (other.dtype, other.shape, other.device)
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_array_equal(found[0].numpy(), x.T)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ([X[:, :1]], ValueError, r"x must be a tensor of float32\[2, 3\], not float32\[2, 1\]"),
        ([X[:1]], ValueError, r"not float32\[1, 3\]"),
        ([X[0]], ValueError, r"not float32\[3\]"),
        ([X[None]], ValueError, r"not float32\[1, 2, 3\]"),
        ([np.zeros([1] * 32, np.float32)], ValueError, r"not float32\[1, 1"),
        ([np.float32(1)], TypeError, r"must be a tensor of float32\[2, 3\]$"),
        ([X.astype(np.float64)], ValueError, r"not float64\[2, 3\]"),
        ([X.astype(np.int32)], ValueError, r"not int32\[2, 3\]"),
        ([X > 0], ValueError, r"not bool\[2, 3\]"),
        ([], TypeError, "sum takes 1 tensors, and may be given 1 more for its results; .* 0"),
        ([X, X[0], X[0]], TypeError, "these are 3"),
        ([X, X], ValueError, r"y must be a tensor of float32\[3\], not float32\[2, 3\]"),
        ([X, None], TypeError, r"y must be a tensor"),
        ([3], TypeError, "must be a tensor"),
        ([None], TypeError, "must be a tensor"),
        (["x"], TypeError, "must be a tensor"),
        ([[X]], TypeError, "must be a tensor"),
    ],
)
def test_what_does_not_fit_is_refused(
    summing: Any, arguments: list[Any], kind: type[Exception], message: str
) -> None:
    given = [np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with pytest.raises(kind, match=message):
        direct(summing)(*given)
    np.testing.assert_array_equal(direct(summing)(X).numpy(), X.sum(0))


@pytest.mark.parametrize("array", [X.T.copy().T, np.repeat(X, 2, 1)[:, ::2], X[::-1]])
def test_tensors_with_gaps_are_refused_by_both(summing: Any, array: Any) -> None:
    with pytest.raises(ValueError, match="that is dense"):
        direct(summing)(array)
    with pytest.raises(RuntimeError, match="takes tensors that are dense"):
        in_machine(summing)(array)


def test_results_may_have_memory_that_is_ready(summing: Any) -> None:
    result = tensor(np.zeros(3, np.float32))
    for scale in (1, 2):
        assert direct(summing)(tensor(X * scale), result) is None
        np.testing.assert_array_equal(result.numpy(), X.sum(0) * scale)


def test_memory_for_results_must_be_nothing_elses(tmp_path: Path) -> None:
    text = SUM.replace('-> ("y": tensor<f32[3]>)', '-> ("y": tensor<f32[3]>, "z": tensor<f32[3]>)')
    text = text.replace("core.return(%y)", "%z = math.neg(%y)\n    core.return(%y, %z)")
    function = direct(library_of(compile_model(parse(text), "tvm"), tmp_path))
    x, room = X.copy(), np.zeros(7, np.float32)
    for y, z in ((room[:3], room[2:5]), (x[0], room[:3]), (room[:3], x[1]), (room[:3], room[:3])):
        with pytest.raises(ValueError, match=r"of float32\[3\] in memory of its own"):
            function(x, y, z)
    np.testing.assert_array_equal(x, X)
    assert not room.any()
    function(x, room[:3], room[3:6])
    np.testing.assert_array_equal(room, [*X.sum(0), *-X.sum(0), 0])


def test_tensors_elsewhere_are_refused(summing: Any) -> None:
    """A tensor that says it lies in memory of a GPU; this machine needs none."""
    given = tensor(X)
    object_header, pointer = 24, 8
    device = ctypes.c_int32.from_address(given.__chandle__() + object_header + pointer)
    device.value = 2
    try:
        with pytest.raises(ValueError, match="in memory of the processor"):
            direct(summing)(given)
    finally:
        device.value = 1
    np.testing.assert_array_equal(direct(summing)(given).numpy(), X.sum(0))


def test_results_are_new_and_outlive_the_library(tmp_path: Path) -> None:
    from tvm_ffi import load_module

    path = compile_model(parse(SUM), "tvm").save(tmp_path / "saved") / "model.so"
    library = load_module(str(path), keep_module_alive=False)
    main = direct(library)
    found = [main(np.full((2, 3), i, np.float32)) for i in range(3)]
    assert str(path) in Path("/proc/self/maps").read_text()
    del main, library
    gc.collect()
    assert str(path) not in Path("/proc/self/maps").read_text()
    for i, result in enumerate(found):
        np.testing.assert_array_equal(result.numpy(), np.full(3, 2 * i, np.float32))
        assert np.from_dlpack(result).ctypes.data % 64 == 0
    del found, result


@pytest.mark.parametrize("elements", [STACK_BYTES // 8, STACK_BYTES])
def test_calls_at_a_time_do_not_share_memory(elements: int, tmp_path: Path) -> None:
    """With working memory on the stack, and with such as one call hands to the next."""
    compiled = compile_model(parse(cumulative(elements)), "tvm", passes="")
    assert (compiled.artifact.manifest["arena_bytes"] > STACK_BYTES) == (elements == STACK_BYTES)
    main = direct(library_of(compiled, tmp_path), "chain")

    def correct(number: int) -> bool:
        x = np.full(elements, number, np.float64)
        found = main(x.astype(np.float32)).numpy()
        return bool(np.allclose(found, x.cumsum().cumsum(), rtol=1e-3))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(correct, range(40)))


def test_memory_of_results_is_given_back(tmp_path: Path) -> None:
    """Also where the model stops: 100 results of 4 MiB each."""
    library = library_of(
        compile_model(
            parse("""
module "take" {
  func @main(%x: tensor<f32[1024, 1024]>, %i: tensor<i64[1024]>)
      -> ("y": tensor<f32[1024, 1024]>, "z": tensor<f32[1024]>) {
    %y = tensor.gather(%x, %i) {axis = 0}
    %z = tensor.reduce(%y) {kind = "sum", axes = [0]}
    core.return(%y, %z)
  }
}
"""),
            "tvm",
        ),
        tmp_path,
    )
    main, x = direct(library, "take"), tensor(np.ones((1024, 1024), np.float32))
    inside, outside = (tensor(np.full(1024, i)) for i in (1023, 1024))
    main(x, inside)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(50):
        y, z = main(x, inside)
        with pytest.raises(RuntimeError, match="burnish: the model stopped: an index tensor"):
            main(x, outside)
    np.testing.assert_array_equal(z.numpy(), np.full(1024, 1024))
    assert y.shape == (1024, 1024)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_models_with_sizes_of_a_run_are_left_to_the_virtual_machine() -> None:
    text = SUM.replace("func", "symbols {n = 1..9}\n  func").replace("[2, 3]", "[n, 3]")
    compiled = compile_model(parse(text), "tvm")
    assert "function" not in compiled.artifact.manifest
    np.testing.assert_array_equal(compiled.run({"x": X})["y"], X.sum(0))


def test_the_manifest_names_the_function() -> None:
    compiled = compile_model(parse(SUM), "tvm", options={"name": "total"})
    assert compiled.artifact.manifest["function"] == "total"
    np.testing.assert_array_equal(compiled.run({"x": X})["y"], X.sum(0))
