"""Kernels of the C backend that move, index, select or quantize data, against the interpreter.

Random cases are batched: one build of many ops is compared bit by bit with the reference.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from burnish.backends.c.compile import compile_module, runner
from burnish.ir import Array, DType, Module, Quantized, TensorType, interpret
from burnish.ir.builder import build_function
from burnish.ir.errors import InputError

STORED = [dtype for dtype in DType if dtype.kind.value != "complex"]
NUMERIC = [d for d in STORED if d.kind.value != "bool" and (d.is_float or d.bits >= 8)]


@dataclass(repr=False)
class Case:
    """One op on given arrays; ``encodings`` of operands by position."""

    op: str
    operands: Sequence[Array | None]
    attributes: dict[str, Any]
    encodings: dict[int, Quantized] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = [None if x is None else f"{x.dtype}{list(x.shape)}" for x in self.operands]
        return f"{self.op}{self.attributes} of {shown} {self.encodings or ''}"


def module_of(cases: Sequence[Case]) -> tuple[Module, dict[str, Array]]:
    """All cases side by side in one module, and its inputs."""
    inputs: dict[str, Array] = {}
    types: dict[str, TensorType] = {}
    for number, case in enumerate(cases):
        for position, array in enumerate(case.operands):
            if array is not None:
                name = f"x{number}_{position}"
                inputs[name] = array
                dtype = DType.from_numpy(array.dtype)
                encoding = case.encodings.get(position)
                types[name] = TensorType(array.shape, dtype, None, encoding)
    module = Module("cases")
    function, b = build_function(module, "main", types)
    arguments = dict(zip(types, function.args))
    results = []
    for number, case in enumerate(cases):
        operands = [
            None if array is None else arguments[f"x{number}_{position}"]
            for position, array in enumerate(case.operands)
        ]
        results.append(b.create(case.op, operands, case.attributes).results)
    flat = [value for values in results for value in values]
    function.result_names = tuple(
        f"y{number}_{i}" for number, values in enumerate(results) for i in range(len(values))
    )
    b.ret(*flat)
    return module, inputs


def assert_same(cases: Sequence[Case], *, sanitize: bool = False) -> None:
    module, inputs = module_of(cases)
    expected = interpret(module, inputs)
    actual = runner(compile_module(module, "c:generic"), sanitize=sanitize).run(inputs)
    for name, y in expected.items():
        case = cases[int(name[1:].split("_")[0])]
        assert same_bits(actual[name], y), f"{case}, {case.operands}\ngives {actual[name]}\nnot {y}"


def same_bits(a: Array, b: Array) -> bool:
    """Equal bytes, or NaN where the other has NaN."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    equal = np.ascontiguousarray(a).view(unsigned) == np.ascontiguousarray(b).view(unsigned)
    if DType.from_numpy(a.dtype).is_float:
        equal |= np.isnan(a.astype(np.float64)) & np.isnan(b.astype(np.float64))
    return bool(equal.all())


def data(dtype: DType, shape: Sequence[int], seed: int) -> Array:
    """Elements of every kind the type has: small ones, duplicates, extremes, NaN."""
    random = np.random.default_rng(seed)
    if dtype.kind.value == "bool":
        return random.integers(0, 2, shape).astype(np.bool_)
    if dtype.is_integer:
        low, high = dtype.integer_range
        small = random.integers(max(low, -4), min(high, 4) + 1, shape)
        wide = random.integers(
            low, high, shape, dtype=np.int64 if low else np.uint64, endpoint=True
        )
        return np.where(random.random(shape) < 0.5, small.astype(wide.dtype), wide).astype(
            dtype.numpy
        )
    codes = random.normal(0, 2, shape).round(1)
    special = random.choice([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan], shape)
    return np.where(random.random(shape) < 0.3, special, codes).astype(dtype.numpy)


seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 17, 33])


