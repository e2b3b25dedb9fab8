"""Products of matrices on tensor cores: the form they are written in, and their schedule.

Tensor cores multiply tiles of 16x16 halves and sum them in floats.  A product that is to run on
them is written (``lowerings/matmul.py``) as three blocks over sizes that are multiples of a block's
tile: its two factors with zeros at the borders, and their product.  So its schedule always fits,
whatever the sizes are: borders are conditions where the factors are read, and where the result is
written.

A block of threads computes one tile of the result.  Step by step along the depth it brings both
factors to shared memory, from where each warp takes the fragments that it multiplies; sums stay in
registers until the end, then go by shared memory to what follows in the same kernel.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

LEFT, RIGHT, PRODUCT = "fragments_left", "fragments_right", "fragments_product"
"""The names of the blocks that a schedule looks for."""

VECTOR = "burnish.vector"
"""The annotation of a factor's block that says how many elements lie behind one another."""

TILE = "burnish.tile"
"""The annotation of a product's block that says which of ``TILES`` it is cut into."""

FRAGMENT = 16
"""Rows, columns and depth of what one instruction multiplies."""

WARP = 32
STEP = 32
"""How far along the depth a block of threads goes at a time."""

MULTIPROCESSORS = 100
"""How many blocks of threads a GPU computes at once, at least, so that none of it is idle."""


@dataclass(frozen=True)
class Tile:
    """What a block of threads computes: ``rows`` by ``columns``, by a grid of warps."""

    rows: int
    columns: int
    warps: tuple[int, int]

    @property
    def fragments(self) -> tuple[int, int]:
        """Of one warp."""
        rows, columns = self.warps
        return self.rows // rows // FRAGMENT, self.columns // columns // FRAGMENT


TILES = (Tile(128, 64, (4, 2)), Tile(64, 64, (2, 2)), Tile(32, 32, (2, 2)))
"""Larger tiles read less, smaller ones keep more of the GPU busy."""


