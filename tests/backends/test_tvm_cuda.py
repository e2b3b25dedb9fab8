"""The target tvm:cuda: it builds without a GPU, and what 16-bit products cost in accuracy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from burnish import compile as compile_model
from burnish import interpret, load, parse
from burnish.backends import tvm as backend
from burnish.backends.tvm import cuda, kernels
from burnish.backends.tvm.kernels import digest
from burnish.backends.tvm.write import write_module
from burnish.ir import Module
from burnish.ir.errors import TargetError, ToolchainError, UnsupportedError

pytestmark = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")
needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")

NETWORK = """
module "net" {
  func @main(%x: tensor<f32[2, 8, 12, 12]>, %k: tensor<f32[16, 8, 3, 3]>, %b: tensor<f32[16]>,
             %w: tensor<f32[16, 10]>) -> ("y": tensor<f32[2, 10]>) {
    %c = nn.conv(%x, %k, %b) {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1]}
    %r = math.relu(%c)
    %p = nn.max_pool(%r) {kernel = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1],
                          dilations = [1, 1], overhang = [0, 0]}
    %m = tensor.reduce(%p) {kind = "mean", axes = [2, 3]}
    %z = nn.matmul(%m, %w)
    %y = nn.softmax(%z) {axis = 1}
    core.return(%y)
  }
}
"""


def network() -> tuple[Module, dict[str, np.ndarray]]:
    module = parse(NETWORK)
    random = np.random.default_rng(5)
    main = module.main
    shapes = {name: arg.type.static_shape for name, arg in zip(main.arg_names, main.args)}
    inputs = {n: random.normal(0, 0.3, shape).astype(np.float32) for n, shape in shapes.items()}
    return module, inputs


@needs_nvcc
def test_a_model_builds_and_is_saved_without_a_gpu(tmp_path: Path) -> None:
    module, inputs = network()
    compiled = compile_model(module, "tvm:cuda", options={"dtype": "fp16"})
    assert "blockIdx" not in compiled.source["model.relax.py"]  # before it is scheduled
    library, code = (compiled.artifact.files[f"model.{kind}"] for kind in ("so", "fatbin"))
    assert isinstance(library, bytes)
    assert isinstance(code, bytes)
    texts = re.findall(rb"\x00([\t\n -~]{1000,})\x00", library)  # what TVM asks the code for
    assert compiled.artifact.manifest["kernels"] in [digest(text.decode()) for text in texts]
    again = load(compiled.save(tmp_path / "saved"))
    assert again.artifact.manifest["target"] == "tvm:cuda"
    from burnish.backends.tvm.package import tvm_package

    if tvm_package().cuda().exist:
        found = again.run(inputs)["y"]
        np.testing.assert_allclose(found, interpret(module, inputs)["y"], atol=2e-3)
    else:
        with pytest.raises(ToolchainError, match="this machine has none"):
            again.run(inputs)


def test_tvm_is_answered_with_code_that_was_compiled_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from burnish.backends.tvm.package import tvm_package

    asked = tvm_package().get_global_func
    before = asked(kernels.CALLBACK)
    monkeypatch.setattr(kernels, "_KNOWN", {})
    try:
        tvm_package().register_global_func(kernels.CALLBACK, lambda text: b"else", override=True)
        kernels.provide(digest("text"), b"code")
        assert bytes(asked(kernels.CALLBACK)("text")) == b"code"
        assert bytes(asked(kernels.CALLBACK)("another text")) == b"else"
    finally:
        tvm_package().register_global_func(kernels.CALLBACK, before, override=True)


def test_a_missing_compiler_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.shutil, "which", lambda name: None)
    with pytest.raises(ToolchainError, match="needs the CUDA compiler nvcc"):
        compile_model(network()[0], "tvm:cuda")


def test_the_device_is_an_option_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(cuda.shutil, "which", lambda name: None)
        with pytest.raises(ToolchainError, match="target tvm:cuda needs"):
            compile_model(network()[0], "tvm", options={"device": "cuda"})
    with pytest.raises(TargetError, match="device is cpu, but target tvm:cuda is for cuda"):
        compile_model(network()[0], "tvm:cuda", options={"device": "cpu"})
    compiled = compile_model(network()[0], "tvm", options={"device": "cpu"})
    assert compiled.artifact.manifest["target"] == "tvm"


@pytest.mark.parametrize("arch", ["h100", "sm_", "90", "sm_90; true"])
def test_generations_of_gpus_are_checked(arch: str) -> None:
    with pytest.raises(TargetError, match="must be like sm_90"):
        compile_model(network()[0], "tvm:cuda", options={"arch": arch})


def test_options_for_gpus_are_refused_elsewhere() -> None:
    with pytest.raises(TargetError, match="option dtype is for target tvm:cuda"):
        compile_model(network()[0], "tvm", options={"dtype": "fp16"})


@pytest.mark.parametrize(("dtype", "bound"), [("fp16", 1e-3), ("bf16", 8e-3)])
def test_products_of_16_bits_are_summed_in_32(dtype: str, bound: float) -> None:
    """Rounding two factors costs 2^-10 or 2^-7 of a product at most, and less of a sum."""
    from tvm_batches import Lowered

    module, inputs = network()
    expected = interpret(module, inputs)["y"]
    found = Lowered(module, dtype=dtype).run(inputs)["y"]
    assert found.dtype == np.float32
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert 0 < error < bound


@needs_nvcc
@pytest.mark.slow
def test_kernels_of_all_ops_are_taken_by_the_compiler() -> None:
    from op_cases import OpCase, cases
    from trials import merged

    first: dict[str, OpCase] = {}
    for case in cases():
        if all(0 not in type_.shape for type_ in (*case.types, *case.result_types()) if type_):
            first.setdefault(case.op, case)
    modules = [case.module() for case in first.values() if is_lowered(case.module())]
    assert len(modules) > 100
    written = write_module(merged(modules), None, "cuda", "fp16")
    assert cuda.export_cuda(written.module, "sm_90").kernels


def is_lowered(module: Module) -> bool:
    try:
        write_module(module, None, "cuda", "fp16")
    except UnsupportedError:
        return False
    return True
