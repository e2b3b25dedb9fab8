"""Structural copies of blocks, functions and modules.  Constant data is never copied."""

from __future__ import annotations

from collections.abc import Callable

from .core import Block, Function, Module, Op, Value
from .dims import Dim

Change = Callable[[Dim], Dim]
"""What becomes of each dimension that is not an integer, in attributes and types."""


def _same(dim: Dim) -> Dim:
    return dim


def clone_op(op: Op, values: dict[Value, Value], change: Change = _same) -> Op:
    """A detached copy of ``op`` with operands looked up in ``values``, which learns its results."""
    operands = [None if v is None else values[v] for v in op.operands]
    regions = [clone_block(region, change) for region in op.regions]
    attributes = op.attributes.map_dims(change)
    types = [t.map_dims(change) for t in op.result_types]
    names = [result.name for result in op.results]
    copy = Op(op.opdef, operands, attributes, types, regions, op.location, names)
    values.update(zip(op.results, copy.results))
    return copy


def clone_block(block: Block, change: Change = _same) -> Block:
    """A copy of a block with everything in it."""
    types = [arg.type.map_dims(change) for arg in block.args]
    copy = Block(types, [arg.name for arg in block.args])
    values = dict(zip(block.args, copy.args))
    for op in block:
        copy._insert(clone_op(op, values, change), None)
    return copy


def clone_function(function: Function, change: Change = _same) -> Function:
    """A copy of a function, in no module."""
    return Function(function.name, clone_block(function.body, change), function.result_names)


def clone_module(module: Module) -> Module:
    """A copy that can be rewritten without touching the original."""
    functions = [clone_function(f) for f in module.functions.values()]
    return Module(module.name, functions, module.symbols, module.metadata)
