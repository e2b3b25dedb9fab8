"""Transposed convolutions: one row of the result at a time."""

from __future__ import annotations

from contextlib import ExitStack

from burnish.ir.dims import Dim, ceildiv

from ..code import Expr, Index, index
from .builder import KernelBuilder
from .family import KernelFamily, register
from .products import add_product
from .windows import axis_names, maximum, minimum, require_taps


@register
class ConvTranspose(KernelFamily):
    """Adds up all input rows that reach a row of the result, tap by tap.

    Every ``stride``-th element of the row lies together in a *phase* of the accumulated row: a
    tap adds an input row to one phase, so the inner loop reads and writes neighbours.
    """

    name = "conv_transpose"
    ops = ("nn.conv_transpose",)
    fusable = True

    def emit(self, k: KernelBuilder) -> None:
        x, w, b = k.operand("x"), k.operand("w"), k.optional("b")
        a, work = k.attributes, x.dtype.compute
        batch, _, *extents = k.op.inputs[0].type.shape
        channels, filters, *kernel = k.op.inputs[1].type.shape
        require_taps(k, kernel)
        counts = k.op.results[0].type.shape[2:]
        stride, length = a.strides[-1], counts[-1]
        *outer_names, name = axis_names("o", len(counts))
        row = k.scratch("row", work, (stride, ceildiv(length, stride)))
        with ExitStack() as nest:
            n, m = nest.enter_context(k.loops("n m", (batch, a.groups * filters), parallel=True))
            outer = nest.enter_context(k.loops(" ".join(outer_names), counts[:-1]))
            start = k.let("start", work, k.literal(0, work) if b is None else k.load(b, [m]))
            with k.loop("i", row.elements) as i:
                k.write(row.reshaped((row.elements,)), [i], start)
            group, inputs = m // filters, channels // a.groups
            k.comment("Add every input row that a tap takes to this row of the result.")
            with ExitStack() as taps:
                at, sources = _outer_taps(k, taps, outer, kernel, extents)
                tap = taps.enter_context(k.loop(axis_names("k", len(kernel))[-1], kernel[-1]))
                phase, shift = _phase(k, tap)
                first = k.let_index("first", maximum(0, -shift))
                end = (index(length) - phase + (stride - 1)) // stride - shift
                last = k.let_index("last", minimum(extents[-1], k.let_index("end", end)))
                c = taps.enter_context(k.loop("c", inputs))
                channel = k.let_index("channel", group * inputs + c)
                factor = k.let("factor", work, k.load(w, [channel, m % filters, *at, tap]))
                with k.loop("i", last, start=first) as i:
                    value = k.load(x, [n, channel, *sources, i])
                    add_product(k, row, [phase, i + shift], factor, value)
            k.comment("Phases one after another make the row again.")
            with k.loop(name, length) as o:
                k.store([n, m, *outer, o], k.load(row, [o % stride, o // stride]))


def _outer_taps(
    k: KernelBuilder,
    nest: ExitStack,
    outer: tuple[Expr, ...],
    kernel: list[Dim],
    extents: list[Dim],
) -> tuple[list[Expr], list[Index]]:
    """Loops over the taps, but for the last axis, that reach the row; and the rows they meet."""
    a = k.attributes
    at: list[Expr] = []
    sources: list[Index] = []
    names = zip(axis_names("k", len(kernel)), axis_names("i", len(kernel)))
    for axis, (window, (tap_name, source_name)) in enumerate(zip(outer, names)):
        tap = nest.enter_context(k.loop(tap_name, kernel[axis]))
        stride = a.strides[axis]
        reached = window + a.pads[axis] - tap * a.dilations[axis]
        if stride > 1:
            reached = k.let_index(f"{source_name}_scaled", reached)
        # A tap that lands between the elements of the input, or outside, adds nothing.
        source = k.let_index(source_name, reached // stride)
        hits = (reached % stride).equals(0) & (index(0) <= reached) & (source < extents[axis])
        nest.enter_context(k.when(hits))
        at.append(tap)
        sources.append(source)
    return at, sources


def _phase(k: KernelBuilder, tap: Expr) -> tuple[Expr, Expr]:
    """The phase that a tap of the last axis adds to, and how far it shifts the input in it."""
    stride, before = k.attributes.strides[-1], k.attributes.pads[len(k.attributes.strides) - 1]
    # Counted from a multiple of the stride left of the padding, so that nothing is negative.
    ahead = -(-before // stride)
    position = k.let_index("position", tap * k.attributes.dilations[-1] + (ahead * stride - before))
    phase = k.let_index("phase", position % stride)
    return phase, k.let_index("shift", position // stride - ahead)
