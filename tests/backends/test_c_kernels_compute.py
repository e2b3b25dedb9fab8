"""Kernels of the C backend that compute (convolutions, products, pools …), against the interpreter.

Random cases are batched: one build of many ops is compared with the reference within what the
order of additions may change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from burnish.backends.c.compile import compile_module, runner
from burnish.backends.c.kernels.products import best_step, choose_tile
from burnish.backends.c.kernels.windows import WindowAxis
from burnish.backends.c.select import select
from burnish.ir import Array, Block, Builder, DType, Module, TensorType, Value, interpret
from burnish.ir.builder import build_function
from burnish.ir.errors import InputError

FLOATS = [DType.F32, DType.F32, DType.F32, DType.F64, DType.F16, DType.BF16]
NUMBERS = [*FLOATS, DType.I8, DType.U8, DType.I16, DType.I32, DType.I64, DType.U32]
TOLERANCES = {DType.F16: 2e-3, DType.BF16: 2e-2, DType.F64: 1e-12}

Epilogue = Callable[[Builder, Value, list[Value]], Value]


@dataclass(repr=False)
class Case:
    """One op on given arrays; with ``epilogue``, fused with what that builds from ``more``."""

    op: str
    operands: Sequence[Array | None]
    attributes: dict[str, Any]
    epilogue: Epilogue | None = None
    more: Sequence[Array] = ()

    def __repr__(self) -> str:
        shown = [None if x is None else f"{x.dtype}{list(x.shape)}" for x in self.operands]
        fused = " and an epilogue" if self.epilogue else ""
        return f"{self.op}{self.attributes} of {shown}{fused}"

    def build(self, b: Builder, arguments: list[Value | None], more: list[Value]) -> list[Value]:
        """Create the op, or the group it anchors."""
        if self.epilogue is None:
            return list(b.create(self.op, arguments, self.attributes).results)
        outer = [value for value in arguments if value is not None] + more
        body = Block([value.type for value in outer])
        inner = iter(body.args)
        operands = [None if value is None else next(inner) for value in arguments]
        in_body = Builder(body)
        anchor = in_body.create(self.op, operands, self.attributes).result
        in_body.yield_(self.epilogue(in_body, anchor, list(inner)))
        return list(b.create("core.group", outer, regions=[body]).results)


def module_of(cases: Sequence[Case]) -> tuple[Module, dict[str, Array]]:
    """All cases side by side in one module, and its inputs."""
    inputs: dict[str, Array] = {}
    for number, case in enumerate(cases):
        for position, array in enumerate([*case.operands, *case.more]):
            if array is not None:
                inputs[f"x{number}_{position}"] = array
    types = {n: TensorType(x.shape, DType.from_numpy(x.dtype)) for n, x in inputs.items()}
    module = Module("cases")
    function, b = build_function(module, "main", types)
    values = dict(zip(types, function.args))
    results, names = [], []
    for number, case in enumerate(cases):
        count = len(case.operands)
        arguments = [values.get(f"x{number}_{i}") for i in range(count)]
        more = [values[f"x{number}_{count + i}"] for i in range(len(case.more))]
        for i, result in enumerate(case.build(b, arguments, more)):
            results.append(result)
            names.append(f"y{number}_{i}")
    function.result_names = tuple(names)
    b.ret(*results)
    return module, inputs


def assert_close(cases: Sequence[Case], *, sanitize: bool = False) -> None:
    module, inputs = module_of(cases)
    expected = interpret(module, inputs)
    actual = runner(compile_module(module, "c:generic"), sanitize=sanitize).run(inputs)
    for name, y in expected.items():
        case = cases[int(name[1:].split("_")[0])]
        difference = distance(actual[name], y)
        assert difference <= 1, f"{case}: {name} is off by {difference} times what is allowed"


def distance(actual: Array, expected: Array) -> float:
    """The largest difference in units of the tolerance; infinite where NaN or infinity differ."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    dtype = DType.from_numpy(expected.dtype)
    if not dtype.is_float:
        return 0.0 if np.array_equal(actual, expected) else np.inf
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    special = ~np.isfinite(e)
    if not np.array_equal(a[special], e[special], equal_nan=True):
        return np.inf
    a, e = a[~special], e[~special]
    if not e.size:
        return 0.0
    scale = max(float(np.abs(e).max()), 1e-30)
    return float(np.abs(a - e).max()) / (TOLERANCES.get(dtype, 1e-5) * scale)


