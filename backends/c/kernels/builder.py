"""The builder that kernel families write C functions with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from burnish.ir import Attributes, Constant, DType, Op, Value, scalar
from burnish.ir.dims import Dim, symbols_of
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import InternalError

from .. import scalar as c_scalar
from ..code import ADDITIVE, PRIMARY, CodeWriter, Expr, Index, cast, index
from ..elements import literal, storage_type, value_type
from ..sizes import PREFIX
from .buffer import Buffer
from .sharing import Sharing, best_loop
from .unit import Unit, making

ERROR_INDEX = "ERROR_INDEX"
"""What a model's run function returns when an index is out of range."""

ERROR_SHAPE = "ERROR_SHAPE"
"""What it returns when data does not have the shape or the count that the model declares."""

ERROR_SIZE = "ERROR_SIZE"
"""What it returns when a size known at run time only lies outside its bounds."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kernel: a pointer, or a size known at run time only.

    ``kind`` says what ``index`` counts: operands, results, or bytes into the scratch memory.  For
    sizes that are handed over (``size``) or found by the kernel (``found``) it counts nothing,
    and ``size`` is the size's name.
    """

    kind: str
    index: int
    name: str
    c_type: str
    size: str = ""


class KernelBuilder:
    """Writes one kernel: structured code in, the text of a C function's body out.

    ``op`` is the op to implement (a group's anchor), ``attributes`` its attributes,
    ``operands`` its operands as buffers (None where absent), ``results`` its results;
    ``sharing`` says how its loops are shared among threads.
    """

    def __init__(self, unit: Unit, prefix: str, threads: int = 1) -> None:
        self.unit = unit
        self.prefix = prefix
        self.isa = unit.isa
        self.op: Op = unit.main
        self.attributes: Attributes = self.op.attributes
        self._parameters: list[Parameter] = []
        self._found: dict[str, Parameter] = {}
        self.helpers: dict[str, None] = {}
        self.can_fail = False
        self.scratch_bytes = 0
        self._writer = CodeWriter()
        self.sharing = Sharing(self._writer, threads)
        self._tables: dict[str, str] = {}
        self._table_names: dict[tuple[str, str], str] = {}
        self._buffers: dict[Value, Buffer] = {}
        for value, position in unit.operands.items():
            self._buffers[value] = self._parameter("operand", position, value)
        self._outputs = {
            value: self._parameter("result", position, value)
            for position, value in enumerate(unit.results)
        }
        self.space: tuple[Dim, ...] = unit.space.shape
        """Shape of the results; what :meth:`store` is indexed by."""
        self._operands = tuple(
            None if value is None else self._operand_buffer(value) for value in self.op.operands
        )

    def _parameter(self, kind: str, position: int, value: Value) -> Buffer:
        count = len(self.unit.operands) if kind == "operand" else len(self.unit.results)
        letter = "x" if kind == "operand" else "y"
        if kind == "operand" and not self.unit.is_fused and not self.unit.epilogue:
            letter = _operand_name(self.unit.op, position)
            name = self._writer.name(letter)
        else:
            name = self._writer.name(letter if count == 1 else f"{letter}{position}")
        self._parameters.append(Parameter(kind, position, name, storage_type(value.type.dtype)))
        return Buffer(name, value.type.shape, value.type.dtype, value.type.layout)

    def _operand_buffer(self, value: Value) -> Buffer | None:
        if value in self._buffers:
            return self._buffers[value]
        constant = self.unit.literals.get(value)
        if constant is not None:
            elements = [literal(v, constant.dtype) for v in _plain(constant)]
            return Buffer(self.table("c", constant.dtype, elements), constant.shape, constant.dtype)
        if any(value in op.results for op in self.unit.prologue):
            return Buffer("", value.type.shape, value.type.dtype, source=value)
        return None  # an epilogue op reads a value computed in the group: never loaded

    # What is to be computed --------------------------------------------------------------

    @property
    def operands(self) -> tuple[Buffer | None, ...]:
        """Operands of the op; optional absent ones are None (trailing ones may be missing)."""
        return self._operands

    def operand(self, name: str) -> Buffer:
        """The operand declared under ``name``, which must be present."""
        found = self.optional(name)
        if found is None:
            raise InternalError(f"{self.op.name} has no operand {name}")
        return found

    def optional(self, name: str) -> Buffer | None:
        """The operand declared under ``name``, or None when it is absent."""
        position = list(self.op.opdef.operands).index(name)
        return self._operands[position] if position < len(self._operands) else None

    @property
    def results(self) -> tuple[Buffer, ...]:
        """Results of the op, before any epilogue (in a fused group they have no memory)."""
        return tuple(
            self._outputs.get(
                value, Buffer("", value.type.shape, value.type.dtype, value.type.layout)
            )
            for value in self.op.results
        )

    @property
    def result(self) -> Buffer:
        """The only result of the op."""
        (result,) = self.results
        return result

    # Structure ---------------------------------------------------------------------------

    def loop(
        self, name: str, end: Index, *, start: Index = 0, step: int = 1, parallel: bool = False
    ) -> AbstractContextManager[Expr]:
        """``for name in start .. end``; see :meth:`.CodeWriter.loop`.

        Iterations of a ``parallel`` loop may run at the same time: they write different results.
        """
        if parallel:
            return self.sharing.loop(name, end, start, step)
        return self._writer.loop(name, end, start=start, step=step)

    @contextmanager
    def loops(
        self, names: str, shape: Sequence[Index], *, parallel: bool = False
    ) -> Iterator[tuple[Expr, ...]]:
        """Nested loops over ``shape``, named ``"n c h w"`` or, by one prefix, ``i0 i1 …``.

        If they are ``parallel``, one of them is shared among threads.
        """
        given = names.split()
        if len(given) != len(shape):
            given = [f"{names}{axis}" for axis in range(len(shape))]
        chosen = self.shared_loop(*shape) if parallel else None
        with ExitStack() as nest:
            yield tuple(
                nest.enter_context(self.loop(name, end, parallel=axis == chosen))
                for axis, (name, end) in enumerate(zip(given, shape))
            )

    def shared_loop(self, *counts: Index) -> int:
        """Which of some nested loops with so many iterations threads should share."""
        known = [
            count.value or 1 if isinstance(count, Expr) else self.high(count) for count in counts
        ]
        return best_loop(known, self.sharing.threads)

    def alone(self, apart: bool = True) -> AbstractContextManager[None]:
        """What one thread does, ``apart`` from a loop that is shared beside it."""
        return self.sharing.alone() if apart else nullcontext()

    def when(self, condition: Expr) -> AbstractContextManager[None]:
        """``if (condition)``; decided now when the condition is known."""
        return self._writer.when(condition)

    def branch(
        self, condition: Expr
    ) -> AbstractContextManager[tuple[AbstractContextManager[None], ...]]:
        """Both sides of an if: ``with k.branch(c) as (yes, no): with yes: … with no: …``."""
        return self._writer.branch(condition)

    def block(self, header: str) -> AbstractContextManager[None]:
        """``header { … }`` for what the other methods do not cover (while loops)."""
        return self._writer.block(header)

    def comment(self, text: str) -> None:
        """A comment line."""
        self._writer.comment(text)

    def statement(self, text: str) -> None:
        """One statement, given without its semicolon."""
        self._writer.line(f"{text};")

    def fail_when(self, condition: Expr, error: str = ERROR_INDEX) -> None:
        """Leave the kernel, and the model's run function, with an error code."""
        if condition.value == 0:
            return
        self.can_fail = True
        with self.when(condition):
            self.statement(f"return {self.prefix.upper()}_{error}")

    # Sizes known at run time only --------------------------------------------------------

    def low(self, dim: Dim) -> int:
        """The least value of a dimension."""
        return self.unit.low(dim)

    def high(self, dim: Dim) -> int:
        """The greatest value of a dimension."""
        return self.unit.high(dim)

    def less(self, small: Dim, large: Dim) -> Expr:
        """The condition ``small < large``, decided now where the bounds decide it."""
        difference = small - large
        if self.high(difference) < 0:
            return index(1)
        return index(0) if self.low(difference) >= 0 else index(small) < large

    def require(self, small: Dim, large: Dim) -> None:
        """Fail with ``ERROR_SIZE`` unless ``small <= large``, if bounds do not prove it."""
        self.fail_when(self.less(large, small), ERROR_SIZE)

    def size_value(self, dim: Dim, dtype: DType) -> Expr:
        """A dimension as a value of ``dtype``."""
        if isinstance(dim, int):
            return self.literal(dim, dtype)
        return cast(value_type(dtype), index(dim))

    def define_size(self, size: Dim, value: Index) -> None:
        """Give the size that this op defines its value: before anything is indexed by it.

        Fails with ``ERROR_SIZE`` when the value lies outside the declared range.
        """
        (name,) = symbols_of(size)
        found = self._writer.parameter(f"found_{name}")
        self._found[name] = Parameter("found", 0, found, "ptrdiff_t", name)
        self._writer.line(f"const ptrdiff_t {name} = {index(value)};")
        self.fail_when((index(size) < self.low(size)) | (index(self.high(size)) < size), ERROR_SIZE)
        self.statement(f"*{found} = {name}")

    @property
    def parameters(self) -> list[Parameter]:
        """All parameters, after everything is written: sizes that the text mentions come last."""
        code = re.sub(r"/\*.*?\*/", "", self._writer.text, flags=re.DOTALL)
        used = dict.fromkeys(re.findall(rf"\b{PREFIX}\w+", code))
        names = [name for name in used if name in self.unit.ranges and name not in self._found]
        sizes = [Parameter("size", 0, name, "const ptrdiff_t", name) for name in sorted(names)]
        return [*self._parameters, *sizes, *self._found.values()]

    # Values ------------------------------------------------------------------------------

    def helper(self, name: str) -> str:
        """C name of a helper function, which is thereby emitted."""
        self.helpers[name] = None
        return f"{self.prefix}_{name}"

    def value(self, expression: str | scalar.Expr, dtype: DType, **values: Expr) -> Expr:
        """A scalar expression over ``values``: ``k.value("max(a, x * w)", F32, a=…, x=…, w=…)``.

        Same language as the definitions of elementwise ops (:mod:`burnish.ir.scalar`), same
        semantics as the interpreter: arithmetic in ``dtype.compute``, integers wrap, min and max
        propagate NaN.
        """
        expr = scalar.parse(expression) if isinstance(expression, str) else expression
        return c_scalar.render(expr, values, dtype, self.helper)

    def literal(self, value: float | int | bool, dtype: DType) -> Expr:
        """A number as a value of ``dtype``."""
        return literal(value, dtype.compute)

    def convert(self, value: Expr, source: DType, to: DType) -> Expr:
        """A value of one type as a value of another (saturating, wrapping, rounding as cast)."""
        return c_scalar.convert(value, source, to, self.helper)

    def round(self, value: Expr, dtype: DType) -> Expr:
        """``value`` rounded to what ``dtype`` can hold (a no-op but for narrow floats)."""
        return c_scalar.rounded(value, dtype, self.helper)

    def variable(self, name: str, dtype: DType, value: Expr | float | int) -> Expr:
        """Declare a mutable local that holds values of ``dtype``."""
        return self.declare(value_type(dtype), name, self._as_value(value, dtype))

    def let(self, name: str, dtype: DType, value: Expr | float | int) -> Expr:
        """Declare a const local that holds a value of ``dtype``."""
        return self.declare(f"const {value_type(dtype)}", name, self._as_value(value, dtype))

    def let_stored(self, name: str, dtype: DType, value: Expr) -> Expr:
        """Declare a const local that holds an element as it is stored (to be moved, not used)."""
        return self.declare(f"const {storage_type(dtype)}", name, value)

    def index_variable(self, name: str, value: Index) -> Expr:
        """Declare a mutable local for positions (``ptrdiff_t``)."""
        return self.declare("ptrdiff_t", name, index(value))

    def let_index(self, name: str, value: Index) -> Expr:
        """``value`` under a name (``const ptrdiff_t``), or itself when it is known or a name."""
        value = index(value)
        if value.value is not None or value.text.isidentifier():
            return value
        return self.declare("const ptrdiff_t", name, value)

    def _as_value(self, value: Expr | float | int, dtype: DType) -> Expr:
        return value if isinstance(value, Expr) else literal(value, dtype.compute)

    def declare(self, c_type: str, hint: str, value: Expr) -> Expr:
        """Declare a local of any C type, which goes when nothing reads it."""
        return self._writer.declare(c_type, hint, value)

    def local(self, name: str, dtype: DType, shape: Sequence[Dim]) -> Buffer:
        """Working memory for values of ``dtype`` as they are computed with, not initialized."""
        return self.scratch(name, dtype.compute, shape)

    def view(
        self,
        name: str,
        buffer: Buffer,
        offset: Index,
        shape: Sequence[Dim],
        *,
        mutable: bool = False,
    ) -> Buffer:
        """The part of ``buffer`` that starts at element ``offset``, as a pointer of its own."""
        offset = index(offset)
        if offset.value == 0:
            return buffer.reshaped(shape)
        qualifier = "" if mutable else "const "
        pointer = self.declare(
            f"{qualifier}{storage_type(buffer.dtype)} *const",
            name,
            Expr(f"{buffer.pointer} + {offset.within(ADDITIVE)}", ADDITIVE),
        )
        return Buffer(pointer.text, tuple(shape), buffer.dtype)

    def assign(self, target: Expr, value: Index) -> None:
        """``target = value``, written ``target += …`` where that is the same."""
        text = index(value).text
        for operator in "+-":
            start = f"{target} {operator} "
            rest = text[len(start) :]
            if text.startswith(start) and _is_one_term(rest):
                self.statement(f"{target} {operator}= {rest}")
                return
        self.statement(f"{target} = {text}")

    # Memory ------------------------------------------------------------------------------

    def load(self, buffer: Buffer, indices: Sequence[Index]) -> Expr:
        """The value of an element (narrow floats as ``float``); see :meth:`Buffer.offset`.

        An element of an operand that the group's prologue makes is computed here.
        """
        if buffer.source is not None:
            return self._computed(buffer.source, indices)
        return c_scalar.load(buffer.at(indices), buffer.dtype, self.helper)

    def load_index(
        self, buffer: Buffer, indices: Sequence[Index], size: Dim, name: str = "at"
    ) -> Expr:
        """An element used as an index into ``size`` positions: negative ones count from the end.

        Emits the check that makes the model fail with ``ERROR_INDEX`` when it is out of range.
        """
        found = Expr(f"{self.helper('position')}({buffer.at(indices)}, {index(size)})")
        position = self.declare("const ptrdiff_t", name, found)
        self.fail_when(position < 0)
        return position

    def write(self, buffer: Buffer, indices: Sequence[Index], value: Expr) -> None:
        """Write a value into a buffer as it is (scratch; results of families not fusable)."""
        self.note_write(buffer)
        self.statement(
            f"{buffer.at(indices)} = {c_scalar.stored(value, buffer.dtype, self.helper)}"
        )

    def note_write(self, buffer: Buffer) -> None:
        """Take note that ``buffer`` is written, in a way that the builder does not see."""
        if any(buffer.pointer == output.pointer for output in self._outputs.values()):
            self.sharing.results_are_written()

    def store(self, indices: Sequence[Index], value: Expr | None = None, result: int = 0) -> None:
        """Write result element(s) at ``indices`` of :attr:`space`.

        ``value`` is that element of result ``result`` of the op; the group's elementwise ops are
        applied to it, each rounding to its own type.  It is None for all-elementwise kernels.
        """
        if not self.unit.is_fused and value is not None:
            self.write(self.results[result], indices, value)
            return
        known: dict[Value, Expr] = {}
        if value is not None:
            assert self.unit.anchor is not None
            anchored = self.unit.anchor.results[result]
            known[anchored] = self.let(
                "v", anchored.type.dtype, self.round_unless(value, anchored.type.dtype)
            )
        last = self.unit.epilogue[-1] if self.unit.epilogue else None
        for op in self.unit.epilogue:
            rendered = self._apply(op, indices, known)
            name = "v" if op is not last or len(self.unit.results) > 1 else ""
            dtype = op.results[0].type.dtype
            if name and not rendered.text.isidentifier():
                rendered = self.let(name, dtype, self.round_unless(rendered, dtype))
            known[op.results[0]] = rendered
        for result_value, buffer in self._outputs.items():
            self.write(buffer, indices, known[result_value])

    def _computed(self, value: Value, indices: Sequence[Index]) -> Expr:
        """An element of a value that the prologue makes."""
        known: dict[Value, Expr] = {}
        for op in making([value], self.unit.prologue):
            dtype = op.result.type.dtype
            rendered = self.round_unless(self._apply(op, indices, known), dtype)
            known[op.result] = rendered if _is_cheap(rendered) else self.let("p", dtype, rendered)
        return known[value]

    def round_unless(self, value: Expr, dtype: DType) -> Expr:
        """``value`` rounded to ``dtype`` unless it visibly is already."""
        widened = f"{self.prefix}_{dtype}_to_f32("
        is_loaded = value.precedence == PRIMARY and value.text.startswith(widened)
        return value if is_loaded else self.round(value, dtype)

    def _apply(self, op: Op, indices: Sequence[Index], known: dict[Value, Expr]) -> Expr:
        definition = op.opdef
        if op.name in _POINTWISE:
            return _POINTWISE[op.name](self, op, self._element(op.inputs[0], indices, known))
        if not isinstance(definition, ElementwiseOp):
            raise InternalError(f"{op.name} is elementwise but has no scalar expression")
        values: dict[str, Expr] = {}
        dtypes = [value.type.dtype for value in op.inputs]
        work = definition.work_dtype(dtypes)
        for name, value in zip(definition.operands, op.inputs):
            element = self._element(value, indices, known)
            repeated = c_scalar.occurrences(definition.expression, name) > 1 and not _is_cheap(
                element
            )
            if repeated or (
                c_scalar.is_chosen(definition.expression, name) and "[" in element.text
            ):
                element = known[value] = self.let(name, value.type.dtype, element)
            values[name] = element
        for name, attribute in op.attributes.items():
            if isinstance(attribute, (bool, int, float)):
                dtype = DType.BOOL if isinstance(attribute, bool) else work.compute
                values[name] = literal(attribute, dtype)
        result = self.value(definition.expression, work, **values)
        to = op.results[0].type.dtype
        produced = DType.BOOL if definition.result == "bool" else work.compute
        return result if produced is to.compute else self.convert(result, produced, to)

    def _element(self, value: Value, indices: Sequence[Index], known: dict[Value, Expr]) -> Expr:
        if value in known:
            return known[value]
        constant = self.unit.literals.get(value)
        if constant is not None:
            return literal(_plain(constant)[0], constant.dtype.compute)
        loaded = self.load(self._buffers[value], indices)
        known[value] = loaded
        return loaded

    def scratch(self, name: str, dtype: DType, shape: Sequence[Dim]) -> Buffer:
        """Working memory of the kernel, taken from the arena for the time of the call.

        Each buffer is a ``restrict`` parameter of its own, so that the C compiler knows them
        apart.  Kernels have no arrays on the stack: their memory is in the plan, and GCC 12.2
        misaligns vectors in stack arrays of leaf functions.
        """
        count = self.unit.most_elements(shape)
        offset = -(-self.scratch_bytes // 16) * 16
        pointer = self._writer.parameter(name)
        self._parameters.append(Parameter("scratch", offset, pointer, storage_type(dtype)))
        # Not nothing even for an empty tensor: the pointer must point somewhere.
        self.scratch_bytes = offset + max(count, 1) * dtype.bytes
        return Buffer(pointer, tuple(shape), dtype)

    def table(self, name: str, dtype: DType | str, values: Sequence[Expr]) -> str:
        """A constant array of the kernel (offsets, coefficients); returns its name."""
        c_type = storage_type(dtype) if isinstance(dtype, DType) else dtype
        text = ", ".join(value.text for value in values)
        known = self._table_names.get((c_type, text))
        if known is not None:
            return known
        chosen = self._writer.name(name)
        self._tables[chosen] = f"static const {c_type} {chosen}[{len(values)}] = {{{text}}};"
        self._table_names[c_type, text] = chosen
        return chosen

    def index_table(self, name: str, values: Sequence[int]) -> Buffer:
        """A constant table of positions, read with :meth:`load`."""
        # Positions are int32 where they fit: half the flash of ptrdiff_t on 64-bit hosts.
        wide = any(abs(value) >= 1 << 31 for value in values)
        dtype = DType.I64 if wide else DType.I32
        pointer = self.table(name, dtype, [literal(value, dtype) for value in values])
        return Buffer(pointer, (len(values),), dtype)

    @property
    def is_shared(self) -> bool:
        """Whether several threads may run what was written, each with a part of a loop."""
        return self.sharing.is_shared and self.sharing.is_safe and not self.can_fail

    @property
    def body(self) -> str:
        """The text between the braces of the function."""
        body = "".join(f"    {line}\n" if line else "\n" for line in self._writer.text.splitlines())
        used = [text for name, text in self._tables.items() if re.search(rf"\b{name}\b", body)]
        return "".join(f"    {line}\n" for line in used) + body

    def reshape_all(self, space: Sequence[Dim], shapes: Sequence[Sequence[Dim]]) -> None:
        """Index everything by another space (all-elementwise kernels that merge axes).

        Buffers with a layout are then row-major arrays of their storage axes.
        """
        self.space = tuple(space)
        for value, shape in zip(list(self._buffers), shapes):
            self._buffers[value] = replace(self._buffers[value], shape=tuple(shape), layout=None)
        for value, buffer in self._outputs.items():
            self._outputs[value] = replace(buffer, shape=tuple(space), layout=None)

    @property
    def inputs(self) -> list[Buffer]:
        """The buffers read, each once."""
        return list(self._buffers.values())

    @property
    def outputs(self) -> dict[Value, Buffer]:
        """The buffers written, by the value of the unit that each is to hold."""
        return dict(self._outputs)

    def buffer(self, value: Value) -> Buffer | None:
        """Where a value is read from; None where it is computed by this kernel, or a literal."""
        return self._buffers.get(value)


def _is_cheap(value: Expr) -> bool:
    """Whether the text may be repeated: a local variable or a number."""
    return value.text.isidentifier() or value.is_number


def _operand_name(op: Op, position: int) -> str:
    specs = list(op.opdef.operands)
    name = specs[min(position, len(specs) - 1)]
    variadic = op.opdef.operands[name].variadic
    return f"{name}{position}" if variadic else name


def _plain(constant: Constant) -> list[Any]:
    import numpy as np

    values = np.asarray(constant.array).reshape(-1)
    if constant.dtype.is_float:
        return [float(v) for v in values]
    return [int(v) for v in values]


def _is_one_term(text: str) -> bool:
    """Whether ``text`` has no ``+`` or ``-`` (or looser operator) outside parentheses."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and i and character in "+-?<>=&|^" and text[i - 1] == " ":
            return False
    return True


Pointwise = Callable[[KernelBuilder, Op, Expr], Expr]
"""Writes one element of the result of an op from that of its operand."""

_POINTWISE: dict[str, Pointwise] = {}


def pointwise(name: str) -> Callable[[Pointwise], Pointwise]:
    """Decorator: how an op that has no scalar expression is computed as part of a group."""

    def enter(function: Pointwise) -> Pointwise:
        _POINTWISE[name] = function
        return function

    return enter
