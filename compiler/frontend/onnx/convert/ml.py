"""Linear models, support vectors and preprocessing of ai.onnx.ml, on numbers.

What handles strings or maps is refused: burnish has tensors of numbers only.  ZipMap, which labels
columns of scores at the end of classifiers, passes the scores through unlabelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from ..tensors import Array
from .registry import converter
from .scores import ML, binary_scores, class_labels, largest_label, transformed

_STRINGS = "it works on strings or maps, which burnish does not have"


def _refused(node: NodeContext) -> Value:
    node.refuse(_STRINGS)


for _op_type in ("CastMap", "CategoryMapper", "DictVectorizer"):
    converter(_op_type, domain=ML)(_refused)


def _rows(node: NodeContext) -> Value:
    """Input 0 as [rows, features] of f32."""
    x = node.cast(node.input(0), DType.F32)
    if x.type.rank == 1:
        return node.reshape(x, (1, *x.type.shape))
    if x.type.rank != 2:
        raise ModelError(f"its input is {x.type}, not rows of features")
    return x


def _vector(node: NodeContext, name: str) -> Array:
    return np.array(node.numbers(name) or (), np.float32)


def _matrix(node: NodeContext, name: str, rows: int) -> Value:
    """A list of floats as a matrix."""
    values = _vector(node, name)
    if rows < 1 or values.size % rows:
        raise ModelError(f"attribute {name} has {values.size} entries for {rows} rows")
    return node.constant(values.reshape(rows, -1))


# Linear models -----------------------------------------------------------------------


def _linear(node: NodeContext, targets: int) -> Value:
    """Rows times coefficients plus intercepts."""
    intercepts = _vector(node, "intercepts")
    if intercepts.size not in (0, targets):
        raise ModelError(f"{intercepts.size} intercepts for {targets} columns")
    bias = node.constant(intercepts) if intercepts.size else None
    coefficients = _matrix(node, "coefficients", targets)
    return node.op("nn.matmul", _rows(node), coefficients, bias, transpose_b=True)


@converter("LinearRegressor", domain=ML)
def _linear_regressor(node: NodeContext) -> Value:
    y = _linear(node, node.integer("targets", 1))
    return transformed(node, y, node.string("post_transform", "NONE"))


@converter("LinearClassifier", domain=ML)
def _linear_classifier(node: NodeContext) -> list[Value]:
    labels, transform = class_labels(node), node.string("post_transform", "NONE")
    features = node.static(_rows(node).type.shape[1:], "number of features")[0]
    if len(labels) == 2 and _vector(node, "coefficients").size == features:
        score = _linear(node, 1)
        if transform == "LOGISTIC":
            return binary_scores(node, node.op("math.sigmoid", score), labels, "NONE", True)
        node.refuse(f"two classes of one column of coefficients with post_transform {transform}")
    scores = _linear(node, len(labels))
    return [largest_label(node, scores, labels), transformed(node, scores, transform)]


# Support vectors ---------------------------------------------------------------------


def _kernel(node: NodeContext, x: Value, vectors: Value) -> Value:
    """The kernel of every row and every support vector."""
    kind = node.string("kernel_type", "LINEAR")
    gamma, offset, degree = (*(node.numbers("kernel_params") or ()), 0.0, 0.0, 0.0)[:3]
    if kind == "RBF":
        rows, features = x.type.shape
        count = vectors.type.shape[0]
        difference = node.op(
            "math.sub",
            node.reshape(x, (rows, 1, features)),
            node.reshape(vectors, (1, count, features)),
        )
        square = node.reduce(node.op("math.mul", difference, difference), "sum", (2,), False)
        return node.op("math.exp", node.op("math.mul", square, node.scalar(-gamma, DType.F32)))
    product = node.op("nn.matmul", x, vectors, transpose_b=True)
    if kind == "LINEAR":
        return product
    scaled = node.op("math.mul", product, node.scalar(gamma, DType.F32))
    shifted = node.op("math.add", scaled, node.scalar(offset, DType.F32))
    if kind == "POLY":
        return node.op("math.pow", shifted, node.scalar(degree, DType.F32))
    if kind == "SIGMOID":
        return node.op("math.tanh", shifted)
    raise ModelError(f"attribute kernel_type is {clip(repr(kind))}")


@converter("SVMRegressor", domain=ML)
def _svm_regressor(node: NodeContext) -> Value:
    x, supports = _rows(node), node.integer("n_supports", 0)
    offset = node.constant(_vector(node, "rho")[:1])
    weights = node.constant(_vector(node, "coefficients").reshape(1, -1))
    if supports:
        x = _kernel(node, x, _matrix(node, "support_vectors", supports))
    else:
        kind = node.string("kernel_type", "LINEAR")
        if kind != "LINEAR":
            x = _kernel(node, x, weights)
            weights = node.constant(np.ones((1, 1), np.float32))
    y = node.op("nn.matmul", x, weights, offset, transpose_b=True)
    if node.flag("one_class"):
        positive = node.op("math.greater", y, node.scalar(0, DType.F32))
        signs = node.scalar(1, DType.F32), node.scalar(-1, DType.F32)
        return node.op("math.select", positive, *signs)
    return transformed(node, y, node.string("post_transform", "NONE"))


# Preprocessing -----------------------------------------------------------------------


@converter("Scaler", domain=ML)
def _scaler(node: NodeContext) -> Value:
    x = node.cast(node.input(0), DType.F32)
    offset, scale = (node.constant(_vector(node, name)) for name in ("offset", "scale"))
    return node.op("math.mul", node.op("math.sub", x, offset), scale)


@converter("Normalizer", domain=ML)
def _normalizer(node: NodeContext) -> Value:
    """Each row by its norm; rows of norm 0 stay as they are."""
    x = node.cast(node.input(0), DType.F32)
    axis, norm = (x.type.rank - 1,), node.string("norm", "MAX")
    if norm == "MAX":
        size = node.reduce(x, "max", axis)
    elif norm == "L1":
        size = node.reduce(node.op("math.abs", x), "sum", axis)
    elif norm == "L2":
        size = node.op("math.sqrt", node.reduce(node.op("math.mul", x, x), "sum", axis))
    else:
        raise ModelError(f"attribute norm is {clip(repr(norm))}")
    is_zero = node.op("math.equal", size, node.scalar(0, DType.F32))
    return node.op("math.div", x, node.op("math.select", is_zero, node.scalar(1, DType.F32), size))


@converter("Binarizer", domain=ML)
def _binarizer(node: NodeContext) -> Value:
    x = node.input(0)
    threshold = node.scalar(node.number("threshold", 0.0), x.type.dtype)
    return node.cast(node.op("math.greater", x, threshold), x.type.dtype)


@converter("ArrayFeatureExtractor", domain=ML)
def _array_features(node: NodeContext) -> Value:
    """Columns at the given positions; of a vector, as one row."""
    x = node.input(0)
    if x.type.rank == 1:
        x = node.reshape(x, (1, *x.type.shape))
    columns = node.input(1)
    columns = node.reshape(columns, (columns.type.elements,))
    return node.op("tensor.gather", x, columns, axis=x.type.rank - 1)


@converter("FeatureVectorizer", domain=ML)
def _feature_vectorizer(node: NodeContext) -> Value:
    """Columns of all inputs side by side, as many of each as ``inputdimensions`` says."""
    columns = []
    given = node.integers("inputdimensions") or ()
    for index, value in enumerate(node.inputs):
        rows = value.type.shape[0] if value.type.rank > 1 else 1
        found = dimension.product(value.type.shape[1 if value.type.rank > 1 else 0 :])
        part = node.reshape(node.cast(value, DType.F32), (rows, found))
        wanted = given[index] if index < len(given) else found
        if wanted != found:
            node.refuse(f"input {index} has {found} columns, inputdimensions says {wanted}")
        columns.append(part)
    return node.op("tensor.concat", *columns, axis=1)


@converter("Imputer", domain=ML)
def _imputer(node: NodeContext) -> Value:
    x = node.input(0)
    dtype = x.type.dtype
    if dtype.is_float:
        values: Sequence[float] = node.numbers("imputed_value_floats") or ()
        replaced = node.number("replaced_value_float", 0.0)
    else:
        values = node.integers("imputed_value_int64s") or ()
        replaced = node.integer("replaced_value_int64", 0)
    features = x.type.shape[-1] if x.type.rank else 1
    if len(values) not in (1, features):
        raise ModelError(f"{len(values)} imputed values for {features} columns")
    if math.isnan(replaced):
        is_missing = node.op("math.is_nan", x)
    else:
        is_missing = node.op("math.equal", x, node.scalar(replaced, dtype))
    return node.op("math.select", is_missing, node.constant(np.array(values, dtype.numpy)), x)


# Categories --------------------------------------------------------------------------

_LISTS = {"int64s": np.int64, "floats": np.float32}


def _table(node: NodeContext, name: str) -> Array:
    """Keys or values of a label encoder.

    Raises:
        UnsupportedError: they are strings.
    """
    tensor = node.tensor(f"{name}_tensor")
    if node.strings(f"{name}_strings") or (tensor is not None and tensor.dtype is None):
        node.refuse(f"its {name} are strings")
    if tensor is not None:
        return tensor.array.reshape(-1)
    lists: dict[str, Array] = {}
    for form, kind in _LISTS.items():
        values = node.attribute(f"{name}_{form}")
        if values:
            lists[form] = np.array(values, kind)
    if len(lists) != 1:
        raise ModelError(f"it has {len(lists)} lists of {name}")
    return next(iter(lists.values()))


@converter("LabelEncoder", domain=ML)
def _named_labels(node: NodeContext) -> Value:
    node.refuse(_STRINGS)


@converter("LabelEncoder", since=2, domain=ML)
def _label_encoder(node: NodeContext) -> Value:
    keys, values = _table(node, "keys"), _table(node, "values")
    if keys.size != values.size or not keys.size:
        raise ModelError(f"{keys.size} keys and {values.size} values")
    x = node.input(0)
    hits = _hits(node, x, keys)
    axis = x.type.rank
    where = node.op(
        "tensor.arg_reduce",
        node.cast(hits, DType.U8),
        kind="max",
        axis=axis,
        keep_dims=False,
        last=False,
    )
    found = node.reduce(hits, "any", (axis,), keep_dims=False)
    mapped = node.op("tensor.gather", node.constant(values), where, axis=0)
    return node.op("math.select", found, mapped, _default(node, values))


def _default(node: NodeContext, values: Array) -> Value:
    tensor = node.tensor("default_tensor")
    if tensor is not None:
        return node.constant(tensor.array.reshape(()))
    default = node.integer("default_int64", -1)
    if values.dtype.kind == "f":
        return node.constant(np.array(node.number("default_float", -0.0), values.dtype))
    return node.constant(np.array(default, values.dtype))


def _hits(node: NodeContext, x: Value, keys: Array) -> Value:
    """Whether an element is a key, along a new last axis; since version 4 NaN may be one."""
    wide = node.reshape(x, (*x.type.shape, 1))
    table = node.constant(keys.astype(x.type.dtype.numpy))
    hits = node.op("math.equal", wide, table)
    if node.version < 4 or not x.type.dtype.is_float or not np.isnan(keys).any():
        return hits
    both = node.op("math.logical_and", node.op("math.is_nan", wide), node.op("math.is_nan", table))
    return node.op("math.logical_or", hits, both)


@converter("OneHotEncoder", domain=ML)
def _one_hot_encoder(node: NodeContext) -> Value:
    categories = node.integers("cats_int64s")
    if node.strings("cats_strings") or categories is None:
        node.refuse("its categories are strings")
    x = node.cast(node.input(0), DType.I64)
    hits = _hits(node, x, np.array(categories, np.int64))
    y = node.cast(hits, DType.F32)
    if node.flag("zeros", True):
        return y
    known = node.reduce(hits, "any", (x.type.rank,), keep_dims=False)
    every = node.reduce(known, "all", range(x.type.rank), keep_dims=False)
    return node.require(y, every, (1,), "input being one of the categories")


@converter("ZipMap", domain=ML)
def _zip_map(node: NodeContext) -> Value:
    """The scores themselves: columns are in the order of the classifier's labels."""
    return node.input(0)
