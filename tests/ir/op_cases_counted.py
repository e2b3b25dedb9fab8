"""Cases of the ops whose result size depends on data, and of checks at run time."""

from __future__ import annotations

import numpy as np
from op_cases import OpCase, data

from burnish import ir


def _requirements() -> list[OpCase]:
    def case(note: str, x: ir.Array, *expected: int) -> OpCase:
        operands = (x, np.array(expected, np.int64))
        return OpCase("control.require", note, operands, {"expected": expected}, defined_here=True)

    return [
        case("shape", data((2, 3)), 2, 3),
        case("negative", data((4,), "i32"), -1),
        case("nothing", data((2,), "bool")),
        case("empty", data((0, 2)), 0, 2),
        case("scalar", data((), "f16"), 7, 1 << 40, -(1 << 63)),
    ]


def _positions() -> list[OpCase]:
    def case(note: str, x: ir.Array) -> OpCase:
        size = np.count_nonzero(np.atleast_1d(x))
        return OpCase("tensor.non_zero", note, (x,), {"size": size})

    some = np.array([[1, 0, -0.0], [np.nan, 0, np.inf]], np.float32)
    return [
        case("floats", some),
        case("halves", some.astype(np.float16)),
        case("bools", data((2, 3, 4), "bool")),
        case("bytes", (data((5, 3), "u8") % 3).astype(np.uint8)),
        case("none", np.zeros((2, 2), np.int32)),
        case("all", np.ones((3,), np.int64)),
        case("scalar", np.array(5, np.int32)),
        case("empty", np.zeros((0, 3), np.float32)),
    ]


def _distinct() -> list[OpCase]:
    def case(note: str, x: ir.Array, axis: int = 0, in_order: bool = True) -> OpCase:
        attributes = {"axis": axis, "sorted": in_order}
        definition = ir.lookup("tensor.unique")
        every = definition.complete({**attributes, "size": ir.symbol("K")})
        size = len(definition.evaluate(every, x)[1])
        # onnxruntime loses elements when it orders NaN, and aborts on empty slices.
        nan = x.dtype.kind not in "iub" and bool(np.isnan(x.astype(np.float64)).any())
        values = {**attributes, "size": size}
        return OpCase("tensor.unique", note, (x,), values, defined_here=nan or not x.size)

    special = np.array([2, np.nan, -0.0, 0, np.nan, -np.inf, 2], np.float32)
    rows = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 0], [0, 5, 5]], np.int32)
    cube = np.array([[[1, 2], [1, 2], [0, 9]], [[3, 4], [3, 4], [3, 4]]], np.float64)
    return [
        case("sorted", special),
        case("first-come", special, in_order=False),
        case("halves", special.astype(np.float16)),
        case("zeros", np.array([0, -1, -0.0, 3, 0], np.float32)),
        case("rows", rows),
        case("rows-first-come", rows[::-1].copy(), in_order=False),
        case("columns", rows, axis=1),
        case("middle", cube, axis=1),
        case("long", (data((100,), "i64") % 7), in_order=True),
        case("long-first-come", (data((100,), "i32") % 7), in_order=False),
        case("bools", data((9,), "bool")),
        case("one", np.array([4], np.uint8)),
        case("nibbles", np.array([-4, 7, -8, 0, 7, -1]).astype(ir.DType.I4.numpy)),
        case("empty", np.zeros((0,), np.float32)),
        case("slices-of-nothing", np.zeros((3, 0), np.float32)),
    ]


def _boxes() -> list[OpCase]:
    def case(
        note: str,
        boxes: ir.Array,
        scores: ir.Array,
        limit: int,
        iou: float,
        low: float | None = None,
        centered: bool = False,
    ) -> OpCase:
        numbers = [np.array(limit, np.int64), np.array(iou, np.float32)]
        operands: list[ir.Array] = [boxes, scores, *numbers]
        if low is not None:
            operands.append(np.array(low, np.float32))
        definition = ir.lookup("nn.non_max_suppression")
        every = definition.complete({"centered": centered, "size": ir.symbol("K")})
        padded = [*operands, *[None] * (5 - len(operands))]
        size = len(definition.evaluate(every, *padded))
        attributes = {"centered": centered, "size": size}
        return OpCase("nn.non_max_suppression", note, tuple(operands), attributes)

    boxes = data((2, 12, 4), low=0.0, high=1.0, salt="boxes")
    scores = data((2, 3, 12), low=0.0, high=1.0, salt="scores")
    equal = np.repeat(scores[:, :, :3], 4, axis=2)
    return [
        case("corners", boxes, scores, 5, 0.3, 0.2),
        case("centered", boxes, scores, 12, 0.1, 0.0, centered=True),
        case("equal-scores", boxes, equal, 4, 0.4),
        case("no-limit", boxes, scores, 100, 1.0, -1.0),
        case("all-below", boxes, scores, 5, 0.5, 2.0),
        case("limit-0", boxes, scores, 0, 0.5),
        case("same-boxes", np.repeat(boxes[:, :4], 3, axis=1), scores, 12, 0.9),
    ]


CASES = [*_requirements(), *_positions(), *_distinct(), *_boxes()]
