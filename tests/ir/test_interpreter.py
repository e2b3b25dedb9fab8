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


SIZES = {
    "tensor.gather_elements(%x, %i) {axis = 1}": "is larger than x",
    "signal.frames(%z) {length = 3, step = 1}": "a frame of 3 does not fit",
    "nn.max_pool(%v) {kernel = [3], strides = [1], pads = [0, 0], dilations = [1], "
    "overhang = [0]}": "does not fit spatial axis 0",
}


@pytest.mark.parametrize("op", SIZES)
def test_sizes_that_an_op_cannot_have_are_refused(op):
    """What type inference could not judge of symbols, it judges when they have sizes."""
    module = ir.parse(f"""module "m" {{
      symbols {{N = 0..4}}
      func @main(%x: tensor<f32[N, 4]>, %z: tensor<f32[2, N]>, %v: tensor<f32[1, 1, N]>)
          -> ("y": tensor<i64[]>) {{
        %i = core.constant() {{value = splat<i64[1, 2], 1>}}
        %y = {op}
        %n = tensor.dimension() {{value = N}}
        core.return(%n)
      }}
    }}""")
    shapes = {"x": (0, 4), "z": (2, 0), "v": (1, 1, 0)}
    with pytest.raises(InputError, match=SIZES[op]):
        ir.interpret(module, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
