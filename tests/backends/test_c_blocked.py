"""Kernels over blocks of channels: every shape class against the interpreter, on every target."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portable_vectors import PORTABLE, PORTABLE_OF_FOUR

import burnish
from burnish.backends import find_target
from burnish.backends.c.driver import driver_text
from burnish.backends.c.isa import ISAS, isa_of
from burnish.ir import Module, interpret, parse
from burnish.passes import run_pipeline

pytestmark = pytest.mark.usefixtures("portable_vectors")


def listed(values: Sequence[int]) -> str:
    return f"[{', '.join(map(str, values))}]"


def layout(order: Sequence[int], *tiles: tuple[int, int]) -> str:
    parts = [*map(str, order), *(f"{axis}:{factor}" for axis, factor in tiles)]
    return f"layout({', '.join(parts)})"


def agrees(text: str, target: str, seed: int = 0) -> burnish.CompiledModel:
    """The module, compiled as it stands but for fusion, gives what the interpreter says."""
    module = parse(text)
    compiled = burnish.compile(module, target=target, passes="fuse,dce")
    inputs = random_inputs(module, seed)
    for name, expected in interpret(parse(text), inputs).items():
        actual = compiled.run(inputs)[name]
        scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6 * scale)
    return compiled


def random_inputs(module: Module, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        arg.name or "": rng.standard_normal(arg.type.static_shape).astype(np.float32)
        for arg in module.main.args
    }


def convolution(
    x: Sequence[int],
    w: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    groups: int = 1,
    *,
    source: str = "blocked",
    epilogue: str = "%1 = math.relu(%0)",
    lanes: int = 8,
) -> str:
    """A convolution that reads ``source`` and writes blocks, with bias, epilogue and residual."""
    rank = len(x)
    axes = range(rank)
    extents = [
        (x[2 + i] + pads[i] + pads[i + rank - 2] - dilations[i] * (w[2 + i] - 1) - 1) // strides[i]
        + 1
        for i in range(rank - 2)
    ]
    y = [x[0], w[0], *extents]
    written = layout(axes, (1, lanes))
    is_narrow = groups > 1 and w[0] // groups < lanes
    last = [0, *range(2, rank), 1]
    read, packed = {
        "row-major": (layout(axes), layout(axes, (0, lanes))),
        "channels last": (layout(last), layout(last, (0, lanes))),
        "blocked": (
            written,
            layout(axes, (0, lanes)) if is_narrow else layout(axes, (1, lanes), (0, lanes)),
        ),
    }[source]
    type_ = f"tensor<f32{listed(y)}, {written}>"
    return f"""module "m" {{
      func @main(%x: tensor<f32{listed(x)}>, %w: tensor<f32{listed(w)}>,
                 %b: tensor<f32[{w[0]}]>, %s: tensor<f32[{w[0]}{", 1" * (rank - 2)}]>)
          -> ("y": tensor<f32{listed(y)}>) {{
        %a = tensor.relayout(%x) {{layout = {read}}}
        %p = tensor.relayout(%w) {{layout = {packed}}}
        %q = tensor.relayout(%b) {{layout = layout(0, 0:{lanes})}}
        %0 = nn.conv(%a, %p, %q) {{strides = {listed(strides)}, dilations = {listed(dilations)},
            pads = {listed(pads)}, groups = {groups}}} : {type_}
        {epilogue} : {type_}
        %2 = math.add(%1, %0) : {type_}
        %3 = math.mul(%2, %s) : {type_}
        %4 = tensor.relayout(%3) {{layout = {layout(axes)}}}
        core.return(%4)
      }}
    }}"""


DENSE = [
    # input, weights, strides, pads, dilations
    ((1, 16, 7, 7), (24, 16, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((2, 13, 9, 11), (19, 13, 3, 3), (2, 1), (1, 0, 1, 2), (1, 2)),
    ((1, 16, 7, 7), (24, 16, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    ((1, 3, 20, 31), (16, 3, 5, 3), (2, 2), (2, 1, 1, 1), (1, 1)),
    ((1, 3, 33), (16, 3, 5), (2,), (2, 2), (1,)),
    ((1, 5, 33, 1), (16, 5, 5, 1), (2, 1), (2, 0, 2, 0), (1, 1)),
    ((1, 3, 5, 6, 7), (16, 3, 3, 3, 3), (1, 1, 1), (1,) * 6, (1, 1, 1)),
    ((1, 16, 12, 12), (40, 16, 1, 1), (2, 2), (0, 0, 0, 0), (1, 1)),
    ((1, 8, 3, 3), (80, 8, 5, 5), (1, 1), (2, 2, 2, 2), (1, 1)),
    ((3, 9, 1, 1), (10, 9, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    ((1, 1, 2, 2), (1, 1, 4, 4), (3, 3), (4, 4, 4, 4), (1, 1)),
]


@pytest.mark.parametrize("source", ["row-major", "channels last", "blocked"])
@pytest.mark.parametrize("sizes", DENSE, ids=str)
def test_dense_convolution(sizes: tuple[Sequence[int], ...], source: str) -> None:
    compiled = agrees(convolution(*sizes, source=source), PORTABLE)
    assert "blocked_" in str(compiled.artifact.stages["select"])


LONG = [
    # input, weights, strides, pads, dilations, source
    ((1, 1, 640), (258, 1, 256), (128,), (0, 0), (1,), "row-major"),
    ((3, 2, 500), (13, 2, 200), (50,), (0, 0), (2,), "row-major"),
    ((2, 1, 4, 330), (16, 1, 3, 300), (1, 10), (1, 0, 1, 0), (1, 1), "row-major"),
    ((2, 3, 330), (16, 3, 300), (10,), (0, 0), (1,), "channels last"),
    ((1, 2, 3, 330), (8, 2, 2, 300), (1, 10), (0, 0, 0, 0), (1, 1), "channels last"),
]


@pytest.mark.parametrize("sizes", LONG, ids=str)
def test_kernels_too_long_to_be_written_out(sizes: tuple[Sequence[int], ...]) -> None:
    """Fourier transforms of frames, for one: taps that follow one another are looped over."""
    *conv, source = sizes
    compiled = agrees(convolution(*conv, source=source), PORTABLE)
    assert "blocked_conv" in str(compiled.artifact.stages["select"])


def test_long_kernels_that_are_padded_are_refused() -> None:
    text = convolution((1, 1, 640), (16, 1, 256), (16,), (128, 128), (1,), source="row-major")
    with pytest.raises(burnish.Error, match=r"cannot compile nn\.conv"):
        agrees(text, PORTABLE)


@pytest.mark.parametrize("source", ["row-major", "blocked"])
def test_grouped_convolution(source: str) -> None:
    sizes = ((2, 16, 12, 12), (32, 8, 3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 2)
    agrees(convolution(*sizes, source=source), PORTABLE)


TRANSPOSED = [
    # input, weights, strides, pads, dilations, output padding
    ((1, 16, 5, 6), (16, 24, 2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (0, 0)),
    ((2, 13, 4, 5), (13, 19, 3, 3), (2, 2), (1, 1, 1, 1), (1, 1), (1, 1)),
    ((1, 8, 4, 5), (8, 9, 4, 5), (2, 3), (1, 2, 1, 0), (1, 1), (0, 0)),
    ((1, 8, 6, 6), (8, 8, 3, 3), (1, 1), (1, 0, 2, 1), (1, 1), (0, 0)),
    ((1, 8, 5, 6), (8, 8, 3, 5), (2, 3), (0, 0, 0, 0), (1, 2), (0, 1)),
    ((1, 3, 7), (3, 16, 4), (3,), (1, 1), (1,), (0,)),
    ((1, 8, 3, 4, 3), (8, 8, 2, 3, 3), (2, 1, 2), (0, 1, 1, 0, 1, 1), (1, 1, 1), (0, 0, 1)),
    ((1, 8, 1, 2), (8, 8, 9, 2), (2, 2), (3, 0, 3, 0), (1, 1), (1, 0)),
]


@pytest.mark.parametrize("source", ["row-major", "blocked"])
@pytest.mark.parametrize("sizes", TRANSPOSED, ids=str)
def test_transposed_convolution(sizes: tuple[Sequence[int], ...], source: str) -> None:
    """Strides, dilations and pads of every parity: each phase has taps of its own."""
    x, w, strides, pads, dilations, more = sizes
    rank = len(x)
    extents = [
        (x[2 + i] - 1) * strides[i] + dilations[i] * (w[2 + i] - 1) + 1
        + more[i] - pads[i] - pads[i + rank - 2]
        for i in range(rank - 2)
    ]  # fmt: skip
    y, swapped = [x[0], w[1], *extents], (1, 0, *range(2, rank))
    read, packed = {
        "row-major": (layout(range(rank)), layout(swapped, (1, 8))),
        "blocked": (layout(range(rank), (1, 8)), layout(swapped, (0, 8), (1, 8))),
    }[source]
    type_ = f"tensor<f32{listed(y)}, {layout(range(rank), (1, 8))}>"
    text = f"""module "m" {{
      func @main(%x: tensor<f32{listed(x)}>, %w: tensor<f32{listed(w)}>, %b: tensor<f32[{w[1]}]>)
          -> ("y": tensor<f32{listed(y)}>) {{
        %a = tensor.relayout(%x) {{layout = {read}}}
        %p = tensor.relayout(%w) {{layout = {packed}}}
        %q = tensor.relayout(%b) {{layout = layout(0, 0:8)}}
        %0 = nn.conv_transpose(%a, %p, %q) {{strides = {listed(strides)}, pads = {listed(pads)},
            dilations = {listed(dilations)}, output_padding = {listed(more)}}} : {type_}
        %1 = math.relu(%0) : {type_}
        %2 = tensor.relayout(%1) {{layout = {layout(range(rank))}}}
        core.return(%2)
      }}
    }}"""
    compiled = agrees(text, PORTABLE)
    assert "blocked_conv_transpose" in str(compiled.artifact.stages["select"])


DEPTHWISE = [
    ((1, 16, 7, 7), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((2, 13, 9, 11), (3, 5), (2, 1), (1, 0, 1, 2), (1, 2)),
    ((1, 16, 20, 31), (5, 3), (2, 2), (2, 1, 1, 1), (1, 1)),
    ((1, 40, 33), (5,), (2,), (2, 2), (1,)),
    ((1, 8, 3, 3), (7, 7), (1, 1), (3, 3, 3, 3), (1, 1)),
    ((1, 96, 1, 25), (1, 9), (1, 1), (0, 4, 0, 4), (1, 1)),
]


@pytest.mark.parametrize("sizes", DEPTHWISE, ids=str)
def test_depthwise_convolution(sizes: tuple[Sequence[int], ...]) -> None:
    x, kernel, *rest = sizes
    compiled = agrees(convolution(x, (x[1], 1, *kernel), *rest, x[1]), PORTABLE)
    assert "blocked_depthwise" in str(compiled.artifact.stages["select"])


NARROW = [
    # input, weights, strides, pads, dilations, groups
    ((1, 32, 12, 15), (32, 4, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 8),
    ((2, 14, 9, 11), (14, 2, 3, 5), (2, 1), (1, 0, 1, 2), (1, 2), 7),
    ((1, 12, 8, 9), (12, 4, 3, 3), (2, 2), (0, 1, 1, 1), (1, 1), 3),
    ((2, 64, 9, 16), (16, 16, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 4),
    ((1, 64, 8, 17), (16, 8, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 8),
    ((1, 48, 5, 9), (16, 6, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 8),
    ((1, 24, 5, 9), (8, 12, 1, 3), (1, 1), (0, 1, 0, 1), (1, 1), 2),
    ((1, 40, 6, 7), (8, 5, 2, 2), (1, 1), (1, 0, 0, 1), (1, 1), 8),
    ((3, 16, 21), (8, 4, 4), (3,), (2, 1), (1,), 4),
    ((1, 16, 3, 4, 5), (16, 2, 2, 3, 3), (1, 1, 1), (1, 1, 1, 0, 1, 1), (1, 1, 1), 8),
    ((1, 160, 4, 4), (8, 80, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 2),
]


@pytest.mark.parametrize(
    ("sizes", "target", "lanes"),
    [(sizes, PORTABLE, 8) for sizes in NARROW]
    + [(sizes, PORTABLE_OF_FOUR, 4) for sizes in NARROW if sizes[1][0] < 4 * sizes[-1]],
    ids=str,
)
def test_convolution_of_narrow_groups(sizes: tuple[Any, ...], target: str, lanes: int) -> None:
    """One vector of channels has several groups: as many inputs as results, or more."""
    compiled = agrees(convolution(*sizes, lanes=lanes), target)
    assert "blocked_groups" in str(compiled.artifact.stages["select"])


def test_narrow_groups_that_overlap_blocks_are_refused() -> None:
    """Groups of three channels, say, and results whose last block has no input of its own."""
    for x, w, groups in (((1, 12, 5, 5), (12, 3, 3, 3), 4), ((1, 12, 5, 5), (6, 4, 3, 3), 3)):
        text = convolution(x, w, (1, 1), (1, 1, 1, 1), (1, 1), groups)
        with pytest.raises(burnish.Error, match=r"cannot compile nn\.conv"):
            agrees(text, PORTABLE)


EPILOGUES = [
    "math.clamp(%0) {low = 0.0, high = 6.0}",
    "math.clamp(%0) {low = -inf, high = 1.0}",
    "math.hard_swish(%0)",
    "math.leaky_relu(%0) {alpha = 0.1}",
    "math.thresholded_relu(%0) {alpha = 0.5}",
    "math.neg(%0)",
    "math.max(%0, %s)",
    "math.sub(%0, %s)",
    "math.div(%0, %s)",
    "math.sigmoid(%0)",
    "math.silu(%0)",
    "math.gelu(%0)",
    "math.gelu_tanh(%0)",
    "math.mish(%0)",
]


@pytest.mark.parametrize("target", ["c", PORTABLE])
@pytest.mark.parametrize("function", ["exp", "erf", "tanh"])
def test_functions_of_vectors(function: str, target: str) -> None:
    """Within 4e-7 (exp: relatively) over all floats, infinities and NaN included."""
    bits = np.arange(0, 1 << 32, 65_521, dtype=np.uint32)
    count = 8193 * 8  # one vector is left when the others are finished together
    x = np.ascontiguousarray(bits[:count].view(np.float32).reshape(1, 8, 1, -1))
    x[0, 0, 0, :7] = [0.0, -0.0, np.inf, -np.inf, np.nan, 88.7, 1.1754944e-38]
    shape = listed(x.shape)
    text = f"""module "m" {{ func @main(%x: tensor<f32{shape}>) -> ("y": tensor<f32{shape}>) {{
      %a = tensor.relayout(%x) {{layout = layout(0, 1, 2, 3, 1:8)}}
      %w = core.constant() {{value = splat<f32[8, 1, 1, 1], 1.0>}}
          : tensor<f32[8, 1, 1, 1], layout(0, 1, 2, 3, 0:8)>
      %0 = nn.conv(%a, %w) {{strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0],
          groups = 8}} : tensor<f32{shape}, layout(0, 1, 2, 3, 1:8)>
      %1 = math.{function}(%0) : tensor<f32{shape}, layout(0, 1, 2, 3, 1:8)>
      %2 = tensor.relayout(%1) {{layout = layout(0, 1, 2, 3)}}
      core.return(%2)
    }} }}"""
    compiled = burnish.compile(parse(text), target=target, passes="fuse,dce")
    if isa_of(find_target(target)).lanes == 8:
        # Of one vector, and where steps wait for each other of several together.
        forms = {f"{function}_f32x8("} | ({"exp_of_"} if function == "exp" else set())
        assert forms <= set(re.findall(rf"{function}_(?:f32x8\(|of_)", compiled.source["m.c"]))
    actual = compiled.run({"x": x})["y"]
    with np.errstate(all="ignore"):
        expected = interpret(parse(text), {"x": x})["y"]
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    relative = 3e-7 if function == "exp" else 0.0
    absolute = 3e-45 if function == "exp" else 4e-7
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=absolute)
    # The least of normal numbers keeps its digits: no factor on the way makes it subnormal.
    np.testing.assert_allclose(actual[0, 0, 0, 6], expected[0, 0, 0, 6], rtol=1e-6)


@pytest.mark.parametrize("channels", [16, 13])
@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_epilogues(epilogue: str, channels: int) -> None:
    """In registers where the expression has a vector form, element by element where it has not."""
    sizes = ((1, 8, 5, 6), (channels, 8, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    agrees(convolution(*sizes, epilogue=f"%1 = {epilogue}"), PORTABLE)


@pytest.mark.parametrize("target", ["c", PORTABLE])
def test_not_a_number_passes(target: str) -> None:
    """Limits and maxima keep NaN, whatever the machine's instructions do."""
    lanes = isa_of(find_target(target)).lanes or 8
    text = """module "m" {
     func @main(%x: tensor<f32[1, 8, 4, 4]>) -> ("y": tensor<f32[1, 8, 2, 2]>) {
      %a = tensor.relayout(%x) {layout = layout(0, 1, 2, 3, 1:8)}
      %w = core.constant() {value = splat<f32[8, 1, 1, 1], 1.0>}
          : tensor<f32[8, 1, 1, 1], layout(0, 1, 2, 3, 0:8)>
      %0 = nn.conv(%a, %w) {strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], groups = 8}
          : tensor<f32[1, 8, 4, 4], layout(0, 1, 2, 3, 1:8)>
      %1 = math.clamp(%0) {low = -1.0, high = 1.0}
          : tensor<f32[1, 8, 4, 4], layout(0, 1, 2, 3, 1:8)>
      %2 = nn.max_pool(%1) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0],
          dilations = [1, 1], overhang = [0, 0]}
          : tensor<f32[1, 8, 2, 2], layout(0, 1, 2, 3, 1:8)>
      %3 = tensor.relayout(%2) {layout = layout(0, 1, 2, 3)}
      core.return(%3)
    } }""".replace(":8)", f":{lanes})")
    x = np.random.default_rng(0).standard_normal((1, 8, 4, 4)).astype(np.float32)
    x[0, 3, 1, 1] = x[0, 3, 2, 2] = x[0, 5, 0, 1] = np.nan
    actual = burnish.compile(parse(text), target=target, passes="fuse,dce").run({"x": x})["y"]
    np.testing.assert_array_equal(actual, interpret(parse(text), {"x": x})["y"])


