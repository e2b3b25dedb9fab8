"""The pass ``layout``: offers, the choice over a whole block, and the rewritten graph."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from fuzzer.maker import Profile, random_module

from burnish.ir import Layout, Module, Op, TensorType, interpret, parse, to_text, verify
from burnish.passes import run_pipeline
from burnish.passes.layout import Factor, LayoutModel, choose_layouts, minimize, register_layouts
from burnish.passes.layout.minimize import total
from burnish.passes.layout.offers import _MODELS, Layouts
from burnish.passes.trust.equivalence import differing

NHWC = Layout((0, 2, 3, 1))
IMAGES = Profile(
    14,
    frozenset(
        {"nn.conv", "nn.conv_transpose", "nn.max_pool", "nn.average_pool", "nn.batch_norm"}
        | {"math.add", "math.relu", "math.less", "math.select", "math.sigmoid", "tensor.concat"}
        | {"tensor.transpose", "tensor.pad", "tensor.reshape", "tensor.reduce", "tensor.slice"}
    ),
    symbols=False,
)


class Channels(LayoutModel):
    """Convolutions are twice as fast with channels last; storing anew costs a unit an element."""

    def layouts(self, type_: TensorType) -> Sequence[Layout]:
        return [NHWC] if type_.rank == 4 else []

    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        elements = sum(float(v.type.elements) for v in op.results if v.type.is_static)
        if op.name == "nn.conv":
            return elements * (10 if any(results) else 20)
        return elements if op.name != "tensor.transpose" or not self.moves(op, results) else 0

    @staticmethod
    def moves(op: Op, results: Layouts) -> bool:
        return any(results)

    def conversion(self, type_: TensorType, source: Layout | None, target: Layout | None) -> float:
        return float(type_.elements) if type_.is_static else 1.0

    def of_op(self, op: Op) -> Sequence[tuple[Layouts, Layouts]]:
        if op.name == "nn.conv" and op.result.type.rank == 4:
            weights = (NHWC, *[None] * (len(op.operands) - 2))
            return [((NHWC, *weights), (NHWC,))]
        return []


@pytest.fixture
def channels() -> Iterator[LayoutModel]:
    """A model under the name ``channels``, for the time of a test."""
    model = Channels()
    register_layouts("channels", model)
    yield model
    del _MODELS["channels"]


RESIDUAL = """module "residual" {
  func @main(%x: tensor<f32[1, 4, 6, 6]>) -> ("y": tensor<f32[1, 4, 6, 6]>) {
    %w = core.constant() {value = splat<f32[4, 4, 3, 3], 0.5>}
    %a = nn.conv(%x, %w) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}
    %b = math.relu(%a)
    %c = nn.conv(%b, %w) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}
    %d = math.add(%c, %x)
    %e = math.relu(%d)
    core.return(%e)
  }
}"""

CHANNELS_LAST_SIGNATURE = """module "signature" {
  func @main(%x: tensor<f32[1, 6, 6, 4]>) -> ("y": tensor<f32[1, 6, 6, 4]>) {
    %w = core.constant() {value = splat<f32[4, 4, 3, 3], 0.5>}
    %0 = tensor.transpose(%x) {permutation = [0, 3, 1, 2]}
    %1 = nn.conv(%0, %w) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}
    %2 = math.relu(%1)
    %3 = tensor.transpose(%2) {permutation = [0, 2, 3, 1]}
    core.return(%3)
  }
}"""


def ops_of(module: Module) -> list[str]:
    return [op.name for op in module.main.walk()]


def laid_out(text: str) -> Module:
    """The module after the pass, verified, and equal to what it was."""
    module, before = parse(text), parse(text)
    run_pipeline(module, "layout{target=channels}", verify="each")
    rng = np.random.default_rng(0)
    (x,) = module.main.args
    inputs = {x.name or "": rng.standard_normal(x.type.static_shape).astype(np.float32)}
    for name, expected in interpret(before, inputs).items():
        np.testing.assert_array_equal(interpret(module, inputs)[name], expected)
    assert to_text(parse(to_text(module))) == to_text(module)
    return module


def test_conversions_stand_at_the_border_only(channels: LayoutModel) -> None:
    """The input is stored anew once for both of its readers."""
    module = laid_out(RESIDUAL)
    names = ops_of(module)
    assert names.count("tensor.relayout") == 2
    assert [op.result.type.layout for op in module.main.walk() if op.name == "nn.conv"] == [
        NHWC
    ] * 2
    constants = [op for op in module.main.walk() if op.name == "core.constant"]
    assert [op.result.type.layout for op in constants] == [NHWC], "stored so to begin with"


def test_transposes_at_the_signature_move_nothing(channels: LayoutModel) -> None:
    """A transpose that only renames axes of what is stored is free, so nothing is converted."""
    module = laid_out(CHANNELS_LAST_SIGNATURE)
    assert "tensor.relayout" not in ops_of(module)
    (x,), (y,) = module.main.args, module.main.results
    assert x.type.layout is None
    assert y.type.layout is None


def test_groups_of_what_is_laid_out_stay_as_they_are(channels: LayoutModel) -> None:
    """A second run, after fusion: a region fixes the types of what it reads and yields."""
    module = parse(RESIDUAL)
    run_pipeline(module, "layout{target=channels},fuse", verify="each")
    groups = [op for op in module.main.body if op.name == "core.group"]
    assert NHWC in [value.type.layout for group in groups for value in group.inputs]
    laid_out(to_text(module))


def test_patterns_leave_what_is_laid_out() -> None:
    """What they build is row-major, so it cannot stand for the result."""
    text = """module "normalized" {
      func @main(%x: tensor<f32[1, 4, 6, 6]>) -> ("y": tensor<f32[1, 4, 6, 6]>) {
        %s = core.constant() {value = splat<f32[4], 0.5>}
        %0 = tensor.relayout(%x) {layout = LAYOUT}
        %1 = nn.batch_norm(%0, %s, %s, %s, %s) : tensor<f32[1, 4, 6, 6], LAYOUT>
        %2 = tensor.relayout(%1) {layout = layout(0, 1, 2, 3)}
        core.return(%2)
      }
    }"""
    module = parse(text.replace("LAYOUT", str(NHWC)))
    before = to_text(module)
    run_pipeline(module, "fold-batch-norm", verify="each")
    assert to_text(module) == before
    module = parse(text.replace(", LAYOUT>", ">").replace("LAYOUT", "layout(0, 1, 2, 3)"))
    run_pipeline(module, "fold-batch-norm", verify="each")
    assert "math.mul" in ops_of(module)


def test_nothing_changes_where_it_does_not_pay(channels: LayoutModel) -> None:
    text = RESIDUAL.replace("nn.conv(", "nn.conv_transpose(")
    text = text.replace("{strides", "{output_padding = [0, 0], strides")
    module = laid_out(text)
    assert to_text(module) == to_text(parse(text))


def test_choice_is_exact(channels: LayoutModel) -> None:
    block = parse(RESIDUAL).main.body
    chosen = choose_layouts(block, channels)
    assert math.isclose(chosen.cost, chosen.bound)
    # Two convolutions of 144 elements gain 10 units each, two conversions cost 1 unit each.
    assert chosen.row_major - chosen.cost == 2 * 144 * 10 - 2 * 144


@pytest.mark.parametrize("seed", range(60))
def test_random_modules_keep_their_meaning(channels: LayoutModel, seed: int) -> None:
    draft = random_module(random.Random(seed), IMAGES)
    module = draft.module.copy()
    run_pipeline(module, "layout{target=channels}", verify="each")
    verify(module)
    for inputs in (draft.inputs, *draft.others):
        expected = interpret(draft.module, inputs)
        for name, actual in interpret(module, inputs).items():
            assert not differing(expected[name], actual).any()


def random_factors(seed: int) -> tuple[list[int], list[Factor]]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    sizes = [int(size) for size in rng.integers(1, 4, count)]
    factors = []
    for _ in range(rng.integers(0, 12)):
        variables = tuple(int(v) for v in rng.permutation(count)[: rng.integers(0, 4)])
        costs = rng.integers(0, 10, [sizes[v] for v in variables]).astype(float)
        factors.append(Factor(variables, np.asarray(costs)))
    return sizes, factors


@pytest.mark.parametrize("seed", range(80))
def test_minimize_finds_the_minimum(seed: int) -> None:
    sizes, factors = random_factors(seed)
    every = itertools.product(*map(range, sizes))
    best = min(total(factors, values) for values in every)
    exact = minimize(sizes, factors)
    assert exact.cost == best
    assert exact.is_exact
    bounded = minimize(sizes, factors, limit=4)
    assert bounded.bound <= best <= bounded.cost


def test_minimize_says_when_nothing_is_allowed() -> None:
    with pytest.raises(ValueError, match="no assignment"):
        minimize([2], [Factor((0,), np.array([math.inf, math.inf]))])


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 16, 3, 3), (1, 1, 1, 1)])
@pytest.mark.parametrize(
    "layout",
    [NHWC, Layout((0, 1, 2, 3), ((1, 8),)), Layout((1, 0, 2, 3), ((1, 2), (0, 2), (1, 4)))],
)
def test_stored_arrays(shape: tuple[int, ...], layout: Layout) -> None:
    """Each element lies where the definition of a layout says."""
    array = np.arange(1, 1 + math.prod(shape)).reshape(shape)
    stored = layout.store(array)
    assert stored.shape == layout.storage_shape(shape)
    assert np.count_nonzero(stored) == array.size
    for at in np.ndindex(shape):
        rest, tiles = list(at), []
        for axis, factor in reversed(layout.tiles):
            tiles.append(rest[axis] % factor)
            rest[axis] //= factor
        where = (*(rest[axis] for axis in layout.order), *reversed(tiles))
        assert stored[where] == array[at]
    permutation = (0, 2, 3, 1)
    moved = layout.transposed(permutation).store(array.transpose(permutation))
    np.testing.assert_array_equal(moved, stored)


def test_a_constant_in_another_order_is_not_folded() -> None:
    module = parse("""module "m" {
      func @main() -> ("y": tensor<f32[2, 3]>) {
        %0 = core.constant() {value = dense<f32[2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>}
        %1 = tensor.relayout(%0) {layout = layout(1, 0)}
        %2 = tensor.relayout(%1) {layout = layout(0, 1)}
        core.return(%2)
      }
    }""")
    run_pipeline(module, "fold", verify="each")
    expected = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(interpret(module, {})["y"], expected)
