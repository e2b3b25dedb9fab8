"""Emitted files: text, names, weights in every mode, determinism, strictness, several compilers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish.backends import Artifact
from burnish.backends.c import compile_module, runner, runner_from_files
from burnish.backends.c.names import identifier, string_literal
from burnish.backends.names import Names
from burnish.ir import (
    Block,
    Builder,
    DType,
    Location,
    Module,
    build_function,
    interpret,
    symbol,
    tensor,
)
from burnish.ir.errors import ModelError, UnsupportedError

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
HOSTILE = [
    "int",
    "a*/b",
    "/* // */",
    "??/",
    "\\",
    'quote"',
    "new\nline\r\0",
    "ünï→",
    "x" * 10_000,
    "",
    " ",
    "2",
    "_A",
    "A",
    "a",
    "NULL",
    "\udcff",
    "%s%n",
]


def small(name: str = "tiny", extra: str = "") -> Module:
    """A perceptron's worth of everything: group, weights, view, in-place reuse, branches."""
    module = Module(name)
    function, b = build_function(
        module, "main", {"x": tensor("f32", 2, 3), f"flag{extra}": tensor("bool")}, [f"y{extra}"]
    )
    x, flag = function.args
    b.location = Location.node(f"layer{extra}", "Mul")
    weight = b.constant(np.array([[0.1, -2, 3e-8], [1, 1e30, -0.0]], np.float32), f"w{extra}")
    product = b("math.mul", x, weight)
    block = Block([product.type, x.type])
    inner = Builder(block)
    total = inner("math.add", *block.args)
    inner.yield_(inner("math.max", total, inner.constant(np.float32(0.25))))
    group = b.create("core.group", [product, x], regions=[block], location=b.location)
    flat = b("tensor.reshape", group.result, shape=(6,))
    regions = []
    for op in ("math.exp", "math.neg"):
        region = Block([flat.type])
        inner = Builder(region)
        inner.yield_(inner(op, region.args[0]))
        regions.append(region)
    b.ret(b.create("control.if", [flag, flat], regions=regions).result)
    return module


def swaps() -> Module:
    """A loop whose carried values change places, with a shared kernel and a copied output."""
    module = Module("swaps")
    vector, flag, count = tensor("f16", 3), tensor("bool"), tensor("i64")
    function, b = build_function(module, "main", {"n": count, "p": vector, "q": vector})
    n, p, q = function.args
    body = Block([count, flag, vector, vector])
    inner = Builder(body)
    _, going, left, right = body.args
    doubled = inner("math.add", left, left)
    inner.yield_(going, right, inner("math.silu", doubled))
    loop = b.create("control.loop", [n, None, p, q], {"carried": 2}, regions=[body])
    b.ret(*loop.results, p)
    return module


def inputs_of(artifact: Artifact) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made = {}
    for entry in artifact.manifest["inputs"]:
        dtype = DType.parse(entry["dtype"]).numpy
        made[entry["name"]] = np.asarray(rng.uniform(-1, 1, entry["shape"])).astype(dtype)
    return made


def compile_strictly(folder: Path, *sources: str, compiler: str = "cc") -> None:
    command = [compiler, *STRICT, "-c", *sources]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("make", [small, swaps], ids=["tiny", "swaps"])
def test_stages_and_files(make: Callable[[], Module], golden: Callable[..., None]) -> None:
    artifact = compile_module(make(), "c:generic", {"weights": "array"})
    for stage, data in artifact.stages.items():
        golden(str(data), suffix=f".{stage}")
    for file, text in artifact.files.items():
        golden(str(text), suffix=file.removeprefix(artifact.manifest["name"]))


@pytest.mark.parametrize("arena", ["caller", "static"])
@pytest.mark.parametrize("weights", ["array", "blob", "load"])
def test_every_way_to_hold_weights_and_arena_computes_the_same(weights: str, arena: str) -> None:
    module = small()
    artifact = compile_module(module, "c", {"weights": weights, "arena": arena})
    inputs = inputs_of(artifact)
    np.testing.assert_allclose(
        runner(artifact).run(inputs)["y"], interpret(module, inputs)["y"], rtol=1e-6
    )


def test_weights_that_are_not_loaded_are_an_error_of_the_run_function() -> None:
    artifact = compile_module(small(), "c", {"weights": "load"})
    source = artifact.files["tiny.c"]
    assert isinstance(source, str)
    assert "TINY_ERROR_WEIGHTS" in source


