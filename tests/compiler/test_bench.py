"""``burnish bench`` and what it is made of: engines, turns, tables.  No test looks at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from rich.console import Console

from burnish.backends import tvm
from burnish.bench import ENGINES, Layer, Measurement, Timing, engines, installed_engines, measure
from burnish.bench.engines import Engine, prepare
from burnish.bench.prepared import EngineError, Prepared
from burnish.bench.table import MARKDOWN_HEADER, layer_table, markdown_rows, timing_table
from burnish.bench.turns import turns
from burnish.ir import Array
from burnish.ir.errors import InputError, TargetError, UsageError

from .conftest import CommandLine

FOUND = Measurement(
    "net",
    2e6,
    1e9,
    (
        Timing("burnish", 1, 4e-3, 3e-3),
        Timing("onnxruntime", 1, 8e-3, 7e-3, 1e-6),
        Timing("burnish", 2, 2e-3, 1.5e-3),
        Timing("onnxruntime", 2, 5e-3, 4e-3, 1e-6),
        Timing("other", 2, 1e-3, 1e-3, 2e-6),
    ),
    (Layer(0, "conv", "tile=4x2", "nn.conv", "tensor<f32[1]>", 1e-3, 5e5),),
)


@pytest.fixture
def digits(root: Path) -> Path:
    return root / "examples" / "digits" / "digits.onnx"


def test_figures_follow_from_times() -> None:
    assert FOUND.threads == [1, 2]
    assert FOUND.ratio("onnxruntime", 1) == 0.5
    assert FOUND.ratio("other", 1) is None
    assert FOUND.ratio("other", 2) == 2.0
    assert FOUND.speedup(2) == 2.0
    assert FOUND.share(FOUND.timings[0]) == pytest.approx(0.5)
    assert FOUND.share(FOUND.timings[2]) == pytest.approx(0.5)  # of two cores


def test_markdown_has_a_row_per_number_of_threads() -> None:
    one, two = markdown_rows(FOUND)
    cells = [cell.strip() for cell in two.strip("|").split("|")]
    assert len(cells) == len(MARKDOWN_HEADER)
    assert cells == [
        "net",
        "2",
        "2.000",
        "5.000",
        "0.40",
        "other 2.00",
        "2.00",
        "1.0",
        "50%",
        "1e-06",
    ]
    assert one.startswith("| net | 1 | 4.000 | 8.000 | 0.50 |  |  | 0.5 |")


def test_tables_show_engines_and_steps() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(timing_table(FOUND), layer_table(FOUND.layers, FOUND.peak))
    text = console.export_text()
    for word in ("onnxruntime", "0.50", "conv tile=4x2", "1000.0", "50%"):
        assert word in text


def test_all_engines_take_turns_with_equal_inputs(digits: Path) -> None:
    pytest.importorskip("onnxruntime")
    found = measure(
        digits, threads=(1, 2), rounds=2, layers=True, engines=["onnxruntime"], peak=lambda: 1e9
    )
    names = [(t.engine, t.threads) for t in found.timings]
    assert names == [("burnish", 1), ("onnxruntime", 1), ("burnish", 2), ("onnxruntime", 2)]
    assert all(0 < t.least <= t.median for t in found.timings)
    assert all(t.error < 1e-5 for t in found.timings)
    assert found.flops > 0
    assert [layer.number for layer in found.layers] == list(range(len(found.layers)))
    assert sum(layer.flops for layer in found.layers) > 0
    assert all(layer.seconds > 0 for layer in found.layers)


def fake(name: str, module: str = "json") -> Engine:
    def prepared(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
        if name == "broken":
            raise RuntimeError("operator Conv is unknown")
        outputs = [np.zeros((1, 10), np.float32)]
        return Prepared(name, threads, lambda: None, outputs, in_caller=False)

    return Engine(name, module, prepared)


def test_engines_that_fail_are_listed(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {name: fake(name) for name in ("idle", "broken")}
    monkeypatch.setattr(engines, "ENGINES", both)
    found = measure(digits, engines=list(both), rounds=1, peak=lambda: 1e9)
    assert [t.engine for t in found.timings] == ["burnish", "idle"]
    assert found.missing == (("broken", "broken does not run the model: operator Conv is unknown"),)
    assert found.timings[1].error > 0.1  # zeros are no probabilities


def test_scalars_stay_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs that lie beside a model reach engines in their own shapes."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    np.savez(tmp_path / "inputs.npz", x=np.ones(1, np.float32))  # one sample
    shapes = []

    def prepared(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
        shapes.append(inputs["x"].shape)
        return Prepared("idle", threads, lambda: None, [np.zeros((), np.float32)], in_caller=False)

    monkeypatch.setattr(engines, "ENGINES", {"idle": Engine("idle", "json", prepared)})
    measure(tmp_path / "model.onnx", engines=["idle"], rounds=1, peak=lambda: 1e9)
    assert shapes == [()]


@pytest.mark.skipif(not tvm.has_tvm(), reason="apache-tvm is not installed")
def test_the_target_tvm_is_an_engine(digits: Path) -> None:
    found = measure(digits, engines=["burnish-tvm"], rounds=1, peak=lambda: 1e9)
    assert not found.missing
    assert found.timings[1].error == 0


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the module of emx-onnx-cgen, which is a program that writes model.c."""
    package = tmp_path / "emx_onnx_cgen"
    package.mkdir()
    (package / "__init__.py").write_text("", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return package / "__main__.py"


def test_another_generator_of_c_is_an_engine(tmp_path: Path, generator: Path) -> None:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph), tmp_path / "open.onnx")
    generator.write_text(
        """
import sys
assert sys.argv[1:6] == ["compile", "--model-name", "emitted_model", "--input-dim", "x:0=2"]
open("emitted_model.bin", "wb").write(bytes([3]))
open(sys.argv[7], "w").write('''
#include <stdio.h>
static int factor;
_Bool emitted_model_load(const char *path)
{
    FILE *file = fopen(path, "rb");
    factor = file ? fgetc(file) : 0;
    return file && fclose(file) == 0;
}
void emitted_model(const float x[2][4], float y[2][4])
{
    for (int i = 0; i < 8; i++)
        y[0][i] = factor * x[0][i];
}
''')
""",
        "utf-8",
    )
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    ready = ENGINES["emx-onnx-cgen"].prepare(tmp_path / "open.onnx", {"x": x}, 1)
    ready.call()
    np.testing.assert_array_equal(ready.outputs[0], 3 * x)
    assert ready.in_caller


