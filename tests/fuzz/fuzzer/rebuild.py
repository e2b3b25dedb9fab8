"""Modules built anew from parts of others, with sizes or data changed.

Everything that changes a random graph is one function: constants become arguments, a size becomes
a symbol or a smaller size, a graph is cut down to what some value needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from burnish.ir import (
    Array,
    Block,
    Builder,
    Constant,
    Dim,
    Error,
    Module,
    Op,
    TensorType,
    Value,
    build_function,
    symbol,
)
from burnish.ir.attributes import DIM, DIMS, INTS
from burnish.ir.clone import clone_block
from burnish.ir.dims import evaluate

Change = Callable[[Dim], Dim]


def _same(dim: Dim) -> Dim:
    return dim


def needed(results: Sequence[Value], cut: Sequence[Value] = ()) -> list[Op]:
    """The ops that ``results`` depend on, in order; nothing beyond ``cut``.

    The op that defines a symbol of their types is one of them.
    """
    if not results:
        return []
    stop, wanted = set(cut), set()
    waiting = [v for v in results if v not in stop]
    block = results[0].block
    makers = {s: op for op in block for s in [_defined(op)] if s}
    while waiting:
        op = waiting.pop().op
        if op is None or op in wanted:
            continue
        wanted.add(op)
        waiting += [v for v in op.inputs if v not in stop]
        text = " ".join(str(v.type) for v in op.results) + str(dict(op.attributes))
        for name, definer in makers.items():
            if name in text and definer not in wanted:
                waiting.append(definer.results[0])
    return [op for op in block if op in wanted]


def _defined(op: Op) -> str | None:
    size = op.attributes.get("size") if op.opdef.traits else None
    return str(size) if size is not None and not isinstance(size, int) else None


def rebuild(
    module: Module,
    inputs: Mapping[str, Array],
    *,
    results: Sequence[Value] | None = None,
    cut: Sequence[Value] = (),
    arrays: Mapping[Value, Array] | None = None,
    dim: Change = _same,
    array: Callable[[Array], Array] = lambda x: x,
    also: Change | None = None,
) -> tuple[Module, dict[str, Array]]:
    """A copy of what ``results`` need, and its inputs.

    The values of ``cut`` become arguments, whose inputs are ``arrays`` (constants know theirs).
    ``dim`` changes each dimension of arguments, and of attributes that list dimensions (``also``:
    of other lists of integers); ``array`` changes constants and inputs to fit.

    Raises:
        Error: the ops do not fit together any more.
    """
    old = module.main
    results = list(old.results) if results is None else list(results)
    ops = needed(results, cut)
    used = {v for op in ops for v in op.inputs} | set(results)
    kept = [arg for arg in old.args if arg in used and arg not in cut]
    new_inputs = {arg.name or "": array(inputs[arg.name or ""]) for arg in kept}
    types = {arg.name or "": _changed(arg.type, dim) for arg in kept}
    taken = dict.fromkeys(kept)
    for value in cut:
        if value in used and value not in taken:
            name = _fresh(types)
            types[name] = _changed(value.type, dim)
            known = (arrays or {}).get(value)
            constant = value.constant
            assert known is not None or constant is not None
            new_inputs[name] = array(known if known is not None else constant.array)  # type: ignore[union-attr]
            taken[value] = None
    fresh = Module(module.name, symbols=dict(module.symbols))
    names = (
        [n for n, v in zip(old.result_names, old.results)] if results == list(old.results) else []
    )
    names = names or [f"r{i}" for i in range(len(results))]
    function, builder = build_function(fresh, "main", types, names)
    values = dict(zip(taken, function.args))
    for op in ops:
        _copy(op, builder, values, dim, also or _same, array)
    builder.ret(*(values[v] for v in results))
    return fresh, new_inputs


def _fresh(types: Mapping[str, TensorType]) -> str:
    number = len(types)
    while f"x{number}" in types:
        number += 1
    return f"x{number}"


def _changed(type_: TensorType, dim: Change) -> TensorType:
    shape = tuple(dim(d) for d in type_.shape)
    return TensorType(shape, type_.dtype, type_.layout, type_.encoding)


def _copy(
    op: Op,
    builder: Builder,
    values: dict[Value, Value],
    dim: Change,
    also: Change,
    array: Callable[[Array], Array],
) -> None:
    operands = [None if v is None else values[v] for v in op.operands]
    regions: list[Block] = [clone_block(region) for region in op.regions]
    attributes = _attributes(op, dim, also)
    if op.name == "core.constant":
        value = op.attributes["value"]
        assert isinstance(value, Constant)
        attributes["value"] = Constant(array(value.array))
    copy = builder.create(op.name, operands, attributes, regions=regions)
    values.update(zip(op.results, copy.results))


def _attributes(op: Op, dim: Change, also: Change) -> dict[str, Any]:
    changed: dict[str, Any] = dict(op.attributes)
    for name, spec in op.opdef.attributes.items():
        value: Any = changed[name]
        if spec.kind is DIM:
            changed[name] = dim(value)
        elif spec.kind is DIMS:
            changed[name] = tuple(dim(d) for d in value)
        elif spec.kind is INTS:
            changed[name] = tuple(also(d) for d in value)
    return changed


def symbolized(module: Module, size: int, name: str, bounds: tuple[int, int]) -> Module | None:
    """The module with each dimension ``size`` of arguments a symbol; None where that fails."""
    shapes = [v.type.shape for v in module.main.results]
    inputs = {a.name or "": np.zeros(0) for a in module.main.args}

    def dim(old: Dim) -> Dim:
        return symbol(name) if old == size else old

    try:
        made, _ = rebuild(module, inputs, dim=dim)
        found = [tuple(evaluate(d, {name: size}) for d in v.type.shape) for v in made.main.results]
    except Error:
        return None
    except (KeyError, TypeError):  # the size of something that an op finds
        return None
    if found != shapes or len(made.main.args) != len(module.main.args):
        return None
    made.symbols[name] = bounds
    return made
