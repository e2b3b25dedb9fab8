"""Types refuse the absurd, and costs add up."""

from __future__ import annotations

import pytest

from burnish import ir
from burnish.ir.cost import block_cost, op_cost, parameter_count, peak_activation_bytes
from burnish.ir.errors import TypeInferenceError


def test_absurd_shapes_are_refused():
    with pytest.raises(TypeInferenceError, match="2\\^40"):
        ir.tensor("f32", 1 << 20, 1 << 20)
    with pytest.raises(TypeInferenceError, match="negative dimension -1"):
        ir.tensor("f32", -1)


def test_types_compare_by_value():
    a = ir.TensorType((1, ir.symbol("N")), ir.DType.F32, ir.Layout((1, 0)))
    b = ir.TensorType((1, ir.symbol("N")), ir.DType.F32, ir.Layout((1, 0)))
    assert a == b
    assert hash(a) == hash(b)
    assert a != a.logical
    assert a.substitute({"N": 3}).static_shape == (1, 3)
    with pytest.raises(TypeInferenceError, match="not static"):
        _ = a.static_shape


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        (ir.Quantized((0.0,), (0,)), "not positive"),
        (ir.Quantized((float("nan"),), (0,)), "not positive"),
        (ir.Quantized((1.0, 2.0), (0,)), "2 scales but 1 zero points"),
        (ir.Quantized((1.0, 2.0), (0, 0)), "without an axis"),
        (ir.Quantized((1.0,), (0,), 7), "axis 7"),
        (ir.Quantized((1.0,), (0,), 0, block=2), "1 scales for 2 blocks of the shape [4]"),
        (ir.Sparse("blocky"), "unknown sparsity"),
        (ir.Sparse("channel", (9,)), "one axis"),
        (ir.Sparse("block", (1, 4)), "blocks of rank 2"),
        (ir.Sparse("block", (0,)), r"blocks of shape [0]"),
        (ir.Sparse("unstructured", (2,)), "has no blocks"),
    ],
)
def test_ill_fitting_encodings_are_named(encoding, message):
    assert message in ir.tensor("i8", 4).with_encoding(encoding).problem()


def test_broadcasting():
    n = ir.symbol("N")
    assert ir.broadcast_shapes((n, 1), (3,)) == (n, 3)
    with pytest.raises(TypeInferenceError, match="do not broadcast"):
        ir.broadcast_shapes((n,), (3,))


def residual() -> ir.Module:
    return ir.parse("""module "m" {
      func @main(%x: tensor<f32[1, 8, 4, 4]>) -> ("y": tensor<f32[1, 8, 4, 4]>) {
        %w = core.constant() {value = splat<f32[8, 8, 1, 1], 0.5>}
        %a = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1],
                              groups = 1}
        %r = tensor.reshape(%a) {shape = [8, 16]}
        %b = math.relu(%r)
        %s = tensor.reshape(%b) {shape = [1, 8, 4, 4]}
        %y = math.add(%s, %x)
        core.return(%y)
      }
    }""")


def test_costs_add_up():
    module = residual()
    total = block_cost(module.main.body)
    assert total.macs == 8 * 8 * 16
    assert parameter_count(module.main) == 64
    # x stays alive to the end; the convolution's result and relu's result overlap.
    assert peak_activation_bytes(module.main.body) == 3 * 512


def test_groups_move_their_operands_only():
    module = ir.parse("""module "m" {
      func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
        %0 = core.group(%x) region(%a: tensor<f32[4]>) {
          %1 = math.exp(%a)
          %2 = math.exp(%1)
          core.yield(%2)
        }
        core.return(%0)
      }
    }""")
    cost = op_cost(module.main.body.first)
    assert (cost.reads, cost.writes) == (16, 16)
    assert cost.flops == 2 * 4 * 15


def test_peak_of_symbolic_sizes_needs_their_ranges():
    module = ir.Module("m", symbols={"N": (1, 100)})
    type_ = ir.tensor("f32", ir.symbol("N"), 4)
    function, builder = ir.build_function(module, "main", {"x": type_}, ["y"])
    builder.ret(builder("math.relu", function.args[0]))
    assert peak_activation_bytes(module.main.body, module.symbols) == 2 * 1600
    with pytest.raises(ir.Error, match="no upper bound"):
        peak_activation_bytes(module.main.body)


def test_powers_of_two_have_no_sign() -> None:
    assert not ir.DType.F8E8M0.is_signed
    x = ir.TensorType((2,), ir.DType.F8E8M0)
    _, builder = ir.build_function(ir.Module(), "main", {"x": x})
    with pytest.raises(TypeInferenceError, match="f8e8m0"):
        builder("math.neg", builder.block.args[0])
