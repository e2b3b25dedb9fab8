"""Cases of the neural network ops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from op_cases import OpCase, data


def _convolution(
    op: str,
    note: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    *,
    bias: int = 0,
    dtype: str = "f32",
    here: bool = False,
    **attributes: Any,
) -> OpCase:
    axes = len(x) - 2
    lists = {"strides": 1, "dilations": 1}
    if op == "nn.conv_transpose":
        lists["output_padding"] = 0
    for name, default in lists.items():
        attributes.setdefault(name, (default,) * axes)
    attributes.setdefault("pads", (0,) * (2 * axes))
    operands = [data(x, dtype), data(w, dtype, salt="w")]
    if bias:
        operands.append(data((bias,), dtype, salt="b"))
    return OpCase(op, note, tuple(operands), attributes, defined_here=here)


def _convolutions() -> list[OpCase]:
    def conv(note: str, x: tuple[int, ...], w: tuple[int, ...], **more: Any) -> OpCase:
        return _convolution("nn.conv", note, x, w, **more)

    return [
        conv("1x1", (1, 3, 4, 5), (2, 3, 1, 1)),
        conv("3x3-same", (1, 3, 6, 7), (4, 3, 3, 3), bias=4, pads=(1, 1, 1, 1)),
        conv("stride", (2, 3, 9, 8), (4, 3, 3, 3), bias=4, strides=(2, 3), pads=(1, 0, 0, 1)),
        conv("dilated", (1, 2, 9, 9), (3, 2, 3, 2), dilations=(2, 3)),
        conv("asymmetric", (1, 2, 5, 5), (2, 2, 3, 3), pads=(0, 2, 1, 0)),
        conv(
            "all",
            (1, 4, 11, 9),
            (6, 2, 3, 3),
            bias=6,
            groups=2,
            strides=(2, 1),
            pads=(2, 1, 0, 3),
            dilations=(2, 2),
        ),
        conv("groups", (1, 6, 5, 5), (9, 2, 3, 3), groups=3),
        conv("depthwise", (2, 5, 6, 6), (5, 1, 3, 3), bias=5, groups=5, pads=(1, 1, 1, 1)),
        conv("depthwise-multiplier", (1, 3, 6, 6), (6, 1, 3, 3), groups=3, strides=(2, 2)),
        conv("wide-stride", (1, 2, 7, 7), (2, 2, 1, 1), strides=(3, 3)),
        conv("1d", (2, 3, 10), (4, 3, 3), bias=4, strides=(2,), pads=(1, 2)),
        conv("1d-depthwise", (1, 4, 9), (4, 1, 4), groups=4, dilations=(2,)),
        conv("3d", (1, 2, 4, 5, 3), (3, 2, 2, 3, 1), bias=3, pads=(1, 1, 0, 0, 1, 1)),
        conv("3d-stride", (1, 2, 5, 5, 5), (2, 1, 3, 3, 3), groups=2, strides=(2, 2, 2)),
        conv("one-pixel", (1, 4, 1, 1), (3, 4, 1, 1), bias=3),
        conv("only-padding", (1, 1, 1, 1), (1, 1, 3, 3), pads=(1, 1, 1, 1)),
        conv("large", (1, 16, 20, 20), (24, 16, 3, 3), bias=24, pads=(1, 1, 1, 1)),
        conv("empty-batch", (0, 2, 4, 4), (3, 2, 3, 3), bias=3, here=True),
        conv("no-channels", (1, 0, 4, 4), (3, 0, 3, 3), bias=3, here=True),
        conv("no-windows", (1, 2, 2, 4), (3, 2, 3, 3), here=True),
        conv("f64", (1, 2, 5, 5), (3, 2, 3, 3), bias=3, dtype="f64"),
        conv("f16", (1, 2, 5, 5), (3, 2, 3, 3), bias=3, dtype="f16"),
        conv("i32", (1, 2, 5, 5), (3, 2, 3, 3), bias=3, dtype="i32", here=True),
    ]


def _transposed_convolutions() -> list[OpCase]:
    def conv(note: str, x: tuple[int, ...], w: tuple[int, ...], **more: Any) -> OpCase:
        return _convolution("nn.conv_transpose", note, x, w, **more)

    return [
        conv("plain", (1, 3, 4, 5), (3, 2, 3, 3), bias=2),
        conv("double", (1, 3, 4, 4), (3, 2, 2, 2), strides=(2, 2)),
        conv("overlap", (2, 3, 4, 3), (3, 4, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1)),
        conv(
            "padding",
            (1, 2, 4, 4),
            (2, 2, 3, 3),
            strides=(2, 2),
            pads=(1, 0, 0, 1),
            output_padding=(1, 0),
        ),
        conv("dilated", (1, 2, 4, 4), (2, 3, 3, 2), dilations=(2, 3), bias=3),
        conv("groups", (1, 4, 4, 4), (4, 3, 3, 3), groups=2, strides=(2, 1), bias=6),
        conv("depthwise", (1, 3, 4, 4), (3, 1, 3, 3), groups=3, strides=(2, 2)),
        conv("gaps", (1, 2, 3, 3), (2, 2, 2, 2), strides=(3, 3)),
        conv("1d", (1, 2, 5), (2, 3, 4), strides=(2,), pads=(1, 2), bias=3),
        conv("3d", (1, 2, 3, 2, 3), (2, 2, 2, 3, 2), strides=(2, 1, 2)),
        conv("empty-batch", (0, 2, 3, 3), (2, 3, 3, 3), bias=3, here=True),
        conv("f64", (1, 2, 4, 4), (2, 3, 3, 3), dtype="f64", here=True),
        conv("f16", (1, 2, 4, 4), (2, 3, 3, 3), dtype="f16", here=True),
    ]


def _products() -> list[OpCase]:
    def matmul(
        note: str,
        *shapes: tuple[int, ...],
        dtype: str = "f32",
        here: bool = False,
        **attributes: Any,
    ) -> OpCase:
        operands = tuple(data(s, dtype, salt=str(i)) for i, s in enumerate(shapes))
        return OpCase("nn.matmul", note, operands, attributes, defined_here=here)

    return [
        matmul("plain", (3, 4), (4, 5)),
        matmul("vector", (1, 7), (7, 1)),
        matmul("bias", (3, 4), (4, 5), (5,)),
        matmul("bias-column", (3, 4), (4, 5), (3, 1)),
        matmul("bias-scalar", (3, 4), (4, 5), ()),
        matmul("bias-full", (2, 3, 4), (4, 5), (2, 3, 5)),
        matmul("transpose-a", (4, 3), (4, 5), transpose_a=True),
        matmul("transpose-b", (3, 4), (5, 4), (5,), transpose_b=True),
        matmul("transpose-both", (4, 3), (5, 4), transpose_a=True, transpose_b=True),
        matmul("batch", (2, 3, 4), (2, 4, 5)),
        matmul("batch-broadcast", (2, 1, 3, 4), (5, 4, 2)),
        matmul("batch-transposed", (2, 2, 3, 4), (2, 2, 5, 4), transpose_b=True),
        matmul("odd", (17, 33), (33, 9), (9,)),
        matmul("large", (40, 70), (70, 50)),
        matmul("no-rows", (0, 4), (4, 5)),
        matmul("no-depth", (3, 0), (0, 5), (5,)),
        matmul("no-batch", (0, 3, 4), (4, 5)),
        matmul("f64", (3, 4), (4, 5), (5,), dtype="f64"),
        matmul("f16", (3, 40), (40, 5), dtype="f16"),
        matmul("i32", (3, 4), (4, 5), dtype="i32"),
        matmul("i64", (2, 3, 4), (4, 5), dtype="i64"),
        matmul("i8-wraps", (3, 40), (40, 5), dtype="i8", here=True),
    ]


def _pooling() -> list[OpCase]:
    def pools(
        note: str,
        x: tuple[int, ...],
        kernel: tuple[int, ...],
        *,
        strides: tuple[int, ...] = (),
        pads: tuple[int, ...] = (),
        dilations: tuple[int, ...] = (),
        overhang: tuple[int, ...] = (),
        dtype: str = "f32",
        here: bool = False,
    ) -> list[OpCase]:
        axes = len(kernel)
        attributes = {
            "kernel": kernel,
            "strides": strides or (1,) * axes,
            "pads": pads or (0,) * (2 * axes),
            "dilations": dilations or (1,) * axes,
            "overhang": overhang or (0,) * axes,
        }
        operands = (data(x, dtype),)
        found = [OpCase("nn.max_pool", note, operands, attributes, defined_here=here)]
        if dtype[0] != "f" and dtype[0] != "b":
            return found
        for include in (False, True):
            found.append(
                OpCase(
                    "nn.average_pool",
                    f"{note}{'-include' if include else ''}",
                    operands,
                    {**attributes, "count_include_pad": include},
                    # onnxruntime counts the overhang of a dilated window differently
                    defined_here=here,
                )
            )
        return found

    return [
        *pools("2x2", (1, 3, 4, 6), (2, 2), strides=(2, 2)),
        *pools("3x3-same", (2, 2, 5, 5), (3, 3), pads=(1, 1, 1, 1)),
        *pools("stride", (1, 2, 8, 7), (3, 2), strides=(2, 3), pads=(1, 0, 0, 1)),
        *pools("ceil", (1, 2, 6, 6), (3, 3), strides=(2, 2), overhang=(1, 1)),
        *pools(
            "ceil-pads", (1, 1, 7, 7), (3, 3), strides=(3, 3), pads=(1, 1, 0, 0), overhang=(1, 1)
        ),
        *pools("dilated", (1, 2, 9, 9), (3, 2), dilations=(2, 3)),
        *pools("whole", (1, 3, 4, 4), (4, 4)),
        *pools("1d", (2, 3, 9), (3,), strides=(2,), pads=(1, 1)),
        *pools("3d", (1, 2, 4, 5, 4), (2, 3, 2), strides=(2, 1, 2)),
        *pools("one", (1, 2, 3, 3), (1, 1), strides=(2, 2)),
        *pools("empty", (0, 2, 4, 4), (2, 2), here=True),
        *pools("f64", (1, 2, 5, 5), (3, 3), pads=(1, 1, 1, 1), dtype="f64"),
        *pools("f16", (1, 2, 5, 5), (3, 3), pads=(1, 1, 1, 1), dtype="f16"),
        *pools("i8", (1, 2, 5, 5), (3, 3), pads=(1, 1, 1, 1), dtype="i8"),
        *pools("u8", (1, 2, 5, 5), (2, 2), dtype="u8"),
        *_weird_pools(),
    ]


def _weird_pools() -> list[OpCase]:
    x = data((1, 1, 4, 4))
    x[0, 0, 0, 0], x[0, 0, 1, 2], x[0, 0, 3] = np.nan, np.inf, -np.inf
    window = {"kernel": (2, 2), "strides": (2, 2), "pads": (0,) * 4, "dilations": (1, 1)}
    window["overhang"] = (0, 0)
    return [
        OpCase("nn.max_pool", "weird", (x,), window, defined_here=True),
        OpCase("nn.average_pool", "weird", (x,), window),
    ]


def _softmaxes() -> list[OpCase]:
    weird = np.array(
        [
            [1, 2, 3],
            [-np.inf, 0, 1],
            [-np.inf] * 3,
            [np.inf, 0, 1],
            [np.nan, 0, 1],
            [1000, -1000, 999],
            [-1e30] * 3,
        ],
        np.float32,
    )
    found = []
    for op in ("nn.softmax", "nn.log_softmax"):
        for axis in range(3):
            found.append(OpCase(op, f"axis{axis}", (data((2, 3, 4)),), {"axis": axis}))
        found += [
            OpCase(op, "channels", (data((1, 5, 3, 3)),), {"axis": 1}),
            OpCase(op, "one", (data((3, 1)),), {"axis": 1}),
            OpCase(op, "vector", (data((10,)),), {"axis": 0}),
            OpCase(op, "long", (data((2, 1000)),), {"axis": 1}),
            OpCase(op, "weird", (weird,), {"axis": 1}),
            OpCase(op, "empty", (data((2, 0)),), {"axis": 1}),
            OpCase(op, "no-rows", (data((0, 3)),), {"axis": 1}),
            OpCase(op, "f64", (data((2, 5), "f64"),), {"axis": 1}),
            OpCase(op, "f16", (data((2, 5), "f16"),), {"axis": 1}),
        ]
    return found


def _normalizations() -> list[OpCase]:
    def channels(count: int, dtype: str = "f32", *, names: str = "sb") -> tuple[Any, ...]:
        return tuple(data((count,), dtype, low=0.1, salt=name) for name in names)

    found = []
    for shape in ((2, 3, 4, 5), (2, 3), (1, 3, 6), (0, 3, 2)):
        x = data(shape)
        tag = "x".join(map(str, shape))
        parameters = channels(3, names="sbmv")
        found.append(OpCase("nn.batch_norm", tag, (x, *parameters)))
        for axis in range(1, len(shape)):
            scale = data(shape[axis:], low=0.5, salt="s")
            bias = data(shape[axis:], salt="b")
            attributes = {"axis": axis, "epsilon": 1e-3}
            found.append(OpCase("nn.layer_norm", f"{tag}-{axis}", (x, scale, bias), attributes))
            found.append(OpCase("nn.rms_norm", f"{tag}-{axis}", (x, scale), attributes))
    for shape, groups in (((2, 4, 3, 3), 2), ((2, 4, 3, 3), 1), ((2, 4, 3, 3), 4), ((1, 6, 5), 3)):
        note = f"{'x'.join(map(str, shape))}-{groups}"
        operands = (data(shape), *channels(shape[1]))
        found.append(OpCase("nn.group_norm", note, operands, {"groups": groups}))
    for size, shape in ((3, (1, 5, 2, 2)), (5, (2, 8, 3, 1)), (2, (1, 4, 2, 2)), (9, (1, 3, 2, 2))):
        attributes = {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
        refused = size % 2 == 0  # by onnxruntime, and onnx.reference sums too few channels
        found.append(OpCase("nn.lrn", f"{size}", (data(shape),), attributes, defined_here=refused))
    constant = np.full((2, 5), 3.0, np.float32)
    ones = np.ones(5, np.float32)
    half = data((2, 3, 4), "f16")
    return [
        *found,
        OpCase("nn.batch_norm", "f64", (data((2, 3), "f64"), *channels(3, "f64", names="sbmv"))),
        OpCase("nn.batch_norm", "f16", (half, *channels(3, "f16", names="sbmv"))),
        OpCase("nn.layer_norm", "no-bias", (data((3, 5)), ones), {"axis": 1}),
        OpCase("nn.layer_norm", "constant", (constant, ones, ones), {"axis": 1}),
        OpCase("nn.layer_norm", "f16", (half, *channels(4, "f16")), {"axis": 2}),
        OpCase(
            "nn.layer_norm", "broadcast", (data((2, 3, 4)), data((3, 1)), data((4,))), {"axis": 1}
        ),
        OpCase("nn.rms_norm", "f16", (half, *channels(4, "f16", names="s")), {"axis": 2}),
        OpCase("nn.group_norm", "no-space", (data((3, 4)), *channels(4)), {"groups": 2}),
        OpCase("nn.lrn", "f64", (data((1, 4, 2), "f64"),), {"size": 3}, defined_here=True),
    ]


def _resize(
    note: str,
    shape: tuple[int, ...],
    result: tuple[int, ...],
    dtype: str = "f32",
    here: bool = False,
    **attributes: Any,
) -> OpCase:
    scales = tuple(float(np.float32(new / old)) if old else 1.0 for new, old in zip(result, shape))
    complete = {"shape": result, "scales": scales, **attributes}
    return OpCase("nn.resize", note, (data(shape, dtype),), complete, defined_here=here)


def _resizing() -> list[OpCase]:
    found = []
    coordinates = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    sizes = {"up": (7, 9), "down": (3, 2), "double": (8, 10), "one": (1, 1), "mixed": (2, 11)}
    for mapping, (name, size) in itertools.product(coordinates, sizes.items()):
        for mode in ("linear", "cubic"):
            found.append(
                _resize(
                    f"{mode}-{mapping}-{name}",
                    (1, 2, 4, 5),
                    (1, 2, *size),
                    mode=mode,
                    coordinates=mapping,
                )
            )
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            if name != "one":
                found.append(
                    _resize(
                        f"nearest-{mapping}-{rounding}-{name}",
                        (1, 2, 4, 5),
                        (1, 2, *size),
                        mode="nearest",
                        coordinates=mapping,
                        rounding=rounding,
                    )
                )
    for mode in ("linear", "cubic"):
        for size in ((3, 3), (2, 4), (9, 3)):
            tag = "x".join(map(str, size))
            found.append(
                _resize(
                    f"{mode}-antialias-{tag}",
                    (1, 2, 8, 7),
                    (1, 2, *size),
                    mode=mode,
                    antialias=True,
                )
            )
    for mode in ("nearest", "linear", "cubic"):
        crop = {"coordinates": "tf_crop_and_resize", "mode": mode, "extrapolation_value": 10.0}
        roi = (0.0, 0.0, 0.25, -0.3, 1.0, 1.0, 0.75, 1.2)
        found.append(_resize(f"{mode}-crop", (1, 1, 5, 6), (1, 1, 4, 7), roi=roi, **crop))
    return [
        *found,
        _resize("cubic-outside", (1, 1, 4, 4), (1, 1, 9, 3), mode="cubic", exclude_outside=True),
        _resize("cubic-half", (1, 1, 4, 4), (1, 1, 9, 3), mode="cubic", cubic_coefficient=-0.5),
        _resize(
            "cubic-outside-antialias",
            (1, 1, 8, 8),
            (1, 1, 3, 3),
            mode="cubic",
            exclude_outside=True,
            antialias=True,
        ),
        _resize(
            "linear-symmetric",
            (1, 1, 4, 4),
            (1, 1, 7, 3),
            mode="linear",
            coordinates="half_pixel_symmetric",
        ),
        _resize(
            "nearest-2x",
            (1, 3, 4, 4),
            (1, 3, 8, 8),
            mode="nearest",
            coordinates="asymmetric",
            rounding="floor",
        ),
        _resize("nearest-1d", (2, 3, 5), (2, 3, 8), mode="nearest"),
        _resize("nearest-3d", (1, 1, 2, 3, 2), (1, 1, 4, 5, 3), mode="nearest"),
        _resize("nearest-all-axes", (2, 3), (5, 4), mode="nearest"),
        _resize("linear-1d", (1, 2, 5), (1, 2, 8), mode="linear"),
        _resize("linear-3d", (1, 2, 3, 3, 2), (1, 2, 5, 4, 4), mode="linear"),
        _resize("linear-rank2", (3, 4), (5, 6), mode="linear"),
        _resize("same", (1, 2, 3, 3), (1, 2, 3, 3), mode="linear"),
        _resize("empty", (0, 2, 3, 3), (0, 2, 6, 6), mode="linear", here=True),
        _resize("nearest-u8", (1, 1, 3, 3), (1, 1, 5, 7), "u8", mode="nearest"),
        _resize("nearest-i32", (1, 1, 3, 3), (1, 1, 5, 7), "i32", mode="nearest"),
        _resize("linear-u8", (1, 1, 3, 3), (1, 1, 5, 7), "u8", here=True, mode="linear"),
        _resize("linear-f16", (1, 1, 3, 3), (1, 1, 5, 7), "f16", here=True, mode="linear"),
    ]


_GATES = {"nn.rnn": 1, "nn.gru": 3, "nn.lstm": 4}
_DEFAULTS = {
    "nn.rnn": ("Tanh",),
    "nn.gru": ("Sigmoid", "Tanh"),
    "nn.lstm": ("Sigmoid", "Tanh", "Tanh"),
}


def _recurrent(
    op: str,
    note: str,
    *,
    time: int = 4,
    batch: int = 2,
    inputs: int = 3,
    hidden: int = 5,
    operands: str = "b",
    lengths: tuple[int, ...] = (),
    dtype: str = "f32",
    here: bool = False,
    **attributes: Any,
) -> OpCase:
    """``operands`` names those given: b bias, h and c initial states, p peepholes."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    gates = _GATES[op]
    attributes = {"hidden_size": hidden, "activations": _DEFAULTS[op] * directions, **attributes}

    def given(name: str, *shape: int) -> Any:
        return data((directions, *shape), dtype, low=-1, high=1, salt=name)

    values = [
        data((time, batch, inputs), dtype),
        given("w", gates * hidden, inputs),
        given("r", gates * hidden, hidden),
        given("b", 2 * gates * hidden) if "b" in operands else None,
        np.array(lengths, np.int32) if lengths else None,
        given("h", batch, hidden) if "h" in operands else None,
    ]
    if op == "nn.lstm":
        values.append(given("c", batch, hidden) if "c" in operands else None)
        values.append(given("p", 3 * hidden) if "p" in operands else None)
    while values[-1] is None:
        values.pop()
    return OpCase(op, note, tuple(values), attributes, defined_here=here)


