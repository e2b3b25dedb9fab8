"""A module of the IR as a Relax module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.ir import Module, Op
from burnish.ir.errors import UnsupportedError, clip

from ..names import Names
from .lowering import Lowering, find_lowering, unsupported
from .package import tvm_package
from .refusal import Refusal


@dataclass(frozen=True)
class Written:
    """What a module became.

    ``module`` is the ``tvm.IRModule``, whose function ``main`` takes the inputs and returns a tuple
    of the outputs; ``inputs`` are what inputs of the IR are called in its text.  ``checked`` says
    that there is one more result, which tells whether all checks at run time held.
    """

    module: Any
    inputs: Mapping[str, str]
    checked: bool


def write_module(module: Module, device: str = "cpu", dtype: str = "") -> Written:
    """The entry function of ``module`` in Relax.

    Raises:
        UnsupportedError: ops or inputs that Relax cannot express, all named.
        ToolchainError: apache-tvm is not installed.
    """
    tvm = tvm_package()
    builder = tvm.relax.BlockBuilder()
    lowering = Lowering(builder, device, dtype)
    main = module.main
    names = Names()
    inputs = {name: names.take(_identifier(name)) for name in main.arg_names}
    parameters = []
    for name, arg in zip(main.arg_names, main.args):
        try:
            type_ = lowering.type(arg.type)
        except Refusal as refusal:
            raise UnsupportedError(f"Relax cannot express input {clip(name)}: {refusal}") from None
        lowering.exprs[arg] = tvm.relax.Var(inputs[name], type_)
        parameters.append(lowering.exprs[arg])
    with builder.function("main", parameters):
        with builder.dataflow():
            _write_ops(lowering, [op for op in main.body if not op.is_terminator])
            results = [lowering.exprs[value] for value in main.results]
            if lowering.checks:
                holds = lowering.checks[0]
                for check in lowering.checks[1:]:
                    holds = lowering.emit(tvm.relax.op.logical_and(holds, check))
                results.append(holds)
            result = builder.emit_output(tvm.relax.Tuple(results))
        builder.emit_func_output(result)
    return Written(builder.finalize(), inputs, bool(lowering.checks))


def _write_ops(lowering: Lowering, ops: list[Op]) -> None:
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


def _identifier(name: str) -> str:
    """A name like ``name`` that TVMScript can hold."""
    kept = re.sub(r"[^A-Za-z0-9_]+", "_", name)[:64].strip("_")
    return kept if kept and kept[0].isalpha() else f"v_{kept}"
