"""Layer norm and RMS norm over vectors, where runs are whole vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir import DType

from ..code import Expr, binary
from ..vectors import VectorRenderer
from .blocked import is_static_float
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import static
from .unit import Unit
from .vector_store import VectorStore

PARTS = 4
"""Sums in progress at a time: each waits for its last addition."""


def takes(unit: Unit) -> bool:
    """Whether vectors serve a norm: over the last axis, with a factor for each place of it."""
    op, lanes = unit.main, unit.isa.lanes
    x = op.inputs[0].type
    tensors = [value.type for value in (*op.inputs, op.result)]
    if not unit.isa.has_vectors or not is_static_float(*tensors):
        return False
    (*_, run), axis = static(x.shape), op.attributes.axis
    factors = [value.type.shape for value in op.inputs[1:]]
    whole = axis == x.rank - 1 and run % lanes == 0
    return whole and all(shape == (run,) for shape in factors)


class _VectorNorm(KernelFamily):
    """A run at a time, in passes: its mean, its variance, the results."""

    fusable = True
    centers = True
    """Whether the mean is subtracted."""

    def refusal(self, unit: Unit) -> str:
        return "" if takes(unit) else "of sizes or types that vectors do not serve"

    def emit(self, k: KernelBuilder) -> None:
        v = VectorRenderer(k.isa.lanes, k.helper)
        store = VectorStore(k, v)
        x = k.operand("x")
        *outer, count = static(x.shape)
        factors = [buffer for buffer in k.operands[1:] if buffer is not None]
        with k.loops("i", outer, parallel=True) as at:
            run = k.view("run", x, x.offset([*at, 0]), (count,))
            mean: Expr | None = None
            if self.centers:
                total = _sum(k, v, run, lambda a, value: binary("+", a, value))
                mean = k.let("mean", DType.F32, _over(k, total, count))
            squares = _sum(k, v, run, lambda a, value: _square(k, v, a, value, mean))
            variance = k.let("variance", DType.F32, _over(k, squares, count))
            epsilon = k.literal(k.attributes.epsilon, DType.F32)
            inverse = k.value("1 / sqrt(v + e)", DType.F32, v=variance, e=epsilon)
            inverse = k.let("inverse", DType.F32, inverse)
            with k.loop("j", count, step=v.lanes) as j:
                value = _centered(v, v.load(run.at([j])), mean)
                value = binary("*", value, v.splat(inverse))
                store.store([*at, j], _scaled(k, v, value, factors, j))


def _over(k: KernelBuilder, total: Expr, count: int) -> Expr:
    return k.value("a / n", DType.F32, a=total, n=k.literal(count, DType.F32))


def _centered(v: VectorRenderer, value: Expr, mean: Expr | None) -> Expr:
    return value if mean is None else binary("-", value, v.splat(mean))


def _square(
    k: KernelBuilder, v: VectorRenderer, total: Expr, value: Expr, mean: Expr | None
) -> Expr:
    """``total`` and the square of what is left of ``value`` without the mean."""
    centered = k.declare(f"const {v.type}", "centered", _centered(v, value, mean))
    return v.fma(centered, centered, total)


def _scaled(
    k: KernelBuilder, v: VectorRenderer, value: Expr, factors: Sequence[Buffer], j: Expr
) -> Expr:
    """The standardized value times the scale, plus the bias where there is one."""
    scale, *bias = (v.load(buffer.at([j])) for buffer in factors)
    if not bias:
        return binary("*", value, scale)
    return v.fma(value, scale, bias[0])


def _sum(
    k: KernelBuilder, v: VectorRenderer, run: Buffer, add: Callable[[Expr, Expr], Expr]
) -> Expr:
    """A sum over a run, of what ``add`` makes of each vector."""
    (count,) = static(run.shape)
    parts = min(PARTS, count // v.lanes)
    step = parts * v.lanes
    zero = v.splat(k.literal(0, DType.F32))
    sums = [k.declare(v.type, f"sum{part}", zero) for part in range(parts)]
    whole = count - count % step
    with k.loop("j", whole, step=step) as j:
        for part, total in enumerate(sums):
            k.assign(total, add(total, v.load(run.at([j + part * v.lanes]))))
    with k.loop("j", count, start=whole, step=v.lanes) as j:
        k.assign(sums[0], add(sums[0], v.load(run.at([j]))))
    for total in sums[1:]:
        k.assign(sums[0], binary("+", sums[0], total))
    return v.across("sum", sums[0])


@register
class VectorLayerNorm(_VectorNorm):
    """The last axis brought to mean 0 and variance 1."""

    name = "vector_layer_norm"
    ops = ("nn.layer_norm",)


@register
class VectorRMSNorm(_VectorNorm):
    """The last axis divided by the root of its mean square."""

    name = "vector_rms_norm"
    ops = ("nn.rms_norm",)
    centers = False
