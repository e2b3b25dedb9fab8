"""Ensembles of decision trees, in the operators of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.ir import Attributes, Constant, DType
from burnish.ir.ops.ml import EQUALITY, NAN_TAKES_FIRST

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from ..schemas import ML

_AGGREGATES = {"sum": "SUM", "min": "MIN", "max": "MAX"}
_AGGREGATE_NUMBERS = {"sum": 1, "min": 2, "max": 3}
_LESS_OR_EQUAL, _EQUAL = 0, 4
"""Numbers of the comparisons in TreeEnsemble."""


def needs_tables(a: Attributes) -> bool:
    """Whether an ensemble is one of TreeEnsemble, the others having sums in f32 only."""
    return a.weights.dtype is not DType.F32


@exporter("ml.tree_ensemble")
def _tree_ensemble(c: Context) -> Edge:
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


def _tables(c: Context) -> Edge:
    """TreeEnsemble: tables of inner nodes and of leaves, each of which has one column.

    Raises:
        Refusal: a leaf has several columns, or none.
    """
    a = c.a
    if a.weights.dtype is not c.type().dtype:
        raise Refusal("TreeEnsemble computes in the type of its input")
    leaves = [list(_entries(a, leaf)) for leaf in range(a.starts.size - 1)]
    if any(len(entries) != 1 for entries in leaves):
        raise Refusal("a leaf of TreeEnsemble has one column")
    flags, dtype = a.flags.array, a.weights.dtype.numpy
    modes = np.where(flags & EQUALITY, _EQUAL, _LESS_OR_EQUAL).astype(np.uint8)
    tables: dict[str, Any] = {}
    for name, nodes, leafs in (("first", "true", "trueleafs"), ("second", "false", "falseleafs")):
        child = getattr(a, name).array
        tables[f"nodes_{nodes}nodeids"] = tuple(np.where(child < 0, -1 - child, child).tolist())
        tables[f"nodes_{leafs}"] = tuple((child < 0).astype(int).tolist())
    if (a.roots.array < 0).any():
        raise Refusal("a tree of TreeEnsemble is not a single leaf")
    return c.node(
        "TreeEnsemble",
        c.input(0),
        domain=ML,
        n_targets=a.targets,
        aggregate_function=_AGGREGATE_NUMBERS[a.aggregate],
        tree_roots=tuple(a.roots.array.tolist()),
        nodes_featureids=tuple(a.features.array.tolist()),
        nodes_splits=Constant(a.thresholds.array.astype(dtype)),
        nodes_modes=Constant(modes),
        nodes_missing_value_tracks_true=tuple((flags & NAN_TAKES_FIRST).astype(int).tolist()),
        leaf_targetids=tuple(column for ((column, _),) in leaves),
        leaf_weights=Constant(np.array([weight for ((_, weight),) in leaves], dtype)),
        **tables,
    )
