"""Selection: which kernel family computes each op, and the C it wrote for it.

Ops with equal definitions, attributes and types share one kernel, so that a network of repeated
blocks is emitted once and called often.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from burnish.ir import Block, Function, Layout, Op, Trait, Value
from burnish.ir.errors import TypeInferenceError, UnsupportedError, clip

from .elements import is_supported, storage_type
from .isa import SCALAR, Isa
from .kernels.builder import KernelBuilder, Parameter
from .kernels.family import KernelFamily, Preparation, Storage, families_for
from .kernels.unit import Unit
from .machine import DEFAULT, Machine
from .sizes import STATIC, Sizes
from .threads import is_worth_sharing, scratch_of

CONTROL_FLOW = frozenset({"control.if", "control.loop"})


@dataclass(frozen=True, eq=False)
class Kernel:
    """One C function: its parameters and the text of its body.

    ``in_place`` pairs an operand with a result that may be written over it; ``scratch`` is the
    working memory it needs in bytes; ``origin`` the op it was first written for; ``prepared`` which
    operands, constants, it reads in another form.  It is called once by each of ``threads``, of
    which each has ``scratch_step`` of these bytes.
    """

    family: str
    parameters: tuple[Parameter, ...]
    body: str
    helpers: tuple[str, ...]
    can_fail: bool
    scratch: int
    in_place: tuple[tuple[int, int], ...]
    origin: Op
    threads: int = 1
    prepared: tuple[tuple[int, Preparation], ...] = ()

    @property
    def scratch_step(self) -> int:
        """Bytes of working memory from one thread to the next."""
        return self.scratch // self.threads


@dataclass(frozen=True)
class Choice:
    """How one op is computed: by a kernel of a family, or by regions (control flow)."""

    op: Op
    kernel: Kernel | None
    details: tuple[tuple[str, object], ...] = ()
    regions: tuple[tuple[Choice, ...], ...] = ()


@dataclass(frozen=True)
class Selection:
    """The choice for each op of ``function`` that computes something, in order."""

    function: Function
    choices: tuple[Choice, ...]

    def walk(self) -> Iterator[Choice]:
        """All choices, each before those in its regions."""
        yield from _walk(self.choices)

    @property
    def kernels(self) -> list[Kernel]:
        """The distinct kernels, in order of first use."""
        found = {choice.kernel: None for choice in self.walk() if choice.kernel is not None}
        return list(found)

    def __str__(self) -> str:
        numbers = {kernel: i for i, kernel in enumerate(self.kernels)}
        lines: list[str] = []

        def show(choices: Sequence[Choice], indent: str) -> None:
            for choice in choices:
                types = ", ".join(str(t) for t in choice.op.result_types)
                if choice.kernel is None:
                    lines.append(f"{indent}{choice.op.name} : {types}")
                    for name, region in zip(choice.op.opdef.regions, choice.regions):
                        lines.append(f"{indent}  {name}")
                        show(region, indent + "    ")
                    continue
                kernel = choice.kernel
                details = "".join(f" {name}={value}" for name, value in choice.details)
                extra = f" scratch={kernel.scratch}" if kernel.scratch else ""
                extra += f" threads={kernel.threads}" if kernel.threads > 1 else ""
                lines.append(
                    f"{indent}{describe(choice.op)} -> {kernel.family}#{numbers[kernel]}"
                    f"{details}{extra} : {types}"
                )

        show(self.choices, "")
        return "".join(f"{line}\n" for line in lines)


def _walk(choices: Sequence[Choice]) -> Iterator[Choice]:
    for choice in choices:
        yield choice
        for region in choice.regions:
            yield from _walk(region)


def describe(op: Op) -> str:
    """The op's name; for a group the names of its ops."""
    if op.name != "core.group":
        return op.name
    unit = Unit.of(op)
    names = [*(inner.name for inner in unit.prologue), *([unit.anchor.name] if unit.anchor else [])]
    return " + ".join([*names, *(inner.name for inner in unit.epilogue)])


def is_free(op: Op) -> bool:
    """Whether an op needs no code: constants, views that check nothing, terminators."""
    traits = op.opdef.traits
    return Trait.CHECK not in traits and bool(
        traits & {Trait.CONSTANT, Trait.TERMINATOR} or is_view(op)
    )


