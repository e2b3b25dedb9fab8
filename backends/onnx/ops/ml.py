"""Ensembles of decision trees, in the operators of ai.onnx.ml."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.ir import Array, Attributes, Constant, DType
from burnish.ir.ops.ml import EQUALITY, NAN_TAKES_FIRST

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from ..schemas import ML
from .tensor import expanded

_AGGREGATES = {"sum": "SUM", "min": "MIN", "max": "MAX"}
_AGGREGATE_NUMBERS = {"sum": 1, "min": 2, "max": 3}
_LESS_OR_EQUAL, _EQUAL = 0, 4
"""Numbers of the comparisons in TreeEnsemble."""


def needs_tables(a: Attributes) -> bool:
    """Whether an ensemble is one of TreeEnsemble, the others having sums in f32 only."""
    return a.weights.dtype is not DType.F32


@exporter("ml.tree_ensemble")
def _tree_ensemble(c: Context) -> Edge:
    """Without leaves that do anything, all columns are 0."""
    if not (c.a.roots.size and c.a.columns.size):
        zero = c.scalar(0, c.a.weights.dtype)
        return expanded(c, zero, (), c.op.result.type.shape)
    return _tables(c) if c.has("TreeEnsemble", ML) else _regressor(c)


@dataclass
class _Step:
    """An inner node or a leaf of one tree; ``number`` counts both, parents first."""

    tree: int
    number: int
    node: int
    children: tuple[int, int] = (0, 0)


def _steps(a: Attributes, tree: int) -> Iterator[_Step]:
    """The nodes of a tree; what several nodes share is repeated, so that it is one."""
    first, second = a.first.array, a.second.array
    pending = [(int(a.roots.array[tree]), 0)]
    count = 1
    while pending:
        node, number = pending.pop()
        if node < 0:
            yield _Step(tree, number, node)
            continue
        below = (count, count + 1)
        count += 2
        yield _Step(tree, number, node, below)
        pending += [(int(second[node]), below[1]), (int(first[node]), below[0])]


def _entries(a: Attributes, leaf: int) -> Iterator[tuple[int, float]]:
    """Columns and weights of a leaf."""
    starts = a.starts.array
    for entry in range(starts[leaf], starts[leaf + 1]):
        yield int(a.columns.array[entry]), float(a.weights.array[entry])


def _regressor(c: Context) -> Edge:
    """TreeEnsembleRegressor: inner nodes and leaves in one list."""
    a = c.a
    rows: list[tuple[int, int, int, str, float, int, int, int]] = []
    targets: list[tuple[int, int, int, float]] = []
    for tree in range(a.roots.size):
        for step in _steps(a, tree):
            if step.node < 0:
                rows.append((tree, step.number, 0, "LEAF", 0.0, 0, 0, 0))
                entries = _entries(a, -1 - step.node)
                targets += [(tree, step.number, column, weight) for column, weight in entries]
                continue
            flags = int(a.flags.array[step.node])
            rows.append(
                (
                    tree,
                    step.number,
                    int(a.features.array[step.node]),
                    "BRANCH_EQ" if flags & EQUALITY else "BRANCH_LEQ",
                    float(a.thresholds.array[step.node]),
                    *step.children,
                    int(bool(flags & NAN_TAKES_FIRST)),
                )
            )
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    attributes: dict[str, Any] = {
        f"nodes_{name}": column
        for name, column in zip((*names, "missing_value_tracks_true"), zip(*rows))
    }
    if c.type().dtype is DType.F64:
        values = np.array(attributes.pop("nodes_values"), np.float64)
        attributes["nodes_values_as_tensor"] = Constant(values)
    for name, column in zip(("treeids", "nodeids", "ids", "weights"), zip(*targets)):
        attributes[f"target_{name}"] = column
    return c.node(
        "TreeEnsembleRegressor",
        c.input(0),
        domain=ML,
        n_targets=a.targets,
        aggregate_function=_AGGREGATES[a.aggregate],
        **attributes,
    )


class _Forest:
    """Tables of TreeEnsemble: inner nodes and leaves of all trees, nothing of which is shared."""

    def __init__(self, a: Attributes) -> None:
        self._a = a
        self.roots: list[int] = []
        self.nodes: list[int] = []
        """Which nodes of the op inner nodes are; -1 for one that is added."""
        self.children: tuple[list[int], list[int]] = ([], [])
        self.leads_to_leaf: tuple[list[bool], list[bool]] = ([], [])
        self.leaves: list[tuple[int, float]] = []

    def add(self, root: int, columns: Mapping[int, tuple[int, float]]) -> None:
        """Add a tree whose leaves have the given column and weight.

        A tree that is a leaf becomes a node, both sides of which are alike.
        """
        self.roots.append(len(self.nodes))
        pending = [(-1 if root < 0 else root, -1, 0)]
        while pending:
            node, parent, side = pending.pop()
            is_leaf = node < 0 and parent >= 0
            if parent >= 0:
                self.children[side][parent] = len(self.leaves if is_leaf else self.nodes)
                self.leads_to_leaf[side][parent] = is_leaf
            if is_leaf:
                self.leaves.append(columns[-1 - node])
                continue
            at = len(self.nodes)
            self.nodes.append(node)
            for side, table in enumerate((self._a.first, self._a.second)):
                self.children[side].append(-1)
                self.leads_to_leaf[side].append(False)
                pending.append((root if node < 0 else int(table.array[node]), at, side))

    def column(self, table: Constant) -> Array:
        """A table of the op for the inner nodes; 0 for those that are added."""
        values = np.append(table.array, np.zeros(1, table.dtype.numpy))
        return values[self.nodes]


def _tables(c: Context) -> Edge:
    """TreeEnsemble: tables of inner nodes and of leaves, each of which has one column.

    Where leaves have several columns, or none, there is a copy of each tree for every column.

    Raises:
        Refusal: there is no feature, or not all leaves have all columns of which the least or
            largest is asked for.
    """
    a = c.a
    dtype = DType.F64 if DType.F64 in (a.weights.dtype, c.type().dtype) else DType.F32
    if c.type().shape[1] == 0:
        raise Refusal("a tree of TreeEnsemble asks for a feature, and there is none")
    forest = _Forest(a)
    for columns in _one_column_each(a):
        for root in a.roots.array.tolist():
            forest.add(root, columns)
    flags = forest.column(a.flags)
    modes = np.where(flags & EQUALITY, _EQUAL, _LESS_OR_EQUAL)
    y = c.node(
        "TreeEnsemble",
        c.cast(c.input(0), dtype),
        domain=ML,
        n_targets=a.targets,
        aggregate_function=_AGGREGATE_NUMBERS[a.aggregate],
        tree_roots=tuple(forest.roots),
        nodes_featureids=tuple(forest.column(a.features).tolist()),
        nodes_splits=Constant(forest.column(a.thresholds).astype(dtype.numpy)),
        nodes_modes=Constant(modes.astype(np.uint8)),
        nodes_missing_value_tracks_true=tuple((flags & NAN_TAKES_FIRST != 0).astype(int).tolist()),
        nodes_truenodeids=tuple(forest.children[0]),
        nodes_falsenodeids=tuple(forest.children[1]),
        nodes_trueleafs=tuple(map(int, forest.leads_to_leaf[0])),
        nodes_falseleafs=tuple(map(int, forest.leads_to_leaf[1])),
        leaf_targetids=tuple(column for column, _ in forest.leaves),
        leaf_weights=Constant(np.array([w for _, w in forest.leaves], dtype.numpy)),
    )
    return c.cast(y, a.weights.dtype)


def _one_column_each(a: Attributes) -> list[dict[int, tuple[int, float]]]:
    """Column and weight of every leaf, for each copy of the trees.

    Raises:
        Refusal: a leaf lacks a column, and no weight changes nothing.
    """
    leaves = {leaf: list(_entries(a, leaf)) for leaf in range(a.starts.size - 1)}
    if all(len(entries) == 1 for entries in leaves.values()):
        return [{leaf: entry for leaf, (entry,) in leaves.items()}]
    columns = sorted({column for entries in leaves.values() for column, _ in entries})
    return [
        {leaf: (column, _weight(a, entries, column)) for leaf, entries in leaves.items()}
        for column in columns
    ]


def _weight(a: Attributes, entries: list[tuple[int, float]], column: int) -> float:
    """What a leaf does to a column."""
    weights = [weight for at, weight in entries if at == column]
    if a.aggregate == "sum":
        return math.fsum(weights)
    if not weights:
        raise Refusal("a leaf of TreeEnsemble has a column, and here one has less than others")
    return min(weights) if a.aggregate == "min" else max(weights)
