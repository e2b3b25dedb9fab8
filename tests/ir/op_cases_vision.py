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


MAXIMA = ("f16", "bf16", "f64", "i8", "u8", "i32", "u64")

CASES: list[OpCase] = [*_products(), *_bits(), *_sampling(), *_maxima()]
