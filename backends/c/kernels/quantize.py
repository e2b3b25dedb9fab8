"""Between real numbers and quantized storage, one element at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from burnish.ir import DType, Op, Quantized
from burnish.ir.dims import Dim, ceildiv
from burnish.ir.errors import InternalError

from ..code import Expr, binary, call, cast, conditional, index
from ..elements import literal, value_type
from .buffer import Buffer
from .builder import KernelBuilder, pointwise
from .family import KernelFamily, register
from .strided import split_at

LARGEST_FLOAT = {
    DType.F8E4M3FN: 448.0,
    DType.F8E4M3FNUZ: 240.0,
    DType.F8E5M2: 57344.0,
    DType.F8E5M2FNUZ: 57344.0,
    DType.F8E8M0: 2.0**127,
    DType.F4E2M1: 6.0,
}
"""Where quantization to float storage saturates."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a loop nest over a quantized tensor stands: indices, scale and zero point there."""

    at: tuple[Expr, ...]
    scale: Expr
    zero_point: Expr


class Grid:
    """The loop nest over a quantized tensor: before the axis, groups, inside a group, after it.

    A group shares its parameters along the axis: one element for parameters per axis, a block
    for blocked ones, everything for those of a whole tensor.
    """

    _group: Dim

    def __init__(self, k: KernelBuilder, q: Quantized, x: Buffer, work: DType) -> None:
        self._k, self._q, self._work = k, q, work
        before: Dim = 1
        extent, after = x.elements, before
        if q.axis is None:
            self._group, self._groups = extent, index(1)
        else:
            before, extent, after = split_at(x.shape, q.axis)
            self._group = q.block or 1
            self._groups = index(ceildiv(extent, self._group))
        self._is_cut = q.axis is not None and extent % self._group != 0
        """Whether the last group is smaller."""
        self.shape = (before, extent, after)
        """What operand and result are indexed by."""

    @contextmanager
    def loops(self) -> Iterator[Place]:
        """The loops; the caller writes their body."""
        k, (before, extent, after) = self._k, self.shape
        letter = "c" if self._group == 1 else "g"
        shared = k.shared_loop(before, self._groups, self._group, after)
        outer = k.loop("i", before, parallel=shared == 0)
        with outer as i, k.loop(letter, self._groups, parallel=shared == 1) as group:
            start = group * self._group
            end = start + self._group
            if self._is_cut:
                end = k.let_index("end", conditional(end < extent, end, index(extent)))
            inside = k.loop("n", end, start=start, parallel=shared == 2)
            beyond = k.loop("j", after, parallel=shared == 3)
            if self._q.block:
                with inside as n, beyond as j:
                    parameters = self._parameters((i * self._groups + group) * after + j)
                    yield Place((i, n, j), *parameters)
                return
            parameters = self._parameters(group)
            if self._group == 1:
                with beyond as j:
                    yield Place((i, group, j), *parameters)
                return
            with inside as n, beyond as j:
                yield Place((i, n, j), *parameters)

    def _parameters(self, number: Expr) -> tuple[Expr, Expr]:
        """Scale and zero point number ``number``, as locals unless they are the same for all."""
        return (
            self._parameter("scale", self._work, self._q.scale, number),
            self._parameter("zero_point", _zero_type(self._q), self._q.zero_point, number),
        )

    def _parameter(
        self, name: str, dtype: DType, values: Sequence[float] | Sequence[int], number: Expr
    ) -> Expr:
        rounded = [np.asarray(value, dtype.numpy).item() for value in values]
        if len(set(rounded)) == 1:
            return literal(rounded[0], dtype)
        listed = [literal(value, dtype) for value in rounded]
        table = self._k.table(f"{name}s", dtype, listed)
        return self._k.let(name, dtype, Expr(f"{table}[{number}]"))


@register
class Quantize(KernelFamily):
    """Divides, rounds half to even, adds the zero point, saturates."""

    name = "quantize"
    ops = ("quant.quantize",)

    def emit(self, k: KernelBuilder) -> None:
        q, storage = k.attributes.encoding, k.attributes.dtype
        x = k.operand("x")
        work = x.dtype.compute
        grid = Grid(k, q, x, work)
        x, y = x.reshaped(grid.shape), k.result.reshaped(grid.shape)
        with grid.loops() as place:
            ratio = binary("/", k.load(x, place.at), place.scale)
            stored = _stored(k, ratio, place.zero_point, work, storage)
            k.write(
                y, place.at, cast(value_type(storage), stored) if _is_small(storage) else stored
            )


