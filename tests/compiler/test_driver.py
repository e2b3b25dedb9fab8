from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import burnish
from burnish.compiled import CompiledModel
from burnish.ir.errors import (
    DimensionError,
    InputError,
    PassError,
    TargetError,
    UsageError,
)
from burnish.outputs import OutputError, read_folder

Sample = dict[str, np.ndarray]


def expected(model: onnx.ModelProto, inputs: Sample) -> Sample:
    return burnish.interpret(burnish.import_onnx(model), inputs)


def check(compiled: CompiledModel, model: onnx.ModelProto, inputs: Sample) -> None:
    outputs = compiled.run(inputs)
    reference = expected(model, inputs)
    assert outputs.keys() == reference.keys()
    for name, array in reference.items():
        np.testing.assert_allclose(outputs[name], array, rtol=1e-5, atol=1e-6)


def test_every_kind_of_model_is_compiled(
    model: onnx.ModelProto, model_file: Path, tmp_path: Path, sample: Sample
) -> None:
    module = burnish.import_onnx(model)
    text = tmp_path / "small.burnish"
    text.write_text(burnish.ir.to_text(module, embed=True))
    before = str(module)
    for source in (model, model.SerializeToString(), model_file, str(model_file), module, text):
        check(burnish.compile(source), model, sample)
    assert str(module) == before


def test_public_attributes(model: onnx.ModelProto) -> None:
    compiled = burnish.compile(model, "c", verify="each")
    assert {"model.c", "model.h"} <= compiled.source.keys()
    assert compiled.source.items() <= compiled.files.items()
    assert compiled.target.name == "c"
    report = compiled.report
    assert [port.name for port in report.inputs] == ["x"]
    assert [port.name for port in report.outputs] == ["y/out"]
    assert report.macs == 32
    assert report.parameters >= 40
    assert report.sizes.weights >= 160
    assert report.memory is not None
    assert {node for layer in report.layers for node in layer.nodes} >= {"product", "relu"}
    assert all(layer.kernel for layer in report.layers)
    assert report.passes[0].ops_before == 4


def test_options_and_name(model: onnx.ModelProto) -> None:
    compiled = burnish.compile(
        model, "c:generic", options={"name": "Other Net", "weights": "array"}
    )
    assert "other_net.c" in compiled.files
    assert "other_net_run" in compiled.source["other_net.h"]


def test_fast_math_is_handed_to_the_passes_that_know_it() -> None:
    softmax = burnish.parse("""
    module "unshifted" {
      func @main(%x: tensor<f32[2, 4]>) -> ("y": tensor<f32[2, 4]>) {
        %e = math.exp(%x)
        %s = tensor.reduce(%e) {kind = "sum", axes = [1], keep_dims = true}
        %y = math.div(%e, %s)
        core.return(%y)
      }
    }
    """)

    def has_softmax(**request: object) -> bool:
        module = burnish.compile(softmax, "onnx", **request).module
        return any(op.name == "nn.softmax" for op in module.main.walk())

    assert not has_softmax()
    assert not has_softmax(options={"fast_math": False})
    assert has_softmax(options={"fast_math": True})
    assert has_softmax(options={"fast-math": "on"})
    asked = burnish.compile(softmax, passes="recover,dce", options={"fast_math": True})
    assert asked.report.pipeline == "recover{fast-math=true},dce"


def test_a_pipeline_of_ones_own(model: onnx.ModelProto, sample: Sample) -> None:
    for passes in ("", "canonicalize,dce", [burnish.passes.make_pass("dce")]):
        compiled = burnish.compile(model, passes=passes)
        check(compiled, model, sample)
    assert burnish.compile(model, passes="").report.pipeline == ""


def test_dims(build_model: Callable[..., onnx.ModelProto]) -> None:
    model = build_model("batch")
    with pytest.raises(DimensionError, match='"batch"'):
        burnish.compile(model)
    for dims in ({"batch": 3}, {"x": (3, 4)}):
        compiled = burnish.compile(model, dims=dims)
        assert compiled.run({"x": np.zeros((3, 4), np.float32)})["y/out"].shape == (3, 8)
    dynamic = burnish.compile(model, dims={"batch": (1, 8)})
    for batch in (1, 5, 8):
        x = np.zeros((batch, 4), np.float32)
        assert dynamic.run({"x": x})["y/out"].shape == (batch, 8)
    with pytest.raises(UsageError, match="a module already"):
        burnish.compile(burnish.import_onnx(model, {"batch": 1}), dims={"batch": 1})


