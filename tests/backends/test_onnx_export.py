"""What an exported model looks like: names, constants, sizes, opsets, files, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from burnish import compile as compile_model
from burnish import export_onnx, import_onnx, interpret, load, parse
from burnish.backends.onnx import DEFAULT_OPSET, model_files, newest_opset
from burnish.backends.onnx.files import joined
from burnish.ir import Constant, DType, Module, build_function, symbol, tensor
from burnish.ir.elementwise import elementwise
from burnish.ir.errors import InputError, TargetError, UnsupportedError
from burnish.ir.opdef import FLOATS, registry
from burnish.passes import run_pipeline, standard_pipeline


def exported(text: str, opset: int | None = None) -> onnx.ModelProto:
    return export_onnx(parse(text), opset=opset)


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def opset_of(model: onnx.ModelProto, domain: str = "") -> int:
    (version,) = (entry.version for entry in model.opset_import if entry.domain == domain)
    return version


SMALL = """
module "small" {
  func @main(%x "my input": tensor<f32[2, 3]>) -> ("my/output": tensor<f32[2, 3]>) {
    %h = math.relu(%x) loc("first": "Relu")
    %y = math.sigmoid(%h) loc("first": "Relu")
    core.return(%y)
  }
}
"""


def test_names_are_kept() -> None:
    model = exported(SMALL)
    assert model.graph.name == "small"
    assert [value.name for value in model.graph.input] == ["my input"]
    assert [value.name for value in model.graph.output] == ["my/output"]
    assert [node.name for node in model.graph.node] == ["first", "first_2"]
    assert list(model.graph.node[0].output) == ["h"]


def test_hints_that_are_taken_get_numbers() -> None:
    module = Module("m")
    function, builder = build_function(module, "main", {"a": tensor("f32", 2)}, ["y"])
    x = function.args[0]
    for op in ("math.relu", "math.sigmoid", "math.tanh"):
        x = builder.create(op, [x], names=["a"]).result
    builder.ret(x)
    model = export_onnx(module)
    assert [node.output[0] for node in model.graph.node] == ["a_2", "a_3", "y"]


def test_the_same_module_gives_the_same_bytes() -> None:
    assert exported(SMALL).SerializeToString() == exported(SMALL).SerializeToString()


def test_equal_constants_are_one_initializer() -> None:
    module = Module("m")
    function, builder = build_function(module, "main", {"x": tensor("f32", 4, 4)}, ["y"])
    w = np.arange(16, dtype=np.float32).reshape(4, 4)
    x = function.args[0]
    for _ in range(2):
        x = builder("nn.matmul", x, builder.constant(w.copy()))
    builder.ret(x)
    model = export_onnx(module)
    assert len(model.graph.initializer) == 1
    assert model.graph.node[0].input[1] == model.graph.node[1].input[1]


def test_inputs_and_constants_may_be_outputs() -> None:
    model = exported("""
module "m" {
  func @main(%x: tensor<f32[2]>)
      -> ("x": tensor<f32[2]>, "again": tensor<f32[2]>, "c": tensor<f32[1]>, "d": tensor<f32[1]>) {
    %c = core.constant() {value = dense<f32[1], [1.0]>}
    core.return(%x, %x, %c, %c)
  }
}
""")
    assert ops(model) == ["Identity"] * 3
    found = compile_model(import_onnx(model), "onnx").run({"x": np.ones(2, np.float32)})
    assert {name: array.tolist() for name, array in found.items()} == {
        "x": [1, 1],
        "again": [1, 1],
        "c": [1],
        "d": [1],
    }


def test_a_name_for_two_things_is_refused() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[2]>) -> ("x": tensor<f32[2]>) {
    %y = math.relu(%x)
    core.return(%y)
  }
}
"""
    with pytest.raises(TargetError, match='"x"'):
        exported(text)


# Opsets ----------------------------------------------------------------------------------

