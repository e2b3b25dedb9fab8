"""Random operators: the documented generator, distributions, and the same numbers every time."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from burnish.frontend.onnx import import_onnx
from burnish.frontend.onnx.convert.random import splitmix64
from burnish.ir import interpret

F32 = np.float32


def test_generator_is_the_published_one():
    """The first numbers of SplitMix64 in the state 1234567, as its reference code prints them."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert splitmix64(1234567, 3).tolist() == expected


def run(make_model, op, inputs=None, outputs="y", **attributes):
    inputs = inputs or {}
    node = helper.make_node(op, list(inputs), [outputs], **attributes)
    kinds = {name: (array.dtype, array.shape) for name, array in inputs.items()}
    model = make_model([node], kinds, {outputs: None})
    return interpret(import_onnx(model), inputs)[outputs]


def test_uniform_numbers(make_model):
    y = run(make_model, "RandomUniform", shape=[100, 200], low=-1.0, high=3.0, seed=1.0)
    assert y.dtype == F32
    assert y.shape == (100, 200)
    assert -1 <= y.min() < -0.99
    assert 2.99 < y.max() <= 3
    np.testing.assert_allclose([y.mean(), y.var()], [1, 16 / 12], atol=0.02)


def test_normal_numbers(make_model):
    y = run(make_model, "RandomNormal", shape=[20000], mean=2.0, scale=0.5, seed=7.0)
    np.testing.assert_allclose([y.mean(), y.std()], [2, 0.5], atol=0.01)
    tail = np.mean(np.abs(y - 2) > 1)
    assert abs(tail - 0.0455) < 0.005


@pytest.mark.parametrize("op", ["RandomUniformLike", "RandomNormalLike"])
def test_shape_and_type_of_another_tensor(make_model, op):
    x = np.zeros((3, 4), np.float64)
    y = run(make_model, op, {"x": x}, seed=1.0)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    y = run(make_model, op, {"x": x}, dtype=TensorProto.FLOAT16)
    assert y.dtype == np.float16


def test_seeds_and_names_make_streams(make_model):
    def draw(**more):
        return run(make_model, "RandomUniform", shape=[8], **more)

    np.testing.assert_array_equal(draw(), draw())
    np.testing.assert_array_equal(draw(seed=2.0), draw(seed=2.0, outputs="z"))
    assert (draw() != draw(outputs="z")).all()
    assert (draw(seed=2.0) != draw(seed=3.0)).all()


def test_bernoulli(make_model):
    p = np.tile(np.array([0.0, 0.25, 1.0], F32), (10000, 1))
    y = run(make_model, "Bernoulli", {"x": p}, seed=5.0, dtype=TensorProto.INT32)
    assert y.dtype == np.int32
    np.testing.assert_allclose(y.mean(axis=0), [0, 0.25, 1], atol=0.015)


def test_multinomial(make_model):
    p = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]])
    x = np.log(p).astype(F32) + F32(3)
    y = run(make_model, "Multinomial", {"x": x}, sample_size=20000, seed=5.0)
    assert y.shape == (2, 20000)
    found = np.stack([np.bincount(row, minlength=3) for row in y]) / 20000
    np.testing.assert_allclose(found, p, atol=0.015)
