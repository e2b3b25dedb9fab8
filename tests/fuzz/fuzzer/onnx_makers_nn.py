"""Makers of ONNX nodes that neural networks are made of; see :mod:`.onnx_makers`."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import DType

from .onnx_graphs import OnnxGraph, RefusedError, onnx_maker


def image(g: OnnxGraph, dtype: str = "f32", spatial: int | None = None, low: int = 1) -> str:
    count = spatial or g.choice([1, 2, 2, 2, 3])
    kind = DType.parse(dtype).numpy

    def fits(x: np.ndarray[Any, Any]) -> bool:
        return x.ndim == count + 2 and x.dtype == kind and x.size > 0

    found = g.pick(fits) if g.coin() else None
    extents = [g.random.randint(low, 7 if count < 3 else 5) for _ in range(count)]
    return found or g.data((g.size(1, 2), g.choice([1, 2, 3, 4, 6]), *extents), dtype)


def window(g: OnnxGraph, x: str) -> tuple[list[int], dict[str, Any]]:
    extents = g.known[x].shape[2:]
    auto = g.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]) if g.coin(0.15) else ""
    # Windows fit: where none does, onnxruntime counts one (its division truncates).
    pads = [0 if auto else g.choice([0, 0, 1, 2]) for _ in range(2 * len(extents))]
    kernel, dilations = [], []
    for i, extent in enumerate(extents):
        size, dilation = g.choice([1, 2, 3, 3]), g.choice([1, 1, 2])
        room = extent + pads[i] + pads[i + len(extents)]
        while size > 1 and (size - 1) * dilation + 1 > room:
            size, dilation = size - 1, 1
        kernel.append(size)
        dilations.append(dilation)
    strides = [g.choice([1, 1, 2, 3]) for _ in extents]
    if auto.startswith("SAME"):
        # Windows that leave a part of the input out would be padded by less than nothing: by 0
        # here, while onnxruntime refuses, or moves them, depending on the operator.
        strides = [min(pair) for pair in zip(strides, kernel)]
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations}
    if auto:
        attributes["auto_pad"] = auto
        # onnxruntime refuses, or pads differently, dilated windows of SAME.
        attributes["dilations"] = [1] * len(extents)
    else:
        attributes["pads"] = pads
    return kernel, attributes


@onnx_maker("Conv")
def conv(g: OnnxGraph) -> Any:
    x = image(g)
    channels = g.known[x].shape[1]
    groups = g.choice([n for n in range(1, channels + 1) if channels % n == 0])
    out = groups * g.size(1, 3)
    kernel, attributes = window(g, x)
    w = g.data((out, channels // groups, *kernel))
    b = [g.data((out,))] if g.coin(0.4) else []
    return g.node("Conv", [x, w, *b], group=groups, **attributes)


@onnx_maker("ConvTranspose")
def conv_transpose(g: OnnxGraph) -> Any:
    x = image(g)
    channels, spatial = g.known[x].shape[1], g.known[x].ndim - 2
    groups = g.choice([n for n in range(1, channels + 1) if channels % n == 0])
    each = g.size(1, 3)
    kernel = [g.size(1, 3) for _ in range(spatial)]
    strides = [g.size(1, 3) for _ in range(spatial)]
    attributes: dict[str, Any] = {"strides": strides, "dilations": [g.size(1, 2) for _ in kernel]}
    attributes["pads"] = [g.choice([0, 0, 1]) for _ in range(2 * spatial)]
    if g.coin(0.4):
        attributes["output_padding"] = [g.random.randrange(s) for s in strides]
    w = g.data((channels, each, *kernel))
    b = [g.data((groups * each,))] if g.coin(0.4) else []
    return g.node("ConvTranspose", [x, w, *b], group=groups, **attributes)


@onnx_maker("MaxPool", "AveragePool", "LpPool")
def pool(g: OnnxGraph, op: str) -> Any:
    dtype = g.choice(["f32", "f32", "u8", "i8", "f64"]) if op == "MaxPool" else "f32"
    x = image(g, dtype)
    kernel, attributes = window(g, x)
    pads = attributes.get("pads", [])
    spatial = len(kernel)
    # A window wholly in the padding: onnxruntime refuses, or divides by 0.
    if any(pads[i] >= kernel[i] or pads[i + spatial] >= kernel[i] for i in range(spatial) if pads):
        raise RefusedError("a window may see nothing")
    if g.coin(0.3) and "auto_pad" not in attributes and op != "LpPool":
        attributes["ceil_mode"] = 1
    if op == "AveragePool":
        attributes["count_include_pad"] = g.size(0, 1)
        attributes["dilations"] = [1] * spatial
    if op == "LpPool":
        attributes["p"] = g.size(1, 3)
    return g.node(op, [x], kernel_shape=kernel, **attributes)


@onnx_maker("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(g: OnnxGraph, op: str) -> Any:
    return g.node(op, [image(g)])


@onnx_maker("BatchNormalization")
def batch_normalization(g: OnnxGraph) -> Any:
    x = image(g)
    shape = (g.known[x].shape[1],)
    variance = g.uniform(shape, 0.3, 2)
    parameters = [g.data(shape) for _ in range(3)]
    return g.node("BatchNormalization", [x, *parameters, variance], epsilon=g.choice([1e-5, 1e-3]))


@onnx_maker("InstanceNormalization")
def instance_normalization(g: OnnxGraph) -> Any:
    x = image(g)
    shape = (g.known[x].shape[1],)
    return g.node("InstanceNormalization", [x, g.data(shape), g.data(shape)], epsilon=1e-2)


@onnx_maker("GroupNormalization")
def group_normalization(g: OnnxGraph) -> Any:
    x = image(g)
    channels = g.known[x].shape[1]
    groups = g.choice([n for n in range(1, channels + 1) if channels % n == 0])
    parameters = [g.data((channels,)) for _ in range(2)]
    return g.node("GroupNormalization", [x, *parameters], num_groups=groups, epsilon=1e-2)


@onnx_maker("LayerNormalization", "RMSNormalization")
def layer_normalization(g: OnnxGraph, op: str) -> Any:
    x = g.value(("f32", "f64"), low=1)
    axis = g.axis(x)
    shape = g.known[x].shape[axis:]
    count = g.size(1, 2) if op == "LayerNormalization" else 1
    parameters = [g.like(shape, g.text(x)) for _ in range(count)]
    return g.node(op, [x, *parameters], axis=axis, epsilon=1e-2)


@onnx_maker("MeanVarianceNormalization")
def mean_variance(g: OnnxGraph) -> Any:
    return g.node("MeanVarianceNormalization", [image(g, spatial=2)])


@onnx_maker("LRN")
def lrn(g: OnnxGraph) -> Any:
    return g.node(
        "LRN", [image(g, spatial=2)], size=g.choice([1, 3, 5]), alpha=g.choice([1e-4, 0.3])
    )


@onnx_maker("MatMul")
def matmul(g: OnnxGraph) -> Any:
    a = g.value(("f32", "f64", "i32"), low=1)
    shape = g.known[a].shape
    if not shape[-1]:
        raise RefusedError("onnxruntime leaves the result as it was where there is no depth")
    batch = [d if g.coin() else 1 for d in shape[:-2]][g.random.randrange(max(1, len(shape) - 1)) :]
    columns = [g.size(1, 9)] if batch or g.coin(0.8) else []
    return g.node("MatMul", [a, g.like((*batch, shape[-1], *columns), g.text(a))])


@onnx_maker("Gemm")
def gemm(g: OnnxGraph) -> Any:
    a = g.value(("f32", "f64"), rank=2)
    first, second = g.size(0, 1), g.size(0, 1)
    rows, depth = g.known[a].shape[::-1] if first else g.known[a].shape
    if not depth:
        raise RefusedError("onnxruntime leaves out beta where there is nothing to multiply")
    columns = g.size(1, 6)
    b = g.like((columns, depth) if second else (depth, columns), g.text(a))
    c = [g.like(g.choice([(rows, columns), (columns,), (1, columns), (rows, 1), ()]), g.text(a))]
    factors = {name: g.choice([0.5, 1.0, 2.0]) for name in ("alpha", "beta") if g.coin()}
    return g.node(
        "Gemm", [a, b, *(c if g.coin(0.6) else [])], transA=first, transB=second, **factors
    )


@onnx_maker("MatMulInteger")
def matmul_integer(g: OnnxGraph) -> Any:
    rows, depth, columns = g.size(1, 4), g.size(1, 6), g.size(1, 6)
    a, b = (
        g.data((rows, depth), g.choice(["u8", "i8"])),
        g.data((depth, columns), g.choice(["u8", "i8"])),
    )
    points = [g.data((), g.text(a)), g.data((), g.text(b))][: g.size(0, 2)]
    return g.node("MatMulInteger", [a, b, *points])


@onnx_maker("ConvInteger")
def conv_integer(g: OnnxGraph) -> Any:
    x = image(g, "u8", spatial=2)
    kernel, attributes = window(g, x)
    w = g.data((g.size(1, 3), g.known[x].shape[1], *kernel), "u8")
    points = [g.data((), "u8"), g.data((), "u8")][: g.size(0, 2)]
    return g.node("ConvInteger", [x, w, *points], **attributes)


@onnx_maker("Einsum")
def einsum(g: OnnxGraph) -> Any:
    equation = g.choice(
        ["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij,ij->", "i,j->ij", "bhid,bhjd->bhij", "ii->i"]
    )
    sizes = {letter: g.size(1, 4) for letter in "bhijkd"}
    terms = equation.split("->")[0].split(",")
    return g.node("Einsum", [g.data([sizes[c] for c in t]) for t in terms], equation=equation)


@onnx_maker("Det")
def det(g: OnnxGraph) -> Any:
    n = g.size(1, 4)
    return g.node("Det", [g.data((*g.shape(g.size(0, 1)), n, n), g.choice(["f32", "f64"]))])


@onnx_maker("Resize")
def resize(g: OnnxGraph) -> Any:
    """Not align_corners with scales: onnxruntime's results of a fractional size are its own."""
    x = image(g, g.choice(["f32", "f32", "u8", "i32"]), spatial=2)
    mode = g.choice(["nearest", "linear", "cubic"])
    if mode != "nearest" and g.known[x].dtype != np.float32:
        raise RefusedError("onnxruntime rounds integers in its own way")
    modes = ["half_pixel", "pytorch_half_pixel", "asymmetric", "half_pixel_symmetric"]
    shape = g.known[x].shape
    sizes = [*shape[:2], *(g.size(1, 9) for _ in shape[2:])]
    # The nearest of two elements as far away is a matter of rounding, unless scales are exact.
    factors = [0.5, 1, 2] if mode == "nearest" else [0.5, 1, 2, 3, 1.5]
    by_size = g.coin() and mode != "nearest"
    if by_size:
        modes.append("align_corners")
        operands = [x, "", "", g.integers(sizes)]
    else:
        scales = np.array([1, 1, *(g.choice(factors) for _ in shape[2:])], np.float32)
        operands = [x, "", g.leaf(scales, fixed=True)]
        if 0 in np.floor(shape * scales):
            raise RefusedError("nothing is left")
    attributes: dict[str, Any] = {"coordinate_transformation_mode": g.choice(modes), "mode": mode}
    if mode == "nearest":
        attributes["nearest_mode"] = g.choice(
            ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        )
    if mode == "cubic":
        attributes["cubic_coeff_a"] = g.choice([-0.75, -0.5])
        attributes["exclude_outside"] = g.size(0, 1)
    return g.node("Resize", operands, **attributes)


