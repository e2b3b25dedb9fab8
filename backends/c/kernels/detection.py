"""Object detection."""

from __future__ import annotations

from burnish.ir import DType

from ..code import Expr
from .buffer import Buffer
from .builder import ERROR_SHAPE, ERROR_SIZE, KernelBuilder
from .counted import settle_size
from .family import KernelFamily, register

_F32 = DType.F32


@register
class NonMaxSuppression(KernelFamily):
    """Per class: the candidates in a heap sorted by score, each compared with those taken."""

    name = "non_max_suppression"
    ops = ("nn.non_max_suppression",)
    checks_data = True

    def emit(self, k: KernelBuilder) -> None:
        batches, classes, count = k.operand("scores").shape
        found = k.index_variable("found", 0)
        if count != 0:
            order = k.scratch("order", DType.I64, (count,))
            with k.loops("batch number", (batches, classes)) as (batch, number):
                self._class(k, order, found, batch, number)
        settle_size(k, found)

    def _class(
        self, k: KernelBuilder, order: Buffer, found: Expr, batch: Expr, number: Expr
    ) -> None:
        boxes = k.operand("boxes")
        candidates = _candidates(k, order, batch, number)
        begin = k.let_index("begin", Expr(f"{found} + 0"))
        limit = k.operand("limit").at(())
        with k.loop("c", candidates) as c:
            with k.when(Expr(f"{found} - {begin} >= {limit}")):
                k.statement("break")
            box = k.let_index("box", Expr(f"(ptrdiff_t){order.at((c,))}"))
            taken = k.variable("taken", DType.I32, 1)
            with k.loop("t", found, start=begin) as t:
                other = k.let_index("other", Expr(f"(ptrdiff_t){k.result.at((t, 2))}"))
                overlap = _overlap(k, boxes, batch, box, other)
                with k.when(overlap > k.load(k.operand("iou_threshold"), ())):
                    k.statement(f"{taken} = 0")
                    k.statement("break")
            with k.when(taken.differs(0)):
                self._take(k, found, (batch, number, box))

    def _take(self, k: KernelBuilder, found: Expr, row: tuple[Expr, Expr, Expr]) -> None:
        size = k.attributes.size
        if isinstance(size, int):
            k.fail_when(found >= size, ERROR_SHAPE)
        else:
            k.fail_when(found >= k.high(size), ERROR_SIZE)
        if size != 0:
            for column, value in enumerate(row):
                k.statement(f"{k.result.at((found, column))} = {value}")
        k.assign(found, found + 1)


def _candidates(k: KernelBuilder, order: Buffer, batch: Expr, number: Expr) -> Expr:
    """Fill ``order`` with the boxes above the threshold by descending score; how many they are."""
    scores, threshold = k.operand("scores"), k.optional("score_threshold")
    (count,) = order.shape
    low = Expr("-INFINITY") if threshold is None else k.load(threshold, ())
    sift = k.helper("sift_descending_f32")
    line = k.view("line", scores, scores.offset((batch, number, 0)), (count,))
    candidates = k.index_variable("candidates", 0)
    with k.loop("i", count) as i, k.when(k.load(line, (i,)) > low):
        k.statement(f"{order.at((candidates,))} = {i}")
        k.assign(candidates, candidates + 1)
    heap = f"{line.pointer}, {order.pointer}, 1"
    with k.block(f"for (ptrdiff_t root = {candidates} / 2; root-- > 0;)"):
        k.statement(f"{sift}({heap}, root, {candidates})")
    with k.block(f"for (ptrdiff_t last = {candidates} - 1; last > 0; last--)"):
        k.statement(f"const int64_t top = {order.at((0,))}")
        k.statement(f"{order.at((0,))} = {order.at((Expr('last'),))}")
        k.statement(f"{order.at((Expr('last'),))} = top")
        k.statement(f"{sift}({heap}, 0, last)")
    return candidates


def _overlap(k: KernelBuilder, boxes: Buffer, batch: Expr, box: Expr, other: Expr) -> Expr:
    """Intersection over union of two boxes; 0 where one has no area."""
    values: dict[str, Expr] = {}
    for axis in range(2):
        for letter, which in (("p", box), ("q", other)):
            first = k.let(f"{letter}{axis}", _F32, k.load(boxes, (batch, which, axis)))
            second = k.let(f"{letter}{axis}_", _F32, k.load(boxes, (batch, which, axis + 2)))
            low, high = ("x - y / 2", "x + y / 2") if k.attributes.centered else _ORDERED
            for name, text in (("low", low), ("high", high)):
                value = k.value(text, _F32, x=first, y=second)
                values[f"{letter}{name}{axis}"] = k.let(f"{letter}_{name}{axis}", _F32, value)
        common = "min(phigh, qhigh) - max(plow, qlow)"
        corner = {key[:-1]: value for key, value in values.items() if key.endswith(str(axis))}
        values[f"side{axis}"] = k.let(f"side{axis}", _F32, k.value(common, _F32, **corner))
    area = "(high0 - low0) * (high1 - low1)"
    for letter in "pq":
        corners = {key[1:]: v for key, v in values.items() if key[0] == letter}
        values[f"area_{letter}"] = k.let(f"area_{letter}", _F32, k.value(area, _F32, **corners))
    sides = {"s": values["side0"], "t": values["side1"]}
    common_area = k.let("common", _F32, k.value("s * t", _F32, **sides))
    areas = {"p": values["area_p"], "q": values["area_q"], "c": common_area}
    union = k.let("joined", _F32, k.value("p + q - c", _F32, **areas))
    zero = k.literal(0, _F32)
    has_area = (
        (values["side0"] > zero)
        & (values["side1"] > zero)
        & (areas["p"] > zero)
        & (areas["q"] > zero)
        & (union > zero)
    )
    overlap = k.variable("overlap", _F32, 0)
    with k.when(has_area):
        k.assign(overlap, k.value("c / u", _F32, c=common_area, u=union))
    return overlap


_ORDERED = ("min(x, y)", "max(x, y)")
