"""Dynamic dimensions: binding them, naming the unbound ones, and shape arithmetic with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret, symbol, tensor, verify
from burnish.ir.errors import DimensionError, InputError, TypeInferenceError, UnsupportedError

MakeModel = Callable[..., onnx.ModelProto]
F32, I64 = np.float32, np.int64


@pytest.fixture
def relu(make_model: MakeModel) -> onnx.ModelProto:
    return make_model(
        [helper.make_node("Relu", ["x"], ["y"])],
        {"x": (F32, ["batch", 3, None, "w"]), "z": (F32, ["batch", "?"])},
        {"y": F32},
    )


def test_numpy_integers_and_lists_bind_too(relu: onnx.ModelProto) -> None:
    dims = {"x": [np.int64(2), 3, (1, 4), 5], "z_1": np.int32(4)}
    module = import_onnx(relu, dims)
    assert str(module.main.args[0].type) == "tensor<f32[2, 3, x_2, 5]>"
    assert module.symbols == {"x_2": (1, 4)}


def types(model: onnx.ModelProto, dims: Any, **options: Any) -> list[str]:
    return [str(arg.type) for arg in import_onnx(model, dims, **options).main.args]


def test_symbols_and_unnamed_axes_are_bound_by_name(relu: onnx.ModelProto) -> None:
    dims = {"batch": 2, "w": 5, "x_2": 7, "z_1": 4}
    assert types(relu, dims) == ["tensor<f32[2, 3, 7, 5]>", "tensor<f32[2, 4]>"]


def test_whole_shapes_bind_the_symbols_in_them(relu: onnx.ModelProto) -> None:
    dims = {"x": (2, 3, 7, 5), "z": (None, 4)}
    assert types(relu, dims) == ["tensor<f32[2, 3, 7, 5]>", "tensor<f32[2, 4]>"]


def test_ranges_stay_symbolic(relu: onnx.ModelProto) -> None:
    module = import_onnx(relu, {"batch": (1, 8), "x": (None, 3, "h", 5), "h": (2, 2), "z_1": 1})
    assert [arg.type for arg in module.main.args] == [
        tensor("f32", symbol("batch"), 3, 2, 5),
        tensor("f32", symbol("batch"), 1),
    ]
    assert module.symbols == {"batch": (1, 8)}


def test_names_in_a_shape_unify_axes(relu: onnx.ModelProto) -> None:
    dims = {"x": (None, None, "s", "s"), "z": (None, "s"), "s": (1, 4), "batch": 1}
    module = import_onnx(relu, dims)
    s = symbol("s")
    assert [a.type for a in module.main.args] == [tensor("f32", 1, 3, s, s), tensor("f32", 1, s)]
    assert module.symbols == {"s": (1, 4)}


def test_sizes_may_be_expressions(relu: onnx.ModelProto) -> None:
    dims = {"x": (None, 3, "32*h", "2*h + 1"), "batch": "b + h", "z_1": "4*2", "h": (1, 9), "b": 5}
    module = import_onnx(relu, dims)
    h = symbol("h")
    assert [arg.type for arg in module.main.args] == [
        tensor("f32", h + 5, 3, 32 * h, 2 * h + 1),
        tensor("f32", h + 5, 8),
    ]
    assert module.symbols == {"h": (1, 9)}


def test_expressions_may_be_bound_to_expressions(relu: onnx.ModelProto) -> None:
    dims = {"batch": "2*n", "n": "3*m", "m": (1, 2), "x_2": "batch", "w": "min(n, 4)", "z_1": 1}
    (x, _) = import_onnx(relu, dims).main.args
    assert str(x.type) == "tensor<f32[6*m, 3, 6*m, min(3*m, 4)]>"


def test_names_of_the_model_are_no_expressions(make_model: MakeModel) -> None:
    model = make_model(
        [helper.make_node("Relu", ["x"], ["y"])], {"x": (F32, ["past + 1", "n"])}, {"y": F32}
    )
    module = import_onnx(model, {"past + 1": (1, 4), "n": "past + 1"})
    assert module.symbols == {"past + 1": (1, 4)}
    assert module.main.args[0].type.shape == (symbol("past + 1"), symbol("past + 1"))


@pytest.fixture
def halves(make_model: MakeModel) -> onnx.ModelProto:
    """x + resize(pool(pool(x))): sums of pyramids need sizes that divide by 4."""
    pool = {"kernel_shape": [2], "strides": [2]}
    return make_model(
        [
            helper.make_node("MaxPool", ["x"], ["p"], **pool),
            helper.make_node("MaxPool", ["p"], ["q"], **pool),
            helper.make_node("Resize", ["q", "", "scales"], ["r"], mode="nearest"),
            helper.make_node("Add", ["x", "r"], ["y"]),
        ],
        {"x": (F32, [1, 2, "n"])},
        {"y": F32},
        {"scales": np.array([1, 1, 4], np.float32)},
    )


def test_sizes_that_must_divide_are_suggested(halves: onnx.ModelProto) -> None:
    with pytest.raises(TypeInferenceError) as caught:
        import_onnx(halves, {"n": (4, 64)})
    assert 'multiples ("n" of 4), say so: --dim n=4*k --dim k=LOW..HIGH' in caught.value.help
    module = import_onnx(halves, {"n": "4*k", "k": (1, 16)})
    x = np.arange(16, dtype=np.float32).reshape(1, 2, 8)
    (y,) = interpret(module, {"x": x}).values()
    np.testing.assert_array_equal(y, x + x[:, :, 3::4].repeat(4, axis=2))
    with pytest.raises(InputError, match=r"must be \[1, 2, 4\*k\]"):
        interpret(module, {"x": x[:, :, :7]})


def test_unbound_symbols_of_expressions_are_named(relu: onnx.ModelProto) -> None:
    with pytest.raises(DimensionError) as caught:
        import_onnx(relu, {"x": (1, 3, "32*h", "32*h"), "z_1": 4})
    text = str(caught.value)
    assert '1 dimension has no size: "h" (axis 2 of input "x", axis 3 of input "x")' in text
    assert "--dim h=1" in text


def test_unbound_dimensions_are_all_named_with_the_way_to_bind_them(
    relu: onnx.ModelProto,
) -> None:
    with pytest.raises(DimensionError) as caught:
        import_onnx(relu, {"w": 4})
    text = str(caught.value)
    assert '"batch" (axis 0 of input "x", axis 0 of input "z")' in text
    assert 'axis 2 of input "x"' in text
    assert 'axis 1 of input "z"' in text
    assert "--dim batch=1" in text
    assert "--shape x=1,3,224,4" in text
    assert '"x": (1, 3, 224, 4)' in text


def test_unbound_dimensions_may_stay_for_inspection(relu: onnx.ModelProto) -> None:
    module = import_onnx(relu, allow_unbound=True)
    assert str(module.main.args[1].type) == "tensor<f32[batch, z_1]>"
    assert module.symbols == {}


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ({"nope": 1}, 'no dimension and no input called "nope"'),
        ({"x": (1, 4, 7, 5)}, "is 3 in the model"),
        ({"x": (1, 3, 7)}, "has 3 axes"),
        ({"x": 4}, "needs a whole shape"),
        ({"batch": -1}, "cannot be -1"),
        ({"batch": (4, 2)}, "cannot range from 4 to 2"),
        ({"batch": 2, "x": (3, 3, 7, 5)}, "is bound to both 3 and 2"),
        ({"batch": "many"}, 'no size.*"many"'),
        ({"batch": 1.5}, "is bound to 1.5"),
        ({"batch": "4*2 - 9"}, "cannot be -1"),
        ({"batch": "2*w", "w": "batch + 1", "x_2": 1, "z_1": 1}, "is bound to itself"),
        ({"batch": "2*b", "b": (0, 1 << 40)}, "cannot range"),
        ({"batch": True}, "is bound to True"),
        ({"batch": 1 << 41}, "cannot be"),
        ({"x": ("a", 3, "b", 5), "a": 1, "b": 1, "z": ("b", "a"), "batch": 2}, "bound to both"),
    ],
)
def test_wrong_bindings(relu: onnx.ModelProto, dims: Any, message: str) -> None:
    with pytest.raises(DimensionError, match=message):
        import_onnx(relu, dims)


def test_question_marks_are_not_one_symbol(make_model: MakeModel) -> None:
    model = make_model(
        [helper.make_node("Relu", ["x"], ["y"])], {"x": (F32, ["?", "?"])}, {"y": F32}
    )
    assert types(model, {"x": (2, 3)}) == ["tensor<f32[2, 3]>"]


def test_an_input_without_rank_needs_its_shape(make_model: MakeModel) -> None:
    model = make_model([helper.make_node("Relu", ["x"], ["y"])], {"x": (F32, [1])}, {"y": F32})
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(DimensionError, match="rank is not declared"):
        import_onnx(model)
    assert types(model, {"x": (2, 3)}) == ["tensor<f32[2, 3]>"]


@pytest.fixture
def flatten_all_but_first(make_model: MakeModel) -> onnx.ModelProto:
    """Reshape(x, Concat(Shape(x)[0:1], [-1])): as exporters write flatten."""
    return make_model(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
            helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
            helper.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
            helper.make_node("Reshape", ["x", "shape"], ["y"]),
        ],
        {"x": (F32, ["n", 3, "h"])},
        {"y": F32},
        {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])},
    )


def test_shape_arithmetic_disappears_when_static(flatten_all_but_first: onnx.ModelProto) -> None:
    module = import_onnx(flatten_all_but_first, {"n": 2, "h": 4})
    assert [op.name for op in module.walk()] == ["tensor.reshape", "core.return"]
    assert module.main.results[0].type == tensor("f32", 2, 12)


def test_shape_arithmetic_disappears_when_symbolic(flatten_all_but_first: onnx.ModelProto) -> None:
    module = import_onnx(flatten_all_but_first, {"n": (1, 8), "h": 4})
    assert [op.name for op in module.walk()] == ["tensor.reshape", "core.return"]
    assert module.main.results[0].type == tensor("f32", symbol("n"), 12)


def symbolic_model(nodes: list[onnx.NodeProto], **constants: Any) -> onnx.ModelProto:
    """A model of ``nodes`` over x [n, 4]; the last node's output is the model's."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


