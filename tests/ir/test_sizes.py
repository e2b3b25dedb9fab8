"""Symbols whose sizes ops find: binding, verification, text, and what keeps such an op alive."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import ir
from burnish.ir.errors import InputError, TypeInferenceError, VerifyError
from burnish.passes import run_pipeline

X = np.array([[1, 0, 2], [0, 0, 3]], np.float32)

FOUND = """module "m" {
  symbols {K = 0..6}
  func @main(%x: tensor<f32[2, 3]>) -> ("y": tensor<i64[2, K]>, "n": tensor<i64[]>) {
    %0 = tensor.non_zero(%x) {size = K} : tensor<i64[2, K]>
    %1 = math.neg(%0) : tensor<i64[2, K]>
    %2 = tensor.dimension() {value = 2*K} : tensor<i64[]>
    core.return(%1, %2)
  }
}
"""


def test_the_op_binds_its_symbol():
    module = ir.parse(FOUND)
    ir.verify(module)
    assert ir.parse(str(module)) == module
    for x, count in ((X, 3), (0 * X, 0), (X + 1, 6)):
        results = ir.interpret(module, {"x": x})
        np.testing.assert_array_equal(results["y"], -np.stack(np.nonzero(x)))
        assert results["n"] == 2 * count


def test_a_size_outside_its_range_is_an_error():
    module = ir.parse(FOUND.replace("0..6", "0..2"))
    with pytest.raises(InputError, match=r'dimension "K" is 3, declared as 0..2'):
        ir.interpret(module, {"x": X})


def test_a_promised_size_is_checked():
    module = ir.parse(FOUND.replace("K", "3").replace("symbols {3 = 0..6}", ""))
    assert ir.interpret(module, {"x": X})["n"] == 6
    with pytest.raises(InputError, match=r"there are 6 elements that are not 0, but .* needs 3"):
        ir.interpret(module, {"x": X + 1})


def test_a_loop_finds_another_size_in_each_iteration():
    module = ir.parse("""module "m" {
      symbols {K = 0..4}
      func @main(%n: tensor<i64[]>, %x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
        %0 = control.loop(%n, _, %x) {carried = 1}
            region(%i: tensor<i64[]>, %c: tensor<bool[]>, %v: tensor<f32[4]>) {
          %1 = tensor.non_zero(%v) {size = K} : tensor<i64[1, K]>
          %2 = tensor.dimension() {value = K} : tensor<i64[]>
          %3 = math.cast(%2) {to = f32} : tensor<f32[]>
          %4 = math.sub(%v, %3) : tensor<f32[4]>
          core.yield(%c, %4)
        } : tensor<f32[4]>
        core.return(%0)
      }
    }""")
    ir.verify(module)
    inputs = {"n": np.array(2), "x": np.array([3, 0, 3, 0], np.float32)}
    steps = np.array([3, 0, 3, 0], np.float32)
    for _ in range(2):
        steps = steps - np.count_nonzero(steps)
    np.testing.assert_array_equal(ir.interpret(module, inputs)["y"], steps)


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("symbols {K = 0..6}", "", "symbol K has no range"),
        ("%x: tensor<f32[2, 3]>", "%x: tensor<f32[2, K]>", "symbol K is defined twice"),
        ("math.neg(%0)", "tensor.non_zero(%x) {size = K}", "symbol K is defined twice"),
    ],
)
def test_the_verifier_finds(old, new, finding):
    with pytest.raises(VerifyError, match=finding):
        ir.verify(ir.parse(FOUND.replace(old, new)))


def test_the_verifier_finds_a_use_before_the_definition():
    lines = FOUND.splitlines(keepends=True)
    lines[3:6] = [lines[5], lines[3], lines[4]]
    with pytest.raises(VerifyError, match="symbol K is used before it is defined"):
        ir.verify(ir.parse("".join(lines)))


@pytest.mark.parametrize("size", [-1, ir.symbol("K") + 1])
def test_a_size_is_a_count_or_a_symbol(size):
    with pytest.raises(TypeInferenceError, match="size"):
        ir.lookup("tensor.non_zero").result_types(
            ir.lookup("tensor.non_zero").complete({"size": size}), [ir.tensor("f32", 2)]
        )


COUNT_ONLY = FOUND.replace('"y": tensor<i64[2, K]>, ', "").replace("(%1, %2)", "(%2)")


@pytest.mark.parametrize("pipeline", ["dce", "canonicalize", "cse,fold,canonicalize,dce"])
def test_an_op_lives_as_long_as_its_size_is_needed(pipeline):
    module = ir.parse(COUNT_ONLY)
    run_pipeline(module, pipeline)
    ir.verify(module)
    assert [op.name for op in module.walk()][:2] == ["tensor.non_zero", "tensor.dimension"]
    assert ir.interpret(module, {"x": X})["n"] == 6


def test_an_op_whose_size_nobody_needs_goes():
    text = COUNT_ONLY.replace("{value = 2*K}", "{value = 7}")
    module = ir.parse(text)
    run_pipeline(module, "dce")
    assert "tensor.non_zero" not in str(module)
