"""Emission is deterministic: what is written does not depend on the process that writes it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, json, sys
from pathlib import Path
import burnish
from burnish.dimensions import dims_from_samples
from burnish.samples import file_beside

out = Path(sys.argv[1])
for number, argument in enumerate(sys.argv[2:]):
    model, target = argument.rsplit("@", 1)
    beside = file_beside(model)
    dims = dims_from_samples(model, {}, beside).dims if beside else {}
    burnish.compile(model, target, dims=dims).save(out / str(number))
"""


def written(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def emit(folder: Path, seed: str, jobs: list[str]) -> dict[str, str]:
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *jobs],
        env=os.environ | {"PYTHONHASHSEED": seed},
        check=True,
        timeout=300,
    )
    return written(folder)


def check_equal(tmp_path: Path, jobs: list[str]) -> None:
    one, other = (emit(tmp_path / seed, seed, jobs) for seed in ("1", "2"))
    assert one, jobs
    assert json.dumps(one, indent=1) == json.dumps(other, indent=1)


def test_two_processes_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    digits = root / "examples" / "digits" / "digits.onnx"
    check_equal(tmp_path, [f"{digits}@{target}" for target in ("c", "c:generic", "c:cortex-m4")])


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_for_large_models(shared: Path, tmp_path: Path) -> None:
    names = ("models/silero_vad_step", "models/ppocr_v4_rec", "zoo/swin_tiny", "zoo/resnet50",
             "zoo/mobilevit_xs")  # fmt: skip
    check_equal(tmp_path, [f"{shared / name / 'model.onnx'}@c" for name in names])
