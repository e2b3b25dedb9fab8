"""The graph IR: values, ops, blocks, functions, modules.

SSA and functional: a :class:`Module` holds functions; a :class:`Function` is a
:class:`Block`; a block has arguments and a list of :class:`Op` s in topological order, the
last of which is its terminator; an op has operands and results (:class:`Value`),
attributes and nested blocks (its regions).  **Regions are isolated**: a nested block sees
its own arguments and ops only, so an op's operand list is its complete interface and
liveness, scheduling and fusion never look inside.

Only :class:`~burnish.ir.builder.Builder` and :class:`~burnish.ir.rewriter.Rewriter` change
the structure; the methods with a leading underscore are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .attributes import Attributes
from .constants import Constant
from .dims import Interval
from .errors import InternalError
from .locations import UNKNOWN, Location
from .opdef import OpDef, Trait
from .types import TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """One place where a value is consumed: operand ``index`` of ``op``."""

    op: Op
    index: int


class Value:
    """A tensor in SSA form: a result of an op, or an argument of a block.

    Compared by identity.  ``type`` never changes after creation.  ``name`` is a hint for
    readers (IR text, names in emitted code); it may hold any characters and need not be unique.
    """

    __slots__ = ("_uses", "index", "name", "owner", "type")

    def __init__(self, type: TensorType, owner: Op | Block, index: int, name: str | None) -> None:
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name
        self._uses: dict[tuple[Op, int], Use] = {}

    @property
    def op(self) -> Op | None:
        """The op that produces the value; None for a block argument."""
        return self.owner if isinstance(self.owner, Op) else None

    @property
    def block(self) -> Block:
        """The block in which the value is defined."""
        if isinstance(self.owner, Block):
            return self.owner
        if self.owner.parent is None:
            raise InternalError(f"{self.owner.name} has been erased")
        return self.owner.parent

    @property
    def uses(self) -> Sequence[Use]:
        """Where the value is consumed, in the order the uses were made."""
        return list(self._uses.values())

    @property
    def users(self) -> list[Op]:
        """The distinct ops that consume the value."""
        return list(dict.fromkeys(op for op, _ in self._uses))

    @property
    def use_count(self) -> int:
        return len(self._uses)

    @property
    def has_one_use(self) -> bool:
        return len(self._uses) == 1

    @property
    def constant(self) -> Constant | None:
        """The data, when the producer is a constant."""
        op = self.op
        if op is None or Trait.CONSTANT not in op.opdef.traits:
            return None
        value = op.attributes["value"]
        assert isinstance(value, Constant)
        return value

    def __repr__(self) -> str:
        return f"%{self.name or '?'}: {self.type}"


class Op:
    """One operation.  Operands may be None where the definition makes them optional."""

    __slots__ = (
        "_operands",
        "_order",
        "attributes",
        "location",
        "next",
        "opdef",
        "parent",
        "prev",
        "regions",
        "results",
    )

    def __init__(
        self,
        opdef: OpDef,
        operands: Sequence[Value | None],
        attributes: Attributes,
        result_types: Sequence[TensorType],
        regions: Sequence[Block] = (),
        location: Location = UNKNOWN,
        names: Sequence[str | None] = (),
    ) -> None:
        self.opdef = opdef
        self.attributes = attributes
        self.location = location
        self.parent: Block | None = None
        self.prev: Op | None = None
        self.next: Op | None = None
        self._order = 0
        self._operands: list[Value | None] = list(operands)
        self.results = tuple(
            Value(type_, self, i, names[i] if i < len(names) else None)
            for i, type_ in enumerate(result_types)
        )
        self.regions = tuple(regions)
        for region in self.regions:
            region.parent_op = self
        for index, value in enumerate(self._operands):
            if value is not None:
                value._uses[(self, index)] = Use(self, index)

    @property
    def name(self) -> str:
        """Name of the op's definition, such as ``nn.conv``."""
        return self.opdef.name

    @property
    def operands(self) -> tuple[Value | None, ...]:
        return tuple(self._operands)

    @property
    def inputs(self) -> list[Value]:
        """Operands that are present, repetitions included."""
        return [value for value in self._operands if value is not None]

    @property
    def operand_types(self) -> list[TensorType | None]:
        return [None if value is None else value.type for value in self._operands]

    @property
    def result_types(self) -> list[TensorType]:
        return [value.type for value in self.results]

    @property
    def result(self) -> Value:
        """The only result.

        Raises:
            InternalError: the op does not have exactly one.
        """
        if len(self.results) != 1:
            raise InternalError(f"{self.name} has {len(self.results)} results, not one")
        return self.results[0]

    def operand(self, name: str) -> Value | None:
        """The operand declared under ``name`` (not for variadic ones)."""
        index = list(self.opdef.operands).index(name)
        return self._operands[index] if index < len(self._operands) else None

    @property
    def is_pointwise(self) -> bool:
        """Whether element i of the results depends on elements i of the operands only."""
        return self.opdef.is_pointwise(self.attributes, self.operand_types)

    @property
    def is_terminator(self) -> bool:
        return Trait.TERMINATOR in self.opdef.traits

    def is_before(self, other: Op) -> bool:
        """Whether this op comes before ``other`` in the block that holds both."""
        if self.parent is None or self.parent is not other.parent:
            raise InternalError("order is defined for ops of one block only")
        self.parent._number()
        return self._order < other._order

    def _set_operand(self, index: int, value: Value | None) -> None:
        old = self._operands[index]
        if old is not None:
            del old._uses[(self, index)]
        self._operands[index] = value
        if value is not None:
            value._uses[(self, index)] = Use(self, index)

    def _drop_operands(self) -> None:
        for index in range(len(self._operands)):
            self._set_operand(index, None)

    def walk(self) -> Iterator[Op]:
        """This op, then all ops nested in its regions."""
        yield self
        for region in self.regions:
            yield from region.walk()

    def __repr__(self) -> str:
        return f"<{self.name} at {self.location}>"


