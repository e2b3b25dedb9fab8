"""Types of values.

A :class:`TensorType` carries all that later stages need to know of a value: logical
shape, element type, how logical axes lie in memory (:class:`Layout`), and what the
stored numbers mean (an encoding: :class:`Quantized` or :class:`Sparse`).  Types are
immutable and compared by value.  ``shape`` is always in logical axis order; ``layout``
describes storage only, so shape rules never depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import dims
from .dims import Dim, DimExpr
from .dtypes import DType
from .errors import TypeInferenceError


@dataclass(frozen=True, slots=True)
class Layout:
    """Storage order of logical axes, outermost first, then inner tiles.

    ``order`` is a permutation of the axes; ``tiles`` lists ``(axis, factor)`` pairs that
    are split off and stored innermost, padded to a multiple of the factor; of several tiles of
    one axis the first varies slowest.
    NHWC is ``Layout((0, 2, 3, 1))``, NCHW8c is ``Layout((0, 1, 2, 3), ((1, 8),))``.
    """

    order: tuple[int, ...]
    tiles: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        parts = [str(axis) for axis in self.order]
        parts += [f"{axis}:{factor}" for axis, factor in self.tiles]
        return f"layout({', '.join(parts)})"

    def problem(self, rank: int) -> str:
        """Why this layout does not fit a tensor of ``rank`` axes; empty when it does."""
        if sorted(self.order) != list(range(rank)):
            return f"{self} is not a permutation of {rank} axes"
        if any(not 0 <= axis < rank or factor < 1 for axis, factor in self.tiles):
            return f"{self} tiles an axis that a tensor of rank {rank} does not have"
        return ""

    @property
    def is_row_major(self) -> bool:
        """Whether this is how tensors without a layout are stored."""
        return not self.tiles and self.order == tuple(range(len(self.order)))

    def storage_axes(self, shape: Sequence[Dim]) -> tuple[tuple[int, Dim], ...]:
        """Axes of the stored array, outermost first: the logical axis, and the extent.

        A tiled axis comes twice or more: its number of tiles, rounded up, then the factors.
        """
        extents: dict[int, Dim] = dict(enumerate(shape))
        for axis, factor in self.tiles:
            extents[axis] = dims.floordiv(extents[axis] + (factor - 1), factor)
        return (*((axis, extents[axis]) for axis in self.order), *self.tiles)

    def storage_shape(self, shape: Sequence[Dim]) -> tuple[Dim, ...]:
        """Shape of the stored array of a tensor of logical ``shape``."""
        return tuple(extent for _, extent in self.storage_axes(shape))

    def transposed(self, permutation: Sequence[int]) -> Layout:
        """The layout in which the transpose of a tensor in this layout has the same bytes.

        Axis i of the transpose is axis ``permutation[i]`` of the tensor.
        """
        place = {axis: i for i, axis in enumerate(permutation)}
        order = tuple(place[axis] for axis in self.order)
        return Layout(order, tuple((place[axis], factor) for axis, factor in self.tiles))

    def store(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``array`` as it is stored: of :meth:`storage_shape`, padded with zeros."""
        padding: list[tuple[int, int]] = []
        split: list[int] = []
        outer: list[int] = []
        inner: list[list[int]] = []
        for axis, size in enumerate(array.shape):
            factors = [factor for tiled, factor in self.tiles if tiled == axis]
            padding.append((0, -size % math.prod(factors)))
            outer.append(len(split))
            inner.append(list(range(len(split) + 1, len(split) + 1 + len(factors))))
            split += [-(-size // math.prod(factors)), *factors]
        tiles = [inner[axis].pop(0) for axis, _ in self.tiles]
        padded = np.pad(array, padding).reshape(split)
        stored = padded.transpose([*(outer[axis] for axis in self.order), *tiles])
        return np.ascontiguousarray(stored)


@dataclass(frozen=True, slots=True)
class Quantized:
    """Stored integer ``q`` means ``(q - zero_point) * scale``.

    ``axis`` is None for one scale and zero point for the whole tensor, else the axis along
    which they vary; ``block`` > 0 means one pair per ``block`` elements along ``axis``
    (then parameters are listed in row-major order of the tensor of blocks).
    ``dtype`` is the expressed type, that of the real number.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None
    block: int = 0
    dtype: DType = DType.F32

    def __str__(self) -> str:
        if self.axis is None:
            text = f"quant({self.scale[0]!r}, {self.zero_point[0]}"
        else:
            scales = ", ".join(map(repr, self.scale))
            zero_points = self.zero_point
            same = len(set(zero_points)) == 1
            points = str(zero_points[0]) if same else f"[{', '.join(map(str, zero_points))}]"
            text = f"quant([{scales}], {points}, axis = {self.axis}"
        if self.block:
            text += f", block = {self.block}"
        if self.dtype is not DType.F32:
            text += f", {self.dtype}"
        return text + ")"

    def problem(self, shape: tuple[Dim, ...], dtype: DType) -> str:
        """Why this encoding does not fit a tensor type; empty when it does."""
        if not dtype.is_integer and dtype.bits > 8:
            return f"element type {dtype} cannot be quantized storage"
        if len(self.scale) != len(self.zero_point):
            return f"{len(self.scale)} scales but {len(self.zero_point)} zero points"
        if any(not s > 0 for s in self.scale):
            return "a scale is not positive"
        if self.axis is None:
            return "" if len(self.scale) == 1 else "several scales without an axis"
        if not 0 <= self.axis < len(shape):
            return f"axis {self.axis} of a tensor of rank {len(shape)}"
        extent = shape[self.axis]
        if self.block == 0 and isinstance(extent, int) and extent != len(self.scale):
            return f"{len(self.scale)} scales for axis {self.axis} of size {extent}"
        if self.block and all(isinstance(dim, int) for dim in shape):
            others = dims.product((*shape[: self.axis], *shape[self.axis + 1 :]))
            needed = dims.ceildiv(extent, self.block) * others
            if needed != len(self.scale):
                listed = ", ".join(map(str, shape))
                return f"{len(self.scale)} scales for {needed} blocks of the shape [{listed}]"
        return ""


@dataclass(frozen=True, slots=True)
class Sparse:
    """A promise about zeros that can be checked on the data, for constants.

    The tensor is cut into parts: single elements (``"unstructured"``), aligned blocks of shape
    ``block`` over the last axes (``"block"``, those at the end of an axis may be cut off), or whole
    slices along axis ``block[0]`` (``"channel"``).  At most ``kept`` parts hold anything but zeros.
    """

    format: str
    block: tuple[int, ...] = ()
    kept: int = 0

    def __str__(self) -> str:
        return f"sparse({', '.join([self.format, *map(str, self.block)])}, kept = {self.kept})"

    def problem(self, shape: tuple[Dim, ...], dtype: DType) -> str:
        """Why this encoding does not fit a tensor type; empty when it does."""
        if self.format not in ("unstructured", "block", "channel"):
            return f"unknown sparsity format {self.format}"
        if self.format == "unstructured" and self.block:
            return "unstructured sparsity has no blocks"
        if self.format == "block" and not 0 < len(self.block) <= len(shape):
            return f"blocks of rank {len(self.block)} in a tensor of rank {len(shape)}"
        if self.format == "block" and min(self.block) < 1:
            return f"blocks of shape {list(self.block)}"
        if self.format == "channel" and not (
            len(self.block) == 1 and 0 <= self.block[0] < len(shape)
        ):
            return "channel sparsity names one axis of the tensor"
        return ""

    def holds_numbers(self, array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which parts of ``array`` hold anything but zeros, in an array of all parts."""
        filled = np.asarray(array != 0)
        if self.format == "unstructured":
            return filled
        if self.format == "channel":
            others = tuple(axis for axis in range(filled.ndim) if axis != self.block[0])
            return np.asarray(filled.any(axis=others))
        for axis, size in zip(range(filled.ndim - len(self.block), filled.ndim), self.block):
            starts = np.arange(0, filled.shape[axis], size)
            if size > 1 and filled.size:
                filled = np.logical_or.reduceat(filled, starts, axis=axis)
        return filled

    def parts(self, shape: Sequence[int]) -> int:
        """How many parts a tensor of ``shape`` has."""
        if self.format == "unstructured":
            return math.prod(shape)
        if self.format == "channel":
            return shape[self.block[0]]
        outer = len(shape) - len(self.block)
        blocks = (-(-size // block) for size, block in zip(shape[outer:], self.block))
        return math.prod(shape[:outer]) * math.prod(blocks)

    def broken(self, array: npt.NDArray[Any]) -> str:
        """How ``array`` breaks the promise; empty when it keeps it."""
        found = int(np.count_nonzero(self.holds_numbers(array)))
        if found <= self.kept:
            return ""
        return f"the data breaks the promise {self}: {found} parts hold other numbers than zero"


Encoding = Quantized | Sparse


@dataclass(frozen=True)
class TensorType:
    """The type of a tensor value; immutable, compared by value.

    Raises:
        TypeInferenceError: a dimension is negative, or the tensor has absurdly many elements.
    """

    shape: tuple[Dim, ...]
    dtype: DType
    layout: Layout | None = None
    encoding: Encoding | None = None
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        elements = 1
        for dim in self.shape:
            if isinstance(dim, DimExpr):
                continue
            if dim < 0:
                raise TypeInferenceError(f"a tensor has the negative dimension {dim}")
            elements *= max(dim, 1)
        if elements >= dims.MAX_DIM:
            shape = ", ".join(map(str, self.shape))
            raise TypeInferenceError(
                f"a tensor of shape [{shape}] has {elements} elements; "
                f"burnish refuses 2^40 and more"
            )
        key = (self.shape, self.dtype, self.layout, self.encoding)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every dimension is an integer."""
        return all(isinstance(dim, int) for dim in self.shape)

    @property
    def static_shape(self) -> tuple[int, ...]:
        """The shape as integers.

        Raises:
            TypeInferenceError: a dimension is symbolic.
        """
        for dim in self.shape:
            if not isinstance(dim, int):
                raise TypeInferenceError(f"dimension {dim} of {self} is not static")
        return tuple(dim for dim in self.shape if isinstance(dim, int))

    @property
    def elements(self) -> Dim:
        """Number of logical elements."""
        return dims.product(self.shape)

    @property
    def storage_axes(self) -> tuple[tuple[int, Dim], ...]:
        """Axes of the array in memory, outermost first: logical axis and extent."""
        if self.layout is None:
            return tuple(enumerate(self.shape))
        return self.layout.storage_axes(self.shape)

    def storage_order(self, names: Sequence[int] | None = None) -> tuple[tuple[int, Dim], ...]:
        """In which order elements lie in memory: equal for types whose bytes are equal.

        Axes of one element are left out, and tiles that nothing lies between are one axis again.
        Axes are called ``names``, by default their numbers.
        """
        found: list[tuple[int, Dim]] = []
        for axis, extent in self.storage_axes:
            name = axis if names is None else names[axis]
            if extent == 1:
                continue
            if found and found[-1][0] == name:
                found[-1] = (name, found[-1][1] * extent)
            else:
                found.append((name, extent))
        return tuple(found)

    @property
    def storage_shape(self) -> tuple[Dim, ...]:
        """Shape of the array in memory: the logical shape unless there is a layout."""
        return self.shape if self.layout is None else self.layout.storage_shape(self.shape)

    @property
    def bytes(self) -> Dim:
        """Bytes of a dense array of this type (sub-byte elements one per byte)."""
        return dims.product(self.storage_shape) * self.dtype.bytes

    @property
    def quantized(self) -> Quantized | None:
        return self.encoding if isinstance(self.encoding, Quantized) else None

    @property
    def logical(self) -> TensorType:
        """The same type without layout and encoding."""
        if self.layout is None and self.encoding is None:
            return self
        return TensorType(self.shape, self.dtype)

    def with_shape(self, shape: Sequence[Dim]) -> TensorType:
        """The same element type and encoding with another shape (layout is dropped)."""
        return TensorType(tuple(shape), self.dtype, None, self.encoding)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape and layout with another element type (encoding is dropped)."""
        return TensorType(self.shape, dtype, self.layout)

    def with_layout(self, layout: Layout | None) -> TensorType:
        """The same tensor stored in another order; row-major is None."""
        if layout is not None and layout.is_row_major:
            layout = None
        return replace(self, layout=layout)

    def with_encoding(self, encoding: Encoding | None) -> TensorType:
        return replace(self, encoding=encoding)

    def substitute(self, binding: Mapping[str, Dim]) -> TensorType:
        """The type with symbols replaced."""
        return self.map_dims(lambda dim: dims.substitute(dim, binding))

    def map_dims(self, change: Callable[[Dim], Dim]) -> TensorType:
        """The type with each dimension that is not an integer replaced by ``change`` of it."""
        if self.is_static:
            return self
        shape = tuple(dim if isinstance(dim, int) else change(dim) for dim in self.shape)
        return TensorType(shape, self.dtype, self.layout, self.encoding)

    def problem(self) -> str:
        """Why layout or encoding do not fit the shape; empty when they do."""
        if self.layout is not None and (text := self.layout.problem(self.rank)):
            return text
        if self.encoding is not None:
            return self.encoding.problem(self.shape, self.dtype)
        return ""

    def __str__(self) -> str:
        parts = [f"{self.dtype}[{', '.join(map(str, self.shape))}]"]
        if self.layout is not None:
            parts.append(str(self.layout))
        if self.encoding is not None:
            parts.append(str(self.encoding))
        return f"tensor<{', '.join(parts)}>"


def tensor(dtype: DType | str, *shape: Dim) -> TensorType:
    """Shorthand: ``tensor("f32", 1, 3, 8, 8)``."""
    return TensorType(tuple(shape), DType.parse(dtype) if isinstance(dtype, str) else dtype)


def broadcast_shapes(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """NumPy broadcasting of shapes, aligned at the last axis.

    A symbolic dimension broadcasts against 1 and against itself; against another size it
    is refused, because which of them is 1 cannot be known.

    Raises:
        TypeInferenceError: two dimensions differ and neither is 1.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, start=rank - len(shape)):
            if dim == 1 or dim == result[axis]:
                continue
            if result[axis] != 1:
                listed = " and ".join(f"[{', '.join(map(str, s))}]" for s in shapes)
                raise TypeInferenceError(f"shapes {listed} do not broadcast together")
            result[axis] = dim
    return tuple(result)
