"""The interpreter: inputs are checked, symbols bound, groups evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import ir
from burnish.ir.errors import InputError


def dynamic() -> ir.Module:
    module = ir.Module("m", symbols={"N": (1, 4)})
    n = ir.symbol("N")
    types = {"x": ir.tensor("f32", n), "z": ir.tensor("f32", 2 * n)}
    function, builder = ir.build_function(module, "main", types, ["y"])
    builder.ret(builder("math.neg", function.args[0]))
    return module


def test_symbols_take_their_size_from_the_inputs():
    y = ir.interpret(dynamic(), {"x": np.ones(3, np.float32), "z": np.ones(6, np.float32)})["y"]
    np.testing.assert_array_equal(y, -np.ones(3, np.float32))


BAD = {
    "missing": ({"x": np.ones(3, np.float32)}, '"z" is missing'),
    "unknown": (
        {"x": np.ones(3, np.float32), "z": np.ones(6, np.float32), "q": 1},
        '"q" is unknown',
    ),
    "dtype": ({"x": np.ones(3), "z": np.ones(6, np.float32)}, "is float64, must be float32"),
    "rank": ({"x": np.ones((3, 1), np.float32), "z": np.ones(6, np.float32)}, "has shape [3, 1]"),
    "contradiction": ({"x": np.ones(3, np.float32), "z": np.ones(5, np.float32)}, "must be [2*N]"),
    "range": ({"x": np.ones(5, np.float32), "z": np.ones(10, np.float32)}, "declared as 1..4"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_inputs_are_refused(case):
    inputs, message = BAD[case]
    with pytest.raises(InputError) as caught:
        ir.interpret(dynamic(), inputs)
    assert message in str(caught.value)


def test_groups_mean_their_body():
    module = ir.parse("""module "m" {
      func @main(%x: tensor<f32[2, 3]>, %b: tensor<f32[3]>) -> ("y": tensor<f32[2, 3]>) {
        %0 = core.group(%x, %b) region(%p: tensor<f32[2, 3]>, %q: tensor<f32[3]>) {
          %1 = math.add(%p, %q)
          %2 = math.relu(%1)
          core.yield(%2)
        }
        core.return(%0)
      }
    }""")
    x = np.arange(6, dtype=np.float32).reshape(2, 3) - 3
    b = np.array([1, 0, -1], np.float32)
    y = ir.interpret(module, {"x": x, "b": b})["y"]
    np.testing.assert_array_equal(y, np.maximum(x + b, 0))


def one_op(name: str, type_: ir.TensorType, **attributes: object) -> ir.Module:
    module = ir.Module("m", symbols={"N": (0, 9)})
    function, builder = ir.build_function(module, "main", {"x": type_}, ["y"])
    builder.ret(builder(name, function.args[0], **attributes))
    return module


N = ir.symbol("N")
ILL_SIZED = {
    "scales": (
        one_op("quant.dequantize", ir.tensor("i8", N).with_encoding(
            ir.Quantized((1.0, 2.0, 3.0), (0, 0, 0), axis=0))),
        "3 scales for axis 0 of size 2",
    ),
    "blocks": (
        one_op("quant.dequantize", ir.tensor("i8", N).with_encoding(
            ir.Quantized((1.0, 2.0), (0, 0), axis=0, block=2))),
        "2 scales for 1 blocks",
    ),
    "reshape": (
        one_op("tensor.reshape", ir.tensor("i8", N), shape=(N // 3, 3)),
        "tensor.reshape",
    ),
    "negative": (
        one_op("tensor.slice", ir.tensor("i8", N), starts=[0], sizes=[N - 3], steps=[1]),
        "negative dimension -1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ILL_SIZED)
def test_sizes_that_an_op_is_not_defined_for_are_one_clear_error(case):
    module, message = ILL_SIZED[case]
    with pytest.raises(InputError) as caught:
        ir.interpret(module, {"x": np.zeros(2, np.int8)})
    assert message in str(caught.value)
    assert 'the sizes "N" = 2 do not fit' in str(caught.value)


def test_a_transform_of_no_samples_is_one_of_zeros():
    attributes = {"length": 4, "inverse": True, "onesided": True}
    module = one_op("signal.dft", ir.tensor("f32", 3, N, 2), **attributes)
    y = ir.interpret(module, {"x": np.zeros((3, 0, 2), np.float32)})["y"]
    np.testing.assert_array_equal(y, np.zeros((3, 4, 1), np.float32))


def test_boxes_far_larger_than_the_image_need_no_more_memory():
    """Of their samples, nine lie at an element: 60,000 squared are not listed."""
    text = """module "m" {
      func @main(%x: tensor<f32[1, 1, 2, 2]>, %boxes: tensor<f32[1, 4]>, %n: tensor<i64[1]>)
        -> ("y": tensor<f32[1, 1, 1, 1]>) {
        %0 = nn.region_align(%x, %boxes, %n) {bins = [1, 1]}
        core.return(%0)
      }
    }"""
    inputs = {
        "x": np.ones((1, 1, 2, 2), np.float32),
        "boxes": np.array([[0, 0, 60000, 60000]], np.float32),
        "n": np.zeros(1, np.int64),
    }
    np.testing.assert_allclose(ir.interpret(ir.parse(text), inputs)["y"], 9 / 60000**2, rtol=1e-6)
