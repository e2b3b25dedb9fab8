"""Real models, optimized and written as ONNX: outputs agree, and nodes are not more.

The models lie outside the repository.  A few small ones are part of the everyday tests.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from burnish import compile as compile_model
from burnish.backends.onnx.files import joined
from burnish.dimensions import dims_from_samples
from burnish.samples import file_beside
from burnish.verification import verify_model

EVERYDAY = [
    "models/digits_cnn/model.onnx",
    "models/digits_gru/model.onnx",
    "models/mlperf_tiny_kws_dscnn/int8.onnx",
    "models/silero_vad_step/model.onnx",
    "zoo/bert_tiny/model.onnx",
    "zoo/shufflenet_v2/model.onnx",
]
STEPS = {"models/mobilenet_v2_imagenet_int8/int8.onnx": 46}
"""Rounding ties grow over 52 layers: onnxruntime's own optimizer moves this one by 46 steps."""


def count_nodes(graph: onnx.GraphProto) -> int:
    """Nodes of a graph and those nested in it, Constant nodes aside."""
    nested = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return sum(node.op_type != "Constant" for node in graph.node) + sum(map(count_nodes, nested))


def check(shared: Path, name: str) -> None:
    path = shared / name
    beside = file_beside(path)
    assert beside is not None
    dims = dims_from_samples(str(path), {}, beside).dims
    compiled = compile_model(path, "onnx", dims=dims)
    before = onnx.load(path, load_external_data=False)
    assert count_nodes(joined(compiled.files).graph) <= count_nodes(before.graph)
    result = verify_model(str(path), "onnx", dims=dims, samples=1, steps=STEPS.get(name, 1))
    assert [c for c in result.comparisons if not c.ok] == []
    assert {c.reference for c in result.comparisons} == {"onnxruntime", "interpreter"}


@pytest.mark.parametrize("name", EVERYDAY)
def test_small_models_survive(shared: Path, name: str) -> None:
    pytest.importorskip("onnxruntime")
    check(shared, name)


@pytest.mark.slow
def test_all_models_survive(shared: Path) -> None:
    pytest.importorskip("onnxruntime")
    paths = sorted([*shared.glob("models/*/*.onnx"), *shared.glob("zoo/*/*.onnx")])
    failed = {}
    for path in paths:
        name = path.relative_to(shared).as_posix()
        try:
            check(shared, name)
        except AssertionError as error:
            failed[name] = str(error)
    assert failed == {}