# Random cases -----------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)


def data(dtype: DType, shape: Sequence[int], seed: int) -> Array:
    random = np.random.default_rng(seed)
    if dtype.is_integer:
        low, high = dtype.integer_range
        return random.integers(max(low, -30), min(high, 30) + 1, shape).astype(dtype.numpy)
    return random.normal(0, 2, shape).astype(dtype.numpy)


@st.composite
def windows(draw: Any, names: Sequence[str]) -> tuple[list[int], list[int], dict[str, Any]]:
    """Extents and kernel of one to three axes, and the attributes a windowed op needs."""
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))

    def each(*choices: int) -> list[int]:
        return draw(st.lists(st.sampled_from(choices), min_size=rank, max_size=rank))  # type: ignore[no-any-return]

    kernel, strides, dilations = each(1, 2, 3, 5), each(1, 1, 2, 3), each(1, 1, 2)
    before, after, more = each(0, 0, 1, 2, 4), each(0, 0, 1, 2), each(0, 0, 1, 2)
    largest = [40, 13, 6][rank - 1]
    extents = []
    for axis in range(rank):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        extents.append(max(1, reach - before[axis] - after[axis], draw(st.integers(1, largest))))
    given_values = {"strides": strides, "dilations": dilations, "pads": before + after}
    given_values |= {"kernel": kernel, "overhang": more, "output_padding": [0] * rank}
    return extents, kernel, {name: given_values[name] for name in names}


@st.composite
def convolutions(draw: Any, dtypes: Sequence[DType] = tuple(NUMBERS)) -> Case:
    extents, kernel, attributes = draw(windows(("strides", "pads", "dilations")))
    if draw(st.integers(0, 3)) == 0:
        rank = len(kernel)
        kernel = [1] * rank
        attributes |= {"strides": [1] * rank, "pads": [0] * 2 * rank}
    groups, inputs = draw(st.sampled_from([1, 1, 2, 5])), draw(st.sampled_from([1, 1, 2, 3]))
    filters = groups * draw(st.sampled_from([1, 1, 2, 3, 4, 5, 7]))
    batch, dtype = draw(st.integers(1, 2)), draw(st.sampled_from(list(dtypes)))
    x = data(dtype, [batch, groups * inputs, *extents], draw(seeds))
    w = data(dtype, [filters, inputs, *kernel], draw(seeds))
    b = data(dtype, [filters], draw(seeds)) if draw(st.booleans()) else None
    return Case("nn.conv", [x, w, b], {**attributes, "groups": groups})


@st.composite
def transposed_convolutions(draw: Any) -> Case:
    extents, kernel, a = draw(windows(("strides", "pads", "dilations", "output_padding")))
    rank = len(kernel)
    a["output_padding"] = [draw(st.integers(0, s - 1)) for s in a["strides"]]
    for axis in range(rank):
        full = (extents[axis] - 1) * a["strides"][axis] + a["output_padding"][axis] + 1
        full += (kernel[axis] - 1) * a["dilations"][axis]
        a["pads"][axis] = min(a["pads"][axis], full)
        a["pads"][axis + rank] = min(a["pads"][axis + rank], full - a["pads"][axis])
    groups, inputs = draw(st.sampled_from([1, 1, 2, 3])), draw(st.sampled_from([1, 2, 4]))
    filters, dtype = draw(st.sampled_from([1, 2, 5])), draw(st.sampled_from(NUMBERS))
    x = data(dtype, [draw(st.integers(1, 2)), groups * inputs, *extents], draw(seeds))
    w = data(dtype, [groups * inputs, filters, *kernel], draw(seeds))
    b = data(dtype, [groups * filters], draw(seeds)) if draw(st.booleans()) else None
    return Case("nn.conv_transpose", [x, w, b], {**a, "groups": groups})


