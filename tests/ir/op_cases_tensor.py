"""Cases of the ops on shapes and positions, and of reductions."""

from __future__ import annotations

import numpy as np
from op_cases import OpCase, data, indices

from burnish import ir
from burnish.ir import DType, Layout, Quantized


def _reshaping() -> list[OpCase]:
    reshape, transpose, broadcast = "tensor.reshape", "tensor.transpose", "tensor.broadcast"
    found = [
        OpCase(reshape, "flatten", (data((2, 3, 4)),), {"shape": (2, 12)}),
        OpCase(reshape, "unsqueeze", (data((3,)),), {"shape": (1, 3, 1)}),
        OpCase(reshape, "to-rank0", (data((1, 1)),), {"shape": ()}),
        OpCase(reshape, "from-rank0", (data(()),), {"shape": (1,)}),
        OpCase(reshape, "empty", (data((0, 3)),), {"shape": (5, 0)}),
        OpCase(reshape, "i64", (data((4, 3), "i64"),), {"shape": (3, 4)}),
        OpCase(transpose, "swap", (data((3, 5)),), {"permutation": (1, 0)}),
        OpCase(transpose, "nhwc", (data((2, 3, 4, 5)),), {"permutation": (0, 2, 3, 1)}),
        OpCase(transpose, "five", (data((2, 1, 3, 2, 4)),), {"permutation": (4, 2, 0, 3, 1)}),
        OpCase(transpose, "same", (data((2, 3, 4)),), {"permutation": (0, 1, 2)}),
        OpCase(transpose, "rank0", (data(()),), {"permutation": ()}),
        OpCase(transpose, "empty", (data((2, 0, 3)),), {"permutation": (2, 0, 1)}),
        OpCase(transpose, "u8", (data((3, 4, 5), "u8"),), {"permutation": (2, 1, 0)}),
        OpCase(broadcast, "rows", (data((1, 4)),), {"shape": (3, 4)}),
        OpCase(broadcast, "rank", (data((4, 1)),), {"shape": (2, 4, 3)}),
        OpCase(broadcast, "scalar", (data(()),), {"shape": (2, 3)}),
        OpCase(broadcast, "same", (data((2, 3)),), {"shape": (2, 3)}),
        OpCase(broadcast, "empty", (data((1, 3)),), {"shape": (0, 3)}),
        OpCase(broadcast, "bool", (data((3, 1), "bool"),), {"shape": (3, 2)}),
    ]
    for dtype in ("f16", "f64", "i32", "bool"):
        x = data((2, 3, 4), dtype)
        found.append(OpCase(transpose, dtype, (x,), {"permutation": (1, 2, 0)}))
    return found


def _relayout() -> list[OpCase]:
    """Inputs and outputs of models are row-major; layouts have tests of their own."""
    shapes = [(), (3,), (2, 3, 4), (2, 0)]
    return [
        OpCase(
            "tensor.relayout",
            f"rank{len(shape)}",
            (data(shape),),
            {"layout": Layout(tuple(range(len(shape))))},
            defined_here=True,
        )
        for shape in shapes
    ]


def _slicing() -> list[OpCase]:
    def case(
        note: str,
        shape: tuple[int, ...],
        starts: object,
        sizes: object,
        steps: object,
        dtype: str = "f32",
    ) -> OpCase:
        attributes = {"starts": starts, "sizes": sizes, "steps": steps}
        return OpCase("tensor.slice", note, (data(shape, dtype),), attributes)

    return [
        case("front", (5, 4), (0, 0), (2, 4), (1, 1)),
        case("middle", (5, 6, 3), (1, 2, 0), (3, 2, 3), (1, 1, 1)),
        case("steps", (7, 9), (1, 0), (3, 4), (2, 2)),
        case("backwards", (5, 4), (4, 3), (5, 2), (-1, -3)),
        case("to-front", (6,), (5,), (3,), (-2,)),
        case("one", (3, 3), (2, 1), (1, 1), (1, 1)),
        case("empty", (3, 4), (1, 4), (2, 0), (1, 1)),
        case("of-empty", (0, 4), (0, 0), (0, 4), (1, 1)),
        case("rank0", (), (), (), ()),
        case("i64", (8,), (2,), (3,), (2,), "i64"),
        case("u8", (2, 3, 4, 5), (0, 1, 0, 4), (2, 2, 4, 3), (1, 1, 1, -2), "u8"),
    ]


