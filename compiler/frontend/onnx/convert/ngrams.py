"""Counting sequences of numbers (n-grams of word numbers) in rows: TfIdfVectorizer."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from burnish.ir import Dim, DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from ..tensors import Array
from .registry import converter

_MODES = ("TF", "IDF", "TFIDF")


@converter("TfIdfVectorizer", since=9)
def _vectorize(node: NodeContext) -> Value:
    x, mode = node.input(0), node.string("mode")
    if mode not in _MODES:
        raise ModelError(f"attribute mode is {clip(repr(mode))}, not one of {', '.join(_MODES)}")
    if x.type.rank not in (1, 2):
        raise ModelError(f"its input is {x.type}, neither a row nor a matrix")
    rows = node.cast(node.reshape(x, (1, *x.type.shape)) if x.type.rank == 1 else x, DType.I64)
    lengths = range(node.integer("min_gram_length"), node.integer("max_gram_length") + 1)
    parts = [
        _occurrences(node, rows, grams) if grams.shape[1] in lengths else _zeros(node, rows, grams)
        for grams in _vocabulary(node)
    ]
    counts = node.op("tensor.concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    y = _placed(node, _weighted(node, counts, mode))
    return node.reshape(y, y.type.shape[1:]) if x.type.rank == 1 else y


def _vocabulary(node: NodeContext) -> list[Array]:
    """The n-grams to look for: for every n that occurs, an array [count, n].

    Raises:
        ModelError: the attributes contradict each other.
        UnsupportedError: the vocabulary is of strings.
    """
    if node.strings("pool_strings"):
        node.refuse("a vocabulary of strings")
    pool = node.integers("pool_int64s") or ()
    starts = [*(node.integers("ngram_counts") or ()), len(pool)]
    vocabulary = []
    for n, (start, end) in enumerate(itertools.pairwise(starts), 1):
        if not 0 <= start <= end or (end - start) % n:
            raise ModelError(f"numbers {start} to {end} of its pool are no sequences of {n}")
        if end > start:
            vocabulary.append(np.array(pool[start:end], np.int64).reshape(-1, n))
    if not vocabulary:
        raise ModelError("its pool is empty")
    return vocabulary


def _zeros(node: NodeContext, rows: Value, grams: Array) -> Value:
    return node.broadcast(node.scalar(0, DType.F32), (rows.type.shape[0], len(grams)))


def _occurrences(node: NodeContext, rows: Value, grams: Array) -> Value:
    """How often each n-gram is in each row, also with gaps of up to ``max_skip_count``."""
    n = grams.shape[1]
    columns = rows.type.shape[1]
    (length,) = node.static([columns], "length")
    total = None
    for step in range(1, node.integer("max_skip_count") + 2 if n > 1 else 2):
        windows = length - (n - 1) * step
        if windows < 1:
            break
        hits = functools.reduce(
            lambda a, b: node.op("math.logical_and", a, b),
            [_matches(node, rows, i * step, windows, grams[:, i]) for i in range(n)],
        )
        found = node.reduce(node.cast(hits, DType.F32), "sum", [1], keep_dims=False)
        total = found if total is None else node.op("math.add", total, found)
    return _zeros(node, rows, grams) if total is None else total


def _matches(node: NodeContext, rows: Value, start: int, windows: int, wanted: Array) -> Value:
    """bool[rows, windows, wanted]: which numbers from ``start`` on are the wanted ones."""
    count: Dim = rows.type.shape[0]
    part = node.op("tensor.slice", rows, starts=(0, start), sizes=(count, windows), steps=(1, 1))
    return node.op("math.equal", node.reshape(part, (count, windows, 1)), node.constant(wanted))


def _weighted(node: NodeContext, counts: Value, mode: str) -> Value:
    """Counts, weights of what occurs, or their product."""
    if mode == "TF":
        return counts
    size = int(node.static(counts.type.shape[1:], "vocabulary")[0])
    weights = np.array(node.numbers("weights") or [1.0] * size, np.float32)
    if len(weights) != size:
        raise ModelError(f"there are {len(weights)} weights for {size} n-grams")
    if mode == "IDF":
        occurs = node.op("math.greater", counts, node.scalar(0, DType.F32))
        counts = node.cast(occurs, DType.F32)
    return node.op("math.mul", counts, node.constant(weights))


def _placed(node: NodeContext, values: Value) -> Value:
    """The value of every n-gram in the column that the node gives it."""
    columns = node.integers("ngram_indexes") or ()
    size = int(node.static(values.type.shape[1:], "vocabulary")[0])
    if len(columns) != size or min(columns) < 0:
        raise ModelError(f"attribute ngram_indexes does not give columns to {size} n-grams")
    if columns == tuple(range(size)):
        return values
    node.table(size * (max(columns) + 1))  # refuses what is too large
    placement = np.zeros((size, max(columns) + 1), np.float32)
    placement[range(size), columns] = 1
    return node.op("nn.matmul", values, node.constant(placement))