def moved(op: str, x: Sequence[int], y: Sequence[int], *, count: int = 1) -> str:
    """An op from blocks to blocks, between conversions."""
    axes, to = range(len(x)), range(len(y))
    args = ", ".join(f"%x{i}: tensor<f32{listed(x)}>" for i in range(count))
    reads = "\n".join(
        f"%a{i} = tensor.relayout(%x{i}) {{layout = {layout(axes, (1, 8))}}}" for i in range(count)
    )
    type_ = f"tensor<f32{listed(y)}, {layout(to, (1, 8))}>"
    return f"""module "m" {{ func @main({args}) -> ("y": tensor<f32{listed(y)}>) {{
        {reads}
        %0 = {op} : {type_}
        %1 = math.relu(%0) : {type_}
        %2 = tensor.relayout(%1) {{layout = {layout(to)}}}
        core.return(%2)
    }} }}"""


@pytest.mark.parametrize("channels", [16, 13])
@pytest.mark.parametrize("op", ["nn.max_pool", "nn.average_pool"])
def test_pools(op: str, channels: int) -> None:
    rules = "strides = [2, 1], pads = [1, 1, 1, 0], dilations = [1, 2], overhang = [0, 0]"
    text = f"{op}(%a0) {{kernel = [3, 2], {rules}}}"
    compiled = agrees(moved(text, (2, channels, 9, 8), (2, channels, 5, 7)), PORTABLE)
    assert "blocked_" in str(compiled.artifact.stages["select"])


