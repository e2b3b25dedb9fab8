"""What the elements of each channel can be: intervals, computed forward from the inputs.

Integers are followed exactly.  Where floats are rounded, intervals are widened by what any order
of summation may do, so that a channel found constant after a quantization is constant in every
backend.  Padding is respected: the taps of a convolution that meet padding for some elements of
the result are counted as maybe adding nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import numpy as np

from burnish.ir import Array, DType, Op, Value
from burnish.ir.elementwise import ElementwiseOp

from . import intervals
from .constants import ConstantData, is_constant
from .intervals import Interval, choose, rounding_error, unite
from .linear import Linear, linear
from .ties import ChannelAxes, End, Tie


class Ranges:
    """Intervals of the values of a block, one per channel where a value has channels.

    Only what is asked for is computed, with what it depends on.  Where all channels have the same
    interval one stands for all, and elementwise ops of such operands are computed once: in most
    float models nearly nothing is known of nearly every value.

    Attributes:
        data: the numbers of constants.
        finite: whether floats of which nothing is known are taken to be finite numbers.
    """

    def __init__(self, axes: ChannelAxes, data: ConstantData, finite: bool) -> None:
        self.data = data
        self.finite = finite
        self._axes = axes
        self._known: dict[Value, Interval] = {}
        self._uniform: dict[Hashable, Interval] = {}

    def __getitem__(self, value: Value) -> Interval:
        """The interval of each channel, or one for all of a value that has no channels."""
        known = self._of(value)
        if value in self._axes.axis:
            return known.spread(self._axes.extent(value))
        return known.hull()

    def _of(self, value: Value) -> Interval:
        """Like ``self[value]``, but one interval stands for channels that have the same one."""
        self._settle(value)
        return self._known.get(value) or Interval.of_dtype(value.type.dtype)

    def _settle(self, value: Value) -> None:
        """Compute the interval of ``value``, those that it depends on first."""
        pending = [value]
        while pending:
            op = pending[-1].op
            if op is None or not self._is_open(pending[-1]):
                pending.pop()
                continue
            before = [operand for operand in op.inputs if self._is_open(operand)]
            if before:
                pending += before
            else:
                bounds = self._bounds(op, self._axes.tie.get(op))
                self._known[pending.pop()] = bounds.compact()

    def _is_open(self, value: Value) -> bool:
        """Whether an interval is still to be computed."""
        op = value.op
        return (
            op is not None
            and len(op.results) == 1
            and value not in self._known
            and not is_constant(value)
        )

    def _bounds(self, op: Op, tie: Tie | None) -> Interval:
        everything = Interval.of_dtype(op.result.type.dtype)
        operands = self._operands(op, tie)
        if op.name in _MOVEMENT:
            return _moved(op, operands, tie)
        if op.name.startswith("quant."):
            return _quantization(op, operands[0], tie) or everything
        if (found := linear(op)) is not None:
            return self._linear(found).within(op.result.type.dtype)
        if isinstance(op.opdef, ElementwiseOp):
            return self._elementwise(op, op.opdef, operands)
        if op.name in _COMPUTED and operands:
            bounds = _COMPUTED[op.name](op, operands, self.data)
            return self._settled(op, operands, bounds)
        return everything

    def _settled(self, op: Op, operands: list[Interval], bounds: Interval) -> Interval:
        """What the result can be, if it lies within ``bounds`` for operands that are numbers."""
        dtype = op.result.type.dtype
        if not self.finite:
            known = np.logical_and.reduce(np.broadcast_arrays(*(i.finite for i in operands)))
            bounds = choose(known, bounds, Interval.of_dtype(dtype))
        return bounds.within(dtype)

    def _operands(self, op: Op, tie: Tie | None) -> list[Interval]:
        """The intervals of the operands, by label of the tie where they have channels."""
        ends = {} if tie is None else {e.index: e for e in (*tie.ends, *tie.constants)}
        found = []
        for index, value in enumerate(op.operands):
            if value is None:
                continue
            end = ends.get(index)
            if end is None or tie is None:
                found.append(
                    self._constant(value, None) if is_constant(value) else self._of(value).hull()
                )
                continue
            bounds = self._constant(value, end.axis) if is_constant(value) else self._of(value)
            found.append(_by_label(bounds, end, tie.labels))
        return found

    def _constant(self, value: Value, axis: int | None) -> Interval:
        """Bounds of a constant, per position along ``axis``."""
        if value.type.dtype in (DType.C64, DType.C128):
            return Interval.of_dtype(value.type.dtype)
        array = self.data(value).astype(np.float64)
        others = tuple(i for i in range(array.ndim) if i != axis)
        if not array.size:
            return Interval.single(-np.inf, np.inf)
        low, high = array.min(axis=others), array.max(axis=others)
        bounds = Interval(np.atleast_1d(low), np.atleast_1d(high))
        if value.type.dtype.is_integer:
            return bounds.within(value.type.dtype)  # those beyond 2^53 are rounded here
        unknown = np.isnan(bounds.low) | np.isnan(bounds.high)
        return choose(unknown, Interval.single(-np.inf, np.inf), bounds)

    def _elementwise(self, op: Op, definition: ElementwiseOp, operands: list[Interval]) -> Interval:
        if any(bounds.low.size != 1 for bounds in operands):
            bounds = self._computed(op, definition, intervals.aligned(*operands))
            return self._settled(op, operands, bounds)
        ends = tuple((bounds.low[0], bounds.high[0]) for bounds in operands)
        dtypes = tuple(value.type.dtype for value in op.inputs)
        key = (op.name, op.attributes.key, dtypes, ends)
        if key not in self._uniform:
            bounds = self._computed(op, definition, operands)
            self._uniform[key] = self._settled(op, operands, bounds)
        return self._uniform[key]

    def _computed(self, op: Op, definition: ElementwiseOp, operands: list[Interval]) -> Interval:
        """Bounds of a scalar expression of operands with equally many entries."""
        dtypes = [value.type.dtype for value in op.inputs]
        work = definition.work_dtype(dtypes).compute
        values = dict(zip(definition.operands, operands))
        for name, attribute in op.attributes.items():
            if isinstance(attribute, (bool, int, float)):
                values[name] = Interval.single(float(attribute), float(attribute))
        bounds = intervals.evaluate(definition.expression, values, work)
        bounds = bounds.spread(operands[0].low.size)
        to = op.result.type.dtype
        if definition.result == "to":
            bounds = _cast(bounds, dtypes[0], to)
        known = np.logical_and.reduce([i.constant for i in operands])
        points = [i.low.astype(d.numpy) for i, d in zip(operands, dtypes)]
        exact = np.asarray(definition.evaluate(op.attributes, *points)).astype(np.float64)
        known &= np.isfinite(exact)
        return choose(known, Interval(exact, exact), bounds)

    # Linear ops --------------------------------------------------------------------------

    def _linear(self, op: Linear) -> Interval:
        """Σ w·x + b per output channel, each tap that may meet padding counted as maybe 0."""
        x = self._of(op.x)
        if not self.finite and not x.finite.any() and x.low.size:
            return Interval.of_dtype(op.op.result.type.dtype)
        weights = op.weights(self.data)
        groups, outputs, inputs, taps_each = weights.shape
        is_ours = self._axes.axis.get(op.x) == op.x_axis
        x = (x if is_ours else x.hull()).spread(groups * inputs)
        low, high = np.zeros((2, groups, outputs))
        for taps, bounds in ((op.inside, x), (~op.inside, x.with_number(0.0))):
            positive = np.maximum(weights[..., taps], 0).sum(-1)
            negative = np.minimum(weights[..., taps], 0).sum(-1)
            ends = [end.reshape(groups, inputs, 1) for end in (bounds.low, bounds.high)]
            low += _times(positive, ends[0]) + _times(negative, ends[1])
            high += _times(positive, ends[1]) + _times(negative, ends[0])
        magnitude = _times(np.abs(weights).sum(-1), x.magnitude.reshape(groups, inputs, 1))
        if not self.finite:
            unknown = ~x.finite.reshape(groups, inputs).all(-1, keepdims=True)
            magnitude = np.where(unknown, np.inf, magnitude)
        sums = Interval(low.reshape(-1), high.reshape(-1))
        total = self._with_bias(op, sums, magnitude.reshape(-1), inputs * taps_each)
        return total if self._axes.axis.get(op.op.result) == op.axis else total.hull()

    def _with_bias(self, op: Linear, sums: Interval, magnitude: Array, terms: int) -> Interval:
        bias = Interval.single(0.0, 0.0)
        if op.bias is not None:
            bias = self._constant(op.bias, op.bias.type.rank - 1).spread(sums.low.size)
        total = np.where(magnitude == 0, 0.0, magnitude + bias.magnitude)
        with np.errstate(invalid="ignore"):
            error = rounding_error(total, terms, op.op.result.type.dtype)
            return Interval(sums.low + bias.low, sums.high + bias.high).widened(error)


def _times(factor: Array, ends: Array) -> Array:
    """Σ over inputs of factor [g, out, in] · ends [g, in, 1], where 0 times infinity is 0."""
    known = np.isfinite(ends)
    total: Array = np.matmul(factor, np.where(known, ends, 0))[..., 0]
    for infinity in (-np.inf, np.inf):
        # Factors have one sign per call, so that infinities never cancel.
        met = np.matmul(np.abs(factor), (ends == infinity).astype(np.float64))[..., 0] > 0
        sign = 1.0 if factor.sum() >= 0 else -1.0
        total = np.where(met, sign * infinity, total)
    return total


def _by_label(bounds: Interval, end: End, count: int) -> Interval:
    """Bounds per label: the hull over the positions that have it; empty where none has."""
    if end.is_plain and len(end.labels) == count:
        return bounds if bounds.low.size == 1 else bounds.spread(count)
    bounds = bounds.spread(len(end.labels))
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, end.labels, bounds.low)
    np.maximum.at(high, end.labels, bounds.high)
    return Interval(low, high)


# Movement --------------------------------------------------------------------------------

_MOVEMENT = frozenset(
    {"tensor.reshape", "tensor.transpose", "tensor.broadcast", "tensor.concat", "tensor.slice"}
    | {"tensor.pad", "tensor.tile", "tensor.gather", "nn.max_pool"}
)
"""Ops whose results are elements of their data operands."""


def _moved(op: Op, operands: list[Interval], tie: Tie | None) -> Interval:
    if op.name == "tensor.gather":
        operands = operands[:1]
    if op.name == "tensor.pad":
        operands = _padded(op, operands, tie)
    if op.name == "nn.max_pool" and _misses(op):
        # A window that lies in the padding alone gives the smallest number there is.
        operands = [operands[0].with_number(Interval.of_dtype(op.result.type.dtype).low[0])]
    united = unite(intervals.aligned(*operands))
    if tie is None:
        return united.hull()
    if united.low.size == 1 or (tie.result.is_plain and united.low.size == len(tie.result.labels)):
        return united
    united = united.spread(tie.labels)  # an operand that broadcasts has one entry
    return Interval(united.low[tie.result.labels], united.high[tie.result.labels])


def _padded(op: Op, operands: list[Interval], tie: Tie | None) -> list[Interval]:
    if op.attributes.mode != "constant":
        return operands
    x, *value = operands
    number = value[0].hull() if value else Interval.single(0.0, 0.0)
    own_axis = None if tie is None else tie.result.axis
    elsewhere = any(
        before or after
        for axis, (before, after) in enumerate(zip(op.attributes.before, op.attributes.after))
        if axis != own_axis
    )
    # Labels that the data does not have are padding: there the data's interval is empty.
    empty = x.low > x.high
    return [unite(intervals.aligned(x, number)) if elsewhere else choose(empty, number, x)]


def _misses(op: Op) -> bool:
    a = op.attributes
    spatial = len(a.kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(a.kernel, a.dilations)]
    after = [a.pads[i + spatial] + a.overhang[i] for i in range(spatial)]
    return any(max(a.pads[i], after[i]) >= reach[i] for i in range(spatial))


# Quantization ----------------------------------------------------------------------------


def _quantization(op: Op, x: Interval, tie: Tie | None) -> Interval | None:
    """Increasing ops between real and stored numbers, computed by their definition at both ends.

    None where nothing is known: for float storage, and for parameters that vary otherwise than
    channels do.
    """
    if op.name == "quant.reinterpret":
        return x
    source, result = op.inputs[0].type, op.result.type
    stored = result if op.name == "quant.quantize" else source
    encoding = stored.quantized
    assert encoding is not None
    if not stored.dtype.is_integer or (encoding.axis is None and not source.rank):
        return None
    if encoding.axis is not None and (tie is None or tie.result.axis != encoding.axis):
        return None
    shape = [1] * source.rank
    shape[encoding.axis or 0] = x.low.size
    ends = []
    for end in (x.low, x.high):
        array = end.reshape(shape).astype(source.dtype.numpy)
        computed = op.opdef.evaluate_typed(op.attributes, [source], [array])
        ends.append(np.asarray(computed).astype(np.float64).reshape(-1))
    return Interval(*ends)


# Other computations ----------------------------------------------------------------------


def _cast(x: Interval, source: DType, to: DType) -> Interval:
    if to is DType.BOOL:
        nonzero = (x.low > 0) | (x.high < 0)
        zero = (x.low == 0) & (x.high == 0)
        return Interval(nonzero.astype(np.float64), (~zero).astype(np.float64))
    if source.is_float and to.is_integer:
        low, high = to.integer_range
        ends = (np.clip(np.trunc(end), low, high) for end in (x.low, x.high))
        return Interval(*ends)
    return x


def _average_pool(op: Op, operands: list[Interval], data: ConstantData) -> Interval:
    a, x = op.attributes, operands[0]
    if _misses(op):
        return Interval.single(-np.inf, np.inf)
    if a.count_include_pad and any(a.pads):
        x = x.with_number(0.0)
    taps = int(np.prod(a.kernel))
    return x.widened(rounding_error(x.magnitude, taps + len(a.kernel), op.result.type.dtype))


def _reduce(op: Op, operands: list[Interval], data: ConstantData) -> Interval:
    kind, x, type_ = op.attributes.kind, operands[0], op.inputs[0].type
    reduced = [type_.shape[axis] for axis in op.attributes.axes]
    counts = [extent for extent in reduced if isinstance(extent, int)]
    unknown = Interval.of_dtype(op.result.type.dtype)
    if len(counts) < len(reduced) or 0 in counts:
        return unknown
    if kind in ("min", "max", "any", "all"):
        return x
    count = int(np.prod(counts, dtype=np.int64))
    error = rounding_error(x.magnitude * count, count, type_.dtype) if count > 1 else 0.0
    if kind == "sum":
        return Interval(x.low * count, x.high * count).widened(error)
    if kind == "mean" and type_.dtype.is_float:
        return x.widened(error / count)
    return unknown


def _batch_norm(op: Op, operands: list[Interval], data: ConstantData) -> Interval:
    if not all(i.finite.all() and i.constant.all() for i in operands[1:]):
        return Interval.single(-np.inf, np.inf)
    x = operands[0]
    scale, bias, mean, variance = (i.low for i in operands[1:])
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + op.attributes.epsilon)
    usable = np.isfinite(factor)
    factor = data.significant(np.where(usable, factor, 0.0))
    moved = intervals.product(Interval(x.low - mean, x.high - mean), Interval(factor, factor))
    error = rounding_error(np.where(factor == 0, 0.0, moved.magnitude + np.abs(bias)), 4, DType.F32)
    bounds = Interval(moved.low + bias, moved.high + bias).widened(error)
    return choose(usable, bounds, Interval.single(-np.inf, np.inf))


def _softmax(op: Op, operands: list[Interval], data: ConstantData) -> Interval:
    return Interval.single(0.0, 1.0).spread(operands[0].low.size)


def _resize(op: Op, operands: list[Interval], data: ConstantData) -> Interval:
    a, x = op.attributes, operands[0]
    if a.mode == "cubic" or a.antialias:
        return Interval.single(-np.inf, np.inf)
    if a.coordinates == "tf_crop_and_resize":
        x = x.with_number(a.extrapolation_value)
    if a.mode == "nearest":
        return x
    wide = x.widened(rounding_error(x.magnitude, 4 * len(a.scales), DType.F32))
    if op.result.type.dtype.is_integer:
        return Interval(np.floor(wide.low), np.ceil(wide.high))
    return wide


_COMPUTED: Mapping[str, Callable[[Op, list[Interval], ConstantData], Interval]] = {
    "nn.average_pool": _average_pool,
    "nn.batch_norm": _batch_norm,
    "nn.resize": _resize,
    "nn.softmax": _softmax,
    "tensor.reduce": _reduce,
}
