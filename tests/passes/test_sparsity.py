"""Weights that hold zeros: their patterns, what is stored of them, and pruning."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import burnish.backends.c  # noqa: F401  (registers the layouts of targets)
from burnish import ir
from burnish.ir import Module, Sparse, build_function, interpret, parse, tensor, verify
from burnish.ir.errors import InputError, PassError
from burnish.ir.ops.sparse import dense_weights
from burnish.passes import make_pass, run_pipeline
from burnish.passes.sparsity import (
    count_zeros,
    linear_map,
    pattern_of,
    sparse_form,
    stored_weights,
)
from burnish.testing import Golden

ATTRIBUTES = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}


def random(*shape: int) -> ir.Array:
    """Numbers of which none is zero."""
    data = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    return np.where(data == 0, np.float32(1), data)


def conv(weights: ir.Array, size: int = 3) -> Module:
    """A convolution by 1 with these weights [outputs, inputs]."""
    module = Module("m")
    shape = (1, weights.shape[1], size, size)
    function, b = build_function(module, "main", {"x": tensor("f32", *shape)}, ["y"])
    w = b.constant(weights.reshape(*weights.shape, 1, 1), "w")
    b.ret(b("nn.conv", function.args[0], w, b.constant(random(len(weights)), "b"), **ATTRIBUTES))
    return module


def matmul(weights: ir.Array, *, transposed: bool = False, rank: int = 2) -> Module:
    """A product with these weights [outputs, inputs]."""
    module = Module("m")
    shape = (2,) * (rank - 1) + weights.shape[1:]
    function, b = build_function(module, "main", {"x": tensor("f32", *shape)}, ["y"])
    w = b.constant(np.ascontiguousarray(weights if transposed else weights.T), "w")
    bias = b.constant(random(1, len(weights)), "b")
    b.ret(b("nn.matmul", function.args[0], w, bias, transpose_b=transposed))
    return module


def the_map(module: Module):
    (found,) = (m for op in module.main.body if (m := linear_map(op)) is not None)
    return found


def with_pattern(kind: str) -> ir.Array:
    """Weights [16, 12] with zeros of one kind."""
    weights = random(16, 12)
    if kind == "channel":
        weights[:, 1::3] = 0
    if kind == "block":
        weights[:8, ::2] = 0
        weights[8:, 1::2] = 0
    if kind == "unstructured":
        weights[np.add.outer(np.arange(16), np.arange(12)) % 2 == 0] = 0
    if kind == "everything":
        weights[:] = 0
    return weights


PATTERNS = {
    "channel": Sparse("channel", (1,), 8),
    "block": Sparse("block", (8, 1, 1, 1), 12),
    "unstructured": Sparse("unstructured", (), 96),
    "everything": Sparse("channel", (1,), 0),
    "dense": None,
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_the_coarsest_pattern_that_explains_the_zeros(kind: str) -> None:
    module = conv(with_pattern(kind))
    assert pattern_of(the_map(module), 0.25) == PATTERNS[kind]
    run_pipeline(module, "recognize-sparsity", verify="each")
    weights = the_map(module).weights
    assert weights.encoding == PATTERNS[kind]
    assert str(parse(str(module))) == str(module)


def test_layouts_stay() -> None:
    module = conv(with_pattern("channel"))
    run_pipeline(module, 'layout{target="relay-NHWC"},recognize-sparsity', verify="each")
    (op,) = (op for op in module.main.body if op.name == "nn.conv")
    assert isinstance(op.inputs[1].type.encoding, Sparse)
    assert op.result.type.layout == ir.Layout((0, 2, 3, 1))


@pytest.mark.parametrize("transposed", [False, True])
def test_patterns_follow_the_axes_of_the_weights(transposed: bool) -> None:
    blocks = the_map(matmul(with_pattern("block"), transposed=transposed))
    assert pattern_of(blocks, 0.25) == Sparse("block", (8, 1) if transposed else (1, 8), 12)
    channels = the_map(matmul(with_pattern("channel"), transposed=transposed))
    assert pattern_of(channels, 0.25) == Sparse("channel", (1 if transposed else 0,), 8)


def test_few_zeros_are_no_pattern() -> None:
    weights = random(16, 12)
    weights[0, :] = 0
    module = conv(weights)
    report = run_pipeline(module, "recognize-sparsity", verify="each")
    assert not report.changed
    assert report.refusals == {"recognize-sparsity": {"too few weights are zero": 1}}
    assert run_pipeline(module, "recognize-sparsity{least=0.05}", verify="each").changed


def test_shared_weights_get_one_pattern_and_other_readers_keep_theirs() -> None:
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 16, 16)}, ["y", "z"])
    weights = random(16, 16)
    weights[:8] = 0
    w = b.constant(weights, "w")
    y = b("nn.matmul", b("nn.matmul", function.args[0], w), w)
    b.ret(y, b("math.neg", w))
    expected = interpret(module, {"x": random(16, 16)})
    report = run_pipeline(module, "recognize-sparsity", verify="semantic")
    assert report.rewrites == {"sparse-channel": 1}
    found = interpret(module, {"x": random(16, 16)})
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("pads", {"pads": (1, 1, 1, 1)}),
        ("groups", {"groups": 2}),
    ],
)
def test_other_convolutions_are_no_linear_maps(op: str, attributes: dict[str, object]) -> None:
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 1, 8, 4, 4)}, ["y"])
    w = b.constant(np.zeros((8, 4 if op == "groups" else 8, 1, 1), np.float32))
    b.ret(b("nn.conv", function.args[0], w, **{**ATTRIBUTES, **attributes}))
    assert all(linear_map(op) is None for op in module.main.body)


@pytest.mark.parametrize("width", [1, 4, 5, 8, 16])
@pytest.mark.parametrize("kind", PATTERNS)
def test_what_is_stored_is_the_whole_matrix(kind: str, width: int) -> None:
    matrix = with_pattern(kind)
    form = sparse_form(matrix, width)
    assert len(form.values) == stored_weights(matrix, width)
    whole = dense_weights(form.values, form.inputs, form.starts, 12)
    np.testing.assert_array_equal(whole[:16], matrix)
    assert not whole[16:].any()
    if width > 1 and len(form.values):
        assert form.values.any(axis=1).all(), "rows of zeros are not stored"


BAD_ROWS = {
    "beyond": ([0, 7], [0, 1, 2]),
    "negative": ([-1, 0], [0, 1, 2]),
    "descending": ([0, 1], [0, 2, 1]),
    "late": ([0, 1], [1, 1, 2]),
    "short": ([0, 1], [0, 1, 1]),
}


def test_infinite_weights_by_a_single_zero() -> None:
    """0 times infinity is not a number, for one input of one position as well."""
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f64", 1, 1)}, ["y"])
    values = b.constant(np.array([[1.0, np.inf, np.nan]]), "values")
    inputs = b.constant(np.zeros(1, np.int32), "inputs")
    starts = b.constant(np.array([0, 1], np.int32), "starts")
    operands = (function.args[0], values, inputs, starts)
    b.ret(b("nn.sparse_product", *operands, axis=1, outputs=3))
    found = interpret(module, {"x": np.zeros((1, 1))})["y"]
    np.testing.assert_array_equal(found, [[0.0, np.nan, np.nan]])


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_out_of_range_are_errors(name: str) -> None:
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 1, 7)}, ["y"])
    inputs, starts = (b.constant(np.array(part, np.int32)) for part in BAD_ROWS[name])
    values = b.constant(random(2, 4))
    product = b("nn.sparse_product", function.args[0], values, inputs, starts, axis=1, outputs=8)
    b.ret(product)
    verify(module)
    with pytest.raises(InputError, match=r"outside an axis|do not ascend"):
        interpret(module, {"x": random(1, 7)})


# Pruning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("module", [conv, matmul])
def test_single_weights_of_least_magnitude_go(module, sparsity: float) -> None:
    weights = random(16, 12)
    pruned = module(weights)
    run_pipeline(pruned, f"prune-weights{{sparsity={sparsity}}}", verify="each")
    left = the_map(pruned).matrix()
    gone = left == 0
    assert gone.sum() == round(sparsity * 192)
    np.testing.assert_array_equal(left[~gone], weights[~gone])
    if sparsity:
        assert np.abs(weights[gone]).max() <= np.abs(weights[~gone]).min()


@pytest.mark.parametrize("block", ["8x1", "4x2", "3x5", "16x1", "32x32"])
def test_whole_blocks_go(block: str) -> None:
    rows, columns = map(int, block.split("x"))
    weights = random(16, 12)
    module = conv(weights)
    run_pipeline(module, f'prune-weights{{method=block,sparsity=0.5,block="{block}"}}')
    left = the_map(module).matrix()
    blocks = [
        left[i : i + rows, j : j + columns]
        for i, j in itertools.product(range(0, 16, rows), range(0, 12, columns))
    ]
    assert all(part.all() or not part.any() for part in blocks)
    assert sum(not part.any() for part in blocks) == round(len(blocks) / 2)


def test_whole_inputs_go() -> None:
    module = matmul(random(16, 12))
    run_pipeline(module, "prune-weights{method=channel,sparsity=0.25}")
    assert np.count_nonzero(the_map(module).matrix().any(axis=0)) == 9
    assert count_zeros(module).zeros == 48


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "must be one of unstructured, block, channel"),
        ({"sparsity": 1.0}, "less than 1"),
        ({"sparsity": -0.5}, "at least 0"),
        ({"block": "8"}, "is no RxC"),
        ({"block": "0x4"}, "is no RxC"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(PassError, match=words):
        make_pass("prune-weights", options)


# IR to IR ---------------------------------------------------------------------------------

GOLDEN = """module "m" {
  func @main(%x: tensor<f32[1, 4, 2, 2]>) -> ("y": tensor<f32[1, 2, 2, 2]>) {
    %w = core.constant() {
      value = dense<f32[2, 4, 1, 1], [1.0, 0.0, 0.0, 2.0, 3.0, 0.0, 0.0, 4.0]>
    } loc("conv": "Conv")
    %b = core.constant() {value = dense<f32[2], [0.5, -0.5]>}
    %y = nn.conv(%x, %w, %b) {
      strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]
    } loc("conv": "Conv")
    %z = nn.conv(%y, %v) {
      strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]
    } loc("next": "Conv")
    core.return(%z)
  }
}"""


def test_from_zeros_to_patterns_to_sparse_products(golden: Golden) -> None:
    text = GOLDEN.replace(
        "    %y = nn.conv",
        "    %v = core.constant() {value = dense<f32[2, 2, 1, 1], [0.0, 1.0, 2.0, 0.0]>}\n"
        "    %y = nn.conv",
    )
    module = parse(text)
    x = {"x": random(1, 4, 2, 2)}
    expected = interpret(module, x)["y"]
    run_pipeline(module, "recognize-sparsity", verify="each")
    golden(str(module), suffix=".recognized.ir")
    run_pipeline(module, "layout{target=scalar},dce", verify="each")
    golden(str(module), suffix=".lowered.ir")
    np.testing.assert_allclose(interpret(module, x)["y"], expected, rtol=1e-6)


def test_large_graphs_are_looked_at_once() -> None:
    """Each matrix of weights is read for one pattern, however many ops share it."""
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 4, 8)}, ["y"])
    weights = random(8, 8)
    weights[:4] = 0
    w, y = b.constant(weights, "w"), function.args[0]
    for _ in range(2000):
        y = b("nn.matmul", y, w)
    b.ret(y)
    report = run_pipeline(module, "recognize-sparsity")
    assert report.rewrites == {"sparse-channel": 1}
    readers = {op.inputs[1] for op in module.main.body if op.name == "nn.matmul"}
    assert len(readers) == 1