def _concat() -> list[OpCase]:
    def case(note: str, axis: int, *shapes: tuple[int, ...], dtype: str = "f32") -> OpCase:
        operands = tuple(data(s, dtype, salt=str(i)) for i, s in enumerate(shapes))
        return OpCase("tensor.concat", note, operands, {"axis": axis})

    return [
        case("rows", 0, (2, 3), (1, 3)),
        case("columns", 1, (2, 3), (2, 1), (2, 4)),
        case("channels", 1, (1, 2, 3, 3), (1, 4, 3, 3)),
        case("last", 3, (2, 1, 2, 3), (2, 1, 2, 5)),
        case("single", 0, (3,)),
        case("empty", 0, (0, 2), (3, 2)),
        case("i32", 0, (2,), (3,), dtype="i32"),
        case("bool", 1, (2, 2), (2, 1), dtype="bool"),
    ]


def _padding() -> list[OpCase]:
    def case(
        note: str,
        shape: tuple[int, ...],
        before: object,
        after: object,
        mode: str,
        dtype: str = "f32",
        value: object = None,
        here: bool = False,
    ) -> OpCase:
        x = data(shape, dtype)
        operands = (x,) if value is None else (x, np.asarray(value, x.dtype))
        attributes = {"before": before, "after": after, "mode": mode}
        return OpCase("tensor.pad", note, operands, attributes, defined_here=here)

    return [
        case("zeros", (2, 3), (1, 0), (0, 2), "constant"),
        case("value", (2, 3, 2), (0, 1, 0), (1, 1, 3), "constant", value=1.5),
        case("minus-inf", (1, 1, 2, 2), (0, 0, 1, 1), (0, 0, 1, 1), "constant", value=-np.inf),
        case("none", (2, 2), (0, 0), (0, 0), "constant"),
        case("empty", (0, 2), (1, 0), (1, 0), "constant"),
        case("rank0", (), (), (), "constant", here=True),
        case("reflect", (4, 5), (1, 4), (3, 2), "reflect"),
        case("reflect-far", (2, 1), (3, 1), (4, 2), "reflect", here=True),
        case("edge", (3, 4), (2, 0), (1, 5), "edge"),
        case("edge-one", (1, 1, 1), (0, 2, 1), (1, 0, 1), "edge"),
        case("wrap", (3, 4), (2, 1), (1, 3), "wrap"),
        case("wrap-far", (2,), (3,), (5,), "wrap", here=True),
        case("i64", (3,), (1,), (2,), "constant", "i64", 7),
        case("u8-edge", (2, 3), (1, 1), (1, 1), "edge", "u8"),
    ]


def _tiling() -> list[OpCase]:
    return [
        OpCase("tensor.tile", "both", (data((2, 3)),), {"repeats": (2, 2)}),
        OpCase("tensor.tile", "one", (data((2, 3)),), {"repeats": (1, 1)}),
        OpCase("tensor.tile", "none", (data((2, 3)),), {"repeats": (0, 2)}),
        OpCase("tensor.tile", "rank0", (data(()),), {"repeats": ()}),
        OpCase("tensor.tile", "i32", (data((1, 2, 2), "i32"),), {"repeats": (3, 1, 2)}),
    ]


