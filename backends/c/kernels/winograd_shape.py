"""Sizes of convolutions by Winograd's filtering: tiles, chunks of them, and their time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from burnish.ir import Op

from ..isa import Isa
from .blocked import ChannelSteps, blocked, channel_steps, is_static_float
from .packed_products import ProductShape
from .strided import static
from .windows import WindowAxis, window_axes
from .winograd import TAPS, Filtering

OUTPUTS = (2, 4)
"""Results along each axis of a tile that there are transforms for."""

MIN_CHUNK, MAX_CHUNK = 3, 64
"""Tiles that are transformed, multiplied and transformed back at a time, if there are as many."""

NARROW, APART = 128, 2048
"""Bytes from one point of a tile to the next that are no harm in a power of two; and from a block
of channels to the next that are."""

SCRATCH = 768 << 10
"""Bytes of transformed tiles that the second cache holds beside weights."""

SPILLED = 8.0
"""Cycles for each of their vectors where it does not."""

ENOUGH = 1.03
"""How much more time a chunk may take that needs less memory."""

WAIT = 0.5
"""Cycles that products wait for each vector of weights, though it is fetched ahead."""

KEPT, PASSING = 256 << 10, 0.3
"""Bytes of weights above which chunks are the larger the better, as each has all of them pass
through the caches again: cycles for each vector."""

_CACHES = (512 << 10, 3 << 20)
_FIRST = (0.0, 3.0, 5.5)
_AGAIN = (0.0, 1.0, 3.0)
"""Cycles to fetch one from where all weights lie, by their bytes: for the first chunk, and for each
of the others."""

_INPUT: Mapping[int, float] = {2: 45.0, 4: 110.0}
_OUTPUT: Mapping[int, float] = {2: 40.0, 4: 100.0}
"""Cycles to transform a tile of a block of channels."""


@dataclass(frozen=True)
class WinogradShape:
    """Sizes of a convolution by tiles of ``filtering``.

    Attributes:
        batch: how many images.
        inputs: steps through the input.
        planes, blocks: blocks of channels of the input and of the result.
        axes: the spatial axes.
        lanes: channels in a block.
        chunk: tiles that are transformed, multiplied and transformed back at a time.
    """

    filtering: Filtering
    batch: int
    inputs: ChannelSteps
    blocks: int
    axes: tuple[WindowAxis, WindowAxis]
    lanes: int
    chunk: int = 1

    @property
    def products(self) -> int:
        """Products of a tile, per pair of channels."""
        return self.filtering.size**2

    @property
    def counts(self) -> tuple[int, ...]:
        """Tiles along each axis."""
        return tuple(-(-count // self.filtering.outputs) for count in self.results)

    @property
    def results(self) -> tuple[int, ...]:
        """Results along each axis."""
        return static([axis.count for axis in self.axes])

    @property
    def tiles(self) -> int:
        """All tiles of all images."""
        return self.batch * math.prod(self.counts)

    @property
    def slots(self) -> int:
        """Room for tiles of a chunk: an odd number, where steps would meet in the same lines.

        Caches put addresses a power of two apart in the same few lines.
        """
        point = 4 * self.lanes * self.chunk
        is_spread = point <= NARROW and self.products * point % APART != 0
        return self.chunk if is_spread else self.chunk | 1

    def product(self) -> ProductShape:
        """The products of a chunk at one point: a convolution by 1 of a row of tiles."""
        step = self.products * self.slots * self.lanes
        inputs = ChannelSteps(
            self.inputs.planes, self.lanes, self.inputs.rest, step, 1, 0, (self.lanes,)
        )
        row = WindowAxis(self.chunk, self.chunk, 1, 1, 1, 0, 0)
        return ProductShape(
            1, 1, inputs, self.inputs.planes, self.blocks, (row,), (self.lanes,), ()
        )

    @property
    def scratch(self) -> int:
        """Bytes of transformed tiles."""
        return 4 * self.lanes * self.products * self.slots * (self.inputs.planes + self.blocks)

    def cycles(self, isa: Isa) -> float:
        """An estimate of its time."""
        product = self.product()
        tile = product.work(isa).cycles(product.tile(isa)) * product.depth
        chunks = -(-self.tiles // self.chunk)
        weights = self.products * self.blocks * product.depth
        level = sum(4 * self.lanes * weights > size for size in _CACHES)
        fetched = weights * (_FIRST[level] + (chunks - 1) * _AGAIN[level])
        moved = self.inputs.planes * _INPUT[self.filtering.outputs]
        moved += self.blocks * _OUTPUT[self.filtering.outputs]
        if self.scratch > SCRATCH:
            moved += SPILLED * self.products * (self.inputs.planes + self.blocks)
        stores = self.chunk * self.blocks
        computed = max(chunks * self.products * (tile + stores), fetched)
        return computed + weights * WAIT + self.tiles * moved

    def chunked(self, isa: Isa) -> WinogradShape:
        """The same with the smallest chunk that takes hardly more time than the best."""
        fewest = -(-self.tiles // MAX_CHUNK)
        counts = range(fewest, max(fewest, self.tiles // MIN_CHUNK) + 1)
        sizes = sorted({-(-self.tiles // count) for count in counts})
        times = {size: replace(self, chunk=size)._passing(isa) for size in sizes}
        least = min(times.values())
        chunk = next(size for size, time in times.items() if time <= ENOUGH * least)
        return replace(self, chunk=chunk)

    def _passing(self, isa: Isa) -> float:
        """Cycles, with those in which each chunk waits for weights to pass through the caches."""
        weights = self.products * self.blocks * self.inputs.planes * self.lanes
        waits = PASSING if 4 * self.lanes * weights > KEPT else 0.0
        return self.cycles(isa) + -(-self.tiles // self.chunk) * weights * waits


def winograd_shape(op: Op, isa: Isa) -> WinogradShape | None:
    """The cheapest tiles for a convolution; None where there are none."""
    a, lanes = op.attributes, isa.lanes
    x, w, y = op.inputs[0].type, op.inputs[1].type, op.result.type
    if not is_static_float(x, w, y) or x.rank != 4 or a.groups != 1:
        return None
    if static(w.shape[2:]) != (TAPS, TAPS) or {*a.strides, *a.dilations} != {1}:
        return None
    inputs = channel_steps(x.with_layout(blocked(4, lanes)))
    assert inputs is not None
    rows, columns = window_axes(a, x.shape[2:], w.shape[2:], y.shape[2:])
    blocks, batch = -(-static(y.shape)[1] // lanes), static(x.shape)[0]
    return _cheapest(batch, inputs, blocks, (rows, columns), isa)


@lru_cache(maxsize=256)
def _cheapest(
    batch: int, inputs: ChannelSteps, blocks: int, axes: tuple[WindowAxis, WindowAxis], isa: Isa
) -> WinogradShape:
    """Of both kinds of tiles, each in its best chunks, the faster one."""
    shapes = [
        WinogradShape(Filtering(outputs), batch, inputs, blocks, axes, isa.lanes).chunked(isa)
        for outputs in OUTPUTS
    ]
    return min(shapes, key=lambda shape: shape.cycles(isa))
