"""Single operators, in the forms that their versions have, against onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

F32, F64, I32, I64, U8, I8, BOOL = (
    np.float32,
    np.float64,
    np.int32,
    np.int64,
    np.uint8,
    np.int8,
    np.bool_,
)


@dataclass(frozen=True)
class Given:
    """An input: random (by shape) or given data; at run time, or an initializer."""

    data: Any = None
    shape: tuple[int, ...] = ()
    dtype: Any = F32
    constant: bool = False
    low: float = -2.0
    high: float = 2.0

    def array(self, rng: np.random.Generator) -> np.ndarray:
        if self.data is not None:
            return np.asarray(self.data, self.dtype)
        values = rng.uniform(self.low, self.high, self.shape)
        return (values > 0 if self.dtype is BOOL else values).astype(self.dtype)


def x(*shape: int, dtype: Any = F32, low: float = -2.0, high: float = 2.0) -> Given:
    """Random run-time data."""
    return Given(None, shape, dtype, False, low, high)


def w(*shape: int, dtype: Any = F32) -> Given:
    """Random constant."""
    return Given(None, shape, dtype, True)


def k(data: Any, dtype: Any = I64) -> Given:
    """A given constant."""
    return Given(data, (), dtype, True)


def d(data: Any, dtype: Any = F32) -> Given:
    """Given run-time data."""
    return Given(data, (), dtype)


@dataclass
class Case:
    """One node; ``outputs`` are how many it has, or their names ("" for one left out)."""

    op: str
    inputs: tuple[Given | None, ...]
    opset: int
    outputs: int
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = "-".join(f"{key}={value}" for key, value in self.attributes.items())
        return f"{self.op}-{self.opset}-{given}"[:60]


def case(
    op: str, *inputs: Given | None, opset: int = 18, outputs: int = 1, **attributes: Any
) -> Case:
    return Case(op, inputs, opset, outputs, attributes)


INF, NAN = float("inf"), float("nan")
UNARY_FLOAT = (
    "Abs Atan Ceil Cos Erf Exp Floor HardSigmoid HardSwish LeakyRelu Elu Selu Celu Mish Neg Relu "
    "Round Sigmoid Sign Sin Sinh Cosh Softplus Softsign Tan Tanh Reciprocal Asinh "
    "ThresholdedRelu Shrink IsNaN IsInf Identity"
)
BINARY_FLOAT = "Add Sub Mul Div Less LessOrEqual Greater GreaterOrEqual Equal PRelu Max Min Pow"
REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"

ELEMENTWISE = [
    *(case(op, x(3, 4)) for op in UNARY_FLOAT.split()),
    *(case(op, x(3, 4, low=0.1, high=0.9)) for op in ["Acos", "Asin", "Atanh", "Log", "Sqrt"]),
    case("Acosh", x(3, 4, low=1.1, high=3)),
    *(case(op, x(2, 3, 4, low=0.1), x(3, 1, low=0.1)) for op in BINARY_FLOAT.split()),
    *(
        case(op, x(4, dtype=I32, low=-9, high=9), d([2, 3, 4, 7], I32))
        for op in ["Add", "Sub", "Mul", "Div", "Less", "Equal", "Max", "Min"]
    ),
    *(case(op, x(3, 4, dtype=BOOL), x(4, dtype=BOOL)) for op in ["And", "Or", "Xor", "Equal"]),
    case("Not", x(3, 4, dtype=BOOL)),
    case("IsInf", d([1, INF, -INF, NAN]), detect_negative=0),
    case("IsInf", d([1, INF, -INF, NAN]), detect_positive=0),
    case("IsNaN", d([1, INF, -INF, NAN])),
    case("Gelu", x(3, 4), opset=20),
    case("Gelu", x(3, 4), opset=20, approximate="tanh"),
    case("Max", x(3), opset=12),
    case("Max", x(3), x(2, 3), x(2, 1)),
    case("Min", x(3), x(3), x(3)),
    case("Sum", x(3), x(2, 3), x(2, 1)),
    case("Mean", x(3), x(2, 3), x(2, 1)),
    case("Pow", x(4, low=0), d([1, 2, 3, 0], I64)),
    case("Pow", d([1, 2, 3, 4], I32), k(2.0, F32)),
    case("Pow", d([1, 2, 3, 4], I64), k(3, I64)),
    case("Mod", d([-7, 7, -7, 7], I32), d([3, -3, -3, 3], I32)),
    case("Mod", d([-7, 7, -7, 7], I32), d([3, -3, -3, 3], I32), fmod=1),
    case("Mod", d([-7.5, 7.5]), d([2, 2]), fmod=1),
    case("BitShift", d([1, 2, 64], U8), d([1, 3, 2], U8), direction="LEFT"),
    case("BitShift", d([1, 2, 64], U8), d([1, 3, 2], U8), direction="RIGHT"),
    case("BitwiseAnd", d([5, 6], I32), d([3, 3], I32)),
    case("BitwiseNot", d([5, 6], I32)),
    case("Where", x(3, 1, dtype=BOOL), x(3, 4), x(4)),
    case("Clip", x(3, 4), opset=10, min=-0.5, max=0.5),
    case("Clip", x(3, 4), opset=10, max=0.5),
    case("Clip", x(3, 4), k(-0.5, F32), k(0.5, F32), opset=11),
    case("Clip", x(3, 4), None, k(0.5, F32)),
    case("Clip", x(3, 4), d(-0.5), d(0.5)),
    case("Clip", x(3, 4)),
    case("Clip", d([1, 5, 9], I32), k(2, I32), k(7, I32)),
    case("PRelu", x(2, 3, 4), w(3, 1)),
    case("Cast", x(3, 4), to=onnx.TensorProto.INT32),
    case("Cast", x(3, 4), to=onnx.TensorProto.BOOL),
    case("Cast", d([0, 1, 2], I64), to=onnx.TensorProto.FLOAT),
    case("Cast", x(3, 4), to=onnx.TensorProto.FLOAT16),
    case("CastLike", x(3, 4), d([1], I64)),
    case("Dropout", x(3, 4), outputs=2),
    case("Dropout", x(3, 4), opset=10, ratio=0.3),
    case("HardSigmoid", x(3, 4), alpha=0.3, beta=0.4),
]

REDUCE = [
    *(case(f"Reduce{op}", x(2, 3, 4, low=0.1), opset=11, axes=[1]) for op in REDUCTIONS.split()),
    *(
        case(f"Reduce{op}", x(2, 3, 4, low=0.1), k([-1, 0]), keepdims=0)
        for op in REDUCTIONS.split()
    ),
    case("ReduceSum", x(2, 3, 4), k([1]), opset=13),
    case("ReduceSum", x(2, 3, 4), opset=13),
    case("ReduceSum", x(2, 3, 4), k([], I64), noop_with_empty_axes=1, opset=13),
    case("ReduceL1", x(2, 3), noop_with_empty_axes=1, opset=18),
    case("ReduceSumSquare", x(2, 3), k([], I64), noop_with_empty_axes=1, opset=18),
    case("ReduceSum", x(2, 3, 4), k([], I64), opset=13),
    case("ReduceLogSumExp", d([[1000, 1000], [-INF, -INF], [INF, 1]]), k([1])),
    case("ReduceMean", x(2, 3), opset=11),
    case("ArgMax", d([[1, 3, 3], [2, 2, 1]]), axis=1),
    case("ArgMax", d([[1, 3, 3], [2, 2, 1]]), axis=-1, keepdims=0, select_last_index=1),
    case("ArgMin", x(3, 4)),
    *(
        case(op, x(2, 3, 4), opset=11, axis=axis)
        for op in ("Softmax", "LogSoftmax", "Hardmax")
        for axis in (0, 1, 2)
    ),
    *(
        case(op, x(2, 3, 4), opset=13, **attributes)
        for op in ("Softmax", "LogSoftmax", "Hardmax")
        for attributes in ({}, {"axis": 1})
    ),
    case("CumSum", x(3, 4), k(1)),
    case("CumSum", x(3, 4), k([0]), exclusive=1, reverse=1),
    case("TopK", x(3, 8), opset=9, outputs=2, k=3),
    case("TopK", x(3, 8), k([3]), outputs=2, axis=0, largest=0),
]

SHAPES = [
    case("Reshape", x(2, 3, 4), k([0, -1])),
    case("Reshape", x(2, 3, 4), k([4, 6])),
    case("Reshape", x(0, 3), k([3, 0]), allowzero=1),
    case("Reshape", x(1), k([], I64)),
    case("Flatten", x(2, 3, 4)),
    case("Flatten", x(2, 3, 4), axis=0),
    case("Flatten", x(2, 3, 4), axis=-1),
    case("Flatten", x(2, 3), axis=2),
    case("Squeeze", x(1, 3, 1), opset=11, axes=[0]),
    case("Squeeze", x(1, 3, 1), opset=11),
    case("Squeeze", x(1, 3, 1), k([-1])),
    case("Squeeze", x(1, 3, 1)),
    case("Unsqueeze", x(3), opset=11, axes=[0, 2]),
    case("Unsqueeze", x(3), k([-1, 0])),
    case("Expand", x(3, 1), k([2, 1, 4])),
    case("Expand", x(3, 4), k([1, 1])),
    case("Shape", x(2, 3, 4)),
    case("Shape", x(2, 3, 4), start=1),
    case("Shape", x(2, 3, 4), end=-1),
    case("Size", x(2, 3)),
    case("ConstantOfShape", k([2, 3])),
    case(
        "ConstantOfShape",
        k([2, 3]),
        value=helper.make_tensor("v", onnx.TensorProto.INT64, [1], [7]),
    ),
    case("Range", k(1, I64), k(10, I64), k(3, I64)),
    case("Range", k(2.5, F32), k(0.0, F32), k(-0.5, F32)),
    case("Transpose", x(2, 3, 4)),
    case("Transpose", x(2, 3, 4), perm=[1, 0, 2]),
    case("Concat", x(2, 3), x(2, 1), axis=1),
    case("Concat", x(2, 3), x(1, 3), axis=-2),
    case("Split", x(6, 2), opset=11, outputs=3),
    case("Split", x(6, 2), opset=11, outputs=2, split=[2, 4]),
    case("Split", x(6, 2), k([1, 5]), opset=13, outputs=2),
    case("Split", x(7, 2), outputs=3, num_outputs=3),
    case("Split", x(2, 6), outputs=2, axis=-1, num_outputs=2),
    case("Slice", x(5, 6), opset=9, starts=[1, -3], ends=[3, 9999], axes=[0, 1]),
    case("Slice", x(5, 6), k([1]), k([-1])),
    case("Slice", x(5, 6), k([4, 0]), k([-9999, 6]), k([0, 1]), k([-2, 3])),
    case("Slice", x(5, 6), k([4]), k([2])),
    case("Slice", x(5), k([-9]), k([-8]), k([0]), k([-1])),
    case("Slice", x(5), k([-2]), k([2**63 - 1]), k([-1])),
    case("Tile", x(2, 3), k([2, 1])),
    case("Tile", x(2, 3), k([1, 1])),
    case("Pad", x(2, 3), opset=10, pads=[0, 1, 1, 0], value=1.5),
    case("Pad", x(2, 3), k([0, 1, 1, 0]), k(2.5, F32), opset=13),
    case("Pad", x(3, 4), k([1, 2, 2, 1]), mode="reflect"),
    case("Pad", x(3, 4), k([1, 2, 2, 1]), mode="edge"),
    case("Pad", x(3, 4), k([1, 2, 2, 1]), opset=19, mode="wrap"),
    case("Pad", x(3, 4), k([-1, 2, 0, -2])),
    case("Pad", x(3, 4), k([1, 1]), None, k([1])),
    case("DepthToSpace", x(1, 8, 2, 3), blocksize=2),
    case("DepthToSpace", x(1, 8, 2, 3), blocksize=2, mode="CRD"),
    case("SpaceToDepth", x(1, 2, 4, 6), blocksize=2),
    case("Trilu", x(2, 3, 4)),
    case("Trilu", x(3, 4), k(1), upper=0),
    case("Trilu", x(3, 4), d(-1, I64)),
    case("EyeLike", x(3, 4), k=1),
    case("EyeLike", x(3, 4), dtype=onnx.TensorProto.INT32),
    case("ReverseSequence", x(4, 3), d([1, 2, 4], I64), time_axis=0, batch_axis=1),
]

INDEXING = [
    case("Gather", x(4, 3), d([[0, -1], [2, 1]], I64)),
    case("Gather", x(4, 3), k(1), axis=1),
    case("GatherElements", x(3, 3), d([[0, 1, -1]], I64)),
    case("GatherElements", x(3, 3), d([[0], [2], [1]], I64), axis=1),
    case("GatherND", x(2, 3, 4), d([[0, 1], [1, 2]], I64)),
    case("GatherND", x(2, 3, 4), d([[1], [2]], I64), batch_dims=1),
    case("Scatter", x(3, 3), d([[0, 2, 1]], I64), x(1, 3), opset=9),
    case("ScatterElements", x(3, 3), d([[0, 2, 1]], I64), x(1, 3)),
    case("ScatterElements", x(3, 3), d([[0, 0, -1]], I64), x(1, 3), axis=1, reduction="add"),
    case("ScatterND", x(4, 3), d([[3], [0]], I64), x(2, 3)),
    case("ScatterND", x(4, 3), d([[3], [3]], I64), x(2, 3), reduction="mul"),
    case("OneHot", d([0, 2, -1, 5], I64), k(3), k([0.0, 1.0], F32)),
    case("OneHot", d([[0, 2]], I64), k([4]), k([5, 7], I64), axis=0),
    case("Compress", x(3, 2), k([True, False, True], BOOL), axis=0),
    case("Compress", x(3, 2), k([False, True, False, True], BOOL)),
]

MATRICES = [
    case("MatMul", x(3, 4), x(4, 5)),
    case("MatMul", x(2, 1, 3, 4), x(5, 4, 2)),
    case("MatMul", x(4), x(4, 5)),
    case("MatMul", x(2, 3, 4), x(4)),
    case("MatMul", x(4), x(4)),
    case("MatMul", x(2, 3, dtype=I32, high=9), x(3, 2, dtype=I32, high=9)),
    case("Gemm", x(3, 4), x(4, 5), x(5)),
    case("Gemm", x(4, 3), x(5, 4), transA=1, transB=1, alpha=0.5),
    case("Gemm", x(3, 4), x(4, 5), x(3, 1), alpha=2.0, beta=0.25),
    case("Gemm", x(3, 4), x(4, 5), x(1), beta=0.0),
    case("Gemm", x(3, 4), x(4, 5), x(3, 5), beta=3.0),
    case(
        "MatMulInteger",
        x(3, 4, dtype=U8, low=0, high=255),
        x(4, 2, dtype=I8, low=-99, high=99),
        d(7, U8),
        d(3, I8),
    ),
    case("MatMulInteger", x(3, 4, dtype=U8, low=0, high=255), x(4, 2, dtype=U8, low=0, high=99)),
    case("Einsum", x(2, 3), x(3, 4), equation="ij,jk->ik"),
    case("Einsum", x(2, 3), x(3, 4), equation="ij,jk"),
    case("Einsum", x(2, 5, 3), x(2, 3, 4), equation="bij,bjk->bik"),
    case("Einsum", x(3, 4), equation="ij->ji"),
    case("Einsum", x(3, 4), equation="ij->i"),
    case("Einsum", x(2, 3, 3), equation="...ii->...i"),
    case("Einsum", x(3, 3), equation="ii"),
    case("Einsum", x(3, 2, 3, 3), x(2, 4), equation="ijii,jk->ki"),
    case("Einsum", x(2, 3, 4), x(2, 5, 4), equation="b i d, b j d -> b i j"),
    case("Einsum", x(2, 3, 4), x(4, 5), equation="...i,ij->...j"),
    case("Einsum", x(3), x(4), equation="i,j->ij"),
    case("Einsum", x(2, 3, 4, 5), x(2, 6, 4, 5), equation="bqhd,bkhd->bhqk"),
    case("Einsum", x(2, 3), x(3, 4), x(4, 2), equation="ij,jk,ki->i"),
]

IMAGE = (1, 3, 9, 8)
WINDOWS = [
    case("Conv", x(*IMAGE), w(4, 3, 3, 3)),
    case("Conv", x(*IMAGE), w(4, 3, 3, 3), w(4), pads=[1, 0, 2, 1], strides=[2, 3]),
    case("Conv", x(1, 4, 9, 8), w(8, 1, 3, 2), group=4, dilations=[2, 2]),
    case("Conv", x(1, 2, 9), w(3, 2, 4), strides=[2]),
    case("Conv", x(1, 2, 5, 6, 7), w(3, 2, 2, 2, 2)),
    *(
        case("Conv", x(*IMAGE), w(4, 3, 3, 2), auto_pad=auto, strides=[2, 2])
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ),
    case("Conv", x(*IMAGE), x(4, 3, 3, 2)),
    case("ConvTranspose", x(1, 3, 4, 5), w(3, 2, 3, 3)),
    case(
        "ConvTranspose",
        x(1, 3, 4, 5),
        w(3, 2, 3, 3),
        w(2),
        strides=[2, 3],
        pads=[1, 0, 1, 2],
        output_padding=[1, 2],
    ),
    case("ConvTranspose", x(1, 4, 4, 5), w(4, 2, 3, 3), group=2, dilations=[2, 1]),
    case("ConvTranspose", x(1, 3, 4, 5), w(3, 2, 3, 3), strides=[2, 2], output_shape=[9, 10]),
    case("ConvTranspose", x(1, 3, 4, 5), w(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", x(1, 3, 4, 5), w(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case(
        "ConvInteger",
        x(1, 2, 5, 5, dtype=U8, low=0, high=255),
        w(3, 2, 3, 3, dtype=U8),
        d(5, U8),
        pads=[1, 1, 1, 1],
    ),
    case("MaxPool", x(*IMAGE), kernel_shape=[3, 2]),
    case("MaxPool", x(*IMAGE), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", x(*IMAGE), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("MaxPool", x(*IMAGE), kernel_shape=[2, 2], dilations=[2, 3]),
    case("MaxPool", x(1, 3, 7), kernel_shape=[3], strides=[3], ceil_mode=1, pads=[1, 1]),
    case("MaxPool", x(*IMAGE), kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1),
    *(
        case(op, x(*IMAGE), kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto)
        for op in ("MaxPool", "AveragePool")
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ),
    case("AveragePool", x(*IMAGE), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    case(
        "AveragePool",
        x(*IMAGE),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        strides=[2, 2],
        count_include_pad=1,
    ),
    case("AveragePool", x(*IMAGE), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, opset=19),
    case(
        "AveragePool",
        x(*IMAGE),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        strides=[3, 3],
        ceil_mode=1,
        count_include_pad=1,
        opset=19,
    ),
    case("AveragePool", x(*IMAGE), kernel_shape=[2, 2], dilations=[2, 2], opset=19),
    case("LpPool", x(*IMAGE), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    case("LpPool", x(*IMAGE), kernel_shape=[2, 3], p=3),
    case("LpPool", x(*IMAGE), kernel_shape=[2, 2], p=1),
    case("GlobalAveragePool", x(*IMAGE)),
    case("GlobalMaxPool", x(1, 2, 5)),
    case("GlobalLpPool", x(*IMAGE), p=3),
    case("Upsample", x(1, 2, 3, 3), opset=8, scales=[1.0, 1.0, 2.0, 3.0]),
    case("Upsample", x(1, 2, 3, 3), k([1, 1, 2, 2], F32), opset=9, mode="linear"),
    case("Resize", x(1, 2, 3, 3), k([1, 1, 2, 2], F32), opset=10),
    case("Resize", x(1, 2, 5, 7), k([1, 1, 0.6, 0.4], F32), opset=10),
    case("Resize", x(1, 2, 5, 7), k([1, 1, 0.6, 0.4], F32), opset=10, mode="linear"),
    *(
        case(
            "Resize",
            x(1, 2, 5, 4),
            None,
            k([1, 1, 1.7, 2.5], F32),
            opset=13,
            mode=mode,
            coordinate_transformation_mode=c,
        )
        for mode in ("nearest", "linear", "cubic")
        for c in ("half_pixel", "pytorch_half_pixel", "asymmetric")
    ),
    case(
        "Resize",
        x(1, 2, 5, 4),
        None,
        None,
        k([1, 2, 9, 3]),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
    *(
        case("Resize", x(1, 2, 5, 4), None, None, k([1, 2, 9, 3]), nearest_mode=mode)
        for mode in ("floor", "ceil", "round_prefer_ceil")
    ),
    case(
        "Resize",
        x(1, 2, 5, 4),
        None,
        None,
        k([9, 3]),
        axes=[2, 3],
        mode="cubic",
        cubic_coeff_a=-0.5,
        exclude_outside=1,
    ),
    case(
        "Resize",
        x(1, 2, 5, 4),
        None,
        None,
        k([7, 9]),
        axes=[2, 3],
        keep_aspect_ratio_policy="not_larger",
    ),
    case("Resize", x(1, 2, 5, 4), None, None, k([3, 2]), axes=[2, 3], mode="linear", antialias=1),
    case(
        "Resize",
        x(1, 1, 4, 4),
        k([0, 0, 0.4, 0.6, 1, 1, 0.8, 1.1], F32),
        None,
        k([1, 1, 3, 3]),
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=10.0,
    ),
]

NORMS = [
    case("BatchNormalization", x(2, 3, 4, 5), w(3), w(3), w(3), k([0.5, 1, 2], F32)),
    case(
        "BatchNormalization", x(2, 3), w(3), w(3), w(3), k([0.5, 1, 2], F32), opset=9, epsilon=0.1
    ),
    case("InstanceNormalization", x(2, 3, 4, 5), w(3), w(3)),
    case("LayerNormalization", x(2, 3, 4), w(4), w(4)),
    case("LayerNormalization", x(2, 3, 4), w(3, 4), axis=1),
    case("LayerNormalization", x(2, 3, 4), w(4), outputs=3),
    case("GroupNormalization", x(2, 6, 4), w(6), w(6), opset=21, num_groups=3),
    case("MeanVarianceNormalization", x(2, 3, 4, 5), opset=13),
    case("MeanVarianceNormalization", x(2, 3, 4, 5), opset=13, axes=[1]),
    case("LpNormalization", x(3, 4)),
    case("LpNormalization", d([[1, 2], [0, 0]]), p=1, axis=1),
    case("LRN", x(1, 7, 3, 3), size=3),
    case("LRN", x(1, 7, 3, 3), size=5, alpha=0.5, beta=0.6, bias=2.0),
]


def recurrent(op: str, gates: int, **attributes: Any) -> Case:
    """A recurrent layer with all inputs that it commonly has; 2 outputs, 3 of an LSTM."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    first = attributes.get("layout", 0)
    data = (2, 5, 3) if first else (5, 2, 3)
    state = (2, directions, 4) if first else (directions, 2, 4)
    states = [x(*state)] * (2 if op == "LSTM" else 1)
    return case(
        op,
        x(*data),
        w(directions, gates * 4, 3),
        w(directions, gates * 4, 4),
        w(directions, gates * 8),
        None if first else d([5, 3], I32),
        *states,
        outputs=3 if op == "LSTM" else 2,
        opset=14,
        hidden_size=4,
        **attributes,
    )


