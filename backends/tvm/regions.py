"""Parts of a module that become C: one function each, which Relax calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.ir import Module

from .. import c
from ..base import Artifact
from ..target import OptionValue
from .calling import calling_text, found_sizes, working_bytes
from .entry import entry_text, has_entry
from .targets import KERNELS


@dataclass(frozen=True)
class Region:
    """A function of C, which Relax calls by its ``symbol``.

    ``whole`` says that it is all of a model.
    """

    artifact: Artifact
    whole: bool

    @property
    def name(self) -> str:
        return str(self.artifact.manifest["name"])

    @property
    def symbol(self) -> str:
        return f"{self.name}_run"

    @property
    def entry(self) -> str:
        """The function that takes and gives what the model does; empty if there is none."""
        return self.name if self.whole and has_entry(self.artifact.manifest) else ""

    @property
    def working_bytes(self) -> int:
        """The size of its last argument, working memory; 0 if it takes none."""
        return working_bytes(self.artifact.manifest)

    @property
    def sizes(self) -> list[str]:
        """The symbols whose values it takes."""
        sizes: list[dict[str, Any]] = self.artifact.manifest.get("sizes", [])
        return [entry["name"] for entry in sizes if entry["input"]]

    @property
    def takes_sizes(self) -> bool:
        """Whether its first argument is a shape, the values of :attr:`sizes`."""
        return bool(self.artifact.manifest.get("sizes"))

    @property
    def found(self) -> list[str]:
        """The symbols that it finds the values of."""
        return [entry["name"] for entry in found_sizes(self.artifact.manifest)]

    def room(self, output: int) -> int | None:
        """How many elements an output may have, whose shape is known after the run only."""
        manifest = self.artifact.manifest
        if not manifest.get("sizes") or manifest["exact"][output]:
            return None
        return int(manifest["room"][output])

    @property
    def files(self) -> dict[str, str | bytes]:
        """Its sources."""
        source, manifest = f"{self.name}.c", self.artifact.manifest
        text = f"{self.artifact.files[source]!s}{calling_text(manifest)}"
        if self.entry:
            text += entry_text(manifest)
        return {**self.artifact.files, source: text}


def compile_region(
    module: Module, options: Mapping[str, OptionValue], name: str, *, whole: bool = False
) -> Region:
    """The entry function of ``module`` in C; ``whole`` if that is all of a model.

    Raises:
        UnsupportedError: ops that the C backend has no kernel for, all named.
    """
    return Region(c.compile_module(module, KERNELS, options, name), whole)