N = symbol("n")
node = helper.make_node
SYMBOLIC = {
    "arithmetic": (
        symbolic_model(
            [
                node("Shape", ["x"], ["s"]),
                node("Gather", ["s", "zero"], ["n"]),
                node("Mul", ["n", "two"], ["n2"]),
                node("Add", ["n2", "two"], ["m"]),
                node("Div", ["m", "two"], ["h"]),
                node("Unsqueeze", ["h", "axes"], ["h1"]),
                node("Concat", ["h1", "four"], ["shape"], axis=0),
                node("ConstantOfShape", ["shape"], ["y"]),
            ],
            zero=0,
            two=2,
            axes=[0],
            four=[4],
        ),
        tensor("f32", N + 1, 4),
    ),
    "reduce and cast": (
        symbolic_model(
            [
                node("Shape", ["x"], ["s"]),
                node("Cast", ["s"], ["f"], to=onnx.TensorProto.FLOAT),
                node("ReduceProd", ["f"], ["p"], keepdims=1),
                node("Floor", ["p"], ["q"]),
                node("Cast", ["q"], ["shape"], to=onnx.TensorProto.INT64),
                node("Reshape", ["x", "shape"], ["y"]),
            ]
        ),
        tensor("f32", 4 * N),
    ),
    "select": (
        symbolic_model(
            [
                node("Shape", ["x"], ["s"]),
                node("Equal", ["s", "minus"], ["e"]),
                node("Where", ["e", "ones", "s"], ["t"]),
                node("Expand", ["one", "t"], ["y"]),
            ],
            minus=[-1, -1],
            ones=[1, 1],
            one=np.ones((1, 1), F32),
        ),
        tensor("f32", N, 4),
    ),
    "range": (
        symbolic_model(
            [
                node("Shape", ["x"], ["s"]),
                node("Gather", ["s", "zero"], ["n"]),
                node("Range", ["zero", "n", "two"], ["y"]),
            ],
            zero=0,
            two=2,
        ),
        tensor("i64", -((-N) // 2)),
    ),
    "slice to the end": (
        symbolic_model(
            [node("Slice", ["x", "one", "end", "zero"], ["y"])],
            one=[1],
            end=[2**63 - 1],
            zero=[0],
        ),
        tensor("f32", N - 1, 4),
    ),
    "slice from the end": (
        symbolic_model(
            [node("Slice", ["x", "last", "end", "zero", "step"], ["y"])],
            last=[-1],
            end=[-(2**63) + 1],
            zero=[0],
            step=[-1],
        ),
        tensor("f32", N, 4),
    ),
    "resize": (
        symbolic_model(
            [node("Resize", ["x", "", "scales"], ["y"])], scales=np.array([3, 0.5], F32)
        ),
        tensor("f32", 3 * N, 2),
    ),
    "empty and symbolic": (
        symbolic_model(
            [
                node("Slice", ["x", "zero", "zero", "one"], ["e"]),
                node("Shape", ["e"], ["s"]),
                node("ConstantOfShape", ["s"], ["y"]),
            ],
            zero=[0],
            one=[1],
        ),
        tensor("f32", N, 0),
    ),
    "size": (symbolic_model([node("Size", ["x"], ["y"])]), tensor("i64")),
    "shape": (symbolic_model([node("Shape", ["x"], ["y"])]), tensor("i64", 2)),
}


@pytest.mark.parametrize("name", SYMBOLIC)
@pytest.mark.parametrize("size", [2, 5])
def test_symbolic_import_means_what_a_static_one_means(name: str, size: int) -> None:
    model, type_ = SYMBOLIC[name]
    module = import_onnx(model, {"n": (2, 16)})
    verify(module)
    assert module.main.results[0].type == type_
    x = np.arange(4 * size, dtype=F32).reshape(size, 4)
    static = interpret(import_onnx(model, {"n": size}), {"x": x})
    for key, value in interpret(module, {"x": x}).items():
        np.testing.assert_array_equal(value, static[key])


def test_a_dimension_that_decides_nothing_exactly_stays_unknown(make_model: MakeModel) -> None:
    model = make_model(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Sub", ["s", "five"], ["t"]),
            helper.make_node("Div", ["t", "two"], ["u"]),
            helper.make_node("Reshape", ["x", "u"], ["y"]),
        ],
        {"x": (F32, ["n"])},
        {"y": F32},
        {"five": np.array([5]), "two": np.array([2])},
    )
    with pytest.raises(UnsupportedError, match="depends on run-time data"):
        import_onnx(model, {"n": (1, 9)})
