"""Small models for tests of the driver and the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.cli import main


def make_model(batch: int | str = 1, hidden: int = 8) -> onnx.ModelProto:
    """x [batch, 4] -> relu(x @ w + b) [batch, hidden] -> sigmoid."""
    generator = np.random.default_rng(1)
    w = generator.standard_normal((4, hidden)).astype(np.float32)
    b = generator.standard_normal(hidden).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="product"),
        helper.make_node("Add", ["xw", "b"], ["sum"], name="bias"),
        helper.make_node("Relu", ["sum"], ["positive"], name="relu"),
        helper.make_node("Sigmoid", ["positive"], ["y/out"], name="sigmoid"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("y/out", TensorProto.FLOAT, [batch, hidden])],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


@pytest.fixture
def model() -> onnx.ModelProto:
    return make_model()


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A model of static shapes in a folder of its own."""
    folder = tmp_path / "model"
    folder.mkdir()
    onnx.save(make_model(), folder / "small.onnx")
    return folder / "small.onnx"


@pytest.fixture
def open_model_file(tmp_path: Path) -> Path:
    """The same model with a batch of unknown size."""
    folder = tmp_path / "open"
    folder.mkdir()
    onnx.save(make_model("batch"), folder / "open.onnx")
    return folder / "open.onnx"


class CommandLine:
    """Runs the command line in this process; a traceback fails the test."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """Standard output, when the exit status is ``status``."""
        self._capfd.readouterr()
        answer = main([str(argument) for argument in arguments])
        self.out, self.err = self._capfd.readouterr()
        assert "Traceback" not in self.err
        assert answer == status, f"status {answer}\n{self.out}\n{self.err}"
        return self.out


@pytest.fixture
def burnish(capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capfd)


@pytest.fixture(scope="session")
def build_model() -> Callable[..., onnx.ModelProto]:
    return make_model


@pytest.fixture
def sample() -> dict[str, np.ndarray]:
    values: Sequence[float] = (0.5, -1.0, 2.0, 0.25)
    return {"x": np.array([values], np.float32)}