ACTIVATION = """
module "m" {{
  func @main(%x: tensor<f32[2, 6, 4]>) -> ("y": tensor<f32[2, 6, 4]>) {{
    %one = core.constant() {{value = splat<f32[{scale}], 1.0>}}
    %y = {op}
    core.return(%y)
  }}
}}
"""


@pytest.mark.parametrize(
    ("op", "scale", "new", "old"),
    [
        ("math.silu(%x)", 1, ["Swish"], ["Sigmoid", "Mul"]),
        ("math.silu(%x) {alpha = 1.702}", 1, ["Swish"], ["Mul", "Sigmoid", "Mul"]),
        ("math.gelu(%x)", 1, ["Gelu"], ["Mul", "Mul", "Erf", "Add", "Mul"]),
        ("math.hard_swish(%x)", 1, ["HardSwish"], ["HardSigmoid", "Mul"]),
        ("math.mish(%x)", 1, ["Mish"], None),
        ("nn.layer_norm(%x, %one) {axis = 2}", 4, ["LayerNormalization"], None),
        ("nn.rms_norm(%x, %one) {axis = 2}", 4, ["RMSNormalization"], None),
        ("nn.group_norm(%x, %one, %one) {groups = 3}", 6, ["GroupNormalization"], None),
        ("nn.group_norm(%x, %one, %one) {groups = 6}", 6, ["InstanceNormalization"], None),
        ('tensor.reduce(%x) {kind = "sum", axes = [1], keep_dims = true}', 1, ["ReduceSum"], None),
    ],
)
def test_high_level_operators_are_used_where_the_opset_has_them(
    op: str, scale: int, new: list[str], old: list[str] | None
) -> None:
    text = ACTIVATION.format(op=op, scale=scale)
    if "reduce" in op:
        text = text.replace('"y": tensor<f32[2, 6, 4]>', '"y": tensor<f32[2, 1, 4]>')
    assert ops(exported(text, 24)) == new
    oldest = exported(text, 13)
    assert opset_of(oldest) == 13
    if old is not None:
        assert ops(oldest) == old
    x = np.linspace(-3, 3, 48, dtype=np.float32).reshape(2, 6, 4)
    expected = interpret(parse(text), {"x": x})["y"]
    compiled = compile_model(parse(text), "onnx", passes="", options={"opset": 13})
    np.testing.assert_allclose(compiled.run({"x": x})["y"], expected, rtol=1e-5, atol=1e-5)


CUMULATIVE_PRODUCT = """
module "m" {
  func @main(%x: tensor<f32[3]>) -> ("y": tensor<f32[3]>) {
    %y = tensor.cumulative_product(%x) {axis = 0} loc("product": "CumProd")
    core.return(%y)
  }
}
"""


def test_the_default_opset_grows_where_it_must() -> None:
    assert opset_of(exported(SMALL)) == min(DEFAULT_OPSET, newest_opset())
    assert opset_of(exported(CUMULATIVE_PRODUCT)) == 26
    with pytest.raises(UnsupportedError, match=r"CumProd.*product") as caught:
        exported(CUMULATIVE_PRODUCT, 20)
    assert "opset 26" in caught.value.help


@pytest.mark.parametrize("opset", [12, 1000])
def test_unknown_opsets_are_refused(opset: int) -> None:
    with pytest.raises(TargetError, match=f"no opset {opset}"):
        exported(SMALL, opset)


@pytest.mark.parametrize("opset", range(13, newest_opset() + 1))
def test_every_opset_is_served(opset: int) -> None:
    model = exported(SMALL, opset)
    assert opset_of(model) == opset
    onnx.checker.check_model(model, full_check=True)


