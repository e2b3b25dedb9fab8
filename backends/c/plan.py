"""Planning: where each value lies, and the steps that compute them.

Values live in the caller's inputs and outputs, in the weights, or in the arena.  A producer of
an output writes it there directly; views share their operand's memory; an elementwise kernel may
overwrite an operand that nobody reads later.  The branches of a conditional share memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from burnish.ir import Block, Constant, Dim, Function, Op, Trait, Value
from burnish.ir.errors import InternalError

from .arena import Lifetime, lower_bound, place
from .kernels.family import Preparation
from .select import Choice, Selection, is_view
from .sizes import STATIC, Sizes

INPUT, OUTPUT, WEIGHT, ARENA = "input", "output", "weight", "arena"


@dataclass(eq=False, slots=True)
class Storage:
    """A piece of memory that holds one value after another.

    ``kind`` says where; ``bytes`` how much is set aside, and ``length`` how many of these hold
    the value (less where sizes are known at run time only); ``index`` which input or output;
    ``first`` and ``last`` the steps between which it holds data; ``offset`` its place in the
    arena once planned.
    """

    kind: str
    bytes: int
    length: Dim
    name: str
    index: int = 0
    constant: Constant | None = None
    first: int = 0
    last: int = 0
    offset: int = 0
    merged: Storage | None = None
    also: list[str] = field(default_factory=list)

    @property
    def root(self) -> Storage:
        """The storage this one was merged into, or itself."""
        storage = self
        while storage.merged is not None:
            storage = storage.merged
        if self is not storage:
            self.merged = storage
        return storage


@dataclass(frozen=True, eq=False, slots=True)
class CallStep:
    """Call the choice's kernel; one storage per operand (None: absent) and per result."""

    number: int
    choice: Choice
    operands: tuple[Storage | None, ...]
    results: tuple[Storage, ...]
    scratch: Storage | None

    @property
    def reads(self) -> list[Storage]:
        return [storage for storage in self.operands if storage is not None]

    @property
    def inner(self) -> tuple[Step, ...]:
        return ()


@dataclass(frozen=True, eq=False, slots=True)
class CopyStep:
    """Copy bytes: where a value already lies somewhere it cannot move away from."""

    number: int
    source: Storage
    to: Storage

    @property
    def reads(self) -> list[Storage]:
        return [self.source]

    @property
    def inner(self) -> tuple[Step, ...]:
        return ()


@dataclass(frozen=True, eq=False, slots=True)
class BranchStep:
    """Run the first region when the condition holds, else the second."""

    op: Op
    condition: Storage
    regions: tuple[tuple[Step, ...], ...]

    @property
    def reads(self) -> list[Storage]:
        return [self.condition]

    @property
    def inner(self) -> tuple[Step, ...]:
        return tuple(step for region in self.regions for step in region)


@dataclass(frozen=True, eq=False, slots=True)
class LoopStep:
    """Run ``before`` once, then ``body`` as often as trip count and condition allow.

    ``iteration`` and ``condition`` are the memory of the body's first two arguments; ``start``
    the initial condition (None: true); ``scans`` pairs a value of the body with the result that
    collects it.  ``iterations`` is how often the loop must run when there are scans.
    """

    op: Op
    trip_count: Storage | None
    start: Storage | None
    iteration: Storage
    condition: Storage
    before: tuple[Step, ...]
    body: tuple[Step, ...]
    scans: tuple[tuple[Storage, Storage], ...]
    after: tuple[Step, ...]
    iterations: Dim

    @property
    def reads(self) -> list[Storage]:
        optional = [self.trip_count, self.start, *(source for source, _ in self.scans)]
        return [storage for storage in optional if storage is not None]

    @property
    def inner(self) -> tuple[Step, ...]:
        return (*self.before, *self.body, *self.after)


Step = CallStep | CopyStep | BranchStep | LoopStep


@dataclass(frozen=True)
class Plan:
    """Steps in order, and where everything lies.

    ``arena_bytes`` is the size of the arena; ``bound`` the largest number of bytes live at one
    step, below which no placement can go.
    """

    steps: tuple[Step, ...]
    buffers: tuple[Storage, ...]
    arena_bytes: int
    bound: int
    alignment: int

    def walk(self) -> Iterator[Step]:
        """All steps, each before those in its regions."""
        yield from _walk(self.steps)

    def live_at(self, step: int) -> list[Storage]:
        """The buffers that hold data during a step."""
        return [buffer for buffer in self.buffers if buffer.first <= step <= buffer.last]

    def __str__(self) -> str:
        lines = [
            f"arena {self.arena_bytes} bytes (lower bound {self.bound}), "
            f"aligned to {self.alignment}"
        ]
        for buffer in self.buffers:
            also = f" = {' = '.join(buffer.also)}" if buffer.also else ""
            lines.append(
                f"  [{buffer.offset}, {buffer.offset + buffer.bytes}) "
                f"steps {buffer.first}..{buffer.last}  {buffer.name}{also}"
            )
        _show(self.steps, lines, "")
        return "".join(f"{line}\n" for line in lines)


