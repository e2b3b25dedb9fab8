"""Layouts that kernels in registers read and write, and the steps between their elements.

Blocked by c channels (NCHWc) a tensor [N, C, spatial...] is stored as [N, C/c, spatial..., c]: one
vector holds c channels of a position.  What pads the last block is not defined and never read as
anything but the channels that pad another block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import DType, Layout, TensorType

from ..code import Index
from .buffer import Buffer
from .builder import KernelBuilder
from .strided import static
from .windows import WindowAxis


def blocked(rank: int, lanes: int) -> Layout:
    """NCHWc for any number of spatial axes."""
    return Layout(tuple(range(rank)), ((1, lanes),))


def channels_last(rank: int) -> Layout:
    """NHWC for any number of spatial axes."""
    return Layout((0, *range(2, rank), 1))


def blocked_vector(lanes: int) -> Layout:
    """One number per channel, padded to whole blocks."""
    return Layout((0,), ((0, lanes),))


def is_static_float(*types: TensorType) -> bool:
    """Whether tensors are of f32, of known sizes, and not empty."""
    return all(
        t.dtype is DType.F32 and t.is_static and t.quantized is None and 0 not in t.shape
        for t in types
    )


@dataclass(frozen=True, slots=True)
class ChannelSteps:
    """How the channels and positions of a tensor [N, C, spatial...] follow one another in memory.

    Attributes:
        planes: how many groups of channels there are.
        lanes: channels in each but perhaps the last.
        rest: channels in the last one.
        plane, lane: steps from one to the next.
        image: from one N to the next.
        spatial: from one position to the next, per axis.
    """

    planes: int
    lanes: int
    rest: int
    plane: int
    lane: int
    image: int
    spatial: tuple[int, ...]

    @property
    def is_blocked(self) -> bool:
        """Whether channels come in several planes of several lanes, or may do so."""
        return self.lane == 1 and self.plane > 0


def channel_steps(type_: TensorType) -> ChannelSteps | None:
    """The steps of a tensor in row-major order, NHWC, or NCHWc; None for other layouts."""
    _, channels, *extents = shape = static(type_.shape)
    positions = math.prod(extents)
    inner = [math.prod(extents[axis + 1 :]) for axis in range(len(extents))]
    layout = type_.layout
    if layout is None:
        return ChannelSteps(channels, 1, 1, positions, 0, channels * positions, tuple(inner))
    if layout == channels_last(len(shape)):
        steps = tuple(step * channels for step in inner)
        return ChannelSteps(1, channels, channels, 0, 1, channels * positions, steps)
    if len(layout.tiles) != 1 or layout != blocked(len(shape), lanes := layout.tiles[0][1]):
        return None
    planes = -(-channels // lanes)
    return ChannelSteps(
        planes,
        lanes,
        channels - (planes - 1) * lanes,
        positions * lanes,
        1,
        planes * positions * lanes,
        tuple(step * lanes for step in inner),
    )


def weight_layout(x: Layout | None, rank: int, lanes: int) -> Layout:
    """How weights [M, C, kernel...] are packed for an input in layout ``x``.

    Output channels in blocks, innermost; before them the order in which the input is read.
    """
    if x is None:
        return Layout(tuple(range(rank)), ((0, lanes),))
    if not x.tiles:
        return Layout((0, *range(2, rank), 1), ((0, lanes),))
    return Layout(tuple(range(rank)), (*x.tiles, (0, lanes)))


def inside(axis: WindowAxis) -> tuple[int, int]:
    """The range of windows of which all taps meet an element."""
    size, kernel = static([axis.size, axis.kernel])
    room = size - 1 + axis.before - (kernel - 1) * axis.dilation
    return -(-axis.before // axis.stride), room // axis.stride + 1


def flat(buffer: Buffer) -> Buffer:
    """The memory of a buffer, whatever its layout, indexed by one axis."""
    stored = buffer.shape if buffer.layout is None else buffer.layout.storage_shape(buffer.shape)
    return Buffer(buffer.pointer, (math.prod(static(stored)),), DType.F32)


LEAST_RUN = 8 << 10
"""Bytes of a block of channels that a thread should write side by side, if threads share positions.

What the machine fetches ahead reaches beyond the end of a run, into what another thread writes.
"""


def blocked_loop(k: KernelBuilder, loops: Sequence[Index], spatial: int, positions: int) -> int:
    """Which of nested loops over images, channels and positions threads should share.

    Kernels that mix channels read all of them at their positions: where every thread keeps to the
    same positions from kernel to kernel, hardly anything goes from the caches of one core to those
    of another.  So it is images, else positions, from loop ``spatial`` on, unless there are so few
    that runs of them would be short.
    """
    order: list[int] = [*range(len(loops))]
    if 4 * k.isa.lanes * positions >= LEAST_RUN * k.sharing.threads:
        order = [0, *order[spatial:], *order[1:spatial]]
    return order[k.shared_loop(*(loops[number] for number in order))]