def is_view(op: Op) -> bool:
    """Whether the result has the bytes of operand 0 in the same order.

    True of ops with that trait on row-major tensors; also where axes change their order, but not
    in memory, because of layouts or because they have one element.
    """
    if Trait.VIEW in op.opdef.traits:
        return op.inputs[0].type.layout is None and op.result.type.layout is None
    if op.name not in ("tensor.transpose", "tensor.relayout"):
        return False
    x, y = op.inputs[0].type, op.result.type
    axes = op.attributes.permutation if op.name == "tensor.transpose" else None
    return x.storage_order() == y.storage_order(axes)


def select(
    function: Function,
    prefix: str,
    sizes: Sizes = STATIC,
    isa: Isa = SCALAR,
    threads: int = 1,
    machine: Machine = DEFAULT,
) -> Selection:
    """Choose a kernel for each op of ``function``, whose dimensions are over ``sizes``.

    Those that take long on ``machine`` are written for so many ``threads``.

    Raises:
        UnsupportedError: some ops cannot be compiled; it names all of them.
    """
    selector = _Selector(prefix, sizes, isa, threads, machine)
    for number, value in enumerate(function.results):
        if value.type.layout is not None:
            selector.note(f"the output in {value.type.layout}", f"output {number}")
    choices = selector.block(function.body)
    selector.raise_problems()
    return Selection(function, choices)


def refused(function: Function, sizes: Sizes = STATIC, isa: Isa = SCALAR) -> list[Op]:
    """The ops of ``function``, those of regions left out, that cannot be compiled."""
    found = []
    for op in function.body:
        selector = _Selector("model", sizes, isa, 1, DEFAULT)
        for value in op.results:
            selector.check_type(value, op.name, "")
        if not is_free(op):
            selector.choose(op)
        if selector.problems:
            found.append(op)
    return found


class _Selector:
    def __init__(self, prefix: str, sizes: Sizes, isa: Isa, threads: int, machine: Machine) -> None:
        self.prefix = prefix
        self.sizes = sizes
        self.isa = isa
        self.threads = threads
        self.machine = machine
        self.problems: dict[str, list[str]] = {}
        self.known: dict[Hashable, tuple[Kernel, tuple[tuple[str, object], ...]]] = {}
        self.by_text: dict[Hashable, Kernel] = {}

    def block(self, block: Block) -> tuple[Choice, ...]:
        for value in block.args:
            where = f'input "{clip(value.name or "")}"'
            self.check_type(value, "the input", where)
            if value.type.layout is not None:
                self.note(f"the input in {value.type.layout}", where)
        choices = []
        for op in block:
            for value in op.results:
                self.check_type(value, op.name, str(op.location) if op.location else "")
            if not is_free(op):
                choice = self.choose(op)
                if choice is not None:
                    choices.append(choice)
        return tuple(choices)

    def check_type(self, value: Value, what: str, where: str) -> None:
        if not is_supported(value.type.dtype):
            self.note(f"{what} of element type {value.type.dtype}", where)

    def report(self, what: str, op: Op) -> None:
        self.note(what, str(op.location) if op.location else "")

    def note(self, what: str, where: str) -> None:
        self.problems.setdefault(what, []).append(where)

    def raise_problems(self) -> None:
        if self.problems:
            lines = []
            for what, places in self.problems.items():
                listed = [place for place in places if place]
                shown = "; ".join(listed[:10]) + (" …" if len(listed) > 10 else "")
                lines.append(f"{what} ({len(places)}x{': ' if shown else ''}{shown})")
            raise UnsupportedError("the C backend cannot compile " + ", ".join(lines))

    def choose(self, op: Op) -> Choice | None:
        if op.name in CONTROL_FLOW:
            return Choice(op, None, regions=tuple(map(self.block, op.regions)))
        unit = Unit.of(op, self.sizes.ranges, self.isa)
        key = signature(op), tuple(family.facts(unit) for family in families_for(unit))
        if key not in self.known:
            try:
                family = self.family_for(unit)
                if family is None:
                    return None
                details = tuple(family.parameters(unit).items())
                self.known[key] = (self.share(self.write(family, unit)), details)
            except TypeInferenceError:  # the family must know a size that is not static
                self.report(f"{unit.main.name} of {self.open_sizes(op)}", op)
                return None
        kernel, details = self.known[key]
        return Choice(op, kernel, details)

    def open_sizes(self, op: Op) -> str:
        """The dynamic dimensions of an op's types, by their names in the model."""
        shapes = [value.type.shape for value in (*op.inputs, *op.results)]
        needed = {name for shape in shapes for dim in shape for name in self.sizes.needs(dim)}
        names = [clip(m.symbol) for m in self.sizes.members if m.name in needed]
        return "dynamic sizes (" + ", ".join(f'"{name}"' for name in names) + ")"

    def family_for(self, unit: Unit) -> KernelFamily | None:
        reason, layout = "", laid_out(unit)
        for family in families_for(unit):
            if family.storage is Storage.LAID_OUT and layout is None:
                continue  # there is another one for tensors that are stored row by row
            if unit.is_fused and not family.fusable:
                reason = "as part of a fused group"
                continue
            if unit.prologue and not family.computes_operands:
                reason = "of what is computed in its group"
                continue
            if family.storage is Storage.ROW_MAJOR and layout is not None:
                reason = f"in {layout}"
                continue
            reason = family.refusal(unit)
            if not reason:
                return family
        self.report(f"{unit.main.name}{f': {reason}' if reason else ''}", unit.op)
        return None

    def write(self, family: KernelFamily, unit: Unit) -> Kernel:
        if self.threads > 1 and is_worth_sharing(family, unit, self.machine):
            k = self.written(family, unit, self.threads)
            if k.is_shared:
                return self.kernel(family, unit, k)
        return self.kernel(family, unit, self.written(family, unit, 1))

    def written(self, family: KernelFamily, unit: Unit, threads: int) -> KernelBuilder:
        k = KernelBuilder(unit, self.prefix, threads)
        if family.checks_data or any(value.type.elements != 0 for value in unit.results):
            family.emit(k)
        return k

    def kernel(self, family: KernelFamily, unit: Unit, k: KernelBuilder) -> Kernel:
        threads = k.sharing.threads
        return Kernel(
            family.name,
            tuple(k.parameters),
            k.body,
            tuple(sorted(k.helpers)),
            k.can_fail,
            scratch_of(threads, k.scratch_bytes),
            in_place_pairs(unit) if family.fusable else (),
            unit.op,
            threads,
            tuple(sorted(family.preparations(unit).items())),
        )

    def share(self, kernel: Kernel) -> Kernel:
        """The kernel of equal text that is known already, else ``kernel``."""
        return self.by_text.setdefault(
            (
                kernel.family,
                kernel.parameters,
                kernel.body,
                kernel.in_place,
                kernel.threads,
                kernel.prepared,
            ),
            kernel,
        )


