"""How the type of a call follows from those of its operands and from its attributes.

One function per kind of operator.  They repeat what Relay's own type relations say, of static
shapes, so that text can be checked where there is no TVM.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .syntax import Tensor, Tuple, Type

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTEGERS, "bool")


class RelayTypeError(Exception):
    """A call does not type-check."""


@dataclass(frozen=True)
class Signature:
    """What a rule looks at: the types of the operands, and all attributes."""

    types: Sequence[Type]
    attributes: Mapping[str, Any]

    def tensor(self, index: int = 0) -> Tensor:
        """The type of an operand that must be a tensor."""
        type_ = self.types[index]
        if not isinstance(type_, Tensor):
            raise RelayTypeError(f"operand {index} is a tuple, not a tensor")
        return type_

    def tensors(self) -> list[Tensor]:
        return [self.tensor(index) for index in range(len(self.types))]

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]


Rule = Callable[[Signature], Type]


def require(condition: bool, message: str) -> None:
    """Fail with ``message`` unless the condition holds."""
    if not condition:
        raise RelayTypeError(message)


def axis_of(axis: int, rank: int) -> int:
    """An axis that may count from the end."""
    require(-rank <= axis < rank, f"axis {axis} is none of {rank}")
    return axis % rank


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to, as NumPy does."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for sizes in zip(*padded):
        others = {size for size in sizes if size != 1}
        require(len(others) <= 1, f"shapes {', '.join(map(str, shapes))} do not broadcast")
        result.append(others.pop() if others else 1)
    return tuple(result)


def _of(dtypes: Sequence[str], what: str) -> Callable[[Signature], Tensor]:
    def rule(s: Signature) -> Tensor:
        x = s.tensor()
        require(x.dtype in dtypes, f"{x.dtype} where {what} belong")
        return x

    return rule


same = _of(DTYPES, "numbers")
same_float = _of(FLOATS, "floats")
same_integer = _of(INTEGERS, "integers")
same_bool = _of(("bool",), "truth values")


def along_axis(s: Signature) -> Tensor:
    """Floats, normalized along an axis."""
    x = same_float(s)
    axis_of(s["axis"], x.rank)
    return x


def test(s: Signature) -> Tensor:
    """Whether floats are something."""
    return Tensor(same_float(s).shape, "bool")


def alike(s: Signature) -> str:
    """The one type of the elements of all operands."""
    dtypes = {x.dtype for x in s.tensors()}
    require(len(dtypes) == 1, f"operands of different types: {', '.join(sorted(dtypes))}")
    return dtypes.pop()


def broadcast(s: Signature) -> Tensor:
    """Operands of one type, repeated to a common shape, as NumPy does."""
    dtype = alike(s)
    return Tensor(broadcast_shapes(*(x.shape for x in s.tensors())), dtype)


def broadcast_integer(s: Signature) -> Tensor:
    """The same for integers."""
    result = broadcast(s)
    require(result.dtype in INTEGERS, f"{result.dtype} where integers belong")
    return result


def comparison(s: Signature) -> Tensor:
    """Whether operands compare so."""
    return Tensor(broadcast(s).shape, "bool")


def logical(s: Signature) -> Tensor:
    """The same for truth values."""
    result = broadcast(s)
    require(result.dtype == "bool", f"{result.dtype} where truth values belong")
    return result


def where(s: Signature) -> Tensor:
    """One of two, by a condition."""
    condition, x, y = s.tensors()
    require(condition.dtype == "bool", f"the condition is of {condition.dtype}")
    require(x.dtype == y.dtype, f"branches of {x.dtype} and {y.dtype}")
    return Tensor(broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype)


def cast(s: Signature) -> Tensor:
    """Another element type."""
    require(s["dtype"] in DTYPES, f"there is no type {s['dtype']}")
    return Tensor(s.tensor().shape, s["dtype"])


_WIDTHS = {dtype: int("".join(filter(str.isdigit, dtype)) or 1) for dtype in DTYPES}


def reinterpret(s: Signature) -> Tensor:
    """The same bits as another element type."""
    x, result = s.tensor(), cast(s)
    require(_WIDTHS[x.dtype] == _WIDTHS[result.dtype], f"{x.dtype} is not as wide")
    return result


def _axes(s: Signature, rank: int) -> set[int]:
    given = s["axis"]
    axes = set(range(rank)) if given is None else {axis_of(axis, rank) for axis in given}
    return set(range(rank)) - axes if s["exclude"] else axes


def _reduced(s: Signature, x: Tensor) -> tuple[int, ...]:
    axes = _axes(s, x.rank)
    sizes = ((1 if axis in axes else size) for axis, size in enumerate(x.shape))
    kept = (size for axis, size in enumerate(x.shape) if axis not in axes)
    return tuple(sizes) if s["keepdims"] else tuple(kept)


def reduce(s: Signature) -> Tensor:
    """A reduction along axes; all of them where none are given."""
    x = s.tensor()
    return Tensor(_reduced(s, x), x.dtype)


def reduce_bool(s: Signature) -> Tensor:
    """The same for truth values."""
    result = reduce(s)
    require(result.dtype == "bool", f"{result.dtype} where truth values belong")
    return result


def arg_reduce(s: Signature) -> Tensor:
    """The position of an extreme, an int32."""
    return Tensor(_reduced(s, s.tensor()), "int32")


def scan(s: Signature) -> Tensor:
    """A running sum or product."""
    x = s.tensor()
    axis_of(s["axis"] or 0, x.rank)
    return Tensor(x.shape, s["dtype"] or x.dtype)


def sort(s: Signature) -> Tensor:
    """Elements in order along an axis."""
    x = s.tensor()
    axis_of(s["axis"], x.rank)
    return x


def argsort(s: Signature) -> Tensor:
    """Their positions."""
    return Tensor(sort(s).shape, s["dtype"] or "int32")


def topk(s: Signature) -> Type:
    """The largest, their positions, or both."""
    x = sort(s)
    axis = axis_of(s["axis"], x.rank)
    count = s["k"] if s["k"] >= 1 else x.shape[axis]
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    values, indices = Tensor(shape, x.dtype), Tensor(shape, s["dtype"] or "int32")
    results: Mapping[str, Type] = {
        "both": Tuple((values, indices)),
        "values": values,
        "indices": indices,
    }
    require(s["ret_type"] in results, f"ret_type is {s['ret_type']}")
    return results[s["ret_type"]]


def reshape(s: Signature) -> Tensor:
    """Only plain sizes and at most one -1; the codes for copying sizes are never emitted."""
    x, sizes = s.tensor(), list(s["newshape"])
    count = math.prod(x.shape)
    require(all(size >= -1 for size in sizes), "sizes below -1 are codes")
    require(s["allowzero"] or 0 not in sizes, "size 0 copies one unless allowzero")
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        require(sizes.count(-1) == 1 and rest > 0, "-1 is open")
        sizes[sizes.index(-1)] = count // rest
    require(math.prod(sizes) == count, f"{count} elements do not fit {sizes}")
    return Tensor(tuple(sizes), x.dtype)


def transpose(s: Signature) -> Tensor:
    """Axes in another order."""
    x = s.tensor()
    axes = [axis_of(axis, x.rank) for axis in s["axes"]]
    require(sorted(axes) == list(range(x.rank)), f"{axes} are not all axes")
    return Tensor(tuple(x.shape[axis] for axis in axes), x.dtype)


def broadcast_to(s: Signature) -> Tensor:
    """Repeated to a shape."""
    x, shape = s.tensor(), tuple(s["shape"])
    require(broadcast_shapes(x.shape, shape) == shape, f"{x.shape} does not fill {shape}")
    return Tensor(shape, x.dtype)


def filled(s: Signature) -> Tensor:
    """A shape full of one value, zeros where none is given."""
    if s.types:
        value = s.tensor()
        require(value.rank == 0, "the value is no scalar")
        require(value.dtype == s["dtype"], f"{value.dtype} fills {s['dtype']}")
    return Tensor(tuple(s["shape"]), s["dtype"])


def tile(s: Signature) -> Tensor:
    """Copies along every axis."""
    x, counts = s.tensor(), tuple(s["reps"])
    require(len(counts) == x.rank, f"{len(counts)} counts for {x.rank} axes")
    return Tensor(tuple(size * count for size, count in zip(x.shape, counts)), x.dtype)


def concatenate(s: Signature) -> Tensor:
    """The tensors of a tuple, one after another."""
    (fields,) = s.types
    if not isinstance(fields, Tuple) or not fields.fields:
        raise RelayTypeError("takes one tuple that is not empty")
    parts = Signature(fields.fields, {}).tensors()
    first = parts[0]
    axis = axis_of(s["axis"], first.rank)
    for part in parts:
        require(part.dtype == first.dtype, f"{part.dtype} joins {first.dtype}")
        same_rest = part.rank == first.rank and all(
            a == b for i, (a, b) in enumerate(zip(part.shape, first.shape)) if i != axis
        )
        require(same_rest, f"{part.shape} joins {first.shape}")
    total = sum(part.shape[axis] for part in parts)
    return Tensor((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def split(s: Signature) -> Tuple:
    """Cut at positions along an axis."""
    x = s.tensor()
    axis = axis_of(s["axis"], x.rank)
    cuts = [0, *s["indices_or_sections"], x.shape[axis]]
    require(cuts == sorted(cuts), f"cuts {cuts} are not in order")
    sizes = [after - before for before, after in itertools.pairwise(cuts)]
    shapes = ((*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes)
    return Tuple(tuple(Tensor(shape, x.dtype) for shape in shapes))


def strided_slice(s: Signature) -> Tensor:
    """Parts of some axes, by Python's rules."""
    x = s.tensor()
    axes = range(x.rank) if s["axes"] is None else [axis_of(a, x.rank) for a in s["axes"]]
    lists = (s["begin"], s["end"], s["strides"])
    require(all(len(entries) == len(axes) for entries in lists), "lists of different lengths")
    require(s["slice_mode"] == "end", "only ends are known")
    shape = list(x.shape)
    for axis, begin, end, stride in zip(axes, *lists):
        require(stride != 0, "a stride of 0")
        shape[axis] = len(range(x.shape[axis])[slice(begin, end, stride)])
    return Tensor(tuple(shape), x.dtype)


