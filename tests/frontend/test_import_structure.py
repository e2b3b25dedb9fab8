"""Names, locations and constants of imported modules, and the cost of importing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import Location, interpret

MakeModel = Callable[..., onnx.ModelProto]
Work = Callable[[Callable[[], object]], int]
F32 = np.float32
node = helper.make_node


def test_names_are_kept_exactly(make_model: MakeModel) -> None:
    odd = 'in "quoted"\n*/ int'
    model = make_model(
        [node("Relu", [odd], ["hidden"]), node("Neg", ["hidden"], ["out put"])],
        {odd: (F32, [2])},
        {"out put": F32},
    )
    main = import_onnx(model).main
    assert main.arg_names == (odd,)
    assert main.result_names == ("out put",)
    assert [value.name for op in main.body for value in op.results] == ["hidden", "out put"]


def test_ops_know_their_nodes(make_model: MakeModel) -> None:
    model = make_model(
        [node("Relu", ["x"], ["h"]), node("Gemm", ["h", "h"], ["y"], name="fc", alpha=2.0)],
        {"x": (F32, [2, 2])},
        {"y": F32},
    )
    locations = {op.name: op.location for op in import_onnx(model).walk()}
    assert locations["math.relu"] == Location.node("Relu#0", "Relu")
    assert locations["nn.matmul"] == locations["math.mul"] == Location.node("fc", "Gemm")


def test_initializers_become_one_constant_without_a_copy(make_model: MakeModel) -> None:
    weights = np.arange(6, dtype=F32).reshape(2, 3)
    model = make_model(
        [node("Add", ["x", "w"], ["h"]), node("Mul", ["h", "w"], ["y"])],
        {"x": (F32, [2, 3])},
        {"y": F32},
        {"w": weights, "unused": weights},
    )
    module = import_onnx(model)
    (constant,) = module.constants()
    assert constant.array.base is not None
    (op,) = [op for op in module.walk() if op.name == "core.constant"]
    assert op.result.name == "w"


def test_outputs_may_be_inputs_and_initializers(make_model: MakeModel) -> None:
    model = make_model(
        [node("Identity", ["x"], ["z"])],
        {"x": (F32, [2])},
        {"x": F32, "w": F32, "z": F32},
        {"w": np.ones(1, F32)},
    )
    module = import_onnx(model)
    results = interpret(module, {"x": np.array([1, 2], F32)})
    assert {name: array.tolist() for name, array in results.items()} == {
        "x": [1, 2],
        "w": [1],
        "z": [1, 2],
    }


def test_nodes_nobody_reads_leave_nothing_behind(make_model: MakeModel) -> None:
    model = make_model(
        [node("Relu", ["x"], ["y"]), node("Exp", ["x"], ["unused"])],
        {"x": (F32, [2])},
        {"y": F32},
    )
    assert [op.name for op in import_onnx(model).walk()] == ["math.relu", "core.return"]


def test_metadata_is_kept(make_model: MakeModel) -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {"x": (F32, [2])}, {"y": F32})
    model.producer_name, model.producer_version = "tool", "1.2"
    helper.set_model_props(model, {"author": "somebody"})
    assert import_onnx(model).metadata == {"author": "somebody", "producer": "tool 1.2"}


def chain(make_model: MakeModel, length: int) -> bytes:
    nodes = []
    for i in range(0, length, 2):
        nodes.append(node("Add", [f"v{i}" if i else "x", "c"], [f"a{i}"]))
        nodes.append(node("Relu", [f"a{i}"], [f"v{i + 2}"]))
    model = make_model(nodes, {"x": (F32, [1, 64])}, {f"v{length}": F32}, {"c": np.ones(64, F32)})
    return model.SerializeToString()


def test_importing_twice_the_nodes_is_twice_the_work(make_model: MakeModel, work: Work) -> None:
    small, large = (chain(make_model, count) for count in (2_000, 4_000))
    import_onnx(small)
    assert work(lambda: import_onnx(large)) < 2.1 * work(lambda: import_onnx(small))


def test_constants_are_padded_at_import(make_model: MakeModel) -> None:
    """What fuzzing found: a pad without a value, of a constant, was an internal error."""
    model = make_model(
        [node("CenterCropPad", ["c", "shape"], ["p"]), node("Add", ["x", "p"], ["y"])],
        {"x": (np.int64, [3])},
        {"y": np.int64},
        {"c": np.array([4], np.int64), "shape": np.array([3], np.int64)},
        opset=18,
    )
    module = import_onnx(model)
    assert not [op for op in module.walk() if op.name == "tensor.pad"]
    assert interpret(module, {"x": np.zeros(3, np.int64)})["y"].tolist() == [0, 4, 0]


def test_same_never_cuts_off(make_model: MakeModel) -> None:
    """Windows shorter than their stride are padded by 0; the first one is at the first element."""
    model = make_model(
        [node("AveragePool", ["x"], ["y"], auto_pad="SAME_UPPER", kernel_shape=[1], strides=[4])],
        {"x": (F32, [1, 1, 4])},
        {"y": F32},
    )
    inputs = {"x": np.arange(4, dtype=F32).reshape(1, 1, 4)}
    assert interpret(import_onnx(model), inputs)["y"].tolist() == [[[0.0]]]
