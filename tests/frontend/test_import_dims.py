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
from burnish.ir.errors import DimensionError, UnsupportedError

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
        ({"batch": "many"}, "is bound to 'many'"),
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
