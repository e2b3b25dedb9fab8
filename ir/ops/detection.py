"""Ops of object detection whose result size depends on the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attributes import BOOL, DIM, Attributes
from ..constants import Array
from ..dtypes import DType
from ..opdef import Cost, OpDef, OperandTypes, Trait, attribute, operand, register, traffic
from ..types import TensorType
from .checks import require_shape
from .counted import SIZE_DOC, check_found, check_size


@register
class NonMaxSuppression(OpDef):
    """Boxes that no better box of the same class overlaps too much.  ONNX NonMaxSuppression.

    Per batch and class, boxes whose score exceeds the threshold are taken in the order of their
    scores (of equal ones the earlier first), unless their intersection over union with one
    taken before exceeds ``iou_threshold``, up to ``limit`` boxes.  Rows of the result are
    (batch, class, box).  Boxes without area overlap nothing.
    """

    name = "nn.non_max_suppression"
    traits = frozenset({Trait.SIZED})
    boxes = operand("[batch, boxes, 4]", dtypes={DType.F32}, rank=3)
    scores = operand("[batch, classes, boxes]", dtypes={DType.F32}, rank=3)
    limit = operand("most boxes per batch and class", dtypes={DType.I64}, rank=0)
    iou_threshold = operand("most overlap", dtypes={DType.F32}, rank=0)
    score_threshold = operand(
        "scores must exceed it; -inf when absent", dtypes={DType.F32}, rank=0, optional=True
    )
    centered = attribute(
        BOOL, "boxes are (x, y, width, height) around their center, else two corners", False
    )
    size = attribute(DIM, SIZE_DOC)

    def infer(
        self, a: Attributes, boxes: TensorType, scores: TensorType, *_: TensorType | None
    ) -> TensorType:
        check_size(a.size)
        batch, count, _coordinates = boxes.shape
        require_shape(boxes, (batch, count, 4), "boxes")
        require_shape(scores, (batch, scores.shape[1], count), "scores")
        return TensorType((a.size, 3), DType.I64)

    def evaluate(
        self,
        a: Attributes,
        boxes: Array,
        scores: Array,
        limit: Array,
        iou_threshold: Array,
        score_threshold: Array | None,
    ) -> Array:
        found: list[tuple[int, int, int]] = []
        low = np.float32(-np.inf) if score_threshold is None else score_threshold
        for batch, of_batch in enumerate(boxes):
            corners = _corners(of_batch, a.centered)
            for number, of_class in enumerate(scores[batch]):
                order = np.argsort(-of_class, kind="stable")
                order = order[of_class[order] > low]
                taken = _taken(corners, order, int(limit), iou_threshold)
                found += [(batch, number, box) for box in taken]
        check_found(a.size, len(found), "boxes")
        return np.array(found, np.int64).reshape(len(found), 3)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        scores = operands[1]
        assert scores is not None
        return Cost(flops=scores.elements * 16, **traffic(operands, results))


def _corners(boxes: Array, centered: bool) -> Array:
    """Boxes as (low, low, high, high)."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if centered:
        half = second / np.float32(2)
        return np.concatenate([first - half, first + half], axis=1)
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1)


def _taken(corners: Array, order: Array, limit: int, iou_threshold: Array) -> list[int]:
    taken: list[int] = []
    for box in order:
        if len(taken) >= limit:
            break
        if not any(_overlap(corners[box], corners[other]) > iou_threshold for other in taken):
            taken.append(int(box))
    return taken


def _overlap(a: Array, b: Array) -> Array:
    """Intersection over union; 0 where one of them has no area."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    common = sides[0] * sides[1]
    union = areas[0] + areas[1] - common
    if min(sides) <= 0 or min(areas) <= 0 or union <= 0:
        return np.zeros((), np.float32)
    return np.asarray(common / union)
