"""A module of the IR as a Relax module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.ir import Module, Op, TensorType
from burnish.ir.dims import symbol
from burnish.ir.errors import UnsupportedError, clip

from ..names import Names
from .lowering import Lowering, find_lowering, script_name, unsupported
from .package import tvm_package
from .partition import Part, RegionPart
from .refusal import Refusal
from .regions import Region


@dataclass(frozen=True)
class Written:
    """What a module became.

    ``module`` is the ``tvm.IRModule``, whose function ``main`` takes the inputs and returns the
    output, or a tuple of several; ``inputs`` are what inputs of the IR are called in its text.
    ``checked`` says that there is one more result, which tells whether all checks at run time held.
    """

    module: Any
    inputs: Mapping[str, str]
    checked: bool


def write_module(
    module: Module, parts: Sequence[Part] | None = None, device: str = "cpu", dtype: str = ""
) -> Written:
    """The entry function of ``module`` in Relax; by default all ops are lowered.

    Raises:
        UnsupportedError: ops or inputs that Relax cannot express, all named.
        ToolchainError: apache-tvm is not installed.
    """
    tvm = tvm_package()
    builder = tvm.relax.BlockBuilder()
    lowering = Lowering(builder, device, dtype)
    main = module.main
    if parts is None:
        parts = [[op for op in main.body if not op.is_terminator]]
    names = Names()
    inputs = {name: names.take(script_name(name)) for name in main.arg_names}
    parameters = []
    lowering.define_symbols([arg.type.storage_shape for arg in main.args])
    for name, arg in zip(main.arg_names, main.args):
        try:
            type_ = lowering.type(arg.type)
        except Refusal as refusal:
            raise UnsupportedError(f"Relax cannot express input {clip(name)}: {refusal}") from None
        lowering.exprs[arg] = tvm.relax.Var(inputs[name], type_)
        parameters.append(lowering.exprs[arg])
    with builder.function("main", parameters):
        with builder.dataflow():
            for part in parts:
                if isinstance(part, RegionPart):
                    _write_region(lowering, part)
                else:
                    _write_ops(lowering, part)
            results = [lowering.exprs[value] for value in main.results]
            if lowering.checks:
                holds = lowering.checks[0]
                for check in lowering.checks[1:]:
                    holds = lowering.emit(tvm.relax.op.logical_and(holds, check))
                results.append(holds)
            one = len(results) == 1
            result = builder.emit_output(results[0] if one else tvm.relax.Tuple(results))
        builder.emit_func_output(result)
    written = builder.finalize()
    if lowering.has_unused:
        written = tvm.relax.transform.DeadCodeElimination(["main"])(written)
    return Written(written, inputs, bool(lowering.checks))


def _write_region(lowering: Lowering, part: RegionPart) -> None:
    """Call a function of C; TVM gives it the memory for its results, and what it works in."""
    relax, region = lowering.tvm.relax, part.region
    arguments: list[Any] = [lowering.exprs[value] for value in part.inputs]
    if region.takes_sizes:
        arguments.insert(0, relax.ShapeExpr(lowering.shape(list(map(symbol, region.sizes)))))
    types = []
    for index, value in enumerate(part.outputs):
        room = region.room(index)
        shape = value.type.storage_shape if room is None else (room,)
        types.append(lowering.type(TensorType(shape, value.type.dtype)))
    if region.found:
        types.append(relax.TensorType([len(region.found)], "int64"))
    if region.working_bytes:
        types.append(relax.TensorType([region.working_bytes], "uint8"))
    call = lowering.emit(relax.call_dps_packed(region.symbol, relax.Tuple(arguments), types))
    if len(types) == 1:
        lowering.exprs[part.outputs[0]] = call
        return
    if region.found:
        _define_found(lowering, region, relax.TupleGetItem(call, len(part.outputs)))
    for index, value in enumerate(part.outputs):
        result = lowering.emit(relax.TupleGetItem(call, index))
        if region.room(index) is not None:
            result = _beginning(lowering, result, value.type)
        lowering.exprs[value] = result


def _define_found(lowering: Lowering, region: Region, sizes: Any) -> None:
    """Define the symbols whose values a region has written to the tensor ``sizes``."""
    relax = lowering.tvm.relax
    shape = lowering.emit(relax.op.tensor_to_shape(lowering.emit(sizes)))
    lowering.builder.match_cast(shape, relax.ShapeType(list(map(lowering.define, region.found))))


def _beginning(lowering: Lowering, room: Any, type_: TensorType) -> Any:
    """The tensor at the beginning of a larger one of rank 1, in its memory."""
    relax, result = lowering.tvm.relax, lowering.type(type_)
    view = relax.call_pure_packed("vm.builtin.reshape", room, result.shape, ty_args=result)
    return lowering.emit(view)


def _write_ops(lowering: Lowering, ops: Sequence[Op]) -> None:
    """Write ops one after another.

    Raises:
        UnsupportedError: ops that cannot be written, and those behind them that could not either.
    """
    refused: list[tuple[Op, str]] = []
    for op in ops:
        try:
            if all(value in lowering.exprs for value in op.inputs):
                lowering.op(op)
            else:
                find_lowering(op)
        except Refusal as refusal:
            refused.append((op, str(refusal)))
    if refused:
        raise unsupported(refused)