def _recurrences() -> list[OpCase]:
    found = []
    for op in _GATES:
        found += [
            _recurrent(op, "plain", operands=""),
            _recurrent(op, "bias"),
            _recurrent(op, "reverse", direction="reverse"),
            _recurrent(op, "both-ways", direction="bidirectional", operands="bhc"),
            _recurrent(op, "lengths", lengths=(4, 2), operands="bhc"),
            _recurrent(op, "lengths-reverse", lengths=(1, 3), direction="reverse"),
            _recurrent(op, "lengths-both", lengths=(2, 3), direction="bidirectional"),
            _recurrent(op, "lengths-short", lengths=(2, 1)),
            _recurrent(op, "one", time=1, batch=1, inputs=1, hidden=1),
            _recurrent(op, "clip", clip=0.4),
            _recurrent(op, "no-time", time=0, here=True),
            _recurrent(op, "no-length", lengths=(0, 3), operands="bh", here=True),
            _recurrent(op, "no-batch", batch=0, here=True),
            _recurrent(op, "f64", dtype="f64", here=True),
        ]
    for one in (
        "Relu",
        "Affine",
        "LeakyRelu",
        "ThresholdedRelu",
        "ScaledTanh",
        "HardSigmoid",
        "Elu",
        "Softsign",
        "Softplus",
    ):
        # Where ONNX gives defaults, onnxruntime has 0 for three of them: burnish follows ONNX.
        open_in_onnx = one in ("Affine", "ThresholdedRelu", "ScaledTanh")
        case = _recurrent("nn.rnn", one.lower(), activations=(one,), here=open_in_onnx)
        found.append(case)
        if open_in_onnx:
            parameters = {"activation_alpha": (0.7,), "activation_beta": (0.4,)}
            note = f"{one.lower()}-parameters"
            found.append(_recurrent("nn.rnn", note, activations=(one,), **parameters))
    return [
        *found,
        _recurrent(
            "nn.rnn",
            "parameters",
            activations=("LeakyRelu", "HardSigmoid"),
            direction="bidirectional",
            activation_alpha=(0.3, 0.4),
            activation_beta=(0.1,),
        ),
        _recurrent("nn.gru", "linear", linear_before_reset=True, operands="bh"),
        _recurrent("nn.gru", "linear-both", linear_before_reset=True, direction="bidirectional"),
        _recurrent("nn.gru", "activations", activations=("HardSigmoid", "Relu")),
        _recurrent("nn.lstm", "peepholes", operands="bhcp"),
        _recurrent("nn.lstm", "input-forget", input_forget=True),
        _recurrent("nn.lstm", "peepholes-both", operands="bp", direction="bidirectional"),
        _recurrent("nn.lstm", "activations", activations=("HardSigmoid", "Relu", "Softsign")),
    ]


CASES: list[OpCase] = [
    *_convolutions(),
    *_transposed_convolutions(),
    *_products(),
    *_pooling(),
    *_softmaxes(),
    *_normalizations(),
    *_resizing(),
    *_recurrences(),
]
