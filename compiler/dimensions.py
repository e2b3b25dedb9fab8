"""Sizes of dynamic dimensions taken from sample inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.ir import Dim
from burnish.ir.dims import symbols_of
from burnish.ir.errors import InputError, clip

from .frontend.onnx.bindings import Binding, Signature, bind_inputs
from .frontend.onnx.graph import ValueInfo
from .frontend.onnx.load import ModelSource, load_model
from .samples import SLASH, read_arrays


@dataclass(frozen=True)
class SampleDims:
    """``dims`` completed from a file of samples, and what was taken from there."""

    dims: dict[str, Binding]
    taken: dict[str, tuple[int, ...]]
    """Shapes of the inputs that had unbound dimensions."""
    path: Path

    def __str__(self) -> str:
        shapes = ", ".join(f'"{clip(n)}" {list(shape)}' for n, shape in self.taken.items())
        return f"shapes from {clip(str(self.path))}: {shapes}"


def dims_from_samples(model: ModelSource, dims: Mapping[str, Binding], path: Path) -> SampleDims:
    """``dims`` with what they leave unbound bound to the shapes of the samples in ``path``.

    Only dimensions that the model leaves open and ``dims`` does not bind are taken; ``path``
    is not read when there are none.

    Raises:
        InputError: the file is damaged, or has no array for an input with an open dimension.
        DimensionError: ``dims`` or the samples bind wrongly.
    """
    open_axes = _open_axes(load_model(model).graph.inputs, dims)
    arrays = read_arrays(path) if open_axes else {}
    taken: dict[str, tuple[int, ...]] = {}
    completed: dict[str, Binding] = dict(dims)
    for name, axes in open_axes.items():
        if name not in arrays or arrays[name].ndim == 0:
            raise InputError(
                f'there are no samples for input "{clip(name)}"',
                at=clip(str(path)),
                help=f'an array named "{clip(name.replace("/", SLASH))}" is needed, '
                "whose leading axis counts samples",
            )
        shape = taken[name] = arrays[name].shape[1:]
        completed[name] = tuple(
            size if axes is None or axis in axes else None for axis, size in enumerate(shape)
        )
    return SampleDims(completed, taken, path)


def _open_axes(
    inputs: Sequence[ValueInfo], dims: Mapping[str, Binding]
) -> dict[str, frozenset[int] | None]:
    """Per input, the axes without a size; None for an input of unknown rank.

    An input whose whole shape is in ``dims`` is not listed.
    """
    ranked = [value for value in inputs if value.type.shape is not None or value.name in dims]
    signature = bind_inputs(ranked, dims, allow_unbound=True)
    found: dict[str, frozenset[int] | None] = {}
    for value in inputs:
        type_ = signature.types.get(value.name)
        if type_ is None:
            found[value.name] = None
        elif not isinstance(dims.get(value.name), (tuple, list)):
            axes = (a for a, dim in enumerate(type_.shape) if not _is_bound(dim, signature))
            if open_ := frozenset(axes):
                found[value.name] = open_
    return found


def _is_bound(dim: Dim, signature: Signature) -> bool:
    return isinstance(dim, int) or symbols_of(dim) <= signature.symbols.keys()
