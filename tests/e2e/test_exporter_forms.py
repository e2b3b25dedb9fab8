"""Forms that exporters write, and what the standard pipeline leaves of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish import import_onnx
from burnish.passes import run_pipeline, standard_pipeline


def left_of(
    nodes: list[onnx.NodeProto],
    shapes: tuple[list[int], list[int]],
    data: dict[str, np.ndarray],
    ir_version: int = 8,
) -> Counter[str]:
    """The ops that are left of a model from ``x`` to ``y``; in IR version 3 weights are inputs."""
    weights = [numpy_helper.from_array(array, name) for name, array in data.items()]
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, shapes[0])]
    if ir_version == 3:
        inputs += [info(w.name, w.data_type, list(w.dims)) for w in weights]
    outputs = [info("y", TensorProto.FLOAT, shapes[1])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 15)]
    module = import_onnx(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version))
    assert module.main.arg_names == ("x",)
    run_pipeline(module, standard_pipeline("onnx"), verify="each")
    return Counter(
        op.name for op in module.walk() if op.name not in ("core.constant", "core.return")
    )


@pytest.mark.parametrize("ir_version", [3, 8])
def test_a_batch_norm_fed_through_expand_and_cast_is_folded(ir_version: int) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Expand", ["two", "shape"], ["e"]),
        node("Cast", ["e"], ["s"], to=TensorProto.FLOAT),
        node("BatchNormalization", ["c", "s", "z", "z", "v"], ["y"]),
    ]
    data = {
        "w": np.ones((4, 3, 3, 3), np.float32),
        "two": np.array([2], np.float16),
        "shape": np.array([4], np.int64),
        "z": np.zeros(4, np.float32),
        "v": np.ones(4, np.float32),
    }
    assert left_of(nodes, ([1, 3, 8, 8], [1, 4, 6, 6]), data, ir_version) == {"nn.conv": 1}


def test_matmul_and_add_are_one_op_at_any_rank() -> None:
    node = helper.make_node
    nodes = [node("MatMul", ["x", "a"], ["m"]), node("Add", ["b", "m"], ["y"])]
    data = {"a": np.ones((8, 4), np.float32), "b": np.ones(4, np.float32)}
    assert left_of(nodes, ([2, 5, 8], [2, 5, 4]), data) == {"nn.matmul": 1}
