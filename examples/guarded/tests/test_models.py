"""What burnish makes of our models changes only when somebody has read the change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import burnish
from burnish.passes import standard_pipeline
from burnish.testing import Golden, assert_compiled, assert_pipeline_preserves

MODELS = sorted((Path(__file__).parent.parent / "models").glob("*.onnx"))


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """Every model in turn; a new file in models/ is guarded at once."""
    model: Path = request.param
    return model


def test_graph_and_plan(path: Path, golden: Golden) -> None:
    """The optimized graph, and where every buffer lies, for the device's target."""
    golden.compiled(burnish.compile(path, "c:generic"), stages=["plan"])


def test_memory(path: Path) -> None:
    """The device has 4 KB for activations; a larger model is an error."""
    burnish.compile(path, "c:cortex-m4", ram="4K", verify="each")


def test_outputs(path: Path, golden: Golden) -> None:
    """What the compiled model answers to the samples beside it, within a tolerance."""
    compiled = burnish.compile(path)
    samples = np.load(path.with_name(f"{path.stem}_inputs.npz"))
    answers = [compiled.run({name: samples[name][i] for name in samples.files}) for i in range(4)]
    golden.numbers({name: np.stack([answer[name] for answer in answers]) for name in answers[0]})


def test_right(path: Path) -> None:
    """Compiled code agrees with onnxruntime and with the reference interpreter."""
    assert_compiled(path)


def test_every_pass_keeps_the_meaning(path: Path) -> None:
    """On ordinary and on special inputs; a failure names the rewrite, with a small example."""
    assert_pipeline_preserves(burnish.import_onnx(path), standard_pipeline("c"))
