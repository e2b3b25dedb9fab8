"""Relay's operators, as data: operands, attributes, and how the type of the result follows.

One line each.  Attributes are written as ``name: kind = default``; without a default they must
be given, and with ``?`` behind the kind they may be None.  ``key`` names the type of the
attributes where the text must say it.  Facts are of the releases 0.10 and 0.19.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from . import type_rules as rules
from . import window_rules as windows
from .type_rules import Rule

VERSIONS = ("0.10", "0.19")
"""The releases whose forms of operators are known, oldest first."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A declared attribute; ``kind`` is bool, int, float, ints, floats, pairs or str."""

    name: str
    kind: str
    required: bool
    nullable: bool = False
    default: object = None


@dataclass(frozen=True)
class Operator:
    """An operator: the number of operands, the type rule, and the attributes.

    ``versions`` are the releases that have this form of it.
    """

    operands: int
    rule: Rule
    declared: str = ""
    key: str = ""
    versions: tuple[str, ...] = VERSIONS

    @cached_property
    def attributes(self) -> Mapping[str, Attribute]:
        parsed = map(_attribute, filter(None, self.declared.split("; ")))
        return {attribute.name: attribute for attribute in parsed}


def _attribute(text: str) -> Attribute:
    name, _, rest = text.partition(": ")
    kind, equals, default = rest.partition(" = ")
    value = ast.literal_eval(default) if equals else None
    return Attribute(
        name, kind.removesuffix("?"), not equals, kind.endswith("?") or value is None, value
    )


_REDUCE = "axis: ints = None; keepdims: bool = False; exclude: bool = False"
_ARG_REDUCE = (
    "axis: ints = None; keepdims: bool = False; select_last_index: bool = False; "
    "exclude: bool = False"
)
_SCAN = "axis: int = None; dtype: str = ''; exclusive: bool = False"
_SORT = "axis: int = -1; is_ascend: bool = True; dtype: str = ''"
_INIT = "shape: ints?; dtype: str = ''"


def _conv(layout: str, spatial: int) -> str:
    ones, zeros = [1] * spatial, [0] * spatial
    return (
        f"strides: ints = {ones}; padding: ints = {zeros}; dilation: ints = {ones}; "
        "groups: int = 1; channels: int = None; kernel_size: ints = None; "
        f"data_layout: str = 'NC{layout}'; kernel_layout: str = 'OI{layout}'; "
        "out_layout: str = ''; out_dtype: str = ''"
    )


def _deconv(layout: str, spatial: int) -> str:
    return f"{_conv(layout, spatial)}; output_padding: ints = {[0] * spatial}"


def _pool(layout: str, spatial: int, more: str = "") -> str:
    ones, zeros = [1] * spatial, [0] * spatial
    return (
        f"pool_size: ints; strides: ints = {ones}; dilation: ints = {ones}; "
        f"padding: ints = {zeros}; layout: str = 'NC{layout}'; out_layout: str = ''; "
        f"ceil_mode: bool = False{more}"
    )


_AVERAGE = "; count_include_pad: bool = False"


def _resize(layout: str) -> str:
    return (
        f"size: ints = None; roi: floats = None; layout: str = 'NC{layout}'; "
        "method: str = 'linear'; coordinate_transformation_mode: str = 'half_pixel'; "
        "rounding_method: str = 'round'; cubic_alpha: float = -0.5; cubic_exclude: int = 0; "
        "extrapolation_value: float = 0.0; out_dtype: str = ''"
    )


