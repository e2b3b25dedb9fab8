"""What a converter sees of the node it converts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from burnish.ir import Block, Constant, Dim, DimExpr, DType, TensorType, Value
from burnish.ir.errors import ModelError, UnsupportedError, clip

from .emitter import Emitter
from .graph import AttributeValue, Graph, Node
from .items import Item, KnownOptional, KnownSequence
from .shapes import Content, Ranges
from .tensors import ELEMENT_TYPES, Array, Tensor

if TYPE_CHECKING:
    from .importer import GraphImporter

MAX_TABLE = 1 << 24
"""Constants that the importer itself makes have at most this many elements."""

Enter = Callable[[Emitter, Sequence[Value]], Sequence[Value]]
"""Makes a body's inputs out of the arguments of the block that holds it."""

RUNTIME = "its {what} depends on run-time data"


class UndecidedError(UnsupportedError):
    """What decides a shape is run-time data, and nothing declares the shape."""


class NodeContext:
    """One node being converted: its operands and attributes, and the means to create ops.

    Attributes:
        node: the node.
        version: of the operator set the node was written for.
        items: what the inputs stand for, None for those left out.
        emit: creates ops; they carry the node's location.
    """

    def __init__(
        self, node: Node, items: Sequence[Item | None], emit: Emitter, scope: GraphImporter
    ) -> None:
        self.node = node
        self.version = node.version
        self.items = list(items)
        self.emit = emit
        self.op = emit.op
        self._scope = scope

    # Inputs --------------------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Whether input ``index`` is given."""
        return self.item(index) is not None

    def input(self, index: int) -> Value:
        """Input ``index``.

        Raises:
            ModelError: it is left out.
        """
        value = self.optional(index)
        if value is None:
            raise ModelError(f"input {index} is missing")
        return value

    def optional(self, index: int) -> Value | None:
        """Input ``index``, or None where it is left out.

        Raises:
            UnsupportedError: it is a sequence or an optional.
        """
        item = self.item(index)
        if isinstance(item, (KnownSequence, KnownOptional)):
            self.refuse(f"its input {index} is {item}, not a tensor")
        return item

    def item(self, index: int) -> Item | None:
        """Input ``index``, whatever it is, or None where it is left out."""
        return self.items[index] if index < len(self.items) else None

    @property
    def inputs(self) -> list[Value]:
        """All inputs of a node that needs every one."""
        if not self.items:
            raise ModelError("it has no inputs")
        return [self.input(index) for index in range(len(self.items))]

    def wants(self, output: int) -> bool:
        """Whether output ``output`` has a name and somebody reads it."""
        outputs = self.node.outputs
        return output < len(outputs) and self._scope.is_used(outputs[output])

    # Attributes ----------------------------------------------------------------------

    def attribute(self, name: str) -> AttributeValue | None:
        """The raw attribute, or None."""
        return self.node.attributes.get(name)

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute.

        Raises:
            ModelError: it is missing (without default) or no integer.
        """
        value = self._typed(name, default, int)
        assert isinstance(value, int)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """An integer attribute that means yes or no."""
        return bool(self.integer(name, int(default)))

    def number(self, name: str, default: float | None = None) -> float:
        """A float attribute (as the single-precision number it is in the file)."""
        value = self._typed(name, None if default is None else float(np.float32(default)), float)
        assert isinstance(value, float)
        return value

    def string(self, name: str, default: str | None = None) -> str:
        """A string attribute."""
        value = self._typed(name, default, str)
        assert isinstance(value, str)
        return value

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, or None where it is not given."""
        integers: tuple[int, ...] | None = self._list(name, int)
        return integers

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """A list of floats, or None where it is not given."""
        numbers: tuple[float, ...] | None = self._list(name, float)
        return numbers

    def strings(self, name: str) -> tuple[str, ...] | None:
        """A list of strings, or None where it is not given."""
        strings: tuple[str, ...] | None = self._list(name, str)
        return strings

    def tensor(self, name: str) -> Tensor | None:
        """A tensor attribute, or None where it is not given."""
        value = self.attribute(name)
        if value is not None and not isinstance(value, Tensor):
            raise ModelError(f"attribute {name} is no tensor")
        return value

    def body(self, name: str) -> Graph:
        """A graph attribute."""
        value = self.attribute(name)
        if not isinstance(value, Graph):
            raise ModelError(f"it lacks the graph attribute {name}")
        return value

    def dtype(self, name: str, default: DType | None = None) -> DType:
        """An attribute that holds an ONNX element type code."""
        if default is not None and name not in self.node.attributes:
            return default
        code = self.integer(name)
        row = ELEMENT_TYPES.get(code)
        if row is None:
            raise ModelError(f"attribute {name} = {code} is no element type of ONNX")
        if row.dtype is None:
            self.refuse(f"element type {row.name}")
        return row.dtype

    def _typed(self, name: str, default: object, kind: type) -> object:
        value: object = self.node.attributes.get(name)
        if value is None:
            value = default
        if value is None:
            raise ModelError(f"it lacks the attribute {name}")
        if type(value) is not kind:
            raise ModelError(f"attribute {name} is not of type {kind.__name__}")
        return value

    def _list(self, name: str, kind: type) -> Any:
        value = self.node.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, tuple) or any(type(item) is not kind for item in value):
            raise ModelError(f"attribute {name} is no list of type {kind.__name__}")
        return value

    # Known contents ------------------------------------------------------------------

    @property
    def ranges(self) -> Ranges:
        """What is known of symbolic dimensions."""
        return self.emit.knowledge.ranges

    def array(self, value: Value, what: str) -> Array:
        """The data of a constant.

        Raises:
            UnsupportedError: ``value`` is run-time data; the message says ``what`` it is for.
        """
        constant = value.constant
        if constant is None:
            raise UndecidedError(RUNTIME.format(what=what))
        return constant.array

    def content(self, value: Value, what: str) -> Content:
        """The integers (or dimensions) in a small tensor.

        Raises:
            UnsupportedError: they are run-time data; the message says ``what`` they are for.
        """
        content = self.emit.knowledge.content(value)
        if content is None:
            raise UndecidedError(RUNTIME.format(what=what))
        return content

    def is_known(self, value: Value) -> bool:
        """Whether the integers (or dimensions) in a tensor are known now."""
        return self.emit.knowledge.content(value) is not None

    def declared_shape(self, what: str, output: int = 0) -> tuple[Dim, ...]:
        """The shape that the model declares for an output, where run-time data decides it.

        A model may lie: what is relied on must be checked when the model runs, see
        :meth:`require`.

        Raises:
            UnsupportedError: it declares none; the message says ``what`` decides it.
        """
        name = self.node.outputs[output] if output < len(self.node.outputs) else ""
        shape = self._scope.declared_shape(name) if name else None
        if shape is None:
            reason = RUNTIME.format(what=what)
            raise UndecidedError(
                f"{reason}, and the model does not declare the shape of its output"
            )
        return shape

    def found_size(self, places: Sequence[tuple[int, int]], most: Dim) -> Dim:
        """How many elements the data gives: as declared, else a new symbol up to ``most``.

        ``places`` are the (output, axis) whose size it is.
        """
        for output, axis in places:
            name = self.node.outputs[output] if output < len(self.node.outputs) else ""
            declared = self._scope.declared_shape_in_part(name) if name else None
            size = declared[axis] if declared is not None and axis < len(declared) else None
            if isinstance(size, int):
                return size
        return self._scope.define_size(self.node.name, self.ranges.bounds(most)[1])

    def require(self, x: Value, actual: Value, expected: Sequence[Dim], what: str) -> Value:
        """``x``, after a check at run time that ``actual`` holds the integers ``expected``.

        What is known already is checked now.

        Raises:
            ModelError: it is something else.
        """
        wanted = tuple(expected)
        actual = self.cast(self.reshape(actual, (len(wanted),)), DType.I64)
        if self.is_known(actual):
            found = self.dims(actual, what)
            if found != wanted:
                shown = [f"[{', '.join(map(str, dims))}]" for dims in (found, wanted)]
                raise ModelError(
                    f"its {what} is {shown[0]}, but the declared shape needs {shown[1]}"
                )
            return x
        return self.op("control.require", x, actual, expected=wanted, what=what)

    def dims(self, value: Value, what: str) -> tuple[Dim, ...]:
        """The dimensions listed in a tensor of rank 1 (or a single one of rank 0)."""
        return tuple(int(d) if isinstance(d, bool) else d for d in self.content(value, what).flat)

    def known_ints(self, value: Value, what: str) -> tuple[int, ...]:
        """Like :meth:`dims`, where symbols are not allowed."""
        return self.static(self.dims(value, what), what)

    def known_int(self, value: Value, what: str) -> int:
        """The single integer in a tensor."""
        values = self.known_ints(value, what)
        if len(values) != 1:
            raise ModelError(f"its {what} must be a single number, got {len(values)}")
        return values[0]

    def static(self, dims: Sequence[Dim], what: str) -> tuple[int, ...]:
        """``dims`` as integers.

        Raises:
            UnsupportedError: one is symbolic.
        """
        for dim in dims:
            if isinstance(dim, DimExpr):
                self.refuse(f"its {what} depends on the dimension {clip(str(dim))}; bind it")
        return tuple(dim for dim in dims if isinstance(dim, int))

    def axis(self, axis: int, rank: int) -> int:
        """``axis`` counted from the front.

        Raises:
            ModelError: the tensor has no such axis.
        """
        if not -rank <= axis < rank:
            raise ModelError(f"axis {axis} is out of range for a tensor of rank {rank}")
        return axis % rank if rank else 0

    def axes(self, axes: Sequence[int], rank: int) -> tuple[int, ...]:
        """Distinct axes counted from the front, in the order given."""
        normal = tuple(self.axis(axis, rank) for axis in axes)
        if len(set(normal)) != len(normal):
            raise ModelError(f"axes {list(axes)} repeat themselves in a tensor of rank {rank}")
        return normal

    def axes_of(self, input_since: int, index: int = 1) -> tuple[int, ...] | None:
        """The axes: attribute ``axes`` before version ``input_since``, then input ``index``."""
        if self.version < input_since:
            return self.integers("axes")
        value = self.optional(index)
        return None if value is None else self.known_ints(value, "axes")

    # Creating ops --------------------------------------------------------------------

    def results(
        self,
        name: str,
        operands: Sequence[Value | None],
        attributes: Mapping[str, object],
        regions: Sequence[Block] = (),
    ) -> Sequence[Value]:
        """The results of an op with several, or with regions."""
        return self.emit.results(name, operands, attributes, regions)

    def constant(self, value: Constant | Array | np.generic) -> Value:
        """A constant."""
        return self.emit.constant(value)

    def scalar(self, number: float | int | bool, dtype: DType) -> Value:
        """A rank-0 constant."""
        return self.constant(np.asarray(number).astype(dtype.numpy))

    def table(self, count: int) -> Array:
        """The numbers 0 to ``count - 1``, as i64, to make constants of.

        Raises:
            UnsupportedError: there are more than :data:`MAX_TABLE`.
        """
        if count > MAX_TABLE:
            self.refuse(f"it needs a table of {count} constants (the limit is {MAX_TABLE})")
        return np.arange(count, dtype=np.int64)

    def arange(self, count: Dim, axis: int, rank: int) -> Value:
        """0, 1, 2, … along ``axis`` of a tensor of ``rank`` axes, as i64.

        Raises:
            UnsupportedError: ``count`` is symbolic.
        """
        (size,) = self.static([count], f"axis {axis}")
        shape = [size if i == axis else 1 for i in range(rank)]
        return self.constant(self.table(size).reshape(shape))

    def cast(self, value: Value, dtype: DType) -> Value:
        """``value`` in the element type ``dtype``."""
        return value if value.type.dtype is dtype else self.op("math.cast", value, to=dtype)

    def raw(self, value: Value) -> Value:
        """``value`` as plain numbers, whatever they encode."""
        if value.type.encoding is None:
            return value
        return self.op("quant.reinterpret", value, encoding=())

    def reshape(self, value: Value, shape: Sequence[Dim]) -> Value:
        """``value`` in another shape of as many elements."""
        if value.type.shape == tuple(shape):
            return value
        return self.op("tensor.reshape", value, shape=tuple(shape))

    def transpose(self, value: Value, permutation: Sequence[int]) -> Value:
        """``value`` with axes reordered."""
        if list(permutation) == list(range(value.type.rank)):
            return value
        return self.op("tensor.transpose", value, permutation=tuple(permutation))

    def broadcast(self, value: Value, shape: Sequence[Dim]) -> Value:
        """``value`` broadcast to exactly ``shape``."""
        if value.type.shape == tuple(shape):
            return value
        return self.op("tensor.broadcast", value, shape=tuple(shape))

    def reduce(self, value: Value, kind: str, axes: Sequence[int], keep_dims: bool = True) -> Value:
        """``value`` reduced over ``axes``."""
        return self.op(
            "tensor.reduce", value, kind=kind, axes=tuple(sorted(axes)), keep_dims=keep_dims
        )

    def shape_of(self, type_: TensorType) -> list[Value]:
        """The dimensions of a type as rank-1 values of one element."""
        return [
            self.reshape(self.op("tensor.dimension", value=dim), (1,))
            if isinstance(dim, DimExpr)
            else self.constant(np.array([dim], np.int64))
            for dim in type_.shape
        ]

    def dims_value(self, dims: Sequence[Dim]) -> Value:
        """Dimensions as a tensor of rank 1."""
        if all(isinstance(dim, int) for dim in dims):
            return self.constant(np.array(self.static(dims, "shape"), np.int64))
        return self.op("tensor.concat", *self.shape_of(TensorType(tuple(dims), DType.I64)), axis=0)

    def refuse(self, reason: str) -> NoReturn:
        """Say why this form of the operator cannot be compiled.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(reason)

    def by_definition(self) -> list[Item | None]:
        """The node's outputs by the function that the operator's schema defines it by."""
        location = self.emit.location
        results = self._scope.by_schema(self.node, self.items)
        self.emit.location = location
        return results

    # Bodies --------------------------------------------------------------------------

    def inline(self, body: Graph, arguments: Sequence[Item] = ()) -> list[Item]:
        """Convert ``body`` in place of the node; what it captures is at hand."""
        return self._scope.inline(body, arguments)

    def captured(self, bodies: Sequence[Graph]) -> dict[str, Value]:
        """Run-time values that bodies read from around them, by name; constants are left out."""
        return self._scope.captured(bodies)

    def region(
        self,
        body: Graph,
        argument_types: Sequence[TensorType],
        captured: Mapping[str, Value],
        enter: Enter | None = None,
    ) -> tuple[Block, list[Item]]:
        """``body`` as an isolated block whose arguments are its own, then the captured values.

        It yields the tensors in the body's outputs, which are returned too.  With ``enter``, which
        makes the body's inputs out of the block's first arguments, it is the body of a
        ``control.loop`` and yields its condition before them.
        """
        return self._scope.region(body, argument_types, captured, enter)
