"""Control flow, bodies and what they capture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret
from burnish.ir.errors import UnsupportedError

MakeModel = Callable[..., onnx.ModelProto]
Agree = Callable[..., Any]
F32, I64 = np.float32, np.int64
node = helper.make_node


def body(nodes: list[onnx.NodeProto], inputs: list[Any], outputs: list[str]) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "body", inputs, [onnx.ValueInfoProto(name=name) for name in outputs]
    )


def if_model(make_model: MakeModel, condition: list[onnx.NodeProto], **extra: Any) -> Any:
    then = body([node("Add", ["x", "c"], ["t"])], [], ["t"])
    otherwise = body([node("Mul", ["r", "two"], ["e"])], [], ["e"])
    nodes = [
        node("Relu", ["x"], ["r"]),
        *condition,
        node("If", ["b"], ["y"], then_branch=then, else_branch=otherwise),
    ]
    constants = {"c": np.ones(3, F32), "two": np.array(2, F32), "zero": np.array(0, F32)}
    return make_model(nodes, {"x": (F32, [3]), **extra}, {"y": F32}, constants)


def test_if_captures_values_as_operands_and_repeats_constants(
    make_model: MakeModel, agree: Agree
) -> None:
    model = if_model(make_model, [], b=(np.bool_, []))
    for flag in (True, False):
        module = agree(model, {"x": np.array([1, -2, 3], F32), "b": np.array(flag)})
    (op,) = [op for op in module.main.body if op.name == "control.if"]
    assert [value.name for value in op.inputs] == ["b", "x", "r"]
    assert len(module.main.body) == 3


def test_if_with_a_known_condition_is_inlined(make_model: MakeModel, agree: Agree) -> None:
    condition = [node("Constant", [], ["b"], value=helper.make_tensor("", 9, [], [False]))]
    module = agree(if_model(make_model, condition), {"x": np.array([1, -2, 3], F32)})
    assert "control.if" not in [op.name for op in module.walk()]


def test_the_branch_not_taken_may_hold_anything(make_model: MakeModel) -> None:
    then = body([node("Relu", ["x"], ["t"])], [], ["t"])
    otherwise = body([node("NotAnOperator", ["x"], ["e"])], [], ["e"])
    model = make_model(
        [node("If", ["b"], ["y"], then_branch=then, else_branch=otherwise)],
        {"x": (F32, [3])},
        {"y": F32},
        {"b": np.array(True)},
    )
    assert [op.name for op in import_onnx(model).walk()] == ["math.relu", "core.return"]


def test_branches_of_different_types_are_refused(make_model: MakeModel) -> None:
    then = body([node("Relu", ["x"], ["t"])], [], ["t"])
    otherwise = body([node("Shape", ["x"], ["e"])], [], ["e"])
    model = make_model(
        [node("If", ["b"], ["y"], then_branch=then, else_branch=otherwise)],
        {"x": (F32, [3]), "b": (np.bool_, [])},
        {"y": None},
    )
    with pytest.raises(UnsupportedError, match="branches give different types"):
        import_onnx(model)


def test_nested_bodies_capture_through_the_ones_around_them(
    make_model: MakeModel, agree: Agree
) -> None:
    inner = [body([node(op, ["x", "c"], [op])], [], [op]) for op in ("Sub", "Div")]
    deeper = node("If", ["b2"], ["d"], then_branch=inner[0], else_branch=inner[1])
    then = body([deeper], [], ["d"])
    otherwise = body([node("Neg", ["x"], ["e"])], [], ["e"])
    model = make_model(
        [node("If", ["b"], ["y"], then_branch=then, else_branch=otherwise)],
        {"x": (F32, [3]), "b": (np.bool_, []), "b2": (np.bool_, [])},
        {"y": F32},
        {"c": np.full(3, 4, F32)},
    )
    for flags in ((True, True), (True, False), (False, True)):
        inputs = {"b": np.array(flags[0]), "b2": np.array(flags[1])}
        agree(model, {"x": np.array([1, -2, 3], F32), **inputs})


def loop_model(
    make_model: MakeModel, scan: bool = False, again: str = "Identity", trips: int | None = 4
) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    inputs = [info("i", 7, []), info("go", 9, []), info("v", 1, [3])]
    nodes = [
        node("Cast", ["i"], ["f"], to=1),
        node("Mul", ["v", "x"], ["m"]),
        node("Add", ["m", "f"], ["w"]),
        node("ReduceSum", ["w"], ["total"], keepdims=0),
        node("Less", ["total", "limit"], ["small"])
        if again == "Less"
        else node("Identity", ["go"], ["small"]),
    ]
    graph = body(nodes, inputs, ["small", "w", *(["m"] if scan else [])])
    outputs = ["last", *(["all"] if scan else [])]
    constants = {"yes": np.array(True), "limit": np.array(50, F32)}
    if trips is not None:
        constants["trips"] = np.array(trips)
    first = "trips" if trips is not None else ""
    return make_model(
        [node("Loop", [first, "yes", "x"], outputs, body=graph)],
        {"x": (F32, [3])},
        dict.fromkeys(outputs, F32),
        constants,
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"scan": True}, {"again": "Less"}, {"again": "Less", "trips": None}, {"trips": 0}],
    ids=str,
)
def test_loop(make_model: MakeModel, agree: Agree, options: Any) -> None:
    agree(loop_model(make_model, **options), {"x": np.array([1, 1.5, 2], F32)})


def test_a_loop_with_scans_and_a_condition_is_refused(make_model: MakeModel) -> None:
    with pytest.raises(UnsupportedError, match="number of iterations depends on run-time data"):
        import_onnx(loop_model(make_model, scan=True, again="Less"))


def test_layout_1_of_recurrent_layers_swaps_batch_and_time(make_model: MakeModel) -> None:
    """onnxruntime lacks this form, so it is compared with the other one."""
    rng = np.random.default_rng(3)
    weights = {"w": rng.normal(size=(2, 16, 3)), "r": rng.normal(size=(2, 16, 4))}
    constants = {name: array.astype(F32) for name, array in weights.items()}
    x = rng.normal(size=(5, 2, 3)).astype(F32)
    h = rng.normal(size=(2, 2, 4)).astype(F32)
    results = []
    for layout in (0, 1):
        outputs = ["y", "yh", "yc"]
        inputs = {"x": x, "h": h, "c": h}
        if layout:
            inputs = {name: array.transpose(1, 0, 2) for name, array in inputs.items()}
        model = make_model(
            [
                node(
                    "LSTM",
                    ["x", "w", "r", "", "", "h", "c"],
                    outputs,
                    hidden_size=4,
                    layout=layout,
                    direction="bidirectional",
                )
            ],
            {name: (F32, array.shape) for name, array in inputs.items()},
            dict.fromkeys(outputs, F32),
            constants,
        )
        results.append(interpret(import_onnx(model), inputs))
    np.testing.assert_array_equal(results[1]["y"], results[0]["y"].transpose(2, 0, 1, 3))
    for name in ("yh", "yc"):
        np.testing.assert_array_equal(results[1][name], results[0][name].transpose(1, 0, 2))
