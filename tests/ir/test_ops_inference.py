"""Type inference of ops: symbolic dimensions, refusals by name, and random shapes."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from op_cases import OpCase, data

from burnish import ir
from burnish.ir import Quantized, tensor
from burnish.ir.errors import InputError, TypeInferenceError

N, H = ir.symbol("N"), ir.symbol("H")
Q = Quantized((0.5,), (0,))
PER_CHANNEL = Quantized((0.5, 0.25, 1.0), (0, 0, 0), axis=1)


def infer(op: str, *operands: ir.TensorType | None, **attributes: object) -> list[str]:
    definition = ir.lookup(op)
    return [str(t) for t in definition.result_types(definition.complete(attributes), operands)]


def window(axes: int, **more: object) -> dict[str, object]:
    lists = {"strides": (1,) * axes, "pads": (0,) * (2 * axes), "dilations": (1,) * axes}
    return {**lists, **more}


SYMBOLIC = {
    "conv": (
        ("nn.conv", tensor("f32", N, 3, H, 8), tensor("f32", 4, 3, 3, 3)),
        window(2, strides=(2, 1)),
        "f32[N, 4, floordiv(H - 3, 2) + 1, 6]",
    ),
    "conv_transpose": (
        ("nn.conv_transpose", tensor("f32", N, 3, H), tensor("f32", 3, 4, 2)),
        window(1, strides=(2,), output_padding=(0,)),
        "f32[N, 4, 2*H]",
    ),
    "max_pool": (
        ("nn.max_pool", tensor("f32", N, 3, 2 * H)),
        window(1, kernel=(2,), strides=(2,), overhang=(0,)),
        "f32[N, 3, H]",
    ),
    "matmul": (("nn.matmul", tensor("f32", N, H, 4), tensor("f32", 4, 5)), {}, "f32[N, H, 5]"),
    "reshape": (("tensor.reshape", tensor("f32", N, 4)), {"shape": (2, 2 * N)}, "f32[2, 2*N]"),
    "reshape-quotient": (
        ("tensor.reshape", tensor("f32", N, 4)),
        {"shape": (3, (4 * N) // 3)},
        "f32[3, floordiv(4*N, 3)]",
    ),
    "slice": (
        ("tensor.slice", tensor("f32", N)),
        {"starts": (N - 1,), "sizes": (N,), "steps": (-1,)},
        "f32[N]",
    ),
    "concat": (
        ("tensor.concat", tensor("f32", N, 2), tensor("f32", 3, 2)),
        {"axis": 0},
        "f32[N + 3, 2]",
    ),
    "pad": (("tensor.pad", tensor("f32", N)), {"before": (1,), "after": (2,)}, "f32[N + 3]"),
    "tile": (("tensor.tile", tensor("f32", N, 2)), {"repeats": (3, 1)}, "f32[3*N, 2]"),
    "broadcast": (("tensor.broadcast", tensor("f32", 1, 3)), {"shape": (N, 3)}, "f32[N, 3]"),
    "gather": (("tensor.gather", tensor("f32", 5, H), tensor("i64", N)), {}, "f32[N, H]"),
    "reduce": (("tensor.reduce", tensor("f32", N, H)), {"kind": "sum", "axes": (1,)}, "f32[N]"),
    "softmax": (("nn.softmax", tensor("f32", N, H)), {"axis": 1}, "f32[N, H]"),
    "dimension": (("tensor.dimension",), {"value": N + 1}, "i64[]"),
    "attention": (
        ("nn.attention", *[tensor("f32", N, H, 8)] * 3, tensor("bool", H, H)),
        {"scale": 1.0, "heads": 2, "kv_heads": 2},
        "f32[N, H, 8]",
    ),
    "rotary": (
        ("nn.rotary_embedding", tensor("f32", N, 4, H, 8), *[tensor("f32", H, 4)] * 2),
        {},
        "f32[N, 4, H, 8]",
    ),
    "rnn": (
        (
            "nn.rnn",
            tensor("f32", H, N, 3),
            tensor("f32", 1, 4, 3),
            tensor("f32", 1, 4, 4),
        ),
        {"hidden_size": 4, "activations": ("tanh",)},
        "f32[H, 1, N, 4]",
    ),
}


@pytest.mark.parametrize("case", SYMBOLIC)
def test_symbolic_dimensions_are_carried(case):
    (op, *operands), attributes, expected = SYMBOLIC[case]
    assert infer(op, *operands, **attributes)[0] == f"tensor<{expected}>"


REFUSED = {
    "reshape": (("tensor.reshape", tensor("f32", 2, 3)), {"shape": (4,)}, "6 elements"),
    "reshape-symbol": (("tensor.reshape", tensor("f32", N, 3)), {"shape": (6,)}, "3*N elements"),
    "permutation": (("tensor.transpose", tensor("f32", 2, 3)), {"permutation": (0, 0)}, "rank 2"),
    "slice": (
        ("tensor.slice", tensor("f32", 4)),
        {"starts": (2,), "sizes": (3,), "steps": (1,)},
        "elements 2 to 4 of axis 0 of size 4",
    ),
    "step": (
        ("tensor.slice", tensor("f32", 4)),
        {"starts": (2,), "sizes": (1,), "steps": (0,)},
        "has a 0",
    ),
    "concat": (
        ("tensor.concat", tensor("f32", 2, 3), tensor("f32", 2, 4)),
        {"axis": 0},
        "operand 1 has shape [2, 4], the first [2, 3]",
    ),
    "pad": (
        ("tensor.pad", tensor("f32", 0)),
        {"before": (1,), "after": (0,), "mode": "edge"},
        "empty",
    ),
    "conv-channels": (
        ("nn.conv", tensor("f32", 1, 3, 8), tensor("f32", 4, 2, 3)),
        window(1),
        "is 2, needs 3",
    ),
    "conv-window": (
        ("nn.conv", tensor("f32", 1, 3, 2), tensor("f32", 4, 3, 5)),
        window(1),
        "a window of 5",
    ),
    "conv-groups": (
        ("nn.conv", tensor("f32", 1, 4, 8), tensor("f32", 3, 2, 3)),
        window(1, groups=2),
        "3 output channels do not divide into 2 groups",
    ),
    "conv-lists": (
        ("nn.conv", tensor("f32", 1, 3, 8), tensor("f32", 4, 3, 3)),
        window(2),
        "strides [1, 1]",
    ),
    "conv-rank": (
        ("nn.conv", tensor("f32", 1, 3), tensor("f32", 4, 3)),
        window(0),
        "no spatial axes",
    ),
    "matmul": (
        ("nn.matmul", tensor("f32", 2, 3), tensor("f32", 4, 5)),
        {},
        "has 3 columns, but b [4, 5]",
    ),
    "matmul-bias": (
        ("nn.matmul", tensor("f32", 2, 3), tensor("f32", 3, 5), tensor("f32", 2)),
        {},
        "c of shape [2] does not broadcast to [2, 5]",
    ),
    "attention-heads": (
        ("nn.attention", tensor("f32", 1, 4, 2, 3), *[tensor("f32", 1, 3, 2, 3)] * 2),
        {"scale": 1.0},
        "4 heads of q cannot share 3 heads",
    ),
    "attention-sizes": (
        ("nn.attention", tensor("f32", 1, 2, 4), *[tensor("f32", 1, 2, 6)] * 2),
        {"scale": 1.0, "heads": 2, "kv_heads": 2},
        "the head size of k is 3, needs 2",
    ),
    "attention-mask": (
        ("nn.attention", *[tensor("f32", 1, 2, 3, 4)] * 3, tensor("f64", 3, 3)),
        {"scale": 1.0},
        "the mask is f64",
    ),
    "attention-rank": (
        ("nn.attention", *[tensor("f32", 1, 2, 3, 4)] * 3),
        {"scale": 1.0, "heads": 2},
        "has its heads as an axis",
    ),
    "rotary-pairs": (
        ("nn.rotary_embedding", tensor("f32", 1, 2, 3, 4), *[tensor("f32", 3, 3)] * 2),
        {},
        "3 pairs do not fit into heads of size 4",
    ),
    "axis": (("nn.softmax", tensor("f32", 2, 3)), {"axis": 2}, "axis 2 is not one of"),
    "axes": (
        ("tensor.reduce", tensor("f32", 2, 3)),
        {"kind": "sum", "axes": (1, 0)},
        "not ascending",
    ),
    "kind": (("tensor.reduce", tensor("f32", 2)), {"kind": "any", "axes": (0,)}, "not defined"),
    "empty": (("tensor.arg_reduce", tensor("f32", 0)), {"kind": "max", "axis": 0}, "is empty"),
    "top_k": (("tensor.top_k", tensor("f32", 2)), {"axis": 0, "k": 3}, "has 2 elements"),
    "gather_nd": (("tensor.gather_nd", tensor("f32", 2), tensor("i64", 2)), {}, "tuples of 2"),
    "scatter": (
        ("tensor.scatter_nd", tensor("f32", 4, 3), tensor("i64", 2, 1), tensor("f32", 2, 2)),
        {},
        "updates has shape [2, 2], needs [2, 3]",
    ),
    "group_norm": (
        ("nn.group_norm", tensor("f32", 1, 4), tensor("f32", 4), tensor("f32", 4)),
        {"groups": 3},
        "4 channels do not divide into 3 groups",
    ),
    "rnn": (
        ("nn.rnn", tensor("f32", 2, 1, 3), tensor("f32", 1, 4, 2), tensor("f32", 1, 4, 4)),
        {"hidden_size": 4, "activations": ("Tanh",)},
        "w has shape [1, 4, 2], needs [1, 4, 3]",
    ),
    "activation": (
        ("nn.rnn", tensor("f32", 2, 1, 3), tensor("f32", 1, 4, 3), tensor("f32", 1, 4, 4)),
        {"hidden_size": 4, "activations": ("Cosine",)},
        "got 'Cosine'",
    ),
    "dequantize": (("quant.dequantize", tensor("i8", 2)), {}, "is not quantized"),
    "quantize": (
        ("quant.quantize", tensor("f16", 2)),
        {"encoding": Q, "dtype": ir.DType.I8},
        "expresses f32",
    ),
    "quantized-axis": (
        ("tensor.reshape", tensor("i8", 2, 3).with_encoding(PER_CHANNEL)),
        {"shape": (6,)},
        "cannot rearrange axis 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_misfits_are_refused_with_both_values(case):
    (op, *operands), attributes, message = REFUSED[case]
    with pytest.raises(TypeInferenceError) as refusal:
        infer(op, *operands, **attributes)
    assert message in refusal.value.message
    assert refusal.value.message.startswith(op)


def test_moving_data_keeps_its_quantization():
    x = tensor("i8", 2, 3, 4).with_encoding(PER_CHANNEL)
    (y,) = infer("tensor.transpose", x, permutation=(1, 2, 0))
    assert "axis = 0" in y
    (y,) = infer("tensor.reshape", x, shape=(2, 3, 2, 2))
    assert "axis = 1" in y
    (y,) = infer("tensor.gather", x, tensor("i64", 5, 6), axis=0)
    assert "axis = 2" in y
    (y,) = infer("math.cast", x, to=ir.DType.I32)
    assert "quant" not in y


OUT_OF_RANGE = {
    "gather": ("tensor.gather", (data((3,)), np.array([3])), {}),
    "gather-low": ("tensor.gather", (data((3,)), np.array([-4])), {}),
    "gather-empty": ("tensor.gather", (data((0,)), np.array([0])), {}),
    "elements": ("tensor.gather_elements", (data((3,)), np.array([5])), {}),
    "nd": ("tensor.gather_nd", (data((3, 2)), np.array([[0, 2]])), {}),
    "scatter": ("tensor.scatter_elements", (data((3,)), np.array([7]), data((1,))), {}),
    "scatter-nd": ("tensor.scatter_nd", (data((3,)), np.array([[-4]]), data((1,))), {}),
    "lengths": (
        "nn.rnn",
        (data((2, 1, 1)), data((1, 1, 1)), data((1, 1, 1)), None, np.array([3], np.int32)),
        {"hidden_size": 1, "activations": ("Tanh",)},
    ),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_indices_out_of_range_are_input_errors(case):
    op, operands, attributes = OUT_OF_RANGE[case]
    with pytest.raises(InputError):
        OpCase(op, case, operands, attributes).expected()


sizes = st.integers(0, 4)
axes = st.integers(1, 3)


@st.composite
def windows(draw):
    """A convolution or pool with random windows, or None where they do not fit."""
    rank = draw(axes)
    extents = draw(st.lists(st.integers(0, 6), min_size=rank, max_size=rank))

    def ints(low, high, count=rank):
        return tuple(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)))

    attributes = {
        "strides": ints(1, 3),
        "pads": ints(0, 2, 2 * rank),
        "dilations": ints(1, 2),
    }
    kernel = ints(1, 3)
    channels, outer, groups = draw(sizes), draw(sizes), draw(st.integers(1, 2))
    x = data((draw(sizes), channels * groups, *extents))
    op = draw(st.sampled_from(("nn.conv", "nn.conv_transpose", "nn.max_pool", "nn.average_pool")))
    if op == "nn.conv":
        w = data((outer * groups, channels, *kernel))
        return OpCase(op, "random", (x, w), {**attributes, "groups": groups})
    if op == "nn.conv_transpose":
        w = data((channels * groups, outer, *kernel))
        more = {"groups": groups, "output_padding": ints(0, 1)}
        return OpCase(op, "random", (x, w), {**attributes, **more})
    more = {"kernel": kernel, "overhang": ints(0, 1)}
    return OpCase(op, "random", (x,), {**attributes, **more})


@settings(max_examples=150, deadline=None)
@given(windows())
def test_windows_of_any_shape_evaluate_to_their_type(case):
    try:
        (type_,) = case.result_types()
    except TypeInferenceError:
        return
    (result,) = case.expected()
    assert result.shape == type_.shape


shapes = st.lists(sizes, max_size=4).map(tuple)


@settings(max_examples=150, deadline=None)
@given(shape=shapes, chosen=st.data())
def test_tensor_ops_of_any_shape_evaluate_to_their_type(shape, chosen):
    x = data(shape)
    rank = len(shape)
    axis = st.integers(0, max(0, rank - 1))
    amounts = st.lists(st.integers(0, 3), min_size=rank, max_size=rank)
    candidates = [
        OpCase(
            "tensor.transpose", "", (x,), {"permutation": chosen.draw(st.permutations(range(rank)))}
        ),
        OpCase("tensor.tile", "", (x,), {"repeats": chosen.draw(amounts)}),
        OpCase(
            "tensor.pad",
            "",
            (x,),
            {
                "before": chosen.draw(amounts),
                "after": chosen.draw(amounts),
                "mode": chosen.draw(st.sampled_from(("constant", "edge", "reflect", "wrap"))),
            },
        ),
        OpCase(
            "tensor.reduce",
            "",
            (x,),
            {
                "kind": chosen.draw(st.sampled_from(("sum", "mean", "prod", "min", "max"))),
                "axes": sorted(chosen.draw(st.sets(axis, max_size=rank))) if rank else (),
                "keep_dims": chosen.draw(st.booleans()),
            },
        ),
        OpCase("tensor.cumulative_sum", "", (x,), {"axis": chosen.draw(axis)}),
        OpCase("nn.softmax", "", (x,), {"axis": chosen.draw(axis)}),
        OpCase("tensor.concat", "", (x, x), {"axis": chosen.draw(axis)}),
        OpCase("nn.matmul", "", (x, np.swapaxes(x, -1, -2) if rank > 1 else x)),
    ]
    for case in candidates:
        try:
            (type_,) = case.result_types()
        except TypeInferenceError:
            continue
        (result,) = case.expected()
        assert result.shape == type_.shape, case.op