def _gathering() -> list[OpCase]:
    gather, elements, nd = "tensor.gather", "tensor.gather_elements", "tensor.gather_nd"
    empty = np.zeros((0,), np.int64)
    pairs = np.array([[0, -1], [1, 2], [-1, 0]], np.int64)
    return [
        OpCase(gather, "rows", (data((5, 3)), indices((4,), 5)), {"axis": 0}),
        OpCase(gather, "columns", (data((2, 6)), indices((2, 3), 6)), {"axis": 1}),
        OpCase(gather, "middle", (data((2, 4, 3)), indices((2, 2), 4, "i32")), {"axis": 1}),
        OpCase(gather, "scalar", (data((3, 4)), np.asarray(-1, np.int64)), {"axis": 1}),
        OpCase(gather, "none", (data((3, 4)), empty), {"axis": 0}),
        OpCase(gather, "of-empty", (data((3, 0)), indices((2,), 3)), {"axis": 0}),
        OpCase(gather, "bool", (data((4,), "bool"), indices((6,), 4)), {"axis": 0}),
        OpCase(gather, "i64", (data((4, 2), "i64"), indices((1,), 4)), {"axis": 0}),
        OpCase(elements, "rows", (data((3, 4)), indices((2, 4), 3)), {"axis": 0}),
        OpCase(elements, "columns", (data((3, 4)), indices((3, 6), 4)), {"axis": 1}),
        OpCase(elements, "smaller", (data((3, 4, 2)), indices((2, 5, 1), 4)), {"axis": 1}),
        OpCase(elements, "none", (data((3, 4)), np.zeros((0, 4), np.int64)), {"axis": 0}),
        OpCase(elements, "u8", (data((5,), "u8"), indices((3,), 5, "i32")), {"axis": 0}),
        OpCase(nd, "elements", (data((2, 3)), pairs % np.array([2, 3])), {"batch_dims": 0}),
        OpCase(nd, "negative", (data((2, 3)), np.array([[-1, -3], [0, 2]])), {}),
        OpCase(nd, "slices", (data((4, 3, 2)), indices((5, 1), 4)), {}),
        OpCase(nd, "deep", (data((3, 3, 3, 2)), indices((2, 2, 2), 3)), {}),
        OpCase(nd, "batch", (data((2, 4, 3)), indices((2, 1), 4)), {"batch_dims": 1}),
        OpCase(nd, "batches", (data((2, 2, 3)), indices((2, 2, 1), 3)), {"batch_dims": 2}),
        OpCase(nd, "whole", (data((2, 3)), np.zeros((4, 0), np.int64)), {}, defined_here=True),
        OpCase(
            nd,
            "whole-batch",
            (data((2, 3)), np.zeros((2, 4, 0), np.int64)),
            {"batch_dims": 1},
            defined_here=True,
        ),
        OpCase(nd, "i32", (data((4,), "i32"), indices((3, 1), 4)), {}),
    ]