@st.composite
def tensors(
    draw: Any,
    dtypes: Sequence[DType] = tuple(STORED),
    *,
    rank: st.SearchStrategy[int] | None = None,
    size: st.SearchStrategy[int] = sizes,
) -> Array:
    """An array of any element type and shape, of moderate size."""
    count = draw(rank if rank is not None else st.integers(0, 5))
    shape: list[int] = []
    for _ in range(count):
        shape.append(min(draw(size), max(1, 6000 // max(1, math.prod(shape)))))
    return data(draw(st.sampled_from(list(dtypes))), shape, draw(seeds))


@st.composite
def transposes(draw: Any) -> Case:
    x = draw(tensors())
    return Case(
        "tensor.transpose", [x], {"permutation": draw(st.permutations(list(range(x.ndim))))}
    )


@st.composite
def broadcasts(draw: Any) -> Case:
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 3, 17]), max_size=4))
    ones = [1 if draw(st.booleans()) else size for size in shape]
    ones = ones[draw(st.integers(0, len(shape))) :]
    x = data(draw(st.sampled_from(STORED)), ones, draw(seeds))
    return Case("tensor.broadcast", [x], {"shape": shape})


@st.composite
def slices(draw: Any) -> Case:
    x = draw(tensors())
    starts, counts, steps = [], [], []
    for size in x.shape:
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        start = draw(st.integers(0, max(size - 1, 0)))
        room = (size - start - 1) // step if step > 0 else start // -step
        starts.append(start)
        steps.append(step)
        counts.append(draw(st.integers(0, room + 1)) if size else 0)
    return Case("tensor.slice", [x], {"starts": starts, "sizes": counts, "steps": steps})


@st.composite
def concats(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(1, 4)))
    axis = draw(st.integers(0, x.ndim - 1))
    others = [
        data(DType.from_numpy(x.dtype), [*x.shape[:axis], n, *x.shape[axis + 1 :]], draw(seeds))
        for n in draw(st.lists(st.integers(0, 5), max_size=3))
    ]
    return Case("tensor.concat", [x, *others], {"axis": axis})


@st.composite
def pads(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(0, 4), size=st.sampled_from([0, 1, 2, 3, 5, 17])))
    mode = draw(st.sampled_from(["constant", "constant", "reflect", "edge", "wrap"]))
    amount = st.sampled_from([0, 0, 1, 2, 5, 18])
    may = [size > 0 or mode == "constant" for size in x.shape]
    before, after = ([draw(amount) if m else 0 for m in may] for _ in range(2))
    value = None
    if mode == "constant" and draw(st.booleans()):
        value = data(DType.from_numpy(x.dtype), (), draw(seeds))
    attributes = {"before": before, "after": after, "mode": mode}
    return Case("tensor.pad", [x, value], attributes)


@st.composite
def tiles(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(0, 4), size=st.sampled_from([0, 1, 2, 5])))
    return Case("tensor.tile", [x], {"repeats": [draw(st.integers(0, 3)) for _ in x.shape]})


movements = st.one_of(transposes(), broadcasts(), slices(), concats(), pads(), tiles())


def _indices(draw: Any, extent: int, shape: Sequence[int]) -> Array:
    random = np.random.default_rng(draw(seeds))
    dtype = draw(st.sampled_from([np.int32, np.int64]))
    return random.integers(-extent, extent, shape).astype(dtype)


def _shape(draw: Any, rank: int) -> list[int]:
    return draw(st.lists(st.integers(0, 4), min_size=rank, max_size=rank))


@st.composite
def gathers(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(1, 4)))
    axis = draw(st.integers(0, x.ndim - 1))
    shape = _shape(draw, draw(st.integers(0, 2))) if x.shape[axis] else [0]
    return Case("tensor.gather", [x, _indices(draw, x.shape[axis], shape)], {"axis": axis})


def _elementwise_indices(draw: Any, x: Array, axis: int) -> Array:
    shape = [draw(st.integers(0, size)) for size in x.shape]
    shape[axis] = draw(st.integers(0, 6)) if x.shape[axis] else 0
    return _indices(draw, x.shape[axis], shape)


@st.composite
def gather_elements(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(1, 4)))
    axis = draw(st.integers(0, x.ndim - 1))
    return Case("tensor.gather_elements", [x, _elementwise_indices(draw, x, axis)], {"axis": axis})