@register
class Dequantize(KernelFamily):
    """Subtracts the zero point, exactly, and multiplies by the scale."""

    name = "dequantize"
    ops = ("quant.dequantize",)

    def emit(self, k: KernelBuilder) -> None:
        value = k.op.operand("x")
        q = None if value is None else value.type.quantized
        if q is None:
            raise InternalError("quant.dequantize of a tensor without quantization")
        x, work = k.operand("x"), q.dtype.compute
        grid = Grid(k, q, x, work)
        x, y = x.reshaped(grid.shape), k.result.reshaped(grid.shape)
        with grid.loops() as place:
            difference = _difference(k, k.load(x, place.at), x.dtype, place.zero_point, work)
            product = binary("*", difference, place.scale)
            k.write(y, place.at, k.convert(product, work, q.dtype))


def _stored(k: KernelBuilder, ratio: Expr, zero_point: Expr, work: DType, storage: DType) -> Expr:
    """What is stored for a number that is ``ratio`` times the scale."""
    if storage.is_float:
        limit = LARGEST_FLOAT[storage]
        ratio = k.let("ratio", work, ratio)
        bounded = k.value(f"min(max(x, {-limit!r}), {limit!r})", work, x=ratio)
        return k.convert(bounded, work, storage)
    if _is_small(storage):
        # Saturating before the zero point is added keeps everything within 32 bits.
        low, high = storage.integer_range
        within = call(k.helper(f"round_within_{work}"), ratio, low - zero_point, high - zero_point)
        return within + zero_point
    ratio = k.let("ratio", work, ratio)
    nearest = k.value("0 if is_nan(x) else round_even(x)", work, x=ratio)
    shifted = cast("double", nearest)
    if zero_point.value != 0:
        shifted = binary("+", shifted, cast("double", zero_point))
    return k.convert(shifted, DType.F64, storage)


def _is_small(storage: DType) -> bool:
    """Whether what is stored fits 32 bits with any zero point of that type."""
    return storage.is_integer and storage.bits <= 16


def _difference(k: KernelBuilder, value: Expr, dtype: DType, zero_point: Expr, work: DType) -> Expr:
    """A stored value less the zero point."""
    if dtype.is_float:
        return k.convert(value, dtype.compute, work)
    if dtype.bits <= 16:
        return cast(value_type(work), value - zero_point)
    wide = k.let("wide", DType.I64, k.convert(value, dtype, DType.I64))
    if zero_point.value != 0:
        wide = k.value("x - z", DType.I64, x=wide, z=zero_point)
    return cast(value_type(work), wide)


# As part of a group ----------------------------------------------------------------------


@pointwise("quant.quantize")
def _quantized(k: KernelBuilder, op: Op, value: Expr) -> Expr:
    """One element, where parameters are the same for all."""
    q, work = op.attributes.encoding, op.inputs[0].type.dtype.compute
    scale, zero_point = _uniform_parameters(q, work)
    storage: DType = op.attributes.dtype
    stored = _stored(k, binary("/", value, scale), zero_point, work, storage)
    # As an int, not in as few bits as it has: else compilers choose vectors of as many elements
    # as bytes fit, which is more than the tiles of convolutions have.
    return k.let("q", DType.I32, stored) if _is_small(storage) else stored


@pointwise("quant.dequantize")
def _dequantized(k: KernelBuilder, op: Op, value: Expr) -> Expr:
    """One element, where parameters are the same for all."""
    stored = op.inputs[0].type
    q = stored.quantized
    assert q is not None
    work = q.dtype.compute
    scale, zero_point = _uniform_parameters(q, work)
    difference = _difference(k, value, stored.dtype, zero_point, work)
    return k.convert(binary("*", difference, scale), work, q.dtype)


def _uniform_parameters(q: Quantized, work: DType) -> tuple[Expr, Expr]:
    scale = np.asarray(q.scale[0], work.numpy).item()
    return literal(scale, work), literal(q.zero_point[0], _zero_type(q))


def _zero_type(q: Quantized) -> DType:
    """int32 where all zero points fit, with room for the storage's range."""
    small = all(abs(zero_point) < 1 << 30 for zero_point in q.zero_point)
    return DType.I32 if small else DType.I64
