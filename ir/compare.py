"""Structural equality of modules: same ops in the same order, same types, same data."""

from __future__ import annotations

from .core import Block, Function, Module, Op, Value


def modules_equal(a: Module, b: Module) -> bool:
    """Whether two modules are equal but for name hints of inner values."""
    return (
        a.name == b.name
        and a.symbols == b.symbols
        and a.metadata == b.metadata
        and a.functions.keys() == b.functions.keys()
        and all(functions_equal(f, b.functions[name]) for name, f in a.functions.items())
    )


def functions_equal(a: Function, b: Function) -> bool:
    """Whether two functions have the same signature, names included, and body."""
    return (
        a.name == b.name
        and a.arg_names == b.arg_names
        and a.result_names == b.result_names
        and blocks_equal(a.body, b.body)
    )


def blocks_equal(a: Block, b: Block) -> bool:
    """Whether two blocks do the same, op by op."""
    if len(a) != len(b) or [v.type for v in a.args] != [v.type for v in b.args]:
        return False
    values: dict[Value, Value] = dict(zip(a.args, b.args))
    return all(_ops_equal(x, y, values) for x, y in zip(a, b))


def _ops_equal(a: Op, b: Op, values: dict[Value, Value]) -> bool:
    same = (
        a.opdef is b.opdef
        and a.attributes == b.attributes
        and a.result_types == b.result_types
        and a.location == b.location
        and len(a.operands) == len(b.operands)
        and all(
            (x is None and y is None) or (x is not None and values[x] is y)
            for x, y in zip(a.operands, b.operands)
        )
        and len(a.regions) == len(b.regions)
        and all(blocks_equal(x, y) for x, y in zip(a.regions, b.regions))
    )
    if same:
        values.update(zip(a.results, b.results))
    return same