@pytest.mark.parametrize("padded", ["true", "false"])
def test_average_counts(padded: str) -> None:
    rules = "strides = [2], pads = [1, 1], dilations = [1], overhang = [1]"
    text = f"nn.average_pool(%a0) {{kernel = [3], {rules}, count_include_pad = {padded}}}"
    agrees(moved(text, (1, 8, 9), (1, 8, 5)), PORTABLE)


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("shape", [(1, 16, 7, 7), (2, 13, 3), (1, 88, 1, 5), (1, 8, 2, 1)])
def test_reductions(kind: str, shape: Sequence[int]) -> None:
    axes = list(range(2, len(shape)))
    text = f'tensor.reduce(%a0) {{kind = "{kind}", axes = {listed(axes)}, keep_dims = false}}'
    compiled = agrees(moved(text, shape, shape[:2]), PORTABLE)
    assert "blocked_reduce" in str(compiled.artifact.stages["select"])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((2, 13, 5, 6), (2, 13, 10, 9)),
        ((1, 16, 7, 8), (1, 16, 3, 8)),
        ((1, 8, 9), (1, 8, 13)),
        ((1, 8, 3, 4, 5), (1, 8, 5, 4, 3)),
    ],
)
@pytest.mark.parametrize(
    "mode", ["nearest", "linear", "cubic", "linear, antialias", "linear, align_corners"]
)
def test_resize(x: Sequence[int], y: Sequence[int], mode: str) -> None:
    """Up and down along any spatial axes; filters that are too wide are left to others."""
    kind, _, more = mode.partition(", ")
    options = [f'mode = "{kind}"', f"shape = {listed(y)}"]
    options += [f"scales = [{', '.join(str(b / a) for a, b in zip(x, y))}]"]
    options += ["antialias = true"] if more == "antialias" else []
    options += ['coordinates = "align_corners"'] if more == "align_corners" else []
    text = moved(f"nn.resize(%a0) {{{', '.join(options)}}}", x, y)
    if kind == "cubic" and len(x) > 4:
        with pytest.raises(burnish.Error, match="of these axes or taps in a layout"):
            agrees(text, PORTABLE)
        return
    compiled = agrees(text, PORTABLE)
    assert "blocked_resize" in str(compiled.artifact.stages["select"])


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_concat(axis: int) -> None:
    x = (2, 16, 3, 5)
    y = [size * (2 if at == axis else 1) for at, size in enumerate(x)]
    text = f"tensor.concat(%a0, %a1) {{axis = {axis}}}"
    compiled = agrees(moved(text, x, y, count=2), PORTABLE)
    assert "blocked_concat" in str(compiled.artifact.stages["select"])