def tile_of(batch: int | None, rows: int | None, columns: int | None) -> Tile:
    """The tile for products of a shape; None stands for sizes that are not known."""
    if batch is None or rows is None or columns is None:
        return TILES[1]
    for tile in TILES:
        blocks = batch * -(-rows // tile.rows) * -(-columns // tile.columns)
        if blocks >= MULTIPROCESSORS:
            return tile
    return TILES[-1]


def tensorized(function: Any) -> Any | None:
    """The schedule of a function that holds a product in fragments; None if there is none in it.

    Raises:
        RuntimeError, ValueError: it is fused with what cannot be computed tile by tile.
    """
    s_tir = importlib.import_module("tvm.s_tir")
    schedule = s_tir.Schedule(function)
    root = schedule.get_sblock("root")
    names = {schedule.get(block).name_hint: block for block in schedule.get_child_blocks(root)}
    if PRODUCT not in names:
        return None
    product = names[PRODUCT]
    _inline_epilogue(schedule, root, [names[LEFT], names[RIGHT], product])
    return _Tensorization(schedule, product, [names[LEFT], names[RIGHT]]).apply()


def _inline_epilogue(schedule: Any, root: Any, kept: Sequence[Any]) -> None:
    """Leave one block behind the product, and none in front of its factors."""
    names = {schedule.get(block).name_hint for block in kept}
    for block in schedule.get_child_blocks(root):
        if schedule.get(block).name_hint in names or not schedule.get_consumers(block):
            continue
        schedule.compute_inline(block)


class _Tensorization:
    """One function on its way."""

    def __init__(self, schedule: Any, product: Any, factors: Sequence[Any]) -> None:
        self.schedule = schedule
        self.product = product
        self.factors = factors
        block = schedule.get(product)
        self.dtype = str(block.reads[1].source.dtype)
        self.transposed = _is_transposed(block)
        self.tile = TILES[int(block.annotations[TILE])]

    def apply(self) -> Any:
        sch, product, tile = self.schedule, self.product, self.tile
        *batch, i, j, k = sch.get_loops(product)
        i0, i1, i2, i3 = sch.split(i, [None, tile.warps[0], tile.fragments[0], FRAGMENT])
        j0, j1, j2, j3 = sch.split(j, [None, tile.warps[1], tile.fragments[1], FRAGMENT])
        k0, k1, k2 = sch.split(k, [None, STEP // FRAGMENT, FRAGMENT])
        sch.reorder(*batch, i0, j0, i1, j1, k0, k1, i2, j2, i3, j3, k2)
        sch.bind(sch.fuse(*batch, i0, j0), "blockIdx.x")
        warp = sch.fuse(i1, j1)
        sch.bind(warp, "threadIdx.y")
        outer = sch.blockize(i3)
        for index in range(2):
            self._fetch(outer, index, k0)
        fragments = [
            sch.cache_read(outer, index, f"wmma.matrix_{name}") for index, name in enumerate("ab")
        ]
        for block in fragments:
            sch.compute_at(block, k1)
        shared = sch.cache_write(outer, 0, "shared.dyn")
        store = sch.cache_write(outer, 0, "wmma.accumulator")
        sch.reverse_compute_at(store, warp)
        sch.reverse_compute_at(shared, warp)
        start = sch.decompose_reduction(outer, k0)
        for block, role in zip((*fragments, store), ("left", "right", "store")):
            self._instruct(sch.blockize(self._by_fragment(block)), role)
        self._instruct(start, "start")
        self._instruct(outer, "multiply")
        for consumer in sch.get_consumers(shared):
            sch.reverse_compute_inline(consumer)
        self._spread(shared, 1, 1)
        return sch

    def _fetch(self, outer: Any, index: int, step: Any) -> None:
        """Bring a tile of a factor to shared memory, all threads of the block together."""
        sch = self.schedule
        width = int(sch.get(self.factors[index]).annotations.get(VECTOR, 1))
        block = sch.cache_read(outer, index, "shared.dyn")
        sch.compute_at(block, step)
        sch.compute_inline(self.factors[index])
        self._spread(block, self.tile.warps[0] * self.tile.warps[1], width)
        # Rows that begin in other banks than their neighbours.
        sch.storage_align(block, 0, -2, FRAGMENT, FRAGMENT // 2)

    def _spread(self, block: Any, warps: int, width: int) -> None:
        """The last two loops of a block for the threads of a block, or of a warp."""
        sch = self.schedule
        fused = sch.fuse(*sch.get_loops(block)[-2:])
        _, warp, lane, vector = sch.split(fused, [None, warps, WARP, width])
        if warps > 1:
            sch.bind(warp, "threadIdx.y")
        sch.bind(lane, "threadIdx.x")
        if width > 1:
            sch.vectorize(vector)

    def _instruct(self, block: Any, role: str) -> None:
        """Put an instruction in the place of what ``block`` does.

        TVM's own way, ``tensorize``, copies instructions by writing them out and reading them
        again, at which the release 0.27 ends the process.
        """
        s_tir = importlib.import_module("tvm.s_tir")
        sch = self.schedule
        old = sch.get(block)
        buffers, body = instruction(role, self.dtype, self.transposed)
        regions = [*old.writes, *(r for r in old.reads if not _same(r, old.writes[0]))]
        if role in ("left", "right", "store"):
            regions = [old.reads[0], old.writes[0]]
        matches = [s_tir.MatchBufferRegion(b, r) for b, r in zip(buffers, regions)]
        new = s_tir.SBlock(
            old.iter_vars, old.reads, old.writes, old.name_hint, body, match_buffers=matches
        )
        sch.state.replace(sch.get_sref(block), new, {old: new})

    def _by_fragment(self, block: Any) -> Any:
        sch = self.schedule
        i, j = sch.get_loops(block)[-2:]
        i0, i1 = sch.split(i, [None, FRAGMENT])
        j0, j1 = sch.split(j, [None, FRAGMENT])
        sch.reorder(i0, j0, i1, j1)
        return i1


def _is_transposed(block: Any) -> bool:
    """Whether the right factor is read by column first."""
    depth = block.iter_vars[-1].var
    return bool(block.reads[1].region[-1].min.same_as(depth))


_LOAD = """
@T.prim_func(s_tir=True)
def load(source: T.handle, fragment: T.handle) -> None:
    s1, s0, f1, f0 = T.int32(), T.int32(), T.int32(), T.int32()
    S = T.match_buffer(source, (16, 16), "{dtype}", offset_factor=16, scope="shared.dyn",
                       strides=[s1, s0])
    F = T.match_buffer(fragment, (16, 16), "{dtype}", offset_factor=16, scope="wmma.matrix_{side}",
                       strides=[f1, f0])
    with T.sblock("root"):
        T.reads(S[0:16, 0:16])
        T.writes(F[0:16, 0:16])
        T.tvm_load_matrix_sync(F.data, 16, 16, 16, {F}, S.access_ptr("r", ptr_type="{dtype}"), s1,
                               "{order}", dtype="void")
"""

_START = """
@T.prim_func(s_tir=True)
def start(sums: T.handle) -> None:
    c1, c0 = T.int32(), T.int32()
    C = T.match_buffer(sums, (16, 16), "float32", offset_factor=16, scope="wmma.accumulator",
                       strides=[c1, c0])
    with T.sblock("root"):
        T.reads()
        T.writes(C[0:16, 0:16])
        T.tvm_fill_fragment(C.data, 16, 16, 16, {C}, T.float32(0), dtype="void")
"""

_MULTIPLY = """
@T.prim_func(s_tir=True)
def multiply(sums: T.handle, left: T.handle, right: T.handle) -> None:
    a1, a0, b1, b0, c1, c0 = T.int32(), T.int32(), T.int32(), T.int32(), T.int32(), T.int32()
    A = T.match_buffer(left, (16, 16), "{dtype}", offset_factor=16, scope="wmma.matrix_a",
                       strides=[a1, a0])
    B = T.match_buffer(right, (16, 16), "{dtype}", offset_factor=16, scope="wmma.matrix_b",
                       strides=[b1, b0])
    C = T.match_buffer(sums, (16, 16), "float32", offset_factor=16, scope="wmma.accumulator",
                       strides=[c1, c0])
    with T.sblock("root"):
        T.reads(C[0:16, 0:16], A[0:16, 0:16], B[0:16, 0:16])
        T.writes(C[0:16, 0:16])
        T.tvm_mma_sync(C.data, {C}, A.data, {A}, B.data, {B}, C.data, {C}, dtype="void")
"""

_STORE = """
@T.prim_func(s_tir=True)
def store(sums: T.handle, target: T.handle) -> None:
    c1, c0, t1, t0 = T.int32(), T.int32(), T.int32(), T.int32()
    C = T.match_buffer(sums, (16, 16), "float32", offset_factor=16, scope="wmma.accumulator",
                       strides=[c1, c0])
    D = T.match_buffer(target, (16, 16), "float32", offset_factor=16, scope="shared.dyn",
                       strides=[t1, t0])
    with T.sblock("root"):
        T.reads(C[0:16, 0:16])
        T.writes(D[0:16, 0:16])
        T.tvm_store_matrix_sync(C.data, 16, 16, 16, {C}, D.access_ptr("w", ptr_type="float32"), t1,
                                "row_major", dtype="void")
"""


_TEXTS = {"left": _LOAD, "right": _LOAD, "start": _START, "multiply": _MULTIPLY, "store": _STORE}


def instruction(role: str, dtype: str, transposed: bool) -> tuple[list[Any], Any]:
    """The buffers of an instruction, and the call of it; both are new each time."""
    s_tir = importlib.import_module("tvm.s_tir")
    order = "col_major" if role == "right" and transposed else "row_major"
    function = s_tir.renew_defs(_parsed(role, dtype, order))
    return list(function.params), function.body.block.body


@cache
def _parsed(role: str, dtype: str, order: str) -> Any:
    numbers = {
        name: f"{name}.elem_offset // {stride} // 16 * ({stride} // 16) "
        f"+ {name}.elem_offset % {stride} // 16"
        for name, stride in (("A", "a1"), ("B", "b1"), ("C", "c1"), ("F", "f1"))
    }
    side = "b" if role == "right" else "a"
    text = _TEXTS[role].format(dtype=dtype, side=side, order=order, **numbers)
    return importlib.import_module("tvm.script").from_source(text)


def _same(one: Any, other: Any) -> bool:
    return bool(one.source.same_as(other.source))
