"""Writes bindings one after another, and knows the type of each at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from burnish.ir import Array, Constant, DType, InternalError

from .checker import KEY, applied_type, call_type, field_type
from .names import RelayNames
from .operators import IN_MEMORY, find_operator
from .printer import float_text
from .storage import CARRIERS, carrier, stored
from .syntax import (
    Apply,
    AttributeValue,
    Binding,
    Body,
    Call,
    Expr,
    FunctionType,
    If,
    Lambda,
    Let,
    Literal,
    Parameter,
    Projection,
    Ref,
    Tensor,
    Tuple,
    TupleExpr,
    Type,
    Var,
    bodies,
    parts,
    with_parts,
)
from .type_rules import RelayTypeError


class Refusal(Exception):
    """An op cannot be written as Relay; the message says why."""


DTYPE_NAMES: Mapping[DType, str] = {
    DType.F64: "float64",
    DType.F32: "float32",
    DType.F16: "float16",
    DType.I64: "int64",
    DType.I32: "int32",
    DType.I16: "int16",
    DType.I8: "int8",
    DType.U64: "uint64",
    DType.U32: "uint32",
    DType.U16: "uint16",
    DType.U8: "uint8",
    DType.BOOL: "bool",
}
"""Element types that Relay computes with on every CPU."""

IN_MEMORY_MARK = "annotation.stop_fusion"
"""Keeps a value in memory."""

_LARGEST_KERNEL = 128
"""Calls that are written out for one element; what people call an activation has about ten."""

DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}


def relay_dtype(dtype: DType) -> str:
    """Relay's name of an element type, or of the integers that it is kept in.

    Raises:
        Refusal: it has none.
    """
    if carrier(dtype) not in DTYPE_NAMES:
        raise Refusal(f"Relay has no {dtype}")
    return DTYPE_NAMES[carrier(dtype)]


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """A value that is written already: an atom, its type, and its data when it is constant.

    ``dtype`` is the IR's element type; the type has that of the carrier.
    """

    expr: Expr
    type: Type
    constant: Constant | None = None
    dtype: DType = DType.BOOL
    """Of a tensor; tuples have none."""
    weight: int = 0
    """Calls that TVM writes out again wherever the value is used; 0 for what lies in memory."""

    @property
    def tensor(self) -> Tensor:
        assert isinstance(self.type, Tensor)
        return self.type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def rank(self) -> int:
        return len(self.shape)


@dataclass
class _Scope:
    """A body that is being written; equal calls in it, or around it, are one binding."""

    bindings: list[Binding | Let] = field(default_factory=list)
    made: dict[Expr, Term] = field(default_factory=dict)
    closed: bool = False
    """Whether it is a function's, which sees nothing that is bound around it."""