def test_limits(model: onnx.ModelProto) -> None:
    compiled = burnish.compile(model, ram="64K", flash="1M")
    memory = compiled.report.memory
    assert memory is not None
    burnish.compile(model, ram=memory.ram)
    with pytest.raises(TargetError) as caught:
        burnish.compile(model, ram=memory.ram - 1)
    assert "1 B more than the" in caught.value.message
    assert "RAM" in caught.value.message
    with pytest.raises(TargetError, match=r"flash for code and weights, .* more than the 100 B"):
        burnish.compile(model, flash=100)
    with pytest.raises(TargetError, match=r"RAM .*, and it needs .* of flash"):
        burnish.compile(model, ram=1, flash=1)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"calibration": [1]}, UsageError, "calibration is not available"),
        ({"target": "z80"}, TargetError, "no target 'z80'"),
        ({"passes": "canonicalise"}, PassError, "no pass canonicalise"),
        ({"options": {"wieghts": "blob"}}, TargetError, "no option 'wieghts'"),
        ({"options": {"name": 3}}, TargetError, "option name"),
        ({"options": {"fast_math": "maybe"}}, TargetError, "fast-math is 'maybe'.* on or off"),
        ({"options": {"fast_math": 1, "fast-math": 0}}, TargetError, "given twice"),
        ({"verify": "sometimes"}, UsageError, "verify is 'sometimes'"),
        ({"ram": "lots"}, UsageError, 'ram is "lots"'),
        ({"dims": {"batch": 1}}, DimensionError, '"batch"'),
    ],
)
def test_wrong_requests(
    model: onnx.ModelProto, arguments: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        burnish.compile(model, **arguments)


def test_wrong_models(tmp_path: Path) -> None:
    with pytest.raises(burnish.Error, match="does not exist"):
        burnish.compile(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="cannot be read"):
        burnish.compile(tmp_path / "none.burnish")
    (tmp_path / "bad.burnish").write_bytes(b"\xff\xfe")
    with pytest.raises(burnish.Error, match="no IR text"):
        burnish.compile(tmp_path / "bad.burnish")
    with pytest.raises(UsageError, match="not int"):
        burnish.compile(3)


def test_progress_is_told(model: onnx.ModelProto) -> None:
    stages: list[tuple[str, float]] = []
    burnish.compile(model, progress=lambda stage, fraction: stages.append((stage, fraction)))
    names = [stage for stage, _ in stages]
    assert names[0] == "import"
    assert "emit" in names
    assert [fraction for _, fraction in stages] == sorted(fraction for _, fraction in stages)
    assert all(0 <= fraction <= 1 for _, fraction in stages)


def test_inputs_are_checked(model: onnx.ModelProto, sample: Sample) -> None:
    compiled = burnish.compile(model)
    for wrong in ({}, {"z": sample["x"]}, {"x": sample["x"].astype(np.float64)},
                  {"x": sample["x"][:, :3]}):  # fmt: skip
        with pytest.raises(InputError):
            compiled.run(wrong)


def test_another_machines_code_does_not_run_here(model: onnx.ModelProto, sample: Sample) -> None:
    compiled = burnish.compile(model, "c:cortex-m4")
    with pytest.raises(TargetError, match="does not run on this machine"):
        compiled.run(sample)


@pytest.mark.parametrize("weights", ["array", "blob", "load"])
def test_save_and_load(
    model: onnx.ModelProto, sample: Sample, tmp_path: Path, weights: str
) -> None:
    compiled = burnish.compile(model, options={"weights": weights})
    folder = compiled.save(tmp_path / "out")
    again = burnish.load(folder)
    check(again, model, sample)
    assert again.files == compiled.files
    assert again.target == compiled.target
    assert again.module == compiled.module
    assert again.report.to_dict(timing=False) == compiled.report.to_dict(timing=False)
    assert again.save(tmp_path / "copy") == tmp_path / "copy"
    assert read_folder(tmp_path / "copy") == read_folder(folder)


def test_saving_twice_gives_the_same_bytes(model: onnx.ModelProto, tmp_path: Path) -> None:
    for name in ("a", "b"):
        burnish.compile(model).save(tmp_path / name)
    assert read_folder(tmp_path / "a") == read_folder(tmp_path / "b")


def test_the_measured_code_is_in_the_saved_report(model: onnx.ModelProto, tmp_path: Path) -> None:
    compiled = burnish.compile(model)
    code = compiled.measure()
    if code is None:
        pytest.skip("no size tool")
    assert 100 < code < 100_000
    assert burnish.load(compiled.save(tmp_path / "out")).report.sizes.code == code


@pytest.mark.parametrize("change", [{"target": "z80"}, {"emitted": ["x"]}, {"artifact": None}])
def test_loading_what_is_damaged(
    model: onnx.ModelProto, tmp_path: Path, change: dict[str, object]
) -> None:
    import json

    folder = burnish.compile(model).save(tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(burnish.Error):
        burnish.load(folder).run({})
    with pytest.raises(OutputError, match=r"no manifest\.json"):
        burnish.load(tmp_path)
