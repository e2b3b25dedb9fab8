"""Norms over vectors, against the ops' definition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from op_cases import data

import burnish
from burnish.backends import Target, find_target
from burnish.backends.c.host import build
from burnish.ir import interpret, parse

GENERIC = find_target("c:generic")
FLAGS = (*GENERIC.flags, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1")


def outputs(text: str, inputs: dict[str, np.ndarray], isa: str) -> tuple[str, np.ndarray]:
    """What was selected, and the result."""
    target = Target(f"c:{isa}", "c", "", GENERIC.compilers, FLAGS, host=True, isa=isa)
    artifact = burnish.compile(parse(text), target=target, passes="fuse,dce").artifact
    run = build(artifact.files, artifact.manifest, target).run
    return str(artifact.stages["select"]), run(inputs)["y"]


def norm(op: str, shape: Sequence[int], factors: Sequence[int], axis: int, epilogue: str) -> str:
    x, s = (f"tensor<f32[{', '.join(map(str, sizes))}]>" for sizes in (shape, factors))
    bias = ", %b" if op == "nn.layer_norm" else ""
    return f"""module "m" {{
      func @main(%x: {x}, %s: {s}, %b: {s}) -> ("y": {x}) {{
        %0 = {op}(%x, %s{bias}) {{axis = {axis}, epsilon = 1e-05}}
        %1 = math.add(%0, %x)
        %2 = {epilogue}
        core.return(%2)
      }}
    }}"""


CASES = [
    # shape, scale and bias, axis, whether runs are whole vectors of eight
    ((3, 5, 24), (24,), 2, True),
    ((2, 96), (96,), 1, True),
    ((16,), (16,), 0, True),
    ((4, 8), (8,), 1, True),
    ((1, 3, 40), (40,), 2, True),
    ((3, 13), (13,), 1, False),
    ((2, 3, 16), (3, 16), 1, False),
    ((2, 3, 16), (1, 16), 2, False),
    ((2, 3, 16), (2, 3, 16), 2, False),
]


@pytest.mark.parametrize(
    ("op", "epilogue"), [("nn.layer_norm", "math.gelu(%1)"), ("nn.rms_norm", "math.floor(%1)")]
)
@pytest.mark.parametrize(("shape", "factors", "axis", "whole"), CASES)
def test_norms(
    op: str, shape: Sequence[int], factors: Sequence[int], axis: int, whole: bool, epilogue: str
) -> None:
    text = norm(op, shape, factors, axis, epilogue)
    inputs = {
        "x": 3 * data(tuple(shape), "f32"),
        "s": data(tuple(factors), "f32", salt="s"),
        "b": data(tuple(factors), "f32", salt="b"),
    }
    selected, actual = outputs(text, inputs, "avx2")
    assert ("vector_" in selected) == whole
    expected = interpret(parse(text), inputs)["y"]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


def test_norms_without_a_bias_in_vectors_of_four() -> None:
    text = norm("nn.layer_norm", (3, 12), (12,), 1, "math.relu(%1)").replace("%s, %b)", "%s)")
    inputs = {name: data(shape, "f32", salt=name) for name, shape in
              (("x", (3, 12)), ("s", (12,)), ("b", (12,)))}  # fmt: skip
    selected, actual = outputs(text, inputs, "neon")
    assert "vector_layer_norm" in selected
    np.testing.assert_allclose(actual, interpret(parse(text), inputs)["y"], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("op", ["nn.layer_norm", "nn.rms_norm"])
def test_not_a_number_stays_in_its_run(op: str) -> None:
    text = norm(op, (3, 16), (16,), 1, "math.relu(%1)")
    x = data((3, 16), "f32")
    x[1, 5] = np.nan
    inputs = {"x": x, "s": np.ones(16, np.float32), "b": np.ones(16, np.float32)}
    _, actual = outputs(text, inputs, "avx2")
    assert np.isnan(actual).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(actual[[0, 2]]).any()