@st.composite
def _tuples(draw: Any, x: Array, batch: int, lead: Sequence[int]) -> Array:
    width = draw(st.integers(0, x.ndim - batch))
    lead = lead if all(x.shape[batch : batch + width]) else [*lead[:-1], 0]
    columns = [_indices(draw, x.shape[batch + i], lead).astype(np.int64) for i in range(width)]
    return np.stack(columns, axis=-1) if columns else np.zeros((*lead, 0), np.int64)


@st.composite
def gather_nds(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(1, 4)))
    batch = draw(st.integers(0, x.ndim - 1))
    lead = [*x.shape[:batch], *_shape(draw, draw(st.integers(1, 2)))]
    return Case("tensor.gather_nd", [x, draw(_tuples(x, batch, lead))], {"batch_dims": batch})


def _reduction(draw: Any, dtype: DType) -> str:
    if dtype not in NUMERIC:
        return "none"
    return str(draw(st.sampled_from(["none", "add", "mul", "min", "max"])))


@st.composite
def scatter_elements(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(1, 3), size=st.sampled_from([0, 1, 2, 3, 5])))
    dtype = DType.from_numpy(x.dtype)
    axis = draw(st.integers(0, x.ndim - 1))
    indices = _elementwise_indices(draw, x, axis)
    updates = data(dtype, indices.shape, draw(seeds))
    attributes = {"axis": axis, "reduction": _reduction(draw, dtype)}
    return Case("tensor.scatter_elements", [x, indices, updates], attributes)


@st.composite
def scatter_nds(draw: Any) -> Case:
    x = draw(tensors(rank=st.integers(1, 3), size=st.sampled_from([0, 1, 2, 3, 5])))
    dtype = DType.from_numpy(x.dtype)
    indices = draw(_tuples(x, 0, _shape(draw, draw(st.integers(1, 2)))))
    shape = [*indices.shape[:-1], *x.shape[indices.shape[-1] :]]
    updates = data(dtype, shape, draw(seeds))
    attributes = {"reduction": _reduction(draw, dtype)}
    return Case("tensor.scatter_nd", [x, indices, updates], attributes)


indexings = st.one_of(gathers(), gather_elements(), gather_nds(), scatter_elements(), scatter_nds())


@st.composite
def selections(draw: Any) -> Case:
    x = draw(tensors(NUMERIC, rank=st.integers(1, 4)))
    axis = draw(st.integers(0, x.ndim - 1))
    flag = st.booleans()
    kind = draw(st.sampled_from(["arg_reduce", "cumulative_sum", "top_k"]))
    attributes: dict[str, Any] = {"axis": axis}
    if kind == "arg_reduce" and x.shape[axis] > 0:
        attributes.update(kind=draw(st.sampled_from(["min", "max"])), last=draw(flag))
        attributes.update(keep_dims=draw(flag))
    elif kind == "cumulative_sum":
        attributes.update(exclusive=draw(flag), reverse=draw(flag))
    else:
        kind = "top_k"
        attributes.update(k=draw(st.integers(0, x.shape[axis])), largest=draw(flag))
        attributes.update(sorted=draw(flag))
    return Case(f"tensor.{kind}", [x], attributes)


STORAGE = [d for d in DType if d.is_integer or (d.is_float and d.bits <= 8)]


