"""Cases of the ops that vision models add: sampling, regions, positions of maxima, bits."""

from __future__ import annotations

import numpy as np
from op_cases import OpCase, data

from burnish.ir import DType


def _products() -> list[OpCase]:
    op = "tensor.cumulative_product"
    found = []
    for axis in (0, 1, 2):
        for exclusive in (False, True):
            for reverse in (False, True):
                attributes = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
                note = f"{axis}{'-exclusive' if exclusive else ''}{'-reverse' if reverse else ''}"
                found.append(OpCase(op, note, (data((2, 4, 3)),), attributes))
    for dtype in ("i32", "i64", "f64"):
        found.append(OpCase(op, dtype, (data((3, 5), dtype),), {"axis": 1}))
    weird = np.array([1, -0.0, np.nan, 2, np.inf, 0], np.float32)
    return [
        *found,
        OpCase(op, "empty", (data((2, 0)),), {"axis": 1, "exclusive": True}),
        OpCase(op, "weird", (weird,), {"axis": 0}),
        OpCase(op, "f16", (data((2, 40), "f16"),), {"axis": 1}, defined_here=True),
    ]


def _bits() -> list[OpCase]:
    def case(note: str, x: np.ndarray, to: DType, *, here: bool = False) -> OpCase:
        return OpCase("tensor.bitcast", note, (x,), {"to": to}, defined_here=here)

    weird = np.array([1.5, -0.0, np.inf, -np.inf, np.nan], np.float32)
    nibbles = np.arange(-8, 8, dtype=np.int8).astype(DType.I4.numpy)
    crumbs = np.arange(4, dtype=np.uint8).astype(DType.U2.numpy)
    return [
        case("f32-i32", weird, DType.I32),
        case("f32-u32", data((2, 3)), DType.U32),
        case("i32-f32", data((2, 3), "i32"), DType.F32),
        case("f64-i64", data((3,), "f64"), DType.I64),
        case("u64-f64", data((3,), "u64"), DType.F64),
        case("f16-u16", data((3, 2), "f16"), DType.U16),
        case("i16-bf16", data((3, 2), "i16"), DType.BF16),
        case("i8-u8", data((5,), "i8"), DType.U8),
        case("bool-u8", data((5,), "bool"), DType.U8),
        case("u8-bool", np.array([0, 1, 2, 255], np.uint8), DType.BOOL, here=True),
        case("u8-f8", data((5,), "u8"), DType.F8E4M3FN),
        case("i4-u4", nibbles, DType.U4, here=True),
        case("i4-f4", nibbles, DType.F4E2M1, here=True),
        case("u2-i2", crumbs, DType.I2, here=True),
        case("rank0", data(()), DType.I32),
        case("empty", data((0, 3)), DType.I32),
    ]


def _sampling() -> list[OpCase]:
    def case(
        note: str, x: np.ndarray, positions: np.ndarray, *, here: bool = False, **attributes: object
    ) -> OpCase:
        operands = (x, positions)
        return OpCase("nn.sample", note, operands, attributes, defined_here=here)

    image, volume = data((2, 3, 4, 5)), data((1, 2, 3, 4, 2))
    places, far = data((2, 3, 2, 2), low=-0.9, high=4.8), data((2, 9, 4, 2), low=-30, high=30)
    spots = data((1, 2, 3, 2, 3), low=-1.8, high=4.8)
    found = []
    for mode in ("nearest", "linear", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (False, True):
                how = {"mode": mode, "padding": padding, "align_corners": align}
                name = f"{mode}-{padding}{'-align' if align else ''}"
                found += [case(name, image, places, **how), case(f"{name}-far", image, far, **how)]
                if mode != "cubic":
                    found.append(case(f"{name}-3d", volume, spots, **how))
    weird = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.25], np.float32).reshape(1, 6, 1)
    for padding in ("zeros", "border", "reflection"):
        how = {"mode": "linear", "padding": padding}
        line, one = data((1, 2, 5)), data((1, 2, 1))
        found.append(case(f"weird-{padding}", line, weird, here=True, **how))
        single = data((1, 6, 1), low=-3, high=3)
        found.append(case(f"single-{padding}", one, single, here=True, **how))
        align = {**how, "align_corners": True}
        found.append(case(f"single-{padding}-align", one, single, here=True, **align))
    for dtype in ("i64", "u8", "bool", "f16", "i4"):
        x = data((2, 2, 4, 5), dtype)
        found.append(case(f"nearest-{dtype}", x, places, here=True, mode="nearest"))
    for dtype in ("f16", "bf16", "f64"):
        x = data((2, 2, 4, 5), dtype)
        found.append(case(dtype, x, places, here=True, mode="linear"))
        found.append(case(f"at-{dtype}", image, places.astype(x.dtype), here=True, mode="cubic"))
    vectors = data((2, 2), low=0, high=3)
    return [
        *found,
        case("one-place", image, vectors, here=True, mode="linear"),
        case("nowhere", image, places[:, :0], here=True, mode="linear"),
        case("no-channels", image[:, :0], places, here=True, mode="linear"),
        case("no-batch", image[:0], places[:0], here=True, mode="cubic"),
    ]


