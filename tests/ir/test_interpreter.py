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
