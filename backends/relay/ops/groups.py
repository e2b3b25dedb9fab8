"""Fused groups: written out, or as functions that TVM or a code generator takes as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..builder import Term, needed, parameter_of, variables
from ..checker import COMPOSITE, PATTERN, PRIMITIVE
from ..context import Context
from ..operators import ANCHORS, IN_MEMORY
from ..registry import lowering
from ..syntax import AttributeValue, Body, Lambda, Parameter, called_operators

FunctionAttributes = tuple[tuple[str, AttributeValue], ...]


@lowering("core.group", layouts=True)
def _group(c: Context) -> Sequence[Term]:
    """A function where that is asked for, and the group can be one; else Relay fuses."""
    mark = _MARKS.get(c.choices.groups)
    function = _applied(c, mark) if mark is not None and len(c.op.results) == 1 else None
    return c.inline(c.op.regions[0], c.inputs()) if function is None else [function]


def _applied(c: Context, mark: Callable[[Context, Body], FunctionAttributes]) -> Term | None:
    """The call of a function of the group; None where it has no attributes to be marked with.

    Such a function sees nothing around it, so that constants are handed over as well, by the
    names that they have.
    """
    b = c.builder
    given = list(dict.fromkeys(term for term in c.inputs() if term.constant is None))
    # TVM writes composite functions out again, so that what is handed over counts as it does there.
    heavy = c.choices.groups == "composite"
    params = {
        term: b.parameter("p", term.tensor, term.dtype, term.weight if heavy else 0)
        for term in given
    }
    b.open(closed=True)
    (result,) = c.inline(c.op.regions[0], [params.get(t, t) for t in c.inputs()])
    body, type_ = b.close([result])
    body = needed(body)
    attributes = mark(c, body)
    if not attributes:
        return None
    types = b.parameter_types()
    constants = [name for name in types if name in variables(body)]
    parameters = [*map(parameter_of, params.values())]
    parameters += [Parameter(name, types[name]) for name in constants]
    function = b.function(Lambda(tuple(parameters), type_, body, attributes))
    arguments = [*given, *(b.named(name) for name in constants)]
    return b.apply(function, arguments, result.weight if heavy else 0)


def _primitive(_: Context, body: Body) -> FunctionAttributes:
    """One kernel, where TVM can make one of the operators."""
    called = [op for op in called_operators(body) if op in IN_MEMORY]
    if len(called) > 1 or not set(called) <= ANCHORS:
        return ()
    return ((PRIMITIVE, 1),)


def _composite(c: Context, body: Body) -> FunctionAttributes:
    """A pattern of a code generator, as TVM's pass ``MergeComposite`` marks it."""
    called = list(called_operators(body))
    if not called:
        return ()
    pattern = "".join(f"{op}_" for op in called)
    return ((PATTERN, pattern), (COMPOSITE, f"{c.choices.codegen}.{composite_name(called)}"))


_MARKS: Mapping[str, Callable[[Context, Body], FunctionAttributes]] = {
    "primitive": _primitive,
    "composite": _composite,
}


def composite_name(operators: Sequence[str]) -> str:
    """The name of a pattern: ``conv2d_bias_relu`` of ``nn.conv2d``, ``nn.bias_add``, ``nn.relu``.

    The operators in order, without ``nn.`` and other prefixes; a bias is just ``bias``, as in the
    names of the patterns that TVM has.
    """
    names = (operator.rpartition(".")[2] for operator in operators)
    return "_".join("bias" if name == "bias_add" else name for name in names)