def _show(steps: Sequence[Step], lines: list[str], indent: str) -> None:
    for step in steps:
        if isinstance(step, CallStep):
            kernel = step.choice.kernel
            assert kernel is not None
            reads = ", ".join(place_of(s) for s in step.operands if s is not None)
            writes = ", ".join(map(place_of, step.results))
            extra = f" scratch {place_of(step.scratch)}" if step.scratch else ""
            lines.append(
                f"{indent}{step.number}: {kernel.family} {step.choice.op.name} "
                f"({reads}) -> ({writes}){extra}"
            )
        elif isinstance(step, CopyStep):
            lines.append(
                f"{indent}{step.number}: copy {place_of(step.source)} -> {place_of(step.to)}"
            )
        elif isinstance(step, BranchStep):
            lines.append(f"{indent}if {place_of(step.condition)}")
            for name, region in zip(("then", "else"), step.regions):
                lines.append(f"{indent}{name}")
                _show(region, lines, indent + "  ")
        else:
            _show_loop(step, lines, indent)


def _show_loop(step: LoopStep, lines: list[str], indent: str) -> None:
    _show(step.before, lines, indent)
    limit = f" at most {place_of(step.trip_count)} times" if step.trip_count else ""
    start = f" if {place_of(step.start)}" if step.start else ""
    lines.append(
        f"{indent}loop{start}{limit}, iteration {place_of(step.iteration)}, "
        f"while {place_of(step.condition)}"
    )
    _show(step.body, lines, indent + "  ")
    for source, target in step.scans:
        lines.append(f"{indent}  append {place_of(source)} -> {place_of(target)}")
    _show(step.after, lines, indent + "  ")


def place_of(storage: Storage) -> str:
    """A storage in printed plans."""
    root = storage.root
    if root.kind == ARENA:
        return f"@{root.offset}"
    return f"{root.kind} {root.name}" if root.kind == WEIGHT else f"{root.kind}[{root.index}]"


