"""Ensembles of decision trees (ai.onnx.ml).

All three operators list nodes with a mode (a comparison) and two children.  They are brought to
the two tests that ``ml.tree_ensemble`` has, x <= t and x == t, by exchanging children and moving
thresholds to the next number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from burnish.ir import Constant, DType, Value
from burnish.ir.errors import ModelError, clip
from burnish.ir.ops.ml import EQUALITY, NAN_TAKES_FIRST

from ..context import NodeContext
from ..tensors import Array
from .registry import converter
from .scores import ML, Labels, binary_scores, class_labels, largest_label, transformed

Entry = tuple[int, float]
"""A column of the result, and what a leaf adds to it."""

_MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")
"""By their number in TreeEnsemble; the older operators have names, after ``BRANCH_``."""

_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


@dataclass(frozen=True)
class _Inner:
    """An inner node as the model lists it; ``first`` and ``second`` are keys of nodes."""

    feature: int
    mode: str
    thresholds: Sequence[float]
    first: Hashable
    second: Hashable
    missing_takes_first: bool

    def rows(self, dtype: DType) -> list[tuple[float, bool, int]]:
        """Threshold, whether children are exchanged, and flags of each test that it takes.

        A set takes one test per member, in a chain; NaN fails every comparison but NEQ.
        """
        exchanged = self.mode in ("GT", "GTE", "NEQ")
        nan_passes = self.missing_takes_first or self.mode == "NEQ"
        flags = NAN_TAKES_FIRST if nan_passes is not exchanged else 0
        if self.mode in ("EQ", "NEQ", "MEMBER"):
            return [(threshold, exchanged, flags | EQUALITY) for threshold in self.thresholds]
        (threshold,) = self.thresholds
        if self.mode in ("LT", "GTE"):
            number = dtype.numpy.type(threshold)
            # Nothing is less than -inf, and nothing is less than or equal to NaN.
            lowest = bool(np.isneginf(number))
            threshold = (
                np.nan if lowest else float(np.nextafter(number, -np.inf, dtype=number.dtype))
            )
        return [(threshold, exchanged, flags)]


@dataclass
class _Tables:
    """The tables of ``ml.tree_ensemble``, filled tree by tree, parents before children."""

    lookup: Callable[[Any], _Inner | Sequence[Entry]]
    dtype: DType
    roots: list[int] = field(default_factory=list)
    nodes: list[tuple[int, float, int, int, int]] = field(default_factory=list)
    leaves: list[Sequence[Entry]] = field(default_factory=list)

    def add(self, root: Hashable) -> None:
        """Add the tree below a node.

        Raises:
            ModelError: a node is reached twice.
        """
        numbers: dict[Hashable, int] = {}
        inner: list[tuple[_Inner, list[tuple[float, bool, int]]]] = []
        end, pending = len(self.nodes), [root]
        while pending:
            key = pending.pop()
            if key in numbers:
                raise ModelError(f"node {key} is reached twice: the nodes form no tree")
            node = self.lookup(key)
            if not isinstance(node, _Inner):
                self.leaves.append(node)
                numbers[key] = -len(self.leaves)
                continue
            rows = node.rows(self.dtype)
            numbers[key] = end
            end += len(rows)
            inner.append((node, rows))
            pending += [node.second, node.first]
        self.roots.append(numbers[root])
        for node, rows in inner:
            first, second = numbers[node.first], numbers[node.second]
            for index, (threshold, exchanged, flags) in enumerate(rows):
                otherwise = second if index == len(rows) - 1 else len(self.nodes) + 1
                children = (otherwise, first) if exchanged else (first, otherwise)
                self.nodes.append((node.feature, threshold, *children, flags))

    def emit(self, node: NodeContext, x: Value, weights: DType, targets: int, how: str) -> Value:
        """The op on ``x``; ``weights`` is the type of its result."""
        columns = list(zip(*self.nodes, strict=True)) or [()] * 5
        entries = [entry for leaf in self.leaves for entry in leaf]
        starts = np.cumsum([0, *(len(leaf) for leaf in self.leaves)])
        kinds: tuple[Any, ...] = (np.int32, self.dtype.numpy, np.int32, np.int32, np.uint8)
        names = ("features", "thresholds", "first", "second", "flags")
        tables: dict[str, Array] = {
            name: np.array(column, kind)
            for name, column, kind in zip(names, columns, kinds, strict=True)
        }
        tables["roots"] = np.array(self.roots, np.int32)
        tables["starts"] = starts.astype(np.int32)
        tables["columns"] = np.array([column for column, _ in entries], np.int32)
        tables["weights"] = np.array([weight for _, weight in entries], weights.numpy)
        constants = {name: Constant(table) for name, table in tables.items()}
        return node.op("ml.tree_ensemble", x, **constants, targets=targets, aggregate=how)


# TreeEnsembleRegressor, TreeEnsembleClassifier --------------------------------------------


@dataclass(frozen=True)
class _Listed:
    """Nodes and leaves of the older operators; keys are (tree, node)."""

    nodes: dict[Hashable, _Inner]
    entries: dict[Hashable, list[Entry]]
    roots: list[Hashable]

    def lookup(self, key: Hashable) -> _Inner | Sequence[Entry]:
        if key in self.nodes:
            return self.nodes[key]
        if key in self.entries:
            return self.entries[key]
        raise ModelError(
            f"there is no node {key[1] if isinstance(key, tuple) else key} in its tree"
        )


def _numbers(node: NodeContext, name: str) -> list[float]:
    """A list of floats, given as such or as a tensor."""
    tensor = node.tensor(f"{name}_as_tensor")
    if tensor is not None and tensor.elements:
        return [float(number) for number in tensor.array.reshape(-1)]
    return list(node.numbers(name) or ())


def _column(node: NodeContext, name: str, length: int, default: int | None = None) -> list[int]:
    values = list(node.integers(name) or ())
    if not values and default is not None:
        return [default] * length
    if len(values) != length:
        raise ModelError(f"attribute {name} has {len(values)} entries, needs {length}")
    return values


def _listed(node: NodeContext, kind: str) -> _Listed:
    """The ensemble, with leaves whose entries are the attributes called ``kind``."""
    modes = node.strings("nodes_modes") or ()
    count = len(modes)
    thresholds = _numbers(node, "nodes_values") or [0.0] * count
    if len(thresholds) != count:
        raise ModelError(f"attribute nodes_values has {len(thresholds)} entries, needs {count}")
    names = ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids")
    columns = [_column(node, f"nodes_{name}", count) for name in names]
    missing = _column(node, "nodes_missing_value_tracks_true", count, 0)
    listed = _Listed({}, {}, [])
    trees: set[int] = set()
    children: set[Hashable] = set()
    order: list[Hashable] = []
    for mode, threshold, takes_first, tree, number, feature, first, second in zip(
        modes, thresholds, missing, *columns, strict=True
    ):
        key = (tree, number)
        if key in listed.nodes or key in listed.entries:
            raise ModelError(f"node {number} of tree {tree} is listed twice")
        order.append(key)
        trees.add(tree)
        if mode == "LEAF":
            listed.entries[key] = []
            continue
        name = mode.removeprefix("BRANCH_")
        if name not in _MODES[:-1]:
            raise ModelError(f"attribute nodes_modes has {clip(repr(mode))}")
        below = ((tree, first), (tree, second))
        children.update(below)
        listed.nodes[key] = _Inner(feature, name, [threshold], *below, bool(takes_first))
    listed.roots.extend(key for key in order if key not in children)
    if len(listed.roots) != len(trees):
        raise ModelError(f"{len(trees)} trees have {len(listed.roots)} roots")
    _fill_leaves(node, kind, listed)
    return listed


def _fill_leaves(node: NodeContext, kind: str, listed: _Listed) -> None:
    weights = _numbers(node, f"{kind}_weights")
    names = ("treeids", "nodeids", "ids")
    columns = [_column(node, f"{kind}_{name}", len(weights)) for name in names]
    for weight, tree, number, column in zip(weights, *columns, strict=True):
        # Entries of nodes that are no leaves have no meaning.
        if (tree, number) in listed.entries:
            listed.entries[tree, number].append((column, weight))


def _features(node: NodeContext) -> Value:
    """The input as rows of f32 or f64."""
    x = node.input(0)
    if x.type.rank == 1:
        x = node.reshape(x, (1, *x.type.shape))
    return x if x.type.dtype is DType.F64 else node.cast(x, DType.F32)


def _work(node: NodeContext, x: Value) -> DType:
    """The type of the sums: f64 where the model has weights in it."""
    tensors = [node.tensor(f"{kind}_weights_as_tensor") for kind in ("target", "class")]
    wide = any(tensor is not None and tensor.dtype is DType.F64 for tensor in tensors)
    return DType.F64 if wide or x.type.dtype is DType.F64 else DType.F32


@converter("TreeEnsembleRegressor", domain=ML)
def _regressor(node: NodeContext) -> Value:
    x, listed = _features(node), _listed(node, "target")
    how, targets = node.string("aggregate_function", "SUM"), node.integer("n_targets")
    if how not in _AGGREGATES:
        raise ModelError(f"attribute aggregate_function is {clip(repr(how))}")
    y = _aggregated(node, x, listed, how, targets)
    return transformed(node, node.cast(y, DType.F32), node.string("post_transform", "NONE"))


def _aggregated(node: NodeContext, x: Value, listed: _Listed, how: str, targets: int) -> Value:
    tables = _Tables(listed.lookup, x.type.dtype)
    for root in listed.roots:
        tables.add(root)
    kind = "sum" if how == "AVERAGE" else how.lower()
    y = tables.emit(node, x, _work(node, x), targets, kind)
    if how == "AVERAGE":
        y = node.op("math.div", y, node.scalar(max(1, len(listed.roots)), y.type.dtype))
    base = _numbers(node, "base_values")
    if not base:
        return y
    if len(base) not in (1, targets):
        raise ModelError(f"{len(base)} base values for {targets} columns")
    return node.op("math.add", y, node.constant(np.array(base, y.type.dtype.numpy)))


@converter("TreeEnsembleClassifier", domain=ML)
def _classifier(node: NodeContext) -> list[Value]:
    """The class of the largest sum; one that no leaf of a row has an entry for counts as 0."""
    x, listed = _features(node), _listed(node, "class")
    labels = class_labels(node)
    transform = node.string("post_transform", "NONE")
    ids = {column for entries in listed.entries.values() for column, _ in entries}
    if len(labels) == 2 and len(ids) == 1:
        return _one_column(node, x, listed, labels, transform)
    y = node.cast(_aggregated(node, x, listed, "SUM", len(labels)), DType.F32)
    return [largest_label(node, y, labels), transformed(node, y, transform)]


def _one_column(
    node: NodeContext, x: Value, listed: _Listed, labels: Labels, transform: str
) -> list[Value]:
    """Two classes of which one has scores: probabilities where no weight is negative."""
    weights = [weight for entries in listed.entries.values() for _, weight in entries]
    for entries in listed.entries.values():
        entries[:] = [(0, weight) for _, weight in entries]
    score = node.cast(_aggregated(node, x, listed, "SUM", 1), DType.F32)
    return binary_scores(node, score, labels, transform, all(weight >= 0 for weight in weights))


# TreeEnsemble -------------------------------------------------------------------------


def _required(node: NodeContext, name: str) -> Sequence[int]:
    values = node.integers(name)
    if values is None:
        raise ModelError(f"it lacks the attribute {name}")
    return values


def _tensor(node: NodeContext, name: str) -> Array:
    tensor = node.tensor(name)
    if tensor is None:
        raise ModelError(f"it lacks the attribute {name}")
    return tensor.array.reshape(-1)


@converter("TreeEnsemble", since=5, domain=ML)
def _tree_ensemble(node: NodeContext) -> Value:
    """Since version 5: leaves in tables of their own, with one column each."""
    x = node.input(0)
    dtype = x.type.dtype
    work = DType.F64 if dtype is DType.F64 else DType.F32
    tables = _Tables(_table_lookup(node), work)
    for root in _required(node, "tree_roots"):
        tables.add(("node", root))
    targets = node.integer("n_targets", 1)
    aggregate = node.integer("aggregate_function", 1)
    if not 0 <= aggregate < len(_AGGREGATES):
        raise ModelError(f"attribute aggregate_function is {aggregate}")
    how = _AGGREGATES[aggregate]
    kind = "sum" if how == "AVERAGE" else how.lower()
    y = tables.emit(node, node.cast(x, work), work, targets, kind)
    if how == "AVERAGE":
        y = node.op("math.div", y, node.scalar(max(1, len(tables.roots)), work))
    transforms = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    number = node.integer("post_transform", 0)
    if not 0 <= number < len(transforms):
        raise ModelError(f"attribute post_transform is {number}")
    return node.cast(transformed(node, y, transforms[number]), dtype)


def _table_lookup(node: NodeContext) -> Callable[[tuple[str, int]], _Inner | Sequence[Entry]]:
    """Nodes by ("node", number) and leaves by ("leaf", number)."""
    names = ("featureids", "truenodeids", "trueleafs", "falsenodeids", "falseleafs")
    columns = [_required(node, f"nodes_{name}") for name in names]
    splits, modes = _tensor(node, "nodes_splits"), _tensor(node, "nodes_modes")
    count = len(modes)
    missing = _column(node, "nodes_missing_value_tracks_true", count, 0)
    targets, weights = _required(node, "leaf_targetids"), _tensor(node, "leaf_weights")
    if len(targets) != len(weights) or any(
        length != count for length in (len(splits), *map(len, columns))
    ):
        raise ModelError("the tables of its nodes or leaves differ in length")
    sets = _member_sets(node, modes)

    def child(number: int, is_leaf: int) -> tuple[str, int]:
        return ("leaf" if is_leaf else "node", number)

    def lookup(key: tuple[str, int]) -> _Inner | Sequence[Entry]:
        kind, index = key
        if not 0 <= index < (len(targets) if kind == "leaf" else count):
            raise ModelError(f"there is no {kind} {index}")
        if kind == "leaf":
            return [(targets[index], float(weights[index]))]
        feature, first, first_leaf, second, second_leaf = (column[index] for column in columns)
        if not 0 <= modes[index] < len(_MODES):
            raise ModelError(f"attribute nodes_modes has {modes[index]}")
        mode = _MODES[modes[index]]
        thresholds = sets[index] if mode == "MEMBER" else [float(splits[index])]
        if (first, first_leaf) == (second, second_leaf):
            return lookup(child(first, first_leaf))  # a single leaf is listed below such a node
        below = (child(first, first_leaf), child(second, second_leaf))
        return _Inner(feature, mode, thresholds, *below, bool(missing[index]))

    return lookup


def _member_sets(node: NodeContext, modes: Array) -> dict[int, list[float]]:
    """The members that each node of mode MEMBER tests for: they are listed with NaN between."""
    members = [index for index, mode in enumerate(modes) if mode == _MODES.index("MEMBER")]
    if not members:
        return {}
    sets: list[list[float]] = [[]]
    for value in _tensor(node, "membership_values"):
        if np.isnan(value):
            sets.append([])
        else:
            sets[-1].append(float(value))
    if not sets[-1]:
        sets.pop()
    if len(sets) != len(members) or not all(sets):
        raise ModelError(f"{len(members)} nodes test membership, of {len(sets)} sets")
    return dict(zip(members, sets, strict=True))
