"""Products on tensor cores: kernels for GPUs, run by a processor (``emulated_gpu``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from burnish import parse
from burnish.backends import tvm as backend
from burnish.backends.tvm import tensor_cores
from burnish.backends.tvm.package import tvm_package
from burnish.backends.tvm.write import write_module
from burnish.ir import Module, build_function, tensor

pytestmark = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")

Product = tuple[Sequence[int], Sequence[int], dict[str, bool]]

PRODUCTS: Sequence[Product] = (
    ((17, 33), (33, 65), {}),
    ((2, 9, 40), (40, 24), {}),  # the batch is more rows
    ((2, 1, 20, 24), (1, 3, 24, 9), {}),
    ((40, 21), (26, 40), {"transpose_a": True, "transpose_b": True}),
)
MORE_PRODUCTS: Sequence[Product] = (
    ((1, 1), (1, 1), {}),
    ((3, 5), (5, 7), {}),
    ((1, 256), (256, 64), {}),
    ((16, 16), (16, 16), {}),
    ((8, 16), (16, 8), {}),
    ((64, 96), (96, 40), {}),
    ((130, 50), (50, 72), {}),
    ((2, 17, 33), (33, 65), {}),
    ((2, 3, 20, 24), (3, 24, 9), {}),
    ((20, 40), (24, 40), {"transpose_b": True}),
    ((2, 40, 21), (2, 26, 40), {"transpose_a": True, "transpose_b": True}),
    ((300, 40), (40, 1000), {}),
)


def products(cases: Sequence[Product]) -> Module:
    """A module of products with something behind each."""
    types, names = {}, []
    for index, (a, b, _) in enumerate(cases):
        types |= {f"a{index}": tensor("f32", *a), f"b{index}": tensor("f32", *b)}
        names.append(f"y{index}")
    module = Module("products")
    function, builder = build_function(module, "main", types, names)
    results = []
    for index, (_, _, attributes) in enumerate(cases):
        y = builder("nn.matmul", *function.args[2 * index : 2 * index + 2], **attributes)
        results.append(builder("math.relu", y))
    builder.ret(*results)
    return module


CONVOLUTIONS = """
module "convolutions" {
  func @main(%x: tensor<f32[2, 6, 9, 7]>, %k: tensor<f32[20, 6, 3, 3]>, %b: tensor<f32[20]>,
             %p: tensor<f32[24, 20, 1, 1]>) -> ("y": tensor<f32[2, 24, 5, 8]>) {
    %c = nn.conv(%x, %k, %b) {strides = [2, 1], pads = [1, 1, 1, 2], dilations = [1, 1]}
    %r = math.relu(%c)
    %d = nn.conv(%r, %p) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
    %y = math.add(%d, %d)
    core.return(%y)
  }
}
"""


class Compared:
    """The kernels of a module, and what a processor makes of the functions they are of.

    Attributes:
        gpu: the kernels.
        names: of the functions that run on tensor cores.
    """

    def __init__(self, module: Module, dtype: str = "fp16") -> None:
        from emulated_gpu import EmulatedGpu

        from burnish.backends.tvm import cuda

        tvm: Any = tvm_package()
        with cuda.gpu_target("sm_90"):
            fused = tvm.relax.get_pipeline("zero")(write_module(module, None, "cuda", dtype).module)
        self.functions = {
            name.name_hint: function.with_attr("global_symbol", name.name_hint)
            for name, function in fused.functions_items()
            if isinstance(function, tvm.tirx.PrimFunc)
        }
        self.names = [n for n, f in self.functions.items() if tensor_cores.PRODUCT in str(f)]
        self.gpu = EmulatedGpu({n: cuda.scheduled_function(f) for n, f in self.functions.items()})
        host = tvm.target.Target({"kind": "llvm", "opt-level": 0})
        self._host = tvm.compile(tvm.IRModule(self.functions), target=host)
        self._tensor = tvm.runtime.tensor

    def errors(self, name: str) -> list[float]:
        """By how much the results of a function differ, for both orders of threads."""
        (kernel,) = self.gpu.kernels[name]
        parameters = self.functions[name].params
        random = np.random.default_rng(3)
        arrays = {
            p.name: random.normal(0, 1, [int(n) for n in p.ty.shape]).astype(str(p.ty.dtype))
            for p in parameters
        }
        tensors = [self._tensor(array.copy()) for array in arrays.values()]
        self._host[name](*tensors)
        expected, result = tensors[-1].numpy().astype(np.float64), arrays[parameters[-1].name]
        errors = []
        for backwards in (False, True):
            result.fill(np.nan)
            self.gpu.run(kernel, arrays, backwards=backwards)
            scale = np.abs(expected).max() or 1.0  # a rectified number may be 0
            errors.append(float(np.abs(result - expected).max() / scale))
        return errors


def test_products_of_any_size_are_those_of_a_processor() -> None:
    compared = Compared(products(PRODUCTS))
    assert len(compared.names) == len(PRODUCTS)
    assert compared.gpu.source.count("mma_sync(") == len(PRODUCTS)
    for name in compared.names:
        assert max(compared.errors(name)) < 1e-6


def test_convolutions_are_products_with_what_follows_in_the_same_kernel() -> None:
    compared = Compared(parse(CONVOLUTIONS))
    assert len(compared.names) == 2
    assert any("math_relu" in name for name in compared.names)
    for name in compared.names:
        assert max(compared.errors(name)) < 1e-6


@pytest.mark.parametrize("shape", [(2, 4, 18, 16), (2, 18, 64)])
def test_attention_is_two_products(shape: tuple[int, ...]) -> None:
    """Heads of their own axis, and heads behind one another; two share one of keys."""
    module = Module("attention")
    kept = {4: (2, 2, 18, 16), 3: (2, 18, 32)}[len(shape)]
    types = {"q": tensor("f32", *shape), "k": tensor("f32", *kept), "v": tensor("f32", *kept)}
    function, builder = build_function(module, "main", types, ["y"])
    heads = {"heads": 4, "kv_heads": 2} if len(shape) == 3 else {}
    builder.ret(builder("nn.attention", *function.args, **heads, scale=0.25))
    compared = Compared(module)
    for name in compared.names:
        assert max(compared.errors(name)) < 1e-6
    assert len(compared.names) == 2


def test_larger_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tile is cut into warps of its own, and read in vectors where sizes allow."""
    for blocks, size in ((1, (130, 40, 72)), (6, (130, 40, 72))):
        monkeypatch.setattr(tensor_cores, "MULTIPROCESSORS", blocks)
        rows, depth, columns = size
        compared = Compared(products([((rows, depth), (depth, columns), {})]))
        (name,) = compared.names
        assert "uint4" in compared.gpu.source
        assert max(compared.errors(name)) < 1e-6
        (kernel,) = compared.gpu.kernels[name]
        assert kernel.sizes[4] == {1: 8, 6: 4}[blocks]  # warps


