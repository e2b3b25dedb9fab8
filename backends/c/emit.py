"""Emission: the C files of a planned module.

``NAME.h`` declares the model, ``NAME.c`` holds kernels and ``NAME_run``, ``NAME_weights.c`` (or
``NAME_weights.bin`` with ``NAME_weights.S``) the weights.  Where kernels are spread over several
files, these are ``NAME_kernels_0.c`` and so on, with a header ``NAME_internal.h``.  Text depends on
the module, the target and the options alone: never on hashes, addresses or the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Function, TensorType

from ..target import OptionValue, Target
from . import helpers
from .code import INDENT, CodeWriter, comment_text, wrapped
from .header import header_text
from .kernels.builder import Parameter
from .kernels.unit import Unit
from .plan import (
    ARENA,
    INPUT,
    OUTPUT,
    WEIGHT,
    BranchStep,
    CallStep,
    CopyStep,
    LoopStep,
    Plan,
    Step,
    Storage,
)
from .run_sizes import RunSizes
from .select import Kernel, Selection, describe
from .sizes import Sizes
from .spread import file_count, internal_header, spread
from .threads import OWN_PARTS, includes_text, no_pool_text, pool_text, run_text, shared_call_text
from .weights import (
    WeightLayout,
    assertions_text,
    blob,
    initializer_text,
    lay_out,
)

STEPS_PER_FUNCTION = 500
"""Compilers take more than linear time on long functions: run is split into parts this long."""

_DOUBLES = """\
/* Kernels of doubles: where GCC 12 makes vectors of straight-line code, it permutes eight doubles
 * wrongly. */
#if defined(__GNUC__) && !defined(__clang__)
#define {macro}_DOUBLES __attribute__((optimize("no-tree-slp-vectorize")))
#else
#define {macro}_DOUBLES
#endif
"""

WORKERS = "workers"


@dataclass(frozen=True)
class Program:
    """All that emission needs."""

    name: str
    function: Function
    target: Target
    options: Mapping[str, OptionValue]
    selection: Selection
    plan: Plan
    layout: WeightLayout
    sizes: Sizes


def weight_layout(function: Function, plan: Plan, alignment: int) -> WeightLayout:
    """A place for each constant that some step reads, in the order of first use."""
    read = (storage.root for step in plan.walk() for storage in step.reads)
    return lay_out(((s.constant, s.name) for s in read if s.constant is not None), alignment)


def emit(program: Program) -> dict[str, str | bytes]:
    """The files of the model, by name."""
    name = program.name
    files: dict[str, str | bytes] = {
        f"{name}.h": header_text(
            program.function,
            program.selection,
            program.plan,
            program.layout,
            name,
            program.sizes,
            program.options,
        ),
        **_Source(program).files(),
    }
    if not program.layout.members:
        return files
    mode = program.options["weights"]
    if mode == "array":
        files[f"{name}_weights.c"] = _weights_source(program)
    else:
        files[f"{name}_weights.bin"] = blob(program.layout)
        if mode == "blob":
            files[f"{name}_weights.S"] = _weights_assembly(program)
    return files


def _weights_source(program: Program) -> str:
    name = program.name
    return (
        f"/* Weights of the model {name}. */\n\n"
        f'#include <math.h>\n#include "{name}.h"\n\n'
        f"{name.upper()}_WEIGHTS_ATTRIBUTE const struct {name}_weights {name}_weights = {{\n"
        f"{initializer_text(program.layout)}}};\n"
    )


def _weights_assembly(program: Program) -> str:
    name, alignment = program.name, program.layout.alignment
    return f"""/* Weights of the model {name}, included as they are from {name}_weights.bin. */

#if defined(__APPLE__)
    .const_data
    .globl _{name}_weights
    .p2align {alignment.bit_length() - 1}
_{name}_weights:
#else
    .section .rodata
    .globl {name}_weights
    .p2align {alignment.bit_length() - 1}
{name}_weights:
#endif
    .incbin "{name}_weights.bin"
#if defined(__ELF__)
    .section .note.GNU-stack,"",%progbits