class Builder:
    """A function on its way: parameters, and the bodies that are open."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.names = RelayNames()
        self.inputs: list[Parameter] = []
        self._constants: dict[Constant, tuple[str, Term]] = {}
        self._hints: dict[Expr, str] = {}
        self._scopes = [_Scope()]
        self._count = 0
        self._before_reshape: dict[Expr, Term] = {}

    # Values ------------------------------------------------------------------------------

    def input(self, wanted: str, type_: Tensor, dtype: DType) -> Term:
        """A parameter that is given at every run."""
        name = self.names.take(wanted)
        self.inputs.append(Parameter(name, type_))
        return Term(Var(name), type_, None, dtype)

    def constant(self, data: Constant, hint: str = "") -> Term:
        """The parameter with that data, or a literal; equal data is one parameter."""
        dtype = relay_dtype(data.dtype)
        literal = _literal(data)
        if literal is not None:
            return Term(literal, Tensor((), dtype), data, data.dtype)
        if data not in self._constants:
            name = self.names.take(hint or "constant")
            self._hints[Var(name)] = hint
            type_ = Tensor(data.shape, dtype)
            self._constants[data] = name, Term(Var(name), type_, data, data.dtype)
        return self._constants[data][1]

    def array(self, array: Array, hint: str = "") -> Term:
        """A constant."""
        return self.constant(Constant(np.ascontiguousarray(array).reshape(array.shape)), hint)

    def changed(self, term: Term, array: Array) -> Term:
        """The constant that became of another one, and is called alike."""
        return self.array(array, self._hints.get(term.expr, ""))

    # Expressions -------------------------------------------------------------------------

    def call(self, op: str, *args: Term, **attributes: AttributeValue) -> Term:
        """A call of an operator, bound to a number.

        TVM puts calls into the loops that use their results, once for each use: of a chain of
        which every link is used twice it would take exponential time to build the code.  So what
        is large goes to memory before.

        Raises:
            InternalError: it does not type-check, which is a mistake of the lowering.
        """
        operator = find_operator(op, self.version)
        given = tuple(attributes.items())
        if operator is not None and operator.key:
            given += ((KEY, f"relay.attrs.{operator.key}"),)
        args = args if op in IN_MEMORY else tuple(self._kept_small(args))
        call = Call(op, tuple(arg.expr for arg in args), given)
        try:
            type_ = call_type(call, [arg.type for arg in args], self.version)
        except RelayTypeError as error:
            raise InternalError(f"Relay: {error}") from None
        weight = 0 if op in IN_MEMORY else 1 + sum(arg.weight for arg in args)
        result = self._bind(call, type_, weight)
        if op == "reshape":
            self._before_reshape[result.expr] = args[0]
        return result

    def before_reshape(self, term: Term) -> Term:
        """What a term was before it got its shape: the same elements in the same order."""
        return self._before_reshape.get(term.expr, term)

    def apart(self, term: Term) -> Term:
        """``term`` in memory."""
        if term.constant is not None or not isinstance(term.type, Tensor):
            return term
        return replace(self.call(IN_MEMORY_MARK, term), dtype=term.dtype)

    def _kept_small(self, args: Sequence[Term]) -> list[Term]:
        """Arguments of one call, the heaviest of them in memory if all together are large."""
        kept = list(args)
        while sum(term.weight for term in kept) >= _LARGEST_KERNEL:
            heaviest = max(kept, key=lambda term: term.weight)
            stored = self.apart(heaviest)
            if stored is heaviest:  # a tuple, whose fields were looked at
                break
            kept = [stored if term is heaviest else term for term in kept]
        return kept

    def pack(self, *fields: Term) -> Term:
        """A tuple; it is written where it is used."""
        return _packed(self._kept_small(fields))

    def project(self, term: Term, index: int) -> Term:
        """A field of a tuple that is bound."""
        type_ = field_type(term.type, index)
        return _term(Projection(term.expr, index), type_, term.weight)

    def branch(
        self, condition: Term, then: tuple[Body, Type], otherwise: tuple[Body, Type]
    ) -> Term:
        """``if``, bound to a number; both bodies are of one type."""
        if then[1] != otherwise[1]:
            raise InternalError(f"Relay: branches of types {then[1]} and {otherwise[1]}")
        return self._bind(If(condition.expr, then[0], otherwise[0]), then[1])

    def parameter(self, wanted: str, type_: Tensor, dtype: DType, weight: int = 0) -> Term:
        """A parameter of a function that is a value."""
        return Term(Var(self.names.take(wanted)), type_, None, dtype, weight)

    def name(self, wanted: str, type_: FunctionType) -> Term:
        """A function that :meth:`let` will bind, to call it in its own body."""
        return Term(Var(self.names.take(wanted)), type_)

    def let(self, name: Term, value: Lambda) -> None:
        """Bind a function that may call itself."""
        assert isinstance(name.expr, Var)
        if name.type != value.type:
            raise InternalError(f"Relay: a function of type {value.type}, not {name.type}")
        self._scopes[-1].bindings.append(Let(name.expr.name, value.type, value))

    def function(self, value: Lambda) -> Term:
        """A function, bound to a number."""
        return self._bind(value, value.type)

    def apply(self, function: Term, args: Sequence[Term], weight: int = 0) -> Term:
        """A call of a function that is bound."""
        try:
            type_ = applied_type(function.type, tuple(arg.type for arg in args))
        except RelayTypeError as error:
            raise InternalError(f"Relay: {error}") from None
        return self._bind(Apply(function.expr, tuple(arg.expr for arg in args)), type_, weight)

    def _bind(self, expr: Expr, type_: Type, weight: int = 0) -> Term:
        for scope in reversed(self._scopes):
            if expr in scope.made:
                return scope.made[expr]
            if scope.closed:
                break
        term, scope = _term(Ref(self._count), type_, weight), self._scopes[-1]
        scope.bindings.append(Binding(self._count, expr))
        self._count += 1
        scope.made[expr] = term
        return term

    # Bodies ------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """How many bodies are open."""
        return len(self._scopes)

    def open(self, *, closed: bool = False) -> None:
        """Begin a nested body; a closed one is a function's."""
        self._scopes.append(_Scope(closed=closed))

    def close(self, results: Sequence[Term]) -> tuple[Body, Type]:
        """End the innermost body; several results are a tuple."""
        result = results[0] if len(results) == 1 else _packed(results)
        scope = self._scopes.pop()
        return Body(tuple(scope.bindings), result.expr), result.type

    def constants(self, used: set[str]) -> dict[str, Constant]:
        """The constants among the parameters of these names, in order of first use."""
        named = {name: data for data, (name, _) in self._constants.items()}
        return {name: _kept(data) for name, data in named.items() if name in used}

    def named(self, name: str) -> Term:
        """The constant whose parameter has that name."""
        return next(term for found, term in self._constants.values() if found == name)

    def parameter_types(self) -> dict[str, Tensor]:
        """Types of the constants, by name."""
        return {name: term.tensor for name, term in self._constants.values()}


