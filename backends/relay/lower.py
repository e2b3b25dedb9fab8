"""A module as a Relay function: every op by its lowering."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce

import numpy as np

from burnish.ir import Block, Constant, InternalError, Module, Op, TensorType, Value
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import UnsupportedError, clip

from . import ops  # noqa: F401 - registers the lowerings
from .builder import Builder, Refusal, Term, relay_dtype, tidy, variables
from .context import Choices, Context
from .elementwise import elementwise
from .registry import Lowering, find_lowering, takes_layouts
from .storage_order import layout_of, stored_shape
from .syntax import Function, Parameter, Tensor


@dataclass(frozen=True)
class Lowered:
    """What a module became: ``@main``, its constants, and what its inputs are called."""

    main: Function
    constants: Mapping[str, Constant]
    inputs: Mapping[str, str]
    """Names of parameters by those of the module's inputs."""
    checked: bool
    """Whether there is one more result, which says that all checks at run time held."""


def lower_module(module: Module, version: str, choices: Choices) -> Lowered:
    """The entry function of ``module`` as ``@main`` of Relay release ``version``.

    Parameters are the inputs, then the constants.

    Raises:
        UnsupportedError: ops that Relay cannot express, all named.
    """
    return _Lowering(module, Builder(version), choices).run()


@dataclass(frozen=True)
class _Refused:
    """An op that cannot be written, or an input."""

    what: str
    reason: str
    places: tuple[str, ...] = ()


def _refusal(refused: Iterable[_Refused], version: str) -> UnsupportedError:
    groups: dict[str, list[str]] = {}
    for entry in refused:
        places = groups.setdefault(f"{entry.what}: {entry.reason}", [])
        places += [place for place in entry.places if place not in places]
    lines = [f"{what}{f' ({clip(chr(44).join(p))})' if p else ''}" for what, p in groups.items()]
    return UnsupportedError(f"Relay {version} cannot express " + "; ".join(lines))


def relay_type(type_: TensorType) -> Tensor:
    """The type of a value as Relay has it, in the order in which it is stored.

    Raises:
        Refusal: it has a dimension that is not known, or an element type that Relay lacks, or a
            layout with blocks that are not full.
    """
    shape = tuple(dim for dim in type_.shape if isinstance(dim, int))
    if len(shape) != type_.rank:
        raise Refusal("dimensions that are not bound")
    return Tensor(stored_shape(shape, layout_of(type_)), relay_dtype(type_.dtype))


def _require_order(type_: TensorType) -> None:
    """Let no layout cross the border of a model, whose callers know of none."""
    if layout_of(type_) is not None:
        raise Refusal(f"a tensor in {type_.layout}")


@dataclass
class _Lowering:
    module: Module
    builder: Builder
    choices: Choices
    refused: list[_Refused] = field(default_factory=list)
    terms: dict[Value, Term] = field(default_factory=dict)
    checks: list[Term] = field(default_factory=list)

    def run(self) -> Lowered:
        main = self.module.main
        names = {}
        for name, arg in zip(main.arg_names, main.args):
            try:
                _require_order(arg.type)
                term = self.builder.input(name, relay_type(arg.type), arg.type.dtype)
            except Refusal as refusal:
                self.refused.append(_Refused(f"input {clip(name)}", str(refusal)))
                continue
            self.terms[arg] = term
            names[name] = self.builder.inputs[-1].name
        self.block(main.body)
        for name, value in zip(main.result_names, main.results):
            try:
                _require_order(value.type)
            except Refusal as refusal:
                self.refused.append(_Refused(f"output {clip(name)}", str(refusal)))
        if self.refused:
            raise _refusal(self.refused, self.builder.version)
        results = [self.terms[value] for value in main.results]
        if self.checks:
            results.append(reduce(partial(self.builder.call, "logical_and"), self.checks))
        body, type_ = self.builder.close(results)
        body = tidy(body)
        constants = self.builder.constants(variables(body))
        types = self.builder.parameter_types()
        parameters = [Parameter(name, types[name]) for name in constants]
        function = Function("main", (*self.builder.inputs, *parameters), type_, body)
        return Lowered(function, constants, names, bool(self.checks))

    def block(self, block: Block) -> None:
        """Write the ops of a block; what reads the results of a refused one is left out."""
        for op in block:
            if op.is_terminator:
                continue
            if not all(value in self.terms for value in op.inputs):
                self.probe(op)
                continue
            try:
                terms = self.op(op)
            except Refusal as refusal:
                self.refuse(op, str(refusal))
                continue
            for value, term in zip(op.results, terms):
                self.bind(value, term)

    def refuse(self, op: Op, reason: str) -> None:
        places = tuple(map(str, op.location.sources))
        self.refused.append(_Refused(op.name, reason, places))

    def probe(self, op: Op) -> None:
        """Note an op behind a refused one that could not be written either."""
        try:
            self.lowering(op)
            for value in op.results:
                relay_type(value.type)
        except Refusal as refusal:
            self.refuse(op, str(refusal))

    def bind(self, value: Value, term: Term) -> None:
        if term.type != relay_type(value.type):
            raise InternalError(f"{value} of {value.op} is written as {term.type}")
        self.terms[value] = replace(term, dtype=value.type.dtype)

    def op(self, op: Op) -> list[Term]:
        constant = op.results[0].constant if op.results else None
        if constant is not None:
            layout = layout_of(op.results[0].type)
            data = constant if layout is None else Constant(layout.store(constant.array))
            return [self.builder.constant(data, op.results[0].name or "")]
        types = [relay_type(value.type) for value in op.results]
        if types and all(0 in type_.shape for type_ in types):  # TVM has no loops over nothing
            empty = [
                np.zeros(type_.shape, value.type.dtype.numpy)
                for type_, value in zip(types, op.results)
            ]
            return list(map(self.builder.array, empty))
        operands = [None if value is None else self.terms[value] for value in op.operands]
        context = Context(op, self.builder, self, operands, self.choices)
        result = self.lowering(op)(context)
        return [result] if isinstance(result, Term) else list(result)

    def lowering(self, op: Op) -> Lowering:
        found = find_lowering(op.name)
        if found is not None:
            laid_out = [v.type for v in (*op.inputs, *op.results) if layout_of(v.type) is not None]
            if laid_out and not takes_layouts(op.name):
                raise Refusal(f"a tensor in {laid_out[0].layout}")
            return found
        if isinstance(op.opdef, ElementwiseOp):
            return elementwise
        raise Refusal("there is no lowering for it")

    def check(self, holds: Term) -> None:
        """Let the model say whether a condition held."""
        self.checks.append(holds)

    def inline(self, block: Block, arguments: Sequence[Term]) -> list[Term]:
        """The ops of a region among those around it."""
        self.terms.update(zip(block.args, arguments))
        self.block(block)
        missing = [value for value in block.results if value not in self.terms]
        if missing:
            raise Refusal("its region cannot be written")
        return [self.terms[value] for value in block.results]
