"""The target tvm: Relax modules that call C, built and run by the installed apache-tvm."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish import compile as compile_model
from burnish import interpret, load, parse
from burnish.backends import tvm as backend
from burnish.backends.c import select
from burnish.backends.c.kernels.unit import Unit
from burnish.backends.tvm import lowering, package, registry
from burnish.backends.tvm.calling import STACK_BYTES
from burnish.ir.errors import Error, InputError, ToolchainError, UnsupportedError

needs_tvm = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")

SUM = """
module "sum" {
  func @main(%x: tensor<f32[2, 3]>) -> ("y": tensor<f32[3]>) {
    %y = tensor.reduce(%x) {kind = "sum", axes = [0]}
    core.return(%y)
  }
}
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_missing_tvm_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "has_tvm", lambda: False)
    with pytest.raises(ToolchainError) as caught:
        compile_model(parse(SUM), "tvm")
    assert caught.value.message == "target tvm needs apache-tvm"
    assert caught.value.help == 'pip install "burnish[tvm]"'


def test_what_is_installed_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not package.has_tvm()


def test_a_tvm_that_does_not_load_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libtvm.so: cannot open")

    monkeypatch.setattr(package, "has_tvm", lambda: True)
    monkeypatch.setattr(package.importlib, "import_module", broken)
    with pytest.raises(ToolchainError, match=r"does not load: libtvm\.so"):
        package.tvm_package()


@needs_tvm
def test_a_model_runs_also_when_it_was_saved(tmp_path: Path) -> None:
    compiled = compile_model(parse(SUM), "tvm")
    np.testing.assert_array_equal(compiled.run({"x": X})["y"], X.sum(0))
    again = load(compiled.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.run({"x": X})["y"], X.sum(0))
    runner = backend.runner_from_files(tmp_path / "saved", again.artifact.manifest)
    np.testing.assert_array_equal(runner.run({"x": X})["y"], X.sum(0))
    with pytest.raises(Error, match=r"lacks model\.so"):
        backend.runner_from_files(tmp_path, again.artifact.manifest)


@needs_tvm
def test_a_static_model_is_one_call() -> None:
    text = compile_model(parse(SUM), "tvm").source["model.relax.py"]
    assert text.count("call_dps_packed") == 1
    assert '"sum_run", (x,), out_ty=R.Tensor((3,), dtype="float32")' in text


@needs_tvm
def test_the_library_needs_tvm_alone(tmp_path: Path) -> None:
    compile_model(parse(SUM), "tvm").save(tmp_path / "saved")
    tvm: Any = package.tvm_package()
    library = tvm.runtime.load_module(str(tmp_path / "saved" / "model.so"))
    machine = tvm.relax.VirtualMachine(library, tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(X))
    np.testing.assert_array_equal(result.numpy(), X.sum(0))


