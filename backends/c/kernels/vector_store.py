"""Finishing vectors of results: the epilogue of a group in registers, then one store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import DType, Op, Value
from burnish.ir.elementwise import ElementwiseOp

from ..code import Expr, Index, index
from ..elements import literal
from ..vector_functions import together
from ..vectors import (
    VectorRenderer,
    functions_of,
    is_vector_expression,
    without_functions,
)
from . import vector_quantize
from .buffer import Buffer
from .builder import KernelBuilder
from .stored import as_stored, read_by_epilogue


def _is_vector(value: Value) -> bool:
    """Whether vectors of f32 hold the elements of a tensor."""
    if value.type.quantized is None:
        return value.type.dtype is DType.F32
    return vector_quantize.is_vector_storage(value.type)


def _is_vector_op(op: Op) -> bool:
    """Whether an op of an epilogue has a vector form, if its operands and results have."""
    if not isinstance(op.opdef, ElementwiseOp):
        return vector_quantize.is_vector_quantizing(op)
    plain = all(value.type.quantized is None for value in (*op.inputs, *op.results))
    return plain and is_vector_expression(op.opdef.expression)


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A vector of results.

    Attributes:
        at: where it begins, an element's place in storage.
        vector: its value; None in kernels that are all elementwise.
        count: how many of its elements there are, if not all.
    """

    at: Sequence[Index]
    vector: Expr | None = None
    count: int | None = None