def constants_of_all_types() -> Module:
    module = Module("types")
    function, b = build_function(module, "main", {})
    results = []
    for dtype in DType:
        if dtype in (DType.C64, DType.C128):
            continue
        if dtype is DType.BOOL:
            array = np.array([True, False, True])
        elif dtype.is_integer:
            array = np.array([*dtype.integer_range, 1]).astype(dtype.numpy)
        else:
            array = np.array([1.5, -0.0, np.inf, -np.inf, np.nan, 1e-3, 3e-39]).astype(dtype.numpy)
        results.append(b.constant(array, str(dtype)))
    results.append(b.constant(np.zeros((0, 3), np.float32), "empty"))
    b.ret(*results)
    function.result_names = tuple(str(value.name) for value in results)
    return module


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("weights", ["array", "blob"])
def test_constants_keep_every_bit(weights: str) -> None:
    module = constants_of_all_types()
    artifact = compile_module(module, "c", {"weights": weights})
    actual, expected = runner(artifact).run({}), interpret(module, {})
    for name, array in expected.items():
        if name.startswith("f") and np.isnan(array.astype(np.float64)).any():
            np.testing.assert_array_equal(
                actual[name].astype(np.float64), array.astype(np.float64), name
            )
        else:
            assert actual[name].tobytes() == array.tobytes(), name


def test_f32_constants_survive_decimal_text() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 50_000, dtype=np.uint32).view(np.float32)
    values = bits[np.isfinite(bits)]
    module = Module("floats")
    _, b = build_function(module, "main", {}, ["y"])
    b.ret(b.constant(values))
    artifact = compile_module(module, "c", {"weights": "array"})
    assert runner(artifact).run({})["y"].tobytes() == values.tobytes()


def test_emission_does_not_depend_on_hash_seeds() -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import hashlib, test_c_emit as t\n"
        "from burnish.backends.c import compile_module\n"
        "a = compile_module(t.small(), 'c', {'weights': 'array'})\n"
        "text = repr(sorted(a.files.items())) + repr(a.manifest) + str(a.stages['plan'])\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    digests = set()
    for seed in ("1", "2", "77"):
        path = os.pathsep.join(sys.path)
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        answer = subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(answer.stdout)
    assert len(digests) == 1


def test_two_models_link_into_one_program(tmp_path: Path) -> None:
    first = compile_module(small("alpha"), "c:generic", {"weights": "array"})
    second = compile_module(small("beta"), "c:generic", {"weights": "blob"})
    for artifact in (first, second):
        artifact.write(tmp_path)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "alpha.h"\n#include "beta.h"\n'
        "static ALPHA_ALIGNED unsigned char arena[ALPHA_ARENA_BYTES + BETA_ARENA_BYTES + 1];\n"
        "int main(void)\n{\n"
        "    static const ALPHA_INPUT_0_TYPE x[ALPHA_INPUT_0_ELEMENTS] = {1, 2, 3, 4, 5, 6};\n"
        "    static const ALPHA_INPUT_1_TYPE flag = 0;\n"
        "    float p[ALPHA_OUTPUT_0_ELEMENTS], q[BETA_OUTPUT_0_ELEMENTS];\n"
        "    const void *inputs[2];\n    void *outputs[1];\n"
        "    inputs[0] = x; inputs[1] = &flag; outputs[0] = p;\n"
        "    if (alpha_run(inputs, outputs, arena) != ALPHA_OK) { return 1; }\n"
        "    outputs[0] = q;\n"
        "    if (beta_run(inputs, outputs, arena) != BETA_OK) { return 2; }\n"
        '    printf("%g %g\\n", p[0], q[0]);\n    return p[0] == q[0] ? 0 : 3;\n}\n'
    )
    command = ["cc", *STRICT, "main.c", "alpha.c", "alpha_weights.c", "beta.c", "beta_weights.S"]
    subprocess.run([*command, "-lm", "-o", "program"], cwd=tmp_path, check=True)
    assert subprocess.run(["./program"], cwd=tmp_path, check=False).returncode == 0


