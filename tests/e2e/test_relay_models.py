"""Real models as Relay: every one compiles, and Relay computes what the references do.

The models lie outside the repository.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from real_models import FLOAT_FILES, QUANTIZED_FILES, dims_of
from relay_batches import needs_relay

from burnish import compile as compile_model
from burnish.verification import verify_model

EVERYDAY = [
    "models/digits_gru/model.onnx",
    "models/mlperf_tiny_kws_dscnn/int8.onnx",
    "models/silero_vad_step/model.onnx",
    "zoo/shufflenet_v2/model.onnx",
]
STEPS = {"models/mobilenet_v2_imagenet_int8/int8.onnx": 46}
"""Rounding ties grow over 52 layers."""


@pytest.mark.parametrize("name", EVERYDAY)
def test_small_models_are_text_that_type_checks(shared: Path, name: str) -> None:
    compile_model(shared / name, "relay", dims=dims_of(shared / name))


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("name", [*FLOAT_FILES, *QUANTIZED_FILES])
def test_relay_computes_the_same(shared: Path, name: str) -> None:
    path = shared / name
    result = verify_model(
        str(path), "relay", dims=dims_of(path), samples=1, steps=STEPS.get(name, 1)
    )
    assert [c for c in result.comparisons if not c.ok] == []
