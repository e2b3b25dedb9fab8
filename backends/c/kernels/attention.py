"""Attention by blocks of queries, and rotary embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from burnish.ir import DType
from burnish.ir.dims import ceildiv

from ..code import Expr, Index, index
from .attention_heads import Heads
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .packed_attention import takes
from .products import DOTS, Span, choose_tile, dot_products, tile_product, tiles, zeros
from .unit import Unit
from .windows import maximum, minimum

_BLOCK = 32
"""Queries whose scores are kept at a time."""

_FEW = 8
"""Below as many queries, copying tiles of the keys costs more than it saves."""


@register
class Attention(KernelFamily):
    """The scores of some queries, their softmax, and the sums of values, head by head.

    Tiles of the keys are copied for many queries, so that both products run along memory; dot
    products are taken for few.  Of causal attention, keys after a block's last one are skipped.
    """

    name = "attention"
    ops = ("nn.attention",)
    fusable = True

    def refusal(self, unit: Unit) -> str:
        return "of a size for vectors" if takes(unit) else ""

    def emit(self, k: KernelBuilder) -> None:
        _Writer(k).emit()


class _Writer:
    """Writes one kernel."""

    def __init__(self, k: KernelBuilder) -> None:
        self.k, self.a = k, k.attributes
        self.q = Heads.of(k, "q", self.a.heads)
        self.keys = Heads.of(k, "k", self.a.kv_heads)
        self.values = Heads.of(k, "v", self.a.kv_heads)
        self.result = Heads(k.result, (*self.q.shape[:3], self.values.shape[3]))
        self.work = self.q.buffer.dtype.compute
        _, _, self.queries, self.size = self.q.shape
        self.length = self.keys.shape[2]
        self.block = max(1, min(k.high(self.queries), _BLOCK))
        self.scores = k.scratch("scores", self.work, (self.block, self.length))

    def emit(self) -> None:
        k = self.k
        batch, heads, _, _ = self.q.shape
        kv_heads = self.keys.shape[1]
        blocks = ceildiv(self.queries, self.block)
        cut = k.shared_loop(batch, heads, blocks)
        with k.loops("n h", (batch, heads), parallel=cut < 2) as (n, head):
            shared = head
            if kv_heads != heads:
                shared = k.let_index("shared", head // (index(heads) // index(kv_heads)))
            q = self.q.matrix(k, "q_head", n, head)
            keys = self.keys.matrix(k, "k_head", n, shared)
            values = self.values.matrix(k, "v_head", n, shared)
            with k.loop("first", self.queries, step=self.block, parallel=cut == 2) as first:
                rows: Index = self.block
                if self.queries % self.block != 0:
                    rows = k.let_index("rows", minimum(index(self.queries) - first, self.block))
                seen = self._seen(first + rows)
                if k.high(self.queries) < _FEW:
                    self._dots(q, keys, first, rows, seen)
                else:
                    self._tiles(q, keys, first, rows, seen)
                with k.loop("r", rows) as r:
                    self._softmax([n, head, first + r], r, seen)
                self._sums([n, head], first, rows, seen, values)

    def _seen(self, end: Expr) -> Index:
        """Keys that queries before ``end`` attend to; one at least, to find what masks them."""
        if not self.a.causal:
            return self.length
        last = self.k.let_index("last", maximum(end + self.a.offset, 1))
        return self.k.let_index("seen", minimum(last, self.length))

    def _dots(self, q: Buffer, keys: Buffer, first: Expr, rows: Index, seen: Index) -> None:
        k = self.k
        with k.loop("r", rows) as r, tiles(k, "j", seen, DOTS) as columns:
            j = columns.start
            sums = zeros(k, "sum", self.work, DOTS)
            dot_products(
                k,
                self.size,
                sums,
                columns,
                lambda d: k.load(q, [first + r, d]),
                lambda t, d: k.load(keys, [j + t, d]),
            )
            with k.loop("t", columns.end, start=columns.first) as t:
                self._score(r, j + t, k.load(sums, [t]))

    def _tiles(self, q: Buffer, keys: Buffer, first: Expr, rows: Index, seen: Index) -> None:
        k = self.k
        tile = choose_tile(self.block, max(1, k.high(self.length)))
        panel = k.scratch("panel", self.work, (self.size, tile.columns))
        with tiles(k, "j", seen, tile.columns) as columns:
            j = columns.start
            k.comment("Copy a tile of keys, which are stored as rows.")
            with k.loops("t d", (columns.end, self.size)) as (t, d):
                k.write(panel, [d, t], k.load(keys, [j + t, d]))
            with tiles(k, "i", rows, tile.rows) as span:
                i = span.start
                sums = tile_product(
                    k,
                    span,
                    columns,
                    self.size,
                    self.work,
                    lambda r, d: k.load(q, [first + i + r, d]),
                    lambda d, t: k.load(panel, [d, t]),
                )
                with _stored(k, span, columns) as (r, t):
                    self._score(i + r, j + t, k.load(sums, [r, t]))

    def _score(self, row: Expr, column: Expr, product: Expr) -> None:
        k = self.k
        score = k.value("s * f", self.work, s=product, f=k.literal(self.a.scale, self.work))
        if self.a.softcap:
            cap = k.literal(self.a.softcap, self.work)
            score = k.value("tanh(s / cap) * cap", self.work, s=score, cap=cap)
        k.write(self.scores, [row, column], score)

    def _softmax(self, at: Sequence[Expr], row: Expr, seen: Index) -> None:
        """Scores of query ``at`` (batch, head, position) become weights; masked ones are 0."""
        k, work = self.k, self.work
        start = self.scores.offset([row, 0])
        line = k.view("line", self.scores, start, (self.length,), mutable=True)
        low, end = k.literal(float("-inf"), work), seen
        if self.a.causal:
            last = k.let_index("last", maximum(at[2] + (self.a.offset + 1), 0))
            end = k.let_index("end", minimum(last, seen))
        top = k.variable("top", work, low)
        with k.loop("j", end) as j:
            score = self._masked([*at, j], line, j)
            k.assign(top, k.value("max(a, x)", work, a=top, x=score))
        is_zero = self.a.masked_rows == "zero"
        if is_zero:  # all powers are 0 then
            shift = k.let("shift", work, k.value("0.0 if t == low else t", work, t=top, low=low))
        else:
            shift = top
        total = k.variable("total", work, 0.0)
        with k.loop("j", end) as j:
            power = k.value("exp(s - t)", work, s=k.load(line, [j]), t=shift)
            power = k.let("power", work, power)
            k.write(line, [j], power)
            k.assign(total, k.value("a + x", work, a=total, x=power))
        if is_zero:
            total = k.let("divisor", work, k.value("1.0 if t == 0 else t", work, t=total))
        with k.loop("j", end) as j:
            k.write(line, [j], k.value("w / t", work, w=k.load(line, [j]), t=total))
        if self.a.causal:
            rest = k.literal(0, work) if is_zero else k.value("t - t", work, t=top)
            with k.loop("j", seen, start=end) as j:
                k.write(line, [j], rest)

    def _masked(self, at: Sequence[Index], line: Buffer, j: Expr) -> Expr:
        """A score with the mask added."""
        k, mask = self.k, self.k.optional("mask")
        score = k.load(line, [j])
        if mask is None:
            return score
        added = k.load(mask, at)
        if mask.dtype is DType.BOOL:
            low = k.literal(float("-inf"), self.work)
            expression = "s + select(m, 0.0, low)"
            masked = k.value(expression, self.work, s=score, m=added, low=low)
        else:
            masked = k.value("s + m", self.work, s=score, m=added)
        k.write(line, [j], masked)
        return k.load(line, [j])

    def _sums(
        self, at: Sequence[Expr], first: Expr, rows: Index, seen: Index, values: Buffer
    ) -> None:
        k, width = self.k, self.values.shape[3]
        tile = choose_tile(self.block, max(1, k.high(width)))
        with tiles(k, "c", width, tile.columns) as columns, tiles(k, "i", rows, tile.rows) as span:
            i, c = span.start, columns.start
            sums = tile_product(
                k,
                span,
                columns,
                seen,
                self.work,
                lambda r, d: k.load(self.scores, [i + r, d]),
                lambda d, t: k.load(values, [d, c + t]),
            )
            with _stored(k, span, columns) as (r, t):
                (n, head), position = at, first + i + r
                indices = self.result.indices(n, head, position, c + t)
                k.store(indices, k.load(sums, [r, t]))


@contextmanager
def _stored(k: KernelBuilder, rows: Span, columns: Span) -> Iterator[tuple[Expr, Expr]]:
    """Loops over what a tile adds to those before it."""
    row, column = (k.loop(n, s.end, start=s.first) for n, s in (("r", rows), ("t", columns)))
    with row as r, column as t:
        yield r, t


@register
class RotaryEmbedding(KernelFamily):
    """Pair by pair; features after the pairs are copied."""

    name = "rotary_embedding"
    ops = ("nn.rotary_embedding",)

    def emit(self, k: KernelBuilder) -> None:
        x = Heads.of(k, "x", k.attributes.heads)
        y = Heads(k.result, x.shape)
        batch, heads, length, size = x.shape
        cos, sin, positions = k.operand("cos"), k.operand("sin"), k.optional("positions")
        work, pairs = x.buffer.dtype.compute, cos.shape[-1]
        with k.loops("n i", (batch, length), parallel=True) as (n, i):
            at: list[Index] = [n, i]
            if positions is not None:
                at = [k.load_index(positions, at, cos.shape[0])]
            with k.loop("h", heads) as head:
                with k.loop("p", pairs) as p:
                    places = (p, p + pairs)
                    if k.attributes.interleaved:
                        places = (p * 2, p * 2 + 1)
                    first, second = (x.indices(n, head, i, place) for place in places)
                    values = {
                        "a": k.let("a", work, k.load(x.buffer, first)),
                        "b": k.let("b", work, k.load(x.buffer, second)),
                        "c": k.let("c", work, k.load(cos, [*at, p])),
                        "s": k.let("s", work, k.load(sin, [*at, p])),
                    }
                    turned = k.value("c * a - s * b", work, **values)
                    k.store(y.indices(n, head, i, places[0]), turned)
                    turned = k.value("s * a + c * b", work, **values)
                    k.store(y.indices(n, head, i, places[1]), turned)
                with k.loop("p", size, start=pairs * 2) as p:
                    k.store(y.indices(n, head, i, p), k.load(x.buffer, x.indices(n, head, i, p)))
