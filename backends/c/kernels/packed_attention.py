"""Attention over vectors: packed products of blocks of queries with blocks of keys.

Keys and values of a head are packed once.  A block of queries times a block of keys gives scores
that stay in the first caches; they become weights there, and these times the values results.  Over
several blocks of keys the softmax is taken online (Milakov and Gimelshein 2018; Dao et al. 2022):
with m the greatest score so far and e^(s - m) as weights, a block with a greater score m' scales
the sums before it by e^(m - m').
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir import DType, Layout

from ..code import Expr, binary, cast, index
from ..vectors import VectorRenderer
from .attention_heads import Heads
from .blocked import flat, is_static_float
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .packed_matmul import product_shape
from .packed_products import ProductWriter, Total
from .strided import static
from .unit import Unit
from .vector_store import VectorStore
from .windows import maximum, minimum

FEW = 2
"""For a single query, packing the keys costs more than it saves."""

QUERIES = range(32, 15, -1)
"""Queries in a block, better ones first."""

KEYS, CAUSAL_KEYS = 256, 64
"""Keys in a block, at most; small blocks where whole blocks can be left out."""

WHOLE = 16
"""Keys in a block are a multiple of it, unless there is one block."""


def takes(unit: Unit) -> bool:
    """Whether attention of these sizes and types is computed over vectors."""
    op = unit.main
    tensors = [value.type for value in (*op.inputs[:3], op.result)]
    if not unit.isa.has_vectors or not is_static_float(*tensors):
        return False
    mask = op.operands[3] if len(op.operands) > 3 else None
    if mask is not None and (not mask.type.is_static or mask.type.layout is not None):
        return False
    queries = op.inputs[0].type.shape[-2]
    static_offset = isinstance(op.attributes.offset, int)
    return static_offset and isinstance(queries, int) and queries >= FEW


def block_of(count: int) -> int:
    """Queries in a block: all blocks alike where that is possible."""
    blocks = -(-count // QUERIES[0])
    return next((size for size in QUERIES if count % size == 0), -(-count // blocks))


@register
class PackedAttention(KernelFamily):
    """Head by head, block of queries by block of queries."""

    name = "packed_attention"
    ops = ("nn.attention",)
    fusable = True

    def refusal(self, unit: Unit) -> str:
        return "" if takes(unit) else "of sizes or types that vectors do not serve"

    def parameters(self, unit: Unit) -> dict[str, object]:
        queries, length = unit.main.inputs[0].type.shape[-2], unit.main.inputs[1].type.shape[-2]
        (count, keys) = static([queries, length])
        return {"block": f"{block_of(count)}x{_key_block(keys, unit.main.attributes.causal)}"}

    def emit(self, k: KernelBuilder) -> None:
        _Writer(k).emit()


def _key_block(length: int, causal: bool) -> int:
    """Keys in a block: whole vectors unless it is the only one."""
    blocks = -(-length // (CAUSAL_KEYS if causal else KEYS))
    each = -(-length // blocks)
    return length if blocks == 1 else -(-each // WHOLE) * WHOLE


class _Writer:
    """Writes one kernel.

    ``scores`` [block of queries, block of keys in whole vectors] become weights in place;
    ``factors`` [block of queries] scale sums.  With several blocks of keys, ``tops`` and
    ``totals`` are the greatest score of each query and its sum of weights, ``sums`` the results
    so far.
    """

    def __init__(self, k: KernelBuilder) -> None:
        self.k, self.a = k, k.attributes
        self.v = VectorRenderer(k.isa.lanes, k.helper)
        self.lanes = k.isa.lanes
        self.q = Heads.of(k, "q", self.a.heads)
        self.keys = Heads.of(k, "k", self.a.kv_heads)
        self.values = Heads.of(k, "v", self.a.kv_heads)
        self.mask = k.optional("mask")
        _, _, self.queries, self.size = static(self.q.shape)
        _, _, self.length, self.width = static(self.values.shape)
        self.result = Heads(k.result, (*self.q.shape[:3], self.width))
        self.store = VectorStore(k, self.v)
        self.rows, self.block = block_of(self.queries), _key_block(self.length, self.a.causal)
        self.is_online = self.block < self.length
        self._take_memory()

    def _take_memory(self) -> None:
        k, width = self.k, self._padded(self.width)
        scores = (self.rows, self._padded(self.block))
        self.packed_keys = k.scratch("keys", DType.F32, (self._padded(self.length), self.size))
        self.packed_values = k.scratch("values", DType.F32, (self.length, width))
        self.scores = k.scratch("scores", DType.F32, scores)
        self.factors = k.scratch("factors", DType.F32, (self.rows,))
        if self.is_online:
            self.tops = k.scratch("tops", DType.F32, (self.rows,))
            self.totals = k.scratch("totals", DType.F32, (self.rows,))
            self.sums = k.scratch("sums", DType.F32, (self.rows, width))

    def _padded(self, count: int) -> int:
        return -(-count // self.lanes) * self.lanes

    def emit(self) -> None:
        k = self.k
        batch, heads, _, _ = static(self.q.shape)
        kv_heads = static(self.keys.shape)[1]
        group, blocks = heads // kv_heads, self.queries // self.rows
        cut = k.shared_loop(batch, kv_heads, group, blocks)
        with k.loops("n shared", (batch, kv_heads), parallel=cut < 2) as (n, shared):
            self._pack_keys(self.keys.matrix(k, "k_head", n, shared))
            values = self.values.matrix(k, "v_head", n, shared)
            self._over_keys(lambda start, count: self._pack_values(values, start, count))
            with k.loop("member", group, parallel=cut == 2) as member:
                head = k.let_index("head", shared * group + member)
                q, whole = self.q.matrix(k, "q_head", n, head), blocks * self.rows
                span = k.loop("first", whole, step=self.rows, parallel=cut == 3)
                with span as first:
                    self._queries([n, head], q, first, self.rows)
                if rest := self.queries - whole:
                    with k.alone(cut == 3):
                        self._queries([n, head], q, index(whole), rest)

    def _over_keys(self, each: Callable[[Expr, int], None]) -> None:
        """``each`` block of keys: its start and how many there are."""
        rest = self.length % self.block
        with self.k.loop("start", self.length - rest, step=self.block) as start:
            each(start, self.block)
        if rest:
            each(index(self.length - rest), rest)

    def _pack_keys(self, keys: Buffer) -> None:
        """As a product's right side: blocks of keys, innermost, and before them the features."""
        k = self.k
        packed = Layout((0, 1), ((0, self.lanes),))
        panel = Buffer(self.packed_keys.pointer, (self.length, self.size), DType.F32, packed)
        with k.loops("j d", (self.length, self.size)) as (j, d):
            k.write(panel, [j, d], k.load(keys, [j, d]))

    def _pack_values(self, values: Buffer, start: Expr, count: int) -> None:
        """For each block of keys: blocks of features, innermost, and before them the keys."""
        k, lanes = self.k, self.lanes
        panel = self._values(start)
        whole = self.width // lanes
        with k.loops("c j", (whole, count)) as (c, j):
            vector = self.v.load(values.at([start + j, c * lanes]))
            k.statement(self.v.store(panel.at([(c * count + j) * lanes]), vector))
        with k.loops("j lane", (count, self.width % lanes)) as (j, lane):
            value = k.load(values, [start + j, lane + whole * lanes])
            k.write(panel, [(j + whole * count) * lanes + lane], value)

    def _values(self, start: Expr) -> Buffer:
        """The packed values of the block of keys that begins at ``start``."""
        memory = flat(self.packed_values)
        offset = start * self._padded(self.width)
        return self.k.view("values_block", memory, offset, memory.shape, mutable=True)

    def _queries(self, at: Sequence[Expr], q: Buffer, first: Expr, rows: int) -> None:
        """Results of ``rows`` queries from ``first`` on; ``at`` are batch entry and head."""
        k = self.k
        if not self.is_online:
            self._scores(q, first, rows, index(0), self.length)
            with k.loop("r", rows) as r:
                total = self._weights([*at, first + r], r, index(0), self.length)
                k.write(self.factors, [r], self._inverse(total))
            self._sums(rows, index(0), self.length, lambda r, c, total: self._finish(
                at, first, r, c, binary("*", total, self._factor(r))))  # fmt: skip
            return
        with k.loop("r", rows) as r:
            k.write(self.tops, [r], k.literal(float("-inf"), DType.F32))
            k.write(self.totals, [r], k.literal(0, DType.F32))
            with k.loop("c", self._padded(self.width)) as c:
                k.write(self.sums, [r, c], k.literal(0, DType.F32))
        last = index(self.length)
        if self.a.causal:
            last = k.let_index("last", first + (rows + self.a.offset))
        self._over_keys(lambda start, count: self._part(at, q, first, rows, start, count, last))
        with k.loop("r", rows) as r:
            k.write(self.factors, [r], self._inverse(k.load(self.totals, [r])))
        whole = self.width // self.lanes
        with k.loop("r", rows) as r:
            with k.loop("c", whole) as c:
                self._finish_sum(at, first, r, c)
            if self.width % self.lanes:
                self._finish_sum(at, first, r, index(whole))

    def _finish_sum(self, at: Sequence[Expr], first: Expr, r: Expr, block: Expr) -> None:
        total = self.v.load(self.sums.at([r, block * self.lanes]))
        self._finish(at, first, r, block, binary("*", total, self._factor(r)))

    def _part(
        self,
        at: Sequence[Expr],
        q: Buffer,
        first: Expr,
        rows: int,
        start: Expr,
        count: int,
        last: Expr,
    ) -> None:
        """Take a block of keys into the sums, unless all of them come after ``last``."""
        k = self.k
        with k.when(start < last if self.a.causal else index(1)):
            self._scores(q, first, rows, start, count)
            with k.loop("r", rows) as r:
                total = self._weights([*at, first + r], r, start, count)
                values = {"a": k.load(self.totals, [r]), "f": k.load(self.factors, [r]), "t": total}
                k.write(self.totals, [r], k.value("a * f + t", DType.F32, **values))

            def add(r: Expr, block: Expr, total: Expr) -> None:
                place = self.sums.at([r, block * self.lanes])
                value = self.v.fma(self.v.load(place), self._factor(r), total)
                k.statement(self.v.store(place, value))

            self._sums(rows, start, count, add)

    def _scores(self, q: Buffer, first: Expr, rows: int, start: Expr, count: int) -> None:
        """Products of queries with keys, scaled and bounded."""
        k, v, (_, step) = self.k, self.v, static(q.shape)
        shape = product_shape(rows, self.size, count, self.lanes, step)
        memory = flat(self.packed_keys)
        keys = k.view("keys_block", memory, start * self.size, memory.shape)
        block = k.view("q_block", q, first * step, (rows * step,))

        def finish(totals: Sequence[Total]) -> None:
            for total in totals:
                score = binary("*", total.value, v.splat(k.literal(self.a.scale, DType.F32)))
                if self.a.softcap:
                    cap = k.literal(self.a.softcap, DType.F32)
                    score = v.evaluate("tanh(s / cap) * cap", s=score, cap=v.splat(cap))
                place = self.scores.at([total.windows[0], total.block * self.lanes])
                k.statement(v.store(place, score))

        ProductWriter(k, shape, block, keys, None, finish).emit()

    def _weights(self, at: Sequence[Expr], row: Expr, start: Expr, count: int) -> Expr:
        """Scores of query ``at`` (batch, head, position) become weights; returns their sum."""
        k, v, lanes = self.k, self.v, self.lanes
        padded, low = self._padded(count), k.literal(float("-inf"), DType.F32)
        line = k.view("line", self.scores, self.scores.offset([row, 0]), (padded,), mutable=True)
        self._add_mask(at, line, start, count)
        best = k.declare(v.type, "best", v.splat(low))
        end: Expr | None = None
        if self.a.causal:
            seen = k.let_index("seen", maximum(at[2] - start + (self.a.offset + 1), 0))
            end = k.let_index("end", minimum(seen, count))
        whole = count - count % lanes if end is None else 0
        with k.loop("j", whole, step=lanes) as j:
            k.assign(best, v.at_least(v.load(line.at([j])), best))
        with k.loop("j", padded, start=whole, step=lanes) as j:
            k.comment("Keys that are not seen, and what pads the last vector.")
            left = cast("float", index(count) - j if end is None else end - j)
            is_seen = binary("<", v.numbers(), v.splat(left))
            score = v.choose(is_seen, v.load(line.at([j])), v.splat(low))
            score = k.declare(f"const {v.type}", "score", score)
            k.statement(v.store(line.at([j]), score))
            k.assign(best, v.at_least(score, best))
        top = k.let("top", DType.F32, v.across("max", best))
        if self.is_online:
            before = k.let("before", DType.F32, k.load(self.tops, [row]))
            top = k.let("top", DType.F32, k.value("max(a, b)", DType.F32, a=before, b=top))
            k.write(self.tops, [row], top)
        k.comment("Where all is masked, all powers are 0.")
        shift = k.value("0.0 if t == low else t", DType.F32, t=top, low=low)
        shift = k.let("shift", DType.F32, shift)
        if self.is_online:
            factor = k.value("exp(b - t)", DType.F32, b=before, t=shift)
            k.write(self.factors, [row], factor)
        sums = k.declare(v.type, "sum", v.splat(k.literal(0, DType.F32)))
        with k.loop("j", padded, step=lanes) as j:
            score = v.load(line.at([j]))
            power = v.evaluate("exp(s - t)", s=score, t=v.splat(shift))
            power = k.declare(f"const {v.type}", "power", power)
            k.statement(v.store(line.at([j]), power))
            k.assign(sums, binary("+", sums, power))
        return v.across("sum", sums)

    def _add_mask(self, at: Sequence[Expr], line: Buffer, start: Expr, count: int) -> None:
        k, v, mask = self.k, self.v, self.mask
        if mask is None:
            return
        whole = 0
        if mask.dtype is DType.F32 and mask.shape and mask.shape[-1] != 1:
            whole = count - count % self.lanes
        with k.loop("j", whole, step=self.lanes) as j:
            score = v.load(line.at([j]))
            score = binary("+", score, v.load(mask.at([*at, start + j])))
            k.statement(v.store(line.at([j]), score))
        with k.loop("j", count, start=whole) as j:
            score, added = k.load(line, [j]), k.load(mask, [*at, start + j])
            if mask.dtype is DType.BOOL:
                low = k.literal(float("-inf"), DType.F32)
                score = k.value("s + select(m, 0.0, low)", DType.F32, s=score, m=added, low=low)
            else:
                score = k.value("s + m", DType.F32, s=score, m=added)
            k.write(line, [j], score)

    def _inverse(self, total: Expr) -> Expr:
        """1 / total; where a query attends to nothing, 1, or what makes its results NaN."""
        k = self.k
        if self.a.masked_rows == "zero":
            total = k.let("total", DType.F32, total)
            return k.value("1.0 if t == 0 else 1.0 / t", DType.F32, t=total)
        return k.value("1.0 / t", DType.F32, t=total)

    def _factor(self, r: Expr) -> Expr:
        return self.v.splat(self.factors.at([r]))

    def _sums(
        self, rows: int, start: Expr, count: int, finish: Callable[[Expr, Expr, Expr], None]
    ) -> None:
        """Products of weights with values; ``finish`` gets a query, a block and its sums."""
        step = self._padded(self.block)
        shape = product_shape(rows, count, self.width, self.lanes, step)
        values, ragged = self._values(start), self.width % self.lanes != 0

        def finish_all(totals: Sequence[Total]) -> None:
            for total in totals:
                finish(total.windows[0], total.block, total.value)

        ProductWriter(self.k, shape, self.scores, values, None, finish_all, ragged=ragged).emit()

    def _finish(self, at: Sequence[Expr], first: Expr, r: Expr, block: Expr, value: Expr) -> None:
        """Write a vector of results."""
        last = block.value == self.width // self.lanes
        place = self.result.indices(at[0], at[1], first + r, block * self.lanes)
        self.store.store(place, value, self.width % self.lanes if last else None)
