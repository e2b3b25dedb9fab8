"""Copies of a module with parts left out or made smaller: what the reducer tries.

A :class:`Change` says how the copy differs; :func:`rebuild` makes it with the builder, so that all
types are inferred anew, and a change that does not fit together is an error instead of a module.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from burnish.ir import (
    UNKNOWN,
    Array,
    AttributeValue,
    Block,
    Builder,
    Constant,
    Function,
    InternalError,
    Module,
    Op,
    Quantized,
    TensorType,
    Trait,
    Value,
)
from burnish.ir.attributes import DIM, DIMS
from burnish.ir.clone import clone_function
from burnish.ir.dims import Dim, DimExpr, symbols_of
from burnish.ir.sizes import defined_symbol, symbols_used

NOTHING, INPUT, OPERAND, CONSTANT, INLINE = "nothing", "input", "operand", "constant", "inline"
"""What stands for the results of an op that is left out: nothing, new inputs, an operand of the
same type, ones, or (of an op with regions) the ops of its first region."""

Sizes = Callable[[tuple[Dim, ...]], tuple[Dim | None, ...]]
"""New sizes for a shape; None for an axis that goes away."""


def same(shape: tuple[Dim, ...]) -> tuple[Dim | None, ...]:
    """No change of sizes."""
    return shape


@dataclass(frozen=True)
class Change:
    """How a copy of a function differs from it.

    Attributes:
        cut: ops that are left out, with what stands for their results.
        results: positions of the results that stay; None for all.
        returned: values that are returned instead of results.
        arguments: new types of inputs.
        merged: inputs that go away, with those that stand for them.
        sizes: of everything else: of inputs, constants, and dimensions in attributes.
        constants: new data of constants.
        attributes: names of attributes, per op, that get their defaults.
        tidy: leave out unused inputs, other functions, names, locations and descriptions.
    """

    cut: Mapping[Op, str] = field(default_factory=dict)
    results: tuple[int, ...] | None = None
    returned: tuple[Value, ...] | None = None
    arguments: Mapping[Value, TensorType] = field(default_factory=dict)
    merged: Mapping[Value, Value] = field(default_factory=dict)
    sizes: Sizes = same
    constants: Mapping[Op, Array] = field(default_factory=dict)
    attributes: Mapping[Op, Collection[str]] = field(default_factory=dict)
    tidy: bool = False


def rebuild(module: Module, change: Change) -> Module:
    """A copy of ``module`` whose entry function is changed.

    Raises:
        Error: the change gives ops operands that do not fit.
    """
    return _Rebuild(module, change).run()


def rebuild_with_inputs(
    module: Module, change: Change, known: Mapping[Value, Array]
) -> tuple[Module, dict[str, Array]]:
    """A changed copy, and its inputs: what they were, cut to fit where sizes change.

    ``known`` has the old inputs, and results that become inputs.

    Raises:
        Error: the change gives ops operands that do not fit.
        InternalError: an input would have to be larger than it was.
        KeyError: what a new input is, is not known.
    """
    copier = _Rebuild(module, change)
    return copier.run(), copier.arrays(known)


def unused_ops(block: Block) -> dict[Op, str]:
    """A cut of the ops that no result depends on, and that define no size which others need."""
    unused: dict[Op, str] = {}
    needed: set[str] = set()
    for op in reversed(block):
        used = any(user not in unused for result in op.results for user in result.users)
        if used or op.is_terminator or defined_symbol(op) in needed:
            needed.update(*map(symbols_used, op.walk()))
        else:
            unused[op] = NOTHING
    return unused


class _Rebuild:
    def __init__(self, module: Module, change: Change) -> None:
        self._module = module
        self._change = change
        self._inputs: list[tuple[Value, TensorType]] = []

    def run(self) -> Module:
        source, change = self._module.main, self._change
        self._choose_inputs(source)
        names = self._input_names()
        body = Block([type_ for _, type_ in self._inputs], names)
        values = {old: new for (old, _), new in zip(self._inputs, body.args)}
        values.update((old, values[new]) for old, new in change.merged.items())
        builder = Builder(body)
        self._ops(source.body, builder, values)
        returned, result_names = self._results(source)
        builder.location = source.body.terminator.location
        builder.ret(*(values[value] for value in returned))
        copy = Function(source.name, body, result_names)
        if change.tidy:
            used = {s for arg in body.args for dim in arg.type.shape for s in symbols_of(dim)}
            symbols = {k: v for k, v in self._module.symbols.items() if k in used}
            return Module("reduced", [copy], symbols)
        others = [f for f in self._module.functions.values() if f is not source]
        return Module(
            self._module.name,
            [copy, *map(clone_function, others)],
            self._module.symbols,
            self._module.metadata,
        )

    def arrays(self, known: Mapping[Value, Array]) -> dict[str, Array]:
        """The inputs of the copy, given those of the original, and results in their place."""
        made: dict[str, Array] = {}
        for (old, type_), name in zip(self._inputs, self._input_names()):
            array = known[old]
            shape = self._change.sizes(self._change.arguments.get(old, old.type).shape)
            made[name] = _first_elements(array, shape)
            wanted = [dim if isinstance(dim, int) else -1 for dim in type_.shape]
            if any(w not in (-1, size) for w, size in zip(wanted, made[name].shape)):
                raise InternalError("an input grows")
        return made

    def _choose_inputs(self, source: Function) -> None:
        """The old inputs, and a new one for every result that is cut to become one."""
        for arg in source.args:
            if arg in self._change.merged or (self._change.tidy and not arg.use_count):
                continue
            type_ = self._change.arguments.get(arg, arg.type)
            self._inputs.append((arg, _resized(type_, self._change.sizes)))
        for op, how in self._change.cut.items():
            if how == INPUT:
                for value in op.results:
                    if any(user not in self._change.cut for user in value.users):
                        self._inputs.append((value, _resized(value.type, self._change.sizes)))

    def _input_names(self) -> list[str]:
        names: list[str] = []
        for value, _ in self._inputs:
            base = "" if self._change.tidy else (value.name or "")
            name, serial = base or f"x{len(names)}", 0
            while name in names:
                serial += 1
                name = f"{base or 'x'}_{serial}"
            names.append(name)
        return names

    def _results(self, source: Function) -> tuple[tuple[Value, ...], tuple[str, ...]]:
        change = self._change
        if change.returned is not None:
            return change.returned, tuple(f"r{i}" for i in range(len(change.returned)))
        kept = range(len(source.results)) if change.results is None else change.results
        results = source.results
        if change.tidy:
            return tuple(results[i] for i in kept), tuple(f"r{i}" for i in range(len(kept)))
        return tuple(results[i] for i in kept), tuple(source.result_names[i] for i in kept)

    def _ops(self, block: Block, builder: Builder, values: dict[Value, Value]) -> None:
        terminator = block.terminator
        for op in block:
            if op is terminator:
                return
            how = self._change.cut.get(op)
            if how is None:
                self._copy(op, builder, values)
            else:
                self._replace(op, how, builder, values)

    def _replace(self, op: Op, how: str, builder: Builder, values: dict[Value, Value]) -> None:
        """Let something else stand for the results of ``op``, where they are used."""
        if how in (NOTHING, INPUT):
            return  # inputs are among the values already
        if how == INLINE:
            region = op.regions[0]
            offset = len(op.operands) - len(region.args)
            inner = {
                a: values[v] for a, v in zip(region.args, op.operands[offset:]) if v is not None
            }
            self._ops(region, builder, inner)
            results = region.results[len(region.results) - len(op.results) :]
            values.update(zip(op.results, (inner[value] for value in results)))
            return
        for result in op.results:
            if not result.use_count:
                continue
            if how == OPERAND:
                alike = [v for v in op.inputs if v.type == result.type]
                if not alike:
                    raise InternalError("no operand has the type of the result")
                values[result] = values[alike[0]]
            else:
                type_ = _resized(result.type, self._change.sizes)
                ones = np.ones(type_.static_shape, type_.dtype.numpy)
                values[result] = builder.constant(ones, encoding=type_.encoding)

    def _copy(self, op: Op, builder: Builder, values: dict[Value, Value]) -> None:
        change = self._change
        operands = [None if v is None else values[v] for v in op.operands]
        regions = [self._region(region) for region in op.regions]
        default = change.attributes.get(op, ())
        attributes = {k: v for k, v in op.attributes.items() if k not in default}
        for name, spec in op.opdef.attributes.items():
            if name in attributes and spec.kind in (DIM, DIMS):
                attributes[name] = _resized_dims(attributes[name], change.sizes)
        if Trait.CONSTANT in op.opdef.traits:
            handle = op.result.constant
            assert handle is not None
            attributes["value"] = self._constant(op)
        hints = [None if change.tidy else value.name for value in op.results]
        builder.location = UNKNOWN if change.tidy else op.location
        made = builder.create(op.name, operands, attributes, regions=regions, names=hints)
        values.update(zip(op.results, made.results))

    def _region(self, region: Block) -> Block:
        types = [_resized(arg.type, self._change.sizes) for arg in region.args]
        block = Block(types, [None if self._change.tidy else arg.name for arg in region.args])
        values = dict(zip(region.args, block.args))
        builder = Builder(block)
        self._ops(region, builder, values)
        terminator = region.terminator
        builder.create(terminator.name, [values[value] for value in terminator.inputs])
        return block

    def _constant(self, op: Op) -> Constant:
        handle = op.result.constant
        assert handle is not None
        data = self._change.constants.get(op)
        if data is None and self._change.sizes is same:
            return handle
        array = handle.array if data is None else data
        return Constant(_resized_array(array, self._change.sizes))


def _resized_dims(value: AttributeValue, sizes: Sizes) -> AttributeValue:
    """An attribute that is a dimension, or a list of one per axis."""
    if isinstance(value, tuple):
        dims = tuple(dim for dim in value if isinstance(dim, (int, DimExpr)))
        return tuple(dim for dim in sizes(dims) if dim is not None)
    assert isinstance(value, (int, DimExpr))
    (changed,) = sizes((value,))
    return value if changed is None else changed


def _resized(type_: TensorType, sizes: Sizes) -> TensorType:
    """The type with other sizes; scales along an axis that shrinks are cut."""
    if sizes is same:
        return type_
    shape = sizes(type_.shape)
    encoding = type_.encoding
    if isinstance(encoding, Quantized) and encoding.axis is not None:
        count = shape[encoding.axis]
        if not isinstance(count, int):
            raise InternalError("an axis with scales goes away")
        encoding = Quantized(
            encoding.scale[:count],
            encoding.zero_point[:count],
            encoding.axis,
            encoding.block,
            encoding.dtype,
        )
    kept = tuple(dim for dim in shape if dim is not None)
    return TensorType(
        kept, type_.dtype, None if len(kept) != type_.rank else type_.layout, encoding
    )


def _resized_array(array: Array, sizes: Sizes) -> Array:
    return _first_elements(array, sizes(array.shape))


def _first_elements(array: Array, shape: tuple[Dim | None, ...]) -> Array:
    """As many elements along every axis as ``shape`` says."""
    index = tuple(
        0 if new is None else slice(0, new) if isinstance(new, int) else slice(None)
        for new in shape
    )
    return np.asarray(array[index], order="C")
