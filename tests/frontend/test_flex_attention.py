"""Attention with graphs that modify its scores; ONNX's own suite covers the plain form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret
from burnish.ir.errors import ModelError

F32 = np.float32
MakeModel = Callable[..., onnx.ModelProto]


def modifier(op_type: str, operand: np.ndarray) -> onnx.GraphProto:
    """A graph that combines its input with a constant."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "st"]
    node = helper.make_node(op_type, ["s", "operand"], ["t"])
    constant = numpy_helper.from_array(operand, "operand")
    return helper.make_graph([node], "modifier", values[:1], values[1:], [constant])


def attend(make_model: MakeModel, heads: tuple[int, int], **graphs: Any) -> Any:
    rng = np.random.default_rng(0)
    q = rng.standard_normal((2, heads[0], 3, 8)).astype(F32)
    k, v = rng.standard_normal((2, 2, heads[1], 5, 8)).astype(F32)
    node = helper.make_node(
        "FlexAttention", ["q", "k", "v"], ["y"], domain="ai.onnx.preview", **graphs
    )
    inputs = {"q": q, "k": k, "v": v}
    model = make_model(
        [node], {name: (F32, x.shape) for name, x in inputs.items()}, {"y": None}, opset=26
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.preview", 1))
    return inputs, interpret(import_onnx(model), inputs)["y"]


def test_heads_share_keys_and_both_graphs_act(make_model: MakeModel) -> None:
    bias = np.linspace(-1, 1, 5, dtype=F32)
    graphs = {"score_mod": modifier("Add", bias), "prob_mod": modifier("Mul", F32(0.5))}
    inputs, actual = attend(make_model, (4, 2), **graphs)
    k, v = inputs["k"].repeat(2, axis=1), inputs["v"].repeat(2, axis=1)
    scores = inputs["q"] @ k.transpose(0, 1, 3, 2) / np.sqrt(F32(8)) + bias
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    expected = 0.5 * powers / powers.sum(-1, keepdims=True) @ v
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_heads_that_cannot_be_shared(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="3 heads of queries cannot share 2"):
        attend(make_model, (3, 2))


def test_a_graph_must_keep_the_type(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="graph score_mod must keep the type"):
        attend(make_model, (2, 2), score_mod=modifier("Less", F32(0)))
