"""Which nodes of attention become one op; that they compute the same is ONNX's suite's to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import burnish

SHAPES = {
    "q": (1, 4, 3, 8),
    "k": (1, 2, 5, 8),
    "v": (1, 2, 5, 6),
    "mask": (3, 5),
    "past_k": (1, 2, 2, 8),
    "past_v": (1, 2, 2, 6),
    "q3": (1, 3, 32),
    "k3": (1, 5, 16),
    "v3": (1, 5, 12),
    "cos": (9, 4),
    "cos3": (1, 3, 4),
}
HEADS = {"q_num_heads": 4, "kv_num_heads": 2}


def _model(op: str, inputs: list[str], outputs: int, **attributes: Any) -> Any:
    names = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, inputs, names, **attributes)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPES[name])
        for name in dict.fromkeys(filter(None, inputs))
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph([node], "g", values, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)


CASES = {
    "plain": ("Attention", ["q", "k", "v"], 1, {}),
    "grouped-causal": ("Attention", ["q", "k", "v", "mask"], 1, {"is_causal": 1, "softcap": 2.0}),
    "rank3": ("Attention", ["q3", "k3", "v3"], 1, HEADS),
    "present": ("Attention", ["q3", "k3", "v3"], 3, HEADS),
    "past": ("Attention", ["q", "k", "v", "", "past_k", "past_v"], 3, {"is_causal": 1}),
    "past-rank3": (
        "Attention",
        ["q3", "k3", "v3", "", "past_k", "past_v"],
        3,
        {**HEADS, "is_causal": 1},
    ),
    "rotary": ("RotaryEmbedding", ["q", "cos3", "cos3"], 1, {"interleaved": 1}),
    "rotary-rank3": ("RotaryEmbedding", ["q3", "cos3", "cos3"], 1, {"num_heads": 4}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_node_is_one_op_that_computes_the_same(case: str) -> None:
    op, inputs, outputs, attributes = CASES[case]
    model = _model(op, inputs, outputs, **attributes)
    module = burnish.import_onnx(model)
    kinds = [o.name for o in module.main.walk()]
    assert kinds.count("nn.attention") + kinds.count("nn.rotary_embedding") == 1
    assert not {"nn.softmax", "nn.matmul", "math.sub"} & set(kinds)
    random = np.random.default_rng(0)
    arrays = {i.name: random.standard_normal(SHAPES[i.name]) for i in model.graph.input}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    wanted = ReferenceEvaluator(model).run(None, arrays)
    for found, array in zip(burnish.interpret(module, arrays).values(), wanted, strict=True):
        np.testing.assert_allclose(found, array, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [{"softmax_precision": TensorProto.FLOAT16}, {"scale": 0.0}],
    ids=["narrow-softmax", "no-scale"],
)
def test_what_the_op_does_not_say_is_imported_by_definition(attributes: dict[str, Any]) -> None:
    module = burnish.import_onnx(_model("Attention", ["q", "k", "v"], 1, **attributes))
    kinds = {op.name for op in module.main.walk()}
    assert "nn.attention" not in kinds
    assert {"nn.softmax", "nn.matmul"} <= kinds


def test_outputs_of_scores_are_imported_by_definition() -> None:
    module = burnish.import_onnx(_model("Attention", ["q", "k", "v"], 4))
    assert "nn.softmax" in {op.name for op in module.main.walk()}
