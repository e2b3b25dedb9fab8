"""Make a module small while a predicate holds: delta debugging on the graph.

A greedy search in rounds (Zeller and Hildebrandt, *Simplifying and isolating failure-inducing
input*, 2002): parts of the graph, from halves down to single ops, are replaced by inputs, by
operands or by constants, then shapes and constants are made simple, until a whole round changes
nothing.  Every accepted step makes the module smaller by :func:`measure`, so the search ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from typing import TypeVar

import numpy as np

from burnish.ir import (
    Array,
    Error,
    InternalError,
    Module,
    Op,
    TensorType,
    Trait,
    Value,
    interpret,
    verify,
)
from burnish.ir.dims import Dim, plain_symbol, substitute, symbols_of
from burnish.ir.opdef import REQUIRED

from .equivalence import PATIENCE
from .rebuild import (
    CONSTANT,
    INLINE,
    INPUT,
    NOTHING,
    OPERAND,
    Change,
    Sizes,
    rebuild,
    rebuild_with_inputs,
    unused_ops,
)
from .simpler import simpler_arrays

Inputs = Mapping[str, Array]
Predicate = Callable[[Module], bool]
CasePredicate = Callable[[Module, Inputs], bool]
Progress = Callable[[str, float], None]
Place = TypeVar("Place")

BUDGET = 4000
"""How many modules are tried at most."""


def reduce(
    module: Module,
    predicate: Predicate,
    *,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> Module:
    """A smaller module for which ``predicate`` still holds; the given one is left as it is.

    The search tries ``main`` only, and valid modules only.  It is deterministic where the
    predicate is.

    Args:
        predicate: whether a module still shows what the small one shall show.
        budget: modules to try at most.
        progress: called with what is there and the share of the budget that is used.

    Raises:
        ValueError: the predicate does not hold for ``module`` itself.
    """
    return _Reducer(module, None, lambda m, _: predicate(m), budget, progress).run()


def reduce_with_inputs(
    module: Module,
    inputs: Inputs,
    predicate: CasePredicate,
    *,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> tuple[Module, dict[str, Array]]:
    """As :func:`reduce`, for what a module does on given inputs, which follow its changes.

    A result that becomes an input is what it was: so numbers that matter stay.
    """
    reducer = _Reducer(module, dict(inputs), predicate, budget, progress)
    return reducer.run(), reducer.inputs or {}


def is_constant(op: Op) -> bool:
    """Whether ``op`` is data."""
    return Trait.CONSTANT in op.opdef.traits


def measure(module: Module) -> tuple[int, ...]:
    """What shall become small, the most important first."""
    ops = list(module.walk())
    main = module.main
    values: list[Value] = [*main.args, *(value for op in ops for value in op.results)]
    symbolic = sum(1 for value in values if not value.type.is_static)
    extents = sum(dim for value in values for dim in value.type.shape if isinstance(dim, int))
    ranks = sum(value.type.rank for value in values)
    return (
        sum(1 for op in ops if not is_constant(op)),
        len(main.args),
        len(main.results),
        sum(1 for op in ops if is_constant(op)),
        symbolic,
        extents + ranks,
        sum(len(op.attributes.key) for op in ops),
        len(str(module)),
    )


class _Reducer:
    """One search: the smallest module so far, its inputs if they matter, and what was tried."""

    def __init__(
        self,
        module: Module,
        inputs: dict[str, Array] | None,
        predicate: CasePredicate,
        budget: int,
        progress: Progress | None,
    ) -> None:
        if not predicate(module.copy(), inputs or {}):
            raise ValueError("the predicate does not hold for the module to reduce")
        self.module = module
        self.inputs = inputs
        self._known: dict[Value, Array] = {}
        self._predicate = predicate
        self._budget = budget
        self._progress = progress
        self._measure = measure(module)
        self._tried: set[bytes] = set()

    def run(self) -> Module:
        steps = (
            self._tidy, self._results, self._prefix, self._suffix, self._chunks, self._inline,
            self._inputs, self._sizes, self._axes, self._constants, self._attributes, self._tidy,
        )  # fmt: skip
        before: tuple[int, ...] | None = None
        while before != self._measure and not self._is_spent:
            before = self._measure
            for step in steps:
                step()
        return self.module

    @property
    def _is_spent(self) -> bool:
        return len(self._tried) >= self._budget

    def _try(self, change: Change) -> bool:
        """Make the changed module the current one, if it is smaller and the predicate holds."""
        if self._is_spent:
            return False
        try:
            candidate, inputs = self._changed(change)
            size = measure(candidate)
            if size >= self._measure:
                return False
            verify(candidate)
        except (Error, InternalError, KeyError, IndexError, ValueError, AssertionError):
            return False  # the parts do not fit
        digest = hashlib.sha256(str(candidate).encode())
        for array in (inputs or {}).values():
            digest.update(array.tobytes())
        if digest.digest() in self._tried:
            return False
        self._tried.add(digest.digest())
        if self._progress is not None:
            said = f"reduce: {self._measure[0]} ops, {len(self._tried)} tried"
            self._progress(said, len(self._tried) / self._budget)
        if not self._predicate(candidate.copy(), inputs or {}):
            return False
        self.module, self.inputs, self._measure = candidate, inputs, size
        self._known = {}
        return True

    def _changed(self, change: Change) -> tuple[Module, dict[str, Array] | None]:
        if self.inputs is None:
            return rebuild(self.module, change), None
        self._known = self._known or _values(self.module, self.inputs)
        return rebuild_with_inputs(self.module, change, self._known)

    # Ops ---------------------------------------------------------------------------------

    def _ops(self) -> list[Op]:
        """The ops of the entry function that compute."""
        body = self.module.main.body
        return [op for op in body if not is_constant(op) and not op.is_terminator]

    def _tidy(self) -> None:
        """Leave out what nobody uses, and what only people read."""
        self._sweep()
        self._try(Change(tidy=True))

    def _sweep(self) -> None:
        unused = unused_ops(self.module.main.body)
        constants = {op: how for op, how in unused.items() if is_constant(op)}
        if unused and not self._try(Change(cut=unused)) and constants:
            self._try(Change(cut=constants))  # an op that nobody uses is what fails

    def _results(self) -> None:
        """One result, or fewer of them."""
        count = len(self.module.main.results)
        for index in range(count if count > 1 else 0):
            if self._try(Change(results=(index,))):
                self._sweep()
                return
        index = 0
        while len(self.module.main.results) > 1 and index < len(self.module.main.results):
            kept = [i for i in range(len(self.module.main.results)) if i != index]
            if not self._try(Change(results=tuple(kept))):
                index += 1
        self._sweep()

    def _prefix(self) -> None:
        """The fewest first ops that do, returning all that those after them used."""
        good = 0
        while len(self._ops()) - good > 1 and not self._is_spent:
            ops = self._ops()
            middle = (good + len(ops)) // 2
            late = dict.fromkeys(ops[middle:], NOTHING)
            end = self.module.main.body.terminator
            returned = [
                value
                for op in ops[:middle]
                for value in op.results
                if any(user in late or user is end for user in value.users)
            ]
            if not returned or not self._try(Change(cut=late, returned=tuple(returned))):
                good = middle
        self._results()

    def _suffix(self) -> None:
        """The fewest last ops that do, the rest being inputs."""
        bad = len(self._ops())
        while bad > 1 and not self._is_spent:
            middle = bad // 2
            early = self._ops()[:middle]
            if self._try(Change(cut=dict.fromkeys(early, INPUT))):
                self._sweep()
                bad = min(bad - middle, len(self._ops()))
            else:
                bad = middle

    def _chunks(self) -> None:
        """Leave out groups of neighbours, from halves down to single ops, nested ones included."""
        size = max(1, self._measure[0] // 2)
        while size >= 1 and not self._is_spent:
            start = 0
            while True:
                everything = [op for op in self.module.main.walk() if not is_constant(op)]
                ops = [op for op in everything if not op.is_terminator]
                if start >= len(ops):
                    break
                if any(map(self._try, self._replacements(ops[start : start + size]))):
                    self._sweep()
                else:
                    start += size
            size //= 2

    def _replacements(self, chunk: Sequence[Op]) -> Iterator[Change]:
        """Ways to do without these ops."""
        body = self.module.main.body
        yield Change(cut={op: OPERAND if _has_alike(op) else CONSTANT for op in chunk})
        if all(op.parent is body for op in chunk):
            yield Change(cut={op: OPERAND if _has_alike(op) else INPUT for op in chunk})
            yield Change(cut=dict.fromkeys(chunk, INPUT))
        yield Change(cut=dict.fromkeys(chunk, CONSTANT))

    def _inline(self) -> None:
        """Put the ops of a region in the place of the op around it."""
        self._each(
            lambda: [op for op in self.module.main.walk() if op.regions],
            lambda op: self._try(Change(cut={op: INLINE})),
        )

    def _inputs(self) -> None:
        """One input in the place of two."""
        self._each(
            lambda: [(a, b) for a, b in combinations(self.module.main.args, 2) if a.type == b.type],
            lambda pair: self._try(Change(merged={pair[1]: pair[0]})),
        )

    # Shapes ------------------------------------------------------------------------------

    def _sizes(self) -> None:
        """Symbols get sizes; sizes become 1, 2, 3 or half, everywhere at once."""
        for symbol in sorted(_symbols(self.module)):
            sizes = dict.fromkeys((1, 2, 3, *self._actual(symbol)))
            any(self._try(Change(sizes=_binding(symbol, size))) for size in sizes)
        for dim in sorted(_extents(self.module), reverse=True):
            smaller = sorted({size for size in (1, 2, 3, dim // 2) if 0 < size < dim})
            any(self._try(Change(sizes=_replacing(dim, size))) for size in smaller)

    def _actual(self, symbol: str) -> list[int]:
        """The size that the inputs, where they matter, give a symbol."""
        main = self.module.main
        return [
            size
            for name, arg in zip(main.arg_names, main.args)
            for dim, size in zip(arg.type.shape, (self.inputs or {}).get(name, np.zeros(())).shape)
            if plain_symbol(dim) == symbol
        ][:1]

    def _axes(self) -> None:
        """Sizes of one input alone, then fewer axes."""
        self._each(
            lambda: [(a, axis) for a in self.module.main.args for axis in range(a.type.rank)],
            lambda place: any(
                self._try(Change(arguments={place[0]: _with_size(place[0], place[1], size)}))
                for size in (1, 2)
            ),
        )
        rank = max((a.type.rank for a in self.module.main.args), default=0)
        while rank and self._try(Change(sizes=_without_first_axis(rank))):
            rank -= 1

    # Data --------------------------------------------------------------------------------

    def _constants(self) -> None:
        """Simple numbers."""
        self._each(
            lambda: [op for op in self.module.main.walk() if is_constant(op)],
            lambda op: any(
                self._try(Change(constants={op: array})) for array in simpler_arrays(_data(op))
            ),
        )

    def _attributes(self) -> None:
        """Defaults instead of what attributes are."""
        self._each(
            lambda: [
                (op, name)
                for op in self.module.main.walk()
                for name, spec in op.opdef.attributes.items()
                if spec.default is not REQUIRED and op.attributes[name] != spec.default
            ],
            lambda place: self._try(Change(attributes={place[0]: [place[1]]})),
        )

    def _each(self, find: Callable[[], Sequence[Place]], change: Callable[[Place], bool]) -> None:
        """Try to change every place; after a change, the places are looked for again."""
        index = 0
        while index < len(places := find()) and not self._is_spent:
            if not change(places[index]):
                index += 1


def _values(module: Module, inputs: Inputs) -> dict[Value, Array]:
    """The inputs of ``main``, and all results as far as they can be computed."""
    main = module.main
    known = {arg: inputs[name] for name, arg in zip(main.arg_names, main.args)}
    with suppress(Error), np.errstate(all="ignore"):
        interpret(
            module,
            inputs,
            observe=lambda op, results: known.update(zip(op.results, results)),
            max_regions=PATIENCE,
        )
    return known


def _data(op: Op) -> Array:
    handle = op.result.constant
    assert handle is not None
    return handle.array


def _has_alike(op: Op) -> bool:
    """Whether every result in use has the type of an operand."""
    types = [value.type for value in op.inputs]
    return all(result.type in types for result in op.results if result.use_count)


def _symbols(module: Module) -> set[str]:
    return {s for arg in module.main.args for dim in arg.type.shape for s in symbols_of(dim)}


def _extents(module: Module) -> set[int]:
    """Sizes of axes, other than 1."""
    values = [*module.main.args, *(value for op in module.walk() for value in op.results)]
    return {d for v in values for d in v.type.shape if isinstance(d, int) and d > 1}


def _binding(symbol: str, size: int) -> Sizes:
    return lambda shape: tuple(substitute(dim, {symbol: size}) for dim in shape)


def _replacing(old: int, new: int) -> Sizes:
    return lambda shape: tuple(new if dim == old else dim for dim in shape)


def _without_first_axis(rank: int) -> Sizes:
    def sizes(shape: tuple[Dim, ...]) -> tuple[Dim | None, ...]:
        return (None, *shape[1:]) if len(shape) == rank else shape

    return sizes


def _with_size(value: Value, axis: int, size: int) -> TensorType:
    shape = list(value.type.shape)
    shape[axis] = size
    return value.type.with_shape(shape)
