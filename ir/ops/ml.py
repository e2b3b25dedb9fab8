"""Classical machine learning: ensembles of decision trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import CONSTANT, INT, Attributes, choice
from ..constants import Array, Constant
from ..dtypes import DType
from ..errors import TypeInferenceError
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType

NAN_TAKES_FIRST, EQUALITY = 1, 2
"""Bits of ``flags``."""

AGGREGATES: dict[str, tuple[float, np.ufunc]] = {
    "sum": (0.0, np.add),
    "min": (np.inf, np.minimum),
    "max": (-np.inf, np.maximum),
}
"""What columns start from, and how leaves are put together."""

_COMPUTED = frozenset({DType.F32, DType.F64})


@register
class TreeEnsemble(OpDef):
    """Sums (or extremes) of the leaves that each row reaches in each tree.

    At inner node n a row goes to ``first[n]`` if x[features[n]] <= thresholds[n], else to
    ``second[n]``; with EQUALITY in ``flags[n]`` the test is ==.  NaN fails the test unless
    NAN_TAKES_FIRST is set.  A child c >= 0 is an inner node, later in the table than its parent;
    c < 0 is leaf -1 - c.  Leaf l adds ``weights[e]`` to column ``columns[e]`` for
    ``starts[l] <= e < starts[l + 1]``.  ``roots`` are the trees, given like children.  Columns
    that no leaf touches are 0.  ONNX TreeEnsemble and its predecessors, without transforms.
    """

    name = "ml.tree_ensemble"
    x = operand("one row of features per sample", dtypes=_COMPUTED, rank=2)
    roots = attribute(CONSTANT, "i32[trees]")
    features = attribute(CONSTANT, "i32[nodes], columns of x")
    thresholds = attribute(CONSTANT, "[nodes], of the type of x")
    first = attribute(CONSTANT, "i32[nodes], where rows go that pass the test")
    second = attribute(CONSTANT, "i32[nodes], where the others go")
    flags = attribute(CONSTANT, "u8[nodes]")
    starts = attribute(CONSTANT, "i32[leaves + 1]")
    columns = attribute(CONSTANT, "i32[entries]")
    weights = attribute(CONSTANT, "f32[entries] or f64[entries]; the type of the result")
    targets = attribute(INT, "columns of the result")
    aggregate = attribute(choice("sum", "min", "max"), "how leaves are put together", "sum")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        nodes, leaves = a.features.shape, a.starts.size - 1
        _require_table(a, ("roots", "starts", "columns", "features", "first", "second"), DType.I32)
        _require_table(a, ("thresholds",), x.dtype)
        _require_table(a, ("flags",), DType.U8)
        if a.weights.dtype not in _COMPUTED or a.weights.shape != a.columns.shape:
            raise TypeInferenceError(f"weights of {a.weights.dtype}{list(a.weights.shape)}")
        for name in ("thresholds", "first", "second", "flags"):
            if _table(a, name).shape != nodes:
                found = _table(a, name).size
                raise TypeInferenceError(f"{name} has {found} entries for {nodes[0]} nodes")
        count = nodes[0]
        _require_range(a.features, 0, x.shape[1] if isinstance(x.shape[1], int) else 0, "features")
        _require_range(a.columns, 0, a.targets, "columns")
        for name in ("roots", "first", "second"):
            _require_range(_table(a, name), -leaves, count, name)
        for name in ("first", "second"):
            child = _table(a, name).array
            if ((child >= 0) & (child <= np.arange(count))).any():
                raise TypeInferenceError(f"{name} has a node that is not after its parent")
        starts = a.starts.array
        if (
            leaves < 0
            or starts[0] != 0
            or starts[-1] != a.columns.size
            or (np.diff(starts) < 0).any()
        ):
            raise TypeInferenceError("starts do not delimit the entries of leaves")
        return TensorType((x.shape[0], a.targets), a.weights.dtype)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        start, combine = AGGREGATES[a.aggregate]
        y = np.full((len(x), a.targets), start, a.weights.dtype.numpy)
        starts, columns, weights = a.starts.array, a.columns.array, a.weights.array
        for root in a.roots.array:
            leaves = self._leaves(a, x, int(root))
            for row, leaf in enumerate(leaves):
                entries = slice(starts[leaf], starts[leaf + 1])
                combine.at(y[row], columns[entries], weights[entries])
        return np.where(y == start, y.dtype.type(0), y)

    @staticmethod
    def _leaves(a: Attributes, x: Array, root: int) -> Array:
        """The leaf of one tree that each row reaches."""
        at = np.full(len(x), root, np.int64)
        rows = np.arange(len(x))
        while (inner := at >= 0).any():
            node = at[inner]
            value, threshold = x[rows[inner], a.features.array[node]], a.thresholds.array[node]
            flags = a.flags.array[node]
            passed = np.where(flags & EQUALITY, value == threshold, value <= threshold)
            passed |= np.isnan(value) & ((flags & NAN_TAKES_FIRST) != 0)
            at[inner] = np.where(passed, a.first.array[node], a.second.array[node])
        return -1 - at

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        """As many tests per tree as a balanced one of the average size has levels."""
        trees = max(1, a.roots.size)
        levels = max(1, (a.features.size // trees + 1).bit_length())
        return Cost(flops=results[0].shape[0] * (trees * levels), **traffic(operands, results))


def tree_depth(a: Attributes) -> int:
    """How many inner nodes the longest way down has; children come after their parents."""
    levels = np.zeros(a.features.size + 1, np.int64)
    for node in reversed(range(a.features.size)):
        children = (int(a.first.array[node]), int(a.second.array[node]))
        levels[node] = 1 + max((levels[child] for child in children if child >= 0), default=0)
    return int(max((levels[root] for root in a.roots.array if root >= 0), default=0))


def leaf_table(a: Attributes) -> Array:
    """What each leaf adds to each column [leaves, targets]."""
    start, combine = AGGREGATES[a.aggregate]
    leaves = a.starts.size - 1
    table = np.full((leaves, a.targets), start, a.weights.dtype.numpy)
    owner = np.repeat(np.arange(leaves), np.diff(a.starts.array))
    combine.at(table, (owner, a.columns.array), a.weights.array)
    return table


def _table(a: Attributes, name: str) -> Constant:
    table: Constant = getattr(a, name)
    return table


def _require_table(a: Attributes, names: Sequence[str], dtype: DType) -> None:
    for name in names:
        table = _table(a, name)
        if table.dtype is not dtype or len(table.shape) != 1:
            raise TypeInferenceError(
                f"{name} is {table.dtype}{list(table.shape)}, needs {dtype}[n]"
            )


def _require_range(table: Constant, low: int, end: int, what: str) -> None:
    values = table.array
    if values.size and (values.min() < low or values.max() >= end):
        raise TypeInferenceError(f"{what} has an entry outside [{low}, {end})")
