"""Every op case, exported: ONNX computes it alike, and importing it again means the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_oracle import REFUSALS
from op_cases import OpCase, assert_close, cases

from burnish import export_onnx, import_onnx, ir
from burnish.backends.onnx.registry import exported_ops
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import UnsupportedError

CASES = cases()

REFUSED = {
    "math.pow-u64-outer": "Pow takes no u64",
    "nn.arg_max_pool-u64": "MaxPool takes no u64",
    "nn.conv-i32": "ONNX convolves floats only",
    "ml.tree_ensemble-f64-max": "a leaf of TreeEnsemble has a column",
    **{case.id: "not constants" for case in CASES if case.op == "nn.sparse_product"},
}
"""What ONNX has no operators for."""

OPSETS = {"nn.region_max_pool": 21}
"""The last opset for which onnxruntime has a kernel; onnx.reference has none."""

SINGLE_PRECISION = {
    *("math.erf", "math.gelu", "math.gelu_tanh", "math.shrink", "nn.attention", "nn.sample"),
}
"""Ops that runtimes compute in f32 even for f64, or have attributes or positions in it."""


def run(case: OpCase, model: onnx.ModelProto) -> list[ir.Array]:
    """By onnxruntime, and what it has no kernel for, or does otherwise than ONNX, by reference."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    inputs = {name: np.asarray(array) for name, array in case.inputs().items()}
    types = [t.dtype for t in (*case.types, *case.result_types()) if t is not None]
    # As PyTorch, onnxruntime moves single elements inside, not positions.
    otherwise = case.op == "nn.sample" and case.attributes["mode"] == "cubic"
    # Its Python interface has no bf16 and nothing below a byte.
    missing = any(
        dtype is ir.DType.BF16 or (dtype.is_integer and dtype.bits < 8) for dtype in types
    )
    if not missing and not otherwise:
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, ["CPUExecutionProvider"]
            )
            return list(session.run(None, inputs))
        except REFUSALS:
            pass
    return list(ReferenceEvaluator(model).run(None, inputs))


LEFT_OPEN = {"nn.attention-nan"}
"""What ONNX leaves open, so that it does not survive."""

EXPORTED = [case for case in CASES if case.id not in REFUSED.keys() | LEFT_OPEN]
DEFINED_BY_ONNX = [case for case in EXPORTED if not case.defined_here]


@pytest.mark.parametrize("name", REFUSED)
def test_what_onnx_cannot_express_is_refused(name: str) -> None:
    (case,) = (case for case in CASES if case.id == name)
    with pytest.raises(UnsupportedError, match=REFUSED[name]):
        export_onnx(case.module())


@pytest.mark.parametrize("case", DEFINED_BY_ONNX, ids=str)
def test_onnx_computes_the_same(case: OpCase) -> None:
    model = export_onnx(case.module(), opset=OPSETS.get(case.op))
    for index, (actual, expected) in enumerate(zip(run(case, model), case.expected())):
        assert_agrees(case, np.asarray(actual), expected, f"result {index}")


def assert_agrees(case: OpCase, actual: ir.Array, expected: ir.Array, what: str) -> None:
    coarse = expected.dtype == np.float64 and case.op in SINGLE_PRECISION
    dtype = np.dtype(np.float32) if coarse else expected.dtype
    with np.errstate(over="ignore"):
        assert_close(actual.astype(dtype, copy=False), expected.astype(dtype, copy=False), what)


@pytest.mark.parametrize("case", EXPORTED, ids=str)
def test_importing_it_again_means_the_same(case: OpCase) -> None:
    again = import_onnx(export_onnx(case.module()))
    found = ir.interpret(again, case.inputs())
    for index, expected in enumerate(case.expected()):
        assert_agrees(case, found[f"y{index}"], expected, f"result {index}")


YOUNG = (
    *("math.gelu", "math.gelu_tanh", "math.hard_swish", "math.mish", "math.silu"),
    *("nn.attention", "nn.group_norm", "nn.layer_norm", "nn.rms_norm", "nn.rotary_embedding"),
)
"""Ops that old opsets have no operator for."""


@pytest.mark.parametrize("case", [case for case in EXPORTED if case.op in YOUNG], ids=str)
def test_old_opsets_mean_the_same(case: OpCase) -> None:
    if any(t is not None and t.dtype.bits < 16 for t in case.types):
        pytest.skip("old opsets lack the element type")
    again = import_onnx(export_onnx(case.module(), opset=13))
    with np.errstate(all="ignore"):
        found = ir.interpret(again, case.inputs())
    for index, expected in enumerate(case.expected()):
        assert_agrees(case, found[f"y{index}"], expected, f"result {index}")


def test_every_op_has_an_exporter() -> None:
    structure = {"core.constant", "core.return", "core.yield"}
    named = {op for op in ir.registry() if not isinstance(ir.lookup(op), ElementwiseOp)}
    assert named - structure <= set(exported_ops())
    assert set(exported_ops()) <= set(ir.registry())