def test_only_prefixed_symbols_are_external(tmp_path: Path) -> None:
    artifact = compile_module(small("alpha"), "c:generic", {"weights": "array"})
    artifact.write(tmp_path)
    compile_strictly(tmp_path, "alpha.c", "alpha_weights.c")
    answer = subprocess.run(
        ["nm", "-g", "--defined-only", "alpha.o", "alpha_weights.o"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    symbols = re.findall(r"^[0-9a-f]+ \w (\w+)$", answer.stdout, re.M)
    assert sorted(symbols) == ["alpha_run", "alpha_weights"]


def test_the_header_is_c_plus_plus(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    compile_module(small(), "c:generic").write(tmp_path)
    (tmp_path / "main.cpp").write_text('#include "tiny.h"\nint main() { return TINY_OK; }\n')
    command = ["g++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "main.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.parametrize("compiler", ["gcc", "clang", "arm-none-eabi-gcc"])
def test_compilers_accept_the_sources_without_a_warning(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    compile_module(small(), "c:cortex-m4").write(tmp_path)
    compile_strictly(tmp_path, "tiny.c", "tiny_weights.c", compiler=compiler)


def test_hostile_names_of_everything_compile_and_run() -> None:
    module = Module('no"de*/ ??/\n')
    types = {name: tensor("f32", 2) for name in HOSTILE}
    function, b = build_function(module, "main", types, [f"{name}'" for name in HOSTILE])
    results = []
    for arg, name in zip(function.args, HOSTILE):
        weight = b.constant(np.array([1, len(results)], np.float32), name)
        b.location = Location.node(name, name)
        op = b.create("math.mul", [arg, weight], names=[name])
        results.append(b("math.exp", op.result))
    b.ret(*results)
    artifact = compile_module(module, "c", {"weights": "array"})
    assert re.fullmatch(r"[a-z]\w*", artifact.manifest["name"])
    inputs = inputs_of(artifact)
    actual, expected = runner(artifact, sanitize=True).run(inputs), interpret(module, inputs)
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-6)


def test_identifiers_are_valid_short_and_distinct() -> None:
    names = Names()
    taken = [names.take(identifier(text, "w")) for text in [*HOSTILE, *HOSTILE, "w_2", "w"]]
    assert len(set(taken)) == len(taken)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name) for name in taken)
    assert identifier("x" * 10_000, "w") != identifier("x" * 10_001, "w")


@pytest.mark.parametrize("text", HOSTILE)
def test_string_literals_are_ascii_without_trigraphs(text: str) -> None:
    literal = string_literal(text)
    assert literal.isascii()
    assert literal.isprintable()
    assert not re.search(r"\?\?", literal)


def test_a_saved_model_runs_again(tmp_path: Path) -> None:
    module = small()
    artifact = compile_module(module, "c")
    artifact.write(tmp_path)
    inputs = inputs_of(artifact)
    actual = runner_from_files(tmp_path, artifact.manifest).run(inputs)
    np.testing.assert_allclose(actual["y"], interpret(module, inputs)["y"], rtol=1e-6)
    (tmp_path / "tiny.c").unlink()
    with pytest.raises(ModelError, match=r"tiny\.c"):
        runner_from_files(tmp_path, artifact.manifest)


def test_unbound_dimensions_are_named_with_the_way_to_bind_them() -> None:
    module = Module("dynamic")
    function, b = build_function(module, "main", {"x": tensor("f32", symbol("batch"), 3)})
    b.ret(b("math.exp", function.args[0]))
    with pytest.raises(UnsupportedError, match="batch") as caught:
        compile_module(module)
    assert "--dim batch=" in caught.value.help


def test_everything_unsupported_is_listed_at_once() -> None:
    module = Module("complex")
    function, b = build_function(module, "main", {"x": tensor("c64", 2)})
    b.location = Location.node("first")
    y = b("math.select", b.constant(np.array(True)), function.args[0], function.args[0])
    b.location = Location.node("second")
    b.ret(b("tensor.reshape", y, shape=(2, 1)))
    with pytest.raises(UnsupportedError) as caught:
        compile_module(module)
    assert "first" in caught.value.message
    assert "second" in caught.value.message


@pytest.mark.parametrize("columns", [3, 40])
def test_what_the_body_uses_is_known_and_not_read_off_its_text(
    columns: int, tmp_path: Path
) -> None:
    """A call broken right after "a +" once lost the arena; names in comments once brought it."""
    for width in range(44, 68, 3):
        module = Module("net")
        function, b = build_function(module, "main", {"x": tensor("f32", 1, 4)}, ["y"])
        b.location = Location.node("a + 1, w->b, status = 2, inputs[0]", "MatMul")
        weights = b.constant(np.ones((4, columns), np.float32), "w" * width)
        b.ret(b("nn.matmul", function.args[0], weights))
        artifact = compile_module(module, "c:generic", {"weights": "array"}, "net")
        folder = tmp_path / str(width)
        artifact.write(folder)
        compile_strictly(folder, "net.c")
