"""Convolutions by Winograd's filtering: transforms against exact arithmetic, kernels against the
interpreter, and when they are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import burnish
from burnish.backends.c import runner
from burnish.backends.c.isa import ISAS
from burnish.backends.c.kernels import winograd_shape
from burnish.backends.c.kernels.winograd import Filtering
from burnish.backends.c.kernels.winograd_conv import WinogradWeights
from burnish.ir import Constant, Module, interpret, parse
from burnish.ir.errors import TargetError

BLOCKS = "layout(0, 1, 2, 3, 1:8)"
X86 = "c:x86-64-v3"


@pytest.fixture
def outputs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Tiles of that size only, in chunks of a few."""
    monkeypatch.setattr(winograd_shape, "OUTPUTS", (request.param,))
    monkeypatch.setattr(winograd_shape, "MAX_CHUNK", 7)
    winograd_shape._cheapest.cache_clear()
    yield request.param
    winograd_shape._cheapest.cache_clear()


def numbers(array: np.ndarray) -> str:
    return f"dense<f32{list(array.shape)}, {array.ravel().tolist()}>"


def convolution(
    x: Sequence[int],
    filters: int,
    pads: Sequence[int],
    *,
    bias: bool = True,
    epilogue: str = "math.relu(%0)",
    seed: int = 0,
) -> Module:
    """A convolution in blocks of channels, with epilogue and residual."""
    batch, channels, height, width = x
    y = [batch, filters, height + pads[0] + pads[2] - 2, width + pads[1] + pads[3] - 2]
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((filters, channels, 3, 3)).astype(np.float32)
    type_ = f"tensor<f32{y}, {BLOCKS}>"
    return parse(f"""module "m" {{
      func @main(%x: tensor<f32{list(x)}>, %b: tensor<f32[{filters}]>, %r: tensor<f32{y}>,
                 %s: tensor<f32[{filters}, 1, 1]>) -> ("y": tensor<f32{y}>) {{
        %w = core.constant() {{value = {numbers(w)}}}
        %a = tensor.relayout(%x) {{layout = {BLOCKS}}}
        %c = tensor.relayout(%r) {{layout = {BLOCKS}}}
        %q = tensor.relayout(%b) {{layout = layout(0, 0:8)}}
        %0 = nn.conv(%a, %w{", %q" if bias else ""}) {{
            strides = [1, 1], dilations = [1, 1], pads = {list(pads)}}} : {type_}
        %1 = {epilogue} : {type_}
        %2 = math.add(%1, %c) : {type_}
        %3 = tensor.relayout(%2) {{layout = layout(0, 1, 2, 3)}}
        core.return(%3)
      }}
    }}""")


def inputs_of(module: Module, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        arg.name or "": rng.standard_normal(arg.type.static_shape).astype(np.float32)
        for arg in module.main.args
    }


def check(module: Module, *, sanitize: bool = False) -> str:
    """The module, compiled as it stands but for fusion, gives what the interpreter says."""
    expected = interpret(module, inputs_of(module))["y"]
    compiled = burnish.compile(module, target=X86, passes="fuse,dce")
    actual = runner(compiled.artifact, sanitize=sanitize).run(inputs_of(module))["y"]
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)
    return str(compiled.artifact.stages["select"])


SHAPES = [
    # input, filters, pads
    ((1, 8, 8, 8), 8, (1, 1, 1, 1)),
    ((1, 16, 7, 7), 24, (1, 1, 1, 1)),
    ((2, 13, 9, 11), 19, (1, 0, 1, 2)),
    ((3, 5, 3, 17), 9, (0, 0, 0, 0)),
    ((1, 8, 1, 1), 8, (1, 1, 1, 1)),
    ((1, 3, 2, 30), 8, (5, 7, 6, 9)),
    ((1, 24, 14, 13), 40, (2, 2, 0, 0)),
    ((4, 8, 6, 6), 16, (1, 1, 1, 1)),
]


