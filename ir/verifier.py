"""The verifier: every invariant of the IR, checked on demand.

Groups of checks, in this order; later groups are skipped for an op that failed an earlier one:

1. structure: parent links, exactly one terminator at the end, no op in two blocks;
2. SSA: every operand is defined earlier in the same block (regions are isolated), use lists
   equal operand lists;
3. definition: attributes and arity are what the op's definition says;
4. types: inference gives the result types (up to layout);
5. facets: layouts and encodings fit shapes; sparsity promises hold on the data;
6. signatures: result names are there and distinct, symbols have sane ranges;
7. symbols that ops define: each by one op, before its uses, in no argument, with a range.
"""

from __future__ import annotations

from collections.abc import Iterator

from .core import Block, Function, Module, Op, Value
from .dims import symbols_of
from .errors import Error, VerifyError, clip
from .opdef import Trait
from .sizes import defined_symbol, symbols_used
from .text.printer import op_text
from .types import Sparse, TensorType

MAX_FINDINGS = 20


def verify(module: Module) -> None:
    """Check every invariant of ``module``.

    Raises:
        VerifyError: with up to :data:`MAX_FINDINGS` findings, each naming the op and its node.
    """
    findings: list[str] = []
    for finding in _module_findings(module):
        findings.append(finding)
        if len(findings) >= MAX_FINDINGS:
            break
    if findings:
        raise VerifyError(findings)


def _module_findings(module: Module) -> Iterator[str]:
    for name, (low, high) in module.symbols.items():
        if not 0 <= low <= high:
            yield f"symbol {clip(name)} has the empty or negative range {low}..{high}"
    for name, function in module.functions.items():
        if function.name != name or function.module is not module:
            yield f"function @{function.name} is registered as @{name} or in another module"
        yield from _function_findings(function)
        yield from _symbol_findings(function, module)


def _symbol_findings(function: Function, module: Module) -> Iterator[str]:
    """What is wrong with symbols whose sizes ops define."""
    where = f"@{function.name}"
    known = {s for arg in function.args for dim in arg.type.shape for s in symbols_of(dim)}
    pending = {symbol for op in function.walk() if (symbol := defined_symbol(op)) is not None}
    for op in function.walk():
        if not op.regions:  # results of an op with regions may have sizes found inside
            for symbol in sorted(symbols_used(op) & pending - known):
                yield f"{where}: symbol {clip(symbol)} is used before it is defined: {_show(op)}"
        defined = defined_symbol(op)
        if defined is None:
            continue
        if defined in known:
            yield f"{where}: symbol {clip(defined)} is defined twice: {_show(op)}"
        if defined not in module.symbols:
            yield f"{where}: symbol {clip(defined)} has no range: {_show(op)}"
        known.add(defined)


def _function_findings(function: Function) -> Iterator[str]:
    where = f"@{function.name}"
    if len(set(function.arg_names)) != len(function.args):
        yield f"{where}: two arguments have the same name"
    if len(set(function.result_names)) != len(function.result_names):
        yield f"{where}: two results have the same name"
    yield from _block_findings(function.body, "core.return", where)
    last = function.body.last
    if last is not None and last.is_terminator and len(last.operands) != len(function.result_names):
        names, count = len(function.result_names), len(last.operands)
        yield f"{where}: {names} result names for {count} results"


def _block_findings(block: Block, end: str, where: str) -> Iterator[str]:
    if block.last is None or block.last.name != end:
        yield f"{where}: the block does not end in {end}"
    defined: set[Value] = set(block.args)
    count = 0
    previous: Op | None = None
    for op in block:
        count += 1
        if op.parent is not block or op.prev is not previous:
            yield f"{where}: broken links at {_show(op)}"
            return
        previous = op
        if op.is_terminator and op is not block.last:
            yield f"{where}: a terminator in the middle of a block: {_show(op)}"
        yield from _op_findings(op, defined, where)
        defined.update(op.results)
    if count != len(block):
        yield f"{where}: the block counts {len(block)} ops and holds {count}"
    for value in block.args:
        yield from _value_findings(value, f"{where}, argument %{clip(value.name or '')}")


def _op_findings(op: Op, defined: set[Value], where: str) -> Iterator[str]:
    problems = list(_ssa_problems(op, defined)) or list(_definition_problems(op))
    for problem in problems:
        yield f"{where}: {problem}\n      {_show(op)}"
    if not problems:
        for value in op.results:
            place = f"{where}: {op.name} at {op.location}"
            yield from _value_findings(value, place)
            yield from _promise_findings(value, place)
    for name, region in zip(op.opdef.regions or [""] * len(op.regions), op.regions):
        if region.parent_op is not op:
            yield f"{where}: region {name} of {op.name} belongs to another op"
        yield from _block_findings(region, "core.yield", f"{where}/{op.name}.{name}")


def _ssa_problems(op: Op, defined: set[Value]) -> Iterator[str]:
    for index, value in enumerate(op.operands):
        if value is None:
            continue
        if value not in defined:
            yield (
                f"operand {index} (%{clip(value.name or '?')}) is not defined before its use "
                "in this block (regions are isolated)"
            )
        if not any(use.op is op and use.index == index for use in value._uses.values()):
            yield f"operand {index} does not know of this use"
    for index, value in enumerate(op.results):
        if value.owner is not op or value.index != index:
            yield f"result {index} belongs to another op"
        for use in value.uses:
            if use.op.parent is None:
                yield f"result {index} is used by an erased {use.op.name}"
            elif use.index >= len(use.op.operands) or use.op.operands[use.index] is not value:
                yield f"result {index} lists a use by {use.op.name} that does not exist"


def _definition_problems(op: Op) -> Iterator[str]:
    try:
        if op.opdef.complete(op.attributes) != op.attributes:
            yield "attributes are not in normal form"
        inferred = op.opdef.result_types(op.attributes, op.operand_types, op.regions)
    except Error as error:
        yield error.message
        return
    actual = [_without_layout(t) for t in op.result_types]
    if [_without_layout(t) for t in inferred] != actual:
        yield f"result types are not the inferred {', '.join(map(str, inferred)) or 'none'}"


def _without_layout(type_: TensorType) -> TensorType:
    if type_.layout is None:
        return type_
    return TensorType(type_.shape, type_.dtype, None, type_.encoding)


def _value_findings(value: Value, where: str) -> Iterator[str]:
    if problem := value.type.problem():
        yield f"{where}: {problem}"
    for dim in value.type.shape:
        if not isinstance(dim, int) and not symbols_of(dim):
            yield f"{where}: dimension {dim} has no symbol but is not an integer"


def _promise_findings(value: Value, where: str) -> Iterator[str]:
    """Promises about zeros are for constants, and their data keeps them."""
    encoding, constant = value.type.encoding, value.constant
    if not isinstance(encoding, Sparse) or value.type.problem():
        return
    if constant is None:
        yield f"{where}: {encoding} is a promise that only constants can make"
    elif constant.is_resolved and (broken := encoding.broken(constant.array)):
        yield f"{where}: {broken}"


def _show(op: Op) -> str:
    """One line of IR for a message; what is too long, or has data, is cut."""
    if Trait.CONSTANT in op.opdef.traits:
        return f"{op.name} : {op.results[0].type}"
    return clip(op_text(op).splitlines()[0].strip(), 200)
