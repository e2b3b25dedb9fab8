"""Instruction sets: what kernels need to know of the machine they are written for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from burnish.ir.errors import TargetError, ToolchainError

from ..target import Target
from .host import compiler_macros, find_compiler


@dataclass(frozen=True, slots=True)
class Isa:
    """The vectors of a machine.

    Attributes:
        name: what targets call it.
        lanes: how many f32 a vector holds that kernels compute with; 1 where there are none.
        registers: how many such vectors are at hand without going through memory.
        macros: what compilers define where they may use it.
        products: fused multiply-adds of vectors that can start in one cycle.
        latency: cycles until the sum of such a product can be added to.
    """

    name: str
    lanes: int
    registers: int
    macros: tuple[str, ...] = ()
    products: float = 1.0
    latency: int = 4

    @property
    def has_vectors(self) -> bool:
        """Whether there are vectors at all."""
        return self.lanes > 1


SCALAR = Isa("scalar", 1, 8)
"""Plain C99: what loops compilers vectorize is up to them."""

NATIVE = "native"
"""In a target: the instruction set of the machine burnish runs on."""

ISAS: Mapping[str, Isa] = {
    isa.name: isa
    for isa in (
        # 256 bits wide too: machines that split wider vectors gain nothing from these, and half
        # as many channels fill a block.  The gain is twice as many registers.
        Isa("avx512", 8, 32, ("__AVX512VL__", "__AVX2__", "__FMA__"), 2.0),
        Isa("avx2", 8, 16, ("__AVX2__", "__FMA__"), 2.0),
        Isa("neon", 4, 32, ("__aarch64__", "__ARM_NEON"), 2.0),
        SCALAR,
    )
}
"""All instruction sets by name; of those a compiler may use the first is the best."""


def isa_of(target: Target) -> Isa:
    """The instruction set that kernels for ``target`` are written for.

    Raises:
        TargetError: the target names one that does not exist.
    """
    if target.isa == NATIVE:
        return _native(target)
    isa = ISAS.get(target.isa or SCALAR.name)
    if isa is None:
        known = ", ".join((NATIVE, *ISAS))
        raise TargetError(
            f"target {target.name} names the unknown instruction set {target.isa!r}",
            help=f"there are {known}",
        )
    return isa


@lru_cache(maxsize=8)
def _native(target: Target) -> Isa:
    """The best instruction set that the target's compiler uses on this machine."""
    try:
        macros = compiler_macros((*find_compiler(target), *target.flags))
    except ToolchainError:  # what is emitted can still be built elsewhere
        return SCALAR
    return next(isa for isa in ISAS.values() if macros.issuperset(isa.macros))