def _scattering() -> list[OpCase]:
    found = []
    unique = np.array([[1, -4, 2], [0, 2, -1]], np.int64)
    repeated = np.array([[1, 1, -1], [1, 3, 3]], np.int64)
    for dtype in ("f32", "i32", "f16", "u8"):
        x, updates = data((2, 4), dtype), data((2, 3), dtype, salt="updates")
        for reduction in ("none", "add", "mul", "min", "max"):
            where = unique if reduction == "none" else repeated
            attributes = {"axis": 1, "reduction": reduction}
            if dtype == "f32" or reduction in ("none", "add"):
                found.append(
                    OpCase(
                        "tensor.scatter_elements",
                        f"{dtype}-{reduction}",
                        (x, where, updates),
                        attributes,
                    )
                )
    tuples = np.array([[0], [-1], [0]], np.int64)
    for reduction in ("none", "add", "mul", "min", "max"):
        where = tuples[:2] if reduction == "none" else tuples
        updates = data((len(where), 3), salt="slices")
        found.append(
            OpCase(
                "tensor.scatter_nd",
                f"slices-{reduction}",
                (data((4, 3)), where, updates),
                {"reduction": reduction},
            )
        )
    for dtype in ("u32", "u64", "i64", "i8"):
        top = 1 << DType.parse(dtype).bits - 1
        x = np.array([1, 2, top - 1, 3], DType.parse(dtype).numpy)
        updates = np.array([1, 5, 2 * top - 1 if dtype[0] == "u" else top - 1], x.dtype)
        places = np.array([2, -1, 0], np.int64)
        for reduction in ("none", "add", "max"):
            attributes = {"reduction": reduction}
            inputs = (x, places, updates)
            found.append(
                OpCase(
                    "tensor.scatter_elements",
                    f"{dtype}-ends-{reduction}",
                    inputs,
                    attributes,
                    defined_here=True,
                )
            )
            inputs = (x, places[:, np.newaxis], updates)
            found.append(
                OpCase(
                    "tensor.scatter_nd",
                    f"{dtype}-ends-{reduction}",
                    inputs,
                    attributes,
                    defined_here=True,
                )
            )
    corner = np.array([2, 0, -1], np.int64).reshape(1, 1, 3, 1, 1) * np.ones((2, 1, 3, 2, 2), int)
    rows = np.array([[[-1], [1]], [[2], [0]]], np.int64)
    for reduction in ("none", "add", "max"):
        attributes = {"axis": 2, "reduction": reduction}
        inputs = (data((2, 1, 4, 2, 3)), corner, data((2, 1, 3, 2, 2), salt="corner"))
        found.append(OpCase("tensor.scatter_elements", f"axes-{reduction}", inputs, attributes))
        inputs = (data((5, 3, 1)), rows if reduction == "none" else rows % 3, data((2, 2, 3, 1)))
        attributes = {"reduction": reduction}
        found.append(OpCase("tensor.scatter_nd", f"grid-{reduction}", inputs, attributes))
    grid = np.array([[0, 1], [2, -1]], np.int64)
    x = data((3, 4))
    return [
        *found,
        OpCase("tensor.scatter_elements", "rows", (x, np.array([[2, 0], [1, 1]]), data((2, 2)))),
        OpCase("tensor.scatter_elements", "none", (x, np.zeros((0, 4), np.int64), data((0, 4)))),
        OpCase(
            "tensor.scatter_elements",
            "last-wins",
            (data((3,)), np.array([1, 1, 1]), data((3,), salt="u")),
            defined_here=True,
        ),
        OpCase("tensor.scatter_nd", "elements", (x, grid, data((2,)))),
        OpCase("tensor.scatter_nd", "i64", (data((3, 4), "i64"), grid, data((2,), "i64"))),
        OpCase("tensor.scatter_nd", "none", (x, np.zeros((0, 2), np.int64), data((0,)))),
        OpCase(
            "tensor.scatter_nd",
            "whole",
            (x, np.zeros((2, 0), np.int64), data((2, 3, 4))),
            {"reduction": "add"},
            defined_here=True,
        ),
    ]


def _reducing() -> list[OpCase]:
    found = []
    x, weird = data((3, 4, 5)), data((4, 3))
    weird[0, 0], weird[1, 1], weird[2, 2] = np.nan, np.inf, -np.inf
    for kind in ("sum", "mean", "prod", "min", "max"):
        for axes in ((0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2), ()):
            note = f"{kind}-{''.join(map(str, axes)) or 'none'}"
            attributes = {"kind": kind, "axes": axes, "keep_dims": len(axes) == 2}
            found.append(OpCase("tensor.reduce", note, (x,), attributes))
        for dtype in ("f64", "f16", "i32", "i64", "u8", "i8"):
            array = data((2, 6), dtype, high=1 if dtype in ("u8", "i8") else 2)
            attributes = {"kind": kind, "axes": (1,)}
            outside = kind in ("mean", "sum", "prod") and dtype in ("u8", "i8")
            found.append(
                OpCase(
                    "tensor.reduce", f"{kind}-{dtype}", (array,), attributes, defined_here=outside
                )
            )
        empty = data((2, 0, 3))
        found.append(
            OpCase(
                "tensor.reduce",
                f"{kind}-empty",
                (empty,),
                {"kind": kind, "axes": (1,)},
                defined_here=kind == "mean",
            )
        )
        found.append(
            OpCase(
                "tensor.reduce",
                f"{kind}-weird",
                (weird,),
                {"kind": kind, "axes": (0,)},
                defined_here=kind in ("min", "max"),
            )
        )
        found.append(
            OpCase(
                "tensor.reduce",
                f"{kind}-empty-i32",
                (data((0, 3), "i32"),),
                {"kind": kind, "axes": (0,)},
                defined_here=True,
            )
        )
    for kind in ("any", "all"):
        for shape, axes in (((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 0), (1,)), ((2, 3), ())):
            note = f"{kind}-{shape[1]}-{''.join(map(str, axes)) or 'none'}"
            found.append(
                OpCase("tensor.reduce", note, (data(shape, "bool"),), {"kind": kind, "axes": axes})
            )
    return [
        *found,
        OpCase("tensor.reduce", "rank0", (data(()),), {"kind": "sum", "axes": ()}),
        OpCase(
            "tensor.reduce",
            "pool",
            (data((2, 3, 7, 7)),),
            {"kind": "mean", "axes": (2, 3), "keep_dims": True},
        ),
        OpCase("tensor.reduce", "long", (data((2, 3000)),), {"kind": "sum", "axes": (1,)}),
    ]


