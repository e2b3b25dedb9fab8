"""The reference interpreter: the meaning of a module, by NumPy, op by op.

It is the oracle of passes and backends, so it is plain: every op is evaluated by its
definition, values are dropped when their last user is done, and each result is checked
against its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from .attributes import Attributes
from .binding import bind_shapes
from .constants import Array
from .core import Block, Function, Module, Op, Value
from .dims import Dim, DimExpr, Interval, evaluate, plain_symbol, symbols_of
from .dtypes import DType
from .errors import (
    Error,
    InputError,
    InternalError,
    TypeInferenceError,
    clip,
    memory_errors,
)
from .opdef import OpDef, OperandTypes, RegionFunction
from .sizes import defined_symbol
from .types import TensorType

Observer = Callable[[Op, Sequence[Array]], None]
Evaluation = Callable[[Sequence[Array | None]], list[Array]]
Around = Callable[[Op, Sequence[Array | None], Evaluation], list[Array]]
"""Evaluates an op in the interpreter's stead, with the help of what evaluates it on operands."""


def interpret(
    module: Module,
    inputs: Mapping[str, Array],
    *,
    function: str = "main",
    observe: Observer | None = None,
    around: Around | None = None,
    max_regions: int | None = None,
) -> dict[str, Array]:
    """Run a function of ``module`` on arrays by name; results by name.

    Symbolic dimensions take their sizes from the inputs, or from the op that defines them.
    ``observe`` sees every op with its results (not those of nested regions).  ``around`` gives
    the results of every op, nested ones included.  ``max_regions`` bounds how often regions are
    run, which are the iterations of all loops together and the branches taken: a trip count may be
    an input, and any number.

    Raises:
        InputError: a missing, unknown or ill-typed input, an index out of range, data that is
            not what the types promise, a size outside its range, or more than ``max_regions``.
    """
    target = module.functions[function]
    arrays, binding = bind_inputs(target, inputs, module.symbols)
    regions = _Allowance(max_regions)
    results = _Frame(binding, observe, module.symbols, around, regions).run(target.body, arrays)
    return dict(zip(target.result_names, results))


