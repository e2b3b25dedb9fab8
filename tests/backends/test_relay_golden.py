"""The text of a few modules as Relay, in the forms of both releases."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from relay_batches import needs_relay

from burnish import compile as compile_model
from burnish import interpret, parse
from burnish.backends.relay import compile_module, runner
from burnish.backends.relay.sparse import best_block
from burnish.ir import Array, Module, build_function, tensor
from burnish.testing import Golden

MODULES = {
    "quantized": """
module "quantized" {
  func @main(%x: tensor<f32[1, 8]>) -> ("y": tensor<f32[1, 4]>) {
    %w = core.constant() {value = splat<i8[8, 4], 3>, encoding = quant(0.5, 0)}
    %q = quant.quantize(%x) {encoding = quant(0.25, -3), dtype = i8}
    %r = quant.dequantize(%q)
    %f = quant.dequantize(%w)
    %y = nn.matmul(%r, %f) loc("dense": "MatMul")
    core.return(%y)
  }
}
""",
    "choice": """
module "choice" {
  func @main(%x: tensor<f32[2]>, %go: tensor<bool[]>) -> ("y": tensor<f32[2]>) {
    %y = control.if(%go, %x) region(%t: tensor<f32[2]>) {
      %r = math.silu(%t)
      core.yield(%r)
    } region(%e: tensor<f32[2]>) {
      core.yield(%e)
    }
    core.return(%y)
  }
}
""",
    "changed": """
module "changed" {
  func @main(%x: tensor<f32[1, 3]>, %i: tensor<i64[2, 3]>, %q: tensor<i8[3], quant(0.5, 0)>)
      -> ("y": tensor<f32[2, 3]>, "z": tensor<f32[2, 3]>, "r": tensor<f32[3]>) {
    %b = tensor.broadcast(%x) {shape = [2, 3]}
    %y = tensor.scatter_elements(%b, %i, %b) {reduction = "add", axis = 1}
    %z = tensor.scatter_elements(%b, %i, %b) {reduction = "max", axis = 1}
    %r = quant.dequantize(%q)
    core.return(%y, %z, %r)
  }
}
""",
    "repeated": """
module "repeated" {
  func @main(%x: tensor<f32[2]>, %n: tensor<i64[]>, %w: tensor<f32[2]>)
      -> ("y": tensor<f32[2]>, "all": tensor<f32[3, 2]>) {
    %k = core.constant() {value = dense<f32[2], [0.5, 2.0]>}
    %y, %s = control.loop(%n, _, %x, %w, %k) {carried = 1, iterations = 3}
      region(%i: tensor<i64[]>, %c: tensor<bool[]>, %a: tensor<f32[2]>,
             %v: tensor<f32[2]>, %u: tensor<f32[2]>) {
      %b = math.mul(%a, %v)
      %d = math.add(%b, %u)
      core.yield(%c, %d, %b)
    }
    core.return(%y, %s)
  }
}
""",
    "checked": """