@pytest.mark.parametrize(
    ("starts", "sizes", "steps"),
    [
        ((0, 8, 0, 0), (2, 8, 6, 5), (1, 1, 1, 1)),
        ((1, 16, 5, 1), (1, 5, 3, 2), (1, 1, -2, 2)),
    ],
)
def test_slice(starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int]) -> None:
    rules = f"starts = {listed(starts)}, sizes = {listed(sizes)}, steps = {listed(steps)}"
    text = moved(f"tensor.slice(%a0) {{{rules}}}", (2, 21, 6, 5), sizes)
    compiled = agrees(text, PORTABLE)
    assert "blocked_slice" in str(compiled.artifact.stages["select"])


@pytest.mark.parametrize("shape", [(3, 21), (5,), (), (2, 1, 8), (40, 3)])
@pytest.mark.parametrize("other", ["", "1", "last"])
def test_elementwise_functions_in_vectors(shape: Sequence[int], other: str) -> None:
    """Runs of vectors, and what is left of the last axis."""
    small = {"": (), "1": (1,), "last": shape[-1:]}[other]
    text = f"""module "m" {{
      func @main(%x: tensor<f32{listed(shape)}>, %s: tensor<f32{listed(small)}>)
          -> ("y": tensor<f32{listed(shape) if shape else listed(small)}>) {{
        %0 = math.silu(%x)
        %1 = math.mul(%0, %s)
        core.return(%1)
      }}
    }}"""
    agrees(text, PORTABLE)