def _ordering() -> list[OpCase]:
    found = []
    ties = np.array([[1, 3, 3, 0], [2, 2, 2, 2], [-1, -5, 0, 0]], np.float32)
    weird = np.array([[1, np.nan, 3, np.nan], [np.inf, 1, -np.inf, np.inf]], np.float32)
    for kind in ("min", "max"):
        for last in (False, True):
            for axis in (0, 1):
                attributes = {"kind": kind, "axis": axis, "last": last, "keep_dims": axis == 1}
                tag = f"{kind}-{axis}{'-last' if last else ''}"
                found.append(OpCase("tensor.arg_reduce", f"{tag}-ties", (ties,), attributes))
                found.append(
                    OpCase(
                        "tensor.arg_reduce", f"{tag}-weird", (weird,), attributes, defined_here=True
                    )
                )
        for dtype in ("i32", "u8", "f64", "f16", "i8"):
            attributes = {"kind": kind, "axis": 1}
            x = data((2, 5, 3), dtype)
            found.append(OpCase("tensor.arg_reduce", f"{kind}-{dtype}", (x,), attributes))
        for last in (False, True):
            worst = np.inf if kind == "min" else -np.inf
            attributes = {"kind": kind, "axis": 0, "last": last}
            ends = DType.I8.integer_range[kind == "min"]
            for dtype, value in (("f32", worst), ("i8", ends)):
                x = np.full((3, 2), value, DType.parse(dtype).numpy)
                note = f"{kind}-{dtype}-worst{'-last' * last}"
                found.append(OpCase("tensor.arg_reduce", note, (x,), attributes, defined_here=True))
    for largest in (True, False):
        name = "largest" if largest else "smallest"
        for k, axis in ((0, 1), (1, 1), (2, 0), (3, 1)):
            attributes = {"axis": axis, "k": k, "largest": largest}
            found.append(OpCase("tensor.top_k", f"{name}-{axis}-{k}", (ties,), attributes))
        for dtype in ("f64", "i64", "i32"):
            attributes = {"axis": 1, "k": 3, "largest": largest}
            x = data((2, 9, 2), dtype)
            found.append(OpCase("tensor.top_k", f"{name}-{dtype}", (x,), attributes))
        for dtype in ("f16", "bf16", "u16", "u64"):
            x = data((2, 9), dtype)
            found.append(
                OpCase("tensor.top_k", f"{name}-{dtype}", (x,), attributes, defined_here=True)
            )
        found.append(
            OpCase("tensor.top_k", f"{name}-weird", (weird,), attributes, defined_here=True)
        )
        attributes = {"axis": 0, "k": 2, "largest": largest}
        x = data((4,), "u8")
        found.append(OpCase("tensor.top_k", f"{name}-u8", (x,), attributes, defined_here=True))
    return found


