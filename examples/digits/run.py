"""Compile a digit classifier to C, classify 450 handwritten digits, and say what it costs.

    python examples/digits/run.py [FOLDER]

The emitted sources go to FOLDER (default: build/digits).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import burnish

HERE = Path(__file__).resolve().parent


def best_time(model: burnish.CompiledModel, image: np.ndarray, runs: int = 200) -> float:
    """Seconds of the fastest of some calls: what else the machine does only adds to a call."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        model.run({"x": image})
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main(folder: str = "build/digits") -> None:
    """Compile, classify, measure, save."""
    data = np.load(HERE / "digits.npz")
    images = (data["pixels"] / np.float32(16)).reshape(-1, 1, 1, 8, 8)

    start = time.perf_counter()
    model = burnish.compile(HERE / "digits.onnx", target="c")
    seconds = time.perf_counter() - start
    answers = [int(model.run({"x": image})["logits"].argmax()) for image in images]
    accuracy = np.mean(answers == data["labels"])
    model.measure()
    model.save(folder)

    memory, sizes = model.report.memory, model.report.sizes
    assert memory is not None
    code = "" if sizes.code is None else f" and {sizes.code / 1024:.1f} KiB code"
    print(f"compiled  {len(model.report.layers)} layers to C in {seconds:.2f} s")
    print(f"accuracy  {accuracy:.1%} of {len(images)} digits")
    print(f"latency   {best_time(model, images[0]) * 1e6:.0f} µs per digit, called from Python")
    print(f"RAM       {memory.ram / 1024:.1f} KiB")
    print(f"flash     {sizes.weights / 1024:.1f} KiB weights{code}")
    print(f"sources   {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
