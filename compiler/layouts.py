"""The order of axes in which a compiled model takes its inputs and gives its outputs.

Models come with images as [N, C, H, W]; cameras, and most libraries of images, hold [N, H, W, C].
With ``layouts={"image": "NHWC"}`` the compiled model takes them so: its signature has the axes in
that order, and a transposition behind it, which the passes fold into what reads it where they can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from burnish.ir import Array, Block, Builder, Function, Module, TensorType, Value, build_function
from burnish.ir.clone import clone_op
from burnish.ir.errors import UsageError, clip

STANDARD: Mapping[int, str] = {2: "NC", 3: "NCW", 4: "NCHW", 5: "NCDHW"}
"""What ONNX calls the axes of an input of a given rank."""

Permutation = tuple[int, ...]


def parse_layout(text: str, rank: int, name: str) -> Permutation:
    """The axes of ``name``, outermost in memory first: from ``NHWC``, or ``0,2,3,1``.

    Raises:
        UsageError: ``text`` does not name each axis of a tensor of that rank once.
    """
    standard = STANDARD.get(rank, "")
    if text and set(text) <= set("0123456789, "):
        parts = [part.strip() for part in text.split(",")]
        axes = tuple(int(part) if part.isdigit() else -1 for part in parts)
    else:
        axes = tuple(map(standard.find, text.upper()))
    if sorted(axes) == list(range(rank)):
        return axes
    letters = f"the letters of {standard} in any order, or " if standard else ""
    example = ",".join(map(str, (0, *range(2, rank), 1) if rank > 1 else range(rank)))
    raise UsageError(
        f'the layout of "{clip(name)}" is "{clip(text)}", but it has {rank} axes',
        help=f"write {letters}the numbers of its axes, outermost first: {example}",
    )


def permutations(module: Module, layouts: Mapping[str, str]) -> dict[str, Permutation]:
    """What ``layouts`` asks of the inputs and outputs of ``module``, by name.

    Raises:
        UsageError: there is no such input or output, or the layout does not fit it.
    """
    main = module.main
    values = dict(zip(main.result_names, main.results)) | dict(zip(main.arg_names, main.args))
    found = {}
    for name, text in layouts.items():
        if name not in values:
            raise UsageError(
                f'the model has no input or output "{clip(name)}" to lay out',
                help=f"it has {', '.join(map(clip, values))}",
            )
        found[name] = parse_layout(text, values[name].type.rank, name)
    return found


def with_layouts(module: Module, layouts: Mapping[str, str]) -> Module:
    """``module`` with the axes of inputs and outputs in the given orders; the names stay.

    Raises:
        UsageError: there is no such input or output, or the layout does not fit it.
    """
    asked = permutations(module, layouts)
    if not asked:
        return module
    main = module.main
    types = {
        name: _transposed(arg.type, asked[name]) if name in asked else arg.type
        for name, arg in zip(main.arg_names, main.args)
    }
    changed = Module(module.name, (), module.symbols, module.metadata)
    function, builder = build_function(changed, main.name, types, main.result_names)
    values: dict[Value, Value] = {}
    for name, old, new in zip(main.arg_names, main.args, function.args):
        values[old] = _turned(builder, new, _inverse(asked[name])) if name in asked else new
    _copy_body(main.body, builder, values)
    results = [values[value] for value in main.results]
    builder.ret(
        *(
            _turned(builder, value, asked[name]) if name in asked else value
            for name, value in zip(main.result_names, results)
        )
    )
    for other in module.functions.values():
        if other is not main:
            changed.add(Function(other.name, other.body, other.result_names))
    return changed


def _copy_body(body: Block, builder: Builder, values: dict[Value, Value]) -> None:
    for op in body:
        if op is not body.terminator:
            builder.insert(clone_op(op, values))


def _turned(builder: Builder, value: Value, axes: Permutation) -> Value:
    return builder("tensor.transpose", value, permutation=axes)


def _transposed(type_: TensorType, axes: Permutation) -> TensorType:
    """What a transposition makes of a type, axes of encodings included."""
    function, builder = build_function(Module(), "turn", {"x": type_})
    return _turned(builder, function.args[0], axes).type


def _inverse(axes: Sequence[int]) -> Permutation:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def in_model_order(
    run: Callable[[dict[str, Array]], dict[str, Array]], module: Module, layouts: Mapping[str, str]
) -> Callable[[dict[str, Array]], dict[str, Array]]:
    """``run`` of the model with ``layouts``, for arrays whose axes are those of ``module``."""
    asked = permutations(module, layouts)

    def execute(inputs: dict[str, Array]) -> dict[str, Array]:
        turned = {n: x.transpose(asked[n]) if n in asked else x for n, x in inputs.items()}
        outputs = run(turned)
        return {n: y.transpose(_inverse(asked[n])) if n in asked else y for n, y in outputs.items()}

    return execute
