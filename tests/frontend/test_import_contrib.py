"""Operators of com.microsoft, one node each, against onnxruntime, which defines them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret, verify
from burnish.ir.errors import ModelError

F32, F16, I32, I64, U8, I8 = np.float32, np.float16, np.int32, np.int64, np.uint8, np.int8


@dataclass
class Case:
    """One node.  ``inputs`` are arrays (None where left out), ``outputs`` those that are wanted.

    ``steps`` is by how much integer results may differ.
    """

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[bool, ...] = (True,)
    constants: tuple[int, ...] = ()
    tolerance: float = 1e-5
    domain: str = "com.microsoft"
    steps: int = 0

    def __str__(self) -> str:
        given = "-".join(f"{key}={value}" for key, value in self.attributes.items())
        return f"{self.op}-{given}"[:70]


def case(op: str, *inputs: Any, outputs: Any = (True,), constants: Any = (), **more: Any) -> Case:
    tolerance, domain = more.pop("tolerance", 1e-5), more.pop("domain", "com.microsoft")
    return Case(op, inputs, more, tuple(outputs), tuple(constants), tolerance, domain)


_RNG = np.random.default_rng(11)


def x(*shape: int, dtype: Any = F32) -> np.ndarray:
    return np.asarray(_RNG.uniform(-2, 2, shape)).astype(dtype)


def k(data: Any, dtype: Any = I64) -> np.ndarray:
    return np.asarray(data, dtype)


def bytes_(*shape: int, dtype: Any = U8) -> np.ndarray:
    info = np.iinfo(dtype)
    return _RNG.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def model_of(case: Case) -> onnx.ModelProto:
    names = ["" if value is None else f"x{i}" for i, value in enumerate(case.inputs)]
    outputs = [f"y{i}" if wanted else "" for i, wanted in enumerate(case.outputs)]
    node = helper.make_node(case.op, names, outputs, domain=case.domain, **case.attributes)
    code = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [node],
        "test",
        [
            helper.make_tensor_value_info(f"x{i}", code(value.dtype), value.shape)
            for i, value in enumerate(case.inputs)
            if value is not None and i not in case.constants
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs if name],
        [numpy_helper.from_array(case.inputs[i], f"x{i}") for i in case.constants],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


FUSED = [
    case("FusedConv", x(1, 2, 6, 6), x(3, 2, 3, 3), x(3), activation="Relu", pads=[1, 1, 1, 1]),
    case("FusedConv", x(1, 2, 5, 5), x(3, 2, 3, 3), x(3), x(1, 3, 3, 3), activation="Relu"),
    case(
        "FusedConv",
        x(1, 2, 5, 5),
        x(3, 2, 3, 3),
        activation="LeakyRelu",
        activation_params=[0.25],
        strides=[2, 2],
    ),
    case(
        "FusedConv",
        x(1, 2, 5, 5),
        x(2, 1, 3, 3),
        activation="Clip",
        activation_params=[-0.5, 0.5],
        group=2,
    ),
    case("FusedConv", x(1, 2, 5, 5), x(2, 2, 1, 1), activation="Sigmoid"),
    case("FusedConv", x(1, 2, 5, 5), x(2, 2, 1, 1), activation="Tanh"),
    case("FusedGemm", x(3, 4), x(5, 4), x(5), activation="Relu", transB=1, alpha=0.5, beta=2.0),
    case("FusedGemm", x(4, 3), x(4, 5), activation="Tanh", transA=1),
    case("FusedGemm", x(3, 4), x(4, 5), x(5), activation="LeakyRelu", activation_alpha=0.2),
    case("FusedMatMul", x(2, 3, 4), x(2, 5, 4), transB=1, alpha=0.125),
    case("FusedMatMul", x(2, 4, 3), x(2, 4, 5), transA=1),
    case("FusedMatMul", x(3, 2, 4), x(2, 4, 5), transBatchA=1),
    case("FusedMatMul", x(3, 2, 4), x(4, 2, 5), transBatchA=1, transBatchB=1),
    case("FusedMatMul", x(4, 2, 3), x(4, 2, 5), transBatchA=1, transBatchB=1, transA=1),
    case("TransposeMatMul", x(4, 3), x(4, 5), transA=1),
    case("Gelu", x(3, 4)),
    case("BiasGelu", x(2, 3, 4), x(4)),
    case("FastGelu", x(2, 3, 4), tolerance=1e-4),
    case("FastGelu", x(2, 3, 4), x(4), tolerance=1e-4),
    case("QuickGelu", x(2, 3, 4)),
    case("QuickGelu", x(2, 3, 4), alpha=1.0),
    case("Trilu", x(2, 4, 4), upper=0),
    case("Trilu", x(2, 4, 4), k(1)),
]

SUMMED = (True, False, False, True)
NORMALIZATIONS = [
    case("SkipLayerNormalization", x(2, 3, 8), x(2, 3, 8), x(8), x(8), x(8), outputs=SUMMED),
    case("SkipLayerNormalization", x(2, 3, 8), x(2, 3, 8), x(8), epsilon=1e-3),
    case("SkipLayerNormalization", x(2, 3, 8), x(1, 3, 8), x(8), x(8)),
    case("SkipLayerNormalization", x(2, 3, 8), x(3, 8), x(8), x(8)),
    case("SkipSimplifiedLayerNormalization", x(2, 3, 8), x(2, 3, 8), x(8), outputs=SUMMED),
    case("SkipSimplifiedLayerNormalization", x(2, 3, 8), x(2, 3, 8), x(8), x(8), epsilon=1e-5),
    case("SimplifiedLayerNormalization", x(2, 3, 8), x(8), domain=""),
    case("SimplifiedLayerNormalization", x(2, 3, 8), x(8), domain="", axis=-1, epsilon=1e-3),
]

WORDS = k([[1, 0, 4], [2, 2, 3]], I32)
TABLES = (x(5, 8), x(6, 8), x(2, 8), x(8), x(8))
EMBEDDINGS = [
    case(
        "EmbedLayerNormalization",
        WORDS,
        k([[0, 1, 1], [0, 0, 1]], I32),
        *TABLES,
        k([[1, 1, 0], [1, 1, 1]], I32),
        outputs=(True, True),
    ),
    case(
        "EmbedLayerNormalization",
        WORDS,
        None,
        *TABLES[:2],
        None,
        *TABLES[3:],
        outputs=(True, True),
    ),
    case(
        "EmbedLayerNormalization",
        WORDS,
        None,
        *TABLES[:2],
        None,
        *TABLES[3:],
        None,
        k([[2, 3, 4], [0, 1, 5]], I32),
        outputs=(True, True, True),
    ),
]

CACHE = (x(10, 4), x(10, 4))
ROTARY = [
    case("RotaryEmbedding", x(2, 3, 16), k([[0, 1, 2], [4, 5, 6]]), *CACHE),
    case("RotaryEmbedding", x(2, 3, 16), k([3]), *CACHE, interleaved=1),
    case("RotaryEmbedding", x(2, 2, 3, 8), k([[0, 1, 2], [4, 5, 6]]), *CACHE),
    case(
        "RotaryEmbedding",
        x(2, 3, 20),
        k([2]),
        *CACHE,
        rotary_embedding_dim=8,
        num_heads=2,
    ),
]

SCALE, ZERO = k(0.05, F32), k(120, U8)
PAIR, SIGNED = (SCALE, ZERO), (k(0.02, F32), k(-3, I8))
RESULT = (k(0.1, F32), k(100, U8))
SIXTEENTH = (k(1 / 256, F32), k(0, U8))
FEW = {"N": 6, "K": 32, "block_size": 16}


def q(op: str, *inputs: Any, **more: Any) -> Case:
    """A case whose quantized result may be off by one: onnxruntime computes with fixed point."""
    made = case(op, *inputs, **more)
    made.steps = 1
    return made


QUANTIZED = [
    q("QLinearAdd", bytes_(2, 3, 4), *PAIR, bytes_(4), *PAIR, *RESULT),
    q("QLinearMul", bytes_(2, 3, 4), *PAIR, bytes_(2, 3, 4), *PAIR, *RESULT),
    q("QLinearAdd", bytes_(3, 4, dtype=I8), *SIGNED, bytes_(3, 4, dtype=I8), *SIGNED, *SIGNED),
    q("QLinearSigmoid", bytes_(3, 5), *PAIR, *SIXTEENTH, constants=(1, 2, 3, 4)),
    q("QLinearLeakyRelu", bytes_(3, 5), *PAIR, *RESULT, alpha=0.2, constants=(1, 2, 3, 4)),
    q(
        "QLinearSoftmax",
        bytes_(3, 5),
        *PAIR,
        *SIXTEENTH,
        opset=13,
        axis=-1,
        constants=(1, 2, 3, 4),
    ),
    q("QLinearGlobalAveragePool", bytes_(1, 3, 4, 5), *PAIR, *RESULT, channels_last=0),
    q("QLinearGlobalAveragePool", bytes_(1, 4, 5, 3), *PAIR, *RESULT, channels_last=1),
    q("QLinearAveragePool", bytes_(1, 3, 6, 6), *PAIR, *RESULT, kernel_shape=[2, 3]),
    q(
        "QLinearAveragePool",
        bytes_(2, 6, 7, 3),
        *PAIR,
        *RESULT,
        kernel_shape=[2, 3],
        strides=[2, 1],
        pads=[0, 1, 1, 1],
        channels_last=1,
    ),
    case("NhwcMaxPool", bytes_(2, 6, 7, 3), kernel_shape=[2, 3], strides=[2, 1]),
    case("NhwcMaxPool", bytes_(1, 5, 4, 2, dtype=I8), kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    q("QLinearConcat", *RESULT, bytes_(2, 3), *PAIR, bytes_(2, 2), k(0.2, F32), ZERO, axis=1),
    q("QuantizeLinear", x(3, 4), SCALE, ZERO),
    q("DequantizeLinear", bytes_(3, 4), SCALE, ZERO),
    q("MatMulIntegerToFloat", bytes_(3, 4), bytes_(4, 5), *(SCALE, SCALE), ZERO, ZERO),
    q(
        "MatMulIntegerToFloat",
        bytes_(3, 4),
        bytes_(4, 5, dtype=I8),
        SCALE,
        np.abs(x(5)),
        ZERO,
        bytes_(5, dtype=I8),
        x(5),
    ),
    q("DynamicQuantizeMatMul", x(3, 8), bytes_(8, 5, dtype=I8), k(0.02, F32), k(1, I8), x(5)),
    q("DynamicQuantizeMatMul", x(3, 8), bytes_(8, 5), np.abs(x(5)), bytes_(5)),
    q("QGemm", bytes_(3, 4), *PAIR, bytes_(4, 5, dtype=I8), *SIGNED, k([9] * 5, I32), *RESULT),
    q("QGemm", bytes_(4, 3), *PAIR, bytes_(5, 4, dtype=I8), *SIGNED, transA=1, transB=1, alpha=0.5),
    q("MatMulNBits", x(2, 3, 32), bytes_(6, 2, 8), np.abs(x(12)), constants=(1, 2), **FEW),
    q(
        "MatMulNBits",
        x(3, 32),
        bytes_(6, 2, 8),
        np.abs(x(12)),
        bytes_(6),
        constants=(1, 2, 3),
        bits=4,
        **FEW,
    ),
    q(
        "MatMulNBits",
        x(3, 40),
        bytes_(6, 3, 8),
        np.abs(x(18)),
        bytes_(12),
        constants=(1, 2, 3),
        bits=4,
        N=6,
        K=40,
        block_size=16,
    ),
]

PROJECTED = (x(2, 3, 8), x(8, 24), x(24))
QKV = (x(2, 3, 8), x(2, 5, 8), x(2, 5, 8))
ATTENTION = [
    case("Attention", *PROJECTED, num_heads=2),
    case("Attention", *PROJECTED, num_heads=2, unidirectional=1),
    case("Attention", *PROJECTED, k([2, 3], I32), num_heads=4),
    case("Attention", *PROJECTED, k([[1, 1, 0], [1, 1, 1]], I32), num_heads=2, scale=0.25),
    case("Attention", *PROJECTED, None, x(2, 2, 2, 4, 4), num_heads=2, outputs=(True, True)),
    case(
        "Attention",
        *PROJECTED,
        None,
        x(2, 2, 2, 4, 4),
        num_heads=2,
        unidirectional=1,
        outputs=(True, True),
    ),
    case("Attention", x(2, 3, 8), x(8, 20), x(20), num_heads=2, qkv_hidden_sizes=[8, 8, 4]),
    case("Attention", *PROJECTED, None, None, x(2, 2, 3, 3), num_heads=2),
    case("MultiHeadAttention", *QKV, num_heads=2),
    case("MultiHeadAttention", *QKV, x(24), num_heads=2),
    case("MultiHeadAttention", *QKV, None, k([[1, 1, 0, 1, 1], [1] * 5], I32), num_heads=2),
    case("MultiHeadAttention", *QKV, None, None, x(2, 2, 3, 5), num_heads=2, scale=0.5),
    case("MultiHeadAttention", *QKV, None, None, x(1, 2, 3, 5), num_heads=2),
    case("MultiHeadAttention", x(2, 3, 8), x(2, 2, 5, 4), x(2, 2, 5, 4), num_heads=2),
    case(
        "MultiHeadAttention",
        *(x(2, 3, 8) for _ in range(3)),
        None,
        None,
        None,
        x(2, 2, 4, 4),
        x(2, 2, 4, 4),
        num_heads=2,
        unidirectional=1,
        outputs=(True, True, True),
    ),
]


@pytest.mark.parametrize(
    "case", [*ATTENTION, *QUANTIZED, *FUSED, *NORMALIZATIONS, *EMBEDDINGS, *ROTARY], ids=str
)
def test_agrees_with_onnxruntime(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("bias", [None, x(24)])
@pytest.mark.parametrize("packed", [2, 3])
def test_packed_heads_are_those_of_separate_inputs(packed: int, bias: Any) -> None:
    """onnxruntime has kernels for these on GPUs only."""
    parts = [x(2, 5, 2, 1, 4) for _ in range(3)]
    apart = [part.reshape(2, 5, 8) for part in parts]
    together = np.concatenate(parts[3 - packed :], axis=3)
    given = [together] if packed == 3 else [apart[0], together, None]
    results = []
    for values in (apart, [*given, *[None] * (3 - len(given))]):
        node = case("MultiHeadAttention", *values, *([] if bias is None else [bias]), num_heads=2)
        module = import_onnx(model_of(node))
        verify(module)
        arrays = {f"x{i}": v for i, v in enumerate(node.inputs) if v is not None}
        results.append(next(iter(interpret(module, arrays).values())))
    np.testing.assert_array_equal(*results)


def test_packed_inputs_of_other_forms_are_named() -> None:
    model = model_of(case("MultiHeadAttention", x(2, 5, 2, 2, 4), num_heads=2))
    with pytest.raises(ModelError, match="does not hold 3 parts"):
        import_onnx(model)


def check(case: Case) -> None:
    model = model_of(case)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {
        f"x{i}": value
        for i, value in enumerate(case.inputs)
        if value is not None and i not in case.constants
    }
    module = import_onnx(model)
    verify(module)
    actual = interpret(module, inputs)
    names = [output.name for output in session.get_outputs()]
    for name, expected in zip(names, session.run(None, inputs), strict=True):
        assert actual[name].dtype == expected.dtype, name
        assert actual[name].shape == expected.shape, name
        found, wanted = actual[name].astype(np.float64), expected.astype(np.float64)
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        allowed = case.steps if expected.dtype.kind in "iu" else case.tolerance * scale
        np.testing.assert_allclose(found, wanted, 0, allowed, err_msg=name)