@onnx_maker("GridSample")
def grid_sample(g: OnnxGraph) -> Any:
    """Not cubic with border or reflection: onnxruntime moves single elements, not positions."""
    x = image(g, spatial=2)
    mode = g.choice(["nearest", "linear", "cubic"])
    padding = "zeros" if mode == "cubic" else g.choice(["zeros", "border", "reflection"])
    grid = g.uniform((g.known[x].shape[0], g.size(), g.size(), 2), -1.5, 1.5)
    return g.node(
        "GridSample", [x, grid], mode=mode, padding_mode=padding, align_corners=g.size(0, 1)
    )


@onnx_maker("AffineGrid")
def affine_grid(g: OnnxGraph) -> Any:
    """Not of size 1: the standard divides by 0 there when corners are aligned."""
    n = g.size(1, 2)
    size = g.integers([n, 1, g.size(2), g.size(2)])
    return g.node("AffineGrid", [g.data((n, 2, 3)), size], align_corners=g.size(0, 1))


@onnx_maker("RoiAlign")
def roi_align(g: OnnxGraph) -> Any:
    """Mode avg only: onnxruntime compares samples where ONNX compares weighted elements."""
    x = image(g, spatial=2)
    count = g.size(1, 3)
    rng = np.random.default_rng(g.random.getrandbits(32))
    corners = rng.uniform(0, 4, (count, 2))
    boxes = g.leaf(
        np.concatenate([corners, corners + rng.uniform(1, 4, (count, 2))], 1).astype(np.float32)
    )
    batch = g.leaf(rng.integers(0, g.known[x].shape[0], count))
    return g.node(
        "RoiAlign",
        [x, boxes, batch],
        output_height=g.size(1, 3),
        output_width=g.size(1, 3),
        sampling_ratio=g.size(0, 2),
        spatial_scale=g.choice([1.0, 0.5]),
        coordinate_transformation_mode=g.choice(["half_pixel", "output_half_pixel"]),
    )