class VectorStore:
    """Writes vectors of neighbours along the last axis of the result as it is stored.

    After it is made, the kernel's results and all that the epilogue reads are indexed by the axes
    of storage, where that is possible.  Where the epilogue has no vector form (``erf``, other
    element types …) vectors go through memory, and elements are finished one by one.
    """

    def __init__(self, k: KernelBuilder, vectors: VectorRenderer) -> None:
        self.k = k
        self.vectors = vectors
        self.lanes = vectors.lanes
        self.layout = k.unit.space.layout
        self.shape = k.space
        stored = as_stored(k)
        self.by_storage = stored is not None
        if stored is not None:
            k.reshape_all(*stored)
        self.in_registers = self.by_storage and self._has_vector_form()
        self._spilled: Buffer | None = None

    def _has_vector_form(self) -> bool:
        k = self.k
        values = [*k.unit.results, *read_by_epilogue(k)]
        values += [result for op in k.unit.epilogue for result in op.results]
        if not all(map(_is_vector, values)):
            return False
        if any(value.dtype is not DType.F32 for value in k.unit.literals.values()):
            return False
        return all(map(_is_vector_op, k.unit.epilogue))

    def _functions(self) -> set[str]:
        """The functions of vectors that the epilogue calls."""
        definitions = [op.opdef for op in self.k.unit.epilogue]
        found = [functions_of(d.expression) for d in definitions if isinstance(d, ElementwiseOp)]
        return set().union(*found)

    def store(
        self, at: Sequence[Index], vector: Expr | None = None, count: int | None = None
    ) -> None:
        """Finish and write the vector that begins at ``at``, an element's place in storage.

        ``vector`` is None in kernels that are all elementwise, which have to be ``in_registers``;
        ``count`` says how many of its elements there are, if not all.
        """
        if vector is None or (self.in_registers and count in (None, self.lanes)):
            self._store_vectors([Finished(at, vector)])
        else:
            self._store_elements(at, vector, self.lanes if count is None else count)

    def store_all(self, results: Sequence[Finished]) -> None:
        """Finish and write vectors that are known at the same time, some of them in turns.

        Functions of one vector would be a chain of steps that wait for each other.
        """
        size = together(self.k.isa, self._functions())
        whole = [r for r in results if self.in_registers and r.count in (None, self.lanes)]
        for first in range(0, len(whole), size):
            self._store_vectors(whole[first : first + size])
        for result in results:
            if result not in whole:
                self.store(result.at, result.vector, result.count)

    def _store_vectors(self, results: Sequence[Finished]) -> None:
        """Finish and write whole vectors, each step of the epilogue for all of them."""
        k = self.k
        known: list[dict[Value, Expr]] = [{} for _ in results]
        for values, result in zip(known, results):
            if k.unit.anchor is not None and result.vector is not None:
                values[k.unit.anchor.result] = result.vector
        places = [result.at for result in results]
        for op in k.unit.epilogue:
            for values, vector in zip(known, self._apply(op, places, known)):
                values[op.result] = self._let(vector)
        for at, finished in zip(places, known):
            for value, buffer in k.outputs.items():
                k.note_write(buffer)
                k.statement(self._written(value, buffer.at(at), finished[value]))

    def _written(self, value: Value, place: Expr, vector: Expr) -> str:
        """The statement that writes a vector of a tensor."""
        if value.type.quantized is None:
            return self.vectors.store(place, vector)
        return vector_quantize.store(self.vectors, value.type, place, vector)

    def _let(self, value: Expr) -> Expr:
        return self.k.declare(f"const {self.vectors.type}", "v", value)

    def _apply(
        self, op: Op, places: Sequence[Sequence[Index]], known: Sequence[dict[Value, Expr]]
    ) -> list[Expr]:
        """The results of an op of the epilogue at some places."""
        definition, vectors = op.opdef, self.vectors
        if not isinstance(definition, ElementwiseOp):
            return [
                vector_quantize.quantizing(vectors, op, self._operand(op.inputs[0], at, values))
                for at, values in zip(places, known)
            ]
        operands = [self._operands(op, definition, at, values) for at, values in zip(places, known)]
        if len(places) == 1:
            return [vectors.render(definition.expression, operands[0])]
        calls, rest = without_functions(definition.expression)
        for name, part in calls:
            (argument,) = part.args
            arguments = [vectors.render(argument, values) for values in operands]
            found = [self.k.declare(vectors.type, "f", value) for value in arguments]
            self.k.statement(vectors.apply_together(part.function, found))
            for values, variable in zip(operands, found):
                values[name] = variable
        return [vectors.render(rest, values) for values in operands]

    def _operands(
        self, op: Op, definition: ElementwiseOp, at: Sequence[Index], known: dict[Value, Expr]
    ) -> dict[str, Expr]:
        """What the variables of an op's expression stand for at a place."""
        values = {
            name: self._operand(value, at, known)
            for name, value in zip(definition.operands, op.inputs)
        }
        for name, attribute in op.attributes.items():
            if isinstance(attribute, (int, float)):
                values[name] = literal(float(attribute), DType.F32)
        return values

    def _operand(self, value: Value, at: Sequence[Index], known: dict[Value, Expr]) -> Expr:
        if value in known:
            return known[value]
        constant = self.k.unit.literals.get(value)
        if constant is not None:
            return literal(float(constant.array.reshape(-1)[0]), DType.F32)
        buffer = self.k.buffer(value)
        assert buffer is not None
        is_one = not buffer.shape or buffer.shape[-1] == 1
        if value.type.quantized is not None:
            read = vector_quantize.splat if is_one else vector_quantize.load
            loaded = read(self.vectors, value.type, buffer.at(at))
        else:
            loaded = (self.vectors.splat if is_one else self.vectors.load)(buffer.at(at))
        known[value] = self._let(loaded)
        return known[value]

    def _store_elements(self, at: Sequence[Index], vector: Expr, count: int) -> None:
        k = self.k
        if self._spilled is None:
            self._spilled = k.scratch("spilled", DType.F32, (self.lanes,))
        k.statement(self.vectors.store(self._spilled.at([0]), vector))
        with k.loop("lane", count) as lane:
            value = k.load(self._spilled, [lane])
            *outer, last = at
            if self.by_storage:
                k.store([*outer, index(last) + lane], value)
                return
            logical = self._logical([*outer, index(last) + lane])
            inside = index(1)
            for axis, _ in () if self.layout is None else self.layout.tiles:
                if self.shape[axis] % self.lanes:
                    inside = inside & (logical[axis] < self.shape[axis])
            with k.when(inside):
                k.store(logical, value)

    def _logical(self, stored: Sequence[Index]) -> list[Expr]:
        """Logical indices of an element from its place in storage."""
        if self.layout is None:
            return [index(position) for position in stored]
        at = [index(0)] * len(self.shape)
        for (axis, extent), position in zip(self.layout.storage_axes(self.shape), stored):
            at[axis] = at[axis] * extent + position
        return at
