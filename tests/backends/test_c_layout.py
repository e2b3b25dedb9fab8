"""Tensors with layouts in the C backend: stored, converted, computed with, refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import burnish
from burnish.ir import interpret, parse
from burnish.ir.errors import UnsupportedError

LAYOUTS = {
    "NHWC": "layout(0, 2, 3, 1)",
    "NCHW8c": "layout(0, 1, 2, 3, 1:8)",
    "NCHW4c2n": "layout(1, 0, 2, 3, 1:4, 0:2)",
    "padded": "layout(0, 1, 2, 3, 1:5)",
    "twice": "layout(3, 0, 2, 1, 1:2, 1:4)",
}
SHAPE = "[2, 16, 3, 5]"


def agrees(text: str, **inputs: np.ndarray) -> burnish.CompiledModel:
    """Compiled as it stands, the module gives what the interpreter says, to the bit."""
    compiled = burnish.compile(parse(text), target="c", passes="")
    actual = compiled.run(inputs)
    for name, expected in interpret(parse(text), inputs).items():
        np.testing.assert_array_equal(actual[name], expected)
    return compiled


@pytest.mark.parametrize("second", LAYOUTS)
@pytest.mark.parametrize("first", LAYOUTS)
def test_stored_anew(first: str, second: str) -> None:
    """From row-major to one layout, to another, and back."""
    agrees(
        f"""module "m" {{ func @main(%x: tensor<f32{SHAPE}>) -> ("y": tensor<f32{SHAPE}>) {{
          %0 = tensor.relayout(%x) {{layout = {LAYOUTS[first]}}}
          %1 = tensor.relayout(%0) {{layout = {LAYOUTS[second]}}}
          %2 = tensor.relayout(%1) {{layout = layout(0, 1, 2, 3)}}
          core.return(%2)
        }} }}""",
        x=np.random.default_rng(0).standard_normal((2, 16, 3, 5)).astype(np.float32),
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("small", ["[]", "[16, 1, 1]", "[2, 1, 3, 1]", "[1, 16, 3, 5]", "[5]"])
def test_elementwise_in_a_layout(layout: str, small: str) -> None:
    """Operands that broadcast are row-major, whatever the others are."""
    shape = [int(size) for size in small.strip("[]").split(",") if size]
    rng = np.random.default_rng(1)
    agrees(
        f"""module "m" {{ func @main(%x: tensor<f32{SHAPE}>, %s: tensor<f32{small}>)
            -> ("y": tensor<f32{SHAPE}>) {{
          %c = core.constant() {{value = splat<f32{SHAPE}, 2.0>}}
              : tensor<f32{SHAPE}, {LAYOUTS[layout]}>
          %0 = tensor.relayout(%x) {{layout = {LAYOUTS[layout]}}}
          %1 = math.sub(%0, %s) : tensor<f32{SHAPE}, {LAYOUTS[layout]}>
          %2 = math.mul(%1, %c) : tensor<f32{SHAPE}, {LAYOUTS[layout]}>
          %3 = tensor.relayout(%2) {{layout = layout(0, 1, 2, 3)}}
          core.return(%3)
        }} }}""",
        x=rng.standard_normal((2, 16, 3, 5)).astype(np.float32),
        s=rng.standard_normal(shape).astype(np.float32),
    )


def test_operands_in_different_layouts() -> None:
    rng = np.random.default_rng(2)
    agrees(
        f"""module "m" {{ func @main(%x: tensor<f32{SHAPE}>, %y: tensor<f32{SHAPE}>)
            -> ("z": tensor<f32{SHAPE}>) {{
          %0 = tensor.relayout(%x) {{layout = {LAYOUTS["NHWC"]}}}
          %1 = tensor.relayout(%y) {{layout = {LAYOUTS["NCHW8c"]}}}
          %2 = math.div(%0, %1)
          core.return(%2)
        }} }}""",
        x=rng.standard_normal((2, 16, 3, 5)).astype(np.float32),
        y=rng.standard_normal((2, 16, 3, 5)).astype(np.float32),
    )


def test_transpose_of_what_is_stored_so_costs_nothing() -> None:
    compiled = agrees(
        """module "m" { func @main(%x: tensor<f32[1, 6, 7, 4]>) -> ("y": tensor<f32[1, 6, 7, 4]>) {
          %0 = tensor.transpose(%x) {permutation = [0, 3, 1, 2]}
              : tensor<f32[1, 4, 6, 7], layout(0, 2, 3, 1)>
          %1 = math.relu(%0) : tensor<f32[1, 4, 6, 7], layout(0, 2, 3, 1)>
          %2 = tensor.transpose(%1) {permutation = [0, 2, 3, 1]}
          core.return(%2)
        } }""",
        x=np.random.default_rng(3).standard_normal((1, 6, 7, 4)).astype(np.float32),
    )
    assert "elementwise" in str(compiled.source["m.c"])
    assert "transpose_0" not in str(compiled.source["m.c"])


def test_what_cannot_be_computed_in_a_layout_is_refused_by_name() -> None:
    text = """module "m" { func @main(%x: tensor<f32[1, 8, 4, 4]>) -> ("y": tensor<f32[8, 16]>) {
      %0 = tensor.relayout(%x) {layout = layout(0, 2, 3, 1)}
      %1 = tensor.reshape(%0) {shape = [8, 16]}
      core.return(%1)
    } }"""
    with pytest.raises(UnsupportedError, match=r"tensor.reshape"):
        burnish.compile(parse(text), target="c", passes="")


def test_inputs_and_outputs_are_row_major() -> None:
    type_ = "tensor<f32[1, 8, 4, 4], layout(0, 2, 3, 1)>"
    text = f"""module "m" {{ func @main(%x: {type_}) -> ("y": {type_}) {{
      %0 = math.relu(%x) : {type_}
      core.return(%0)
    }} }}"""
    with pytest.raises(UnsupportedError, match=r"the output in layout.*the input in layout"):
        burnish.compile(parse(text), target="c", passes="")


def test_convolutions_take_tensors_with_channels_last_as_they_are() -> None:
    """Blocks are made of them in one step: a transpose that moves elements costs as much."""
    module = parse("""module "m" {
      func @main(%x: tensor<f32[1, 24, 24, 24]>) -> ("y": tensor<f32[1, 24, 24, 24]>) {
        %w = core.constant() {value = splat<f32[24, 1, 7, 7], 0.25>}
        %s = core.constant() {value = splat<f32[24], 0.5>}
        %0 = nn.layer_norm(%x, %s, %s) {axis = 3, epsilon = 1e-05}
        %1 = tensor.transpose(%0) {permutation = [0, 3, 1, 2]}
        %2 = nn.conv(%1, %w) {strides = [1, 1], dilations = [1, 1], pads = [3, 3, 3, 3],
            groups = 24}
        %3 = tensor.transpose(%2) {permutation = [0, 2, 3, 1]}
        %4 = nn.layer_norm(%3, %s, %s) {axis = 3, epsilon = 1e-05}
        core.return(%4)
      }
    }""")
    steps = str(burnish.compile(module, target="c:x86-64-v3").artifact.stages["select"])
    assert steps.count("tensor.relayout") == 2
    assert "tensor.transpose" not in steps