def test_refusals_name_every_node() -> None:
    text = """
module "m" {
  func @main(%x: tensor<u64[2]>, %z: tensor<u64[3]>) -> ("y": tensor<u64[2]>, "w": tensor<u64[3]>) {
    %y = math.pow(%x, %x) loc("one": "Pow")
    %w = math.pow(%z, %z) loc("two": "Pow")
    core.return(%y, %w)
  }
}
"""
    with pytest.raises(UnsupportedError, match=r"math\.pow: Pow takes no u64.*one.*two"):
        exported(text)


# Ops that ONNX has not -------------------------------------------------------------------


def test_elementwise_ops_of_others_are_written_by_their_expressions() -> None:
    name = "test.squareplus"
    elementwise(name, "(x + sqrt(x * x + 4)) / 2", "A smooth ReLU.", dtypes=FLOATS)
    try:
        module = Module("m")
        function, builder = build_function(module, "main", {"x": tensor("f16", 3)}, ["y"])
        builder.ret(builder(name, function.args[0]))
        model = export_onnx(module)
        x = np.array([-1, 0, 1], np.float16)
        again = interpret(import_onnx(model), {"x": x})["y"]
        np.testing.assert_array_equal(again, interpret(module, {"x": x})["y"])
    finally:
        del registry()[name]  # type: ignore[attr-defined]


def test_groups_are_written_op_by_op() -> None:
    model = exported("""
module "m" {
  func @main(%x: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {
    %y = core.group(%x) region(%a: tensor<f32[2]>) {
      %b = math.relu(%a)
      %c = math.tanh(%b)
      core.yield(%c)
    }
    core.return(%y)
  }
}
""")
    assert ops(model) == ["Relu", "Tanh"]


def test_matrix_products_are_as_few_nodes_as_possible() -> None:
    text = """
module "m" {{
  func @main(%a: tensor<f32[{a}]>, %b: tensor<f32[{b}]>, %c: tensor<f32[3]>)
      -> ("y": tensor<f32[{y}]>) {{
    %y = nn.matmul(%a, %b{rest}
    core.return(%y)
  }}
}}
"""
    square = {"a": "3, 3", "b": "3, 3", "y": "3, 3"}
    batch = {"a": "2, 3, 3", "b": "2, 3, 3", "y": "2, 3, 3"}
    assert ops(exported(text.format(**square, rest=")"))) == ["MatMul"]
    assert ops(exported(text.format(**square, rest=", %c)"))) == ["Gemm"]
    assert ops(exported(text.format(**square, rest=") {transpose_b = true}"))) == ["Gemm"]
    assert ops(exported(text.format(**batch, rest=", %c)"))) == ["MatMul", "Add"]
    transposed = text.format(**batch, rest=") {transpose_b = true}")
    assert ops(exported(transposed)) == ["Transpose", "MatMul"]


# Dynamic sizes ---------------------------------------------------------------------------


