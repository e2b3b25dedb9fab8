"""Real models as Relay: every one compiles, and Relay computes what the references do.

The models lie outside the repository.  TVM takes about a quarter of an hour to build them all, so
that only small ones are built, unless EVERY_MODEL is set in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from real_models import FLOAT_FILES, QUANTIZED_FILES, dims_of
from relay_batches import FAST_BUILD, needs_relay

from burnish import compile as compile_model
from burnish.backends.relay import RELAY_TARGET
from burnish.verification import verify_model

EVERYDAY = [
    "models/digits_gru/model.onnx",
    "models/mlperf_tiny_kws_dscnn/int8.onnx",
    "models/silero_vad_step/model.onnx",
    "zoo/shufflenet_v2/model.onnx",
]
EVERY_MODEL = "EVERY_MODEL"
QUICK = [
    *(f"models/digits_{kind}/model.onnx" for kind in ("cnn", "gru", "mlp", "vit")),
    *(f"models/mlperf_tiny_ad_autoencoder/{kind}.onnx" for kind in ("model", "int8")),
    *(f"models/mlperf_tiny_kws_dscnn/{kind}.onnx" for kind in ("model", "int8")),
    *(f"models/tflm_sine/{kind}.onnx" for kind in ("model", "int8")),
    "models/mlperf_tiny_ic_resnet8/model.onnx",
    "models/mnist_cnn/model.onnx",
    "models/silero_vad_step/model.onnx",
    "models/tflm_micro_speech/int8.onnx",
    "zoo/addernet/model.onnx",
    "zoo/bert_tiny/model.onnx",
    "zoo/deit_tiny/model.onnx",
    "zoo/squeezenet/model.onnx",
]
"""Models that are built within seconds."""
BUILT = [*FLOAT_FILES, *QUANTIZED_FILES] if os.environ.get(EVERY_MODEL) else QUICK
LAID_OUT = [
    "models/digits_cnn/model.onnx",
    "models/mlperf_tiny_kws_dscnn/model.onnx",
    "models/mlperf_tiny_ic_resnet8/model.onnx",
    "zoo/squeezenet/model.onnx",
]
"""Models of convolutions, for layouts."""
OTHERWISE = BUILT if os.environ.get(EVERY_MODEL) else QUICK[:4]
"""Models that are built with other options, too."""
STEPS = {"models/mobilenet_v2_imagenet_int8/int8.onnx": 46}
"""Rounding ties grow over 52 layers."""


@pytest.mark.parametrize("name", EVERYDAY)
def test_small_models_are_text_that_type_checks(shared: Path, name: str) -> None:
    compile_model(shared / name, "relay", dims=dims_of(shared / name))


def check(path: Path, name: str, options: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
    patch.setenv(RELAY_TARGET, FAST_BUILD)
    steps = STEPS.get(name, 1)
    result = verify_model(
        str(path), "relay", dims=dims_of(path), samples=1, steps=steps, options=options
    )
    assert [c for c in result.comparisons if not c.ok] == []


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("name", BUILT)
def test_relay_computes_the_same(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(shared / name, name, {}, monkeypatch)


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("name", OTHERWISE)
def test_groups_may_be_functions(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(shared / name, name, {"groups": "composite"}, monkeypatch)


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("layout", ["NHWC", "NCHW8c"])
@pytest.mark.parametrize("name", BUILT if os.environ.get(EVERY_MODEL) else LAID_OUT)
def test_layouts_keep_results(
    shared: Path, name: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(shared / name, name, {"layout": layout}, monkeypatch)
