"""Targets and options: found by name, checked against their declaration."""

from __future__ import annotations

import pytest

from burnish.backends import (
    Target,
    complete_options,
    find_target,
    options_of,
    register_target,
    split_options,
    targets,
)
from burnish.ir.errors import TargetError


def test_the_c_targets_are_there() -> None:
    wanted = {"c", "c:x86-64-v3", "c:aarch64", "c:generic"}
    wanted |= {"c:cortex-m4", "c:cortex-m7", "c:cortex-m55", "c:rv32imc"}
    assert wanted <= set(targets())
    assert all(target.doc for target in targets().values())
    assert all(target.flags for target in targets().values() if target.backend == "c")


def test_the_onnx_target_is_there() -> None:
    assert find_target("onnx").host
    assert complete_options(find_target("onnx"))["opset"] == 0


def test_an_unknown_target_is_answered_with_the_nearest() -> None:
    with pytest.raises(TargetError, match="cortexm4") as caught:
        find_target("c:cortexm4")
    assert "did you mean c:cortex-m4?" in caught.value.help


def test_a_target_object_stands_for_itself() -> None:
    target = Target("mine", "c", "a board")
    assert find_target(target) is target


def test_names_are_registered_once_and_for_known_backends() -> None:
    assert register_target(find_target("c")) is find_target("c")
    with pytest.raises(TargetError, match="registered already"):
        register_target(Target("c", "c", "another"))
    with pytest.raises(TargetError, match="unknown backend"):
        register_target(Target("d", "pascal", ""))


def test_options_are_declared_with_defaults_that_targets_may_override() -> None:
    assert all(option.doc for option in options_of("c"))
    assert complete_options(find_target("c"))["weights"] == "blob"
    assert complete_options(find_target("c:cortex-m4"))["weights"] == "array"
    chosen = complete_options(find_target("c"), {"weights": "load"})
    assert chosen["weights"] == "load"


def test_common_options_are_split_off_and_names_may_have_underscores() -> None:
    common, own = split_options(find_target("onnx"), {"fast_math": True, "external_data": "on"})
    assert common == {"name": "", "fast-math": True, "tune": ""}
    assert own == {"opset": 0, "external-data": "on"}


def test_wrong_options_are_refused_with_what_is_right() -> None:
    with pytest.raises(TargetError, match="weigths") as caught:
        complete_options(find_target("c"), {"weigths": "array"})
    assert "did you mean weights?" in caught.value.help
    with pytest.raises(TargetError, match="fast-maht") as caught:
        split_options(find_target("c"), {"fast_maht": True})
    assert "did you mean fast-math?" in caught.value.help
    with pytest.raises(TargetError, match="array or blob or load"):
        complete_options(find_target("c"), {"weights": "cloud"})
