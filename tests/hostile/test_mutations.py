"""Damaged models end in a model that compiles, or in one error that says where and why."""

from __future__ import annotations

import time
import warnings

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import damage
from onnx import TensorProto
from seed_models import (
    FLOAT,
    INT64,
    SEEDS,
    Arrays,
    integers,
    model,
    node,
    random_inputs,
    weights,
    with_one_node,
)

import burnish
from burnish.ir.errors import InternalError, ModelError, UnsupportedError, VerifyError

MODELS = {name: make() for name, make in SEEDS.items()}
EVERYDAY = settings(max_examples=400, deadline=10_000, suppress_health_check=list(HealthCheck))
LONG = settings(EVERYDAY, max_examples=20_000)
WHOLE_MODEL = ("no outputs", "operator set")
"""Words of errors that are about no node in particular."""


def damaged(name: str, seed: int, index: int | None) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(MODELS[name])
    if index is not None:
        proto = with_one_node(proto, index)
    damage(proto, seed)
    return proto


def compiles_or_says_why(proto: onnx.ModelProto) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            burnish.compile(proto, "c", verify="each")
        return
    except burnish.Error as caught:
        error = caught
    assert not isinstance(error, VerifyError)
    text = str(error)
    assert len(text) < 5000
    about = any(word in text for word in ("node", 'input "', 'output "', *WHOLE_MODEL))
    assert about, text


def check_damaged(name: str, seed: int, index: int | None) -> None:
    start = time.perf_counter()
    compiles_or_says_why(damaged(name, seed, index))
    assert time.perf_counter() - start < 10


CASES = (
    st.sampled_from(sorted(SEEDS)),
    st.integers(0, 1 << 32),
    st.one_of(st.none(), st.integers(0, 15)),
)
test_damaged_models = EVERYDAY(given(*CASES)(check_damaged))
test_damaged_models_long = pytest.mark.slow(LONG(given(*CASES)(check_damaged)))


def test_an_input_the_backend_cannot_take_is_named() -> None:
    """A damaged model once was refused without a word on which input."""
    proto = model([node("Identity", "x", "y")], {"x": (TensorProto.COMPLEX64, [2])})
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.COMPLEX64
    with pytest.raises(burnish.Error, match='input "x"'):
        burnish.compile(proto, "c")


@pytest.mark.parametrize("name", SEEDS)
def test_seed_models_are_right(name: str) -> None:
    compiled = burnish.compile(MODELS[name], "c", verify="each")
    inputs = random_inputs(compiled.artifact.manifest["inputs"], 1)
    actual = compiled.run(inputs)
    expected = burnish.interpret(burnish.import_onnx(MODELS[name]), inputs)
    for output, array in expected.items():
        step = 1 if array.dtype.kind in "iu" and "quantized" in name else 1e-4
        np.testing.assert_allclose(
            actual[output].astype(np.float64), array.astype(np.float64), 1e-4, step
        )


def one(op: str, inputs: str, arrays: Arrays, **attributes: object) -> onnx.ModelProto:
    return model([node(op, inputs, "y", **attributes)], {"x": (FLOAT, [2, 2])}, "y", arrays)


HALF, ZERO = np.array(0.5, np.float32), np.array(0, np.uint8)


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (one("Range", "a a", {"a": integers(1)}), "inputs given: 2"),
        (one("Relu", "x x", {}), "inputs given: 2"),
        (model([node("Relu", "x", "y z")], {"x": (FLOAT, [2])}), "outputs named: 2"),
        (one("QuantizeLinear", "x s z", {"s": HALF, "z": HALF}), "no element type of quantized"),
        (one("QuantizeLinear", "x z z", {"z": ZERO}), "a scale of element type"),
        (
            one("DequantizeLinear", "q s z", {"q": ZERO, "s": HALF, "z": np.array(0, np.int8)}),
            "a zero point of element type i8 for u8",
        ),
    ],
)
def test_nodes_that_make_no_sense(proto: onnx.ModelProto, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        burnish.compile(proto, "c")
    assert caught.value.at[0].startswith("node ")


def test_range_of_large_integers_is_exact() -> None:
    first, last = (1 << 62) + 1, (1 << 62) + 5
    arrays = {"a": np.array(first), "b": np.array(last), "d": np.array(1)}
    proto = model([node("Range", "a b d", "y")], {"x": (FLOAT, [1])}, {"y": INT64}, arrays)
    result = burnish.interpret(burnish.import_onnx(proto), {"x": weights(1)})["y"]
    assert result.tolist() == list(range(first, last))


def test_large_floats_are_no_known_sizes() -> None:
    """A float beyond 2^53 is not taken for an integer, let alone for another one."""
    arrays = {"f": np.array([1e30], np.float32)}
    nodes = [node("Cast", "f", "i", to=INT64), node("Expand", "x i", "y")]
    with pytest.raises(burnish.Error):
        burnish.compile(model(nodes, {"x": (FLOAT, [1])}, "y", arrays), "c")


def test_damage_is_not_internal() -> None:
    """Seeds that once ended in another exception than burnish's own."""
    for name, seed in (("resizing", 4319), ("pools", 7129), ("normalizations", 7168)):
        for index in (None, 0, 1):
            try:
                compiles_or_says_why(damaged(name, seed, index))
            except InternalError as error:
                pytest.fail(f"{name} {seed}: {error}")


def test_zero_points_of_narrow_floats() -> None:
    proto = model(
        [
            node("Cast", "x", "q", to=TensorProto.FLOAT8E4M3FN),
            node("DequantizeLinear", "q s z", "y"),
        ],
        {"x": (FLOAT, [2])},
        "y",
        {"s": HALF},
        opset=19,
    )
    point = proto.graph.initializer.add(name="z", data_type=TensorProto.FLOAT8E4M3FN)
    point.raw_data = b"\x7f"  # NaN
    with pytest.raises((ModelError, UnsupportedError), match="must be 0"):
        burnish.compile(proto, "c")