def _indices(s: Signature, index: int = 1) -> Tensor:
    indices = s.tensor(index)
    require(indices.dtype in INTEGERS, f"indices of {indices.dtype}")
    return indices


def take(s: Signature) -> Tensor:
    """Slices by their places along an axis, or elements of all."""
    x, indices = s.tensor(), _indices(s)
    require(s["batch_dims"] == 0, "batches are not known")
    if s["axis"] is None:
        return Tensor(indices.shape, x.dtype)
    axis = axis_of(s["axis"], x.rank)
    return Tensor((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def reverse_sequence(s: Signature) -> Tensor:
    """The first elements of every entry of a batch turned around."""
    x, lengths = s.tensor(), _indices(s)
    batch = x.shape[axis_of(s["batch_axis"], x.rank)]
    require(lengths.shape == (batch,), f"lengths {lengths} for a batch of {batch}")
    axis_of(s["seq_axis"], x.rank)
    return x


def gather(s: Signature) -> Tensor:
    """Elements by their places along an axis."""
    x, indices = s.tensor(), _indices(s)
    require(indices.rank == x.rank, f"indices of rank {indices.rank} for {x.rank}")
    axis_of(s["axis"], x.rank)
    return Tensor(indices.shape, x.dtype)


def gather_nd(s: Signature) -> Tensor:
    """Index tuples run along the first axis."""
    x, indices = s.tensor(), _indices(s)
    batch, depth = s["batch_dims"], indices.shape[0]
    require(batch + depth <= x.rank, f"{depth} indices for {x.rank} axes")
    require(indices.shape[1 : 1 + batch] == x.shape[:batch], "batches differ")
    return Tensor((*indices.shape[1:], *x.shape[batch + depth :]), x.dtype)


def scatter(s: Signature) -> Tensor:
    """Elements replaced or combined along an axis."""
    x, indices, updates = s.tensor(), _indices(s), s.tensor(2)
    require(indices.shape == updates.shape, f"{updates.shape} updates at {indices.shape}")
    require(updates.dtype == x.dtype, f"updates of {updates.dtype} for {x.dtype}")
    require(indices.rank == x.rank, f"indices of rank {indices.rank} for {x.rank}")
    axis_of(s["axis"], x.rank)
    return x


def scatter_nd(s: Signature) -> Tensor:
    """Slices replaced or combined; index tuples run along the first axis."""
    x, indices, updates = s.tensor(), _indices(s), s.tensor(2)
    expected = (*indices.shape[1:], *x.shape[indices.shape[0] :])
    require(updates.shape == expected, f"{updates.shape} updates for {expected}")
    require(updates.dtype == x.dtype, f"updates of {updates.dtype} for {x.dtype}")
    return x


def pad(s: Signature) -> Tensor:
    """Widened along every axis."""
    x, value = s.tensors()
    require(value.dtype == x.dtype and value.rank == 0, f"{value} pads {x}")
    widths = s["pad_width"]
    require(len(widths) == x.rank, f"{len(widths)} widths for {x.rank} axes")
    require(all(n >= 0 for pair in widths for n in pair), "negative widths")
    return Tensor(tuple(size + sum(pair) for size, pair in zip(x.shape, widths)), x.dtype)


def stated(s: Signature, name: str, value: int) -> None:
    """Let an attribute be what the operands say, if it is given."""
    require(s[name] in (None, value), f"{name} is {s[name]}, not {value}")


def bias_add(s: Signature) -> Tensor:
    """One number added per element of an axis."""
    x, bias = s.tensors()
    axis = axis_of(s["axis"], x.rank)
    require(bias.shape == (x.shape[axis],), f"bias {bias} for {x.shape[axis]} channels")
    require(alike(s) == x.dtype, "")
    return x


def dense(s: Signature) -> Tensor:
    """x times the transpose of the weights."""
    x, w = s.tensors()
    require(x.rank == w.rank == 2, f"{x} times {w}")
    require(x.shape[1] == w.shape[1], f"{x.shape[1]} columns with weights of {w.shape[1]}")
    require(alike(s) == x.dtype, "")
    stated(s, "units", w.shape[0])
    return Tensor((x.shape[0], w.shape[0]), s["out_dtype"] or x.dtype)


def sparse_dense(s: Signature) -> Tensor:
    """x times the transpose of weights in compressed rows."""
    x = s.tensor()
    require(not s["sparse_lhs"], "only the weights are sparse")
    require(x.rank == 2, f"{x} times weights")
    return Tensor((x.shape[0], compressed_rows(s, x.shape[1])), x.dtype)


def compressed_rows(s: Signature, columns: int) -> int:
    """The height of weights of which zeros are left out.

    ``data`` are the numbers that are left, or blocks of them, ``indices`` the column of each, and
    ``indptr`` says where rows begin, and the last one ends.
    """
    x, data, indices, indptr = s.tensors()
    require(data.rank in (1, 3), f"{data} are neither numbers nor blocks")
    height, width = data.shape[1:] or (1, 1)
    require(columns % width == 0, f"{columns} columns in blocks of {width}")
    require(data.dtype == x.dtype, f"weights of {data.dtype} for {x.dtype}")
    require(indices.shape == data.shape[:1], f"{indices} for {data}")
    require(indptr.rank == 1 and indptr.shape[0] > 1, f"rows begin at {indptr}")
    require(indices.dtype == indptr.dtype == "int32", f"places of {indices.dtype}")
    return (indptr.shape[0] - 1) * height


def batch_matmul(s: Signature) -> Tensor:
    """Products of two stacks of matrices."""
    x, y = s.tensors()
    require(x.rank == y.rank == 3, f"{x} times {y}")
    require(alike(s) == x.dtype, "")
    (batch_x, m, k), (batch_y, k2, n) = x.shape, y.shape
    if s["transpose_a"]:
        m, k = k, m
    if s["transpose_b"]:
        k2, n = n, k2
    require(k == k2, f"{k} columns meet {k2} rows")
    require(1 in (batch_x, batch_y) or batch_x == batch_y, f"{batch_x} and {batch_y} matrices")
    return Tensor((max(batch_x, batch_y), m, n), s["out_dtype"] or x.dtype)


def resize(s: Signature) -> Tensor:
    """Another spatial size."""
    x = s.tensor()
    require(x.rank == len(s["size"]) + 2, f"{x} to {s['size']}")
    require(len(s["roi"]) == 2 * len(s["size"]), f"{len(s['roi'])} bounds of the region")
    return Tensor((*x.shape[:2], *s["size"]), s["out_dtype"] or x.dtype)


def suppression(s: Signature) -> Tuple:
    """Boxes that are kept, by batch and class, as many rows as there are boxes; and how many."""
    boxes, scores, *limits = s.tensors()
    batch, classes, count = scores.shape
    require(boxes.shape == (batch, count, 4), f"boxes {boxes} with scores {scores}")
    require(all(limit.rank == 0 for limit in limits), "limits are no scalars")
    require(s["output_format"] == "onnx", f"output_format {s['output_format']} is not known")
    return Tuple((Tensor((batch * classes * count, 3), "int64"), Tensor((1,), "int64")))


def _check_parameters(s: Signature, x: Tensor) -> None:
    """Scale and zero point: scalars, or one for each element of the axis."""
    _, scale, zero = s.tensors()
    require(scale.dtype == "float32", f"a scale of {scale.dtype}")
    require(zero.dtype == "int32", f"a zero point of {zero.dtype}")
    for parameter in (scale, zero):
        if parameter.rank:
            axis = axis_of(s["axis"], x.rank)
            require(parameter.shape == (x.shape[axis],), f"{parameter} along axis {axis} of {x}")


def quantize(s: Signature) -> Tensor:
    """Floats to stored integers."""
    x = s.tensor()
    require(x.dtype == "float32", f"{x.dtype} where float32 belongs")
    _check_parameters(s, x)
    require(s["out_dtype"] in ("int8", "uint8", "int16", "int32"), f"to {s['out_dtype']}")
    return Tensor(x.shape, s["out_dtype"])


def dequantize(s: Signature) -> Tensor:
    """Stored integers to floats."""
    x = s.tensor()
    require(x.dtype in ("int8", "uint8", "int16", "int32"), f"from {x.dtype}")
    _check_parameters(s, x)
    return Tensor(x.shape, "float32")
