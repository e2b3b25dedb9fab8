"""The standard pipelines on real models, every pass held to what it promises (``-m slow``).

Each pass is followed by a comparison of the interpreter's results before and after it, on inputs
of all kinds.  One pipeline of all stages stands for those of all backends, but on quantized
models, where the C backend takes another way.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from real_models import FLOAT_FILES, QUANTIZED_FILES, dims_of

import burnish
from burnish.passes import run_pipeline, standard_pipeline

EVERYTHING = "all stages"
"""No backend has this name: its standard pipeline is that of all stages."""

SMALLER: dict[str, dict[str, object]] = {
    "models/ppocr_cls/model.onnx": {"x": (1, 3, 48, 64)},
    "models/ppocr_v4_det/model.onnx": {"x": (1, 3, 64, 96)},
    "models/ppocr_v4_rec/model.onnx": {"x": (1, 3, 48, 64)},
}
"""Sizes of inputs that show the same in less time."""

LARGE = 1 << 24
"""Models with more operations than this are interpreted on two kinds of inputs, not on all: so
that all models together take minutes."""

CASES = [
    *((name, EVERYTHING) for name in FLOAT_FILES),
    *((name, backend) for name in QUANTIZED_FILES for backend in ("c", "onnx")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backend"), CASES)
def test_every_pass_keeps_what_it_promises(
    shared: Path, monkeypatch: pytest.MonkeyPatch, name: str, backend: str
) -> None:
    monkeypatch.setattr("burnish.passes.trust.equivalence.LARGE", LARGE)
    dims = SMALLER.get(name) or dims_of(shared / name)
    module = burnish.import_onnx(str(shared / name), dims=dims)
    report = run_pipeline(module, standard_pipeline(backend), verify="semantic")
    assert report.notes == []
