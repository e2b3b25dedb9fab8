"""The definitions of ops agree with ONNX, as onnxruntime and onnx.reference compute it."""

from __future__ import annotations

import numpy as np
import onnx_oracle
import pytest
from op_cases import OpCase, assert_close, cases

from burnish import ir
from burnish.ir.elementwise import ElementwiseOp

CASES = [case for case in cases() if not case.defined_here and case.op in onnx_oracle.EXPORTS]
WITHOUT_ONNX = {"ml.tree_ensemble", "nn.sparse_product", "quant.reinterpret", "tensor.relayout"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    for index, (expected, actual) in enumerate(zip(onnx_oracle.run(case), case.expected())):
        assert_close(*_comparable(case, actual, expected), f"result {index}")


def _comparable(case: OpCase, *arrays: ir.Array) -> list[ir.Array]:
    """Both results, in f32 where ONNX computes no better even for f64.

    ONNX stores attributes in f32, and onnx.reference has some functions in f32 only.
    """
    coarse = case.op in (
        "math.erf",
        "math.gelu",
        "math.gelu_tanh",
        "math.hard_swish",
        "nn.attention",
    )
    attributes = isinstance(case.definition, ElementwiseOp) and bool(case.definition.attributes)
    doubles = arrays[0].dtype == np.float64 and case.op != "math.cast"
    if doubles and (coarse or attributes):
        with np.errstate(over="ignore"):
            return [array.astype(np.float32) for array in arrays]
    return list(arrays)


def test_every_op_has_an_oracle():
    families = ("core", "control")
    ops = {op for op in ir.registry() if op.partition(".")[0] not in families}
    assert ops - onnx_oracle.EXPORTS.keys() == WITHOUT_ONNX
    assert {case.op for case in CASES} == onnx_oracle.EXPORTS.keys()
