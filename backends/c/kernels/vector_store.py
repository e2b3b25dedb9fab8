"""Finishing vectors of results: the epilogue of a group in registers, then one store."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import DType, Op, Value
from burnish.ir.elementwise import ElementwiseOp

from ..code import Expr, Index, index
from ..elements import literal
from ..vectors import VectorRenderer, is_vector_expression
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

    def store(
        self, at: Sequence[Index], vector: Expr | None = None, count: int | None = None
    ) -> None:
        """Finish and write the vector that begins at ``at``, an element's place in storage.

        ``vector`` is None in kernels that are all elementwise, which have to be ``in_registers``;
        ``count`` says how many of its elements there are, if not all.
        """
        if vector is None or (self.in_registers and count in (None, self.lanes)):
            self._store_vector(at, vector)
        else:
            self._store_elements(at, vector, self.lanes if count is None else count)

    def _store_vector(self, at: Sequence[Index], vector: Expr | None) -> None:
        k = self.k
        known: dict[Value, Expr] = {}
        if k.unit.anchor is not None and vector is not None:
            known[k.unit.anchor.result] = vector
        for op in k.unit.epilogue:
            known[op.result] = self._let(self._apply(op, at, known))
        for value, buffer in k.outputs.items():
            k.note_write(buffer)
            if value.type.quantized is None:
                k.statement(self.vectors.store(buffer.at(at), known[value]))
            else:
                stored = vector_quantize.store(
                    self.vectors, value.type, buffer.at(at), known[value]
                )
                k.statement(stored)

    def _let(self, value: Expr) -> Expr:
        return self.k.declare(f"const {self.vectors.type}", "v", value)

    def _apply(self, op: Op, at: Sequence[Index], known: dict[Value, Expr]) -> Expr:
        definition = op.opdef
        if not isinstance(definition, ElementwiseOp):
            value = self._operand(op.inputs[0], at, known)
            return vector_quantize.quantizing(self.vectors, op, value)
        values = {
            name: self._operand(value, at, known)
            for name, value in zip(definition.operands, op.inputs)
        }
        for name, attribute in op.attributes.items():
            if isinstance(attribute, (int, float)):
                values[name] = literal(float(attribute), DType.F32)
        return self.vectors.render(definition.expression, values)

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
