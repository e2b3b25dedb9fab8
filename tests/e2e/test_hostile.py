"""Models that mean harm, or are merely broken, end in C that works or in one clear error."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto, helper, numpy_helper

import burnish
from burnish.cli import main

HOSTILE_NAMES = {
    "quotes": "a\"b'c",
    "newlines": "a\nb\r\n#error injected",
    "comment end": "*/ int injected; /*",
    "line comment": "// \\",
    "trigraph": "??/ ??=",
    "keyword": "while",
    "function": "memcpy",
    "macro": "NULL",
    "header": "../../etc/passwd",
    "format": "%s%n{}{0}",
    "markup": "<script>alert(1)</script>[bold]",
    "unicode": "имя\u202e\x00\ud83d\ude00é".encode("utf-16", "surrogatepass").decode("utf-16"),
    "long": "n" * 10_000,
    "digits": "123",
}


def named_model(name: str, other: str) -> onnx.ModelProto:
    """relu(x + w), with every name that ONNX has chosen by an enemy."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", [name, other], [name + "1"], name=name),
            helper.make_node("Relu", [name + "1"], [name + "2"], name=other, doc_string=name),
        ],
        name,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info(name + "2", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(np.ones((2, 3), np.float32), other)],
        doc_string=name,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.producer_name = name
    return model


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES.keys())
def test_names_are_harmless(name: str, tmp_path: Path) -> None:
    model = named_model(name, f"w{name}")
    x = np.array([[-5, 1, 2], [3, 4, -1]], np.float32)
    for options in ({"name": name, "weights": "array"}, {}):
        compiled = burnish.compile(model, "c:generic", options=options)
        (result,) = compiled.run({name: x}).values()
        np.testing.assert_array_equal(result, np.maximum(x + 1, 0))
        assert all("/" not in file and len(file) < 100 for file in compiled.files)
        page = compiled.report.html()
        assert "<script" not in page
        compiled.report.text()
        again = burnish.load(compiled.save(tmp_path / f"out{len(options)}"))
        np.testing.assert_array_equal(again.run({name: x})[name + "2"], result)


def test_two_models_link_into_one_program(tmp_path: Path) -> None:
    """Every external symbol carries the model's name."""
    import shutil
    import subprocess

    compiler, reader = shutil.which("cc"), shutil.which("nm")
    if compiler is None or reader is None:
        pytest.skip("no C compiler or no nm")
    model = named_model("x", "w")
    objects = []
    for name in ("one", "two"):
        options = {"name": name, "weights": "array"}
        folder = burnish.compile(model, "c:generic", options=options).save(tmp_path / name)
        for source in sorted(folder.glob("*.c")):
            objects.append(source.with_suffix(".o"))
            subprocess.run([compiler, "-c", source, "-o", objects[-1]], check=True)
    listed = subprocess.run(
        [reader, "-g", "--defined-only", *objects], check=True, capture_output=True, text=True
    ).stdout
    symbols = [line.split()[-1] for line in listed.splitlines() if len(line.split()) == 3]
    assert len(symbols) == len(set(symbols)) > 2
    assert all(symbol.lstrip("_").startswith(("one_", "two_")) for symbol in symbols)


def compile_or_refuse(data: bytes) -> None:
    """Anything but a ``burnish.Error`` propagates and fails the test."""
    try:
        burnish.compile(data, "c:generic")
    except burnish.Error as error:
        if not str(error).startswith("error[E-"):
            raise


@pytest.fixture(scope="module")
def digits(request: pytest.FixtureRequest) -> bytes:
    return (request.config.rootpath / "examples" / "digits" / "digits.onnx").read_bytes()


FUZZ = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(FUZZ, max_examples=100)
@given(data=st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    compile_or_refuse(data)


def mutate(original: bytes, edits: list[tuple[float, int, int]]) -> bytes:
    """Flip, remove and repeat bytes at relative places of ``original``."""
    data = bytearray(original)
    for place, kind, value in edits:
        at = int(place * max(len(data) - 1, 0))
        if kind == 0:
            data[at : at + 1] = bytes([value])
        elif kind == 1:
            del data[at : at + 1 + value % 8]
        else:
            data[at:at] = data[at : at + 1 + value % 32]
    return bytes(data)


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=4
)


@settings(FUZZ, max_examples=150)
@given(edits=EDITS)
def test_mutations_of_the_structure(digits: bytes, edits: list[tuple[float, int, int]]) -> None:
    """Nodes, attributes and names come first in a file; weights, which are most of it, do not."""
    compile_or_refuse(mutate(digits[:2500], edits) + digits[2500:])


@settings(FUZZ, max_examples=50)
@given(length=st.floats(0, 1))
def test_truncations(digits: bytes, length: float) -> None:
    compile_or_refuse(digits[: int(len(digits) * length)])


def mutate_values(original: bytes, edits: list[tuple[int, int]]) -> bytes:
    """Replace integers and names inside a well-formed model: the file parses, the graph is off."""
    model = onnx.load_from_string(original)
    places: list[tuple[object, int]] = []
    for node in model.graph.node:
        places += [(node.input, i) for i in range(len(node.input))]
        for attribute in node.attribute:
            places += [(attribute.ints, i) for i in range(len(attribute.ints))]
            places.append((attribute, 0))
    for tensor in model.graph.initializer:
        places += [(tensor.dims, i) for i in range(len(tensor.dims))]
    for value in (*model.graph.input, *model.graph.output):
        places += [(dim, 0) for dim in value.type.tensor_type.shape.dim]
    names = [*(t.name for t in model.graph.initializer), *(n.output[0] for n in model.graph.node)]
    for where, number in edits:
        container, index = places[where % len(places)]
        if isinstance(container, onnx.AttributeProto):
            container.i = number
        elif isinstance(container, onnx.TensorShapeProto.Dimension):
            container.dim_value = number
        elif isinstance(container[index], str):
            container[index] = names[number % len(names)]
        else:
            container[index] = number
    return model.SerializeToString()


NUMBERS = st.one_of(
    st.integers(-3, 9), st.sampled_from([2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**63), 65537])
)
VALUE_EDITS = st.lists(st.tuples(st.integers(0, 10_000), NUMBERS), min_size=1, max_size=3)


@settings(FUZZ, max_examples=150)
@given(edits=VALUE_EDITS)
def test_mutations_of_values(digits: bytes, edits: list[tuple[int, int]]) -> None:
    compile_or_refuse(mutate_values(digits, edits))


@pytest.mark.slow
@settings(FUZZ, max_examples=3000)
@given(edits=EDITS)
def test_many_mutations(digits: bytes, edits: list[tuple[float, int, int]]) -> None:
    compile_or_refuse(mutate(digits[:2500], edits) + digits[2500:])


@pytest.mark.slow
@settings(FUZZ, max_examples=1500)
@given(edits=VALUE_EDITS)
def test_many_mutations_of_values(digits: bytes, edits: list[tuple[int, int]]) -> None:
    compile_or_refuse(mutate_values(digits, edits))


def test_the_command_line_shows_one_error(
    digits: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, data in enumerate((b"", b"text", digits[:1000], digits[:200] + digits[300:])):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        assert main(["compile", str(path), "--out", str(tmp_path / "out")]) == 1
        error = capfd.readouterr().err
        assert error.startswith("error[E-")
        assert "Traceback" not in error
        assert path.name in error