NETWORK = """module "network" {
  func @main(%x: tensor<f32[1, 12, 12, 3]>) -> ("y": tensor<f32[1, 16]>) {
    %w0 = core.constant() {value = splat<f32[16, 3, 3, 3], 0.25>}
    %w1 = core.constant() {value = splat<f32[16, 1, 3, 3], 0.5>}
    %w2 = core.constant() {value = splat<f32[16, 16, 1, 1], -0.125>}
    %0 = tensor.transpose(%x) {permutation = [0, 3, 1, 2]}
    %1 = nn.conv(%0, %w0) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}
    %2 = math.relu(%1)
    %3 = nn.conv(%2, %w1) {strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1], groups = 16}
    %4 = math.add(%3, %2)
    %5 = nn.conv(%4, %w2) {strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]}
    %6 = tensor.reduce(%5) {kind = "mean", axes = [2, 3], keep_dims = false}
    core.return(%6)
  }
}"""


@pytest.mark.parametrize("name", [isa.name for isa in ISAS.values() if isa.has_vectors])
def test_a_network_stays_in_blocks(name: str) -> None:
    """From channels-last input to pooled features, nothing is stored anew."""
    module = parse(NETWORK)
    run_pipeline(module, f"layout{{target={name}}},dce", verify="each")
    relayouts = [op for op in module.main.walk() if op.name == "tensor.relayout"]
    assert [op.inputs[0].type.rank for op in relayouts] == [2], "the same bytes, named anew"


