"""Seeded inputs for the functions of a module: ordinary ones, and those that rewrites forget.

Every draw is of one kind (:data:`KINDS`), so that a special value does not hide what another one
would show: a single NaN makes NaN of a whole softmax.  Symbolic dimensions are given another
size in each draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from burnish.ir import Array, DType, Function, Module, TensorType
from burnish.ir.dims import evaluate, symbols_of
from burnish.ir.dtypes import Kind

SIZES = (1, 2, 3, 7)
"""Sizes of symbolic dimensions, counted from the lower end of their range."""

MAX_ELEMENTS = 1 << 24
"""Inputs are not drawn larger than this; symbols get their smallest sizes instead."""

Sampler = Callable[[np.random.Generator, tuple[int, ...], DType], Array]


@dataclass(frozen=True)
class Draw:
    """Inputs of one function.

    Attributes:
        kind: of numbers, one of :data:`KINDS`.
        what: how they were made, for people.
    """

    function: str
    inputs: Mapping[str, Array]
    kind: str
    what: str


def draws(
    module: Module, seed: int = 0, count: int = 0, kinds: Sequence[str] = ()
) -> Iterator[Draw]:
    """``count`` draws of some kinds (all, once each, by default) for every function."""
    kinds = kinds or tuple(KINDS)
    for function in module.functions.values():
        for index in range(count or len(kinds)):
            kind = kinds[index % len(kinds)]
            sizes = symbol_sizes(function, module.symbols, index)
            generator = np.random.default_rng([seed, index])
            inputs = {
                name: sample(kind, generator, value.type, sizes)
                for name, value in zip(function.arg_names, function.args)
            }
            shown = "".join(f", {name} = {size}" for name, size in sizes.items())
            yield Draw(function.name, inputs, kind, f"{kind} inputs of seed {seed}{shown}")


def symbol_sizes(
    function: Function, ranges: Mapping[str, tuple[int, int]], index: int
) -> dict[str, int]:
    """A size for each symbol in the types of the inputs; another one for each ``index``."""
    names = sorted({s for arg in function.args for d in arg.type.shape for s in symbols_of(d)})
    sizes = {}
    for position, name in enumerate(names):
        low, high = ranges.get(name, (1, SIZES[-1]))
        # Two symbols take every pair of sizes, sooner or later.
        step = SIZES[(index // len(SIZES) ** min(position, 1) + position) % len(SIZES)]
        sizes[name] = min(high, low + step - 1)
    if _elements(function, sizes) > MAX_ELEMENTS:
        return {name: ranges.get(name, (1, 1))[0] for name in names}
    return sizes


def _elements(function: Function, sizes: Mapping[str, int]) -> int:
    shapes = ([evaluate(dim, sizes) for dim in arg.type.shape] for arg in function.args)
    return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)


def sample(
    kind: str, generator: np.random.Generator, type_: TensorType, sizes: Mapping[str, int]
) -> Array:
    """An array of that type with numbers of that kind."""
    shape = tuple(max(evaluate(dim, sizes), 0) for dim in type_.shape)
    dtype = type_.dtype
    if dtype is DType.BOOL:
        return generator.random(shape) < 0.5
    if dtype.is_integer:
        return _integers(kind, generator, shape, dtype)
    with np.errstate(all="ignore"):
        array = KINDS[kind](generator, shape, dtype)
        if dtype.kind is Kind.COMPLEX:
            array = array + 1j * KINDS[kind](generator, shape, dtype)
        return array.astype(dtype.numpy)


def _integers(
    kind: str, generator: np.random.Generator, shape: tuple[int, ...], dtype: DType
) -> Array:
    low, high = dtype.integer_range
    if kind == "extreme":
        values = [v for v in (low, low + 1, -1, 0, 1, 2, high - 1, high) if low <= v <= high]
        carrier = np.array(values, np.uint64 if dtype is DType.U64 else np.int64)
        chosen = generator.choice(carrier, size=shape)
    elif kind == "normal" and dtype.bits <= 16:
        chosen = generator.integers(low, high, shape, endpoint=True)
    else:  # wide ones are most often indices, tokens or masks
        few = (0, 1) if kind == "normal" else (max(low, -3), min(high, 3))
        chosen = generator.integers(*few, shape, endpoint=True)
    return np.asarray(chosen).astype(dtype.numpy)


def _normal(generator: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    return generator.standard_normal(shape)


def _whole(generator: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    """Small integers and halves: sums are exact, and ties are common."""
    return generator.integers(-8, 9, shape) / 2


def _mixed(share: float, *values: float) -> Sampler:
    """Normal numbers, ``share`` of which are replaced by one of ``values``."""

    def sampler(generator: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
        special = generator.choice(np.array(values), size=shape)
        chosen = generator.random(shape) < share
        if chosen.size and not chosen.any():
            chosen.reshape(-1)[generator.integers(chosen.size)] = True
        return np.where(chosen, special, generator.standard_normal(shape))

    return sampler


def float_info(dtype: np.dtype[Any]) -> Any:
    """``eps``, ``max``, ``tiny`` and ``smallest_subnormal`` of a real floating-point type."""
    finfo: Any = ml_dtypes.finfo
    return finfo(dtype)


def _extreme(generator: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    """The largest and smallest magnitudes of the type, subnormal ones included."""
    real = {DType.C64: DType.F32, DType.C128: DType.F64}.get(dtype, dtype)
    info = float_info(real.numpy)
    values = [float(v) for v in (info.max, info.tiny, info.smallest_subnormal, 1.0)]
    signs = generator.choice(np.array([-1.0, 1.0]), size=shape)
    return np.asarray(signs * generator.choice(np.array(values), size=shape))


KINDS: Mapping[str, Sampler] = {
    "normal": _normal,
    "infinite": _mixed(0.3, np.inf, -np.inf),
    "zero": _mixed(0.5, 0.0, -0.0),
    "extreme": _extreme,
    "whole": _whole,
    "nan": _mixed(0.3, np.nan),
    "large": _mixed(0.5, 1e4, -1e4, 3e4, 100.0),
    "special": _mixed(0.6, 0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan),
}
"""How floating-point inputs are drawn, the likeliest to tell two modules apart first."""

FINITE = ("normal", "whole")
"""Kinds without special values, whose results are most likely finite."""
