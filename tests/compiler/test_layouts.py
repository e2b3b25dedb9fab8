"""Compiled models that take inputs and give outputs with their axes in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import burnish
from burnish.ir import Module, parse
from burnish.ir.errors import UsageError
from burnish.layouts import parse_layout, with_layouts
from burnish.testing import assert_equivalent
from burnish.verification import verify_model

from .conftest import CommandLine

TEXT = """
module "m" {
  symbols {N = 1..3}
  func @main(%image: tensor<f32[N, 3, 4, 5]>, %bias: tensor<f32[2]>)
      -> ("y": tensor<f32[N, 2, 4, 5]>, "image2": tensor<f32[N, 3, 4, 5]>) {
    %w = core.constant() {value = dense<f32[2, 3, 1, 1], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>}
    %y = nn.conv(%image, %w, %bias) {
      strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
    core.return(%y, %image)
  }
}
"""


def module() -> Module:
    return parse(TEXT)


@pytest.mark.parametrize(
    ("text", "rank", "axes"),
    [
        ("NHWC", 4, (0, 2, 3, 1)),
        ("nchw", 4, (0, 1, 2, 3)),
        ("HWCN", 4, (2, 3, 1, 0)),
        ("NWC", 3, (0, 2, 1)),
        ("NDHWC", 5, (0, 2, 3, 4, 1)),
        ("CN", 2, (1, 0)),
        ("1, 0", 2, (1, 0)),
        ("0", 1, (0,)),
        ("5,4,3,2,1,0", 6, (5, 4, 3, 2, 1, 0)),
    ],
)
def test_layouts_are_read(text: str, rank: int, axes: tuple[int, ...]) -> None:
    assert parse_layout(text, rank, "x") == axes


@pytest.mark.parametrize(
    ("text", "rank"), [("NHWC", 3), ("NHWW", 4), ("", 4), ("0,1", 3), ("0,,1", 3), ("N", 1)]
)
def test_what_is_no_layout_is_refused(text: str, rank: int) -> None:
    with pytest.raises(UsageError, match=rf'layout of "x" is "{text}", but it has {rank} axes'):
        parse_layout(text, rank, "x")


def test_the_signature_changes_and_the_numbers_do_not() -> None:
    changed = with_layouts(module(), {"image": "NHWC", "y": "0,2,3,1"})
    burnish.verify(changed)
    types = [str(value.type) for value in (*changed.main.args, *changed.main.results)]
    assert types == [
        "tensor<f32[N, 4, 5, 3]>",
        "tensor<f32[2]>",
        "tensor<f32[N, 4, 5, 2]>",
        "tensor<f32[N, 3, 4, 5]>",
    ]
    compiled = burnish.compile(module(), layouts={"image": "NHWC", "y": "NHWC"})
    image = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    bias = np.float32([1, -1])
    expected = burnish.interpret(module(), {"image": image, "bias": bias})
    actual = compiled.run({"image": image.transpose(0, 2, 3, 1), "bias": bias})
    np.testing.assert_allclose(actual["y"], expected["y"].transpose(0, 2, 3, 1), rtol=1e-5)
    np.testing.assert_array_equal(actual["image2"], image)


def test_quantization_follows_its_axis() -> None:
    text = """
module "m" {
  func @main(%x: tensor<i8[2, 3], quant([0.5, 0.25], 0, axis = 0)>) -> ("y": tensor<f32[2, 3]>) {
    %y = quant.dequantize(%x)
    core.return(%y)
  }
}
"""
    changed = with_layouts(parse(text), {"x": "CN"})
    assert str(changed.main.args[0].type) == "tensor<i8[3, 2], quant([0.5, 0.25], 0, axis = 1)>"
    burnish.verify(changed)


def test_transpositions_cancel() -> None:
    """A model that begins by transposing its input takes it as it needs it."""
    text = """
module "m" {
  func @main(%x: tensor<f32[1, 4, 5, 3]>) -> ("y": tensor<f32[1, 3, 4, 5]>) {
    %0 = tensor.transpose(%x) {permutation = [0, 3, 1, 2]}
    %y = math.exp(%0)
    core.return(%y)
  }
}
"""
    compiled = burnish.compile(parse(text), layouts={"x": "0,3,1,2"})
    assert [op.name for op in compiled.module.walk()] == ["math.exp", "core.return"]


def test_no_layouts_change_nothing() -> None:
    original = module()
    assert with_layouts(original, {}) is original
    assert_equivalent(with_layouts(original, {"bias": "0"}), original)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match='no input or output "img"') as refused:
        burnish.compile(module(), layouts={"img": "NHWC"})
    assert "image, bias" in str(refused.value)


STATIC = TEXT.replace("symbols {N = 1..3}", "").replace("N,", "2,")


def test_verification_turns_what_it_compares() -> None:
    assert verify_model(parse(STATIC), layouts={"image": "NHWC", "y": "HWNC"}).ok


def test_the_command_line(tmp_path: Path, burnish: CommandLine) -> None:
    file, out = tmp_path / "m.burnish", tmp_path / "out"
    file.write_text(STATIC)
    burnish("compile", file, "--layout", "image=NHWC", "-o", out)
    assert "[2, 4, 5, 3]" in (out / "model.burnish").read_text()
    burnish("verify", file, "--layout", "image=NHWC")
    burnish("verify", file, "--layout", "image=NHWC", "--layout", "image=NCHW", status=2)
    assert 'layout of "image" is given twice' in burnish.err
