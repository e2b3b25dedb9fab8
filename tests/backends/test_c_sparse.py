"""Sparse weights through the C backend: every form computes what the dense op means."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import burnish
from burnish.backends import find_target
from burnish.backends.c import compile_module, runner
from burnish.backends.c.isa import isa_of
from burnish.backends.c.kernels.sparse_entries import most_met
from burnish.backends.c.kernels.sparse_pieces import Pieces, PieceStarts, SortedRows
from burnish.backends.c.layouts import CLayouts
from burnish.backends.c.select import Selection
from burnish.ir import (
    Constant,
    Module,
    Op,
    Rewriter,
    TensorType,
    build_function,
    interpret,
    parse,
    tensor,
)
from burnish.ir.errors import Error
from burnish.ir.ops.sparse import dense_weights
from burnish.passes import run_pipeline
from burnish.passes.layout import Offer, lay_out
from burnish.passes.sparsity import sparse_form

KERNELS = {"sparse_blocks", "sparse_rows", "sparse_product"}
HAS_VECTORS = isa_of(find_target("c")).has_vectors


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(outputs: int, inputs: int, kind: str) -> np.ndarray:
    """About a quarter of the weights is left, or all of them."""
    data = random(outputs, inputs, seed=1)
    chosen = np.random.default_rng(2).random
    if kind == "channel":
        data[:, chosen(inputs) < 0.75] = 0
    elif kind == "block":
        mask = chosen((-(-outputs // 8), inputs)) < 0.75
        data[mask.repeat(8, axis=0)[:outputs]] = 0
    elif kind == "unstructured":
        data[chosen(data.shape) < 0.75] = 0
    return data


def layers(
    shape: Sequence[int], outputs: int, wanted: Sequence[tuple[str, str]], stride: int = 1
) -> Module:
    """Convolutions by 1 of [N, C, spatial...], or products of rows if the rank is below 3.

    Each of ``wanted`` is the kind of zeros and the epilogue of one.
    """
    module = Module("layer")
    is_conv, rank = len(shape) > 2, len(shape) - 2
    inputs = shape[1] if is_conv else shape[-1]
    extents = [-(-extent // stride) for extent in shape[2:]]
    result = (shape[0], outputs, *extents) if is_conv else (*shape[:-1], outputs)
    last = (*(1 for _ in result[1:]), result[-1])
    types = {"x": tensor("f32", *shape), "r": tensor("f32", *result), "s": tensor("f32", *last)}
    names = [f"y{i}" for i in range(len(wanted))]
    function, b = build_function(module, "main", types, names)
    x, residual, along = function.args
    bias = b.constant(random(outputs, seed=3), "b")
    lists = {"strides": (stride,) * rank, "dilations": (1,) * rank, "pads": (0,) * (2 * rank)}
    results = []
    for kind, epilogue in wanted:
        matrix = weights(outputs, inputs, kind)
        if is_conv:
            w = b.constant(matrix.reshape(*matrix.shape, *(1,) * rank), "w")
            y = b("nn.conv", x, w, bias, **lists)
        else:
            y = b("nn.matmul", x, b.constant(np.ascontiguousarray(matrix.T), "w"), bias)
        if epilogue in ("residual", "along"):
            y = b("math.add", y, residual if epilogue == "residual" else along)
        results.append(b("math.relu", y) if epilogue else y)
    b.ret(*results)
    return module


def layer(
    kind: str, shape: Sequence[int], outputs: int, stride: int = 1, *, epilogue: str = ""
) -> Module:
    """One of them."""
    return layers(shape, outputs, [(kind, epilogue)], stride)


def maps(module: Module) -> list[Op]:
    return [op for op in module.main.body if op.name in ("nn.conv", "nn.matmul")]


def the_map(module: Module) -> Op:
    (found,) = maps(module)
    return found


def sparse_offers(op: Op, target: str) -> list[Offer]:
    model = CLayouts(isa_of(find_target(target)))
    return [offer for offer in model.offers(op) if offer.replacement]


def inputs_of(module: Module) -> dict[str, np.ndarray]:
    return {
        name: random(*arg.type.static_shape, seed=4)
        for name, arg in zip(module.main.arg_names, module.main.args)
    }


SHAPES: dict[str, tuple[tuple[int, ...], int, int]] = {
    "square": ((1, 24, 7, 7), 32, 1),
    "batch": ((2, 16, 3, 5), 40, 1),
    "ragged": ((1, 13, 9, 6), 21, 1),
    "one-axis": ((1, 40, 50), 16, 1),
    "three-axes": ((1, 9, 2, 3, 4), 24, 1),
    "few-positions": ((1, 32, 2, 2), 8, 1),
    "many-inputs": ((1, 700, 3, 4), 16, 1),
    "pieces": ((1, 600, 7, 7), 24, 1),
    "ragged-pieces": ((2, 431, 5, 9), 9, 1),
    "meeting-planes": ((1, 64, 3, 43), 16, 1),
    "strided": ((2, 24, 9, 14), 32, 2),
    "ragged-strided": ((1, 13, 10, 7), 21, 3),
    "rows": ((20, 48), 64, 1),
    "one-row": ((1, 64), 40, 1),
    "ragged-rows": ((5, 17), 13, 1),
}


EPILOGUES = ("", "relu", "residual", "along")


@pytest.mark.parametrize("target", ["c", "c:generic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_in_every_layout(shape: str, target: str) -> None:
    """Each way to compute each pattern, all in one model, with changing epilogues."""
    wanted: list[tuple[str, str]] = []
    numbers: list[int] = []
    for kind in ("channel", "block", "unstructured"):
        alone = layer(kind, *SHAPES[shape])
        run_pipeline(alone, "recognize-sparsity{least=0.01}", verify="each")
        count = len(sparse_offers(the_map(alone), target))
        numbers += range(count)
        wanted += [(kind, EPILOGUES[number % 4]) for number in range(count)]
    sizes, outputs, stride = SHAPES[shape]
    module = layers(sizes, outputs, wanted, stride)
    given = inputs_of(module)
    expected = interpret(module, given)
    run_pipeline(module, "recognize-sparsity{least=0.01}", verify="each")
    chosen = {op: sparse_offers(op, target)[number] for op, number in zip(maps(module), numbers)}
    lay_out(module.main.body, chosen, Rewriter())
    run_pipeline(module, "dce,fuse,dce", verify="each")
    artifact = compile_module(module, target)
    actual = runner(artifact).run(given)
    for offer, (name, array) in zip(chosen.values(), expected.items()):
        np.testing.assert_allclose(
            actual[name], array, rtol=1e-4, atol=1e-4, err_msg=f"{name}: {offer.name}"
        )
    selection = artifact.stages["select"]
    assert isinstance(selection, Selection)
    if outputs % 8 == 0 or target == "c:generic":  # else products of rows fill no vectors
        assert {kernel.family for kernel in selection.kernels} & KERNELS


def test_forms_are_chosen_by_their_estimates() -> None:
    """Many zeros are left out, few are not, and what is reported is the least estimate."""
    for kind, share, sparse in (("block", 0.9, True), ("unstructured", 0.1, False)):
        module = layer("dense", (1, 64, 14, 14), 64, epilogue="relu")
        run_pipeline(module, f"prune-weights{{method={kind},sparsity={share}}}")
        compiled = burnish.compile(module, verify="each")
        if not sparse:
            assert compiled.report.choices == ()
            continue
        (choice,) = compiled.report.choices
        assert choice.chosen != "dense"
        assert choice.cycles[choice.chosen] < choice.cycles["dense"]
        assert "sparse(block, 8" in choice.weights
        assert compiled.report.layers[0].kernel in KERNELS
        assert choice.chosen in compiled.report.text()
        assert choice.chosen in compiled.report.html()


def test_dense_kernels_take_weights_that_promise_zeros() -> None:
    module = layer("unstructured", (1, 16, 5, 5), 16, epilogue="relu")
    expected = interpret(module, inputs_of(module))["y0"]
    run_pipeline(module, "recognize-sparsity,fuse,dce", verify="each")
    for target in ("c", "c:generic"):
        actual = runner(compile_module(module, target)).run(inputs_of(module))["y0"]
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_pieces_of_inputs_keep_every_weight() -> None:
    """Rows sorted by pieces and outputs are those that there were; starts say where they lie."""
    generator = np.random.default_rng(0)
    form = sparse_form(np.where(generator.random((5, 23)) < 0.4, 1 + random(5, 23), 0), 1)
    pieces = Pieces(4, 6)
    values, inputs, starts = (Constant(array) for array in (form.values, form.inputs, form.starts))
    by_piece = SortedRows(pieces, (2, 3))
    sorted_values, sorted_inputs = (
        by_piece(rows, inputs, starts).array for rows in (values, inputs)
    )
    ends = PieceStarts(pieces, (2,))(starts, inputs).array
    assert ends.shape == (4 * 5 + 1,)
    found = np.zeros((5, 23), np.float32)
    for number, (first, end) in enumerate(itertools.pairwise(ends)):
        rows = sorted_inputs[first:end]
        assert ((rows // 6) == number // 5).all()
        found[number % 5, rows] = sorted_values[first:end, 0]
    np.testing.assert_array_equal(found, dense_weights(form.values, form.inputs, form.starts, 23))


@pytest.mark.skipif(not HAS_VECTORS, reason="the kernel in question is for vectors")
def test_inputs_beyond_the_first_cache_come_in_pieces() -> None:
    """Two layers of equal types share the kernel; each has its own weights in its order."""
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 1, 512, 8, 16)}, ["y", "z"])
    results = []
    for seed in (0, 1):
        form = sparse_form(weights(16, 512, "unstructured")[:: (1, -1)[seed]], 1)
        rows = [b.constant(array) for array in (form.values, form.inputs, form.starts)]
        results.append(b("nn.sparse_product", function.args[0], *rows, axis=1, outputs=16))
    b.ret(*results)
    given = inputs_of(module)
    artifact = compile_module(module, "c")
    for name, array in interpret(module, given).items():
        np.testing.assert_allclose(runner(artifact).run(given)[name], array, rtol=1e-4, atol=1e-4)
    selection = artifact.stages["select"]
    assert isinstance(selection, Selection)
    assert len(selection.kernels) == 1
    assert all(dict(choice.details)["pieces"] > 1 for choice in selection.choices)


def test_tiles_whose_planes_meet_in_the_first_cache_are_copied() -> None:
    """32 planes of 56 x 56 alternate between two places; those of 28 x 28 spread over eight."""
    assert most_met(32, 56 * 56 * 32, 512) == 16
    assert most_met(32, 28 * 28 * 32, 512) == 4
    assert most_met(1, 100, 64) == 1


@pytest.mark.skipif(not HAS_VECTORS, reason="the kernels in question are for vectors")
def test_products_of_long_rows_stay_dense_where_single_weights_are_zero() -> None:
    """The rows of a matrix are fetched ahead, so that the dense kernel is near the peak."""
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 128, 768)}, ["y"])
    w = np.random.default_rng(0).standard_normal((768, 256)).astype(np.float32)
    b.ret(b("nn.matmul", function.args[0], b.constant(w)))
    run_pipeline(module, "prune-weights{method=unstructured,sparsity=0.4}")
    (choice,) = burnish.compile(module).report.choices
    assert choice.chosen == "dense"


@pytest.mark.skipif(not HAS_VECTORS, reason="the kernels in question are for vectors")
@pytest.mark.parametrize("kind", ["block", "unstructured"])
def test_threads_give_equal_results(kind: str) -> None:
    module = layer(kind, (1, 128, 56, 56), 128, epilogue="relu")
    given = inputs_of(module)
    one, two = (burnish.compile(parse(str(module)), options={"threads": count}) for count in (1, 2))
    assert one.report.choices[0].chosen != "dense"
    np.testing.assert_array_equal(one.run(given)["y0"], two.run(given)["y0"])
    selection = two.artifact.stages["select"]
    assert isinstance(selection, Selection)
    (kernel,) = (kernel for kernel in selection.kernels if kernel.family in KERNELS)
    assert kernel.threads == 2


def product(constant: bool, last: int = 2) -> Module:
    """A product whose rows and tiles are constants, or inputs."""
    module = Module("m")
    types = {"x": tensor("f32", 1, 3, 4, 4)}
    if not constant:
        types |= {"inputs": tensor("i32", 2), "starts": tensor("i32", 3)}
    function, b = build_function(module, "main", types, ["y"])
    values = b.constant(random(2, 1), "values")
    rows: list[object] = list(function.args[1:])
    if constant:
        rows = [b.constant(np.array(part, np.int32)) for part in ([0, last], [0, 1, 2])]
    b.ret(b("nn.sparse_product", function.args[0], values, *rows, axis=1, outputs=2))
    return module


def test_rows_that_are_known_are_trusted_and_others_checked() -> None:
    valid, invalid = product(True), product(True, last=3)
    assert "ERROR_INDEX" not in compile_module(valid, "c").files["m.c"]
    assert "ERROR_INDEX" in compile_module(invalid, "c").files["m.c"]
    with pytest.raises(Error):
        runner(compile_module(invalid, "c")).run({"x": random(1, 3, 4, 4)})


@pytest.mark.parametrize("target", ["c", "c:generic"])
def test_rows_that_come_as_data_are_checked_in_every_run(target: str) -> None:
    run = runner(compile_module(product(False), target)).run
    x = random(1, 3, 4, 4)
    starts = np.array([0, 1, 2], np.int32)
    good = run({"x": x, "inputs": np.array([0, 2], np.int32), "starts": starts})
    assert np.isfinite(good["y"]).all()
    for bad in ([0, 3], [-1, 0]):
        with pytest.raises(Error):
            run({"x": x, "inputs": np.array(bad, np.int32), "starts": starts})
    for bad in ([0, 2, 1], [1, 1, 2], [0, 1, 1], [0, 1, 3]):
        with pytest.raises(Error):
            run({"x": x, "inputs": starts[:2], "starts": np.array(bad, np.int32)})


def test_ops_with_equal_types_share_a_kernel_only_if_both_are_known() -> None:
    module = Module("m")
    types = {"x": tensor("f32", 1, 3, 4, 4), "i": tensor("i32", 2), "s": tensor("i32", 3)}
    function, b = build_function(module, "main", types, ["y", "z"])
    x, inputs, starts = function.args
    values = b.constant(random(2, 1), "values")
    known = [b.constant(np.array(part, np.int32)) for part in ([0, 2], [0, 1, 2])]
    y = b("nn.sparse_product", x, values, *known, axis=1, outputs=2)
    b.ret(y, b("nn.sparse_product", x, values, inputs, starts, axis=1, outputs=2))
    selection = compile_module(module, "c").stages["select"]
    assert isinstance(selection, Selection)
    assert [kernel.can_fail for kernel in selection.kernels] == [False, True]


def test_dense_is_kept_where_zeros_gain_nothing() -> None:
    """Estimates of sparse kernels grow with what is left; those of dense ones do not."""
    estimates = []
    for share in (0.3, 0.6, 0.9):
        module = layer("dense", (1, 64, 14, 14), 64)
        run_pipeline(module, f"prune-weights{{sparsity={share}}},recognize-sparsity")
        offers = CLayouts(isa_of(find_target("c"))).offers(the_map(module))
        dense = min(offer.cost for offer in offers if offer.replacement is None)
        estimates.append((dense, min(o.cost for o in offers if o.name == "single weights")))
    dense, sparse = zip(*estimates)
    assert len(set(dense)) == 1
    assert list(sparse) == sorted(sparse, reverse=True)
    assert sparse[-1] < dense[0] or not HAS_VECTORS


def test_layouts_of_sparse_types() -> None:
    type_ = TensorType((8, 4), burnish.ir.DType.F32)
    assert burnish.ir.Sparse("block", (8, 1), 2).parts(type_.static_shape) == 4
    assert burnish.ir.Sparse("channel", (1,), 2).parts(type_.static_shape) == 4
    assert burnish.ir.Sparse("unstructured", (), 2).parts(type_.static_shape) == 32


@pytest.mark.slow
def test_the_benchmark_runs() -> None:
    """Every form of a layer is built, checked and timed."""
    script = Path(__file__).parents[2] / "benchmarks" / "sparsity.py"
    arguments = ["gemv", "--method", "block", "--sparsity", "0.9", "--rounds", "1"]
    command = [sys.executable, str(script), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr
    assert "| gemv | block | 90% |" in found.stdout