def dynamic_module() -> Module:
    module = Module("m")
    n, m = symbol("N"), symbol("M")
    types = {"x": tensor("f32", n, 4), "z": tensor("f32", m)}
    function, builder = build_function(module, "main", types, ["flat", "wide", "tail", "size"])
    x, z = function.args
    flat = builder("tensor.reshape", x, shape=(n * 4,))
    wide = builder("tensor.broadcast", x, shape=(m, n, 4))
    tail = builder("tensor.slice", z, starts=(m // 2,), sizes=(m - m // 2,), steps=(1,))
    builder.ret(flat, wide, tail, builder("tensor.dimension", value=(n * m) // 2 - 1))
    return module


@pytest.mark.parametrize("opset", [13, None])
def test_sizes_are_computed_from_the_inputs(opset: int | None) -> None:
    module = dynamic_module()
    model = export_onnx(module, opset=opset)
    shape = model.graph.input[0].type.tensor_type.shape
    assert [dim.dim_param or dim.dim_value for dim in shape.dim] == ["N", 4]
    inputs = {"x": np.ones((3, 4), np.float32), "z": np.arange(11, dtype=np.float32)}
    expected = interpret(module, inputs)
    runner = compile_model(module, "onnx", passes="", options={"opset": opset or 0})
    for name, array in runner.run(inputs).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    with pytest.raises(InputError, match='"x"'):
        runner.run({**inputs, "x": np.ones((3, 5), np.float32)})


def test_a_symbol_may_be_part_of_a_size() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[2*N + 1]>) -> ("n": tensor<i64[]>) {
    %n = tensor.dimension() {value = N}
    core.return(%n)
  }
}
"""
    assert compile_model(parse(text), "onnx").run({"x": np.zeros(7, np.float32)})["n"] == 3


def test_sizes_that_the_data_gives_are_symbols() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[6]>) -> ("y": tensor<f32[K]>, "k": tensor<i64[]>) {
    %p = tensor.non_zero(%x) {size = K}
    %q = tensor.reshape(%p) {shape = [K]}
    %y = tensor.gather(%x, %q)
    %k = tensor.dimension() {value = K}
    core.return(%y, %k)
  }
}
"""
    x = np.array([0, 3, 0, 0, 5, 7], np.float32)
    found = compile_model(parse(text), "onnx").run({"x": x})
    assert found["y"].tolist() == [3, 5, 7]
    assert found["k"] == 3


def test_a_size_that_stands_nowhere_is_refused() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[min(N, 4)]>) -> ("k": tensor<i64[]>) {
    %k = tensor.dimension() {value = N}
    core.return(%k)
  }
}
"""
    with pytest.raises(UnsupportedError, match='the size "N" stands in no shape'):
        exported(text)


# Control flow ----------------------------------------------------------------------------

CONTROL = """
module "m" {
  func @main(%x: tensor<f32[2]>, %go: tensor<bool[]>, %n: tensor<i64[]>)
      -> ("a": tensor<f32[2]>, "b": tensor<f32[2]>,
          "last": tensor<f32[2]>, "all": tensor<f32[3, 2]>) {
    %a, %b = control.if(%go, %x) region(%t: tensor<f32[2]>) {
      %r = math.relu(%t)
      core.yield(%r, %t)
    } region(%e: tensor<f32[2]>) {
      %c = core.constant() {value = splat<f32[2], 1.0>}
      core.yield(%e, %c)
    }
    %last, %all = control.loop(%n, _, %x, %x) {carried = 1, iterations = 3}
        region(%i: tensor<i64[]>, %k: tensor<bool[]>, %s: tensor<f32[2]>, %d: tensor<f32[2]>) {
      %sum = math.add(%s, %d)
      core.yield(%k, %sum, %sum)
    }
    core.return(%a, %b, %last, %all)
  }
}
"""


def test_regions_become_graphs() -> None:
    module = parse(CONTROL)
    compiled = compile_model(module, "onnx", passes="")
    for go in (True, False):
        inputs = {
            "x": np.array([-1, 2], np.float32),
            "go": np.array(go),
            "n": np.array(3, np.int64),
        }
        expected = interpret(module, inputs)
        for name, array in compiled.run(inputs).items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)
    again = import_onnx(export_onnx(module))
    found = interpret(again, inputs)
    assert all((found[name] == expected[name]).all() for name in expected)


def test_carried_values_may_have_types_of_their_own() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[2]>, %h: tensor<f16[3]>, %n: tensor<i64[]>)
      -> ("a": tensor<f32[2]>, "b": tensor<f16[3]>) {
    %a, %b = control.loop(%n, _, %x, %h) {carried = 2}
        region(%i: tensor<i64[]>, %k: tensor<bool[]>, %s: tensor<f32[2]>, %t: tensor<f16[3]>) {
      %u = math.add(%s, %s)
      %v = math.neg(%t)
      core.yield(%k, %u, %v)
    }
    core.return(%a, %b)
  }
}
"""
    compiled = compile_model(parse(text), "onnx")
    h = np.array([1, 2, 3], np.float16)
    found = compiled.run({"x": np.ones(2, np.float32), "h": h, "n": np.array(3)})
    assert found["a"].tolist() == [8, 8]
    assert found["b"].tolist() == [-1, -2, -3]


