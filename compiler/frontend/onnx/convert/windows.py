"""Strides, pads and dilations of sliding windows, with automatic padding resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Dim, DimExpr, TensorType
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext

_AUTOMATIC = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True)
class Windows:
    """Attributes of an op with sliding windows, one entry per spatial axis (two in ``pads``)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    overhang: tuple[int, ...]


def windows(node: NodeContext, x: TensorType, kernel: Sequence[int]) -> Windows:
    """The node's windows over the spatial axes of ``x``.

    Raises:
        ModelError: attributes do not fit the input's rank.
        UnsupportedError: the padding depends on a symbolic dimension.
    """
    spatial = x.rank - 2
    if spatial < 1 or len(kernel) != spatial:
        raise ModelError(f"a kernel of shape {list(kernel)} does not fit {x}")
    strides = _list(node, "strides", spatial, 1)
    dilations = _list(node, "dilations", spatial, 1)
    auto = node.string("auto_pad", "NOTSET")
    if auto not in _AUTOMATIC:
        raise ModelError(f"attribute auto_pad is {auto!r}")
    if min(*strides, *dilations, *kernel) < 1:
        raise ModelError("a stride, dilation or kernel size is not positive")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if auto.startswith("SAME"):
        pads = _same_pads(node, x, strides, reach, auto == "SAME_UPPER")
    elif auto == "VALID":
        pads = (0,) * (2 * spatial)
    else:
        pads = _list(node, "pads", 2 * spatial, 0)
    overhang = (0,) * spatial
    if auto == "NOTSET" and node.flag("ceil_mode"):
        overhang = _overhang(node, x, strides, reach, pads)
    return Windows(tuple(kernel), strides, pads, dilations, overhang)


def _list(node: NodeContext, name: str, length: int, default: int) -> tuple[int, ...]:
    values = node.integers(name)
    if not values:
        return (default,) * length
    if len(values) != length:
        raise ModelError(f"attribute {name} has {len(values)} entries, needs {length}")
    return values


def _same_pads(
    node: NodeContext, x: TensorType, strides: Sequence[int], reach: Sequence[int], upper: bool
) -> tuple[int, ...]:
    """Pads that make ``ceil(size / stride)`` windows; an odd one lies at the end for ``upper``."""
    begins, ends = [], []
    for dim, stride, extent in zip(x.shape[2:], strides, reach, strict=True):
        count = dimension.ceildiv(dim, stride)
        total: Dim = (count - 1) * stride + extent - dim
        if isinstance(total, DimExpr):
            node.refuse(f"its padding depends on the dimension {dim}; bind it")
        total = max(0, total)
        small = total // 2
        begins.append(small if upper else total - small)
        ends.append(total - small if upper else small)
    return (*begins, *ends)


def _overhang(
    node: NodeContext,
    x: TensorType,
    strides: Sequence[int],
    reach: Sequence[int],
    pads: Sequence[int],
) -> tuple[int, ...]:
    """How far windows reach beyond the padding when their number is rounded up.

    A window that would start in the padding at the end does not count.
    """
    result = []
    spatial = len(strides)
    for axis, dim in enumerate(node.static(x.shape[2:], "number of windows (ceil_mode)")):
        padded = dim + pads[axis] + pads[axis + spatial]
        last = -(-(padded - reach[axis]) // strides[axis])
        if last * strides[axis] >= dim + pads[axis]:
            last -= 1
        result.append(max(0, last * strides[axis] + reach[axis] - padded))
    return tuple(result)