def test_another_generator_of_c_may_refuse(digits: Path, generator: Path) -> None:
    generator.write_text("raise SystemExit('error: Conv is unknown')", "utf-8")
    with pytest.raises(EngineError, match="error: Conv is unknown"):
        ENGINES["emx-onnx-cgen"].prepare(digits, {"x": np.zeros((1, 1, 8, 8), np.float32)}, 1)
    with pytest.raises(EngineError, match="one thread"):
        ENGINES["emx-onnx-cgen"].prepare(digits, {}, 2)


def test_engines_that_are_not_there_are_refused(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match='no engine "abacus"'):
        prepare("abacus", digits, {}, 1)
    absent = replace(ENGINES["tvm"], module="no_such_module")
    monkeypatch.setattr(engines, "ENGINES", {"tvm": absent})
    assert installed_engines() == []
    with pytest.raises(UsageError, match="tvm is not installed") as caught:
        prepare("tvm", digits, {}, 1)
    assert "pip install apache-tvm" in str(caught.value)


def test_only_what_runs_here_is_measured(digits: Path) -> None:
    for target in ("c:cortex-m4", "onnx"):
        with pytest.raises(TargetError, match="does not run on this machine"):
            measure(digits, target)


def test_sizes_have_to_be_known(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in ("x", "y")]
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "net", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph), tmp_path / "open.onnx")
    with pytest.raises(InputError, match="shape of input"):
        measure(tmp_path / "open.onnx", dims={"n": (1, 4)}, engines=[])


def test_the_command_prints_a_table_or_json(burnish: CommandLine, digits: Path) -> None:
    alone = ("bench", str(digits), "--rounds", "1", "--engine", "onnxruntime")
    shown = burnish(*alone, "--layers")
    assert "burnish" in shown
    assert "blocked_conv" in shown or "conv" in shown
    data = json.loads(burnish(*alone, "--json"))
    assert data["model"] == "digits"
    assert data["timings"][0]["engine"] == "burnish"
    assert data["timings"][0]["ratio"] == 1.0
    assert data["layers"] == []


def test_rounds_of_a_number_of_threads_follow_each_other() -> None:
    """So that cores stay awake; several runs of them, so that drift meets all alike."""
    found = list(turns((1, 2), 23))
    assert [threads for _, threads in found] == [
        threads for length in (10, 10, 3) for threads in [1] * length + [2] * length
    ]
    assert [threads for number, threads in found if number == 0] == [1, 2, 1, 2, 1, 2]