_FLOAT_UNARY = (
    *("exp", "log", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh"),
    *("tanh", "asinh", "acosh", "atanh", "erf", "sigmoid", "floor", "ceil", "round", "trunc"),
)
_UNARY = ("abs", "negative", "sign", "nn.relu", "copy", "annotation.stop_fusion")
_BINARY = (
    *("add", "subtract", "multiply", "divide", "power", "mod", "floor_mod", "trunc_mod"),
    *("maximum", "minimum"),
)
_BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
_LOGICAL = ("logical_and", "logical_or", "logical_xor")

OPERATORS: Mapping[str, tuple[Operator, ...]] = {
    **{name: (Operator(1, rules.same_float),) for name in _FLOAT_UNARY},
    **{name: (Operator(1, rules.same),) for name in _UNARY},
    **{name: (Operator(2, rules.broadcast),) for name in _BINARY},
    **{name: (Operator(2, rules.broadcast_integer),) for name in _BITWISE},
    **{name: (Operator(2, rules.comparison),) for name in _COMPARISONS},
    **{name: (Operator(2, rules.logical),) for name in _LOGICAL},
    "logical_not": (Operator(1, rules.same_bool),),
    "bitwise_not": (Operator(1, rules.same_integer),),
    "isnan": (Operator(1, rules.test),),
    "isinf": (Operator(1, rules.test),),
    "where": (Operator(3, rules.where),),
    "clip": (Operator(1, rules.same, "a_min: float; a_max: float"),),
    "nn.leaky_relu": (Operator(1, rules.same_float, "alpha: float = 0.25"),),
    "cast": (Operator(1, rules.cast, "dtype: str"),),
    "reinterpret": (Operator(1, rules.reinterpret, "dtype: str"),),
    "sum": (Operator(1, rules.reduce, _REDUCE),),
    "mean": (Operator(1, rules.reduce, _REDUCE),),
    "prod": (Operator(1, rules.reduce, _REDUCE),),
    "max": (Operator(1, rules.reduce, _REDUCE),),
    "min": (Operator(1, rules.reduce, _REDUCE),),
    "all": (Operator(1, rules.reduce_bool, _REDUCE),),
    "any": (Operator(1, rules.reduce_bool, _REDUCE),),
    "argmax": (Operator(1, rules.arg_reduce, _ARG_REDUCE),),
    "argmin": (Operator(1, rules.arg_reduce, _ARG_REDUCE),),
    "cumsum": (Operator(1, rules.scan, _SCAN, key="ScanopAttrs"),),
    "cumprod": (Operator(1, rules.scan, _SCAN, key="ScanopAttrs"),),
    "sort": (Operator(1, rules.sort, _SORT),),
    "argsort": (Operator(1, rules.argsort, _SORT),),
    "topk": (
        Operator(
            1,
            rules.topk,
            "k: int; axis: int = -1; ret_type: str = 'both'; is_ascend: bool = False; "
            "dtype: str = ''",
        ),
    ),
    "reshape": (Operator(1, rules.reshape, "newshape: ints; allowzero: bool = False"),),
    "transpose": (Operator(1, rules.transpose, "axes: ints"),),
    "broadcast_to": (
        Operator(1, rules.broadcast_to, _INIT, key="InitOpAttrs", versions=("0.10",)),
        Operator(1, rules.broadcast_to, _INIT, versions=("0.19",)),
    ),
    "zeros": (Operator(0, rules.filled, "shape: ints; dtype: str"),),
    "full": (Operator(1, rules.filled, "shape: ints; dtype: str"),),
    "tile": (Operator(1, rules.tile, "reps: ints"),),
    "concatenate": (Operator(1, rules.concatenate, "axis: int = 0"),),
    "split": (Operator(1, rules.split, "indices_or_sections: ints; axis: int = 0"),),
    "strided_slice": (
        Operator(
            1,
            rules.strided_slice,
            "begin: ints; end: ints; strides: ints; slice_mode: str = 'end'; axes: ints?",
        ),
    ),
    "reverse": (Operator(1, rules.same, "axis: int"),),
    "reverse_sequence": (
        Operator(2, rules.reverse_sequence, "seq_axis: int = 1; batch_axis: int = 0"),
    ),
    "take": (Operator(2, rules.take, "batch_dims: int = 0; axis: int = None; mode: str = 'clip'"),),
    "gather": (Operator(2, rules.gather, "axis: int"),),
    "gather_nd": (Operator(2, rules.gather_nd, "batch_dims: int = 0; index_rank: int = None"),),
    "scatter": (Operator(3, rules.scatter, "axis: int", key="ScatterAttrs", versions=("0.10",)),),
    "scatter_add": (
        Operator(3, rules.scatter, "axis: int", key="ScatterAddAttrs", versions=("0.10",)),
    ),
    "scatter_elements": (
        Operator(
            3,
            rules.scatter,
            "axis: int = 0; reduction: str = 'update'",
            key="ScatterElementsAttrs",
            versions=("0.19",),
        ),
    ),
    "scatter_nd": (Operator(3, rules.scatter_nd, "mode: str = 'update'", key="ScatterNDAttrs"),),
    "nn.pad": (Operator(2, rules.pad, "pad_width: pairs; pad_mode: str = 'constant'"),),
    "nn.conv1d": (Operator(2, windows.conv, _conv("W", 1)),),
    "nn.conv2d": (Operator(2, windows.conv, _conv("HW", 2)),),
    "nn.conv3d": (Operator(2, windows.conv, _conv("DHW", 3)),),
    "nn.contrib_conv2d_NCHWc": (Operator(2, windows.conv, _conv("HW", 2)),),
    "nn.contrib_depthwise_conv2d_NCHWc": (Operator(2, windows.conv, _conv("HW", 2)),),
    "nn.conv1d_transpose": (Operator(2, windows.deconv, _deconv("W", 1)),),
    "nn.conv2d_transpose": (Operator(2, windows.deconv, _deconv("HW", 2)),),
    "nn.conv3d_transpose": (Operator(2, windows.deconv, _deconv("DHW", 3)),),
    "nn.bias_add": (Operator(2, rules.bias_add, "axis: int = 1"),),
    "nn.dense": (Operator(2, rules.dense, "units: int; out_dtype: str = ''"),),
    "nn.sparse_dense": (Operator(4, rules.sparse_dense, "sparse_lhs: bool = False"),),
    "nn.sparse_conv2d": (
        Operator(4, windows.sparse_conv, "layout: str = 'NHWC'; kernel_size: ints = [1, 1]"),
    ),
    "nn.batch_matmul": (
        Operator(
            2,
            rules.batch_matmul,
            "out_dtype: str = ''; transpose_a: bool = False; transpose_b: bool = False",
        ),
    ),
    "nn.max_pool1d": (Operator(1, windows.pool, _pool("W", 1)),),
    "nn.max_pool2d": (Operator(1, windows.pool, _pool("HW", 2)),),
    "nn.max_pool3d": (Operator(1, windows.pool, _pool("DHW", 3)),),
    "nn.avg_pool1d": (Operator(1, windows.pool, _pool("W", 1, _AVERAGE)),),
    "nn.avg_pool2d": (Operator(1, windows.pool, _pool("HW", 2, _AVERAGE)),),
    "nn.avg_pool3d": (Operator(1, windows.pool, _pool("DHW", 3, _AVERAGE)),),
    "nn.softmax": (Operator(1, rules.along_axis, "axis: int = -1"),),
    "nn.log_softmax": (Operator(1, rules.along_axis, "axis: int = -1"),),
    "nn.lrn": (
        Operator(
            1,
            rules.same_float,
            "size: int = 5; axis: int = 1; bias: float = 2.0; alpha: float = 0.0001; "
            "beta: float = 0.75",
        ),
    ),
    "image.resize1d": (Operator(1, rules.resize, _resize("W")),),
    "image.resize2d": (Operator(1, rules.resize, _resize("HW")),),
    "image.resize3d": (Operator(1, rules.resize, _resize("DHW")),),
    "vision.all_class_non_max_suppression": (
        Operator(
            5,
            rules.suppression,
            "output_format: str = 'onnx'",
            key="AllClassNonMaximumSuppressionAttrs",
        ),
    ),
    "qnn.quantize": (Operator(3, rules.quantize, "out_dtype: str; axis: int = -1"),),
    "qnn.dequantize": (
        Operator(3, rules.dequantize, "axis: int = -1", versions=("0.10",)),
        Operator(3, rules.dequantize, "out_dtype: str; axis: int = -1", versions=("0.19",)),
    ),
}
"""Operators by name, one entry for each form that releases have."""

ANCHORS = frozenset(
    (
        *("nn.dense", "nn.batch_matmul"),
        *(name for name in OPERATORS if name.startswith(("nn.conv", "nn.contrib_"))),
    )
)
"""Operators into whose loops TVM puts the elementwise calls that follow."""

IN_MEMORY = ANCHORS | frozenset(
    (
        *("annotation.stop_fusion", "cumsum", "cumprod", "sort", "argsort", "topk"),
        *("sum", "mean", "prod", "max", "min", "all", "any", "argmax", "argmin"),
        *("scatter", "scatter_add", "scatter_elements", "scatter_nd"),
        *("nn.softmax", "nn.log_softmax", "nn.lrn", "nn.sparse_dense", "nn.sparse_conv2d"),
        *(name for name in OPERATORS if name.startswith(("nn.max_", "nn.avg_"))),
        *("vision.all_class_non_max_suppression", "zeros", "full"),
    )
)
"""Operators whose results TVM does not compute inside the loops that read them."""


def find_operator(name: str, version: str) -> Operator | None:
    """The operator as a release has it; None where it has none."""
    forms = (form for form in OPERATORS.get(name, ()) if version in form.versions)
    return next(forms, None)