@onnx_maker("LSTM", "GRU", "RNN")
def recurrent(g: OnnxGraph, op: str) -> Any:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    time, batch, inputs, hidden = g.size(1, 4), g.size(1, 3), g.size(1, 4), g.size(1, 4)
    direction = g.choice(["forward", "reverse", "bidirectional"])
    directions = 2 if direction == "bidirectional" else 1
    operands = [
        g.like((time, batch, inputs), "f32"),
        g.data((directions, gates * hidden, inputs), scale=1),
        g.data((directions, gates * hidden, hidden), scale=1),
        g.data((directions, 2 * gates * hidden), scale=1) if g.coin() else "",
        g.integers([g.size(1, time) for _ in range(batch)], "i32", fixed=False)
        if g.coin(0.3)
        else "",
        g.data((directions, batch, hidden), scale=1) if g.coin(0.4) else "",
    ]
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if op == "LSTM":
        operands.append(g.data((directions, batch, hidden), scale=1) if g.coin(0.4) else "")
        operands.append(g.data((directions, 3 * hidden), scale=1) if g.coin(0.3) else "")
    if op == "GRU":
        attributes["linear_before_reset"] = g.size(0, 1)
    return g.node(op, operands, outputs=3 if op == "LSTM" else 2, **attributes)


@onnx_maker("QuantizeLinear")
def quantize(g: OnnxGraph) -> Any:
    x = g.value(["f32"])
    scale = g.leaf(np.float32(g.choice([0.05, 0.1, 0.25])), fixed=True)
    return g.node(
        "QuantizeLinear",
        [x, scale, g.leaf(np.array(g.size(0, 9), g.choice([np.uint8, np.int8])), fixed=True)],
    )


