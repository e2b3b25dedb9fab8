"""Cases of the op table with sizes replaced by symbols, as far as type inference follows."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from op_cases import OpCase

from burnish import ir
from burnish.ir import Dim, Module, Trait, symbol
from burnish.ir.attributes import DIM, DIMS
from burnish.ir.dims import evaluate
from burnish.ir.errors import Error

LARGEST = 37
"""Upper bound of all symbols; most sizes in the table are smaller."""
SMALLER = {"nn.conv": 9, "nn.conv_transpose": 9, "nn.determinant": 9}
"""That of ops that take long with all sizes large, or whose results then mean nothing."""


@dataclass(frozen=True)
class DynamicCase:
    """A case whose operands have the symbols ``dims`` of sizes ``sizes`` where it has numbers.

    ``low`` is the least size declared, ``attributes`` what became of the case's own.
    """

    case: OpCase
    shapes: tuple[tuple[Dim, ...] | None, ...]
    attributes: Mapping[str, Any]
    sizes: Mapping[str, int]
    low: int = 1

    @property
    def id(self) -> str:
        shapes = " ".join("-" if s is None else f"[{', '.join(map(str, s))}]" for s in self.shapes)
        return f"{self.case.id} {shapes}"

    @property
    def symbols(self) -> dict[str, tuple[int, int]]:
        largest = SMALLER.get(self.case.op, LARGEST)
        return {name: (self.low, max(largest, size)) for name, size in self.sizes.items()}

    def types(self) -> list[ir.TensorType | None]:
        return [
            None if t is None or shape is None else t.with_shape(shape)
            for t, shape in zip(self.case.types, self.shapes)
        ]

    def result_types(self) -> tuple[ir.TensorType, ...]:
        definition = self.case.definition
        return definition.result_types(definition.complete(self.attributes), self.types())

    def is_sound(self) -> bool:
        """Whether inference gives the case's own results when the symbols have its sizes.

        The size that an op finds is none of its operands' sizes, even where the numbers agree.
        """
        if Trait.SIZED in self.case.definition.traits and not isinstance(
            self.attributes["size"], int
        ):
            return False
        try:
            types = self.result_types()
            shapes = [tuple(evaluate(d, self.sizes) for d in t.shape) for t in types]
        except (Error, TypeError):
            return False
        return shapes == [t.shape for t in self.case.result_types()]

    def add(self, function: ir.Function, builder: ir.Builder, first: int) -> list[ir.Value]:
        """Add the op; its operands are the arguments of ``function`` from ``first`` on."""
        arguments = iter(function.args[first:])
        operands = [None if t is None else next(arguments) for t in self.types()]
        return list(builder.create(self.case.op, operands, self.attributes).results)

    def inputs(self, sizes: Mapping[str, int]) -> list[ir.Array]:
        """Operands of other sizes, made of the elements that the case has."""
        return [
            np.resize(array, [evaluate(d, sizes) for d in shape]).astype(array.dtype)
            for array, shape in zip(self.case.operands, self.shapes)
            if array is not None and shape is not None
        ]

    def samples(self, count: int) -> list[dict[str, int]]:
        """Sizes to run at: the case's own, the bounds, and some between."""
        random = np.random.default_rng(zlib.crc32(self.id.encode()))
        found = [
            dict(self.sizes),
            dict.fromkeys(self.sizes, 1),
            {name: high for name, (_, high) in self.symbols.items()},
            dict.fromkeys(self.sizes, self.low),
        ]
        while len(found) < count:
            found.append(
                {n: int(random.integers(1, high)) for n, (_, high) in self.symbols.items()}
            )
        return found[:count]


def module_of(cases: list[DynamicCase]) -> tuple[Module, list[list[str]], list[list[str]]]:
    """A module that holds all cases; the names of each one's inputs and outputs."""
    module = Module("cases", symbols={n: r for case in cases for n, r in case.symbols.items()})
    types = {
        f"c{i}x{j}": t for i, case in enumerate(cases) for j, t in enumerate(case.types()) if t
    }
    inputs = [[n for n in types if n.startswith(f"c{i}x")] for i in range(len(cases))]
    outputs = [
        [f"c{i}y{j}" for j in range(len(case.result_types()))] for i, case in enumerate(cases)
    ]
    function, builder = ir.build_function(module, "main", types, list(itertools.chain(*outputs)))
    values: list[ir.Value] = []
    first = 0
    for case, names in zip(cases, inputs):
        values += case.add(function, builder, first)
        first += len(names)
    builder.ret(*values)
    return module, inputs, outputs


def variants(case: OpCase, number: int) -> Iterator[DynamicCase]:
    """Ways of making the case dynamic: all its sizes, those of its first operand, each alone."""
    shapes = [None if x is None else x.shape for x in case.operands]
    found = sorted({size for shape in shapes for size in shape or () if size > 1})
    seen: set[str] = set()
    for low in (1, 0):
        for chosen in [found, *([size] for size in found)]:
            for operands in (len(shapes), 1):
                for follow in (True, False):
                    made = _variant(case, number, chosen, operands, follow, low)
                    if made is None or (key := f"{made.id} {made.attributes} {low}") in seen:
                        continue
                    seen.add(key)
                    if made.is_sound():
                        yield made


def _variant(
    case: OpCase, number: int, chosen: list[int], operands: int, follow: bool, low: int
) -> DynamicCase | None:
    names = {size: f"v{number}s{size}" for size in chosen}

    def dim(size: Any) -> Any:
        return symbol(names[size]) if size in names else size

    shapes = tuple(
        None if x is None else tuple(map(dim, x.shape)) if i < operands else x.shape
        for i, x in enumerate(case.operands)
    )
    used = {
        names[size]: size
        for x, shape in zip(case.operands, shapes)
        if x is not None and shape is not None
        for size, d in zip(x.shape, shape)
        if not isinstance(d, int)
    }
    if not used:
        return None
    attributes = dict(case.attributes)
    for name, declared in case.definition.attributes.items():
        if follow and name in attributes and declared.kind is DIMS:
            attributes[name] = tuple(map(dim, attributes[name]))
        elif follow and name in attributes and declared.kind is DIM:
            attributes[name] = dim(attributes[name])
    return DynamicCase(case, shapes, attributes, used, low)