@needs_tvm
@pytest.mark.parametrize("elements", [STACK_BYTES // 8, STACK_BYTES])
def test_working_memory_lies_on_the_stack_or_comes_from_tvm(elements: int) -> None:
    """The first sum cannot be computed in the memory of the second."""
    text = f"""
module "chain" {{
  func @main(%x: tensor<f32[{elements}]>) -> ("y": tensor<f32[{elements}]>) {{
    %s = tensor.cumulative_sum(%x) {{axis = 0}}
    %y = tensor.cumulative_sum(%s) {{axis = 0}}
    core.return(%y)
  }}
}}
"""
    compiled = compile_model(parse(text), "tvm", passes="")
    x = np.ones(elements, np.float32)
    expected = compile_model(parse(text), "c", passes="").run({"x": x})
    for _ in range(2):
        np.testing.assert_array_equal(compiled.run({"x": x})["y"], expected["y"])
    arena = compiled.artifact.manifest["arena_bytes"]
    assert ('dtype="uint8"' in compiled.source["model.relax.py"]) == (arena > STACK_BYTES)
    assert (arena > STACK_BYTES) == (elements == STACK_BYTES)


@needs_tvm
@pytest.mark.parametrize("dtype", ["bool", "i4", "u2", "u16", "i64", "f16", "bf16", "f8e4m3fn"])
def test_elements_of_every_size_go_in_and_out(dtype: str) -> None:
    module = parse(f"""
module "turn" {{
  func @main(%x: tensor<{dtype}[2, 3]>, %s: tensor<{dtype}[]>)
      -> ("y": tensor<{dtype}[3, 2]>, "t": tensor<{dtype}[1]>) {{
    %y = tensor.transpose(%x) {{permutation = [1, 0]}}
    %t = tensor.reshape(%s) {{shape = [1]}}
    core.return(%y, %t)
  }}
}}
""")
    kind = module.main.args[0].type.dtype.numpy
    x = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    found = compile_model(module, "tvm").run({"x": x, "s": x[0, 1]})
    np.testing.assert_array_equal(found["y"].astype(np.float32), x.T.astype(np.float32))
    np.testing.assert_array_equal(found["t"].astype(np.float32), [1])
    assert found["y"].dtype == found["t"].dtype == kind


@needs_tvm
def test_an_index_out_of_range_is_an_error() -> None:
    compiled = compile_model(
        parse("""
module "take" {
  func @main(%x: tensor<f32[2, 3]>, %i: tensor<i64[1]>) -> ("y": tensor<f32[1, 3]>) {
    %y = tensor.gather(%x, %i) {axis = 0}
    core.return(%y)
  }
}
"""),
        "tvm",
    )
    np.testing.assert_array_equal(compiled.run({"x": X, "i": np.array([1])})["y"], X[1:])
    with pytest.raises(InputError, match="an index tensor points out of range"):
        compiled.run({"x": X, "i": np.array([2])})


@needs_tvm
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, '"x" is missing'),
        ({"x": X, "z": X}, 'there is no "z"'),
        ({"x": X[:1]}, r"has shape \[1, 3\]"),
        ({"x": X.astype(np.float64)}, "is float64"),
    ],
)
def test_inputs_are_checked(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile_model(parse(SUM), "tvm").run(inputs)


DYNAMIC = """
module "dynamic" {
  symbols {h = 1..4, n = 1..9, `words per line` = 1..3}
  func @main(%x: tensor<f32[2*h + 1, n]>, %w: tensor<f32[n, `words per line`]>)
      -> ("y": tensor<f32[2*h + 1, `words per line`]>, "z": tensor<f32[h]>) {
    %y = nn.matmul(%x, %w)
    %s = tensor.slice(%x) {starts = [1, 0], sizes = [h, 1], steps = [2, 1]}
    %z = tensor.reshape(%s) {shape = [h]}
    core.return(%y, %z)
  }
}
"""


@needs_tvm
def test_dynamic_dimensions_stay_symbolic() -> None:
    compiled = compile_model(parse(DYNAMIC), "tvm")
    text = compiled.source["model.relax.py"]
    assert "words_per_line" in text
    assert "h" in compiled.artifact.manifest["sizes"][0]["name"]
    for h, n, words in ((1, 1, 1), (4, 9, 3), (2, 5, 2)):
        x = np.arange((2 * h + 1) * n, dtype=np.float32).reshape(-1, n)
        w = np.ones((n, words), np.float32)
        found = compiled.run({"x": x, "w": w})
        np.testing.assert_array_equal(found["y"], x @ w)
        np.testing.assert_array_equal(found["z"], x[1 : 2 * h + 1 : 2, 0])


@needs_tvm
def test_sizes_that_do_not_fit_are_refused_by_the_library_itself() -> None:
    tvm: Any = package.tvm_package()
    compiled = compile_model(parse(DYNAMIC), "tvm")
    for rows, columns, also in ((4, 5, 5), (11, 5, 5), (3, 5, 4)):
        inputs = {"x": np.ones((rows, columns), np.float32), "w": np.ones((also, 2), np.float32)}
        with pytest.raises(InputError):
            compiled.run(inputs)
        main = backend.runner(compiled.artifact).main
        with pytest.raises((RuntimeError, ValueError)):
            main(*map(tvm.runtime.tensor, inputs.values()))


@needs_tvm
def test_sizes_that_only_the_run_tells_are_those_of_the_results() -> None:
    compiled = compile_model(
        parse("""
module "found" {
  symbols {k = 0..27, n = 1..9}
  func @main(%x: tensor<f32[n, 3]>) -> ("y": tensor<i64[2, k]>, "x2": tensor<f32[n, 3]>) {
    %y = tensor.non_zero(%x) {size = k}
    %z = math.neg(%x)
    core.return(%y, %z)
  }
}
"""),
        "tvm",
    )
    for x in (np.eye(3, dtype=np.float32), np.zeros((1, 3), np.float32)):
        found = compiled.run({"x": x})
        np.testing.assert_array_equal(found["y"], np.array(np.nonzero(x)))
        np.testing.assert_array_equal(found["x2"], -x)


@needs_tvm
def test_threads_give_equal_results() -> None:
    text = """
module "wide" {
  func @main(%x: tensor<f32[256, 256]>, %w: tensor<f32[256, 256]>)
      -> ("y": tensor<f32[256, 256]>) {
    %y = nn.matmul(%x, %w)
    core.return(%y)
  }
}
"""
    x, w = np.random.default_rng(0).standard_normal((2, 256, 256)).astype(np.float32)
    one, two = (
        compile_model(parse(text), "tvm", options={"threads": n}).run({"x": x, "w": w})
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one["y"], two["y"])


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C backend that has no kernels for softmax and erf."""
    families = select.families_for

    def fewer(unit: Unit) -> Any:
        return () if unit.main.name in ("nn.softmax", "math.erf") else families(unit)

    monkeypatch.setattr(select, "families_for", fewer)


MIXED = """
module "mixed" {
  symbols {n = 1..9}
  func @main(%x: tensor<f32[n, 3]>) -> ("y": tensor<f32[n, 3]>, "z": tensor<f32[n, 3]>) {
    %w = core.constant() {value = dense<f32[3], [1.0, 2.0, 3.0]>}
    %a = math.add(%x, %w)
    %s = nn.softmax(%a) {axis = 1}
    %m = math.mul(%s, %w)
    %b = math.add(%m, %a)
    %e = math.erf(%b)
    %t = math.add(%e, %w)
    core.return(%t, %a)
  }
}
"""


@needs_tvm
@pytest.mark.usefixtures("without_kernels")
def test_ops_without_kernels_are_lowered_and_the_rest_stays_in_c() -> None:
    """C, softmax, C, erf, C: what stands in between needs both."""
    module = parse(MIXED)
    compiled = compile_model(module, "tvm", passes="")
    text = compiled.source["model.relax.py"]
    assert re.findall(r'"(mixed_\d_run)"', text) == ["mixed_0_run", "mixed_2_run", "mixed_4_run"]
    for n in (1, 5):
        x = np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32)
        found, expected = compiled.run({"x": x}), interpret(module, {"x": x})
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


@needs_tvm
@pytest.mark.usefixtures("without_kernels")
def test_what_has_neither_kernel_nor_lowering_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from burnish.backends.tvm import lowerings  # noqa: F401 - registers them

    monkeypatch.setattr(registry, "LOWERINGS", {})
    monkeypatch.setattr(lowering, "LOWERINGS", {})
    with pytest.raises(UnsupportedError, match=r"nn\.softmax: .* math\.erf: ") as caught:
        compile_model(parse(MIXED), "tvm", passes="")
    assert "math.add" not in str(caught.value)
