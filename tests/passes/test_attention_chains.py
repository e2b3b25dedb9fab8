"""Attention found behind random chains of factors, caps and masks; what it computes stays."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.ir import Builder, DType, Module, Value, build_function, interpret, tensor
from burnish.passes import run_pipeline

QUERIES, KEYS, SIZE = 3, 4, 2
Random = np.random.Generator


def scalar(builder: Builder, number: float) -> Value:
    return builder.constant(np.asarray(number, np.float32))


def scaled(builder: Builder, random: Random, x: Value) -> Value:
    for _ in range(random.integers(3)):
        factor = scalar(builder, float(random.uniform(0.3, 3)))
        x = builder(str(random.choice(["math.mul", "math.div"])), x, factor)
    return x


def capped(builder: Builder, random: Random, x: Value) -> Value:
    if random.random() < 0.5:
        return x
    cap = scalar(builder, float(random.uniform(0.5, 5)))
    return builder("math.mul", builder("math.tanh", builder("math.div", x, cap)), cap)


def masked(builder: Builder, random: Random, x: Value, masks: list[Value]) -> Value:
    """Scores with some of the masks, floats and conditions in any order."""
    for mask in masks:
        if mask.type.dtype.is_float:
            pair = [x, mask] if random.random() < 0.5 else [mask, x]
            x = builder("math.add", *pair)
        else:
            finite = x.op is not None and x.op.name not in ("math.add", "math.select")
            low = scalar(builder, -3.4e38 if finite and random.random() < 0.5 else -np.inf)
            pair = [x, low] if random.random() < 0.5 else [low, x]
            x = builder("math.select", mask, *pair)
    return x


def drawn(seed: int) -> tuple[Module, dict[str, np.ndarray]]:
    """softmax(masks(cap(scale(q k)))) v, and inputs in which no query is without keys."""
    random = np.random.default_rng(seed)
    batch = (2, int(random.integers(1, 3)))[: random.integers(1, 3)]
    shared = (*batch[:-1], 1) if len(batch) == 2 and random.random() < 0.3 else batch
    flip = bool(random.random() < 0.5)
    types = {
        "q": tensor("f32", *batch, QUERIES, SIZE),
        "k": tensor("f32", *shared, *((KEYS, SIZE) if flip else (SIZE, KEYS))),
        "v": tensor("f32", *shared, KEYS, SIZE),
    }
    whole = (*batch, QUERIES, KEYS)
    for index in range(random.integers(3)):
        start = random.integers(len(whole) - 1)
        sizes = [1 if random.random() < 0.3 else n for n in whole[start:-1]] + [KEYS]
        types[f"m{index}"] = tensor(str(random.choice(["f32", "bool"])), *sizes)
    module = Module("chain")
    function, builder = build_function(module, "main", types, ["y"])
    q, k, v, *masks = function.args
    scores = scaled(builder, random, builder("nn.matmul", q, k, transpose_b=flip))
    scores = masked(builder, random, capped(builder, random, scores), masks)
    weights = builder("nn.softmax", scores, axis=len(batch) + 1)
    builder.ret(builder("nn.matmul", weights, v))
    inputs = {}
    for name, type_ in types.items():
        array = random.normal(size=type_.static_shape)
        if not type_.dtype.is_float:
            array = array > 0
            array[..., 0], array[..., 1] = True, False  # whichever means to exclude
        inputs[name] = array.astype(type_.dtype.numpy)
    return module, inputs


@pytest.mark.parametrize("seed", range(120))
def test_a_chain_becomes_attention(seed: int) -> None:
    module, inputs = drawn(seed)
    found = module.copy()
    run_pipeline(found, "canonicalize,fold,recover{fast-math=true},dce", verify="each")
    names = [op.name for op in found.main.walk()]
    assert "nn.attention" in names
    assert "nn.softmax" not in names
    before, after = interpret(module, inputs)["y"], interpret(found, inputs)["y"]
    if np.isfinite(before).all():
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_other_orders_are_no_attention() -> None:
    """A factor of masked scores, and a tanh that is not multiplied by its divisor."""
    for outer in ("math.mul", "math.tanh"):
        module = Module("other")
        types = {name: tensor("f32", 1, 1, 3, 3) for name in "qkvm"}
        function, builder = build_function(module, "main", types, ["y"])
        q, k, v, m = function.args
        scores = builder("math.add", builder("nn.matmul", q, k), m)
        two = [scalar(builder, 2.0)] if outer == "math.mul" else []
        weights = builder("nn.softmax", builder(outer, scores, *two), axis=3)
        builder.ret(builder("nn.matmul", weights, v))
        run_pipeline(module, "canonicalize,recover{fast-math=true},dce")
        assert "nn.attention" not in [op.name for op in module.main.walk()]


@pytest.mark.parametrize(("weights", "values"), [("f16", "f16"), ("f32", "f32")])
def test_narrow_floats_all_the_way_or_not_to_the_end_stay(weights: str, values: str) -> None:
    """Steps in f16 round otherwise than the op, and the op's operands are of one type."""
    module = Module("narrow")
    types = {name: tensor("f16", 1, 1, 3, 3) for name in "qk"}
    types["v"] = tensor(values, 1, 1, 3, 3)
    function, builder = build_function(module, "main", types, ["y"])
    q, k, v = function.args
    scores = builder("nn.matmul", q, k)
    scores = builder("math.cast", scores, to=DType.F32) if weights == "f32" else scores
    builder.ret(builder("nn.matmul", builder("nn.softmax", scores, axis=3), v))
    run_pipeline(module, "canonicalize,recover,dce", verify="each")
    assert "nn.attention" not in [op.name for op in module.main.walk()]