module "checked" {
  func @main(%x: tensor<f32[2]>, %n: tensor<i64[1]>) -> ("y": tensor<f32[2]>) {
    %y = control.require(%x, %n) {expected = [2], what = "shape"}
    core.return(%y)
  }
}
""",
}


@pytest.mark.parametrize("version", ["0.10", "0.19"])
@pytest.mark.parametrize("name", MODULES)
def test_text(name: str, version: str, golden: Golden) -> None:
    artifact = compile_module(parse(MODULES[name]), options={"relay_version": version})
    golden(artifact.files["model.relay"], ".relay")


def test_quantized_by_operators(golden: Golden) -> None:
    artifact = compile_module(parse(MODULES["quantized"]), options={"quantize": "qnn"})
    golden(artifact.files["model.relay"], ".relay")


GROUPED = """
module "grouped" {
  func @main(%x: tensor<f32[1, 2, 4, 4]>, %z: tensor<f32[1, 3, 4, 4]>)
      -> ("y": tensor<f32[1, 3, 4, 4]>, "m": tensor<f32[1, 3, 1, 1]>) {
    %w = core.constant() {value = splat<f32[3, 2, 1, 1], 0.5>}
    %c = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], groups = 1}
    %s = math.add(%c, %z)
    %y = math.relu(%s)
    %m = tensor.reduce(%y) {kind = "mean", axes = [2, 3], keep_dims = true}
    core.return(%y, %m)
  }
}
"""


def test_groups_as_kernels(golden: Golden) -> None:
    artifact = compile_module(parse(GROUPED), options={"groups": "primitive"})
    golden(artifact.files["model.relay"], ".relay")


def test_groups_as_patterns(golden: Golden) -> None:
    options = {"groups": "composite", "codegen": "dnnl"}
    golden(compile_module(parse(GROUPED), options=options).files["model.relay"], ".relay")


PRUNED = """
module "pruned" {
  func @main(%x: tensor<f32[2, 4]>) -> ("y": tensor<f32[2, 3]>) {
    %w = core.constant() {value = dense<f32[4, 3], [0.0, 0.5, 0.0, 0.0, 0.0, 0.0,
                                                    0.0, 0.0, 2.0, 0.0, 0.0, 0.0]>}
    %y = nn.matmul(%x, %w)
    core.return(%y)
  }
}
"""


def test_weights_without_their_zeros(golden: Golden) -> None:
    artifact = compile_module(parse(PRUNED), options={"weights": "sparse"})
    golden(artifact.files["model.relay"], ".relay")


def test_blocks_of_weights_without_their_zeros(golden: Golden) -> None:
    module = pointwise(blocks(16, 8, (4, 1)), strides=2)
    golden(compile_module(module, options={"weights": "sparse"}).files["model.relay"], ".relay")


SPARSE_BLOCKS = [(1, 1), (4, 1), (1, 8), (16, 1), (2, 2), (8, 8)]


def blocks(rows: int, columns: int, block: tuple[int, int]) -> Array:
    """A matrix of which an eighth of the blocks holds numbers."""
    height, width = block
    rng = np.random.default_rng(rows)
    tiles = (rows // height, columns // width)
    chosen = np.zeros(math.prod(tiles), bool)
    chosen[rng.permutation(chosen.size)[: max(1, chosen.size // 8)]] = True
    mask = np.kron(chosen.reshape(tiles), np.ones(block))
    return (rng.normal(size=(rows, columns)) * mask).astype(np.float32)


def pointwise(weights: Array, strides: int = 1) -> Module:
    """A convolution by windows of one element."""
    module = Module("pointwise")
    x = tensor("f32", 1, weights.shape[1], 4, 5)
    function, builder = build_function(module, "main", {"x": x}, ["y"])
    bias = builder.constant(np.arange(weights.shape[0], dtype=np.float32))
    w = builder.constant(weights.reshape(*weights.shape, 1, 1))
    places = {"strides": (strides,) * 2, "pads": (0,) * 4, "dilations": (1, 1), "groups": 1}
    builder.ret(builder("nn.conv", function.args[0], w, bias, **places))
    return module


def product(weights: Array) -> Module:
    """A product by the transpose of the weights."""
    module = Module("product")
    function, builder = build_function(
        module, "main", {"x": tensor("f32", 3, weights.shape[1])}, ["y"]
    )
    w = builder.constant(weights)
    builder.ret(builder("nn.matmul", function.args[0], w, transpose_b=True))
    return module


@pytest.mark.parametrize("block", SPARSE_BLOCKS)
def test_blocks_are_those_of_the_fewest_numbers(block: tuple[int, int]) -> None:
    assert best_block(blocks(48, 32, block)) == block


@pytest.mark.parametrize("make", [product, pointwise])
def test_weights_of_zeros_alone_are_no_sparse_ones(make: Callable[[Array], Module]) -> None:
    artifact = compile_module(make(np.zeros((4, 8), np.float32)), options={"weights": "sparse"})
    assert "sparse" not in str(artifact.files["model.relay"])


@pytest.mark.slow
@needs_relay
def test_relay_computes_the_same_without_zeros() -> None:
    for block in SPARSE_BLOCKS:
        weights = blocks(48, 32, block)
        for module, layout in [
            (product(weights), "NCHW"),
            (pointwise(weights), "NCHW"),
            (pointwise(weights, 2), "NHWC"),
            (pointwise(weights), "NCHW8c"),
        ]:
            shape = module.main.args[0].type.static_shape
            inputs = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
            artifact = compile_module(module, options={"weights": "sparse", "layout": layout})
            assert ("sparse" in str(artifact.files["model.relay"])) == (layout != "NCHW8c")
            found, expected = runner(artifact).run(inputs)["y"], interpret(module, inputs)["y"]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize(
    ("text", "options"),
    [
        (GROUPED, {"groups": "primitive"}),
        (GROUPED, {"groups": "composite"}),
        (PRUNED, {"weights": "sparse"}),
        (MODULES["repeated"], {}),
        (MODULES["repeated"], {"groups": "composite"}),
        (MODULES["choice"], {}),
    ],
)
def test_relay_computes_the_same(text: str, options: dict[str, str]) -> None:
    module = parse(text)
    rng = np.random.default_rng(0)
    inputs = {
        name: np.asarray(rng.integers(0, 2, arg.type.static_shape)).astype(arg.type.dtype.numpy)
        for name, arg in zip(module.main.arg_names, module.main.args)
    }
    if "n" in inputs:
        inputs["n"] = np.array(3)
    found = runner(compile_module(module, options=options)).run(inputs)
    for name, expected in interpret(module, inputs).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


def test_example(root: Path, golden: Golden) -> None:
    compiled = compile_model(root / "examples" / "digits" / "digits.onnx", "relay")
    golden(compiled.source["model.relay"], ".relay")