def _walk(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _walk(step.inner)


def plan(selection: Selection, alignment: int, sizes: Sizes = STATIC) -> Plan:
    """Place every value of the function for the kernels of ``selection``.

    Values whose size is known at run time only get room for the largest.
    """
    function = selection.function
    planner = _Planner({choice.op: choice for choice in selection.walk()}, sizes)
    for i, arg in enumerate(function.args):
        planner.storage[arg] = planner.memory(INPUT, arg, arg.name or f"arg{i}", i)
    steps = planner.block(function.body)
    steps += planner.outputs(function)
    planner.share_in_place(steps)
    buffers = planner.buffers()
    lives = [Lifetime(_align(b.bytes, alignment), b.first, b.last) for b in buffers]
    for buffer, offset in zip(buffers, place(lives)):
        buffer.offset = offset
    height = max((b.offset + s.size for b, s in zip(buffers, lives)), default=0)
    buffers.sort(key=lambda b: (b.first, b.offset, b.last))
    return Plan(tuple(steps), tuple(buffers), height, lower_bound(lives), alignment)


def verify_plan(plan: Plan) -> None:
    """Check that no two buffers that hold data at one step overlap, and that all are in place.

    Raises:
        InternalError: they do.
    """
    active: list[Storage] = []
    for buffer in plan.buffers:  # sorted by first step
        active = [other for other in active if other.last >= buffer.first]
        for other in active:
            if (
                buffer.offset < other.offset + other.bytes
                and other.offset < buffer.offset + buffer.bytes
            ):
                raise InternalError(f"buffers {buffer.name} and {other.name} overlap")
        if buffer.offset % plan.alignment or buffer.offset + buffer.bytes > plan.arena_bytes:
            raise InternalError(f"buffer {buffer.name} is misplaced")
        active.append(buffer)


def _padded(op: Op) -> list[Value | None]:
    """The operands, with None for trailing optional ones that are not written."""
    return [*op.operands, *[None] * (2 - len(op.operands))]


def _align(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _merge(one: Storage, into: Storage) -> None:
    """Let ``one`` live in the memory of ``into``."""
    one, into = one.root, into.root
    if one is into:
        return
    one.merged = into
    into.first, into.last = min(one.first, into.first), max(one.last, into.last)
    into.also += [one.name, *one.also]
    one.also = []


class _Planner:
    def __init__(self, choices: dict[Op, Choice], sizes: Sizes) -> None:
        self.choices = choices
        self.sizes = sizes
        self.storage: dict[Value, Storage] = {}
        self.arena: list[Storage] = []
        self.forms: dict[tuple[tuple[Value | None, ...], Preparation], Storage] = {}
        self.step = 0
        self.unnamed = 0

    def memory(self, kind: str, value: Value, name: str, index: int = 0) -> Storage:
        """Memory for ``value``."""
        room = self.sizes.most_elements(value.type.storage_shape) * value.type.dtype.bytes
        return Storage(kind, room, value.type.bytes, name, index, first=self.step, last=self.step)

    def of(self, value: Value) -> Storage:
        return self.storage[value].root

    def new(self, value: Value) -> Storage:
        name = value.name
        if name is None:
            name = f"#{self.unnamed}"
            self.unnamed += 1
        storage = self.memory(ARENA, value, name)
        self.storage[value] = storage
        self.arena.append(storage)
        return storage

    def use(self, value: Value) -> Storage:
        storage = self.of(value)
        storage.last = max(storage.last, self.step)
        return storage

    def block(self, block: Block) -> list[Step]:
        steps: list[Step] = []
        for op in block:
            if op.is_terminator:
                break
            if (constant := op.results[0].constant if op.results else None) is not None:
                value = op.results[0]
                storage = self.memory(WEIGHT, value, value.name or "constant")
                layout = value.type.layout
                storage.constant = Constant(layout.store(constant.array)) if layout else constant
                self.storage[value] = storage
            elif is_view(op):
                self.storage[op.results[0]] = self.of(op.inputs[0])
                if Trait.CHECK in op.opdef.traits:
                    steps += self.call(op)
            elif op.name == "control.if":
                steps.append(self.branch(op))
            elif op.name == "control.loop":
                steps.append(self.loop(op))
            else:
                steps += self.call(op)
        return steps

    def call(self, op: Op) -> list[Step]:
        choice = self.choices[op]
        assert choice.kernel is not None
        prepared = dict(choice.kernel.prepared)
        operands = tuple(
            None
            if v is None
            else self.prepared(op, position, prepared[position])
            if position in prepared
            else self.use(v)
            for position, v in enumerate(op.operands)
        )
        results = tuple(self.use(v) if is_view(op) else self.new(v) for v in op.results)
        scratch = None
        if choice.kernel.scratch:
            scratch = Storage(
                ARENA,
                choice.kernel.scratch,
                choice.kernel.scratch,
                f"scratch of step {self.step}",
                first=self.step,
                last=self.step,
            )
            self.arena.append(scratch)
        step = CallStep(self.step, choice, operands, results, scratch)
        self.step += 1
        # A kernel whose loops all vanished (empty tensors) has nothing to do.
        return [step] if choice.kernel.body.strip() else []

    def prepared(self, op: Op, position: int, preparation: Preparation) -> Storage:
        """The memory of an operand, a constant, in another form."""
        values = tuple(op.operands[number] for number in (position, *preparation.beside))
        key = (values, preparation)
        if key not in self.forms:
            value = values[0]
            assert value is not None
            storage = self.memory(WEIGHT, value, value.name or "constant")
            constants = [v.constant for v in values if v is not None and v.constant is not None]
            storage.constant = preparation(*constants)
            storage.bytes = storage.length = storage.constant.nbytes
            self.forms[key] = storage
        return self.forms[key]

    def branch(self, op: Op) -> BranchStep:
        condition = self.use(op.inputs[0])
        results = [self.new(v) for v in op.results]
        regions = []
        self.step += 1
        for region in op.regions:
            for arg, value in zip(region.args, op.inputs[1:]):
                self.storage[arg] = self.of(value)
            begin = self.step
            steps = self.block(region)
            for value, result in zip(region.results, results):
                source = self.of(value)
                made_here = source.kind == ARENA and source.first >= begin
                if made_here and not any(source is other.root for other in results):
                    _merge(source, result)  # the producer writes the result directly
                    continue
                source.last = max(source.last, self.step)
                steps.append(CopyStep(self.step, source, result))
                self.step += 1
            for result in results:
                result.root.last = max(result.root.last, self.step)
            regions.append(tuple(steps))
            self.step += 1
        for value in op.inputs:  # the regions read them until the very end
            self.use(value)
        return BranchStep(op, condition, tuple(regions))

    def loop(self, op: Op) -> LoopStep:
        """Carried values live in the results' memory; what the body yields is copied there."""
        (body,) = op.regions
        carried: int = op.attributes.carried
        trip_count, start = (self.use(v) if v is not None else None for v in _padded(op)[:2])
        values = [v for v in op.operands[2:] if v is not None]
        results = [self.new(v) for v in op.results]
        before = [
            self.copy(self.use(value), result) for value, result in zip(values[:carried], results)
        ]
        iteration, condition = self.new(body.args[0]), self.new(body.args[1])
        for arg, result in zip(body.args[2:], results[:carried]):
            self.storage[arg] = result
        for arg, value in zip(body.args[2 + carried :], values[carried:]):
            self.storage[arg] = self.of(value)
        self.step += 1
        steps = self.block(body)
        yielded = [self.use(v) for v in body.results]
        scans = tuple(zip(yielded[1 + carried :], results[carried:]))
        after = self.carry(yielded[: 1 + carried], [condition, *results[:carried]])
        for storage in (*yielded, iteration, condition, *results):
            storage.root.last = max(storage.root.last, self.step)
        for value in op.inputs:  # the body reads them in every iteration
            self.use(value)
        self.step += 1
        iterations = op.attributes.iterations if scans else -1
        return LoopStep(
            op,
            trip_count,
            start,
            iteration,
            condition,
            tuple(before),
            tuple(steps),
            scans,
            tuple(after),
            iterations,
        )

    def carry(self, sources: Sequence[Storage], targets: Sequence[Storage]) -> list[Step]:
        """Copy the body's results to where the next iteration reads them, all at once."""
        parked: list[Step] = []
        copies: list[Step] = []
        roots = [target.root for target in targets]
        for source, target in zip(sources, roots):
            if source.root is target:
                continue
            if all(source.root is not other for other in roots):
                copies.append(CopyStep(self.step, source, target))
                continue
            # Another copy may overwrite it first (carried values that swap places).
            aside = Storage(
                ARENA,
                source.bytes,
                source.length,
                f"parked {source.name}",
                first=self.step,
                last=self.step,
            )
            self.arena.append(aside)
            parked.append(CopyStep(self.step, source, aside))
            copies.append(CopyStep(self.step, aside, target))
        return parked + copies

    def copy(self, source: Storage, to: Storage) -> CopyStep:
        step = CopyStep(self.step, source, to)
        self.step += 1
        return step

    def outputs(self, function: Function) -> list[Step]:
        """Turn the memory of results into the caller's outputs, or copy what cannot be."""
        copies: list[Step] = []
        for i, value in enumerate(function.results):
            storage = self.of(value)
            if storage.kind == ARENA:
                storage.kind, storage.index = OUTPUT, i
                storage.last = max(storage.last, self.step)
                continue
            output = self.memory(OUTPUT, value, f"output {i}", i)
            storage.last = max(storage.last, self.step)
            copies.append(CopyStep(self.step, storage, output))
            self.step += 1
        return copies

    def share_in_place(self, steps: Sequence[Step]) -> None:
        """Let results overwrite operands that die, where kernels allow it."""
        for step in _walk(steps):
            if not isinstance(step, CallStep):
                continue
            kernel = step.choice.kernel
            assert kernel is not None
            roots = [None if s is None else s.root for s in step.operands]
            free = {id(s.root): s for s in step.results if s.root.first == step.number}
            for operand, result in kernel.in_place:
                source, target = roots[operand], step.results[result]
                if (
                    source is not None
                    and source.kind == ARENA
                    and source.last == step.number
                    and source.bytes == target.bytes
                    and sum(root is source for root in roots) == 1
                    and free.pop(id(target), None) is not None
                ):
                    _merge_in_place(source, target)
                    roots[operand] = None

    def buffers(self) -> list[Storage]:
        """The distinct buffers of the arena."""
        return [s for s in self.arena if s.merged is None and s.kind == ARENA and s.bytes]


def _merge_in_place(source: Storage, target: Storage) -> None:
    root = target.root
    root.also.append(source.name)
    names, source.also = source.also, []
    root.also += names
    source.merged = root
    root.first, root.last = min(root.first, source.first), max(root.last, source.last)
