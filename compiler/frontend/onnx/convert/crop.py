"""CenterCropPad: a crop or a padding around the center."""

from __future__ import annotations

from burnish.ir import Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter


@converter("CenterCropPad", since=18)
def _center_crop_pad(node: NodeContext) -> Value:
    """Axes that are too short are padded with zeros, those too long are cropped."""
    x, given = node.input(0), node.input(1)
    rank = x.type.rank
    axes = node.axes(node.integers("axes") or range(rank), rank)
    old = node.static(x.type.shape, "shape")
    if node.is_known(given):
        wanted = node.known_ints(given, "shape")
    else:
        declared = node.static(node.declared_shape("shape"), "shape")
        if len(declared) != rank:
            raise ModelError(f"its output is declared as {list(declared)}, its input is {x.type}")
        wanted = tuple(declared[axis] for axis in axes)
        x = node.require(x, given, wanted, "shape")
    if len(wanted) != len(axes):
        raise ModelError(f"a shape of {len(wanted)} numbers for {len(axes)} axes")
    new = list(old)
    for axis, size in zip(axes, wanted, strict=True):
        new[axis] = size
    missing = [max(0, size - extent) for extent, size in zip(old, new, strict=True)]
    if any(missing):
        before = [amount // 2 for amount in missing]
        after = [amount - front for amount, front in zip(missing, before, strict=True)]
        x = node.op("tensor.pad", x, before=before, after=after, mode="constant")
    starts = [max(0, extent - size) // 2 for extent, size in zip(old, new, strict=True)]
    if tuple(new) == x.type.shape:
        return x
    return node.op("tensor.slice", x, starts=starts, sizes=new, steps=(1,) * rank)