RECURRENT = [
    *(
        recurrent(op, gates, direction=direction)
        for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1))
        for direction in ("forward", "reverse", "bidirectional")
    ),
    recurrent("GRU", 3, linear_before_reset=1),
    recurrent("RNN", 1, activations=["Relu"], clip=0.7),
    case("LSTM", x(5, 2, 3), w(1, 16, 3), w(1, 16, 4), outputs=1, hidden_size=4),
    case(
        "LSTM",
        x(5, 2, 3),
        w(1, 16, 3),
        w(1, 16, 4),
        w(1, 32),
        None,
        None,
        None,
        w(1, 12),
        outputs=3,
        hidden_size=4,
    ),
]

ALL = [*ELEMENTWISE, *REDUCE, *SHAPES, *INDEXING, *MATRICES, *WINDOWS, *NORMS, *RECURRENT]


@pytest.mark.parametrize("given", ALL, ids=[f"{i}-{c}" for i, c in enumerate(ALL)])
def test_operator_agrees_with_onnxruntime(
    given: Case, make_model: Callable[..., onnx.ModelProto], agree: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(len(str(given)))
    arrays = [None if g is None else g.array(rng) for g in given.inputs]
    names = ["" if a is None else f"in{i}" for i, a in enumerate(arrays)]
    outputs = [f"out{i}" for i in range(given.outputs)]
    while names and not names[-1]:
        names.pop()
    model = make_model(
        [helper.make_node(given.op, names, outputs, **given.attributes)],
        {
            f"in{i}": (a.dtype, a.shape)
            for i, (a, g) in enumerate(zip(arrays, given.inputs, strict=True))
            if a is not None and g is not None and not g.constant
        },
        dict.fromkeys(outputs),
        {
            f"in{i}": a
            for i, (a, g) in enumerate(zip(arrays, given.inputs, strict=True))
            if a is not None and g is not None and g.constant
        },
        given.opset,
    )
    inputs = {
        f"in{i}": a
        for i, (a, g) in enumerate(zip(arrays, given.inputs, strict=True))
        if a is not None and g is not None and not g.constant
    }
    agree(model, inputs, tolerance=1e-3 if given.attributes.get("to") == 10 else 2e-6)
