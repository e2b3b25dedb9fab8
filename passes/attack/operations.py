"""What ops need beyond their declarations, as data: recipes for operands, draws of attributes.

A *recipe* decides operand types that depend on each other, and the attributes these depend on.
Ops without one take variations of one shape.  Attributes are drawn by name, or else by kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from burnish.ir import DType, Quantized, TensorType
from burnish.ir import attributes as kinds
from burnish.ir.dims import Dim, product
from burnish.ir.opdef import REQUIRED, AttributeSpec

from .drawing import (
    SCALES,
    STORAGE,
    STORAGE_WEIGHTS,
    extent,
    indices,
    per_tensor,
    small,
    variation,
    zero_points,
)
from .operands import SCALAR, VALUE, Drawing, UnfitError

Recipe = Callable[[Drawing], None]
AttributeDraw = Callable[[Drawing, TensorType], object]

RECIPES: dict[str, Recipe] = {}
"""By op."""


def recipe(*ops: str) -> Callable[[Recipe], Recipe]:
    """Decorator that enters a recipe for some ops."""

    def enter(function: Recipe) -> Recipe:
        RECIPES.update(dict.fromkeys(ops, function))
        return function

    return enter


def complete(d: Drawing) -> None:
    """Draw all operand types and attributes that are open.

    Raises:
        UnfitError: what is decided already does not fit together.
    """
    if d.definition.name in RECIPES:
        RECIPES[d.definition.name](d)
    d.fill()
    x = d.type(0) or TensorType((), d.base.dtype)
    for name, spec in d.definition.attributes.items():
        d.attribute(name, partial(_drawn, d, name, spec, x))


def _drawn(d: Drawing, name: str, spec: AttributeSpec, x: TensorType) -> object:
    for key in (f"{d.definition.name}.{name}", name):
        if key in ATTRIBUTES:
            return ATTRIBUTES[key](d, x)
    if spec.default is not REQUIRED and not d.choices.chance(d.at(f"{name}.set"), 0.5):
        return spec.default
    if spec.kind is kinds.BOOL:
        return d.choices.chance(d.at(name), 0.5)
    if spec.kind is kinds.FLOAT:
        return d.choices.pick(d.at(name), FLOATS)
    if spec.kind is kinds.INT:
        return d.choices.below(d.at(name), 4)
    if " | " in spec.kind.name:
        return d.choices.pick(d.at(name), spec.kind.name.split(" | "))
    if spec.default is not REQUIRED:
        return spec.default
    raise UnfitError(f"no value is known for the attribute {name} of {d.definition.name}")


# Attributes ------------------------------------------------------------------------------

FLOATS = (1.0, 0.0, 0.5, 2.0, -1.0, 0.2, 0.01, 3.0, 1e-5)


def _bound(first: float) -> AttributeDraw:
    """A limit of a clamp."""
    numbers = (first, 0.0, 1.0, -1.0, 6.0, -0.0, 0.5, math.inf, -math.inf)

    def draw(d: Drawing, x: TensorType) -> object:
        return d.choices.pick(d.at("low" if first < 0 else "high"), numbers)

    return draw


def _permutation(d: Drawing, x: TensorType) -> list[int]:
    """Any; the last two axes swapped, or channels moved to either end, more often."""
    rank = x.rank
    usual = [list(range(rank))]
    if rank >= 2:
        usual.append([*range(rank - 2), rank - 1, rank - 2])
    if rank >= 3:
        usual += [[0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]]
    kind = d.choices.below(d.at("permutation"), len(usual) + 1, [*[1] * len(usual), 3])
    if kind < len(usual):
        return usual[kind]
    return d.choices.permutation(d.at("permutation"), rank)


def _axis(d: Drawing, x: TensorType) -> int:
    if not x.rank:
        raise UnfitError(f"{d.definition.name} of a tensor without axes")
    weights = [1] * x.rank
    weights[-1] = 2
    return x.rank - 1 - d.choices.below(d.at("axis"), x.rank, weights[::-1])


def _axes(d: Drawing, x: TensorType) -> list[int]:
    """The last one, the spatial ones, or any."""
    usual = [[x.rank - 1] if x.rank else [], list(range(2, x.rank)), list(range(x.rank))]
    kind = d.choices.below(d.at("axes"), 4, (3, 1, 1, 3))
    if kind < 3:
        return usual[kind]
    return [axis for axis in range(x.rank) if d.choices.chance(d.at(f"axes.{axis}"), 0.5)]


def _reduction(d: Drawing, x: TensorType) -> str:
    options = ("any", "all") if x.dtype is DType.BOOL else ("sum", "mean", "max", "min", "prod")
    return d.choices.pick(d.at("kind"), options)


def _reshaped(d: Drawing, x: TensorType) -> list[Dim]:
    """The wished shape if it has as many elements; else axes merged, split, added or dropped."""
    if (
        d.wish.shape is not None
        and product(d.wish.shape) == x.elements
        and not d.choices.chance(d.at("shape.other"), 0.3)
    ):
        return list(d.wish.shape)
    dims: list[Dim] = list(x.shape)
    for step in range(d.choices.below(d.at("shape.steps"), 4, (1, 3, 3, 2))):
        site = d.at(f"shape.{step}")
        dims = _reshape_step(d, site, dims)
    return dims


def _reshape_step(d: Drawing, site: str, dims: list[Dim]) -> list[Dim]:
    kind = d.choices.pick(f"{site}.kind", ("merge", "unit", "split", "drop", "swap"))
    place = d.choices.below(f"{site}.place", max(len(dims), 1))
    if kind == "merge" and place + 1 < len(dims):
        return [*dims[:place], dims[place] * dims[place + 1], *dims[place + 2 :]]
    if kind == "unit":
        return [*dims[:place], 1, *dims[place:]]
    if kind == "drop":
        return [dim for i, dim in enumerate(dims) if dim != 1 or i > place]
    if kind == "swap" and place + 1 < len(dims):
        return [*dims[:place], dims[place + 1], dims[place], *dims[place + 2 :]]
    if kind == "split" and dims and isinstance(dims[place], int):
        size = small(dims[place])
        factors = [f for f in range(2, size) if size % f == 0]
        if factors:
            factor = d.choices.pick(f"{site}.factor", factors)
            return [*dims[:place], factor, size // factor, *dims[place + 1 :]]
    return dims


def _broadcast(d: Drawing, x: TensorType) -> list[Dim]:
    """The wished shape if x broadcasts to it; else axes added, and units repeated."""
    wished = d.wish.shape
    if wished is not None and len(wished) >= x.rank:
        pairs = zip(reversed(x.shape), reversed(wished))
        fits = all(dim in (1, other) for dim, other in pairs)
        if fits and not d.choices.chance(d.at("shape.other"), 0.3):
            return list(wished)
    dims = [
        extent(d.choices, d.at(f"shape.{i}"))
        if dim == 1 and d.choices.chance(d.at(f"shape.repeat.{i}"), 0.6)
        else dim
        for i, dim in enumerate(x.shape)
    ]
    added = d.choices.below(d.at("shape.added"), 3, (5, 2, 1)) if x.rank < 5 else 0
    return [*(extent(d.choices, d.at(f"shape.new.{i}")) for i in range(added)), *dims]


def _slices(d: Drawing, x: TensorType) -> None:
    """Starts, sizes and steps together: whole axes, parts, every second, backwards, nothing."""
    starts: list[Dim] = []
    sizes: list[Dim] = []
    steps: list[int] = []
    fixed = d.fixed.get("steps")
    for axis, dim in enumerate(x.shape):
        site = d.at(f"slice.{axis}")
        if not isinstance(dim, int) or dim == 0 or d.choices.chance(f"{site}.whole", 0.4):
            starts.append(0)
            sizes.append(dim)
            steps.append(1)
            continue
        start = d.choices.below(f"{site}.start", dim)
        step = d.choices.pick(f"{site}.step", (1, 2, -1), (6, 1, 1))
        if isinstance(fixed, (list, tuple)) and axis < len(fixed):
            step = fixed[axis]
        room = (dim - 1 - start) // step + 1 if step > 0 else start // -step + 1
        left = d.choices.below(f"{site}.left", room + 1, [4, *[2] * (room - 1), 0.3])
        starts.append(start)
        steps.append(step)
        sizes.append(room - left)
    d.attribute("steps", lambda: steps)
    d.attribute("starts", lambda: starts)
    d.attribute("sizes", lambda: sizes)


def _amounts(name: str, options: Sequence[int], weights: Sequence[float]) -> AttributeDraw:
    """One small number per axis."""

    def draw(d: Drawing, x: TensorType) -> object:
        if d.choices.chance(d.at(f"{name}.none"), 0.25):
            return [options[0]] * x.rank
        sites = (d.at(f"{name}.{axis}") for axis in range(x.rank))
        return [d.choices.pick(site, options, weights) for site in sites]

    return draw


def _quantization(d: Drawing, x: TensorType, storage: DType) -> Quantized:
    """That of the instance, another, or one per position of the last axis."""
    express = x.dtype if x.dtype.is_float else DType.F32
    kind = d.choices.below(d.at("encoding"), 3, (0.7, 0.15, 0.15))
    low, high = storage.integer_range
    if kind == 0 and low <= d.base.encoding.zero_point[0] <= high:
        return replace(d.base.encoding, dtype=express)
    if kind == 2 and x.rank and isinstance(x.shape[-1], int):
        count, points = x.shape[-1], zero_points(storage)
        scales = [d.choices.pick(d.at(f"encoding.scale.{i}"), SCALES) for i in range(count)]
        zeros = [d.choices.pick(d.at(f"encoding.zero.{i}"), points) for i in range(count)]
        return Quantized(tuple(scales), tuple(zeros), x.rank - 1, 0, express)
    return replace(per_tensor(d.choices, d.at("encoding"), storage), dtype=express)


def _storage(d: Drawing) -> DType:
    wished = d.wish.dtype if d.wish.dtype in STORAGE else d.base.storage
    if not d.choices.chance(d.at("dtype.other"), 0.2):
        return wished
    return d.choices.pick(d.at("dtype"), STORAGE, STORAGE_WEIGHTS)


def _encoding(d: Drawing, x: TensorType) -> Quantized:
    storage = d.attribute("dtype", lambda: _storage(d))
    if not isinstance(storage, DType) or not storage.is_integer:
        raise UnfitError("quantized numbers are drawn as integers")
    return _quantization(d, x, storage)


ATTRIBUTES: dict[str, AttributeDraw] = {
    "permutation": _permutation,
    "axis": _axis,
    "axes": _axes,
    "low": _bound(-math.inf),
    "high": _bound(math.inf),
    "before": _amounts("before", (0, 1, 2), (3, 2, 1)),
    "after": _amounts("after", (0, 1, 2), (3, 2, 1)),
    "repeats": _amounts("repeats", (1, 2, 3, 0), (3, 3, 1, 0.3)),
    "epsilon": lambda d, x: d.choices.pick(d.at("epsilon"), (1e-5, 1e-3, 1e-12, 0.0)),
    "to": lambda d, x: d.choices.pick(d.at("to"), list(DType)),
    "k": lambda d, x: d.choices.below(d.at("k"), 3),
    "dtype": lambda d, x: _storage(d),
    "tensor.reduce.kind": _reduction,
    "tensor.reshape.shape": _reshaped,
    "tensor.broadcast.shape": _broadcast,
    "quant.quantize.encoding": _encoding,
}
"""By attribute, or by ``op.attribute`` where ops differ."""


# Recipes ---------------------------------------------------------------------------------


def _data(d: Drawing, least: int = 0, most: int = 5) -> TensorType:
    """The type of operand 0: the wished shape, of a rank between bounds.

    Raises:
        UnfitError: it is known, and of a lower rank.
    """
    known = d.type(0)
    if known is not None or not d.slots or d.slots[0].absent:
        known = known or TensorType((), d.base.dtype)
        if known.rank < least:
            raise UnfitError(f"{d.definition.name} needs {least} axes")
        return known
    shape = list(variation(d.choices, d.at("0"), d.target, whole=0.85))[:most]
    while len(shape) < least:
        shape.append(extent(d.choices, d.at(f"0.extent.{len(shape)}"), empty=False))
    if d.slots[0].kind == SCALAR:
        shape = [1] * len(shape)
    return d.give(0, shape)


@recipe("tensor.transpose")
def _transpose(d: Drawing) -> None:
    """x such that the result has the wished shape, where that is possible."""
    if not d.is_open(0):
        return
    target = list(variation(d.choices, d.at("0"), d.target, whole=0.9))
    fixed = d.fixed.get("permutation")
    if isinstance(fixed, (list, tuple)) and len(fixed) > len(target):
        target = [*(2 for _ in range(len(fixed) - len(target))), *target]
    result = TensorType(tuple(target[-len(fixed) :] if isinstance(fixed, tuple) else target),
                        d.dtype_of(0))  # fmt: skip
    order = d.integers("permutation", lambda: _permutation(d, result))
    if sorted(order) != list(range(result.rank)):
        raise UnfitError("the permutation is of another rank")
    d.give(0, [result.shape[order.index(axis)] for axis in range(result.rank)], result.dtype)


@recipe("tensor.slice")
def _slice(d: Drawing) -> None:
    _slices(d, _data(d))


@recipe("tensor.broadcast", "tensor.tile", "tensor.reshape", "tensor.reduce", "tensor.pad")
def _moved(d: Drawing) -> None:
    _data(d)
    if len(d.slots) > 1 and not d.slots[1].absent:  # only constant padding takes a value
        d.attribute("mode", lambda: "constant")


@recipe("tensor.concat")
def _concat(d: Drawing) -> None:
    """Operands that agree but along the axis."""
    known = next((slot.type for slot in d.slots if slot.type is not None), None)
    shape = list(d.target if known is None else known.shape)
    if not shape:
        shape = [extent(d.choices, d.at("extent"))]
    axis = d.integer("axis", lambda: _axis(d, TensorType(tuple(shape), d.base.dtype)))
    if not 0 <= axis < len(shape):
        raise UnfitError("the axis of the concat is none of its operands'")
    for index, slot in enumerate(d.slots):
        if slot.is_open:
            size = extent(d.choices, d.at(f"{index}.extent"))
            d.give(index, [*shape[:axis], size, *shape[axis + 1 :]])


@recipe("tensor.gather")
def _gather(d: Drawing) -> None:
    """Indices in range where they are constants."""
    x = _data(d, least=1)
    axis = d.integer("axis", lambda: _axis(d, x))
    if d.is_open(1) and 0 <= axis < x.rank:
        shape = d.choices.pick(d.at("1.shape"), ((), (1,), (2,), (3,), (2, 2), (0,)))
        if d.slots[1].kind == SCALAR:
            shape = shape if shape in ((), (1,)) else ()
        d.give(1, shape)
        count = small(x.shape[axis])
        d.slots[1].data = lambda choices, site, type_: indices(choices, site, type_, count)


@recipe("nn.matmul")
def _matmul(d: Drawing) -> None:
    """Matrices whose inner sizes agree, with batch axes that broadcast."""
    transposed = [d.flag("transpose_a"), d.flag("transpose_b")]
    batch: Sequence[Dim] = d.target[:-2]
    inner: Dim | None = None
    for index in (0, 1):
        known = d.type(index)
        if known is not None:
            if known.rank < 2:
                raise UnfitError("a matrix of rank below 2")
            inner = known.shape[(-2 if transposed[index] else -1) if index == 0 else
                                (-1 if transposed[index] else -2)]  # fmt: skip
            batch = known.shape[:-2]
    if inner is None:
        inner = extent(d.choices, d.at("inner"))
    outer = d.wish.shape[-2:] if d.wish.shape is not None and len(d.wish.shape) >= 2 else None
    for index in (0, 1):
        if not d.is_open(index):
            continue
        size = outer[index] if outer else extent(d.choices, d.at(f"{index}.outer"))
        lead = variation(d.choices, d.at(f"{index}.batch"), batch, whole=0.5)
        rows, columns = (size, inner) if index == 0 else (inner, size)
        if transposed[index]:
            rows, columns = columns, rows
        d.give(index, [*lead, rows, columns])
    a, b = d.type(0), d.type(1)
    if d.is_open(2) and a is not None and b is not None:
        result = [
            *batch,
            a.shape[-1 if transposed[0] else -2],
            b.shape[-2 if transposed[1] else -1],
        ]
        d.give(2, variation(d.choices, d.at("2"), result, whole=0.3))


def _window(d: Drawing, spatial: int) -> None:
    """Strides, pads and dilations of a window; plain ones are common."""
    plain = not d.choices.chance(d.at("window"), 0.5)

    def several(name: str, count: int, options: Sequence[int]) -> Callable[[], list[int]]:
        def draw() -> list[int]:
            if plain and not d.choices.chance(d.at(name), 0.3):
                return [options[0]] * count
            sites = (d.at(f"{name}.{i}") for i in range(count))
            return [d.choices.pick(site, options) for site in sites]

        return draw

    pads = several("pads", 2 * spatial, (0, 1, 2))
    d.attribute("strides", several("strides", spatial, (1, 2, 3)))
    d.attribute("pads", pads)
    d.attribute("dilations", several("dilations", spatial, (1, 2)))
    for name in ("overhang", "output_padding"):
        if name in d.definition.attributes:
            d.attribute(name, several(name, spatial, (0, 1)))


def _kernel(d: Drawing, x: TensorType) -> list[int]:
    """Sizes of a window: 1, 3, the whole input, … per spatial axis."""
    sizes = []
    for axis, dim in enumerate(x.shape[2:]):
        options = [k for k in dict.fromkeys((1, 3, 2, small(dim), 5)) if k]
        sizes.append(
            d.choices.pick(d.at(f"kernel.{axis}"), options, [3, 3, 2, 1, 1][: len(options)])
        )
    return sizes


@recipe("nn.max_pool", "nn.average_pool", "nn.arg_max_pool")
def _pool(d: Drawing) -> None:
    x = _data(d, least=3)
    d.attribute("kernel", lambda: _kernel(d, x))
    _window(d, x.rank - 2)


@recipe("nn.conv", "nn.conv_transpose")
def _convolution(d: Drawing) -> None:
    """Weights that fit the channels; grouped and depthwise convolutions too."""
    transposed = d.definition.name == "nn.conv_transpose"
    x, w = d.type(0), d.type(1)
    if w is not None and w.rank < 3:
        raise UnfitError("weights of rank below 3")
    if x is None and w is not None:
        groups = d.integer("groups", lambda: 1)
        channels = w.shape[0] if transposed else w.shape[1] * groups
        sizes = [extent(d.choices, d.at(f"0.{i}"), empty=False) + small(k)
                 for i, k in enumerate(w.shape[2:])]  # fmt: skip
        d.give(0, [extent(d.choices, d.at("0.batch")), channels, *sizes])
    x = _data(d, least=3)
    channels = x.shape[1]
    divisors = [g for g in dict.fromkeys((1, 2, small(channels))) if g and channels % g == 0] or [1]
    groups = max(1, d.integer("groups", lambda: d.choices.pick(d.at("groups"), divisors)))
    if d.is_open(1):
        each = d.choices.pick(d.at("1.each"), (1, 2, 3))
        wished = d.wish.shape[1] if d.wish.shape is not None and len(d.wish.shape) > 1 else None
        if isinstance(wished, int) and wished and wished % groups == 0:
            each = wished // groups
        inputs = small(channels) // groups
        first, second = (small(channels), each) if transposed else (each * groups, inputs)
        w = d.give(1, [first, second, *_kernel(d, x)])
    if d.is_open(2) and w is not None:
        d.give(2, [w.shape[1] * groups if transposed else w.shape[0]])
    _window(d, x.rank - 2)


@recipe("nn.batch_norm", "nn.group_norm")
def _channel_norm(d: Drawing) -> None:
    """Parameters with one number per channel."""
    x = _data(d, least=2)
    if "groups" in d.definition.attributes:
        channels = small(x.shape[1])
        divisors = [g for g in dict.fromkeys((1, 2, channels)) if g and channels % g == 0] or [1]
        d.attribute("groups", lambda: d.choices.pick(d.at("groups"), divisors))
    for index in range(1, len(d.slots)):
        if d.is_open(index):
            d.give(index, [x.shape[1]])


@recipe("nn.layer_norm", "nn.rms_norm")
def _trailing_norm(d: Drawing) -> None:
    """Scale and bias for the normalized axes."""
    x = _data(d, least=1)
    axis = d.integer("axis", lambda: _axis(d, x))
    for index in range(1, len(d.slots)):
        if d.is_open(index):
            d.give(index, variation(d.choices, d.at(str(index)), x.shape[axis:], whole=0.7))


@recipe("quant.dequantize")
def _dequantize(d: Drawing) -> None:
    """An encoded operand."""
    if d.is_open(0):
        storage = _storage(d)
        x = d.give(0, d.target, storage)
        express = TensorType(x.shape, d.wish.dtype or DType.F32)
        if not express.dtype.is_float:
            raise UnfitError("dequantizing gives floats")
        d.slots[0].type = x.with_encoding(_quantization(d, express, storage))


@recipe("control.require")
def _require(d: Drawing) -> None:
    """Integers as they are expected."""
    x = _data(d)
    d.attribute("expected", lambda: list(x.shape))
    if d.is_open(1) and d.slots[1].kind == VALUE:
        d.give(1, [x.rank])