def test_what_is_required_is_checked() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[2]>, %n: tensor<i64[2]>) -> ("y": tensor<f32[2]>) {
    %y = control.require(%x, %n) {expected = [2, 3], what = "shape"}
    core.return(%y)
  }
}
"""
    compiled = compile_model(parse(text), "onnx")
    x = np.array([1, 2], np.float32)
    assert compiled.run({"x": x, "n": np.array([2, 3])})["y"].tolist() == [1, 2]
    with pytest.raises(InputError):
        compiled.run({"x": x, "n": np.array([2, 4])})


# Files -----------------------------------------------------------------------------------


def weighty() -> Module:
    module = Module("m")
    function, builder = build_function(module, "main", {"x": tensor("f32", 2, 64)}, ["y"])
    w = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    y = builder("nn.matmul", function.args[0], builder.constant(w))
    builder.ret(builder("nn.matmul", y, builder.constant(w.T.copy())))
    return module


def test_weights_may_lie_beside_the_model(tmp_path: Path) -> None:
    module = weighty()
    files = model_files(export_onnx(module), "on", "m.onnx")
    assert set(files) == {"m.onnx", "m.onnx.data"}
    assert len(files["m.onnx"]) < 1000
    assert len(files["m.onnx.data"]) == 2 * 64 * 64 * 4
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    found = import_onnx(tmp_path / "m.onnx").main
    assert [op.name for op in found.walk()] == [op.name for op in module.main.walk()]
    assert joined(files) == export_onnx(module)


def test_a_saved_model_runs_again(tmp_path: Path) -> None:
    compiled = compile_model(weighty(), "onnx", options={"external-data": "on", "name": "net"})
    x = np.ones((2, 64), np.float32)
    folder = compiled.save(tmp_path / "out")
    assert (folder / "model.onnx").is_file()
    assert (folder / "model.onnx.data").is_file()
    loaded = load(folder)
    assert loaded.artifact.manifest["nodes"] == 2
    assert onnx.load(folder / "model.onnx").graph.name == "net"
    np.testing.assert_array_equal(loaded.run({"x": x})["y"], compiled.run({"x": x})["y"])


def test_limits_are_answered() -> None:
    assert compile_model(weighty(), "onnx", flash="64K").report.sizes.code == 0
    with pytest.raises(TargetError, match="does not fit onnx"):
        compile_model(weighty(), "onnx", flash="1K")
    with pytest.raises(TargetError, match="not known for target onnx"):
        compile_model(weighty(), "onnx", ram="64K")


# Element types ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in DType if d.bits < 8 and d.is_integer], ids=str)
def test_narrow_constants_survive(dtype: DType) -> None:
    low, high = dtype.integer_range
    data = np.arange(low, high + 1).astype(dtype.numpy)
    module = Module("m")
    _, builder = build_function(module, "main", {}, ["y"])
    builder.ret(builder("math.cast", builder.constant(data), to=DType.I8))
    again = import_onnx(export_onnx(module))
    assert interpret(again, {})["y"].tolist() == list(range(low, high + 1))


def test_shapes_that_inference_does_not_find_are_written_down() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[6]>) -> ("y": tensor<i64[1, 2]>) {
    %p = tensor.non_zero(%x) {size = 2}
    %y = math.neg(%p)
    core.return(%y)
  }
}
"""
    (info,) = exported(text).graph.value_info
    assert info == helper.make_tensor_value_info("p", onnx.TensorProto.INT64, [1, 2])