@onnx_maker("DequantizeLinear")
def dequantize(g: OnnxGraph) -> Any:
    x = g.value(["u8", "i8"], low=1)
    axis = g.axis(x)
    count = g.known[x].shape[axis]
    shape = (count,) if g.coin() and count else ()
    scale = g.uniform(shape, 0.05, 0.5)
    point = g.data(shape, g.text(x))
    g.fixed |= {scale, point}
    return g.node("DequantizeLinear", [x, scale, point], axis=axis)


@onnx_maker("DynamicQuantizeLinear")
def dynamic_quantize(g: OnnxGraph) -> Any:
    x = g.value(["f32"])
    if not g.known[x].size:
        raise RefusedError("nothing to quantize")
    return g.node("DynamicQuantizeLinear", [x], outputs=3)


@onnx_maker("DFT")
def dft(g: OnnxGraph) -> Any:
    shape = (g.size(1, 2), g.choice([1, 2, 3, 4, 5, 8, 9]), g.size(1, 2))
    return g.node(
        "DFT", [g.data(shape), "", g.integers(1)], inverse=g.size(0, 1) if shape[-1] == 2 else 0
    )


@onnx_maker("HannWindow", "HammingWindow")
def window_function(g: OnnxGraph, op: str) -> Any:
    """Not BlackmanWindow: its ends are 0 up to rounding, of which nothing tells the size."""
    return g.node(op, [g.integers(g.size(3, 9))], periodic=g.size(0, 1))


@onnx_maker("Attention")
def attention(g: OnnxGraph) -> Any:
    batch, heads, kv_heads = g.size(1, 2), g.choice([1, 2, 4]), 1
    kv_heads = g.choice([n for n in (1, 2, 4) if heads % n == 0])
    rows, columns, depth, width = g.size(1, 4), g.size(1, 4), g.choice([2, 4]), g.choice([2, 3])
    q = g.data((batch, heads, rows, depth))
    k = g.data((batch, kv_heads, columns, depth))
    v = g.data((batch, kv_heads, columns, width))
    mask = [g.data((rows, columns))] if g.coin(0.4) else []
    attributes: dict[str, Any] = {"is_causal": g.size(0, 1)}
    if g.coin(0.3):
        attributes["softcap"] = 2.0
    return g.node("Attention", [q, k, v, *mask], **attributes)


@onnx_maker("RotaryEmbedding")
def rotary(g: OnnxGraph) -> Any:
    batch, heads, length, size = g.size(1, 2), g.size(1, 3), g.size(1, 4), g.choice([2, 4, 6])
    x = g.data((batch, heads, length, size))
    tables = [g.data((batch, length, size // 2)) for _ in range(2)]
    return g.node("RotaryEmbedding", [x, *tables], interleaved=g.size(0, 1))