def named_arrays(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """``inputs`` as arrays by name.

    Raises:
        InputError: it is no mapping, a name is no text, or a value is no array.
    """
    if not isinstance(inputs, Mapping):
        raise InputError(
            f"inputs are of type {type(inputs).__name__}, must be a dict of arrays by name"
        )
    arrays: dict[str, Array] = {}
    for name, value in inputs.items():
        if not isinstance(name, str):
            raise InputError(f"the name of an input is {clip(repr(name))}, must be text")
        try:
            arrays[name] = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise InputError(f'input "{clip(name)}" is no array: {clip(str(error))}') from None
    return arrays


def bind_inputs(
    function: Function,
    inputs: Mapping[str, Array],
    symbols: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[list[Array], dict[str, int]]:
    """Check ``inputs`` against the signature; arrays in argument order and sizes of symbols.

    Raises:
        InputError: names, element types or shapes do not fit, or sizes contradict each other.
    """
    inputs = named_arrays(inputs)
    names = function.arg_names
    missing = [name for name in names if name not in inputs]
    unknown = [name for name in inputs if name not in names]
    if missing or unknown:
        said = [f'"{clip(n)}" is missing' for n in missing]
        said += [f'"{clip(n)}" is unknown' for n in unknown]
        expected = ", ".join(f'"{clip(n)}"' for n in names) or "none"
        raise InputError(f"inputs: {', '.join(said)}", help=f"the inputs are {expected}")
    arrays = []
    for name, value in zip(names, function.args):
        _check_dtype(name, inputs[name], value.type)
        arrays.append(inputs[name])
    binding = bind_shapes(
        {name: (v.type.shape, inputs[name].shape) for name, v in zip(names, function.args)}
    )
    for symbol, (low, high) in (symbols or {}).items():
        if symbol in binding and not low <= binding[symbol] <= high:
            raise InputError(
                f'dimension "{clip(symbol)}" is {binding[symbol]}, declared as {low}..{high}'
            )
    return arrays, binding


def _check_dtype(name: str, array: Array, type_: TensorType) -> None:
    if array.dtype != type_.dtype.numpy:
        raise InputError(
            f'input "{clip(name)}" is {array.dtype}, must be {type_.dtype.numpy}',
            help=f"convert it: array.astype({str(type_.dtype.numpy)!r})",
        )


def evaluate_op(
    op: Op, operands: Sequence[Array | None], binding: Mapping[str, int] | None = None
) -> list[Array]:
    """Results of one op on arrays (None for absent operands)."""
    return _Frame(dict(binding or {})).evaluate(op, operands)


def evaluate_definition(
    opdef: OpDef,
    attributes: Attributes,
    types: OperandTypes,
    operands: Sequence[Array | None],
) -> Sequence[Array]:
    """Results of an op without regions that need not exist; ``types`` are those of the operands."""
    specs = list(opdef.operands.values())
    padded = [*operands, *[None] * (len(specs) - len(operands))]
    if len(padded) > len(operands) and specs[-1].variadic:
        padded = padded[: max(len(operands), len(specs) - 1)]
    result = opdef.evaluate_typed(attributes, types, padded)
    return [result] if isinstance(result, (np.ndarray, np.generic)) else result


class _Allowance:
    """How many more regions may be run."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0

    def take(self) -> None:
        """One more.

        Raises:
            InputError: there were as many as may be.
        """
        if self._taken == self._limit:
            raise InputError(f"loops run for more than {self._limit} iterations")
        self._taken += 1


class _Frame:
    """One run of a function: the sizes of symbols and their ranges, and who watches."""

    def __init__(
        self,
        binding: dict[str, int],
        observe: Observer | None = None,
        ranges: Mapping[str, Interval] | None = None,
        around: Around | None = None,
        allowance: _Allowance | None = None,
    ) -> None:
        self._binding: dict[str, int] = binding
        self._observe = observe
        self._ranges = ranges or {}
        self._around = around
        self._allowance = allowance or _Allowance(None)

    def run(self, block: Block, arguments: Sequence[Array]) -> list[Array]:
        values: dict[Value, Array] = dict(zip(block.args, arguments))
        remaining = {arg: arg.use_count for arg in block.args}
        terminator = block.terminator
        for op in block:
            if op is terminator:
                break
            operands = [None if v is None else values[v] for v in op.operands]
            if self._around is None:
                results = self.evaluate(op, operands)
            else:
                results = self._around(op, operands, partial(self.evaluate, op))
            if self._observe is not None:
                self._observe(op, results)
            for value, array in zip(op.results, results):
                values[value] = array
                remaining[value] = value.use_count
            for value in op.inputs:
                remaining[value] -= 1
                if not remaining[value]:
                    values.pop(value, None)
        return [values[value] for value in terminator.inputs]

    def evaluate(self, op: Op, operands: Sequence[Array | None]) -> list[Array]:
        attributes = op.attributes
        defined = defined_symbol(op)
        if defined is not None:
            self._binding.pop(defined, None)  # in a loop each iteration finds another size
        if self._binding:
            sizes: dict[str, Dim] = dict(self._binding)
            attributes = attributes.substitute(sizes)
        try:
            self._check_sizes(op, attributes)
            with memory_errors():
                results = self._apply(op, attributes, operands)
        except Error as error:
            raise error.located(str(op.location) if op.location else op.name) from None
        if defined is not None:
            self._define(op, defined, results)
        # A loop that never ran has no scans to tell their shapes.
        results = [*results, *map(self._nothing, op.result_types[len(results) :])]
        return [
            self._checked(op, np.asarray(array), value.type)
            for array, value in zip(results, op.results)
        ]

    def _nothing(self, type_: TensorType) -> Array:
        """An array of a type of which the first axis is empty."""
        shape = [dim if isinstance(dim, int) else self._size(dim) or 0 for dim in type_.shape]
        return np.zeros([0, *shape[1:]], type_.dtype.numpy)

    def _check_sizes(self, op: Op, attributes: Attributes) -> None:
        """Refuse sizes known now that the op is not defined for.

        Raises:
            InputError: they do not fit together, or not the parameters of a quantization.
        """
        if not self._binding or all(v.type.is_static for v in (*op.inputs, *op.results)):
            return
        sizes: dict[str, Dim] = dict(self._binding)
        try:
            types = [None if t is None else t.substitute(sizes) for t in op.operand_types]
            results = [t.substitute(sizes) for t in op.result_types]
            if not op.regions:
                op.opdef.result_types(attributes, types)
            problems = [t.problem() for t in (*types, *results) if t is not None]
        except TypeInferenceError as error:
            problems = [error.message]
        for problem in filter(None, problems):
            shown = ", ".join(f'"{clip(name)}" = {size}' for name, size in self._binding.items())
            raise InputError(f"the sizes {clip(shown, 200)} do not fit: {problem}")

    def _apply(
        self, op: Op, attributes: Attributes, operands: Sequence[Array | None]
    ) -> Sequence[Array]:
        if op.regions:
            regions: list[RegionFunction] = [self._region(region) for region in op.regions]
            return op.opdef.evaluate_regions(attributes, operands, regions)
        return evaluate_definition(op.opdef, attributes, op.operand_types, operands)

    def _define(self, op: Op, symbol: str, results: Sequence[Array]) -> None:
        """Bind the symbol that ``op`` defines to the size that its results have.

        Raises:
            InputError: the size is outside the symbol's range.
        """
        size = next(
            np.asarray(array).shape[axis]
            for array, value in zip(results, op.results)
            for axis, dim in enumerate(value.type.shape)
            if plain_symbol(dim) == symbol
        )
        low, high = self._ranges.get(symbol, (0, size))
        if not low <= size <= high:
            raise InputError(
                f'dimension "{clip(symbol)}" is {size}, declared as {low}..{high}',
                at=str(op.location) if op.location else op.name,
            )
        self._binding[symbol] = size

    def _region(self, region: Block) -> RegionFunction:
        inner = _Frame(self._binding, None, self._ranges, self._around, self._allowance)

        def run(*arguments: Array) -> list[Array]:
            self._allowance.take()
            return inner.run(region, arguments)

        return run

    def _checked(self, op: Op, array: Array, type_: TensorType) -> Array:
        dtype = DType.from_numpy(array.dtype)
        expected = tuple(dim if isinstance(dim, int) else self._size(dim) for dim in type_.shape)
        shape_fits = len(expected) == array.ndim and all(
            e is None or e == size for e, size in zip(expected, array.shape)
        )
        if dtype is not type_.dtype or not shape_fits:
            raise InternalError(
                f"{op.name} at {op.location} evaluated to {dtype}{list(array.shape)}, "
                f"but its type is {type_}"
            )
        return array

    def _size(self, dim: DimExpr) -> int | None:
        if symbols_of(dim) <= self._binding.keys():
            return evaluate(dim, self._binding)
        return None