def laid_out(unit: Unit) -> Layout | None:
    """The first layout among the types of a unit, if not all are row-major."""
    values = (*unit.op.inputs, *unit.op.results)
    return next((value.type.layout for value in values if value.type.layout), None)


def in_place_pairs(unit: Unit) -> tuple[tuple[int, int], ...]:
    """Operands that a result may overwrite: read only where that result element is stored.

    That holds for what the epilogue reads without broadcasting, if the anchor does not read it
    too; element types must agree, so that C's aliasing rules are kept.
    """
    anchored = {v for op in (unit.anchor, *unit.prologue) if op is not None for v in op.inputs}
    pairs = []
    for value, operand in unit.operands.items():
        if value in anchored or value.type.shape != unit.space.shape:
            continue
        if value.type.layout != unit.space.layout:
            continue
        for result, stored in enumerate(unit.results):
            if storage_type(stored.type.dtype) == storage_type(value.type.dtype):
                pairs.append((operand, result))
    return tuple(pairs)


def signature(op: Op) -> Hashable:
    """What the kernel of an op depends on; equal for ops that may share one."""
    numbers: dict[Value, int] = {}
    operands = tuple(
        None if v is None else (numbers.setdefault(v, len(numbers)), v.type, v.constant is not None)
        for v in op.operands
    )
    regions = tuple(_region_signature(region) for region in op.regions)
    return (op.name, op.attributes.key, operands, tuple(op.result_types), regions)


def _region_signature(block: Block) -> Hashable:
    numbers = {arg: i for i, arg in enumerate(block.args)}
    ops: list[Hashable] = []
    for op in block:
        operands = tuple(None if v is None else numbers[v] for v in op.operands)
        ops.append((op.name, op.attributes.key, operands, tuple(op.result_types)))
        for result in op.results:
            numbers[result] = len(numbers)
    return tuple(ops)