def _maxima() -> list[OpCase]:
    def case(
        note: str, x: np.ndarray, kernel: tuple[int, ...], *, here: bool = False, **given: object
    ) -> OpCase:
        ones = (1,) * len(kernel)
        attributes = {
            "kernel": kernel,
            "strides": ones,
            "dilations": ones,
            "pads": (0,) * (2 * len(kernel)),
            "overhang": (0,) * len(kernel),
            **given,
        }
        return OpCase("nn.arg_max_pool", note, (x,), attributes, defined_here=here)

    image = data((2, 3, 6, 7))
    weird = np.array([[[np.nan, 1, np.nan, -np.inf, -np.inf, -np.inf, 2]]], np.float32)
    return [
        case("line", data((1, 2, 9)), (3,), strides=(2,)),
        case("image", image, (2, 3), strides=(2, 2)),
        case("pads", image, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
        case("dilated", image, (2, 2), dilations=(2, 3)),
        case("ceil", image, (2, 2), strides=(2, 2), overhang=(0, 1)),
        case("volume", data((1, 2, 4, 3, 5)), (2, 2, 2), strides=(1, 1, 2)),
        case("equal", np.ones((1, 1, 4, 4), np.float32), (2, 2), pads=(1, 1, 0, 0)),
        case("weird", weird, (2,), here=True),
        case("lowest", weird[:, :, 3:6], (2,), pads=(1, 1), here=True),
        case("outside", weird, (1,), pads=(2, 0), strides=(2,), here=True),
        case("empty", image[:0], (2, 2), here=True),
        *(case(dtype, data((1, 2, 5, 5), dtype), (2, 2), here=True) for dtype in MAXIMA),
    ]


def _regions() -> list[OpCase]:
    image = data((2, 3, 7, 9))
    corners = [[0, 0, 5.5, 4.2], [1.3, 2.1, 8.7, 6.9], [-3, -2, 2.5, 12], [4, 3, 3, 2]]
    boxes = np.array([*corners, [20, 20, 30, 30]], np.float32)
    entries = np.array([0, 1, 1, 0, 1], np.int64)
    align, pool = "nn.region_align", "nn.region_max_pool"
    found = []
    for mode in ("mean", "max"):
        for samples in (0, 2):
            for half_pixel in (False, True):
                how = {"mode": mode, "samples": samples, "half_pixel": half_pixel, "bins": (2, 3)}
                note = f"{mode}-{samples}{'-half' if half_pixel else ''}"
                # onnxruntime compares samples where ONNX compares weighted elements.
                found.append(OpCase(align, note, (image, boxes, entries), {**how, "scale": 0.7}))
    numbered = np.concatenate([entries[:, np.newaxis], np.round(boxes)], axis=1, dtype=np.float32)
    halves = numbered + np.array([0, 0.5, 0.5, -0.5, 0.4], np.float32)
    small = {"bins": (2, 2)}
    nowhere = np.array([[np.nan, 0, 1, np.nan]], np.float32)
    weird = np.where(image > 1, np.float32(np.nan), image)
    found += [
        OpCase(align, "nan-box", (image, nowhere, entries[:1]), {**small, "samples": 1}, (), True),
        OpCase(align, "no-boxes", (image, boxes[:0], entries[:0]), small, (), True),
        OpCase(align, "from-end", (image, boxes[:2], entries[:2] - 2), small, (), True),
        OpCase(pool, "whole", (image, numbered), {"bins": (3, 2)}),
        OpCase(pool, "scaled", (image, numbered), {"bins": (2, 3), "scale": 0.6}),
        OpCase(pool, "halves", (image, halves), {"bins": (2, 2)}, (), True),
        OpCase(pool, "many-bins", (image, numbered), {"bins": (8, 9)}),
        OpCase(pool, "weird", (weird, numbered), {"bins": (3, 3)}, (), True),
        OpCase(pool, "nan-box", (image, np.pad(nowhere, [(0, 0), (1, 0)])), small, (), True),
        OpCase(pool, "no-boxes", (image, numbered[:0]), small, (), True),
    ]
    for dtype in ("f16", "bf16", "f64"):
        kind = DType.parse(dtype).numpy
        operands = (image.astype(kind), np.round(boxes).astype(kind))
        found.append(OpCase(align, dtype, (*operands, entries), small, (), True))
        found.append(OpCase(pool, dtype, (operands[0], numbered.astype(kind)), small, (), True))
    return found


def _determinants() -> list[OpCase]:
    def case(note: str, x: np.ndarray, *, here: bool = False) -> OpCase:
        return OpCase("nn.determinant", note, (x,), defined_here=here)

    wide = np.array([[3e30, 1e28, 0], [0, 2e30, 1], [1e-8, 0, 1e-38]], np.float32)
    small = np.array([[1e-38, 1, 0], [0, 2e-30, 0], [0, 1, 3e38]], np.float32)
    singular = np.array([[0, 1, 2], [0, 3, 4], [0, 5, 7]], np.float32)
    return [
        case("two", data((2, 2))),
        case("five", data((5, 5))),
        case("one", data((3, 1, 1))),
        case("batch", data((2, 3, 4, 4))),
        case("pivots", np.array([[0, 2, 1], [3, 0, 0], [0, 0, 4]], np.float32)),
        case("singular", singular),
        case("overflow", np.stack([wide, wide.T, wide[::-1]]), here=True),
        case("underflow", np.stack([small, small[::-1]]), here=True),
        case("f64", data((4, 4), "f64")),
        case("f16", data((2, 3, 3), "f16"), here=True),
        case("bf16", data((2, 3, 3), "bf16"), here=True),
        case("empty", data((2, 0, 0)), here=True),
        case("no-matrices", data((0, 2, 2)), here=True),
        case("nan", np.where(singular == 4, np.float32(np.nan), singular), here=True),
    ]


MAXIMA = ("f16", "bf16", "f64", "i8", "u8", "i32", "u64")

CASES: list[OpCase] = [
    *_products(),
    *_bits(),
    *_sampling(),
    *_maxima(),
    *_regions(),
    *_determinants(),
]
