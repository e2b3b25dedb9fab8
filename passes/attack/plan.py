"""An instance before it is built: values with types, and ops on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from burnish.ir import Array, Attributes, Module, Op, OpDef, TensorType, Value, build_function
from burnish.ir.dims import symbols_of

from .drawing import SYMBOL_RANGE
from .operands import UnfitError


@dataclass(eq=False)
class PlannedValue:
    """A value to be built: an argument, a constant (with ``data``), or a result of ``maker``."""

    type: TensorType
    name: str = ""
    data: Array | None = None
    maker: PlannedOp | None = None
    index: int = 0


@dataclass(eq=False)
class PlannedOp:
    """An op to be built; ``once`` says that its result must not be used elsewhere."""

    definition: OpDef
    operands: Sequence[PlannedValue | None]
    attributes: Attributes
    name: str
    once: bool = False
    results: Sequence[PlannedValue] = ()


@dataclass
class Plan:
    """Everything an instance consists of.

    Attributes:
        root: the op that the pattern starts at.
        also: values that the function hands out besides the results of the root.
    """

    root: PlannedOp
    also: list[PlannedValue] = field(default_factory=list)

    def build(self) -> Module:
        """The instance as a module whose ``main`` takes all arguments and gives all results.

        Raises:
            UnfitError: a symbol is used that no argument defines.
        """
        return _Builder(self).module()


class _Builder:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._order: list[PlannedOp] = []
        self._leaves: list[PlannedValue] = []
        self._seen: set[int] = set()
        for value in (*plan.root.results, *plan.also):
            self._visit(value)

    def _visit(self, value: PlannedValue) -> None:
        key = id(value.maker or value)
        if key in self._seen:
            return
        self._seen.add(key)
        if value.maker is None:
            self._leaves.append(value)
            return
        for operand in value.maker.operands:
            if operand is not None:
                self._visit(operand)
        self._order.append(value.maker)

    def module(self) -> Module:
        arguments = {
            f"{value.name or 'x'}{index}": value
            for index, value in enumerate(v for v in self._leaves if v.data is None)
        }
        results = [*self._plan.root.results, *self._plan.also]
        names = [f"y{index}" for index in range(len(results))]
        symbols = {s: SYMBOL_RANGE for v in arguments.values() for s in _symbols(v.type)}
        if not all(_symbols(v.type) <= symbols.keys() for op in self._order for v in op.results):
            raise UnfitError("the size of a symbol cannot be told from the arguments")
        module = Module("instance", symbols=symbols)
        types = {name: value.type for name, value in arguments.items()}
        function, builder = build_function(module, "main", types, names)
        built: dict[PlannedValue, Value] = dict(zip(arguments.values(), function.args))
        for leaf in self._leaves:
            if leaf.data is not None:
                encoding = leaf.type.encoding
                built[leaf] = builder.constant(leaf.data, leaf.name or None, encoding=encoding)
        for planned in self._order:
            operands = [None if v is None else built[v] for v in planned.operands]
            op: Op = builder.create(
                planned.definition.name,
                operands,
                planned.attributes,
                names=[planned.name or None] * len(planned.results),
            )
            built.update(zip(planned.results, op.results))
        builder.ret(*(built[value] for value in results))
        return module


def _symbols(type_: TensorType) -> set[str]:
    return {symbol for dim in type_.shape for symbol in symbols_of(dim)}