def partly_ones(draw: Any, shape: Sequence[int]) -> list[int]:
    """A shape that broadcasts to ``shape``."""
    return [
        draw(st.sampled_from([1, size, size])) for size in shape[draw(st.integers(0, len(shape))) :]
    ]


@st.composite
def products(draw: Any, dtypes: Sequence[DType] = tuple(NUMBERS)) -> Case:
    size = st.sampled_from([1, 1, 2, 3, 5, 8, 11, 23, 25, 33, 50])
    m, n, depth = draw(size), draw(size), draw(st.one_of(st.just(0), size, size, size))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    flip_a, flip_b = draw(st.booleans()), draw(st.booleans())
    dtype = draw(st.sampled_from(list(dtypes)))
    shape_a, shape_b = partly_ones(draw, batch), partly_ones(draw, batch)
    a = data(dtype, [*shape_a, *((depth, m) if flip_a else (m, depth))], draw(seeds))
    b = data(dtype, [*shape_b, *((n, depth) if flip_b else (depth, n))], draw(seeds))
    result = [*np.broadcast_shapes(tuple(shape_a), tuple(shape_b)), m, n]
    c = data(dtype, partly_ones(draw, result), draw(seeds)) if draw(st.booleans()) else None
    return Case("nn.matmul", [a, b, c], {"transpose_a": flip_a, "transpose_b": flip_b})


@st.composite
def pools(draw: Any) -> Case:
    names = ("kernel", "strides", "pads", "dilations", "overhang")
    extents, _, attributes = draw(windows(names))
    op = draw(st.sampled_from(["nn.max_pool", "nn.average_pool"]))
    dtype = draw(st.sampled_from(NUMBERS if op == "nn.max_pool" else FLOATS))
    x = data(dtype, [draw(st.integers(1, 2)), draw(st.integers(1, 3)), *extents], draw(seeds))
    if dtype.is_float and draw(st.integers(0, 3)) == 0:
        x.reshape(-1)[draw(st.integers(0, x.size - 1))] = np.nan
    if op == "nn.average_pool":
        attributes["count_include_pad"] = draw(st.booleans())
    return Case(op, [x], attributes)


@st.composite
def reductions(draw: Any) -> Case:
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 5, 7, 0, 70, 130]), max_size=4))
    shape = [size if int(np.prod(shape)) < 20000 else min(size, 7) for size in shape]
    kind = draw(st.sampled_from(["sum", "mean", "prod", "min", "max", "any", "all"]))
    dtype = DType.BOOL if kind in ("any", "all") else draw(st.sampled_from(NUMBERS))
    if dtype is DType.BOOL:
        x = np.random.default_rng(draw(seeds)).random(shape) < 0.8
    else:
        x = data(dtype, shape, draw(seeds))
        if kind == "prod" and dtype.is_float:
            x = (1 + x.astype(np.float64) / 100).astype(x.dtype)
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else []
    attributes = {"kind": kind, "axes": axes, "keep_dims": draw(st.booleans())}
    return Case("tensor.reduce", [np.asarray(x)], attributes)


def shapes(least: int) -> st.SearchStrategy[list[int]]:
    small = st.sampled_from([1, 2, 3, 4, 6])
    return st.tuples(
        st.lists(small, min_size=least, max_size=2), st.lists(st.sampled_from([1, 2, 5, 70]))
    ).map(lambda parts: [*parts[0], *parts[1][:2]])


