"""Random well-typed modules, grown op by op.

    draft = random_module(Random(seed), Profile(ops=12))
    draft.module, draft.inputs

One *maker* per op adds it to a graph: it picks or makes operands that fit, and attributes.  Any
object with the interface of :class:`random.Random` decides, so that hypothesis (``st.randoms``)
can shrink a failure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from burnish.ir import (
    Array,
    Builder,
    Dim,
    DType,
    Error,
    InternalError,
    Module,
    Op,
    Value,
    build_function,
    lookup,
    registry,
    symbol,
)
from burnish.ir.dims import evaluate, substitute
from burnish.ir.elementwise import ElementwiseOp
from burnish.passes.trust.rebuild import (
    INPUT,
    Change,
    rebuild,
    rebuild_with_inputs,
    unused_ops,
)

from .data import numbers, random_shape

COMPLEX = frozenset({DType.C64, DType.C128})
COMMON = (DType.F32,) * 8 + (DType.I32, DType.I64, DType.BOOL, DType.U8, DType.F16, DType.F64)
"""Element types, as often as models use them, roughly."""


@dataclass(frozen=True)
class Profile:
    """What graphs are made of.

    ``only`` names the ops allowed (all that have a maker when empty), ``without`` those that are
    not; ``special`` mixes infinities, NaN and extremes into data; ``symbols`` allows dimensions
    whose size is known at run time only; ``most`` limits the elements of a value.
    """

    ops: int = 12
    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    special: bool = True
    symbols: bool = True
    dtypes: Collection[DType] = frozenset(DType)
    most: int = 400

    @functools.cached_property
    def names(self) -> list[str]:
        """The ops to choose among, each as often as it shall be chosen."""
        allowed = [n for n in MAKERS if (not self.only or n in self.only) and n not in self.without]
        plain = [n for n in allowed if isinstance(lookup(n), ElementwiseOp)]
        others = [n for n in allowed if n not in plain]
        # Elementwise ops are the many, but say little each.
        return [*plain, *others * (2 if plain else 1)]


class Graph:
    """A block under construction.  All data are constants at first: see :func:`random_module`."""

    def __init__(
        self, random: Random, builder: Builder, profile: Profile, values: Sequence[Value] = ()
    ) -> None:
        self.random = random
        self.builder = builder
        self.profile = profile
        self.values = list(values)
        self.symbols: dict[str, tuple[int, int]] = {}
        self.depth = 0
        self.chaining = random.choice([0.0, 0.3, 0.8])
        """How often an op reads the last value that fits it."""

    # Choices ----------------------------------------------------------------------------

    def coin(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def dtype(self, among: Collection[DType]) -> DType:
        """One of these element types, common ones more often."""
        allowed = [d for d in DType if d in among and d in self.profile.dtypes]
        plain = [d for d in allowed if d not in COMPLEX]
        if plain and not self.coin(0.02):
            allowed = plain
        usual = [d for d in COMMON if d in allowed]
        if not allowed:
            raise Error("no element type fits")
        return self.random.choice(usual if usual and self.coin(0.65) else allowed)

    def size(self, low: int = 1, high: int = 6) -> int:
        return self.random.randint(low, high)

    def shape(self, rank: int | None = None, low: int = 0) -> tuple[int, ...]:
        rank = self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 5]) if rank is None else rank
        return random_shape(self.random, max(rank, low), self.profile.most)

    def axis(self, x: Value) -> int:
        return self.random.randrange(x.type.rank)

    # Operands ---------------------------------------------------------------------------

    def pick(
        self, fits: Callable[[Value], bool] = lambda value: True, *, dynamic: bool = False
    ) -> Value | None:
        """A value that fits: the last one, or any; later ones are likelier, so that chains form."""
        fitting = [v for v in self.values if (dynamic or v.type.is_static) and fits(v)]
        if not fitting:
            return None
        if self.coin(self.chaining):
            return fitting[-1]
        count = len(fitting)
        return fitting[max(self.random.randrange(count), self.random.randrange(count))]

    def data(self, shape: Sequence[int], dtype: DType, scale: float = 2.0) -> Value:
        """New data of any numbers."""
        special = self.profile.special
        array = numbers(self.random, tuple(shape), dtype, special=special, scale=scale)
        return self.builder.constant(array)

    def integers(
        self, shape: Sequence[int], dtype: DType, low: int, high: int, *, distinct: bool = False
    ) -> Value:
        """New integers in [low, high]."""
        rng = np.random.default_rng(self.random.getrandbits(32))
        count = int(np.prod(shape, dtype=int))
        if distinct:
            found = rng.permutation(np.arange(low, high + 1))[:count]
        else:
            found = rng.integers(low, high, count, endpoint=True)
        return self.builder.constant(found.reshape(tuple(shape)).astype(dtype.numpy))

    def uniform(self, shape: Sequence[int], dtype: DType, low: float, high: float) -> Value:
        """New floats in [low, high)."""
        rng = np.random.default_rng(self.random.getrandbits(32))
        return self.builder.constant(rng.uniform(low, high, tuple(shape)).astype(dtype.numpy))

    def value(
        self,
        dtypes: Collection[DType],
        *,
        rank: int | None = None,
        low: int = 0,
        dynamic: bool = False,
    ) -> Value:
        """A value of one of these types and of this rank, or of ``low`` at least."""
        wanted = [d for d in dtypes if d in self.profile.dtypes]

        def fits(v: Value) -> bool:
            ranks = v.type.rank == rank if rank is not None else v.type.rank >= low
            return v.type.dtype in wanted and ranks and v.type.encoding is None

        found = self.pick(fits, dynamic=dynamic) if self.coin(0.75) else None
        return found or self.data(self.shape(rank, low), self.dtype(wanted))

    def like(self, shape: Sequence[int], dtype: DType, scale: float = 2.0) -> Value:
        """A value of exactly this shape and type, new or not."""
        found = None
        if self.coin(0.4):
            found = self.pick(
                lambda v: (
                    v.type.shape == tuple(shape)
                    and v.type.dtype is dtype
                    and v.type.encoding is None
                )
            )
        return found or self.data(shape, dtype, scale)

    def partner(self, x: Value, dtype: DType | None = None) -> Value:
        """An operand that broadcasts with x, of its type or the given one."""
        dtype = dtype or x.type.dtype
        if not x.type.is_static:
            same = x.type.dtype is dtype and self.coin()
            return x if same else self.data((), dtype)
        shape = x.type.static_shape
        if self.coin(0.3):
            return self.like(shape, dtype)
        cut = list(shape[self.random.randrange(len(shape) + 1) :])
        kept = [size if self.coin() else 1 for size in cut]
        grown = [self.size(1, 4) if s == 1 and self.coin(0.3) else s for s in kept]
        if len(grown) == len(shape) and self.coin(0.1):
            grown.insert(0, self.size(1, 3))
        return self.like(grown, dtype)

    def indices(self, shape: Sequence[int], extent: int) -> Value:
        """Positions along an axis of ``extent``, negative ones too; rarely one outside."""
        dtype = self.dtype({DType.I32, DType.I64})
        beyond = 1 if self.coin(0.02) else 0
        if extent == 0:
            shape = (0, *shape[1:]) if shape else (0,)
        return self.integers(shape, dtype, -extent, max(extent - 1, -extent) + beyond)

    # Ops --------------------------------------------------------------------------------

    def add(self, name: str) -> Op | None:
        """Add the op by its maker; None where what it chose does not fit together.

        Constants that a failed maker leaves do no harm: nobody uses them.
        """
        try:
            made = MAKERS[name](self)
        except Error:
            made = None
        if made is None:
            return None
        op = made.op if isinstance(made, Value) else made
        assert op is not None
        small = all(
            not r.type.is_static or 0 <= int(np.prod(r.type.static_shape)) <= 3 * self.profile.most
            for r in op.results
        )
        if small:
            self.values += op.results
        return op

    def grow(self, ops: int) -> None:
        """Add about so many ops."""
        for _ in range(ops):
            self.add(self.random.choice(self.profile.names))


Maker = Callable[[Graph], "Value | Op | None"]
MAKERS: dict[str, Maker] = {}
"""By the op that it adds."""


def maker(name: str) -> Callable[[Maker], Maker]:
    """Enter the maker of an op."""

    def enter(function: Maker) -> Maker:
        assert name not in MAKERS
        MAKERS[name] = function
        return function

    return enter


@dataclass
class Draft:
    """A random module and the inputs it was made with."""

    module: Module
    inputs: dict[str, Array]
    others: list[dict[str, Array]] = field(default_factory=list)
    """Further inputs to run it on."""


def random_module(random: Random, profile: Profile) -> Draft:
    """A module of about ``profile.ops`` ops.

    It is made on constants, so that makers know all data; then those become arguments which it
    started from (of a model: the others are weights), or any, and one size a symbol.
    """
    module = Module("random")
    function, builder = build_function(module, "main", {})
    graph = Graph(random, builder, profile)
    for _ in range(random.randint(1, 3)):
        graph.values.append(graph.data(graph.shape(), graph.dtype(profile.dtypes)))
    first = {value.op for value in graph.values}
    while len([v for v in graph.values if v.op and v.op.name != "core.constant"]) < profile.ops:
        graph.add(random.choice(profile.names))
    module.symbols.update(graph.symbols)
    results = _results(random, graph.values)
    function.result_names = tuple(f"r{i}" for i in range(len(results)))
    builder.ret(*results)
    constants = [op for op in function.body if op.name == "core.constant" and op.result.use_count]
    share = random.choice([0.0, 0.05, 0.05, 0.5, 1.0])
    cut = {op: op.result for op in constants if (share and op in first) or random.random() < share}
    known = {value: value.constant.array for value in cut.values() if value.constant is not None}
    change = Change(cut={**unused_ops(function.body), **dict.fromkeys(cut, INPUT)})
    draft = Draft(*rebuild_with_inputs(module, change, known))
    if profile.symbols and random.random() < 0.3:
        draft = _with_symbol(random, draft)
    if draft.inputs and not draft.others:
        draft.others = [_shuffled(random, draft.inputs)]
    return draft


def _results(random: Random, values: Sequence[Value]) -> list[Value]:
    """What nobody uses, some of what is used, and rarely a value twice."""
    made = [v for v in values if v.op is not None and v.op.name != "core.constant"]
    found = [v for v in made if not v.use_count or random.random() < 0.1]
    if random.random() < 0.03:
        found.append(random.choice(values))
    return found or [values[-1]]


def _shuffled(random: Random, inputs: dict[str, Array]) -> dict[str, Array]:
    """The same numbers at other places: they stay what the graph was made for."""
    rng = np.random.default_rng(random.getrandbits(32))
    return {n: x.reshape(-1)[rng.permutation(x.size)].reshape(x.shape) for n, x in inputs.items()}


def _with_symbol(random: Random, draft: Draft) -> Draft:
    """The draft with one size of its inputs made a symbol, where inference follows."""
    sizes = sorted({size for x in draft.inputs.values() for size in x.shape if size > 1})
    random.shuffle(sizes)
    for size in sizes[:3]:
        low, high = random.choice([(1, size), (1, size + 8), (0, 2 * size), (size, size + 1)])
        module = _symbolized(draft.module, size, "N", (low, high))
        if module is not None:
            others = []
            for actual in {low, high, random.randint(low, high)}:
                resized = {
                    n: _resized(x, arg.type.shape, actual)
                    for (n, x), arg in zip(draft.inputs.items(), module.main.args)
                }
                others.append(resized)
            return Draft(module, draft.inputs, others)
    return draft


def _symbolized(module: Module, size: int, name: str, bounds: tuple[int, int]) -> Module | None:
    """The module with each dimension ``size`` a symbol; None where that fails."""
    shapes = [v.type.shape for v in module.main.results]

    def sizes(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
        return tuple(symbol(name) if dim == size else dim for dim in shape)

    try:
        made = rebuild(module, Change(sizes=sizes))
        found = [tuple(evaluate(d, {name: size}) for d in v.type.shape) for v in made.main.results]
    except (Error, InternalError):
        return None
    except (KeyError, TypeError):  # the size of something that an op finds
        return None
    if found != shapes or any(_fits_one_size(made, name, end) for end in bounds):
        return None
    made.symbols[name] = bounds
    return made


def _fits_one_size(module: Module, name: str, size: int) -> bool:
    """Whether a region holds an encoding that the symbol's ``size`` has no scales for.

    What is compiled refuses such a size at once, the interpreter only where the region runs.
    """
    types = [
        value.type
        for function in module.functions.values()
        for op in function.walk()
        if op.parent is not function.body
        for value in op.results
    ]
    return any(
        type_.quantized.problem(
            tuple(substitute(dim, {name: size}) for dim in type_.shape), type_.dtype
        )
        for type_ in types
        if type_.quantized is not None
    )


def _resized(x: Array, shape: Sequence[object], size: int) -> Array:
    """Elements of x, in a shape whose symbols are ``size``."""
    wanted = [d if isinstance(d, int) else size for d in shape]
    if x.shape == tuple(wanted):
        return x
    if not x.size:
        return np.zeros(wanted, x.dtype)
    return np.resize(x, wanted).astype(x.dtype)


def unmade() -> set[str]:
    """Registered ops without a maker."""
    return set(registry()) - set(MAKERS)