@pytest.mark.parametrize("outputs", [2, 4], indirect=True)
@pytest.mark.parametrize(("x", "filters", "pads"), SHAPES)
def test_convolution(x: Sequence[int], filters: int, pads: Sequence[int], outputs: int) -> None:
    selected = check(convolution(x, filters, pads))
    assert f" winograd={outputs}x{outputs} " in selected


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [2, 4], indirect=True)
@pytest.mark.parametrize(("x", "filters", "pads"), SHAPES)
def test_under_sanitizers(
    x: Sequence[int], filters: int, pads: Sequence[int], outputs: int
) -> None:
    assert outputs
    check(convolution(x, filters, pads), sanitize=True)


@pytest.mark.parametrize("outputs", [2, 4], indirect=True)
@pytest.mark.parametrize("epilogue", ["math.gelu(%0)", "math.mul(%0, %s)", "math.sin(%0)"])
@pytest.mark.parametrize("bias", [True, False])
def test_epilogues(epilogue: str, bias: bool, outputs: int) -> None:
    """In registers, by elements found by their indices, and through memory."""
    module = convolution((1, 8, 7, 6), 13, (1, 1, 1, 1), epilogue=epilogue, bias=bias)
    assert f" winograd={outputs}x{outputs} " in check(module)


@pytest.mark.parametrize("outputs", [2, 4])
def test_filtering_is_exact_in_exact_arithmetic(outputs: int) -> None:
    """A ((G w) * (B x)) with fractions, B and A as the kernels compute them."""
    f = Filtering(outputs)
    x = [Fraction(3 * i * i - 7 * i + 2) for i in range(f.size)]
    w = [Fraction(5), Fraction(-2), Fraction(11)]
    left = [sum(c * v for c, v in zip(f.ends, x[0::2]))]
    for i, p in enumerate(f.pairs):
        even = sum(c * v for c, v in zip(f.inner(i), x[2::2]))
        odd = sum(c * v for c, v in zip(f.inner(i), x[1:-1:2]))
        left += [even + p * odd, even - p * odd]
    left.append(sum(c * v for c, v in zip(f.ends, x[1::2])))
    right = [sum(Fraction(g) * v for g, v in zip(row, w)) for row in f.weights]
    products = [float(a * b) for a, b in zip(left, right)]
    for i in range(outputs):
        value = sum(float(p**i) * m for p, m in zip(f.points, products[:-1]))
        value += products[-1] if i == outputs - 1 else 0.0
        assert value == pytest.approx(float(sum(x[i + t] * w[t] for t in range(3))), rel=1e-12)