#endif
"""


class _Source:
    """Text of ``NAME.c``, and of what it is cut into."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.name = program.name
        self.macro = program.name.upper()
        self.kernel_names: dict[Kernel, str] = {}
        self.touched: set[str] = set()
        """Kinds of memory the steps written last use; "status" where a kernel can fail, WORKERS
        where one is computed by several threads."""
        counts: dict[str, int] = {}
        for kernel in program.selection.kernels:
            number = counts.get(kernel.family, 0)
            counts[kernel.family] = number + 1
            self.kernel_names[kernel] = f"{self.name}_{kernel.family}_{number}"
        self.members = {m.constant: m.name for m in program.layout.members}
        self.shared = self.overlapping_kernels()
        self.has_weights = bool(program.layout.members)
        self.sizes = RunSizes(program.name, program.sizes)
        self.threads = max((kernel.threads for kernel in self.called_kernels()), default=1)

    def overlapping_kernels(self) -> set[tuple[Kernel, str, int]]:
        """Parameters that share memory with another in some call: these are not ``restrict``."""
        found: set[tuple[Kernel, str, int]] = set()
        for step in self.program.plan.walk():
            if isinstance(step, CallStep) and step.choice.kernel is not None:
                kernel = step.choice.kernel
                for operand, source in enumerate(step.operands):
                    for result, target in enumerate(step.results):
                        if source is not None and source.root is target.root:
                            found.add((kernel, "operand", operand))
                            found.add((kernel, "result", result))
        return found

    def files(self) -> dict[str, str]:
        """The C files of the code by name, and the header that several share."""
        name, kernels = self.name, self.called_kernels()
        texts = [self.kernel(kernel) for kernel in kernels]
        wanted = self.program.options["files"]
        assert isinstance(wanted, int)
        sizes = [len(text) for text in texts]
        runs = spread(sizes, file_count(sum(sizes), wanted))
        if len(runs) < 2:
            return {f"{name}.c": self.main([self.includes(), self.attributes()], kernels, texts)}
        prototypes = [f"{self.head(kernel)};\n" for kernel in kernels]
        attributes = self.attributes(shared=True)
        header = internal_header(name, self.includes(), attributes, prototypes)
        files = {f"{name}_internal.h": header}
        include = f'#include "{name}_internal.h"\n'
        for number, run in enumerate(runs):
            parts = [f"/* The model {name}: some of its kernels. */\n", include]
            parts += self.helpers([kernels[i] for i in run])
            parts += [texts[i] for i in run]
            files[f"{name}_kernels_{number}.c"] = "\n".join(parts)
        files[f"{name}.c"] = self.main([include], [], [])
        return files

    def main(self, start: Sequence[str], kernels: Sequence[Kernel], texts: Sequence[str]) -> str:
        """``NAME.c``, with these kernels in it."""
        name, program = self.name, self.program
        what = (
            f"{name}_run" if self.called_kernels() and not kernels else f"kernels, and {name}_run"
        )
        parts = [
            f"/* The model {name}: {what}. */\n",
            *([includes_text()] if self.threads > 1 else []),
            *start,
        ]
        if self.has_weights:
            parts.append(
                "/* The layout of the weights is as planned. */\n"
                + assertions_text(program.layout, name)
            )
        if program.options["arena"] == "static" and program.plan.arena_bytes:
            parts.append(
                f"static {self.macro}_ALIGNED unsigned char "
                f"{name}_static_arena[{self.macro}_ARENA_BYTES];\n"
            )
        if self.has_weights and program.options["weights"] == "load":
            parts.append(self.weights_loading())
        if program.options["profile"]:
            parts.append(
                "/* What follows each step; defined on the compiler's command line to measure. */\n"
                f"#ifndef {self.macro}_STEP\n#define {self.macro}_STEP(number)\n#endif\n"
            )
        parts += self.helpers(kernels)
        if self.threads > 1:
            parts.append(pool_text(name, self.threads))
        elif program.options["threads"] != 1:
            parts.append(no_pool_text(name))
        parts += texts
        for kernel in self.called_kernels():
            if kernel.threads > 1:
                called, step = self.kernel_names[kernel], kernel.scratch_step
                parts.append(shared_call_text(name, called, kernel.parameters, step))
        parts += self.run()
        return "\n".join(parts)

    def includes(self) -> str:
        return (
            "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
            f'#include "{self.name}.h"\n'
        )

    def helpers(self, kernels: Iterable[Kernel]) -> list[str]:
        """The helpers that kernels call."""
        used = {helper for kernel in kernels for helper in kernel.helpers}
        return [helpers.text_of(helper, self.name) for helper in helpers.closure(used)]

    def attributes(self, *, shared: bool = False) -> str:
        """What kernels are declared with; ``shared`` where several files know them."""
        gnu = 'visibility("hidden"), noinline' if shared else "noinline"
        static = "" if shared else " static"
        doubles = any(map(_has_doubles, self.called_kernels()))
        return (
            (OWN_PARTS if self.threads > 1 else "")
            + (_DOUBLES.format(macro=self.macro) if doubles else "")
            + "/* Kernels stay functions of their own: inlined into one caller they would compete\n"
            " * for its registers. */\n"
            "#if defined(__GNUC__)\n"
            f"#define {self.macro}_KERNEL{static} __attribute__(({gnu}))\n"
            "#else\n"
            f"#define {self.macro}_KERNEL{static}\n"
            "#endif\n"
        )

    def weights_loading(self) -> str:
        name, macro = self.name, self.macro
        return (
            f"static const struct {name}_weights *{name}_loaded_weights;\n\n"
            f"int {name}_load_weights(const void *data, size_t bytes)\n{{\n"
            f"    if (data == NULL || bytes != {macro}_WEIGHTS_BYTES\n"
            f"        || (uintptr_t)data % {macro}_WEIGHTS_ALIGNMENT != 0) {{\n"
            f"        return {macro}_ERROR_WEIGHTS;\n    }}\n"
            f"    {name}_loaded_weights = data;\n    return {macro}_OK;\n}}\n"
        )

    # Kernels -----------------------------------------------------------------------------

    def called_kernels(self) -> list[Kernel]:
        """Kernels in order, without those of which no call is left."""
        called = {
            step.choice.kernel for step in self.program.plan.walk() if isinstance(step, CallStep)
        }
        return [kernel for kernel in self.kernel_names if kernel in called]

    def head(self, kernel: Kernel) -> str:
        """The declaration of a kernel, without a semicolon."""
        parameters = [self.parameter(kernel, p) for p in kernel.parameters]
        if kernel.threads > 1:
            parameters.append("ptrdiff_t thread")
        result = "int" if kernel.can_fail else "void"
        doubles = f" {self.macro}_DOUBLES" if _has_doubles(kernel) else ""
        start = f"{self.macro}_KERNEL{doubles} {result} {self.kernel_names[kernel]}("
        return f"{wrapped(start, parameters)})"

    def kernel(self, kernel: Kernel) -> str:
        words = set(re.findall(r"\w+", kernel.body))
        unused = [f"{INDENT}(void){p.name};\n" for p in kernel.parameters if p.name not in words]
        end = f"{INDENT}return {self.macro}_OK;\n" if kernel.can_fail else ""
        comment = CodeWriter()
        comment.comment(self.describe(kernel))
        return f"{comment.text}{self.head(kernel)}\n{{\n{''.join(unused)}{kernel.body}{end}}}\n"

    def parameter(self, kernel: Kernel, parameter: Parameter) -> str:
        if parameter.kind == "size":
            return f"{parameter.c_type} {parameter.name}"
        if parameter.kind == "found":
            return f"{parameter.c_type} *{parameter.name}"
        const = "const " if parameter.kind == "operand" else ""
        alone = (kernel, parameter.kind, parameter.index) not in self.shared
        restrict = "restrict " if alone else ""
        return f"{const}{parameter.c_type} *{restrict}{parameter.name}"

    def describe(self, kernel: Kernel) -> str:
        op = kernel.origin
        operands = ", ".join(_short(t) for t in op.operand_types if t is not None)
        results = ", ".join(_short(t) for t in op.result_types)
        attributes = ", ".join(
            f"{key} = {_attribute(value)}" for key, value in Unit.of(op).main.attributes.items()
        )
        settings = f" {{{attributes}}}" if attributes else ""
        where = f". First used for {op.location}" if op.location else ""
        return f"{describe(op)}{settings}: ({operands}) -> {results}{where}."

    # run ---------------------------------------------------------------------------------

    def run(self) -> list[str]:
        name = self.name
        writer = CodeWriter()
        steps = self.program.plan.steps
        parts: list[str] = []
        parameters = (
            f"const void *const *inputs, void *const *outputs, void *arena{self.sizes.parameter}"
        )
        signature = f"({'int has_workers, ' if self.threads > 1 else ''}{parameters})"
        if len(steps) > STEPS_PER_FUNCTION:
            chunks = [
                steps[i : i + STEPS_PER_FUNCTION] for i in range(0, len(steps), STEPS_PER_FUNCTION)
            ]
            for i, chunk in enumerate(chunks):
                part = CodeWriter()
                self.body(part, chunk, whole=False)
                text = _indented(part.text)
                parts.append(f"{self.macro}_KERNEL int {name}_part_{i}{signature}\n{{\n{text}}}\n")
            self.prologue(writer, parts=len(chunks))
        else:
            self.body(writer, steps, whole=True)
        text = _indented(writer.text)
        if self.threads > 1:
            parts.append(f"static int {name}_steps{signature}\n{{\n{text}}}\n")
            text = run_text(name, self.arguments)
        parts.append(f"int {name}_run({parameters})\n{{\n{text}}}\n")
        parts += self.sizes.shape_functions(self.program.selection.function)
        single = self.single_tensor()
        return [*parts, single] if single else parts

    @property
    def arguments(self) -> str:
        """Arguments of the functions that run the steps."""
        workers = "has_workers, " if self.threads > 1 else ""
        return f"{workers}inputs, outputs, arena{', sizes' if self.program.sizes else ''}"

    def single_tensor(self) -> str:
        function = self.program.function
        if len(function.args) != 1 or len(function.results) != 1 or self.program.sizes:
            return ""
        macro = self.macro
        return (
            f"int {self.name}_predict(const {macro}_INPUT_0_TYPE *input, "
            f"{macro}_OUTPUT_0_TYPE *output, void *arena)\n{{\n"
            f"    const void *const inputs[1] = {{input}};\n"
            f"    void *const outputs[1] = {{output}};\n"
            f"    return {self.name}_run(inputs, outputs, arena);\n}}\n"
        )

    def prologue(self, writer: CodeWriter, parts: int) -> None:
        self.checks(writer)
        self.sizes.prologue(writer, "", checked=True)
        writer.line("int status;")
        for i in range(parts):
            writer.line(f"status = {self.name}_part_{i}({self.arguments});")
            with writer.block(f"if (status != {self.macro}_OK)"):
                writer.line("return status;")
        writer.line(f"return {self.macro}_OK;")

    def checks(self, writer: CodeWriter) -> None:
        options = self.program.options
        if options["weights"] == "load" and self.has_weights:
            with writer.block(f"if ({self.name}_loaded_weights == NULL)"):
                writer.line(f"return {self.macro}_ERROR_WEIGHTS;")
        if options["arena"] == "static" and self.program.plan.arena_bytes:
            with writer.block("if (arena == NULL)"):
                writer.line(f"arena = {self.name}_static_arena;")

    def body(self, writer: CodeWriter, steps: Sequence[Step], *, whole: bool) -> None:
        inner = CodeWriter()
        self.touched.clear()
        self.steps(inner, steps)
        if whole:
            self.checks(writer)
        self.sizes.prologue(writer, inner.text, checked=whole)
        if ARENA in self.touched:
            writer.line("unsigned char *const a = arena;")
        if WEIGHT in self.touched:
            source = (
                f"{self.name}_loaded_weights"
                if self.program.options["weights"] == "load"
                else f"&{self.name}_weights"
            )
            writer.line(f"const struct {self.name}_weights *const w = {source};")
        if "status" in self.touched:
            writer.line("int status;")
        for parameter, kind in (("inputs", INPUT), ("outputs", OUTPUT), ("arena", ARENA)):
            if kind not in self.touched:
                writer.line(f"(void){parameter};")
        if self.threads > 1 and WORKERS not in self.touched:
            writer.line("(void)has_workers;")
        if self.program.sizes and "sizes->" not in writer.text + inner.text:
            writer.line("(void)sizes;")
        for line in inner.text.splitlines():
            writer.line(line)
        writer.line(f"return {self.macro}_OK;")

    def steps(self, writer: CodeWriter, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, CallStep):
                self.call(writer, step)
                if self.program.options["profile"]:
                    writer.line(f"{self.macro}_STEP({step.number});")
            elif isinstance(step, CopyStep):
                if step.to.bytes:
                    source, to = self.pointer(step.source, ""), self.pointer(step.to, "")
                    writer.line(f"memcpy({to}, {source}, {self.sizes.bytes(step.to.length)});")
            elif isinstance(step, BranchStep):
                self.branch(writer, step)
            else:
                self.loop(writer, step)

    def loop(self, writer: CodeWriter, step: LoopStep) -> None:
        iteration = f"*{self.pointer(step.iteration, 'int64_t')}"
        condition = f"*{self.pointer(step.condition, 'uint8_t')}"
        writer.comment(str(step.op.location) if step.op.location else "loop")
        self.steps(writer, step.before)
        start = f"*{self.pointer(step.start, 'const uint8_t')}" if step.start else "1"
        limit = (
            f"{iteration} < *{self.pointer(step.trip_count, 'const int64_t')} && "
            if (step.trip_count)
            else ""
        )
        writer.line(f"{condition} = {start};")
        writer.line(f"{iteration} = 0;")
        with writer.block(f"while ({limit}{condition} != 0)"):
            if step.scans:
                with writer.block(f"if ({iteration} >= {self.sizes.text(step.iterations)})"):
                    writer.line(f"return {self.macro}_ERROR_LOOP;")
            self.steps(writer, step.body)
            for source, target in step.scans:
                to = self.pointer(target, "unsigned char")
                if source.bytes:
                    count = self.sizes.bytes(source.length)
                    place = f"{to} + (size_t){iteration} * {count}"
                    writer.line(f"memcpy({place}, {self.pointer(source, '')}, {count});")
            self.steps(writer, step.after)
            writer.line(f"{iteration} += 1;")
        if step.scans:
            with writer.block(f"if ({iteration} != {self.sizes.text(step.iterations)})"):
                writer.line(f"return {self.macro}_ERROR_LOOP;")

    def branch(self, writer: CodeWriter, step: BranchStep) -> None:
        condition = self.pointer(step.condition, "const uint8_t")
        writer.comment(str(step.op.location) if step.op.location else "conditional")
        writer.line(f"if (*{condition} != 0) {{")
        yes, no = step.regions
        with writer.indented():
            self.steps(writer, yes)
        if no:
            writer.line("} else {")
            with writer.indented():
                self.steps(writer, no)
        writer.line("}")

    def call(self, writer: CodeWriter, step: CallStep) -> None:
        kernel = step.choice.kernel
        assert kernel is not None
        arguments = []
        for parameter in kernel.parameters:
            if parameter.size:
                arguments.append(self.sizes.argument(parameter))
                continue
            if parameter.kind == "operand":
                storage = step.operands[parameter.index]
            elif parameter.kind == "result":
                storage = step.results[parameter.index]
            else:
                storage = step.scratch
            assert storage is not None
            const = "const " if parameter.kind == "operand" else ""
            skip = parameter.index if parameter.kind == "scratch" else 0
            arguments.append(self.pointer(storage, const + parameter.c_type, skip))
        if step.choice.op.location:
            writer.comment(str(step.choice.op.location))
        head = f"{self.kernel_names[kernel]}("
        if kernel.threads > 1:
            self.touched.add(WORKERS)
            head, arguments = f"{self.kernel_names[kernel]}_by_all(", ["has_workers", *arguments]
        if not kernel.can_fail:
            for line in wrapped(head, arguments).splitlines()[:-1]:
                writer.line(line)
            writer.line(wrapped(head, arguments).splitlines()[-1] + ");")
            return
        self.touched.add("status")
        lines = wrapped(f"status = {head}", arguments).splitlines()
        for line in lines[:-1]:
            writer.line(line)
        writer.line(lines[-1] + ");")
        with writer.block(f"if (status != {self.macro}_OK)"):
            writer.line("return status;")
        for parameter in kernel.parameters:
            if parameter.kind == "found":
                self.sizes.checks_after(writer, parameter.size)

    def pointer(self, storage: Storage, c_type: str, skip: int = 0) -> str:
        """A C expression that points ``skip`` bytes into ``storage``, as a pointer to ``c_type``.

        Only memory of the arena is looked into at an offset.
        """
        root = storage.root
        self.touched.add(root.kind)
        cast = f"({c_type} *)" if c_type else ""
        if root.kind == INPUT:
            return f"{cast}inputs[{root.index}]"
        if root.kind == OUTPUT:
            return f"{cast}outputs[{root.index}]"
        if root.kind == ARENA:
            place = root.offset + skip
            return f"{cast}(a + {place})" if cast else f"a + {place}"
        assert root.constant is not None
        return f"w->{self.members[root.constant]}"


def _short(type_: TensorType) -> str:
    return comment_text(str(type_).removeprefix("tensor<").removesuffix(">"))


def _attribute(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_attribute, value))}]"
    return str(value)


def _has_doubles(kernel: Kernel) -> bool:
    """Whether a kernel computes in f64."""
    return re.search(r"\bdouble\b", kernel.body) is not None or any(
        parameter.c_type == "double" for parameter in kernel.parameters
    )


def _indented(text: str) -> str:
    return "".join(f"{INDENT}{line}\n" if line else "\n" for line in text.splitlines())
