"""How functions of vectors, and what stands around them, are written for machines."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from portable_vectors import PORTABLE

import burnish
from burnish.backends import find_target
from burnish.backends.c.host import find_compiler
from burnish.backends.c.isa import ISAS, Isa, isa_of
from burnish.backends.c.vector_functions import MOST_TOGETHER, together
from burnish.backends.c.vectors import without_functions
from burnish.ir import interpret, parse, scalar

pytestmark = pytest.mark.usefixtures("portable_vectors")

BLOCKED = "layout(0, 1, 2, 3, 1:8)"


def activated(epilogue: str, channels: int = 128, size: int = 28) -> str:
    """A dense convolution that fills a tile of registers, and what follows it."""
    x = f"tensor<f32[1, {channels}, {size}, {size}]>"
    y = f"{x[:-1]}, {BLOCKED}>"
    return f"""module "m" {{
      func @main(%x: {x}) -> ("y": {x}) {{
        %a = tensor.relayout(%x) {{layout = {BLOCKED}}}
        %w = core.constant() {{value = splat<f32[{channels}, {channels}, 1, 1], 0.01>}}
            : tensor<f32[{channels}, {channels}, 1, 1], layout(0, 1, 2, 3, 1:8, 0:8)>
        %0 = nn.conv(%a, %w) {{strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]}} : {y}
        %1 = {epilogue} : {y}
        %2 = tensor.relayout(%1) {{layout = layout(0, 1, 2, 3)}}
        core.return(%2)
      }}
    }}"""


def test_functions_are_taken_out_of_expressions_innermost_first() -> None:
    calls, rest = without_functions(scalar.parse("x * tanh(exp(-x) + exp(x)) + 1"))
    assert [call.function for _, call in calls] == ["exp", "exp", "tanh"]
    (first, _), (second, _), (last, sum_of_both) = calls
    assert sum_of_both == scalar.Call(
        "tanh", (scalar.Call("add", (scalar.Var(first), scalar.Var(second))),)
    )
    assert rest == scalar.Call(
        "add",
        (scalar.Call("mul", (scalar.Var("x"), scalar.Var(last))), scalar.Literal(1)),
    )


@pytest.mark.parametrize("isa", [isa for isa in ISAS.values() if isa.has_vectors])
def test_as_many_vectors_together_as_registers_allow(isa: Isa) -> None:
    assert together(isa, ["exp", "erf"]) == {32: 4, 16: 2}[isa.registers] <= MOST_TOGETHER
    assert together(isa, ["erf", "tanh"]) == together(isa, []) == 1


@pytest.mark.parametrize("target", ["c", PORTABLE])
@pytest.mark.parametrize("op", ["silu", "gelu", "gelu_tanh", "sigmoid"])
def test_results_finished_together(op: str, target: str) -> None:
    """Tiles of 5 x 3 positions: some of their vectors are finished together, some are left."""
    text = activated(f"math.{op}(%0)", channels=16, size=5)
    x = np.random.default_rng(0).standard_normal((1, 16, 5, 5)).astype(np.float32) * 40
    x[0, 0, 0] = [0.0, -0.0, 3e38, -3e38, 1e-38]
    actual = burnish.compile(parse(text), target=target, passes="fuse,dce").run({"x": x})["y"]
    expected = interpret(parse(text), {"x": x})["y"]
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.skipif(
    isa_of(find_target("c")).name != "avx512", reason="registers are alike on this machine"
)
@pytest.mark.parametrize("op", ["silu", "gelu"])
def test_elements_are_spread_into_registers_where_that_is_free(op: str, tmp_path: Path) -> None:
    """Into one that AVX-512 added, spreading takes part of the time of products."""
    target = find_target("c")
    compiled = burnish.compile(parse(activated(f"math.{op}(%0)")), target=target, passes="fuse,dce")
    compiled.artifact.write(tmp_path)
    command = [*find_compiler(target), *target.flags, "-S", "m.c", "-o", "m.s"]
    subprocess.run(command, cwd=tmp_path, check=True)
    text = (tmp_path / "m.s").read_text("utf-8")
    spread = re.findall(r"vbroadcastss\s+\d*\(%r(?!ip)\w+\), %ymm(\d+)", text)
    assert len(spread) > 8
    assert max(map(int, spread)) < 16


def test_a_vector_per_position_is_not_left_to_the_compiler() -> None:
    """GCC asks again for every eight elements whether memory overlaps."""
    x = "tensor<f32[1, 16, 6, 6]>"
    text = f"""module "m" {{
      func @main(%x: {x}, %s: tensor<f32[1, 16, 1, 1]>) -> ("y": {x}) {{
        %a = tensor.relayout(%x) {{layout = {BLOCKED}}}
        %0 = math.mul(%a, %s) : {x[:-1]}, {BLOCKED}>
        %1 = tensor.relayout(%0) {{layout = layout(0, 1, 2, 3)}}
        core.return(%1)
      }}
    }}"""
    compiled = burnish.compile(parse(text), target=PORTABLE, passes="fuse,dce")
    kernel = compiled.source["m.c"].split("elementwise_0(")[1].split("\n}")[0]
    assert "f32x8" in kernel
    assert kernel.count("for (") == 2
    rng = np.random.default_rng(1)
    inputs = {
        "x": rng.standard_normal((1, 16, 6, 6)).astype(np.float32),
        "s": rng.standard_normal((1, 16, 1, 1)).astype(np.float32),
    }
    expected = interpret(parse(text), inputs)["y"]
    np.testing.assert_array_equal(compiled.run(inputs)["y"], expected)
