"""Operands that fix shapes: which inputs of a model they are, and models that know them.

An operand such as the shape of Reshape is a constant in exported models; ONNX's test suite hands
many of them over as inputs.  With :func:`with_initializers` the same model takes them as exporters
write them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper

from .operators import all_graphs, full_name

_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
SHAPING_OPERANDS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(_REDUCTIONS, (1,)),  # axes
    **dict.fromkeys(("CumProd", "CumSum"), (1,)),  # axis
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), (0,)),  # size
    "AffineGrid": (1,),  # size
    "CenterCropPad": (1,),  # shape
    "Col2Im": (1, 2),  # image_shape, block_shape
    "Compress": (1,),  # condition
    "ConstantOfShape": (0,),  # shape
    "DFT": (1, 2),  # dft_length, axis
    "Expand": (1,),  # shape
    "Loop": (0,),  # trip count
    "MaxUnpool": (2,),  # output_shape
    "MelWeightMatrix": (0, 1),  # num_mel_bins, dft_length
    "NonMaxSuppression": (2,),  # max_output_boxes_per_class
    "OneHot": (1,),  # depth
    "Pad": (1, 3),  # pads, axes
    "Range": (0, 1, 2),  # start, limit, delta
    "Reshape": (1,),  # shape
    "Resize": (1, 2, 3),  # roi, scales, sizes
    "Slice": (1, 2, 3, 4),  # starts, ends, axes, steps
    "Split": (1,),  # split
    "SplitToSequence": (1,),  # split
    "Squeeze": (1,),  # axes
    "STFT": (1, 3),  # frame_step, frame_length
    "Tile": (1, 2),  # repeats; of the first version, tiles and axis
    "TopK": (1,),  # k
    "Unsqueeze": (1,),  # axes
    "Upsample": (1,),  # scales
}
"""By operator the positions of the operands that decide shapes, or along which axes it works."""

_FORGETS_DATA = frozenset({"Shape", "Size"})
"""Operators whose results do not depend on the elements of their operands."""


def shaping_inputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """The inputs of rank 0 or 1 whose elements reach an operand that fixes shapes."""
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node]
    reached: set[str] = set()
    for node in nodes:
        if full_name(node.domain, node.op_type) in SHAPING_OPERANDS:
            slots = SHAPING_OPERANDS[node.op_type]
            reached.update(node.input[slot] for slot in slots if slot < len(node.input))
    size = -1
    while size != len(reached):
        size = len(reached)
        for node in reversed(nodes):
            if node.op_type not in _FORGETS_DATA and reached.intersection(node.output):
                reached.update(node.input)
    initialized = {tensor.name for tensor in model.graph.initializer}
    return tuple(
        value.name
        for value in model.graph.input
        if value.name in reached - initialized and _is_short(value.type)
    )


def with_initializers(
    model: onnx.ModelProto, values: Mapping[str, npt.NDArray[np.generic]]
) -> onnx.ModelProto:
    """``model`` with the inputs that ``values`` names turned into initializers."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kept = [value for value in model.graph.input if value.name not in values]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    changed.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in values.items()
    )
    return changed


def _is_short(type_: onnx.TypeProto) -> bool:
    tensor = type_.tensor_type
    return tensor.HasField("shape") and len(tensor.shape.dim) <= 1