def test_a_network_in_blocks_computes_the_same() -> None:
    compiled = burnish.compile(parse(NETWORK), target=PORTABLE)
    assert "relayout" not in compiled.source["network.c"]
    x = np.random.default_rng(0).standard_normal((1, 12, 12, 3)).astype(np.float32)
    expected = interpret(parse(NETWORK), {"x": x})["y"]
    np.testing.assert_allclose(compiled.run({"x": x})["y"], expected, rtol=1e-4)


def test_microcontrollers_keep_row_major_order() -> None:
    for name in ("c:generic", "c:cortex-m4"):
        compiled = burnish.compile(parse(NETWORK), target=name)
        assert "f32x" not in compiled.source["network.c"]
        assert "layout(" not in str(compiled.artifact.stages["select"])


def test_emission_does_not_depend_on_the_machine_but_for_the_host_target() -> None:
    first, second = (burnish.compile(parse(NETWORK), target="c:x86-64-v3") for _ in range(2))
    assert first.source == second.source
    assert "network_f32x8" in first.source["network.c"]


MATMULS = [
    # a, b, transpose_b, c
    ((1, 20), (20, 16), False, (16,)),
    ((1, 20), (13, 20), True, (13,)),
    ((2, 3, 9), (9, 21), False, (1, 21)),
    ((5, 33), (1, 33, 10), False, None),
    ((197, 16), (48, 16), True, (48,)),
    ((1, 1), (1, 1), False, None),
    ((7, 64), (64, 8), False, (8,)),
]