def parameter_of(term: Term) -> Parameter:
    """The parameter that a term is."""
    assert isinstance(term.expr, Var)
    return Parameter(term.expr.name, term.type)


def _packed(fields: Sequence[Term]) -> Term:
    type_ = Tuple(tuple(f.type for f in fields))
    weight = sum(f.weight for f in fields)
    return _term(TupleExpr(tuple(f.expr for f in fields)), type_, weight)


def _term(expr: Expr, type_: Type, weight: int = 0) -> Term:
    """A result, whose element type is Relay's."""
    dtype = DTYPES[type_.dtype] if isinstance(type_, Tensor) else DType.BOOL
    return Term(expr, type_, None, dtype, weight)


def _kept(data: Constant) -> Constant:
    """A constant as Relay takes it."""
    return Constant(stored(data.array)) if data.dtype in CARRIERS else data


def _literal(data: Constant) -> Literal | None:
    """A scalar as it is written in the text; None where it cannot be."""
    if data.shape:
        return None
    value = data.array.item()
    if data.dtype is DType.BOOL:
        return Literal(str(value), "bool")
    if data.dtype is DType.I32:
        return Literal(str(value), "int32")
    if data.dtype is DType.I64 and value != -(1 << 63):
        return Literal(f"{value}i64", "int64")
    if data.dtype is DType.F32 and _is_normal(value, np.float32):
        return Literal(_f32_text(value), "float32")
    if data.dtype is DType.F64 and _is_normal(value, np.float64) and np.isfinite(value):
        return Literal(f"{float_text(value, 17)}64", "float64")
    return None


def _f32_text(value: float) -> str:
    """The number by 9 digits, which tell it from its neighbours.

    Those of the largest number are beyond it, and Relay refuses them.
    """
    largest = float(np.finfo(np.float32).max)
    beyond = np.isfinite(value) and abs(float(f"{value:.9g}")) > largest
    return float_text(value, 17 if beyond else 9)


def _is_normal(value: float, kind: type[np.floating[Any]]) -> bool:
    """Whether Relay's tokenizer reads the value: NaN and denormal numbers it does not."""
    return value == 0 or abs(value) >= np.finfo(kind).tiny


def tidy(body: Body) -> Body:
    """``body`` without bindings that nothing reads, the others numbered in order."""
    numbers: dict[int, int] = {}
    return _renumbered(needed(body), numbers)


def needed(body: Body) -> Body:
    """``body`` without bindings that nothing reads."""
    return _needed(body, set())


def _key(binding: Binding | Let) -> int | str:
    """What a binding is read by."""
    return binding.name if isinstance(binding, Let) else binding.number


def _needed(body: Body, outer: set[int | str]) -> Body:
    """The body with the bindings that its result needs; what it needs is added to ``outer``."""
    _note(body.result, outer)
    kept: list[Binding | Let] = []
    for binding in reversed(body.bindings):
        if _key(binding) not in outer:
            continue
        value = with_parts(binding.value, lambda part: part, lambda inner: _needed(inner, outer))
        _note(value, outer)
        kept.append(_rebound(binding, value))
    return Body(tuple(reversed(kept)), body.result)


def _rebound(binding: Binding | Let, value: Expr) -> Binding | Let:
    if isinstance(binding, Binding):
        return Binding(binding.number, value)
    assert isinstance(value, Lambda)
    return Let(binding.name, binding.type, value)


def _note(expr: Expr, needed: set[int | str]) -> None:
    if isinstance(expr, Ref):
        needed.add(expr.number)
    if isinstance(expr, Var):
        needed.add(expr.name)
    for part in parts(expr):
        _note(part, needed)


def _renumbered(body: Body, numbers: dict[int, int]) -> Body:
    bindings: list[Binding | Let] = []
    for binding in body.bindings:
        value = _with_numbers(binding.value, numbers)
        if isinstance(binding, Let):
            bindings.append(_rebound(binding, value))
            continue
        numbers[binding.number] = len(numbers)
        bindings.append(Binding(numbers[binding.number], value))
    result = _with_numbers(body.result, numbers)
    last = bindings[-1] if bindings else None
    if isinstance(last, Binding) and result == Ref(last.number):
        return Body(tuple(bindings[:-1]), last.value)
    return Body(tuple(bindings), result)


def _with_numbers(expr: Expr, numbers: dict[int, int]) -> Expr:
    if isinstance(expr, Ref):
        return Ref(numbers[expr.number])
    return with_parts(
        expr, partial(_with_numbers, numbers=numbers), partial(_renumbered, numbers=numbers)
    )


def variables(body: Body) -> set[str]:
    """Names of the parameters and functions that a body reads."""
    found: set[str] = set()

    def visit(expr: Expr) -> None:
        if isinstance(expr, Var):
            found.add(expr.name)
        for part in parts(expr):
            visit(part)
        found.update(*map(variables, bodies(expr)))

    for binding in body.bindings:
        visit(binding.value)
    visit(body.result)
    return found