def test_weights_are_packed_by_products_and_blocks() -> None:
    w = np.random.default_rng(0).standard_normal((9, 3, 3, 3)).astype(np.float32)
    packed = WinogradWeights(2, 8)(Constant(w)).array
    assert packed.shape == (16, 2, 1, 8, 8)
    g = np.array([[-1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    np.testing.assert_allclose(packed[6, 0, 0, 2, 5], (g @ w[5, 2] @ g.T)[1, 2], rtol=1e-6)
    assert not packed[:, 1, :, :, 1:].any()
    assert not packed[:, :, :, 3:].any()


def network(channels: int, extent: int) -> Module:
    """A convolution of a model, whose input and result are row-major."""
    return parse(f"""module "m" {{
      func @main(%x: tensor<f32[1, {channels}, {extent}, {extent}]>)
          -> ("y": tensor<f32[1, {channels}, {extent}, {extent}]>) {{
        %w = core.constant() {{value = splat<f32[{channels}, {channels}, 3, 3], 0.25>}}
        %0 = nn.conv(%x, %w) {{strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]}}
        %1 = math.relu(%0)
        core.return(%1)
      }}
    }}""")


def selected(module: Module, target: str = X86, **options: object) -> str:
    compiled = burnish.compile(module, target=target, options=options)
    return str(compiled.artifact.stages["select"])


def test_it_is_chosen_where_it_takes_less_time() -> None:
    for target in (X86, "c:aarch64"):
        assert "winograd=4x4" in selected(network(64, 28), target)
    for channels, extent in ((4, 64), (64, 1)):
        assert "winograd" not in selected(network(channels, extent))


def test_it_can_be_turned_off() -> None:
    assert "winograd" not in selected(network(64, 28), winograd="off")
    with pytest.raises(TargetError, match="option winograd is 'on', but must be auto or off"):
        selected(network(64, 28), winograd="on")


def test_targets_without_vectors_compute_every_product() -> None:
    compiled = burnish.compile(network(64, 28), target="c:generic")
    assert "winograd" not in str(compiled.artifact.stages["select"])


def test_weights_that_are_no_constant_are_refused_by_name() -> None:
    text = str(convolution((1, 8, 8, 8), 8, (1, 1, 1, 1)))
    start, end = text.index("%w = core.constant"), text.index("%a = ")
    text = text[:start] + text[end:]
    text = text.replace("@main(", "@main(%w: tensor<f32[8, 8, 3, 3]>, ")
    with pytest.raises(burnish.Error, match="weights that are no constant"):
        burnish.compile(parse(text), target=X86, passes="")


@pytest.mark.parametrize("outputs", [2, 4], indirect=True)
def test_many_channels_stay_within_the_bound(outputs: int) -> None:
    """1e-5 of the largest result; sums of as many products in f32 are about 1e-6 off."""
    assert f" winograd={outputs}x{outputs} " in check(convolution((1, 256, 8, 8), 8, (1, 1, 1, 1)))


@pytest.mark.parametrize("outputs", [2, 4], indirect=True)
def test_threads_share_the_chunks(outputs: int) -> None:
    module = convolution((3, 16, 17, 16), 16, (1, 1, 1, 1))
    results = []
    for threads in (1, 3):
        options = {"threads": threads}
        compiled = burnish.compile(module, target=X86, passes="fuse,dce", options=options)
        lines = str(compiled.artifact.stages["select"]).splitlines()
        (line,) = (line for line in lines if f" winograd={outputs}x{outputs} " in line)
        assert ("threads=3" in line) == (threads == 3)
        results.append(runner(compiled.artifact).run(inputs_of(module))["y"])
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(("channels", "is_ahead"), [(32, False), (256, True)])
def test_weights_that_do_not_stay_near_are_fetched_ahead(channels: int, is_ahead: bool) -> None:
    compiled = burnish.compile(network(channels, 14), target=X86)
    assert ("m_fetch_f32x8(filters, ahead);" in compiled.source["m.c"]) == is_ahead


@pytest.mark.parametrize(("channels", "size"), [(16, 32), (32, 12)])
def test_scratch_memory_is_that_of_a_few_tiles(channels: int, size: int) -> None:
    """Layers of small networks: the sums of three or four tiles fill the registers."""
    module = convolution((1, channels, size, size), channels, (1, 1, 1, 1))
    (op,) = (op for op in module.main.body if op.name == "nn.conv")
    shape = winograd_shape.winograd_shape(op, ISAS["avx512"])
    assert shape is not None
    assert shape.chunk <= 4
    assert shape.slots == shape.chunk
    assert shape.scratch == 4 * 8 * 36 * shape.chunk * 2 * channels // 8


@pytest.mark.parametrize(
    ("outputs", "chunk", "slots"), [(4, 4, 4), (4, 6, 7), (4, 8, 9), (2, 4, 5), (2, 3, 3)]
)
def test_steps_between_tiles_avoid_powers_of_two(outputs: int, chunk: int, slots: int) -> None:
    module = convolution((1, 16, 32, 32), 16, (1, 1, 1, 1))
    (op,) = (op for op in module.main.body if op.name == "nn.conv")
    shape = winograd_shape.winograd_shape(op, ISAS["avx512"])
    assert shape is not None
    assert replace(shape, filtering=Filtering(outputs), chunk=chunk).slots == slots