def test_constant_operands_are_transposed_at_once() -> None:
    module = Module("m")
    function, builder = build_function(module, "main", {"x": tensor("f32", 2, 3, 4)}, ["y"])
    w = Constant(np.arange(20, dtype=np.float32).reshape(1, 5, 4))
    y = builder("nn.matmul", function.args[0], builder.constant(w), transpose_b=True)
    builder.ret(y)
    assert ops(export_onnx(module)) == ["MatMul"]


FORMS = {
    "Gather": ("""%a = tensor.slice(%x) {starts = [0, 5], sizes = [4, 1], steps = [1, 1]}
    %y = tensor.reshape(%a) {shape = [4]}""", "4"),
    "ReduceL2": ("""%a = math.mul(%x, %x)
    %b = tensor.reduce(%a) {kind = "sum", axes = [1]}
    %y = math.sqrt(%b)""", "4"),
    "BatchNormalization": ("""%s = core.constant() {value = dense<f32[2], [1.0, 2.0]>}
    %t = core.constant() {value = dense<f32[1], [3.0]>}
    %w = tensor.reshape(%x) {shape = [12, 2]}
    %a = math.mul(%w, %s)
    %y = math.add(%a, %t)""", "12, 2"),
}  # fmt: skip


@pytest.mark.parametrize("op_type", FORMS)
def test_several_ops_may_be_one_operator(op_type: str) -> None:
    body, shape = FORMS[op_type]
    text = f"""
module "m" {{
  func @main(%x: tensor<f32[4, 6]>) -> ("y": tensor<f32[{shape}]>) {{
    {body}
    core.return(%y)
  }}
}}
"""
    module = parse(text)
    assert ops(export_onnx(module))[-1] == op_type
    assert len(ops(export_onnx(module))) <= 2
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    found = compile_model(module, "onnx", passes="").run({"x": x})["y"]
    np.testing.assert_allclose(found, interpret(module, {"x": x})["y"], rtol=1e-6)


def test_slices_of_all_of_an_axis_are_a_split() -> None:
    text = """
module "m" {
  func @main(%x: tensor<f32[2, 5]>) -> ("b": tensor<f32[2, 2]>, "a": tensor<f32[2, 3]>) {
    %a = tensor.slice(%x) {starts = [0, 0], sizes = [2, 3], steps = [1, 1]}
    %b = tensor.slice(%x) {starts = [0, 3], sizes = [2, 2], steps = [1, 1]}
    core.return(%b, %a)
  }
}
"""
    assert ops(exported(text)) == ["Split"]
    x = np.arange(10, dtype=np.float32).reshape(2, 5)
    found = compile_model(parse(text), "onnx", passes="").run({"x": x})
    np.testing.assert_array_equal(found["a"], x[:, :3])
    np.testing.assert_array_equal(found["b"], x[:, 3:])


def test_large_constants_that_are_shared_stay_one() -> None:
    """An embedding that is the classifier, too: no transposed copy, whoever could make one."""
    module = Module("tied")
    tokens, features = tensor("i64", 1, 4), tensor("f32", 1, 4, 100)
    function, builder = build_function(module, "main", {"i": tokens, "x": features}, ["e", "y"])
    table = builder.constant(np.random.default_rng(0).normal(size=(300, 100)).astype(np.float32))
    embedded = builder("tensor.gather", table, function.args[0])
    transposed = builder("tensor.transpose", table, permutation=[1, 0])
    builder.ret(embedded, builder("nn.matmul", function.args[1], transposed))
    run_pipeline(module, standard_pipeline("onnx"))
    model = export_onnx(module)
    assert [list(data.dims) for data in model.graph.initializer] == [[300, 100]]
    assert sorted(ops(model)) == ["Gather", "MatMul", "Transpose"]