@pytest.mark.parametrize(("a", "b", "flip", "c"), MATMULS)
def test_packed_matmul(
    a: Sequence[int], b: Sequence[int], flip: bool, c: Sequence[int] | None
) -> None:
    if len(b) > 2:
        a = (1, *a)
    columns = b[-2] if flip else b[-1]
    y = [*a[:-1], columns]
    rows = f"{len(b) - 2}, {len(b) - 1}"
    if not flip:
        rows = f"{len(b) - 1}, {len(b) - 2}"
    outer = "".join(f"{axis}, " for axis in range(len(b) - 2))
    column_axis = len(b) - 2 if flip else len(b) - 1
    bias = "" if c is None else ", %q"
    bias_op = ""
    if c is not None:
        packed = layout(range(len(c)), (len(c) - 1, 8))
        bias_op = f"%q = tensor.relayout(%c) {{layout = {packed}}}"
    c_arg = "" if c is None else f", %c: tensor<f32{listed(c)}>"
    text = f"""module "m" {{
      func @main(%a: tensor<f32{listed(a)}>, %b: tensor<f32{listed(b)}>{c_arg},
                 %r: tensor<f32{listed(y)}>) -> ("y": tensor<f32{listed(y)}>) {{
        %p = tensor.relayout(%b) {{layout = layout({outer}{rows}, {column_axis}:8)}}
        {bias_op}
        %0 = nn.matmul(%a, %p{bias}) {{transpose_b = {str(flip).lower()}}}
        %1 = math.relu(%0)
        %2 = math.add(%1, %r)
        core.return(%2)
      }}
    }}"""
    compiled = agrees(text, PORTABLE)
    assert "packed_matmul" in str(compiled.artifact.stages["select"])