class Block:
    """Arguments and a doubly linked list of ops; the last op is the terminator."""

    __slots__ = ("_count", "_numbered", "args", "first", "function", "last", "parent_op")

    def __init__(
        self, arg_types: Sequence[TensorType] = (), names: Sequence[str | None] = ()
    ) -> None:
        self.args: tuple[Value, ...] = tuple(
            Value(type_, self, i, names[i] if i < len(names) else None)
            for i, type_ in enumerate(arg_types)
        )
        self.first: Op | None = None
        self.last: Op | None = None
        self.parent_op: Op | None = None
        self.function: Function | None = None
        self._count = 0
        self._numbered = True

    def __iter__(self) -> Iterator[Op]:
        """The ops in order; ops erased meanwhile are skipped, ops inserted right after too."""
        op = self.first
        while op is not None:
            following = op.next
            yield op
            while following is not None and following.parent is not self:
                following = following.next
            op = following

    def __reversed__(self) -> Iterator[Op]:
        op = self.last
        while op is not None:
            preceding = op.prev
            yield op
            op = preceding

    def __len__(self) -> int:
        return self._count

    @property
    def terminator(self) -> Op:
        """The last op.

        Raises:
            InternalError: the block has none (it is still being built).
        """
        if self.last is None or not self.last.is_terminator:
            raise InternalError("the block has no terminator")
        return self.last

    @property
    def results(self) -> tuple[Value, ...]:
        """The values the terminator hands out."""
        return tuple(self.terminator.inputs)

    def walk(self) -> Iterator[Op]:
        """All ops, each before the ops nested in it."""
        for op in self:
            yield from op.walk()

    def _insert(self, op: Op, before: Op | None) -> None:
        after = self.last if before is None else before.prev
        op.parent, op.prev, op.next = self, after, before
        if after is None:
            self.first = op
        else:
            after.next = op
        if before is None:
            self.last = op
            op._order = 0 if after is None else after._order + 1
        else:
            before.prev = op
            self._numbered = False
        self._count += 1

    def _unlink(self, op: Op) -> None:
        if op.prev is None:
            self.first = op.next
        else:
            op.prev.next = op.next
        if op.next is None:
            self.last = op.prev
        else:
            op.next.prev = op.prev
        op.parent = op.prev = None
        self._count -= 1

    def _number(self) -> None:
        if not self._numbered:
            for index, op in enumerate(self):
                op._order = index
            self._numbered = True


class Function:
    """A named block with a signature; its terminator is ``core.return``."""

    def __init__(self, name: str, body: Block, result_names: Sequence[str] = ()) -> None:
        self.name = name
        self.body = body
        self.result_names = tuple(result_names)
        self.module: Module | None = None
        body.function = self
        for index, arg in enumerate(body.args):
            if arg.name is None:
                arg.name = f"arg{index}"

    @property
    def args(self) -> tuple[Value, ...]:
        return self.body.args

    @property
    def arg_names(self) -> tuple[str, ...]:
        """Input names, exact; an argument made without one is ``arg<index>``."""
        return tuple(arg.name or "" for arg in self.args)

    @property
    def results(self) -> tuple[Value, ...]:
        return self.body.results

    def walk(self) -> Iterator[Op]:
        return self.body.walk()


class Module:
    """Functions and what is known of symbolic dimensions; ``main`` is the entry point.

    ``symbols`` gives the inclusive range of each symbol that has one.
    ``metadata`` is free text kept through all passes (producer, description …).
    """

    __hash__ = None  # type: ignore[assignment]  # equality is structural, modules are mutable

    def __init__(
        self,
        name: str = "model",
        functions: Sequence[Function] = (),
        symbols: Mapping[str, Interval] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.functions: dict[str, Function] = {}
        self.symbols: dict[str, Interval] = dict(symbols or {})
        self.metadata: dict[str, str] = dict(metadata or {})
        for function in functions:
            self.add(function)

    def add(self, function: Function) -> Function:
        """Add a function under its name.

        Raises:
            InternalError: the name is taken.
        """
        if function.name in self.functions:
            raise InternalError(f"function @{function.name} is defined twice")
        self.functions[function.name] = function
        function.module = self
        return function

    @property
    def main(self) -> Function:
        return self.functions["main"]

    def walk(self) -> Iterator[Op]:
        """All ops of all functions, each before the ops nested in it."""
        for function in self.functions.values():
            yield from function.walk()

    def constants(self) -> list[Constant]:
        """The constant pool: the distinct handles that ops refer to, in order of appearance."""
        pool: dict[int, Constant] = {}
        for op in self.walk():
            if Trait.CONSTANT in op.opdef.traits:
                value = op.attributes["value"]
                assert isinstance(value, Constant)
                pool[id(value)] = value
        return list(pool.values())

    def copy(self) -> Module:
        """A structural copy; constant data is shared."""
        from .clone import clone_module

        return clone_module(self)

    def __eq__(self, other: object) -> bool:
        """Structural equality: everything but the name hints of inner values."""
        from .compare import modules_equal

        return isinstance(other, Module) and modules_equal(self, other)

    def __str__(self) -> str:
        from .text.printer import to_text

        return to_text(self)
