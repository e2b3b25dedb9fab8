"""Dead and constant channels: the intervals hold, and nothing changes but the size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from fuzzer.maker import Profile, random_module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import burnish
from burnish.ir import (
    Array,
    Builder,
    DType,
    Module,
    Op,
    Quantized,
    Value,
    build_function,
    interpret,
    parse,
    tensor,
)
from burnish.ir.cost import block_cost
from burnish.ir.errors import InputError
from burnish.passes import run_pipeline
from burnish.passes.channels.constants import ConstantData
from burnish.passes.channels.ranges import Ranges
from burnish.passes.channels.ties import ChannelAxes

SETTINGS = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
WHOLE = {"strides": [1, 1], "dilations": [1, 1]}
ENCODING = Quantized((0.5,), (-3,))


class ChannelGraph:
    """A random graph of ops on [N, C, H, W] with many zero weights.

    Numbers are small multiples of 1/4, so that sums are exact in any order and results must be
    equal bit by bit; quantizations keep them small.
    """

    def __init__(self, random: Random, builder: Builder, values: Sequence[Value]) -> None:
        self.random = random
        self.builder = builder
        self.values = list(values)

    def weights(self, *shape: int) -> Value:
        """Small integers; some slices along the first two axes are zero."""
        data = np.array(
            [self.random.randint(-2, 2) for _ in range(int(np.prod(shape)))], np.float32
        )
        data = data.reshape(shape)
        for axis in range(min(2, len(shape))):
            for position in range(shape[axis]):
                if self.random.random() < 0.35:
                    np.moveaxis(data, axis, 0)[position] = 0
        return self.builder.constant(data)

    def pick(self) -> Value:
        return self.random.choice(self.values[-4:])

    def pads(self) -> list[int]:
        return [self.random.randint(0, 1) for _ in range(4)]

    def bounded(self, x: Value) -> Value:
        """Quantized and dequantized, so that numbers stay small."""
        q = self.builder("quant.quantize", x, encoding=ENCODING, dtype=DType.I8)
        return self.builder("quant.dequantize", q)

    def conv(self) -> Value:
        x = self.pick()
        channels = x.type.static_shape[1]
        groups = self.random.choice([g for g in (1, 1, 1, 2, channels) if channels % g == 0])
        out = groups * self.random.randint(1, 3)
        w = self.weights(out, channels // groups, 2, 2)
        b = self.weights(out) if self.random.random() < 0.7 else None
        pads = self.pads()
        y = self.builder("nn.conv", x, w, b, pads=pads, groups=groups, **WHOLE)
        return self.bounded(self.builder("math.relu", y))

    def conv_transpose(self) -> Value:
        x = self.pick()
        channels = x.type.static_shape[1]
        groups = self.random.choice([g for g in (1, 2) if channels % g == 0])
        w = self.weights(channels, self.random.randint(1, 3), 2, 2)
        y = self.builder(
            "nn.conv_transpose", x, w, pads=[0] * 4, groups=groups, output_padding=[0, 0], **WHOLE
        )
        return self.bounded(y)

    def add(self) -> Value:
        x = self.pick()
        same = [v for v in self.values if v.type.shape == x.type.shape]
        channels = x.type.static_shape[1]
        other = self.random.choice([*same, self.weights(channels, 1, 1)])
        return self.bounded(self.builder(self.random.choice(["math.add", "math.mul"]), x, other))

    def clamp(self) -> Value:
        return self.builder("math.clamp", self.pick(), low=-1.0, high=2.0)

    def concat(self) -> Value:
        x = self.pick()
        n, _, height, width = x.type.static_shape
        fits = [v for v in self.values if v.type.static_shape[2:] == (height, width)]
        parts = [x, *self.random.sample(fits, min(2, len(fits)))]
        parts = [v for v in parts if v.type.static_shape[0] == n]
        return self.builder("tensor.concat", *parts, axis=1)

    def slice(self) -> Value:
        x = self.pick()
        sizes = list(x.type.static_shape)
        start = self.random.randrange(sizes[1])
        sizes[1] = self.random.randint(1, sizes[1] - start)
        return self.builder("tensor.slice", x, starts=[0, start, 0, 0], sizes=sizes, steps=[1] * 4)

    def gather(self) -> Value:
        x = self.pick()
        channels = x.type.static_shape[1]
        positions = [self.random.randrange(-channels, channels) for _ in range(channels)]
        return self.builder("tensor.gather", x, self.builder.constant(np.array(positions)), axis=1)

    def pad(self) -> Value:
        amounts = [0, self.random.randint(0, 2), self.random.randint(0, 1), 0]
        value = self.builder.constant(np.array(0.5, np.float32))
        return self.builder("tensor.pad", self.pick(), value, before=amounts, after=amounts[::-1])

    def tile(self) -> Value:
        return self.builder("tensor.tile", self.pick(), repeats=[1, 2, 1, 1])

    def pool(self) -> Value:
        kind = self.random.choice(["nn.max_pool", "nn.average_pool"])
        x = self.pick()
        if min(x.type.static_shape[2:]) < 2:
            return x
        lists = {"kernel": [2, 2], "overhang": [0, 0], "pads": self.pads(), **WHOLE}
        return self.bounded(self.builder(kind, x, **lists))

    def channels_last(self) -> Value:
        x = self.builder("tensor.transpose", self.pick(), permutation=[0, 2, 3, 1])
        y = self.builder("math.add", x, self.weights(x.type.static_shape[3]))
        return self.bounded(self.builder("tensor.transpose", y, permutation=[0, 3, 1, 2]))

    def dense(self) -> Value:
        x = self.pick()
        n, channels, height, width = x.type.static_shape
        flat = self.builder("tensor.reshape", x, shape=[n, channels * height * width])
        w = self.weights(channels * height * width, 3)
        zero = np.repeat([self.random.random() < 0.3 for _ in range(channels)], height * width)
        data = np.where(zero[:, np.newaxis], 0, w.constant.array if w.constant else 0)
        w = self.builder.constant(data.astype(np.float32))
        y = self.builder("nn.matmul", flat, w, self.weights(3))
        return self.bounded(self.builder("tensor.reshape", y, shape=[n, 3, 1, 1]))


STEPS = ["conv"] * 5 + ["conv_transpose", "add", "add", "clamp", "concat", "slice", "gather"]
STEPS += ["pad", "tile", "pool", "channels_last", "dense"]


def channel_graph(random: Random, ops: int) -> Module:
    module = Module("channels")
    function, builder = build_function(module, "main", {"x": tensor("f32", 1, 3, 3, 3)})
    maker = ChannelGraph(random, builder, [])
    maker.values.append(maker.bounded(function.args[0]))
    for _ in range(ops):
        value = getattr(maker, random.choice(STEPS))()
        if 0 < value.type.elements <= 1000:
            maker.values.append(value)
    used = maker.values[-2:]
    function.result_names = tuple(f"r{i}" for i in range(len(used)))
    builder.ret(*used)
    return module


def integers(module: Module, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(-9, 9, value.type.static_shape).astype(np.float32)
        for name, value in zip(module.main.arg_names, module.main.args)
    }


@SETTINGS
@given(random=st.randoms(use_true_random=False), strict=st.booleans())
def test_pruning_keeps_every_bit(random: Random, strict: bool) -> None:
    module = channel_graph(random, 8)
    inputs = integers(module, 0)
    before = interpret(module, inputs)
    pipeline = "prune-channels" if strict else "prune-channels{fast-math=true}"
    run_pipeline(module, f"{pipeline},dce", verify="each")
    for name, expected in interpret(module, inputs).items():
        np.testing.assert_array_equal(before[name], expected)


def check_ranges(module: Module, inputs: dict[str, Array], *, finite: bool) -> None:
    """Every element the interpreter computes lies in the interval of its channel."""
    body = module.main.body
    axes = ChannelAxes(body)
    ranges = Ranges(axes, ConstantData(), finite)

    def observe(op: Op, results: Sequence[Array]) -> None:
        for value, array in zip(op.results, results):
            if array.dtype.kind not in "fiub" or not array.size:
                continue
            numbers = array.astype(np.float64)
            bounds = ranges[value]
            shape = [1] * array.ndim
            if value in axes.axis:
                shape[axes.axis[value]] = -1
            low, high = bounds.low.reshape(shape), bounds.high.reshape(shape)
            known = np.isfinite(numbers) | (not finite)
            inside = (numbers >= low) & (numbers <= high)
            inside |= np.isnan(numbers) & ~np.isfinite(low) & ~np.isfinite(high)
            assert (inside | ~known).all(), (op, array, bounds)

    with np.errstate(all="ignore"), suppress(InputError):  # what came before an error is seen
        interpret(module, inputs, observe=observe)


@SETTINGS
@given(random=st.randoms(use_true_random=False))
def test_intervals_hold_what_is_computed(random: Random) -> None:
    module = channel_graph(random, 8)
    check_ranges(module, integers(module, 1), finite=True)


@pytest.mark.parametrize("finite", [True, False])
@SETTINGS
@given(seed=st.integers(0, 1 << 32))
def test_intervals_hold_for_all_kinds_of_ops(finite: bool, seed: int) -> None:
    draft = random_module(Random(seed), Profile(14, special=not finite, symbols=False))
    check_ranges(draft.module, draft.inputs, finite=finite)


@pytest.mark.parametrize("number", [(1 << 63) - 1, -3106903482943092817])
def test_intervals_of_large_integers(number: int) -> None:
    """As floats they are other numbers: relu of the largest was 0."""
    module = parse(f"""module "m" {{
      func @main() -> ("y": tensor<i64[1]>, "z": tensor<i64[1]>) {{
        %0 = core.constant() {{value = dense<i64[1], [{number}]>}}
        %1 = core.constant() {{value = dense<i64[1], [8]>}}
        %2 = math.relu(%0)
        %3 = math.bit_and(%0, %1)
        core.return(%2, %3)
      }}
    }}""")
    check_ranges(module, {}, finite=False)


def test_padding_keeps_a_constant_channel_from_being_constant() -> None:
    """A channel that is always 1 is not constant after a padded depthwise convolution."""
    module = Module("border")
    function, builder = build_function(module, "main", {"x": tensor("f32", 1, 2, 4, 4)}, ["y"])
    w = builder.constant(np.array([1.0, 0.0], np.float32).reshape(2, 1, 1, 1))
    b = builder.constant(np.array([0.0, 1.0], np.float32))
    plain = {"pads": [0] * 4, **WHOLE}
    x = builder("nn.conv", function.args[0], w, b, groups=2, **plain)
    taps = builder.constant(np.ones((2, 1, 3, 3), np.float32))
    y = builder("nn.conv", x, taps, groups=2, pads=[1] * 4, **WHOLE)
    mix = builder.constant(np.ones((2, 2, 1, 1), np.float32))
    builder.ret(builder("nn.conv", y, mix, **plain))
    axes = ChannelAxes(function.body)
    ranges = Ranges(axes, ConstantData(), True)
    assert list(ranges[x].constant) == [False, True]
    assert (ranges[y].low[1], ranges[y].high[1]) == pytest.approx((1, 9), rel=1e-4)
    inputs = integers(module, 0)
    before = interpret(module, inputs)["y"]
    run_pipeline(module, "prune-channels{fast-math=true},dce", verify="each")
    np.testing.assert_array_equal(interpret(module, inputs)["y"], before)
    assert all(op.result.type.shape[1] == 2 for op in module.walk() if op.name == "nn.conv")


def test_negligible_weights_go_on_request_only() -> None:
    module = Module("tiny")
    function, builder = build_function(module, "main", {"x": tensor("f32", 2, 3)}, ["y"])
    data = np.ones((3, 4), np.float32)
    data[:, 1] = 1e-30
    x = builder("nn.matmul", function.args[0], builder.constant(data))
    builder.ret(builder("nn.matmul", x, builder.constant(np.ones((4, 2), np.float32))))
    before = block_cost(function.body).macs
    run_pipeline(module, "prune-channels{fast-math=true},dce", verify="each")
    assert block_cost(function.body).macs == before
    report = run_pipeline(
        module, "prune-channels{fast-math=true,negligible=1e-9},dce", verify="each"
    )
    assert block_cost(function.body).macs == 2 * 3 * 3 + 2 * 3 * 2
    assert report.records[0].rewrites["negligible-weight"] == 3


def test_a_quantized_network_loses_what_it_does_not_use() -> None:
    """Conv, depthwise, residual add, pool, flatten, gemm: a filter that is dead, one that is
    constant and one that nobody reads go from all of them, and every bit stays."""
    rng = np.random.default_rng(1)
    module = Module("small")
    function, b = build_function(module, "main", {"x": tensor("f32", 1, 3, 8, 8)}, ["y"])
    maker = ChannelGraph(Random(0), b, [])

    def weights(*shape: int) -> Array:
        return rng.integers(1, 3, shape).astype(np.float32)

    stem, bias = weights(8, 3, 1, 1), weights(8)
    stem[2] = bias[2] = 0  # dead: 0 always
    stem[5] = 0  # constant
    depthwise, project = weights(8, 1, 3, 3), weights(8, 8, 1, 1)
    depthwise[5] = 0  # so that padding around the constant does not show
    project[:, 6] = 0  # nobody reads it here, but the addition does
    project[[2, 5]] = 0
    head = weights(8 * 4, 2)
    head[3 * 4 : 4 * 4] = 0  # nobody reads channel 3
    project[:, 3] = 0
    x = maker.bounded(function.args[0])
    plain = {"pads": [0] * 4, **WHOLE}
    x = b("nn.conv", x, b.constant(stem), b.constant(bias), **plain)
    x = maker.bounded(b("math.relu", x))
    y = b("nn.conv", x, b.constant(depthwise), groups=8, pads=[1] * 4, **WHOLE)
    y = b("nn.conv", maker.bounded(y), b.constant(project), **plain)
    y = maker.bounded(b("math.add", x, y))
    window = {"kernel": [4, 4], "strides": [4, 4], "dilations": [1, 1], "overhang": [0, 0]}
    y = b("nn.max_pool", y, pads=[0] * 4, **window)
    y = b("tensor.reshape", y, shape=[1, 32])
    b.ret(maker.bounded(b("nn.matmul", y, b.constant(head))))

    original = module.copy()
    run_pipeline(module, "prune-channels,dce", verify="each")
    shapes = [
        op.result.type.shape for op in module.walk() if op.name in ("nn.conv", "tensor.reshape")
    ]
    assert shapes == [(1, 5, 8, 8), (1, 5, 8, 8), (1, 5, 8, 8), (1, 20)]
    for seed in range(5):
        inputs = integers(module, seed)
        expected = interpret(original, inputs)["y"]
        np.testing.assert_array_equal(interpret(module, inputs)["y"], expected)


def test_a_product_of_no_columns_is_no_channel() -> None:
    module = parse("""module "m" {
      func @main(%x: tensor<u16[1, 1]>) -> ("y": tensor<u16[1, 0]>) {
        %w = core.constant() {value = dense<u16[1, 0], []>}
        %y = nn.matmul(%x, %w)
        core.return(%y)
      }
    }""")
    run_pipeline(module, "prune-channels{fast-math=true}", verify="each")
    assert interpret(module, {"x": np.ones((1, 1), np.uint16)})["y"].shape == (1, 0)


def test_ops_of_several_results_keep_what_they_read() -> None:
    module = parse(
        """module "m" { func @main(%x: tensor<f32[4, 2]>) -> ("y": tensor<f32[4, 1]>) {
          %w = core.constant() {value = dense<f32[2, 3], [1.0, 0.0, 2.0, 1.0, 0.0, 2.0]>}
          %0 = nn.matmul(%x, %w)
          %1, %2 = tensor.top_k(%0) {k = 2, axis = 1, largest = true, sorted = true}
          %v = core.constant() {value = dense<f32[2, 1], [1.0, 0.0]>}
          %3 = nn.matmul(%1, %v)
          core.return(%3)
        } }"""
    )
    inputs = integers(module, 0)
    before = interpret(module, inputs)["y"]
    run_pipeline(module, "prune-channels{fast-math=true},dce", verify="each")
    np.testing.assert_array_equal(interpret(module, inputs)["y"], before)


@pytest.mark.slow
def test_visual_wake_words_halves(shared: Path) -> None:
    """The int8 model of MLPerf Tiny: half of the work, a seventh of the weights, every bit."""
    folder = shared / "models" / "mlperf_tiny_vww_mobilenet"
    module = burnish.import_onnx(folder / "int8.onnx")
    run_pipeline(module, "canonicalize,cse,dce")
    original = module.copy()
    assert (block_cost(module.main.body).macs, weight_count(module)) == (7_489_664, 208_112)
    run_pipeline(module, "prune-channels,dce", verify="each")
    assert (block_cost(module.main.body).macs, weight_count(module)) == (3_727_313, 29_066)
    (name,), (argument,) = module.main.arg_names, module.main.args
    samples = list(np.load(folder / "int8_inputs.npz")[name])
    rng = np.random.default_rng(0)
    samples += [rng.integers(-128, 128, argument.type.static_shape) for _ in range(4)]
    for sample in samples:
        inputs = {name: sample.reshape(argument.type.static_shape).astype(np.int8)}
        expected = interpret(original, inputs)
        for result, array in interpret(module, inputs).items():
            np.testing.assert_array_equal(array, expected[result])


def weight_count(module: Module) -> int:
    data = ConstantData()
    return sum(
        data(op.inputs[1]).size for op in module.walk() if op.name in ("nn.conv", "nn.matmul")
    )


def test_images_of_unknown_size_lose_channels_too() -> None:
    """Sizes along other axes than that of channels do not matter."""
    module = parse("""module "m" {
      symbols {h = 1..9, w = 1..9}
      func @main(%x: tensor<f32[1, 2, h, w]>) -> ("y": tensor<f32[1, 1, h, w]>) {
        %a = core.constant() {value = dense<f32[2, 2, 1, 1], [1.0, 2.0, 0.0, 0.0]>}
        %b = core.constant() {value = dense<f32[1, 2, 1, 1], [3.0, 4.0]>}
        %0 = nn.conv(%x, %a) {strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]}
        %1 = math.relu(%0)
        %2 = nn.conv(%1, %b) {strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]}
        core.return(%2)
      }
    }""")
    inputs = {"x": np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)}
    expected = interpret(module, inputs)["y"]
    run_pipeline(module, "prune-channels{fast-math=true},dce", verify="each")
    first = next(op for op in module.main.walk() if op.name == "nn.conv")
    assert first.inputs[1].type.shape == (1, 2, 1, 1)
    np.testing.assert_array_equal(interpret(module, inputs)["y"], expected)


@pytest.mark.parametrize(
    ("x", "w", "y"),
    [
        ("f32[34359738368, 2]", "f32[2, 2]", "f32[34359738368, 2]"),
        ("i64[3, 0]", "i64[0, 2]", "i64[3, 2]"),
    ],
)
def test_axes_of_absurd_sizes_and_of_none_are_left_alone(x: str, w: str, y: str) -> None:
    """Nothing is listed per element of an axis that is no channel."""
    data = "splat" if "[0" not in w else "dense"
    value = "1.0>" if data == "splat" else "[]>"
    module = parse(f"""module "m" {{ func @main(%x: tensor<{x}>) -> ("y": tensor<{y}>) {{
      %w = core.constant() {{value = {data}<{w}, {value}}}
      %0 = nn.matmul(%x, %w)
      core.return(%0)
    }} }}""")
    run_pipeline(module, "prune-channels", verify="each")
    assert module.main.results[0].type.shape[1] == 2


def test_convolutions_of_no_channels_are_left_alone() -> None:
    module = parse("""module "m" {
      func @main(%x: tensor<f32[1, 0, 1]>) -> ("y": tensor<f32[1, 1, 2]>) {
        %w = core.constant() {value = dense<f32[1, 0, 1], []>}
        %0 = nn.conv(%x, %w) {strides = [1], pads = [0, 1], dilations = [1]}
        core.return(%0)
      }
    }""")
    run_pipeline(module, "prune-channels", verify="each")
    assert interpret(module, {"x": np.ones((1, 0, 1), np.float32)})["y"].shape == (1, 1, 2)


def _chain(ops: int, *, convolution: bool) -> Module:
    """Elementwise ops one after another, behind a convolution or not."""
    module = Module("chain")
    function, builder = build_function(module, "main", {"x": tensor("f32", 1, 8, 4, 4)}, ["y"])
    x = function.args[0]

    def convolved(x: Value) -> Value:
        w = builder.constant(np.ones((8, 8, 1, 1), np.float32))
        return builder("nn.conv", x, w, pads=[0] * 4, **WHOLE) if convolution else x

    x = convolved(x)
    for index in range(ops):
        x = builder(("math.tanh", "math.neg", "math.sigmoid")[index % 3], x)
    builder.ret(convolved(x))
    return module


def test_what_has_no_channels_costs_next_to_nothing(
    work: Callable[[Callable[[], object]], int],
) -> None:
    def calls(ops: int) -> int:
        module = _chain(ops, convolution=False)
        return work(lambda: run_pipeline(module, "prune-channels"))

    calls(1)  # what the first run loads does not count
    assert calls(300) < 20 * 300


def test_work_grows_linearly(work: Callable[[Callable[[], object]], int]) -> None:
    def calls(ops: int) -> int:
        module = _chain(ops, convolution=True)
        return work(lambda: run_pipeline(module, "prune-channels{fast-math=true}"))

    assert calls(2000) < 2.2 * calls(1000)