def _running() -> list[OpCase]:
    found = []
    for axis in (0, 1, 2):
        for exclusive in (False, True):
            for reverse in (False, True):
                attributes = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
                note = f"{axis}{'-exclusive' if exclusive else ''}{'-reverse' if reverse else ''}"
                found.append(OpCase("tensor.cumulative_sum", note, (data((2, 4, 3)),), attributes))
    for dtype in ("i32", "i64", "f64"):
        found.append(OpCase("tensor.cumulative_sum", dtype, (data((3, 5), dtype),), {"axis": 1}))
    return [
        *found,
        OpCase("tensor.cumulative_sum", "empty", (data((2, 0)),), {"axis": 1, "exclusive": True}),
        OpCase(
            "tensor.cumulative_sum", "f16", (data((2, 40), "f16"),), {"axis": 1}, defined_here=True
        ),
        OpCase("tensor.dimension", "zero", (), {"value": 0}),
        OpCase("tensor.dimension", "seven", (), {"value": 7}),
        OpCase("tensor.dimension", "large", (), {"value": 2**35}),
    ]


PER_TENSOR = Quantized((0.1,), (3,))
PER_AXIS = Quantized((0.1, 0.25, 0.05), (0, -4, 7), axis=1)


def _quantizing() -> list[OpCase]:
    specials = np.array([0.05, 0.15, 0.25, -0.05, 1e9, -1e9, np.inf, -np.inf], np.float32)
    blocks = Quantized(tuple(np.linspace(0.1, 0.4, 6)), (0, 1, 2, 3, 4, 5), axis=1, block=2)
    half = Quantized((0.125,), (0,), dtype=DType.F16)

    def quantize(note: str, x: ir.Array, encoding: Quantized, dtype: str, here: bool = False):
        attributes = {"encoding": encoding, "dtype": DType.parse(dtype)}
        return OpCase("quant.quantize", note, (x,), attributes, defined_here=here)

    def dequantize(note: str, x: ir.Array, encoding: Quantized, here: bool = False) -> OpCase:
        return OpCase("quant.dequantize", note, (x,), encodings=(encoding,), defined_here=here)

    x = data((2, 3, 4), high=8.0, low=-8.0)
    unsigned = Quantized((0.05,), (128,))
    found = [
        quantize("i8", x, PER_TENSOR, "i8"),
        quantize("u8", x, unsigned, "u8"),
        quantize("axis", x, PER_AXIS, "i8"),
        quantize("specials", specials, PER_TENSOR, "i8"),
        quantize("i16", x, PER_TENSOR, "i16"),
        quantize("blocks", data((2, 5)), blocks, "i8"),
        quantize("i4", x, PER_TENSOR, "i4", here=True),
        quantize("f8", x, Quantized((0.01,), (0,)), "f8e4m3fn", here=True),
        quantize("f16", x.astype(np.float16), half, "i8"),
        quantize("rank0", data(()), PER_TENSOR, "i8"),
        quantize("empty", data((0, 3)), PER_AXIS, "i8"),
        quantize("nan", np.array([np.nan, 1], np.float32), PER_TENSOR, "i8", here=True),
        dequantize("i8", data((2, 3, 4), "i8", low=-30, high=30), PER_TENSOR),
        dequantize("u8", data((2, 3, 4), "u8", low=0, high=60), unsigned),
        dequantize("axis", data((2, 3, 4), "i8", low=-30, high=30), PER_AXIS),
        dequantize("i32", data((2, 3), "i32", low=-1e4, high=1e4), Quantized((0.003,), (0,))),
        dequantize("blocks", data((2, 5), "i8"), blocks),
        dequantize("i4", data((2, 3), "i4"), PER_TENSOR, here=True),
        dequantize("f16", data((2, 3), "i8"), half),
        dequantize("rank0", data((), "i8"), PER_TENSOR),
        dequantize("empty", data((0, 3), "i8"), PER_AXIS),
    ]
    for note, encoding in (("give", (PER_TENSOR,)), ("take", ()), ("axis", (PER_AXIS,))):
        before = (PER_TENSOR,) if note == "take" else ()
        found.append(
            OpCase("quant.reinterpret", note, (data((2, 3), "i8"),), {"encoding": encoding}, before)
        )
    return found


CASES: list[OpCase] = [
    *_reshaping(),
    *_relayout(),
    *_slicing(),
    *_concat(),
    *_padding(),
    *_tiling(),
    *_gathering(),
    *_scattering(),
    *_reducing(),
    *_ordering(),
    *_running(),
    *_quantizing(),
]
