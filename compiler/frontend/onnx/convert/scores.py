"""From scores to classes: what the classifiers and regressors of ai.onnx.ml share."""

from __future__ import annotations

import numpy as np

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext

ML = "ai.onnx.ml"
"""The domain of the operators for classical machine learning."""

Labels = tuple[int, ...]


def class_labels(node: NodeContext, prefix: str = "classlabels") -> Labels:
    """The integer labels of a classifier.

    Raises:
        UnsupportedError: they are strings.
        ModelError: there are none.
    """
    if node.strings(f"{prefix}_strings"):
        node.refuse("its class labels are strings")
    labels = node.integers(f"{prefix}_ints") or node.integers(f"{prefix}_int64s")
    if not labels:
        raise ModelError("it has no class labels")
    return labels


def transformed(node: NodeContext, scores: Value, transform: str) -> Value:
    """``scores`` [rows, columns] after a ``post_transform``.

    Raises:
        UnsupportedError: it is PROBIT, for which there is no op.
    """
    if transform == "NONE":
        return scores
    if transform == "LOGISTIC":
        return node.op("math.sigmoid", scores)
    if transform == "SOFTMAX":
        return node.op("nn.softmax", scores, axis=scores.type.rank - 1)
    if transform == "SOFTMAX_ZERO":
        return _softmax_of_others_than_zero(node, scores)
    if transform == "PROBIT":
        node.refuse("post_transform = PROBIT")
    raise ModelError(f"attribute post_transform is {clip(repr(transform))}")


def _softmax_of_others_than_zero(node: NodeContext, scores: Value) -> Value:
    """Scores of 0 stay 0, the others are as in a softmax without them."""
    dtype, axis = scores.type.dtype, scores.type.rank - 1
    zero = node.scalar(0, dtype)
    is_zero = node.op("math.equal", scores, zero)
    masked = node.op("math.select", is_zero, node.scalar(-np.inf, dtype), scores)
    softmax = node.op("nn.softmax", masked, axis=axis)
    return node.op("math.select", is_zero, zero, softmax)


def largest_label(node: NodeContext, scores: Value, labels: Labels) -> Value:
    """The label of the largest score of each row, the first of equal ones."""
    best = node.op("tensor.arg_reduce", scores, kind="max", axis=1, keep_dims=False, last=False)
    if labels == tuple(range(len(labels))):
        return best
    return node.op("tensor.gather", node.constant(np.array(labels, np.int64)), best, axis=0)


def label_where(node: NodeContext, positive: Value, labels: Labels) -> Value:
    """The second label where ``positive`` [rows, 1] holds, else the first, as [rows]."""
    first, second = (node.scalar(label, DType.I64) for label in labels)
    chosen = node.op("math.select", positive, second, first)
    return node.reshape(chosen, (positive.type.shape[0],))


def binary_scores(
    node: NodeContext, score: Value, labels: Labels, transform: str, is_probability: bool
) -> list[Value]:
    """Label and scores of two classes from the score [rows, 1] of the second.

    The first class has the rest to 1 where the score ``is_probability``, else its negative.
    """
    dtype = score.type.dtype
    limit = node.scalar(0.5 if is_probability else 0.0, dtype)
    label = label_where(node, node.op("math.greater", score, limit), labels)
    if is_probability:
        other = node.op("math.sub", node.scalar(1, dtype), score)
        return [label, node.op("tensor.concat", other, score, axis=1)]
    pair = node.op("tensor.concat", node.op("math.neg", score), score, axis=1)
    return [label, transformed(node, pair, transform if transform == "LOGISTIC" else "NONE")]
