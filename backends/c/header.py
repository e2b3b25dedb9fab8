"""The public header of an emitted model."""

from __future__ import annotations

from collections.abc import Mapping

from burnish.ir import Function, TensorType

from ..base import signature
from ..target import OptionValue
from .code import comment_text
from .elements import storage_type
from .names import string_literal
from .plan import Plan
from .run_sizes import shape_signature
from .select import Selection
from .sizes import Sizes
from .weights import WeightLayout, struct_text


def header_text(
    function: Function,
    selection: Selection,
    plan: Plan,
    layout: WeightLayout,
    name: str,
    sizes: Sizes,
    options: Mapping[str, OptionValue],
) -> str:
    """Text of ``NAME.h``."""
    macro = name.upper()
    names = signature(function)
    parts = [
        _introduction(name),
        f"#ifndef {macro}_H\n#define {macro}_H\n",
        "#include <stddef.h>\n#include <stdint.h>\n",
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        f"/* What {name}_run returns. */\n"
        f"#define {macro}_OK 0\n"
        f"#define {macro}_ERROR_INDEX 1 /* an index tensor points out of range */\n"
        f"#define {macro}_ERROR_WEIGHTS 2 /* weights are not loaded, or do not fit */\n"
        f"#define {macro}_ERROR_LOOP 3 /* a loop ran more or less often than declared */\n"
        f"#define {macro}_ERROR_SHAPE 4 /* data is not of the shape or count declared */\n"
        f"#define {macro}_ERROR_SIZE 5 /* a dimension lies outside its range */\n",
        "/* Activation memory. */\n"
        f"#define {macro}_ARENA_BYTES {plan.arena_bytes}\n"
        f"#define {macro}_ARENA_ALIGNMENT {plan.alignment}\n",
        _aligned(macro, plan.alignment),
    ]
    if sizes:
        parts += _sizes(sizes, name, macro)
    named = selection.function  # the same in the names that sizes have in C
    for kind, values, named_values in (
        ("input", function.args, named.args),
        ("output", function.results, named.results),
    ):
        entries = names[f"{kind}s"]
        parts.append(f"#define {macro}_{kind.upper()}_COUNT {len(entries)}\n")
        for i, (entry, value, named_value) in enumerate(zip(entries, values, named_values)):
            prefix = f"{macro}_{kind.upper()}_{i}"
            room = sizes.most_elements(named_value.type.shape)
            parts.append(_tensor(prefix, entry["name"], value.type, room))
            if sizes:
                parts.append(f"{shape_signature(name, kind, i)};\n")
    if layout.members:
        parts += _weights(layout, name, macro, options)
    parts.append(_functions(function, name, macro, options, sizes))
    if options["threads"] != 1:
        parts.append(_threads(name, options["threads"]))
    parts.append("#ifdef __cplusplus\n}\n#endif\n")
    parts.append(f"#endif /* {macro}_H */\n")
    return "\n".join(parts)


def _introduction(name: str) -> str:
    return (
        f"/* The neural network {name}, compiled by burnish.\n"
        " *\n"
        " * C99 without allocation. The macros below give sizes, shapes and element types of\n"
        " * inputs and outputs. */\n"
    )


def _aligned(macro: str, alignment: int) -> str:
    return (
        "#if defined(__GNUC__)\n"
        f"#define {macro}_ALIGNED __attribute__((aligned({alignment})))\n"
        "#else\n"
        f"#define {macro}_ALIGNED\n"
        "#endif\n"
    )


def _tensor(macro: str, name: str, type_: TensorType, room: int) -> str:
    text = (
        f"/* {comment_text(str(type_))} */\n"
        f"#define {macro}_NAME {string_literal(name)}\n"
        f"#define {macro}_TYPE {storage_type(type_.dtype)}\n"
        f'#define {macro}_DTYPE "{type_.dtype}"\n'
        f"#define {macro}_RANK {type_.rank}\n"
    )
    if not type_.is_static:
        return (
            f"{text}#define {macro}_MAX_ELEMENTS {room}\n"
            f"#define {macro}_MAX_BYTES {room * type_.dtype.bytes}\n"
        )
    return (
        f"{text}#define {macro}_SHAPE {{{', '.join(map(str, type_.shape)) or '0'}}}\n"
        f"#define {macro}_ELEMENTS {type_.elements}\n"
        f"#define {macro}_BYTES {type_.bytes}\n"
    )


