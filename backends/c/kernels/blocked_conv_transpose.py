"""Transposed convolutions over packed weights, with all sums in registers.

With stride s, a result at o sees some taps only: tap t meets the input element
(o + pad - t·dilation) / s, where s divides that.  Results of one *phase*, those with the same
o mod s, see the same taps: they are a convolution of stride 1 with those, in reverse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from burnish.ir import Layout, Op
from burnish.ir.types import TensorType

from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import blocked, channel_steps, is_static_float, weight_layout
from .blocked_conv import MAX_BODY, conv_form, packed_refusal
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register
from .packed_products import ProductShape, ProductWriter, StoredTaps, Total
from .strided import static
from .unit import Unit
from .vector_store import Finished, VectorStore
from .windows import WindowAxis

MAX_PHASES = 16
"""Each is written out."""


def packed_weights(x: Layout | None, rank: int, lanes: int) -> Layout:
    """How weights [C, M, kernel...] are packed: as those [M, C, kernel...] of a convolution."""
    return weight_layout(x, rank, lanes).transposed((1, 0, *range(2, rank)))


@register
class BlockedConvTranspose(KernelFamily):
    """Phase by phase, each a convolution that writes every so many positions."""

    name = "blocked_conv_transpose"
    ops = ("nn.conv_transpose",)
    fusable = True
    storage = Storage.LAID_OUT

    def refusal(self, unit: Unit) -> str:
        return packed_refusal(unit, packed_weights, _phases)

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        x, rank = op.inputs[0], op.inputs[0].type.rank
        found = []
        for layout in (None, blocked(rank, isa.lanes)):
            shapes = _phases(op, x.type.with_layout(layout), isa)
            if shapes:
                weights = packed_weights(layout, rank, isa.lanes)
                cycles = sum(shape.cycles(isa) for shape in shapes.values())
                found.append(conv_form(op, isa, layout, weights, cycles))
        return found

    def parameters(self, unit: Unit) -> dict[str, object]:
        shapes = _phases(unit.main, unit.main.inputs[0].type, unit.isa)
        return {"phases": len(shapes), "tile": next(iter(shapes.values())).tile(unit.isa)}

    def emit(self, k: KernelBuilder) -> None:
        store = VectorStore(k, VectorRenderer(k.isa.lanes, k.helper))
        x, w, b = k.operand("x"), k.operand("w"), k.optional("b")
        for phase, shape in _phases(k.op, k.op.inputs[0].type, k.isa).items():

            def finish(totals: Sequence[Total], phase: tuple[int, ...] = phase) -> None:
                results = []
                for total in totals:
                    steps = zip(total.windows, k.attributes.strides, phase)
                    at = [window * stride + start for window, stride, start in steps]
                    results.append(Finished([total.image, total.block, *at, 0], total.value))
                store.store_all(results)

            k.comment(f"Results from {list(phase)} on, every {list(k.attributes.strides)}.")
            ProductWriter(k, shape, x, w, b, finish).emit()


def _phases(op: Op, x: TensorType, isa: Isa) -> dict[tuple[int, ...], ProductShape]:
    """The convolution of each phase, by its first position; none where there is no kernel."""
    a, w, y = op.attributes, op.inputs[1].type, op.result.type
    inputs = channel_steps(x) if is_static_float(x, w, y) and a.groups == 1 else None
    if inputs is None or (inputs.is_blocked and inputs.lanes != isa.lanes):
        return {}
    sizes, kernel, counts = (static(shape[2:]) for shape in (x.shape, w.shape, y.shape))
    if math.prod(a.strides) > MAX_PHASES:
        return {}
    channels, filters = static(w.shape[:2])
    found = {}
    for phase in product(*map(range, map(min, a.strides, counts))):
        axes = [
            _phase_axis(size, taps, -(-(count - p) // stride), stride, dilation, p + pad)
            for size, taps, count, p, stride, dilation, pad in zip(
                sizes, kernel, counts, phase, a.strides, a.dilations, a.pads
            )
        ]
        found[phase] = ProductShape(
            static(x.shape)[0],
            1,
            inputs,
            -(-channels // inputs.lanes),
            -(-filters // isa.lanes),
            tuple(axis for axis, _ in axes),
            inputs.spatial,
            tuple(range(len(axes))),
            tuple(stored for _, stored in axes),
        )
    usable = all(min(shape.kernel) > 0 and shape.body(isa) <= MAX_BODY for shape in found.values())
    return found if usable else {}


def _phase_axis(
    size: int, kernel: int, count: int, stride: int, dilation: int, start: int
) -> tuple[WindowAxis, StoredTaps]:
    """Windows of one phase along an axis, of which tap 0 would meet element start / stride."""
    met = [tap for tap in reversed(range(kernel)) if (start - tap * dilation) % stride == 0]
    if not met:
        return WindowAxis(size, count, 0, 1, 1, 0, 0), StoredTaps(kernel)
    first = (start - met[0] * dilation) // stride
    apart = met[0] - met[1] if len(met) > 1 else stride // math.gcd(stride, dilation)
    axis = WindowAxis(size, count, len(met), 1, apart * dilation // stride, -first, 0)
    return axis, StoredTaps(kernel, met[0], -apart)