@pytest.mark.parametrize(("batch", "expands"), [(1, 0), (2, 2)])
def test_rotary_tables_are_spread_once(batch: int, expands: int) -> None:
    module = Module("rotary")
    features = tensor("f32", batch, 2, 3, 8)
    function, builder = build_function(module, "main", {"q": features, "k": features}, ["a", "b"])
    angles = np.arange(12, dtype=np.float32).reshape(3, 4)
    tables = [builder.constant(np.cos(angles)), builder.constant(np.sin(angles))]
    builder.ret(*(builder("nn.rotary_embedding", x, *tables) for x in function.args))
    assert ops(export_onnx(module)).count("Expand") == expands


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (1, 3), (3,), (), (2, 1, 4, 1), (2, 4, 3)])
@pytest.mark.parametrize("dtype", ["f32", "bool"])
@pytest.mark.parametrize("rank", [3, 4])
def test_masks_of_attention_may_broadcast(shape: tuple[int, ...], dtype: str, rank: int) -> None:
    """onnxruntime wants an entry for every query and key."""
    module = Module("masked")
    queries, keys = ((2, 2, 4, 2), (2, 2, 3, 2)) if rank == 4 else ((2, 4, 4), (2, 3, 4))
    types = {"q": tensor("f32", *queries), "k": tensor("f32", *keys), "v": tensor("f32", *keys)}
    types["m"] = tensor(dtype, *shape)
    function, builder = build_function(module, "main", types, ["y"])
    heads = {} if rank == 4 else {"heads": 2, "kv_heads": 2}
    builder.ret(builder("nn.attention", *function.args, scale=0.5, **heads))
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=t.static_shape) for name, t in types.items()}
    inputs = {name: array.astype(np.float32) for name, array in inputs.items()}
    if dtype == "bool":
        inputs["m"] = inputs["m"] > -1
    found = compile_model(module, "onnx", passes="").run(inputs)["y"]
    np.testing.assert_allclose(found, interpret(module, inputs)["y"], rtol=1e-5, atol=1e-6)


SHUFFLE = """
module "m" {{
  func @main(%x: tensor<f32[2, 6, {block}]>) -> ({results}) {{
    %0 = tensor.reshape(%x) {{shape = [2, 2, 3, {block}]}}
    %1 = tensor.transpose(%0) {{permutation = [0, 2, 1, {last}]}}
    %2 = tensor.reshape(%1) {{shape = [2, 6, {block}]}}
    {rest}
  }}
}}
"""
HALVES = """
    %a = tensor.slice(%2) {starts = [0, 0, 0, 0], sizes = [2, 3, 2, 2], steps = [1, 1, 1, 1]}
    %b = tensor.slice(%2) {starts = [0, 3, 0, 0], sizes = [2, 3, 2, 2], steps = [1, 1, 1, 1]}
    core.return(%a, %b)"""


@pytest.mark.parametrize(
    ("block", "last", "results", "rest", "expected"),
    [
        ("2, 2", "3, 4", '"y": tensor<f32[2, 6, 2, 2]>', "core.return(%2)", ["Gather"]),
        ("3", "3", '"y": tensor<f32[2, 6, 3]>', "core.return(%2)", ["Reshape", "Transpose"]),
        (
            "2, 2",
            "3, 4",
            '"a": tensor<f32[2, 3, 2, 2]>, "b": tensor<f32[2, 3, 2, 2]>',
            HALVES,
            ["Gather", "Gather"],
        ),
    ],
    ids=["shuffle", "too-small", "halves"],
)
def test_shuffled_channels_are_gathered(
    block: str, last: str, results: str, rest: str, expected: list[str]
) -> None:
    """The halves of a shuffle need no whole; elements one by one are moved faster by Transpose."""
    module = parse(SHUFFLE.format(block=block, last=last, results=results, rest=rest))
    made = ops(export_onnx(module))
    assert made[: len(expected)] == expected
    assert len(made) == len(expected) + (made[-1] == "Reshape")
    shape = module.main.args[0].type.static_shape
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found, wanted = (
        compile_model(module, "onnx", passes="").run({"x": x}),
        interpret(module, {"x": x}),
    )
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
