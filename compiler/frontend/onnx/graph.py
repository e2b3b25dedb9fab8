"""The normalized form of an ONNX model: plain immutable objects that know nothing of protobuf.

What :func:`~burnish.frontend.onnx.load.load_model` returns is checked: nodes are in topological
order, every name that is read is defined once, functions of the model are inlined, and every
node knows the version of the operator set it was written for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from burnish.ir.dtypes import DType
from burnish.ir.errors import clip

from .tensors import Tensor

DimHint: TypeAlias = int | str | None
"""A declared dimension: a size, the name of a symbol, or None when nothing is known."""


@dataclass(frozen=True, slots=True)
class DeclaredType:
    """The type that the model declares for a value.

    Attributes:
        kind: ``tensor``, ``sparse_tensor``, ``sequence``, ``optional``, ``map``, ``opaque``, or
            ``unknown`` when nothing is declared.  Only tensors have element and shape.
        element: ONNX name of the element type; ``STRING`` has no ``dtype``; empty if undeclared.
        shape: None when even the rank is unknown.
        item: what is in a sequence or an optional.
    """

    kind: str = "unknown"
    element: str = ""
    dtype: DType | None = None
    shape: tuple[DimHint, ...] | None = None
    item: DeclaredType | None = None


UNDECLARED = DeclaredType()


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """A named value and its declared type."""

    name: str
    type: DeclaredType


@dataclass(frozen=True, slots=True)
class AttributeReference:
    """Inside a function: stands for the attribute of that name at the function's call."""

    name: str


Scalar: TypeAlias = "int | float | str | bytes | Tensor | Graph | DeclaredType | AttributeReference"
AttributeValue: TypeAlias = "Scalar | tuple[Scalar, ...]"
"""Strings are ``bytes`` where they are no UTF-8.  No :class:`AttributeReference` is left after
loading.  Tensors (also sparse ones) decode on ``.array``."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node.

    Attributes:
        name: of the node, or ``Conv#12`` when it has none; for messages, need not be unique.
        domain: empty for the standard operators (``ai.onnx``).
        version: of the domain's operator set that the node was written for.
        inputs: value names; an empty name is an optional input left out.
        outputs: value names; an empty name is an output nobody wants.
        index: place in the file, counted over all nodes of the model, subgraphs included.
    """

    name: str
    op_type: str
    domain: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue]
    index: int
    overload: str = ""
    doc: str = ""

    def subgraphs(self) -> Iterator[tuple[str, Graph]]:
        """The bodies among the attributes, with the attribute's name."""
        for name, value in self.attributes.items():
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Graph):
                    yield name, item

    def __str__(self) -> str:
        domain = f"{clip(self.domain)}." if self.domain else ""
        return f'node "{clip(self.name)}" ({domain}{clip(self.op_type)})'


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The graph of a model, or the body of a control-flow node.

    Attributes:
        inputs: in order.  A name that is also an initializer is no input here: since such an
            input may be left out, burnish compiles the initializer in.
        outputs: in order; produced here, or (in a body) captured or passed through.
        initializers: constants by name.
        nodes: in topological order.
        hints: declared types of other values; hints only, a model may lie in them.
        captures: for a body, the names it reads from the graphs around it, bodies nested in it
            included; empty for the model's graph.
    """

    name: str
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    initializers: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    hints: Mapping[str, DeclaredType] = field(default_factory=dict)
    captures: tuple[str, ...] = ()


class NameSupply:
    """Names that no value of the model has yet."""

    MAX_STEM = 200

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._counters: dict[str, int] = {}

    def reserve(self, name: str) -> None:
        """Never hand out ``name``."""
        self._used.add(name)

    def fresh(self, stem: str) -> str:
        """``stem`` (shortened when it is very long), with a number where it is taken."""
        stem = stem[-self.MAX_STEM :]
        name = stem
        count = self._counters.get(stem, 0)
        while not name or name in self._used:
            count += 1
            name = f"{stem}_{count}"
        self._counters[stem] = count
        self._used.add(name)
        return name


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A checked model.

    Attributes:
        name: file name without folder, or ``model``.
        path: None for a model that did not come from a file.
        opsets: imported version by domain; ``""`` is ``ai.onnx``.
        metadata: ``metadata_props`` of the model.
        producer: tool that wrote it, with version; may be empty.
        names: for values that the importer makes up.
    """

    name: str
    path: Path | None
    ir_version: int
    opsets: Mapping[str, int]
    graph: Graph
    metadata: Mapping[str, str]
    producer: str
    names: NameSupply
