"""Resampling: every axis by the places and weights of its taps, which are constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import te, tirx

from burnish.ir import DType, scalar
from burnish.ir.ops.resize import Taps, axis_taps

from ..refusal import Refusal
from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .scalars import Scalar


@te_lowering("nn.resize")
def _resize(c: Context) -> Expr:
    dtype, shape = c.type().dtype, c.result().shape
    nearest = c.a.mode == "nearest"
    work = dtype if nearest else dtype.compute if dtype.is_float else DType.F32
    y = c.cast(c.input(0), dtype, work)
    beyond: list[tuple[int, Expr]] = []
    for axis, (old, new) in enumerate(zip(c.type().shape, shape)):
        if old == new and c.a.scales[axis] == 1 and not isinstance(old, int):
            continue
        if not isinstance(old, int) or not isinstance(new, int):
            raise Refusal("resampling an axis that is not bound")
        plan = axis_taps(c.a, axis, old)
        if old != new or not plan.is_identity:
            y = _resampled(c, y, axis, plan, nearest, work)
        if plan.outside.any():
            beyond.append((axis, c.constant(plan.outside)))
    y = c.cast(y, work, dtype)
    if not beyond:
        return y
    with np.errstate(all="ignore"):
        filler = c.constant(scalar.convert(np.array(c.a.extrapolation_value, np.float32), dtype))
    axes = [axis for axis, _ in beyond]

    def filled(x: Tensor, filler: Tensor, tables: Sequence[Tensor]) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            outside = tirx.any(*(table(index[axis]) for axis, table in zip(axes, tables)))
            return tirx.Select(outside, filler(), x(*index))

        return compute(x.shape, element)

    return c.te(filled, y, filler, [table for _, table in beyond])


def _resampled(c: Context, x: Expr, axis: int, plan: Taps, nearest: bool, work: DType) -> Expr:
    """Σ weight · x at the places of each tap, along one axis."""
    places = c.constant(plan.indices.astype(np.int32))
    if nearest:
        return c.te(lambda x, places: _chosen(x, places, axis), x, places)
    weights = c.constant(plan.weights.astype(work.numpy))

    def function(x: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        tap = te.reduce_axis((0, places.shape[1]), "tap")

        def total(*index: Scalar) -> Scalar:
            at = tirx.Cast("int64", places(index[axis], tap))
            value = x(*index[:axis], at, *index[axis + 1 :]) * weights(index[axis], tap)
            return te.sum(value, axis=tap)

        return compute([*x.shape[:axis], places.shape[0], *x.shape[axis + 1 :]], total)

    return c.te(function, x, places, weights)


def _chosen(x: Tensor, places: Tensor, axis: int) -> Tensor:
    def element(*index: Scalar) -> Scalar:
        at = tirx.Cast("int64", places(index[axis], 0))
        return x(*index[:axis], at, *index[axis + 1 :])

    return compute([*x.shape[:axis], places.shape[0], *x.shape[axis + 1 :]], element)
