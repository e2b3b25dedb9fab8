"""benchmarks/gpu.py: its arithmetic, and a run of it on the processor."""

from __future__ import annotations

import importlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from burnish.backends import tvm

pytestmark = pytest.mark.skipif(not tvm.has_tvm(), reason="apache-tvm is not installed")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, root: Path) -> Any:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("gpu")


def table(gpu: Any, results: list[Any], ceilings: Any = None) -> str:
    console = Console(file=io.StringIO(), width=gpu.WIDTH)
    gpu.report(results, ceilings, console)
    return console.file.getvalue()


def test_shares_are_of_the_ceiling_of_the_same_precision(gpu: Any) -> None:
    ceilings = gpu.Ceilings({"fp32": 4e12, "fp16": 8e12}, 1e12)
    found = [
        gpu.Result("net", dtype, 1.0, 1e-5, 1e-3, 2e-3, None, operations=10**9, bytes=3 * 10**8)
        for dtype in ceilings.operations
    ]
    text = table(gpu, found, ceilings)
    first, second = (line for line in text.splitlines() if "net" in line)
    assert "25%" in first
    assert "12%" in second
    assert first.count("30%") == second.count("30%") == 1
    assert "1.000" in first
    assert "2.000" in first


def test_wrong_results_are_marked(gpu: Any) -> None:
    for error, wrong in ((1e-6, False), (1.0, True), (math.nan, True)):
        result = gpu.Result("net", "fp32", 1.0, error=error)
        assert result.is_wrong is wrong
        assert ("wrong" in table(gpu, [result])) is wrong
    assert not gpu.Result("net", "fp32", 1.0).is_wrong


def test_differences_are_relative(gpu: Any) -> None:
    expected = np.array([3.0, 4.0], np.float32)
    assert gpu.difference(expected, expected) == 0
    assert gpu.difference(expected * 2, expected) == pytest.approx(1)
    assert math.isnan(gpu.difference(expected * np.float32(math.nan), expected))


def test_medians_leave_out_the_first_runs(gpu: Any) -> None:
    class Torch:
        """Times of 1, 2, 3 … milliseconds."""

        count = 0

        class cuda:
            class Event:
                def __init__(self, enable_timing: bool) -> None:
                    assert enable_timing

                def record(self) -> None: ...

                def synchronize(self) -> None: ...

                def elapsed_time(self, end: object) -> float:
                    Torch.count += 1
                    return float(Torch.count)

    assert gpu.torch_median(Torch, lambda: None, 5) == pytest.approx((gpu.WARM_UP + 3) / 1e3)


def test_a_run_on_the_processor(
    gpu: Any, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "ELEMENTS", 1 << 10)
    model = root / "examples" / "digits" / "digits.onnx"
    assert gpu.main([str(model), "--processor", "--rounds", "3"]) == 0
    printed = capsys.readouterr().out
    assert "digits" in printed
    assert "bandwidth" in printed