def test_weights_used_once_are_not_fetched_ahead() -> None:
    """Their lines would all be fetched at once, in as many statements."""
    compiled = burnish.compile(
        parse("""module "m" {
          func @main(%a: tensor<f32[1, 2048]>, %b: tensor<f32[2048, 64]>)
              -> ("y": tensor<f32[1, 64]>) {
            %p = tensor.relayout(%b) {layout = layout(1, 0, 1:8)}
            %0 = nn.matmul(%a, %p)
            core.return(%0)
          }
        }"""),
        target=PORTABLE,
        passes="",
    )
    assert "packed_matmul" in str(compiled.artifact.stages["select"])
    assert "(filters, ahead" not in compiled.source["m.c"]


@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="there is no compiler for 64-bit ARM, or no emulator of one",
)
def test_vectors_of_64_bit_arm(tmp_path: Path) -> None:
    """The same kernels with vectors of four floats, on an emulated machine."""
    text = convolution((1, 13, 9, 10), (18, 13, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), lanes=4,
                       epilogue="%1 = math.silu(%0)")  # fmt: skip
    module = parse(text)
    target = find_target("c:aarch64")
    artifact = burnish.compile(module, target=target, passes="fuse,dce").artifact
    artifact.write(tmp_path)
    (tmp_path / "main.c").write_text(driver_text(artifact.manifest), "utf-8")
    command = ["aarch64-linux-gnu-gcc", *target.flags, "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    sources = [name for name in artifact.files if name.endswith(".c")]
    command += ["-static", "main.c", *sources, "-o", "program", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    inputs = random_inputs(module, 0)
    for name, array in inputs.items():
        array.tofile(tmp_path / name)
    subprocess.run(["qemu-aarch64", "./program", *inputs, "y"], cwd=tmp_path, check=True)
    expected = interpret(parse(text), inputs)["y"]
    actual = np.fromfile(tmp_path / "y", np.float32).reshape(expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_pools_of_known_channels_and_unknown_extent_stay_in_row_major_order() -> None:
    text = """module "m" {
      symbols {N = 0..8}
      func @main(%x: tensor<f32[1, 8, N]>) -> ("y": tensor<f32[1, 8, floordiv(N - 1, 2) + 1]>) {
        %0 = nn.average_pool(%x) {kernel = [4], strides = [2], pads = [1, 1], dilations = [1],
          overhang = [1]}
        core.return(%0)
      }
    }"""
    module = parse(text)
    run_pipeline(module, "layout{target=avx2}", verify="each")
    assert module == parse(text)
