"""Structural copies of blocks, functions and modules.  Constant data is never copied."""

from __future__ import annotations

from collections.abc import Mapping

from .core import Block, Function, Module, Op, Value
from .dims import Dim


def clone_op(op: Op, values: dict[Value, Value], binding: Mapping[str, Dim] | None = None) -> Op:
    """A detached copy of ``op`` with operands looked up in ``values``, which learns its results.

    ``binding`` replaces symbols in attributes and types on the way.
    """
    binding = binding or {}
    operands = [None if v is None else values[v] for v in op.operands]
    regions = [clone_block(region, binding) for region in op.regions]
    attributes = op.attributes.substitute(binding) if binding else op.attributes
    types = [t.substitute(binding) for t in op.result_types]
    names = [result.name for result in op.results]
    copy = Op(op.opdef, operands, attributes, types, regions, op.location, names)
    values.update(zip(op.results, copy.results))
    return copy


def clone_block(block: Block, binding: Mapping[str, Dim] | None = None) -> Block:
    """A copy of a block with everything in it."""
    types = [arg.type.substitute(binding or {}) for arg in block.args]
    copy = Block(types, [arg.name for arg in block.args])
    values = dict(zip(block.args, copy.args))
    for op in block:
        copy._insert(clone_op(op, values, binding), None)
    return copy


def clone_function(function: Function, binding: Mapping[str, Dim] | None = None) -> Function:
    """A copy of a function, in no module."""
    return Function(function.name, clone_block(function.body, binding), function.result_names)


def clone_module(module: Module) -> Module:
    """A copy that can be rewritten without touching the original."""
    functions = [clone_function(f) for f in module.functions.values()]
    return Module(module.name, functions, module.symbols, module.metadata)
