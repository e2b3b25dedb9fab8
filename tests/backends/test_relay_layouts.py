"""Layouts in Relay text: what is written in them, and that Relay computes the same."""

from __future__ import annotations

import numpy as np
import pytest
from relay_batches import batches, needs_relay, relay_differences
from test_relay_ops import EXPRESSIBLE, RELAY_DIFFERS
from trials import Trial, trial

from burnish import parse
from burnish.backends.relay import compile_module, runner
from burnish.backends.relay.layouts import CHOICES, RelayLayouts
from burnish.ir import Op
from burnish.ir.errors import TargetError, UnsupportedError
from burnish.passes import run_pipeline
from burnish.passes.layout import Layouts, register_layouts
from burnish.testing import Golden


class _Everywhere(RelayLayouts):
    """A layout for whatever Relay computes in it, not only for what it is asked for."""

    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        cost = super().cost(op, operands, results)
        return cost if any(operands) or any(results) else 1e18


BLOCKS = (0, 1, 2)
"""Channels last, and blocks that the channels of many cases fill."""

for _block in BLOCKS:
    register_layouts(f"everywhere-{_block}", _Everywhere(_block))


def laid_out(block: int, every: int) -> list[Trial]:
    """The op cases that have a layout then, of elementwise ops only some."""
    found = []
    chosen = [
        case
        for index, case in enumerate(EXPRESSIBLE)
        if case.id not in RELAY_DIFFERS
        and (index % every == 0 or not (case.op.startswith("math.") or case.op == "nn.resize"))
    ]
    for each in map(trial, chosen):
        run_pipeline(each.module, f'layout{{target="everywhere-{block}"}},dce')
        values = (value for op in each.module.main.body for value in op.results)
        if any(value.type.layout is not None for value in values):
            found.append(each)
    return found


@pytest.mark.parametrize("block", BLOCKS)
def test_cases_in_layouts_are_text_that_type_checks(block: int) -> None:
    found = laid_out(block, 12)
    for each in found:
        compile_module(each.module)
    assert len(found) > 20


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("block", BLOCKS)
def test_relay_computes_the_same_in_layouts(block: int) -> None:
    found = batches(laid_out(block, 6))
    differences = [pair for batch in found for pair in relay_differences(batch)]
    assert differences == []


NETWORK = """
module "network" {
  func @main(%x: tensor<f32[1, 3, 6, 6]>, %s: tensor<f32[8, 1, 1]>)
      -> ("y": tensor<f32[1, 4]>, "p": tensor<f32[1, 8, 3, 3]>) {
    %w = core.constant() {value = splat<f32[8, 3, 3, 3], 0.5>}
    %b = core.constant() {value = splat<f32[8], 0.25>}
    %d = core.constant() {value = splat<f32[8, 1, 3, 3], 0.125>}
    %k = core.constant() {value = splat<f32[4, 8, 1, 1], 0.5>}
    %0 = nn.conv(%x, %w, %b) {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], groups = 1}
    %1 = math.mul(%0, %s)
    %2 = nn.conv(%1, %d, %b) {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], groups = 8}
    %3 = math.add(%1, %2)
    %p = nn.max_pool(%3) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
                          dilations = [1, 1], overhang = [0, 0]}
    %5 = nn.conv(%p, %k) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], groups = 1}
    %y = tensor.reduce(%5) {kind = "mean", axes = [2, 3], keep_dims = false}
    core.return(%y, %p)
  }
}
"""


@pytest.mark.parametrize("layout", ["NHWC", "NCHW4c"])
def test_text(layout: str, golden: Golden) -> None:
    artifact = compile_module(parse(NETWORK), options={"layout": layout})
    golden(artifact.files["model.relay"], ".relay")


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("groups", ["inline", "primitive", "composite"])
@pytest.mark.parametrize("layout", CHOICES)
def test_relay_computes_the_same(layout: str, groups: str) -> None:
    module = parse(NETWORK)
    rng = np.random.default_rng(0)
    inputs = {
        name: rng.normal(size=arg.type.static_shape).astype(np.float32)
        for name, arg in zip(module.main.arg_names, module.main.args)
    }
    options = {"layout": layout, "groups": groups}
    found = runner(compile_module(module, options=options)).run(inputs)
    expected = runner(compile_module(module)).run(inputs)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5)