def _sizes(sizes: Sizes, name: str, macro: str) -> list[str]:
    """The struct of sizes that are known at run time only, and their ranges."""
    limits = "".join(
        f"#define {macro}_{m.member.upper()}_MIN {m.low}\n"
        f"#define {macro}_{m.member.upper()}_MAX {m.high}\n"
        for m in sizes.members
    )
    members = "".join(
        f"    ptrdiff_t {m.member}; /* {comment_text(string_literal(m.symbol))}, "
        f"{'set by the caller' if m.is_input else f'set by {name}_run'} */\n"
        for m in sizes.members
    )
    return [
        f"/* Least and greatest sizes of the dynamic dimensions. */\n{limits}",
        "/* Sizes of the dynamic dimensions of one run. Tensors are dense with these sizes. The\n"
        " * functions declared after each tensor tell its shape. */\n"
        f"struct {name}_sizes {{\n{members}}};\n",
    ]


def _weights(
    layout: WeightLayout, name: str, macro: str, options: Mapping[str, OptionValue]
) -> list[str]:
    parts = [
        f"#define {macro}_WEIGHTS_BYTES {layout.size}\n"
        f"#define {macro}_WEIGHTS_ALIGNMENT {layout.alignment}\n",
        "/* Weights; each member is one tensor. */\n" + struct_text(layout, name),
    ]
    if options["weights"] == "load":
        parts.append(
            f"/* Use the contents of {name}_weights.bin, which must stay in memory, aligned to\n"
            f" * {macro}_WEIGHTS_ALIGNMENT, as long as the model runs. Call it once before\n"
            f" * {name}_run. Returns {macro}_OK or {macro}_ERROR_WEIGHTS. */\n"
            f"int {name}_load_weights(const void *data, size_t bytes);\n"
        )
    else:
        parts.append(
            '/* Define this to place the weights, such as __attribute__((section(".flash"))). */\n'
            f"#ifndef {macro}_WEIGHTS_ATTRIBUTE\n#define {macro}_WEIGHTS_ATTRIBUTE "
            f"{macro}_ALIGNED\n#endif\n"
            f"extern const struct {name}_weights {name}_weights;\n"
        )
    return parts


def _threads(name: str, threads: OptionValue) -> str:
    return (
        f"/* Large kernels are computed by {threads} threads: the caller's, and others that the\n"
        " * first run starts, which sleep between runs. Of runs at a time one has them, and the\n"
        " * others compute alone; results are the same. This function ends these threads, unless\n"
        " * a run goes on; the next run starts them again. It is called when the program ends,\n"
        " * and when a library with the model is unloaded. */\n"
        f"void {name}_shutdown(void);\n"
    )


def _functions(
    function: Function,
    name: str,
    macro: str,
    options: Mapping[str, OptionValue],
    sizes: Sizes,
) -> str:
    arena = (
        "or NULL to use the model's own (then two calls must not run at the same time)"
        if options["arena"] == "static"
        else "aligned to " + f"{macro}_ARENA_ALIGNMENT"
    )
    reentrant = "" if options["arena"] == "static" else " Reentrant: all state is in the arguments."
    text = (
        f"/* Run the model.{reentrant}\n"
        " *\n"
        f" * inputs: {macro}_INPUT_COUNT pointers to dense row-major tensors, only read.\n"
        f" * outputs: {macro}_OUTPUT_COUNT pointers to memory for the results; they must not\n"
        " *   overlap each other, the inputs, or the arena.\n"
        f" * arena: {macro}_ARENA_BYTES bytes of working memory, {arena}.\n"
        " *   Its contents need not be kept between calls.\n"
    )
    if sizes:
        return text + (
            " * sizes: the sizes of this run; outputs need no more room than these make of their\n"
            " *   shapes, or MAX_BYTES where the run itself sets a size.\n"
            f" * Returns {macro}_OK, or an error code; outputs are then undefined. */\n"
            f"int {name}_run(const void *const *inputs, void *const *outputs, void *arena,\n"
            f"    struct {name}_sizes *sizes);\n"
        )
    text += (
        f" * Returns {macro}_OK, or an error code; outputs are then undefined. */\n"
        f"int {name}_run(const void *const *inputs, void *const *outputs, void *arena);\n"
    )
    if len(function.args) == 1 and len(function.results) == 1:
        text += (
            "\n/* The same for the only input and the only output. */\n"
            f"int {name}_predict(const {macro}_INPUT_0_TYPE *input, "
            f"{macro}_OUTPUT_0_TYPE *output, void *arena);\n"
        )
    return text
