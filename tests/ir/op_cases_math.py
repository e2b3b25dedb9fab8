"""Cases of the elementwise ops: shapes, element types, and the numbers where functions turn."""

from __future__ import annotations

import numpy as np
from op_cases import OpCase, data

from burnish import ir
from burnish.ir.elementwise import ElementwiseOp

SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.0,
    6.0,
    -3.0,
    20.0,
    -20.0,
    88.0,
    -88.0,
]
SPECIAL += [100.0, -104.0, 1e-6, -1e-6, 1e-30, 1e6, -1e6, 1e30, -1e30, np.inf, -np.inf, np.nan]
"""Where elementwise functions change branch, overflow, or must keep NaN."""

ATTRIBUTES: dict[str, list[dict[str, object]]] = {
    "math.is_inf": [{}, {"negative": False}, {"positive": False}],
    "math.clamp": [
        {"low": 0.0, "high": 6.0},
        {"low": -np.inf, "high": 1.0},
        {"low": -0.5, "high": np.inf},
        {"low": 1.0, "high": -1.0},
    ],
    "math.hard_sigmoid": [{}, {"alpha": 0.5, "beta": 0.25}],
    "math.leaky_relu": [{}, {"alpha": 0.3}, {"alpha": -1.5}],
    "math.elu": [{}, {"alpha": 0.7}],
    "math.selu": [{}, {"alpha": 1.1, "gamma": 0.9}],
    "math.celu": [{}, {"alpha": 0.7}],
    "math.thresholded_relu": [{}, {"alpha": 0.4}],
    "math.shrink": [{}, {"lambd": 0.8, "bias": 0.3}],
}
BROADCASTS = {
    "same": ((2, 3), (2, 3)),
    "outer": ((2, 1, 4), (3, 1)),
    "scalar": ((), (3, 2)),
    "ranks": ((2, 3, 4, 5), (5,)),
    "channel": ((1, 3, 2, 2), (3, 1, 1)),
    "ones": ((1,), (1, 1)),
    "empty": ((0, 3), (1, 3)),
    "rank0": ((), ()),
}
TYPES = ("f64", "f16", "bf16", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool")


def _arity(op: str) -> int:
    return len(ir.lookup(op).operands)


def _operand_types(op: str, dtype: str) -> list[str]:
    """Element type per operand: those of group T have ``dtype``, others their only one."""
    return [
        dtype if spec.group == "T" else min(d.text for d in spec.dtypes)
        for spec in ir.lookup(op).operands.values()
    ]


def _main_dtypes(op: str) -> set[str]:
    specs = ir.lookup(op).operands.values()
    return {d.text for d in next(s for s in specs if s.group == "T").dtypes}


def _operands(op: str, dtype: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[ir.Array, ...]:
    types = _operand_types(op, dtype)
    if len(types) == 1:
        shapes = (max(shapes, key=len),)
    if len(types) == 3:
        shapes = (shapes[1], *shapes)
    arrays = [data(s, t, salt=f"{op}{i}") for i, (s, t) in enumerate(zip(shapes, types))]
    if op in ("math.div", "math.floor_mod", "math.truncated_mod"):
        arrays[1] = np.where(arrays[1] == 0, np.ones_like(arrays[1]), arrays[1])
    if op in ("math.shift_left", "math.shift_right") or (op == "math.pow" and dtype[0] in "iu"):
        arrays[1] = np.abs(arrays[1] % 5).astype(arrays[1].dtype)
    return tuple(arrays)


def _elementwise(op: str) -> list[OpCase]:
    if op == "math.cast":
        return []
    dtypes = _main_dtypes(op)
    usual = next(t for t in ("f32", "i32", "u8", "bool") if t in dtypes)
    found = []
    for number, attributes in enumerate(ATTRIBUTES.get(op, [{}])):
        tag = f"{number}-" if number else ""
        for name, shapes in BROADCASTS.items():
            operands = _operands(op, usual, shapes)
            found.append(OpCase(op, f"{tag}{usual}-{name}", operands, attributes))
        if usual == "f32":
            found += [_special(op, f"{tag}{t}-special", t, attributes) for t in ("f32", "f64")]
    for dtype in TYPES:
        if dtype in dtypes - {usual}:
            operands = _operands(op, dtype, BROADCASTS["outer"])
            found.append(OpCase(op, f"{dtype}-outer", operands, ATTRIBUTES.get(op, [{}])[0]))
    return found


def _special(op: str, note: str, dtype: str, attributes: dict[str, object]) -> OpCase:
    numbers = np.array(SPECIAL, ir.DType.parse(dtype).numpy)
    types = _operand_types(op, dtype)
    if len(types) == 1:
        return OpCase(op, note, (numbers,), attributes)
    pair = (numbers[:, np.newaxis], numbers[np.newaxis])
    condition = (data((len(SPECIAL), 1), "bool"),) if len(types) == 3 else ()
    # ONNX has floor_mod for integers only; onnx.reference has another prelu of 0 · inf.
    open_in_onnx = op == "math.floor_mod" or (op == "math.prelu" and dtype == "f64")
    return OpCase(op, note, (*condition, *pair), attributes, defined_here=open_in_onnx)


def _casts() -> list[OpCase]:
    types = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8")
    found = []
    for source in (*types, "bool"):
        for target in (*types, "bool"):
            x = data((3, 4), source, low=0 if "u" in target or "u" in source else -30, high=30)
            attributes = {"to": ir.DType.parse(target)}
            found.append(OpCase("math.cast", f"{source}-{target}", (x,), attributes))
    numbers = np.array(SPECIAL, np.float32)
    for target in ("f16", "bf16", "bool", "f64"):
        attributes = {"to": ir.DType.parse(target)}
        found.append(OpCase("math.cast", f"special-{target}", (numbers,), attributes))
    for target in ("i8", "u8", "i32", "u32", "i64", "u64"):
        attributes = {"to": ir.DType.parse(target)}
        found.append(
            OpCase("math.cast", f"saturate-{target}", (numbers,), attributes, defined_here=True)
        )
        wide = np.array([-(2**40) - 3, -200, -1, 0, 200, 300, 2**33 + 7], np.int64)
        found.append(OpCase("math.cast", f"wrap-{target}", (wide,), attributes))
    for shape in ((), (0, 2)):
        found.append(OpCase("math.cast", f"rank{len(shape)}", (data(shape),), {"to": ir.DType.I32}))
    return found


def _integers() -> list[OpCase]:
    """Where integer arithmetic leaves the mathematical result: burnish defines these."""
    extremes = np.array([-128, -127, -7, -1, 0, 1, 7, 127], np.int8)
    left, right = extremes[:, np.newaxis], extremes[np.newaxis]
    unsigned = np.array([0, 1, 7, 8, 9, 200, 255], np.uint8)
    found = [
        OpCase(f"math.{op}", "i8-extremes", (left, right), defined_here=True)
        for op in ("add", "sub", "mul", "div", "pow", "floor_mod", "truncated_mod")
    ]
    for op in ("shift_left", "shift_right"):
        found.append(OpCase(f"math.{op}", "i8-far", (left, np.abs(right)), defined_here=True))
        pair = (unsigned[:, np.newaxis], unsigned[np.newaxis])
        found.append(OpCase(f"math.{op}", "u8-far", pair, defined_here=True))
    for op in ("neg", "abs"):
        found.append(OpCase(f"math.{op}", "i8-extremes", (extremes,)))
    return found


CASES: list[OpCase] = [
    case
    for name, definition in ir.registry().items()
    if isinstance(definition, ElementwiseOp)
    for case in _elementwise(name)
]
CASES += _casts() + _integers()
