from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import burnish
from burnish.ir.errors import InputError, MismatchError
from burnish.samples import Samples, write_arrays
from burnish.verification import (
    Comparison,
    Difference,
    ReferenceUnavailableError,
    Verification,
    choose_samples,
    interpreter,
    onnxruntime_execution,
    verify_execution,
    verify_model,
)

Array = np.ndarray


def compare(actual: object, expected: object, tolerance: float = 1e-4, step: int = 0) -> Comparison:
    difference = Difference()
    difference.add(np.asarray(actual), np.asarray(expected))
    return difference.comparison("y", "reference", tolerance, step)


F = np.float32


def test_relative_to_the_scale_of_the_output() -> None:
    found = compare(F([1000.05, 0.0]), F([1000, 0.05]))
    assert found.max_abs == pytest.approx(0.05, rel=1e-3)
    assert found.max_rel == pytest.approx(5e-5, rel=1e-3)
    assert found.ok
    assert not compare(F([1.0, 0.0]), F([1.0, 0.05])).ok


def test_an_output_of_zeros_is_compared_absolutely() -> None:
    assert compare(F([0, 0]), F([0, 0])).ok
    assert compare(F([1e-5]), F([0])).max_rel == pytest.approx(1e-5)
    assert not compare(F([1e-3]), F([0])).ok


def test_special_values_must_be_in_the_same_places() -> None:
    nan, inf = np.nan, np.inf
    assert compare(F([nan, inf, -inf, 1]), F([nan, inf, -inf, 1])).ok
    for actual, expected in (([nan], [1]), ([1], [nan]), ([inf], [-inf]), ([1e30], [inf])):
        assert not compare(F(actual), F(expected)).ok


def test_integers_must_be_equal_but_for_steps() -> None:
    assert compare(np.int8([1, 2]), np.int8([1, 2])).ok
    assert not compare(np.int8([1, 3]), np.int8([1, 2])).ok
    assert compare(np.int8([1, 3]), np.int8([1, 2]), step=1).ok
    assert compare(np.array([True]), np.array([True])).ok
    assert not compare(np.array([True]), np.array([False])).ok


def test_large_integers_that_differ_do_not_agree() -> None:
    assert not compare(np.int64([2**60 + 1]), np.int64([2**60])).ok


def test_wrong_types_and_shapes_and_missing_outputs() -> None:
    assert "float64" in compare(np.zeros(2), F([0, 0])).problem
    assert "[2, 1]" in compare(np.zeros((2, 1), F), F([0, 0])).problem
    difference = Difference()
    difference.add(None, F([0]))
    assert not difference.comparison("y", "r", 1, 0).ok


def test_empty_outputs_agree() -> None:
    assert compare(np.zeros((0, 3), F), np.zeros((0, 3), F)).ok


def samples(*values: float) -> Samples:
    return Samples({"x": F(values)}, "test")


def test_all_samples_are_accumulated() -> None:
    result = verify_execution(
        lambda inputs: {"y": inputs["x"] + F(0.02)},
        {"exact": lambda: lambda inputs: {"y": inputs["x"]}},
        samples(1, 100),
    )
    (comparison,) = result.comparisons
    assert comparison.elements == 2
    assert comparison.scale == 100
    assert comparison.max_rel == pytest.approx(2e-4, rel=1e-2)
    assert not result.ok


def test_a_reference_that_is_not_there_is_skipped() -> None:
    def absent() -> None:
        raise ReferenceUnavailableError("not installed")

    result = verify_execution(lambda inputs: inputs, {"absent": absent}, samples(1))
    assert result.skipped == {"absent": "not installed"}
    assert not result.ok
    with pytest.raises(ReferenceUnavailableError, match="nothing to compare with"):
        result.raise_if_different()


def test_a_difference_raises() -> None:
    result = verify_execution(
        lambda inputs: {"y": inputs["x"] * 2}, {"one": lambda: lambda i: {"y": i["x"]}}, samples(1)
    )
    with pytest.raises(MismatchError, match='"y" differs from one by 1'):
        result.raise_if_different()


def test_interpreter_and_onnxruntime_agree(
    model: onnx.ModelProto, sample: dict[str, Array]
) -> None:
    pytest.importorskip("onnxruntime")
    module = burnish.import_onnx(model)
    one = interpreter(module)(sample)["y/out"]
    for source in (model, model.SerializeToString()):
        other = onnxruntime_execution(source, ["y/out"])(sample)["y/out"]
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_what_onnxruntime_refuses_is_unavailable() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ReferenceUnavailableError, match="onnxruntime does not run the model"):
        onnxruntime_execution(b"no model", [])


def test_verify_model_finds_a_broken_pass(
    model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = verify_model(model, samples=3)
    assert result.ok
    assert result.samples == 3
    result.raise_if_different()
    emit = burnish.backends.c.compile_module

    def wrong(module: burnish.Module, *arguments: object) -> object:
        artifact = emit(module, *arguments)
        files = {
            name: text.replace("expf(", "-expf(") if isinstance(text, str) else text
            for name, text in artifact.files.items()
        }
        return type(artifact)(files, artifact.manifest, artifact.stages)

    monkeypatch.setattr("burnish.backends.c.compile_module", wrong)
    broken = verify_model(model)
    assert isinstance(broken, Verification)
    assert not broken.ok


def test_samples_are_chosen(model_file: Path, tmp_path: Path) -> None:
    module = burnish.import_onnx(model_file)
    assert choose_samples(model_file, module, None, None, 3).origin == "random numbers, seed 3"
    assert len(choose_samples(model_file, module, None, 5, 0)) == 5
    write_arrays(model_file.parent / "inputs.npz", {"x": np.zeros((4, 1, 4), np.float32)})
    assert len(choose_samples(model_file, module, None, None, 0)) == 4
    assert len(choose_samples(str(model_file), module, None, 2, 0)) == 2
    write_arrays(tmp_path / "other.npz", {"z": np.zeros((4, 1, 4), np.float32)})
    with pytest.raises(InputError):
        choose_samples(model_file, module, str(tmp_path / "other.npz"), None, 0)
