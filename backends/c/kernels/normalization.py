"""Normalizations by mean and variance: batch, layer, RMS and group norm, and LRN."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import DType
from burnish.ir.dims import Dim, product

from ..code import Expr, Index
from .builder import KernelBuilder
from .family import KernelFamily, register
from .lanes import accumulate_run, combined_lanes, lanes_for
from .products import add_product, regroup, tiles, unravel, zeros
from .unit import Unit
from .vector_norm import takes
from .windows import maximum, minimum

_COLUMNS = 64
"""Neighbouring positions that are summed together."""


def _deviation(k: KernelBuilder, work: DType, variance: Expr) -> Expr:
    """√(variance + ε)."""
    epsilon = k.literal(k.attributes.epsilon, work)
    return k.value("sqrt(v + e)", work, v=variance, e=epsilon)


def _mean(k: KernelBuilder, name: str, total: Expr, count: Dim, work: DType) -> Expr:
    return k.let(name, work, k.value("a / n", work, a=total, n=k.size_value(count, work)))


@register
class BatchNorm(KernelFamily):
    """A factor and a shift per channel, found before each run over a channel."""

    name = "batch_norm"
    ops = ("nn.batch_norm",)
    fusable = True

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        work = x.dtype.compute
        if regroup(k, [1, 1, len(x.shape) - 2]):
            x = x.reshaped((*x.shape[:2], product(x.shape[2:])))
        with k.loops("n c", x.shape[:2], parallel=True) as (n, c):
            names = ("scale", "bias", "mean", "variance")
            scale, bias, mean, variance = (k.load(k.operand(name), [c]) for name in names)
            deviation = _deviation(k, work, variance)
            factor = k.let("factor", work, k.value("s / d", work, s=scale, d=deviation))
            average = k.let("average", work, mean)
            shift = k.let("shift", work, bias)
            with k.loops("i", x.shape[2:]) as at:
                result = k.value(
                    "(x - mean) * factor + shift",
                    work,
                    x=k.load(x, [n, c, *at]),
                    mean=average,
                    factor=factor,
                    shift=shift,
                )
                k.store([n, c, *at], result)


class _Standardize(KernelFamily):
    """Runs of memory, each brought to mean 0 and variance 1 in three passes."""

    fusable = True
    centers = True
    """Whether the mean is subtracted."""

    def runs(self, k: KernelBuilder) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
        """Axes that number the runs, and axes of a run."""
        raise NotImplementedError

    def scaled(self, k: KernelBuilder, value: Expr, indices: Sequence[Index]) -> Expr:
        """The result from the standardized value."""
        raise NotImplementedError

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        work = x.dtype.compute
        outer, inner = self.runs(k)
        count = product(inner)
        with k.loops("i", outer, parallel=True) as at:
            runs = x.reshaped((*outer, count))
            run = k.view("run", x, runs.offset([*at, 0]), (count,))
            mean = None
            if self.centers:
                sums = lanes_for(k, "sum", "sum", work, count)
                accumulate_run(k, "sum", sums, run)
                mean = _mean(k, "mean", combined_lanes(k, "sum", sums), count, work)
            squares = lanes_for(k, "square", "sum", work, count)
            accumulate_run(k, "sum", squares, run, lambda v: _square(k, v, mean, work))
            variance = _mean(k, "variance", combined_lanes(k, "sum", squares), count, work)
            deviation = k.let("deviation", work, _deviation(k, work, variance))
            with k.loops("j", inner) as inside:
                value = k.load(x.reshaped((*outer, *inner)), [*at, *inside])
                if mean is not None:
                    value = k.value("x - mean", work, x=value, mean=mean)
                value = k.value("x / d", work, x=value, d=deviation)
                indices = self.indices(k, at, inside)
                k.store(indices, self.scaled(k, value, indices))

    def indices(self, k: KernelBuilder, run: Sequence[Expr], inside: Sequence[Expr]) -> list[Index]:
        """Indices of an element of ``x``."""
        return [*run, *inside]


def _square(k: KernelBuilder, value: Expr, mean: Expr | None, work: DType) -> Expr:
    if mean is not None:
        value = k.value("x - mean", work, x=value, mean=mean)
    centered = k.let("centered", work, value)
    return k.value("x * x", work, x=centered)


@register
class LayerNorm(_Standardize):
    """The trailing axes brought to mean 0 and variance 1; scale and bias broadcast."""

    name = "layer_norm"
    ops = ("nn.layer_norm",)

    def refusal(self, unit: Unit) -> str:
        return "of a size for vectors" if takes(unit) else ""

    def runs(self, k: KernelBuilder) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
        shape = k.op.inputs[0].type.shape
        axis: int = k.attributes.axis
        return shape[:axis], shape[axis:]

    def scaled(self, k: KernelBuilder, value: Expr, indices: Sequence[Index]) -> Expr:
        work = k.operand("x").dtype.compute
        scale = k.load(k.operand("scale"), indices)
        value = k.value("x * scale", work, x=value, scale=scale)
        bias = k.optional("bias") if "bias" in k.op.opdef.operands else None
        if bias is None:
            return value
        return k.value("x + bias", work, x=value, bias=k.load(bias, indices))


@register
class RMSNorm(LayerNorm):
    """The trailing axes divided by the root of their mean square."""

    name = "rms_norm"
    ops = ("nn.rms_norm",)
    centers = False


@register
class GroupNorm(_Standardize):
    """Groups of channels brought to mean 0 and variance 1, then scaled per channel."""

    name = "group_norm"
    ops = ("nn.group_norm",)

    def runs(self, k: KernelBuilder) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
        batch, channels, *spatial = k.op.inputs[0].type.shape
        groups: int = k.attributes.groups
        return (batch, groups), (channels // groups, *spatial)

    def indices(self, k: KernelBuilder, run: Sequence[Expr], inside: Sequence[Expr]) -> list[Index]:
        (n, group), (c, *at) = run, inside
        channels = k.op.inputs[0].type.shape[1] // k.attributes.groups
        return [n, group * channels + c, *at]

    def scaled(self, k: KernelBuilder, value: Expr, indices: Sequence[Index]) -> Expr:
        work = k.operand("x").dtype.compute
        scale, bias = (k.load(k.operand(name), [indices[1]]) for name in ("scale", "bias"))
        return k.value("x * scale + bias", work, x=value, scale=scale, bias=bias)


@register
class LocalResponseNorm(KernelFamily):
    """Squares of neighbouring channels summed for some neighbouring positions at a time."""

    name = "lrn"
    ops = ("nn.lrn",)
    fusable = True

    def emit(self, k: KernelBuilder) -> None:
        x, a = k.operand("x"), k.attributes
        work = x.dtype.compute
        batch, channels, *spatial = k.op.inputs[0].type.shape
        is_flat = regroup(k, [1, 1, len(spatial)])
        positions = product(spatial)
        planes = x.reshaped((batch, channels, positions))
        width = max(1, min(k.high(positions), _COLUMNS))
        with k.loops("n c", (batch, channels), parallel=True) as (n, c):
            k.comment("Channels first to last, last excluded, are neighbours of channel c.")
            first = k.let_index("first", maximum(0, c - (a.size - 1) // 2))
            last = k.let_index("last", minimum(channels, c + (a.size - (a.size - 1) // 2)))
            with tiles(k, "p", positions, width) as span:
                p = span.start
                sums = zeros(k, "sum", work, width)
                with k.loop("d", last, start=first) as d, k.loop("t", span.end) as t:
                    value = k.let("value", work, k.load(planes, [n, d, p + t]))
                    add_product(k, sums, [t], value, value)
                with k.loop("t", span.end, start=span.first) as t:
                    result = k.value(
                        "x / pow(bias + factor * total, beta)",
                        work,
                        x=k.load(planes, [n, c, p + t]),
                        total=k.load(sums, [t]),
                        bias=k.literal(a.bias, work),
                        beta=k.literal(a.beta, work),
                        factor=k.literal(a.alpha / a.size, work),
                    )
                    k.store([n, c, *([p + t] if is_flat else unravel(p + t, spatial))], result)