@st.composite
def softmaxes(draw: Any) -> Case:
    shape = draw(shapes(1))
    x = data(draw(st.sampled_from(FLOATS)), shape, draw(seeds))
    if draw(st.integers(0, 3)) == 0:
        x.reshape(-1)[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    op = draw(st.sampled_from(["nn.softmax", "nn.log_softmax"]))
    return Case(op, [x], {"axis": draw(st.integers(0, len(shape) - 1))})


@st.composite
def normalizations(draw: Any) -> Case:
    kind = draw(st.sampled_from(["batch", "layer", "rms", "group", "lrn"]))
    shape, dtype = draw(shapes(2)), draw(st.sampled_from(FLOATS))
    channels = shape[1]
    x = data(dtype, shape, draw(seeds))
    parameters = [data(dtype, [channels], draw(seeds)) for _ in range(4)]
    if kind == "batch":
        parameters[3] = np.abs(parameters[3]) + np.asarray(0.5, dtype.numpy)
        return Case("nn.batch_norm", [x, *parameters], {"epsilon": 1e-3})
    if kind == "group":
        groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        return Case("nn.group_norm", [x, *parameters[:2]], {"groups": groups, "epsilon": 1e-2})
    if kind == "lrn":
        size = draw(st.integers(1, 9))
        return Case("nn.lrn", [x], {"size": size, "alpha": 0.02, "beta": 0.6, "bias": 1.5})
    attributes = {"axis": draw(st.integers(0, len(shape) - 1)), "epsilon": 1e-2}
    scale = data(dtype, partly_ones(draw, shape), draw(seeds))
    if kind == "rms":
        return Case("nn.rms_norm", [x, scale], attributes)
    bias = data(dtype, partly_ones(draw, shape), draw(seeds)) if draw(st.booleans()) else None
    return Case("nn.layer_norm", [x, scale, bias], attributes)


COORDINATES = [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
]


@st.composite
def resizes(draw: Any) -> Case:
    old = draw(st.lists(st.sampled_from([1, 2, 3, 5, 8]), max_size=4))
    new = [draw(st.sampled_from([size, 1, 2, 4, 7, 10])) for size in old]
    mode = draw(st.sampled_from(["nearest", "linear", "linear", "cubic"]))
    attributes = {
        "shape": new,
        "scales": [draw(st.sampled_from([1, 1, 0.9])) * b / a for a, b in zip(old, new)],
        "mode": mode,
        "coordinates": draw(st.sampled_from(COORDINATES)),
        "rounding": draw(
            st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
        ),
        "exclude_outside": draw(st.booleans()),
        "antialias": mode != "nearest" and draw(st.booleans()),
        "extrapolation_value": 7.5,
    }
    if attributes["coordinates"] == "tf_crop_and_resize":
        starts = [draw(st.sampled_from([0, 0.1, -0.2])) for _ in old]
        attributes["roi"] = starts + [draw(st.sampled_from([1, 0.7, 1.3])) for _ in old]
    return Case("nn.resize", [data(draw(st.sampled_from(NUMBERS)), old, draw(seeds))], attributes)


ACTIVATIONS = [
    "Affine",
    "Elu",
    "HardSigmoid",
    "LeakyRelu",
    "Relu",
    "ScaledTanh",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "ThresholdedRelu",
]
CELLS = {"nn.lstm": (4, 3), "nn.gru": (3, 2), "nn.rnn": (1, 1)}


@st.composite
def recurrences(draw: Any) -> Case:
    op = draw(st.sampled_from(list(CELLS)))
    gates, functions = CELLS[op]
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    d = 2 if direction == "bidirectional" else 1
    time, batch = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    inputs, h = draw(st.sampled_from([1, 3, 7])), draw(st.sampled_from([1, 2, 5, 6]))
    dtype = draw(st.sampled_from(FLOATS))
    chosen = [draw(st.sampled_from(ACTIVATIONS)) for _ in range(functions)]
    attributes: dict[str, Any] = {
        "hidden_size": h,
        "direction": direction,
        "activations": chosen + draw(st.permutations(chosen)) * (d - 1),
        "clip": draw(st.sampled_from([0.0, 0.8])),
    }
    if draw(st.booleans()):
        attributes |= {"activation_alpha": [0.3, 0.2], "activation_beta": [0.4]}
    if op == "nn.gru":
        attributes["linear_before_reset"] = draw(st.booleans())
    if op == "nn.lstm":
        attributes["input_forget"] = draw(st.booleans())

    def array(*shape: int) -> Array:
        return (data(DType.F64, shape, draw(seeds)) / 4).astype(dtype.numpy)

    def maybe(*shape: int) -> Array | None:
        return array(*shape) if draw(st.booleans()) else None

    lengths = None
    if draw(st.booleans()):
        lengths = np.random.default_rng(draw(seeds)).integers(0, time + 1, batch).astype(np.int32)
    operands = [
        array(time, batch, inputs),
        array(d, gates * h, inputs),
        array(d, gates * h, h),
        maybe(d, 2 * gates * h),
        lengths,
        maybe(d, batch, h),
    ]
    if op == "nn.lstm":
        operands += [maybe(d, batch, h), maybe(d, 3 * h)]
    return Case(op, operands, attributes)


FAMILIES = {
    "conv": convolutions(),
    "conv_transpose": transposed_convolutions(),
    "matmul": products(),
    "pool": pools(),
    "reduce": reductions(),
    "softmax": softmaxes(),
    "normalization": normalizations(),
    "resize": resizes(),
    "recurrent": recurrences(),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_agree_with_the_interpreter(family: str) -> None:
    @settings(
        max_examples=2,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(FAMILIES[family], min_size=40, max_size=40))
    def agree(cases: list[Case]) -> None:
        assert_close(cases)

    agree()


def test_kernels_are_silent_under_sanitizers() -> None:
    @settings(
        max_examples=1,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*(st.lists(family, min_size=12, max_size=12) for family in FAMILIES.values())))
    def agree(batches: tuple[list[Case], ...]) -> None:
        assert_close([case for cases in batches for case in cases], sanitize=True)

    agree()


# Fused groups -----------------------------------------------------------------------------


def add_and_relu(b: Builder, y: Value, more: list[Value]) -> Value:
    """``max(y + more[0], 0)``."""
    return b("math.relu", b("math.add", y, more[0]))


def scaled_clamp(b: Builder, y: Value, more: list[Value]) -> Value:
    """``clamp(y * more[0] + more[1])``, with a constant inside the group."""
    half = b.constant(np.asarray(0.5, y.type.dtype.numpy))
    scaled = b("math.add", b("math.mul", y, more[0]), b("math.mul", more[1], half))
    return b("math.clamp", scaled, low=-3.0, high=6.0)


def fused(case: Case, epilogue: Epilogue, *shapes: Sequence[int]) -> Case:
    dtype = next(DType.from_numpy(x.dtype) for x in case.operands if x is not None)
    more = [data(dtype, shape, seed) for seed, shape in enumerate(shapes)]
    return Case(case.op, case.operands, case.attributes, epilogue, more)


def f32(*shape: int) -> Array:
    return data(DType.F32, shape, sum(shape))


def conv_case(x: Sequence[int], w: Sequence[int], *, groups: int = 1, pad: int = 1) -> Case:
    rank = len(x) - 2
    attributes = {
        "strides": [1] * rank,
        "pads": [pad] * 2 * rank,
        "dilations": [1] * rank,
        "groups": groups,
    }
    return Case("nn.conv", [f32(*x), f32(*w), f32(w[0])], attributes)


def pool_attributes(**more: Any) -> dict[str, Any]:
    return {
        "kernel": [3, 3],
        "strides": [2, 2],
        "pads": [1] * 4,
        "dilations": [1, 1],
        "overhang": [0, 0],
        **more,
    }


def test_epilogues_of_every_anchor() -> None:
    conv = conv_case((2, 3, 7, 9), (6, 3, 3, 3))
    depthwise = conv_case((1, 4, 7, 9), (4, 1, 3, 3), groups=4)
    pointwise = conv_case((1, 5, 11), (7, 5, 1), pad=0)
    matmul = Case("nn.matmul", [f32(2, 5, 9), f32(9, 30)], {})
    dots = Case("nn.matmul", [f32(2, 9), f32(30, 9)], {"transpose_b": True})
    transposed = Case(
        "nn.conv_transpose",
        [f32(1, 3, 4, 5), f32(3, 4, 3, 3), None],
        {
            "strides": [2, 2],
            "pads": [1] * 4,
            "dilations": [1, 1],
            "output_padding": [0, 0],
            "groups": 1,
        },
    )
    max_pool = Case("nn.max_pool", [f32(1, 3, 9, 9)], pool_attributes())
    mean_pool = Case("nn.average_pool", [f32(1, 3, 9, 9)], pool_attributes(count_include_pad=False))
    mean = Case(
        "tensor.reduce", [f32(2, 5, 8, 9)], {"kind": "mean", "axes": [2, 3], "keep_dims": True}
    )
    across = Case(
        "tensor.reduce", [f32(2, 5, 8, 9)], {"kind": "sum", "axes": [1], "keep_dims": False}
    )
    assert_close(
        [
            fused(conv, add_and_relu, (2, 6, 7, 9)),
            fused(conv, scaled_clamp, (6, 1, 1), ()),
            # Broadcast along the width only: the spatial axes cannot be merged.
            fused(conv, scaled_clamp, (7, 1), (2, 1, 1, 9)),
            fused(depthwise, add_and_relu, (1, 4, 7, 9)),
            fused(depthwise, scaled_clamp, (4, 1, 1), (9,)),
            fused(pointwise, scaled_clamp, (7, 11), (7, 1)),
            fused(matmul, add_and_relu, (30,)),
            fused(matmul, scaled_clamp, (2, 1, 1), (5, 1)),
            fused(dots, scaled_clamp, (2, 1), (30,)),
            fused(transposed, add_and_relu, (4, 1, 1)),
            fused(max_pool, add_and_relu, (1, 3, 5, 5)),
            fused(mean_pool, scaled_clamp, (3, 1, 1), (5,)),
            fused(mean, add_and_relu, (5, 1, 1)),
            fused(across, scaled_clamp, (8, 1), (9,)),
            fused(across, add_and_relu, (2, 8, 9)),
        ]
    )


def test_residual_that_is_the_input_too() -> None:
    """The group reads one operand in the anchor and in the epilogue, indexed differently."""
    conv = conv_case((1, 4, 6, 7), (4, 4, 3, 3))

    def add_input(b: Builder, y: Value, more: list[Value]) -> Value:
        convolution = y.op
        assert convolution is not None
        x = convolution.operands[0]
        assert x is not None
        return b("math.relu", b("math.add", y, x))

    assert_close([fused(conv, add_input)])


# What random cases might miss -------------------------------------------------------------


def test_sizes_around_tiles() -> None:
    """Rows, columns and positions one below, at and one above the tile sizes."""
    cases = [
        Case("nn.matmul", [f32(m, 13), f32(13, n)], {})
        for m in (1, 2, 3, 4, 5, 9)
        for n in (1, 23, 24, 25, 31, 32, 33, 49)
    ]
    cases += [conv_case((1, 2, 1, width), (5, 2, 3, 3)) for width in (1, 2, 23, 24, 25, 47, 48, 49)]
    cases += [conv_case((1, 3, height, 5), (6, 3, 3, 3)) for height in (1, 4, 5, 10)]
    assert_close(cases)


def test_empty_operands_give_what_is_left() -> None:
    conv = {"strides": [1], "pads": [0, 0], "dilations": [1]}
    assert_close(
        [
            Case("nn.conv", [f32(0, 2, 5), f32(3, 2, 2), f32(3)], conv),
            Case("nn.conv", [f32(1, 0, 5), f32(3, 0, 2), f32(3)], conv),
            Case("nn.matmul", [f32(3, 0), f32(0, 4), f32(4)], {}),
            Case("nn.matmul", [f32(9, 0), f32(4, 0)], {"transpose_b": True}),
            Case("nn.matmul", [f32(0, 3), f32(3, 4)], {}),
            Case("nn.softmax", [f32(2, 0)], {"axis": 1}),
            Case("nn.max_pool", [f32(0, 3, 9, 9)], pool_attributes()),
        ]
    )


def test_windows_wholly_in_the_padding() -> None:
    attributes = pool_attributes(kernel=[1, 2], strides=[1, 1], pads=[2, 3, 2, 3])
    assert_close(
        [
            Case("nn.max_pool", [f32(1, 2, 2, 2)], attributes),
            Case("nn.average_pool", [f32(1, 2, 2, 2)], {**attributes, "count_include_pad": False}),
            Case("nn.average_pool", [f32(1, 2, 2, 2)], {**attributes, "count_include_pad": True}),
        ]
    )


def test_long_sums_stay_accurate() -> None:
    x = (np.random.default_rng(1).random((3, 200_000)) + 1).astype(np.float32)
    case = Case("tensor.reduce", [x], {"kind": "sum", "axes": [1], "keep_dims": False})
    module, inputs = module_of([case])
    actual = runner(compile_module(module, "c:generic")).run(inputs)["y0_0"]
    assert np.abs(actual / x.sum(axis=1, dtype=np.float64) - 1).max() < 3e-6


def test_sequence_length_out_of_range_fails() -> None:
    lengths = np.asarray([4], np.int32)
    operands = [f32(3, 1, 2), f32(1, 4, 2), f32(1, 4, 4), None, lengths]
    case = Case("nn.rnn", operands, {"hidden_size": 4, "activations": ["Tanh"]})
    module, inputs = module_of([case])
    with pytest.raises(InputError):
        runner(compile_module(module, "c:generic")).run(inputs)


def test_selection_says_how() -> None:
    cases = [
        conv_case((1, 4, 7, 9), (4, 1, 3, 3), groups=4),
        conv_case((1, 4, 7, 9), (8, 4, 1, 1), pad=0),
        conv_case((1, 1, 7, 9), (8, 1, 3, 3)),
        Case("nn.matmul", [f32(1, 9), f32(30, 9)], {"transpose_b": True}),
    ]
    module, _ = module_of(cases)
    text = str(select(module.main, "m"))
    lines = [line.split(" : ")[0] for line in text.splitlines()]
    assert lines == [
        "nn.conv -> depthwise_conv#0 scratch=36",
        "nn.conv -> conv#1 tile=4x24 input=direct scratch=384",
        "nn.conv -> conv#2 tile=4x24 input=unfolded scratch=1248",
        "nn.matmul -> matmul#3 order=dots scratch=16",
    ]


# Arithmetic of tiles and windows ----------------------------------------------------------


def test_tiles_waste_little() -> None:
    for rows in range(1, 40):
        tile = choose_tile(rows, 1000)
        assert -(-rows // tile.rows) * tile.rows <= 1.25 * rows + 1
    assert best_step(5, 4) == 3
    assert str(choose_tile(64, 7)) == "4x7"


@given(
    st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 6)
)
@settings(max_examples=100, deadline=None)
def test_ranges_of_known_windows_and_taps(
    size: int, kernel: int, stride: int, dilation: int, before: int
) -> None:
    from burnish.backends.c.code import index

    axis = WindowAxis(size, 6, kernel, stride, dilation, before, 0)

    def inside(window: int, tap: int) -> bool:
        return 0 <= window * stride + tap * dilation - before < size

    nowhere: Any = None  # known positions need no code
    for window in range(6):
        first, last = axis.taps(nowhere, "k", index(window))
        taps = range(first.value or 0, last.value or 0)
        assert list(taps) == [t for t in range(kernel) if inside(window, t)]
    for tap in range(kernel):
        first, last = axis.windows(nowhere, "o", index(tap))
        windows = range(first.value or 0, last.value or 0)
        assert list(windows) == [w for w in range(6) if inside(w, tap)]
