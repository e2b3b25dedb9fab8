"""Horizontal fusion: the same results from one op, where that pays and only there."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.ir import (
    Array,
    Builder,
    DType,
    Layout,
    Module,
    Quantized,
    Rewriter,
    Value,
    build_function,
    interpret,
    symbol,
    tensor,
)
from burnish.passes import PassContext, PassReport, make_pass, run_pipeline

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
PASS = "fuse-horizontal"
ALWAYS = f"{PASS}{{launch=1000000}},dce"


class LinearGraph:
    """Random matmuls and convolutions of one value; numbers are small, so that sums are exact."""

    def __init__(self, random: Random, builder: Builder, x: Value) -> None:
        self.random = random
        self.builder = builder
        self.x = x
        self.made: list[Value] = []

    def data(self, *shape: int, dtype: str = "f4") -> Array:
        numbers = [self.random.randint(-3, 3) for _ in range(int(np.prod(shape)))]
        return np.array(numbers, dtype).reshape(shape)

    def constant(self, *shape: int, out_axis: int) -> Value:
        """Weights or a bias, sometimes quantized, for the whole tensor or per output."""
        kind = self.random.choice(["plain", "plain", "tensor", "outputs"])
        if kind == "plain" or not shape:
            return self.builder.constant(self.data(*shape))
        count = 1 if kind == "tensor" else shape[out_axis]
        scales = tuple(self.random.choice([0.5, 1.0, 2.0]) for _ in range(count))
        zeros = tuple(self.random.randint(-1, 1) for _ in range(count))
        encoding = Quantized(scales, zeros, None if kind == "tensor" else out_axis)
        stored = self.builder.constant(self.data(*shape, dtype="i1"), encoding=encoding)
        return self.builder("quant.dequantize", stored)

    def bias(self, outputs: int, *, broadcast: bool) -> Value | None:
        shapes = [(outputs,), (1, outputs), (1,), ()] if broadcast else [(outputs,)]
        shape = self.random.choice(shapes)
        if self.random.random() < 0.4:
            return None
        return self.constant(*shape, out_axis=len(shape) - 1)

    def matmul(self) -> Value:
        outputs = self.random.randint(1, 3)
        depth = self.x.type.static_shape[-1]
        flip = self.random.random() < 0.3
        shape = (outputs, depth) if flip else (depth, outputs)
        batch = self.random.choice([(), (), (1,), (2,)])
        w = self.constant(*batch, *shape, out_axis=len(batch) + (0 if flip else 1))
        b = self.bias(outputs, broadcast=True)
        return self.builder("nn.matmul", self.x, w, b, transpose_b=flip)

    def conv(self) -> Value:
        outputs = 2 * self.random.randint(1, 2)
        groups = self.random.choice([1, 1, 1, 2])
        w = self.constant(outputs, self.x.type.static_shape[1] // groups, 1, 2, out_axis=0)
        b = self.bias(outputs, broadcast=False)
        ends = self.random.randint(0, 1)
        return self.builder(
            "nn.conv",
            self.x,
            w,
            b,
            strides=[1, 1],
            pads=[0, 0, 0, ends],
            dilations=[1, 1],
            groups=groups,
        )


def linear_module(random: Random) -> Module:
    """Up to eight linear ops of one input, and some that read what others made."""
    module = Module("linear")
    function, builder = build_function(module, "main", {"x": tensor("f32", 2, 2, 3, 4)})
    graph = LinearGraph(random, builder, function.args[0])
    values = [graph.conv() if random.random() < 0.4 else graph.matmul() for _ in range(8)]
    shared = random.choice(values)
    values += [builder("math.neg", shared), builder("math.relu", random.choice(values))]
    function.result_names = tuple(f"y{index}" for index in range(len(values)))
    builder.ret(*values)
    return module


@SETTINGS
@given(random=st.randoms(use_true_random=False), seed=st.integers(0, 1000))
def test_results_are_the_same(random: Random, seed: int) -> None:
    module = linear_module(random)
    x = np.random.default_rng(seed).integers(-3, 4, (2, 2, 3, 4)).astype(np.float32)
    before = interpret(module, {"x": x})
    run_pipeline(module, ALWAYS, verify="each")
    after = interpret(module, {"x": x})
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected, err_msg=name)


def products(
    rows: object, widths: tuple[int, ...], *, depth: int = 4, dtype: DType = DType.F32
) -> Module:
    """Matmuls of [rows, depth], all with weights of their own."""
    module = Module("products")
    function, builder = build_function(module, "main", {"x": tensor(dtype, rows, depth)})
    values = []
    for index, width in enumerate(widths):
        data = np.arange(depth * width).reshape(depth, width) + index
        w = builder.constant(data.astype(dtype.numpy))
        values.append(builder("nn.matmul", function.args[0], w))
    function.result_names = tuple(f"y{index}" for index in range(len(values)))
    builder.ret(*values)
    return module


def fused(module: Module, pipeline: str = PASS) -> PassReport:
    return run_pipeline(module, pipeline, verify="each")


def matmuls(module: Module) -> int:
    return sum(op.name == "nn.matmul" for op in module.main.body)


def test_two_products_are_one_where_little_is_copied() -> None:
    # x has 1600 bytes; the results have 400 each, and a split moves all of them twice.
    apart = products(100, (1, 1))
    fused(apart)
    assert matmuls(apart) == 2
    together = products(100, (1, 1), depth=5)  # x has 2000 bytes
    fused(together)
    assert matmuls(together) == 1


def test_a_third_product_is_worth_what_an_op_costs() -> None:
    # 2 · 1600 bytes are not read, 2 · 4800 more are moved: 6400 bytes for one op less.
    for launch, left in ((6400, 3), (6401, 1)):
        module = products(100, (4, 4, 4))
        fused(module, f"{PASS}{{launch={launch}}}")
        assert matmuls(module) == left


def test_unknown_sizes_count_as_one() -> None:
    module = products(symbol("rows"), (4, 4, 4))
    fused(module, f"{PASS}{{launch=65}}")  # 64 bytes of a row
    assert matmuls(module) == 1
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    apart = interpret(products(symbol("rows"), (4, 4, 4)), {"x": x})
    for name, value in interpret(module, {"x": x}).items():
        np.testing.assert_array_equal(value, apart[name])


@pytest.mark.parametrize(("dtype", "promise"), [(DType.F32, "rounding"), (DType.I32, "exact")])
def test_integers_promise_the_same_bits(dtype: DType, promise: str) -> None:
    context = PassContext()
    make_pass(PASS).run(products(2, (2, 3, 4), dtype=dtype), context)
    assert context.rewrites == {"fuse nn.matmul": 1}
    assert context.promises == {promise}


def test_the_new_op_stands_for_all() -> None:
    module = products(2, (2, 3, 4))
    for index, op in enumerate(op for op in module.main.body if op.name == "nn.matmul"):
        op.location = op.location.node(f"node{index}")
    fused(module)
    (op,) = (op for op in module.main.body if op.name == "nn.matmul")
    assert all(f"node{index}" in str(op.location) for index in range(3))


def test_a_bias_that_is_missing_changes_no_number() -> None:
    """It becomes -0: y + 0 would make 0 of -0."""
    module = Module("zeros")
    function, builder = build_function(module, "main", {"x": tensor("f32", 1, 1)})
    (x,) = function.args
    one, two, three = (builder.constant(np.full((1, 1), n, np.float32)) for n in (1, 2, 3))
    bias = builder.constant(np.zeros(1, np.float32))
    values = [builder("nn.matmul", x, w, c) for w, c in ((one, bias), (two, None), (three, None))]
    function.result_names = ("a", "b", "c")
    builder.ret(*values)
    fused(module)
    (op,) = (op for op in function.body if op.name == "nn.matmul")
    joined = op.inputs[2].constant
    assert joined is not None
    assert np.signbit(joined.array).tolist() == [False, True, True]


def test_quantization_stays_behind_its_product() -> None:
    module = products(2, (2, 3, 4))
    ret = module.main.body.terminator
    builder = Rewriter().before(ret)
    encoding = Quantized((0.5,), (0,))
    quantized = [
        builder("quant.quantize", value, encoding=encoding, dtype=DType.I8)
        for value in module.main.body.results
    ]
    for index, value in enumerate(quantized):
        Rewriter().set_operand(ret, index, builder("quant.dequantize", value))
    report = fused(module)
    assert matmuls(module) == 3
    reason = "the result is quantized, which integer kernels do themselves"
    assert report.records[0].refusals == {(PASS, reason): 3}


def test_tensors_in_layouts_stay_as_they_are() -> None:
    module = Module("layouts")
    function, builder = build_function(module, "main", {"x": tensor("f32", 1, 2, 3, 3)})
    nhwc = Layout((0, 2, 3, 1))
    x = builder("tensor.relayout", function.args[0], layout=nhwc)
    attributes = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1]}
    values = []
    for index in range(3):
        w = builder.constant(np.full((2, 2, 1, 1), index, np.float32))
        op = builder.create("nn.conv", [x, w], attributes, layouts=[nhwc])
        values.append(builder("tensor.relayout", op.result, layout=Layout((0, 1, 2, 3))))
    function.result_names = ("a", "b", "c")
    builder.ret(*values)
    assert fused(module).rewrites == {}


def test_bisection_stops_between_families() -> None:
    module = Module("families")
    function, builder = build_function(module, "main", {"x": tensor("f32", 2, 2)})
    (x,) = function.args
    values = []
    for source in (x, builder("math.relu", x)):
        for index in range(3):
            w = builder.constant(np.full((2, 2), index + len(values), np.float32))
            values.append(builder("nn.matmul", source, w))
    function.result_names = tuple(f"y{index}" for index in range(len(values)))
    builder.ret(*values)
    run_pipeline(module, PASS, verify="each", rewrite_limit=1)
    assert matmuls(module) == 4