def test_a_missing_barrier_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated GPU tells kernels that depend on the order of threads."""
    import emulated_gpu

    emitted = emulated_gpu._emitted

    def without(*arguments: Any) -> Any:
        source, extents = emitted(*arguments)
        return source.replace("__syncthreads();", ""), extents

    monkeypatch.setattr(emulated_gpu, "_emitted", without)
    compared = Compared(products(PRODUCTS[:1]))
    assert not max(compared.errors(*compared.names)) < 1e-6


def test_small_and_dynamic_products_are_left_to_plain_schedules() -> None:
    text = """
    module "plain" {
      symbols {n = 1..64}
      func @main(%a: tensor<f32[1, 64]>, %b: tensor<f32[64, 40]>, %x: tensor<f32[n, 64]>)
          -> ("y": tensor<f32[1, 40]>, "z": tensor<f32[n, 40]>) {
        %y = nn.matmul(%a, %b)
        %z = nn.matmul(%x, %b)
        core.return(%y, %z)
      }
    }
    """
    written = write_module(parse(text), None, "cuda", "fp16").module.script()
    assert tensor_cores.PRODUCT not in written


@pytest.mark.slow
def test_products_of_many_sizes() -> None:
    compared = Compared(products(MORE_PRODUCTS))
    assert len(compared.names) == len(MORE_PRODUCTS) - 3
    for name in compared.functions:
        assert max(compared.errors(name)) < 1e-5