def test_what_a_layout_cannot_do_stays_in_order() -> None:
    text = str(compile_module(parse(NETWORK), options={"layout": "NCHW8c"}).files["model.relay"])
    assert text.count("nn.conv2d(") == 2, "three channels in, four out"
    assert text.count("nn.contrib_depthwise_conv2d_NCHWc(") == 1


@pytest.mark.parametrize("layout", ["NHWC", "NCHW8c"])
def test_slices_of_sizes_that_vary_stay_in_order(layout: str) -> None:
    text = """
    module "cut" {
      symbols {N = 1..8}
      func @main(%x: tensor<f32[1, 8, 1, 9]>, %n: tensor<f32[N]>)
          -> ("y": tensor<f32[1, 8, 1, N]>, "m": tensor<f32[N]>) {
        %0 = tensor.slice(%x) {starts = [0, 7, 0, 0], sizes = [1, 8, 1, N], steps = [1, -1, 1, 1]}
        core.return(%0, %n)
      }
    }
    """
    module = parse(text)
    run_pipeline(module, f'layout{{target="relay-{layout}"}}', verify="each")
    assert module == parse(text)


def test_transposes_of_models_with_channels_last_go() -> None:
    text = """
    module "last" {
      func @main(%0 "x": tensor<f32[1, 8, 8, 3]>) -> ("y": tensor<f32[1, 8, 8, 4]>) {
        %w = core.constant() {value = splat<f32[4, 3, 1, 1], 0.5>}
        %1 = tensor.transpose(%0) {permutation = [0, 3, 1, 2]}
        %2 = nn.conv(%1, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], groups = 1}
        %3 = tensor.transpose(%2) {permutation = [0, 2, 3, 1]}
        core.return(%3)
      }
    }
    """
    written = str(compile_module(parse(text), options={"layout": "NHWC"}).files["model.relay"])
    assert "transpose(" not in written
    assert 'data_layout="NHWC"' in written


def test_unknown_layouts_are_an_error() -> None:
    with pytest.raises(TargetError, match="must be NCHW or NHWC or NCHW4c"):
        compile_module(parse(NETWORK), options={"layout": "CHWN"})


ROWS = "tensor<f32[1, 4, 3]>"
IN_PAIRS = "%r = tensor.relayout(%x) {layout = layout(0, 1, 2, 1:2)}"
REFUSED = {
    "input": (
        "tensor<f32[1, 4, 3], layout(0, 2, 1)>", "%y = nn.softmax(%x) {axis = 2}", ROWS,
        "input x: a tensor in layout"),
    "output": (
        ROWS, IN_PAIRS.replace("%r", "%y"), "tensor<f32[1, 4, 3], layout(0, 1, 2, 1:2)>",
        "output y: a tensor in layout"),
    "op": (
        ROWS, f"{IN_PAIRS} %y = nn.softmax(%r) {{axis = 2}}", ROWS, "nn.softmax: a tensor in"),
    "block that is not full": (
        ROWS, "%r = tensor.relayout(%x) {layout = layout(0, 1, 2, 1:3)} %y = math.exp(%x)", ROWS,
        "do not fill its blocks"),
    "part of a block": (
        ROWS, f"{IN_PAIRS} %s = tensor.slice(%r) "
        "{starts = [0, 1, 0], sizes = [1, 2, 3], steps = [1, 1, 1]} "
        "%y = tensor.relayout(%s) {layout = layout(0, 1, 2)}",
        "tensor<f32[1, 2, 3]>", "tensor.slice: from layout"),
    "pad of blocks": (
        ROWS, f'{IN_PAIRS} %z = core.constant() {{value = dense<f32[], [0.0]>}} '
        '%s = tensor.pad(%r, %z) {before = [0, 1, 0], after = [0, 1, 0], mode = "constant"} '
        "%y = tensor.relayout(%s) {layout = layout(0, 1, 2)}",
        "tensor<f32[1, 6, 3]>", "tensor.pad: from layout"),
    "sum over blocks": (
        ROWS, f'{IN_PAIRS} %y = tensor.reduce(%r) {{kind = "sum", axes = [1], keep_dims = false}}',
        "tensor<f32[1, 3]>", "sums over blocks"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_in_a_layout_is_refused_by_name(name: str) -> None:
    argument, body, result, message = REFUSED[name]
    head = f'module "m" {{ func @main(%x: {argument}) -> ("y": {result})'
    module = parse(f"{head} {{ {body} core.return(%y) }} }}")
    with pytest.raises(UnsupportedError, match=message):
        compile_module(module)