@st.composite
def encodings(draw: Any, shape: Sequence[int], dtype: DType, expressed: DType) -> Quantized:
    low, high = dtype.integer_range if dtype.is_integer else (0, 0)
    low, high = max(low, -(1 << 20)), min(high, 1 << 20)
    axis = draw(st.sampled_from([None, *range(len(shape))])) if shape else None
    block = draw(st.sampled_from([0, 0, 2, 3])) if axis is not None else 0
    count = 1
    if axis is not None:
        blocks = [-(-n // max(block, 1)) if i == axis else n for i, n in enumerate(shape)]
        count = math.prod(blocks) if block else shape[axis]
        if count == 0:
            axis, block, count = None, 0, 1
    random = np.random.default_rng(draw(seeds))
    same = draw(st.booleans())
    points = random.integers(low, high, count, endpoint=True).tolist()
    return Quantized(
        tuple(float(np.float32(s)) for s in random.choice([0.1, 0.5, 0.03, 1.7], count)),
        tuple(points[:1] * count if same else points),
        axis,
        block,
        expressed,
    )


@st.composite
def quantizations(draw: Any) -> Case:
    storage = draw(st.sampled_from(STORAGE))
    expressible = [DType.F32, DType.F32, DType.F16, DType.BF16]
    if storage.is_integer:
        expressible.append(DType.F64)
    expressed = draw(st.sampled_from(expressible))
    size = st.sampled_from([0, 1, 2, 3, 5, 7])
    if draw(st.booleans()):
        x = draw(tensors([expressed], rank=st.integers(0, 3), size=size))
        q = draw(encodings(x.shape, storage, expressed))
        return Case("quant.quantize", [x], {"encoding": q, "dtype": storage})
    x = draw(tensors([storage], rank=st.integers(0, 3), size=size))
    return Case("quant.dequantize", [x], {}, {0: draw(encodings(x.shape, storage, expressed))})


def batches(case: st.SearchStrategy[Case]) -> st.SearchStrategy[list[Case]]:
    return st.lists(case, min_size=30, max_size=60)


# A build per example is slow: no shrinking, the failing op of a batch is named anyway.
few = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@few
@given(batches(movements))
def test_movement(cases: list[Case]) -> None:
    assert_same(cases)


@few
@given(batches(indexings))
def test_indexing(cases: list[Case]) -> None:
    assert_same(cases)


@few
@given(batches(selections()))
def test_selection(cases: list[Case]) -> None:
    assert_same(cases)


@few
@given(batches(quantizations()))
def test_quantization(cases: list[Case]) -> None:
    assert_same(cases)


@settings(few, max_examples=2)
@given(batches(st.one_of(movements, indexings, selections(), quantizations())))
def test_sanitizers_are_silent(cases: list[Case]) -> None:
    assert_same(cases, sanitize=True)


def floats(*shape: int) -> Array:
    return data(DType.F32, shape, 7)


def test_large_transposes_in_blocks() -> None:
    """Sizes that are and are not multiples of the block, and the blocked axis in any place."""
    shapes = [
        ((64, 48), (1, 0)),
        ((33, 3, 50), (2, 1, 0)),
        ((2, 37, 41), (0, 2, 1)),
        ((40, 2, 3, 35), (3, 1, 2, 0)),
        ((35, 40, 2), (1, 0, 2)),
    ]
    cases = [
        Case("tensor.transpose", [data(dtype, shape, 3)], {"permutation": order})
        for shape, order in shapes
        for dtype in (DType.F32, DType.F16, DType.I64, DType.BOOL)
    ]
    assert_same(cases)
    module, _ = module_of(cases[:1])
    assert "blocks of 16 x 16" in compile_module(module, "c:generic").files["cases.c"]


def test_order_of_many_elements() -> None:
    """Heaps of all sizes: whole axes sorted, ties, a few out of many, one."""
    ties = np.random.default_rng(1).integers(0, 50, (3, 500)).astype(np.float32)
    ties[1, ::7] = np.nan
    cases = [
        Case("tensor.top_k", [x], {"axis": axis, "k": k, "largest": largest})
        for x, axis in ((ties, 1), (ties.T.copy(), 0))
        for k in (1, 2, 3, 100, 500)
        for largest in (True, False)
    ]
    assert_same(cases)


def test_later_updates_win_and_all_combine_in_order() -> None:
    x = np.zeros(4, np.float16)
    indices = np.array([1, -3, 1, 1], np.int32)
    updates = np.array([2048, 1, 1, 1], np.float16)  # rounding after each sum would lose the ones
    reductions = ["none", "add", "mul", "min", "max"]
    elements = [
        Case("tensor.scatter_elements", [x, indices, updates], {"axis": 0, "reduction": r})
        for r in reductions
    ]
    slices = [
        Case(
            "tensor.scatter_nd",
            [x, indices[:, np.newaxis].astype(np.int64), updates],
            {"reduction": r},
        )
        for r in reductions
    ]
    assert_same([*elements, *slices])


def test_borders_much_wider_than_the_axis() -> None:
    cases = [
        Case(
            "tensor.pad",
            [data(DType.I16, (2, n, m), 5)],
            {"before": [0, a, 2], "after": [1, b, 0], "mode": mode},
        )
        for mode in ("reflect", "wrap", "edge")
        for n, m in ((1, 1), (2, 3), (3, 1), (5, 4))
        for a, b in ((100, 0), (0, 101), (37, 64))
    ]
    assert_same(cases)
    module, _ = module_of(
        [Case("tensor.pad", [floats(2)], {"before": [0], "after": [10000], "mode": "reflect"})]
    )
    source = compile_module(module, "c:generic").files["cases.c"]
    assert isinstance(source, str)
    assert source.count("\n") < 150, "the text grows with the logarithm of the border"
    assert_same(
        [Case("tensor.pad", [floats(2)], {"before": [0], "after": [10000], "mode": "reflect"})]
    )


INDEXED: dict[str, Callable[[Array], Case]] = {
    "gather": lambda i: Case("tensor.gather", [floats(2, 3), i], {"axis": 1}),
    "gather_elements": lambda i: Case("tensor.gather_elements", [floats(3), i], {"axis": 0}),
    "gather_nd": lambda i: Case("tensor.gather_nd", [floats(3, 2), i[:, np.newaxis]], {}),
    "scatter_elements": lambda i: Case(
        "tensor.scatter_elements", [floats(3), i, floats(2)], {"axis": 0}
    ),
    "scatter_nd": lambda i: Case(
        "tensor.scatter_nd", [floats(3), i[:, np.newaxis], floats(2)], {"reduction": "add"}
    ),
}


@pytest.mark.parametrize("name", INDEXED)
def test_an_index_out_of_range_is_an_error(name: str) -> None:
    module, _ = module_of([INDEXED[name](np.array([0, 1]))])
    compiled = runner(compile_module(module, "c:generic"))
    for bad in (3, -4, 2**40, np.iinfo(np.int64).min):
        _, inputs = module_of([INDEXED[name](np.array([0, bad]))])
        with pytest.raises(InputError):
            interpret(module, inputs)
        with pytest.raises(InputError, match="out of range"):
            compiled.run(inputs)
    for good in (2, -3):
        _, inputs = module_of([INDEXED[name](np.array([0, good]))])
        compiled.run(inputs)


def test_copies_of_whole_tensors_are_one_memcpy() -> None:
    cases = [
        Case("tensor.transpose", [floats(1, 6, 7)], {"permutation": [1, 0, 2]}),
        Case("tensor.slice", [floats(6, 7)], {"starts": [0, 0], "sizes": [6, 7], "steps": [1, 1]}),
        Case("tensor.slice", [floats(6, 7)], {"starts": [2, 0], "sizes": [2, 7], "steps": [1, 1]}),
        Case("tensor.broadcast", [floats(6, 7)], {"shape": [1, 6, 7]}),
        Case("tensor.concat", [floats(6, 7)], {"axis": 0}),
        Case("tensor.pad", [floats(6, 7)], {"before": [0, 0], "after": [0, 0]}),
        Case("tensor.tile", [floats(6, 7)], {"repeats": [1, 1]}),
        Case("tensor.gather_nd", [floats(6, 7), np.zeros((1, 0), np.int64)], {}),
    ]
    module, _ = module_of(cases)
    source = compile_module(module, "c:generic").files["cases.c"]
    assert isinstance(source, str)
    assert "for (" not in source
    assert_same(cases)


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no compiler for Cortex-M")
def test_the_cross_compiler_has_nothing_to_say(tmp_path: Path) -> None:
    random = settings(few, max_examples=1, database=None)

    @random
    @given(batches(st.one_of(movements, indexings, selections(), quantizations())))
    def check(cases: list[Case]) -> None:
        module, _ = module_of(cases)
        files = compile_module(module, "c:cortex-m4").files
        for name, content in files.items():
            assert isinstance(content, str)
            (tmp_path / name).write_text(content)
        warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
        command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-std=c99", "-O1", *warnings]
        subprocess.run([*command, "-c", "cases.c", "-o", "cases.o"], cwd=tmp_path, check=True)

    check()
