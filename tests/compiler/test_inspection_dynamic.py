"""Inspecting models whose sizes are not known yet."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

import burnish
from burnish.inspection import inspect_model


def pyramid(depth: int) -> onnx.ModelProto:
    """Poolings with unbound sizes, each half as large, all alive to the end."""
    pools = [
        helper.make_node(
            "MaxPool", [f"v{i}"], [f"v{i + 1}"], kernel_shape=[2, 2], strides=[2, 2], name=f"p{i}"
        )
        for i in range(depth)
    ]
    image = helper.make_tensor_value_info("v0", TensorProto.FLOAT, ["n", 3, "h", "w"])
    outputs = [
        helper.make_tensor_value_info(f"v{i + 1}", TensorProto.FLOAT, None) for i in range(depth)
    ]
    graph = helper.make_graph(pools, "g", [image], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_peak_memory_of_unbound_sizes_says_what_it_depends_on() -> None:
    """The peak was once folded symbolically: nested until Python's recursion limit."""
    found = inspect_model(pyramid(60))
    assert found.peak_bytes == "depends on h, n, w"
    assert found.unbound


def test_what_the_backend_refuses_is_named() -> None:
    """Complex numbers are imported and interpreted, and no C is written for them."""
    x = helper.make_tensor_value_info("x", TensorProto.COMPLEX64, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.COMPLEX64, None)
    node = helper.make_node("Transpose", ["x"], ["y"], name="turn", perm=[0])
    graph = helper.make_graph([node], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found = inspect_model(model, {"n": 4})
    assert "the C backend cannot compile" in found.refused
    assert "c64" in found.refused
    assert not found.compiles
    assert not inspect_model(model).refused  # it needs sizes first


def test_ranges_of_sizes_compile() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Det", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert inspect_model(model, {"n": (1, 4)}).compiles


def test_memory_of_dynamic_inputs_and_outputs_counts() -> None:
    """They were left out once, from limits on RAM too."""
    compiled = burnish.compile(pyramid(1), dims={"n": 1, "h": (2, 8), "w": "2*k", "k": (1, 4)})
    memory = compiled.report.memory
    assert memory is not None
    assert (memory.inputs, memory.outputs) == (3 * 8 * 8 * 4, 3 * 4 * 4 * 4)
