"""Kernels that several threads compute together: which ones, and the C that hands out their parts.

A model has as many threads as the option ``threads`` says: the caller's, and workers that its first
run starts.  A run that has the workers posts a kernel, with its arguments, as a *round*; each
thread claims its own part of it, and the caller at last those that nobody has claimed, so that no
run waits for a worker that sleeps or is busy elsewhere.  Who computes a part makes no difference to
it.  Workers look for the next round for a while before they sleep.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from burnish.ir.cost import op_cost
from burnish.ir.errors import TargetError

from ..target import Target
from .code import INDENT, wrapped
from .kernels.builder import Parameter
from .kernels.family import KernelFamily, Storage
from .kernels.unit import Unit
from .machine import Machine

LEAST_CYCLES = 6_000.0
"""A kernel that takes fewer is left to one thread: to hand it out and wait for all takes about a
thousand.  Small networks, whose kernels take some ten thousand, gain by a low bound."""

SCRATCH_ALIGNMENT = 64
"""Of the scratch memory of each thread, so that no two write to one cache line."""


OWN_PARTS = """\
/* Threads write side by side.  GCC's predictive commoning moves stores over iterations of a loop by
 * reading what lies beyond the last one and writing it back, which is another thread's. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-predictive-commoning")
#endif

"""
"""What must come before kernels that threads compute together."""


def check_threads(threads: int, target: Target) -> None:
    """Refuse a number of threads that ``target`` cannot have.

    Raises:
        TargetError: the target has no threads.
    """
    if threads > 1 and not target.threads:
        raise TargetError(
            f"target {target.name} has no threads",
            help="leave out the option threads, or set it to 1",
        )


def scratch_of(threads: int, size: int) -> int:
    """Bytes of scratch memory for so many threads, of which each needs ``size``."""
    return size if threads == 1 else threads * (-(-size // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT)


def is_worth_sharing(family: KernelFamily, unit: Unit, machine: Machine) -> bool:
    """Whether a family takes so long for a unit that threads should compute it together.

    By the roofline that layouts are chosen by: the arithmetic of the unit's main op as the family
    or the machine's rates estimate it, or the bytes at the rate of the memory that holds them.
    """
    cost, isa, op = op_cost(unit.op), unit.isa, unit.main
    macs, flops, moved = map(unit.high, (cost.macs, cost.flops, cost.reads + cost.writes))
    cycles = [macs / (isa.lanes * isa.products) + flops / isa.lanes, machine.moving(moved)]
    if family.storage is Storage.ROW_MAJOR:
        cycles.append(machine.computing(op))
    elif all(value.type.is_static for value in (*op.inputs, *op.results)):
        stored = tuple(value.type.layout for value in op.results)
        forms = [form for form in family.offers(op, isa) if form.results == stored]
        cycles += [form.cycles for form in forms if form.operands[0] == op.inputs[0].type.layout]
    return max(cycles) >= LEAST_CYCLES


def includes_text() -> str:
    """What must come before other headers, and headers."""
    return (
        "#ifndef _POSIX_C_SOURCE\n#define _POSIX_C_SOURCE 200112L\n#endif\n"
        "#include <pthread.h>\n#include <sched.h>\n#include <signal.h>\n"
    )


def pool_text(name: str, threads: int) -> str:
    """The workers of a model, and the functions that start, use and stop them."""
    text = (Path(__file__).parent / "runtime" / "threads.c").read_text("utf-8")
    text = re.sub(r"\bnet_", f"{name}_", re.sub(r"\bNET_", f"{name.upper()}_", text))
    return f"#define {name.upper()}_THREADS {threads}\n\n{text}"


def no_pool_text(name: str) -> str:
    """What a model has in place of workers where no kernel is large enough for them."""
    return f"void {name}_shutdown(void)\n{{\n}}\n"


def run_text(name: str, arguments: str) -> str:
    """The body of the function that has the steps run, with the workers if they are free."""
    return (
        f"{INDENT}const int has_workers = {name}_take_workers();\n"
        f"{INDENT}const int status = {name}_steps({arguments});\n"
        f"{INDENT}if (has_workers) {{\n{INDENT * 2}{name}_give_workers();\n{INDENT}}}\n"
        f"{INDENT}return status;\n"
    )


def shared_call_text(name: str, kernel: str, parameters: Sequence[Parameter], step: int) -> str:
    """The function ``KERNEL_by_all``, which has ``kernel`` computed by all threads.

    Scratch memory of a thread lies ``step`` bytes after that of the one before.
    """
    declarations = [_declaration(parameter) for parameter in parameters]
    arguments = []
    for parameter in parameters:
        argument = f"given->{parameter.name}"
        if parameter.kind == "scratch":
            start = f"(unsigned char *){argument} + thread * {step}"
            argument = f"({parameter.c_type} *)(void *)({start})"
        arguments.append(argument)
    names = ", ".join(parameter.name for parameter in parameters)
    members = "".join(f"{INDENT}{declaration};\n" for declaration in declarations)
    part = wrapped(f"{kernel}(", [*arguments, "thread"]).replace("\n", f"\n{INDENT}")
    head = wrapped(f"static void {kernel}_by_all(", ["int has_workers", *declarations])
    return (
        f"struct {kernel}_arguments {{\n{members}}};\n\n"
        f"static void {kernel}_part(const void *arguments, ptrdiff_t thread)\n{{\n"
        f"{INDENT}const struct {kernel}_arguments *const given = arguments;\n"
        f"{INDENT}{part});\n}}\n\n"
        f"{head})\n{{\n"
        f"{INDENT}const struct {kernel}_arguments given = {{{names}}};\n"
        f"{INDENT}{name}_share(has_workers, {kernel}_part, &given);\n}}\n"
    )


def _declaration(parameter: Parameter) -> str:
    if parameter.kind == "size":
        return f"{parameter.c_type} {parameter.name}"
    const = "const " if parameter.kind == "operand" else ""
    return f"{const}{parameter.c_type} *{parameter.name}"
