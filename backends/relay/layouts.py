"""In which layouts Relay computes what: the offers that the pass ``layout`` chooses from.

A layout is asked for; what TVM can compute in it counts as free, and as forbidden in order where it
is a convolution or a pooling.  So these are in the layout asked for, and what lies between them is
converted as few bytes as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Layout, Op, TensorType
from burnish.ir.ops.resize import axis_taps
from burnish.passes.layout import LayoutModel, Layouts, register_layouts

DEFAULT = "NCHW"
"""Tensors lie in order."""

_BLOCKS: Mapping[str, int] = {"NHWC": 0, "NCHW4c": 4, "NCHW8c": 8, "NCHW16c": 16}
"""Channels in a block, by Relay's names; 0: all channels last."""

CHOICES = (DEFAULT, *_BLOCKS)
"""Layouts that can be asked for."""

_SPATIAL = range(1, 4)
_ASKED = 1e15
"""Cost of what is computed in order though it was asked for in a layout: more than all bytes."""


@dataclass(frozen=True)
class ConvForm:
    """How a convolution is written in a layout.

    Attributes:
        weights: the layout of the weights.
        operator: Relay's operator; "" for the usual one.
    """

    weights: Layout
    operator: str = ""


def conv_form(op: Op, layout: Layout) -> ConvForm | None:
    """How a convolution is written in a layout; None where TVM cannot compute it."""
    x, w = (value.type for value in op.inputs[:2])
    groups, spatial = op.attributes.groups, x.rank - 2
    depthwise = groups == x.shape[1] == w.shape[0]
    order = tuple(range(2, w.rank))
    if not layout.tiles:
        if spatial == 3 and groups > 1:
            return None
        last = (0, 1) if depthwise and spatial == 2 and groups > 1 else (1, 0)
        return ConvForm(Layout((*order, *last)))
    ((_, block),) = layout.tiles
    if spatial != 2 or groups not in (1, x.shape[1]) or (groups > 1 and not depthwise):
        return None
    if groups > 1:
        return ConvForm(
            Layout((0, 1, *order), ((1, 1), (0, block))), "nn.contrib_depthwise_conv2d_NCHWc"
        )
    return ConvForm(Layout((0, 1, *order), ((1, block), (0, block))), "nn.contrib_conv2d_NCHWc")


class RelayLayouts(LayoutModel):
    """The ops that Relay computes in one layout; ``block`` as in :data:`_BLOCKS`."""

    def __init__(self, block: int) -> None:
        self.block = block

    def layouts(self, type_: TensorType) -> Sequence[Layout]:
        """Channels last for all spatial ranks; blocks, which must be full, for two."""
        if type_.rank - 2 not in _SPATIAL or not type_.is_static or 0 in type_.shape:
            return ()
        axes = range(type_.rank)
        if not self.block:
            return (Layout((0, *axes[2:], 1)),)
        channels = type_.static_shape[1]
        if type_.rank != 4 or channels % self.block:
            return ()
        return (Layout(tuple(axes), ((1, self.block),)),)

    def of_op(self, op: Op) -> Sequence[tuple[Layouts, Layouts]]:
        supports = _SUPPORTED.get(op.name)
        if supports is None:
            return ()
        laid_out = [self.layouts(value.type) for value in (*op.inputs[:1], *op.results)]
        first = next(iter(laid_out[0]), None)
        if first is None or not supports(op, first):
            return ()
        if op.name == "tensor.concat":
            if not all(self.layouts(value.type) for value in op.inputs):
                return ()
            operands: Layouts = (first,) * len(op.operands)
        else:
            operands = (first, *[None] * (len(op.operands) - 1))
        if op.name == "tensor.reduce" and not op.attributes.keep_dims:
            return [(operands, (None,))]
        return [(operands, (first,))] if laid_out[1] else []

    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        """Nothing, but for what is asked for in the layout, and for what Relay cannot say."""
        chosen = any(operands) or any(results)
        if op.name == "tensor.transpose":
            type_ = op.result.type
            if not chosen:
                return self.conversion(type_, None, Layout(tuple(op.attributes.permutation)))
            renamed = type_.is_static and 0 not in type_.shape and not self.block
            return 0.0 if renamed else float("inf")
        return _ASKED if op.name in _ASKED_FOR and not chosen and self.of_op(op) else 0.0

    def conversion(self, type_: TensorType, source: Layout | None, target: Layout | None) -> float:
        old, new = type_.with_layout(source), type_.with_layout(target)
        if source != target and old.storage_order() == new.storage_order():
            return 0.0
        return float(old.bytes) if isinstance(old.bytes, int) else 0.0


def _always(op: Op, layout: Layout) -> bool:
    return True


def _keeps_blocks(op: Op, layout: Layout) -> bool:
    """Whether channels stay where they are, if they lie in blocks."""
    if not layout.tiles:
        return True
    a, before, after = op.attributes, op.inputs[0].type.static_shape, op.result.type.shape
    if op.name == "tensor.pad":
        return not (a.before[1] or a.after[1])
    if op.name == "tensor.slice":
        return (a.starts[1], a.steps[1], after[1]) == (0, 1, before[1])
    return after[1] == before[1] and axis_taps(a, 1, before[1]).is_identity


_SUPPORTED: Mapping[str, Callable[[Op, Layout], bool]] = {
    "nn.conv": lambda op, layout: conv_form(op, layout) is not None,
    "nn.max_pool": _always,
    "nn.average_pool": _always,
    "nn.batch_norm": _always,
    "nn.resize": _keeps_blocks,
    "tensor.concat": _always,
    "tensor.pad": _keeps_blocks,
    "tensor.slice": _keeps_blocks,
    "tensor.reduce": lambda op, layout: min(op.attributes.axes, default=0) >= 2,
}
"""Ops, besides elementwise ones, whose lowering takes a layout."""

_ASKED_FOR = frozenset(("nn.conv", "nn.max_pool", "nn.average_pool"))
"""Ops that have to be in the layout asked for, where TVM can compute them in it."""


def layout_model_name(choice: str) -> str:
    """What the pass ``layout`` calls the offers."""
    return f"relay-{choice}"


for _choice, _block in _BLOCKS.items():
    register_layouts(layout_model_name(_choice), RelayLayouts(_block))
