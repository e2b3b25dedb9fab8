"""Attention over vectors: shapes, masks and blocks of every kind, against the op's definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_cases import OpCase, assert_close, cases, data
from portable_vectors import portable

import burnish
from burnish.backends.c import compile_module, threads
from burnish.backends.c.host import build
from burnish.backends.c.kernels import packed_attention
from burnish.ir import DType, Module, build_function, interpret, parse


def attention(
    q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], mask: Any = None, **attributes: Any
) -> OpCase:
    operands = [data(shape, "f32", salt=name) for shape, name in ((q, "q"), (k, "k"), (v, "v"))]
    operands += [] if mask is None else [mask]
    return OpCase("nn.attention", "own", tuple(operands), {"scale": 0.3, **attributes})


def masked(shape: tuple[int, ...], row: int) -> np.ndarray:
    """A mask that leaves nothing to one query, and little to others."""
    kept = data(shape, "bool")
    kept[..., row, :] = False
    return kept


LARGE = [
    attention((1, 2, 65, 16), (1, 2, 65, 16), (1, 2, 65, 24)),
    attention((2, 33, 24), (2, 40, 12), (2, 40, 10), heads=4, kv_heads=2),
    attention((1, 1, 9, 5), (1, 1, 300, 5), (1, 1, 300, 7)),
    attention((1, 2, 100, 8), (1, 2, 150, 8), (1, 2, 150, 8), causal=True, offset=50),
    attention((1, 2, 100, 8), (1, 2, 100, 8), (1, 2, 100, 9), causal=True),
    attention((1, 1, 20, 8), (1, 1, 90, 8), (1, 1, 90, 8), masked((20, 90), 3), causal=True),
    attention(
        (1, 1, 20, 8), (1, 1, 90, 8), (1, 1, 90, 8), masked((20, 90), 3),
        causal=True, masked_rows="nan", softcap=2.0,
    ),
    attention((1, 1, 40, 8), (1, 1, 270, 8), (1, 1, 270, 8), 9 * data((40, 270), "f32")),
]  # fmt: skip
SMALL = [
    case
    for case in cases()
    if case.op == "nn.attention"
    and case.operands[0] is not None
    and case.operands[0].dtype == DType.F32.numpy
    and all(x is None or x.size for x in case.operands)
]


def check(found: list[OpCase], isa: str, *, sanitize: bool = False, count: int = 1) -> str:
    module, inputs, types = Module("cases"), {}, {}
    for i, case in enumerate(found):
        for j, (array, type_) in enumerate(zip(case.operands, case.types)):
            if type_ is not None:
                types[f"c{i}x{j}"], inputs[f"c{i}x{j}"] = type_, array
    function, b = build_function(module, "main", types, [f"c{i}" for i in range(len(found))])
    args = dict(zip(types, function.args))
    values = []
    for i, case in enumerate(found):
        operands = [args.get(f"c{i}x{j}") for j in range(len(case.operands))]
        values += b.create(case.op, operands, case.attributes).results
    b.ret(*values)
    # What starts threads is not without warnings at -O1.
    target = portable(isa, *(["-Wno-error"] if count > 1 else []))
    artifact = compile_module(module, target, {"threads": count})
    assert str(artifact.stages["select"]).count("-> packed_attention") == len(found)
    outputs = build(artifact.files, artifact.manifest, target, sanitize=sanitize).run(inputs)
    for i, case in enumerate(found):
        assert_close(outputs[f"c{i}"], case.expected()[0], f"{case.id} {i}")
    return str(artifact.stages["select"])


@pytest.mark.parametrize("isa", ["avx2", "neon"])
def test_attention_is_what_the_op_means(isa: str) -> None:
    selection = check(LARGE, isa)
    assert "block=25x64" in selection, "several blocks of queries and keys"


def test_threads_share_heads_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LEAST_CYCLES", 0.0)
    single = sum(case.operands[0].shape in ((1, 1, 9, 5), (1, 1, 20, 8)) for case in LARGE)
    assert check(LARGE, "avx2", count=2).count("threads=2") == len(LARGE) - single


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a few queries and keys need several."""
    monkeypatch.setattr(packed_attention, "FEW", 1)
    monkeypatch.setattr(packed_attention, "QUERIES", range(3, 1, -1))
    monkeypatch.setattr(packed_attention, "KEYS", 16)
    monkeypatch.setattr(packed_attention, "CAUSAL_KEYS", 16)


@pytest.mark.usefixtures("small_blocks")
def test_every_option_in_small_blocks() -> None:
    check(SMALL, "avx2")


@pytest.mark.slow
def test_sanitizers_find_nothing() -> None:
    check(LARGE, "avx2", sanitize=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_sanitizers_find_nothing_in_small_blocks() -> None:
    check(SMALL, "avx2", sanitize=True)


GROUP = """module "m" {
  func @main(%q: tensor<f32[1, 18, WIDTH]>, %r: tensor<f32[1, 18, WIDTH]>, %s: tensor<f32[WIDTH]>)
      -> ("y": tensor<f32[1, 18, WIDTH]>) {
    %0 = nn.attention(%q, %q, %q) {scale = 0.5, heads = 2, kv_heads = 2}
    %1 = math.mul(%0, %s)
    %2 = FUNCTION
    %3 = math.add(%2, %r)
    core.return(%3)
  }
}"""


@pytest.mark.parametrize("width", [16, 14])
@pytest.mark.parametrize("function", ["math.relu(%1)", "math.floor(%1)"])
def test_epilogues_are_applied_once(width: int, function: str) -> None:
    """In registers where there is a vector form; whole vectors or not."""
    text = GROUP.replace("WIDTH", str(width)).replace("FUNCTION", function)
    inputs = {
        "q": data((1, 18, width), "f32"),
        "r": data((1, 18, width), "f32", salt="r"),
        "s": data((width,), "f32", salt="s"),
    }
    target = portable("avx2")
    artifact = burnish.compile(parse(text), target=target, passes="fuse,dce").artifact
    assert "packed_attention" in str(artifact.stages["select"])
    assert "core.group" not in str(artifact.stages["select"])
    outputs = build(artifact.files, artifact.manifest, target).run(inputs)
    expected = interpret(parse(text), inputs)["y"]
    np.testing.assert_allclose(outputs["y"], expected, atol=2e-6)


def test_targets_without_vectors_get_plain_c() -> None:
    text = GROUP.replace("WIDTH", "16").replace("FUNCTION", "math.relu(%1)")
    compiled = burnish.compile(parse(text), target="c:generic")
    assert "f32x" not in compiled.source["m.c"]
