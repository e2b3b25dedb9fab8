"""Whatever names a model holds, the C compiles under strict warnings and computes the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from seed_models import FLOAT, model, weights

import burnish
from burnish.ir import to_text

NASTY = [
    'a"b', "a'b", "a\nb", "*/ int x; /*", "//", "a\\", "??/", "int", "main", "NULL", "int32_t",
    "é", "日本", "x" * 10_000, " ", "a b", "a_b", "a-b", "A_B", "x0", "arena", "inputs", "outputs",
    "w", "run", "burnish", "[bold]", "[/bold]", "</script><script>alert(1)</script>", "%s%n",
    "\t", "\x01", "\u202e", "{x}", "$(id)", "../../etc/passwd", "-o", "size_t", "static", "i", "k",
    "row", "x_1", "x_1_1", "0", "_", "__asm__", "inf", "true", "I", "errno", "input_0", "result0",
]  # fmt: skip
STRICT = ("-std=c99", "-trigraphs", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror")


def named(names: list[str]) -> onnx.ModelProto:
    """A chain in which every name is one of a value, a node, or a weight."""
    first, *others = names
    current, outputs, arrays, nodes = first, [], {}, []
    for i, name in enumerate(others):
        if i % 3 == 0:
            nodes.append(helper.make_node("Relu", [current], [name], name=name))
            current = name
        elif i % 3 == 1:
            arrays[name] = weights(3, seed=i)
            nodes.append(helper.make_node("Add", [current, name], [f"{name}+"], name=name))
            current = f"{name}+"
        else:
            nodes.append(helper.make_node("Sigmoid", [current], [name], name=names[-i]))
            outputs.append(name)
            current = name
    shown = dict.fromkeys([*outputs, current], FLOAT)
    return model(nodes, {first: (FLOAT, [2, 3])}, shown, arrays)


def holds_up(proto: onnx.ModelProto, folder: Path, **options: object) -> None:
    compiled = burnish.compile(proto, "c", options=options)
    module = burnish.import_onnx(proto)
    inputs = {module.main.arg_names[0]: weights(2, 3)}
    expected = burnish.interpret(module, inputs)
    actual = compiled.run(inputs)
    assert list(actual) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, 1e-5, 1e-6)
    compiled.save(folder)
    sources = [path.name for path in folder.glob("*.c")]
    answer = subprocess.run(
        ["cc", *STRICT, "-c", *sources], cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    text = to_text(compiled.module, embed=True)
    assert to_text(burnish.parse(text), embed=True) == text
    page = (folder / "report.html").read_text("utf-8")
    assert "<script>alert" not in page


@pytest.mark.parametrize("weights_in", ["array", "load"])
def test_all_names_at_once(tmp_path: Path, weights_in: str) -> None:
    holds_up(named(NASTY), tmp_path / "out", weights=weights_in)


@pytest.mark.parametrize("name", ['*/"\n', "main", "x" * 10_000, "日本", "0", "../x"])
def test_names_of_the_model(tmp_path: Path, name: str) -> None:
    proto = named(["x", "y"])
    proto.graph.name = name
    holds_up(proto, tmp_path / "graph")
    holds_up(proto, tmp_path / "option", name=name)
