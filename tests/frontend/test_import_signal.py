"""Audio operators against onnxruntime, with sizes that are constants and with run-time ones."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret
from burnish.ir.errors import InputError

F32, I64 = np.float32, np.int64
SIGNAL = np.random.default_rng(7).uniform(-1, 1, (2, 40, 1)).astype(F32)
COMPLEX = np.random.default_rng(8).uniform(-1, 1, (2, 16, 3, 2)).astype(F32)


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
def test_windows(agree, make_model, op, periodic):
    node = helper.make_node(op, ["n"], ["y"], periodic=periodic)
    agree(make_model([node], {}, {"y": F32}, {"n": np.array(25)}), {})


@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("length", [None, 8, 32])
@pytest.mark.parametrize("opset", [17, 20])
def test_transforms_of_any_axis(agree, make_model, inverse, length, opset):
    known = {"n": np.array(8 if length is None else length), "axis": np.array(1)}
    inputs = ["x", "" if length is None else "n", *(["axis"] if opset == 20 else [])]
    more = {"axis": 1} if opset == 17 else {}
    node = helper.make_node("DFT", inputs, ["y"], inverse=inverse, **more)
    model = make_model([node], {"x": (F32, COMPLEX.shape)}, {"y": F32}, known, opset=opset)
    agree(model, {"x": COMPLEX})


def stft(make_model, inputs, constants):
    node = helper.make_node("STFT", inputs, ["y"])
    given = {"x": (F32, SIGNAL.shape), "step": (I64, ()), "length": (I64, ())}
    given = {name: kind for name, kind in given.items() if name not in constants}
    model = make_model([node], given, {"y": F32}, constants)
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 7, 9, 2])
    )
    return model


CONSTANTS = {"step": np.array(4), "length": np.array(16), "w": np.hanning(16).astype(F32)}


@pytest.mark.parametrize("inputs", ["x step w length", "x step w", "x step _ length"])
def test_spectrograms(agree, make_model, inputs):
    names = ["" if name == "_" else name for name in inputs.split()]
    agree(stft(make_model, names, CONSTANTS), {"x": SIGNAL})


def test_spectrograms_with_frames_given_at_run_time(make_model):
    expected = interpret(
        import_onnx(stft(make_model, ["x", "step", "w", "length"], CONSTANTS)), {"x": SIGNAL}
    )
    model = stft(make_model, ["x", "step", "w", "length"], {"w": CONSTANTS["w"]})
    module = import_onnx(model)
    sizes = {"step": np.array(4), "length": np.array(16)}
    actual = interpret(module, {"x": SIGNAL, **sizes})
    np.testing.assert_allclose(actual["y"], expected["y"], atol=1e-6)
    for wrong in ({"step": np.array(5)}, {"step": np.array(0)}, {"length": np.array(18)}):
        with pytest.raises(InputError):
            interpret(module, {"x": SIGNAL, **sizes, **wrong})


def test_mel_filter_bank(agree, make_model):
    numbers = {"bins": np.array(12), "length": np.array(64), "rate": np.array(8000)}
    edges = {"low": np.array(0, F32), "high": np.array(4000, F32)}
    node = helper.make_node("MelWeightMatrix", ["bins", "length", "rate", "low", "high"], ["y"])
    agree(make_model([node], {}, {"y": F32}, {**numbers, **edges}), {})
