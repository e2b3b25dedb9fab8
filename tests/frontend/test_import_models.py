"""The trained models and architectures of the shared material, interpreted as imported.

Expected outputs come from onnxruntime with graph optimization off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish.frontend.onnx import check, import_onnx
from burnish.frontend.onnx.load import load_model
from burnish.ir import interpret, verify

SHARED = Path(
    os.environ.get("BURNISH_SHARED") or Path(__file__).resolve().parents[2].parent / "shared"
)
FILES = sorted([*SHARED.glob("models/*/*.onnx"), *SHARED.glob("zoo/*/*.onnx")])
HEAVY = ("dnsmos_sig_bak_ovr",)
MAX_SAMPLES = 20

FLIPPING = {"mobilenet_v2_imagenet_int8": 4.0}
"""Quantized models where a value falls on the border between two integers, so that the order of
a convolution's additions decides which it becomes; the mean difference that this may lead to."""


def arrays(path: Path) -> dict[str, np.ndarray]:
    return {name.replace("__slash__", "/"): array for name, array in np.load(path).items()}


def whole_shapes(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Bindings of the inputs that have dynamic dimensions, from the shapes of sample 0."""
    return {
        value.name: inputs[value.name].shape[1:]
        for value in load_model(path).graph.inputs
        if not all(isinstance(dim, int) for dim in value.type.shape or ())
    }


def check_model(path: Path, samples: int) -> None:
    prefix = "int8_" if path.stem == "int8" else ""
    inputs = arrays(path.parent / f"{prefix}inputs.npz")
    expected = arrays(path.parent / f"{prefix}expected.npz")
    module = import_onnx(path, whole_shapes(path, inputs))
    verify(module)
    assert list(module.main.result_names) == list(expected)
    for k in range(min(samples, len(next(iter(expected.values()))))):
        results = interpret(module, {name: inputs[name][k] for name in module.main.arg_names})
        for name, all_samples in expected.items():
            actual, wanted = results[name], all_samples[k]
            assert (actual.shape, actual.dtype) == (wanted.shape, wanted.dtype)
            difference = np.abs(actual.astype(np.float64) - wanted.astype(np.float64))
            if wanted.dtype.kind == "f":
                assert difference.max() <= 1e-4 * np.abs(all_samples).max(), (name, k)
            elif path.parent.name in FLIPPING:
                assert difference.mean() <= FLIPPING[path.parent.name]
                assert actual.argmax() == wanted.argmax()
            else:
                np.testing.assert_array_equal(actual, wanted)


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.slow] * (p.parent.name in HEAVY)) for p in FILES],
    ids=name_of,
)
def test_model_agrees_with_onnxruntime(path: Path) -> None:
    check_model(path, samples=1)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_model_agrees_on_many_samples(path: Path) -> None:
    check_model(path, samples=4 if path.parent.name in HEAVY else MAX_SAMPLES)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_in_the_model_is_unsupported(path: Path) -> None:
    inputs = arrays(path.parent / ("int8_inputs.npz" if path.stem == "int8" else "inputs.npz"))
    assert check(path, whole_shapes(path, inputs)) == []


def test_all_shared_models_were_found(shared: Path) -> None:
    assert len(FILES) >= 55, shared
