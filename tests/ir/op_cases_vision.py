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


CASES: list[OpCase] = [*_products(), *_bits()]
