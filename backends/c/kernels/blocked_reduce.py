"""Reductions over all positions of an image, in blocks of channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import Op
from burnish.ir.types import TensorType

from ..code import Expr, binary, index
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import blocked, flat, is_static_float
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register
from .strided import static
from .unit import Unit
from .vector_store import VectorStore

MOST_SUMS = 8
"""Vectors that are accumulated side by side: as many as sums have to wait for one another."""

_START = {"sum": "0.0f", "mean": "0.0f", "max": "-INFINITY", "min": "INFINITY"}
_BETTER = {"max": ">", "min": "<"}


@register
class BlockedReduce(KernelFamily):
    """Sum, mean, minimum or maximum over all spatial axes: several vectors side by side.

    Where there are few blocks of channels, each is accumulated in several parts.
    """

    name = "blocked_reduce"
    ops = ("tensor.reduce",)
    fusable = True
    storage = Storage.LAID_OUT

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        x, y = op.inputs[0].type, op.result.type
        if not _is_global(op) or not is_static_float(x, y):
            return ()
        layouts = blocked(x.rank, isa.lanes), blocked(y.rank, isa.lanes)
        cycles = math.prod(static(x.shape)) / isa.lanes
        return [LaidOut(layouts[:1], layouts[1:], cycles)]

    def refusal(self, unit: Unit) -> str:
        op, lanes = unit.main, unit.isa.lanes
        x, y = op.inputs[0].type, op.result.type
        if not unit.isa.has_vectors or not _is_global(op) or not is_static_float(x, y):
            return "of these sizes in a layout"
        laid_out = x.layout == blocked(x.rank, lanes) and y.layout == blocked(y.rank, lanes)
        return "" if laid_out else f"of {x} to {y}"

    def emit(self, k: KernelBuilder) -> None:
        x: TensorType = k.op.inputs[0].type
        batch, channels, *extents = static(x.shape)
        vectors, count = VectorRenderer(k.isa.lanes, k.helper), math.prod(extents)
        blocks = -(-channels // k.isa.lanes)
        step = min(blocks, MOST_SUMS)
        while blocks % step:
            step -= 1
        parts = min(MOST_SUMS // step, count)
        source, store, lanes = flat(k.operand("x")), VectorStore(k, vectors), k.isa.lanes
        rest = [0] * (k.op.result.type.rank - 2)
        kind = k.attributes.kind
        shared = k.shared_loop(batch, blocks // step)
        images = k.loop("n", batch, parallel=shared == 0)
        with images as n, k.loop("m", blocks, step=step, parallel=shared == 1) as m:
            image = k.view("image", source, (n * blocks + m) * (count * lanes), source.shape)
            sums = [
                [
                    k.declare(vectors.type, f"sum{b}_{part}", vectors.splat(Expr(_START[kind])))
                    for part in range(parts)
                ]
                for b in range(step)
            ]
            with k.loop("p", count - count % parts, step=parts) as p:
                for b, lanes_of_block in enumerate(sums):
                    for part, total in enumerate(lanes_of_block):
                        x_at = image.at([(p + (b * count + part)) * lanes])
                        k.assign(total, _combined(vectors, kind, total, vectors.load(x_at)))
            for b, (total, *others) in enumerate(sums):
                for part in range(count - count % parts, count):
                    x_at = image.at([index((b * count + part) * lanes)])
                    k.assign(total, _combined(vectors, kind, total, vectors.load(x_at)))
                for other in others:
                    k.assign(total, _combined(vectors, kind, total, other))
                if kind == "mean":
                    k.assign(total, binary("/", total, vectors.splat(Expr(f"{count}.0f"))))
                store.store([n, m + b, *rest, 0], total)


def _is_global(op: Op) -> bool:
    """Whether all axes but the first two are reduced, in a way that is known here."""
    spatial = tuple(range(2, op.inputs[0].type.rank))
    return op.attributes.kind in _START and op.attributes.axes == spatial != ()


def _combined(vectors: VectorRenderer, kind: str, total: Expr, x: Expr) -> Expr:
    if kind not in _BETTER:
        return binary("+", total, x)
    wins = binary("|", binary(_BETTER[kind], x, total), binary("!=", x, x))
    return vectors.choose(wins, x, total)
