"""Which ops of a module are computed by functions of C, and which are lowered to Relax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from burnish.ir import Module, Op, Value

from ..target import OptionValue
from .regions import Region, compile_region


@dataclass(frozen=True)
class RegionPart:
    """Ops that one function of C computes: what it reads, and what others read of it."""

    region: Region
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


Part: TypeAlias = RegionPart | Sequence[Op]
"""Part of a module: a region, or ops to be lowered in order."""


def partition(module: Module, options: Mapping[str, OptionValue], name: str) -> list[Part]:
    """The parts of ``module``'s entry function, in an order in which they can run.

    Raises:
        UnsupportedError: some ops can neither be compiled nor lowered, all named.
    """
    main = module.main
    region = compile_region(module, options, name)
    return [RegionPart(region, tuple(main.args), tuple(main.results))]
