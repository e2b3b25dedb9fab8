"""Relay text without TVM: the grammar, the type checker, the printer, and parameter files."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest

from burnish import Error, parse
from burnish import compile as compile_model
from burnish.backends.codes import decoding, rounding
from burnish.backends.relay import check_functions, compile_module, parse_relay
from burnish.backends.relay.parameters import npz_bytes, parameter_bytes, read_parameters
from burnish.backends.relay.printer import module_text
from burnish.backends.relay.storage import CARRIERS, stored
from burnish.ir import Constant, DType, scalar
from burnish.ir.errors import ParseError, TargetError, TypeInferenceError

HEAD = '#[version = "0.0.5"]\n'


def main(body: str, result: str = "Tensor[(2, 3), float32]") -> str:
    return f"{HEAD}def @main(%x: Tensor[(2, 3), float32], %c: bool) -> {result} {{\n{body}\n}}\n"


WELL_FORMED = {
    "call": main("  %0 = exp(%x);\n  add(%0, 1.5f)"),
    "nested": main("  add(exp(%x), -inff)"),
    "branch": main(
        "  %0 = exp(%x);\n  if (%c) {\n    %1 = log(%0);\n    %1\n  } else {\n    %0\n  }"
    ),
    "tuple": main("  %0 = (%x,);\n  (%0.0, 3, 4i64, True, 2.5f64)",
                  "(Tensor[(2, 3), float32], int32, int64, bool, float64)"),
    "pairs": main("  nn.pad(%x, 0f, pad_width=[[1, 0], [0, 2]])", "Tensor[(3, 5), float32]"),
    "loop": main(
        "  let %f: fn (int64, Tensor[(2, 3), float32]) -> Tensor[(2, 3), float32] = "
        "fn (%i: int64, %a: Tensor[(2, 3), float32]) -> Tensor[(2, 3), float32] {\n"
        "    %0 = less(%i, 3i64);\n    if (%0) {\n      %1 = add(%i, 1i64);\n"
        "      %2 = exp(%a);\n      %f(%1, %2)\n    } else {\n      %a\n    }\n  };\n"
        "  %f(0i64, %x)"
    ),
    "function": main(
        "  %0 = fn (%p: Tensor[(2, 3), float32], Primitive=1) -> Tensor[(2, 3), float32] {\n"
        "    exp(%p)\n  };\n  %0(%x)"
    ),
    "composite function": main(
        "  %0 = fn (%p: Tensor[(2, 3), float32], PartitionedFromPattern=\"exp_\", "
        "Composite=\"a.exp\") -> Tensor[(2, 3), float32] {\n    exp(%p)\n  };\n  %0(%x)"
    ),
    "none": main("  // a comment\n  sum(%x, axis=None)", "float32"),
}  # fmt: skip


@pytest.mark.parametrize("name", WELL_FORMED)
def test_what_is_well_formed_survives_printing(name: str) -> None:
    functions = parse_relay(WELL_FORMED[name])
    check_functions(functions)
    assert parse_relay(module_text(*functions)) == functions


MALFORMED = {
    "float without f": (main("  add(%x, 1.5)"), r"line 3, column 11"),
    "no semicolon": (main("  %0 = exp(%x)\n  %0"), r"line 4, column 3"),
    "name with a dot": (main("  %a.b"), r"line 3"),
    "number of a parameter": (main("  exp(%x:0)"), r"line 3, column 9"),
    "no end": (main("  exp(%x)")[:-4], r"line 3"),
    "another version": (main("  exp(%x)").replace("0.0.5", "0.0.4"), r"line 1"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_an_error_with_its_place(name: str) -> None:
    text, place = MALFORMED[name]
    with pytest.raises(ParseError) as caught:
        parse_relay(text)
    assert re.search(place, str(caught.value))


ILL_TYPED = {
    "unknown operator": (main("  elu(%x)"), "no operator elu"),
    "unknown name": (main("  exp(%y)"), "%y is not bound"),
    "unbound number": (main("  exp(%7)"), "%7 is not bound"),
    "out of a branch": (
        main("  if (%c) {\n    %1 = exp(%x);\n    %1\n  } else {\n    %1\n  }"), "%1 is not"
    ),
    "unknown attribute": (main("  exp(%x, axis=1)"), "no attribute axis"),
    "missing attribute": (main("  clip(%x, a_min=0f)"), "a_max is missing"),
    "kind of attribute": (main("  sum(%x, axis=1)"), "axis is 1, not of kind ints"),
    "dtypes": (main("  add(%x, 1)"), "different types: float32, int32"),
    "shapes": (main("  add(%x, zeros(shape=[4], dtype=\"float32\"))"), "do not broadcast"),
    "result": (main("  sum(%x)"), "is float32, not"),
    "axis": (main("  nn.softmax(%x, axis=2)"), "axis 2 is none of 2"),
    "condition": (main("  if (%x) {\n    %x\n  } else {\n    %x\n  }"), "the condition is"),
    "branches": (main("  if (%c) {\n    %x\n  } else {\n    %c\n  }"), "branches of types"),
    "field": (main("  %0 = (%x,);\n  %0.1"), "field 1"),
    "type of a function": (
        main("  let %f: fn (int32) -> int32 = fn (%a: int64) -> int32 {\n    1\n  };\n  %x"),
        "declared as fn (int32) -> int32, not fn (int64) -> int32"),
    "too large a number": (main("  add(%x, 3.40282347e+38f)"), "beyond float32"),
    "call of a tensor": (main("  %x(%x)"), "Tensor[(2, 3), float32] is called"),
    "argument": (
        main("  %0 = fn (%p: int32) -> int32 {\n    %p\n  };\n  %1 = %0(%x);\n  %x"),
        "a function of (int32,) is given (Tensor[(2, 3), float32],)"),
    "result of a function": (
        main("  %0 = fn (%p: int32) -> int64 {\n    %p\n  };\n  %x"), "gives int32, not int64"),
    "primitive function that sees more": (
        main("  %0 = fn (%p: int32, Primitive=1) -> bool {\n    %c\n  };\n  %x"), "%c is not"),
    "composite function that sees more": (
        main("  %0 = fn (%p: int32, Composite=\"a.b\") -> bool {\n    %c\n  };\n  %x"),
        "%c is not"),
    "name of a composite function": (
        main("  %0 = fn (%p: int32, Composite=\"a.\") -> int32 {\n    %p\n  };\n  %x"),
        "attribute Composite of a function is 'a.'"),
    "attribute of a function": (
        main("  %0 = fn (%p: int32, Kernel=1) -> int32 {\n    %p\n  };\n  %x"),
        "functions have no attribute Kernel"),
    "blocks of another size": (
        main('  %0 = reshape(%x, newshape=[1, 1, 1, 2, 3]);\n  nn.max_pool2d(%0, pool_size=[1, 1], '
             'padding=[0, 0, 0, 0], layout="NCHW4c")'),
        "in NCHW4c"),
    "layout of another rank": (
        main('  nn.max_pool2d(%x, pool_size=[1, 1], padding=[0, 0, 0, 0], layout="NHWC")'),
        "in NHWC"),
    "no layout": (
        main('  nn.max_pool2d(%x, pool_size=[1, 1], padding=[0, 0, 0, 0], layout="N?")'),
        "N? is no layout"),
    "weights in another layout": (
        main('  %0 = reshape(%x, newshape=[1, 2, 1, 3]);\n  %1 = reshape(%x, newshape=[1, 1, 2, 3]'
             ');\n  nn.conv2d(%0, %1, padding=[0, 0, 0, 0], data_layout="NHWC", '
             'kernel_layout="HWIO")'),
        "1 groups of 2 channels"),
    "blocks of weights": (
        main("  %0 = reshape(%x, newshape=[3, 2, 1]);\n  %1 = zeros(shape=[2], dtype=\"int32\");\n"
             "  nn.sparse_dense(%x, %0, %1, %1)"),
        "for Tensor[(3, 2, 1), float32]"),
    "width of blocks of weights": (
        main("  %0 = reshape(%x, newshape=[3, 1, 2]);\n  %1 = zeros(shape=[3], dtype=\"int32\");\n"
             "  nn.sparse_dense(%x, %0, %1, %1)"),
        "3 columns in blocks of 2"),
    "operands": (main("  add(%x)"), "takes 2 operands"),
    "needless key": (main('  exp(%x, attrs_type_key="relay.attrs.ExpAttrs")'), "attrs_type_key"),
    "missing key": (main("  cumsum(%x, axis=0)"), "relay.attrs.ScanopAttrs"),
}  # fmt: skip


@pytest.mark.parametrize("name", ILL_TYPED)
def test_what_is_ill_typed_is_an_error(name: str) -> None:
    text, message = ILL_TYPED[name]
    with pytest.raises(TypeInferenceError) as caught:
        check_functions(parse_relay(text))
    assert message in str(caught.value)


def test_releases_have_their_own_forms() -> None:
    keyed = main('  broadcast_to(%x, shape=[2, 3], attrs_type_key="relay.attrs.InitOpAttrs")')
    check_functions(parse_relay(keyed), "0.10")
    with pytest.raises(TypeInferenceError, match="attrs_type_key"):
        check_functions(parse_relay(keyed), "0.19")


CONSTANTS = {
    "w": Constant(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "q": Constant(np.array([-1, 2], np.int8)),
    "flags": Constant(np.array([True, False])),
    "one": Constant(np.array(7, np.uint64)),
}


def test_parameters_survive_both_files() -> None:
    content = parameter_bytes(CONSTANTS)
    assert content[:8] == bytes.fromhex("b79c04054f8de5f7")
    found = read_parameters(content)
    with np.load(io.BytesIO(npz_bytes(CONSTANTS))) as archive:
        for name, data in CONSTANTS.items():
            for other in (found[name], archive[name]):
                assert other.dtype == data.array.dtype
                np.testing.assert_array_equal(other, data.array)
    assert list(found) == list(CONSTANTS)


@pytest.mark.parametrize("cut", [4, 20, 60])
def test_a_parameter_file_that_is_cut_is_an_error(cut: int) -> None:
    with pytest.raises(ParseError):
        read_parameters(parameter_bytes(CONSTANTS)[:cut])


HOSTILE = """
module "m" {
  func @main(%0: tensor<f32[2]>, %1: tensor<f32[2]>, %2: tensor<f32[2]>)
      -> ("out.put": tensor<f32[2]>) {
    %3 = math.add(%0, %1)
    %4 = math.add(%3, %2)
    core.return(%4)
  }
}
"""


@pytest.mark.parametrize("names", [["let", "inff", "a.b"], ["1", "//", "ä"], ["x/y", "x y", "x_y"]])
def test_names_of_models_become_names_of_relay(names: list[str]) -> None:
    module = parse(HOSTILE)
    for arg, name in zip(module.main.args, names):
        arg.name = name
    artifact = compile_module(module)
    renamed = artifact.manifest["parameters"]
    assert list(renamed) == names
    assert len(set(renamed.values())) == 3


def test_all_that_relay_cannot_express_is_named_at_once() -> None:
    text = """
    module "m" {
      symbols {N = 1..4}
      func @main(%x: tensor<f32[N]>, %y: tensor<c64[2]>, %z: tensor<f32[33, 33]>)
          -> ("a": tensor<f32[N]>, "b": tensor<c64[2]>, "d": tensor<f32[]>) {
        %a = math.exp(%x)
        %b = tensor.tile(%y) {repeats = [1]}
        %d = nn.determinant(%z)
        core.return(%a, %b, %d)
      }
    }
    """
    with pytest.raises(Error) as caught:
        compile_module(parse(text))
    for part in ("dimensions that are not bound", "no c64", "nn.determinant"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["", "a.b", "a b", 'a"', "ä"])
def test_names_of_code_generators_are_those_that_tvm_can_find(name: str) -> None:
    with pytest.raises(TargetError, match="option codegen is"):
        compile_module(parse(HOSTILE), options={"groups": "composite", "codegen": name})


@pytest.mark.parametrize("value", ["3.4028234663852886e+38", "-3.4028234663852886e+38", "1e-30"])
def test_numbers_of_the_text_are_within_the_type(value: str) -> None:
    text = f"""
    module "m" {{
      func @main(%0: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {{
        %1 = core.constant() {{value = dense<f32[], [{value}]>}}
        %2 = math.add(%0, %1)
        core.return(%2)
      }}
    }}
    """
    found = str(compile_module(parse(text)).files["model.relay"])
    written = re.search(r"add\(%\w+, (\S+)f\)", found)
    assert written is not None
    assert np.float32(float(written[1])) == np.float32(float(value))
    assert abs(float(written[1])) <= np.finfo(np.float32).max


def test_large_kernels_are_cut() -> None:
    """Every square is used twice: TVM would write out a million products for one element."""
    steps = "\n".join(f"%{n + 1} = math.mul(%{n}, %{n})" for n in range(20))
    text = f"""
    module "m" {{
      func @main(%0: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {{
        {steps}
        core.return(%20)
      }}
    }}
    """
    found = compile_module(parse(text)).files["model.relay"]
    assert str(found).count("annotation.stop_fusion") == 2


def test_equal_modules_are_equal_bytes(root: Path) -> None:
    path = root / "examples" / "digits" / "digits.onnx"
    first, second = (compile_model(path, "relay").files for _ in range(2))
    assert first == second
    assert set(first) == {"model.relay", "model.params", "params.npz", "load_model.py"}


@pytest.mark.parametrize("source", [DType.F32, DType.F64], ids=str)
@pytest.mark.parametrize("dtype", [d for d in CARRIERS if d.is_float and d.bits <= 8], ids=str)
def test_tables_of_rounding_are_the_conversion(dtype: DType, source: DType) -> None:
    table = rounding(dtype, source)
    near = np.concatenate([table.bounds, decoding(dtype)[np.isfinite(decoding(dtype))]])
    near = near.astype(source.numpy)
    with np.errstate(over="ignore"):
        up, down = (np.nextafter(near, source.numpy.type(end)) for end in (np.inf, -np.inf))
    x = np.concatenate([near, up, down, [0.0, 1e30, 1e-30, 1e-39, np.inf]]).astype(source.numpy)
    for signed, codes in ((x, table.positive), (-x, table.negative)):
        places = (np.abs(signed)[:, np.newaxis] > table.bounds).sum(axis=1)
        expected = stored(scalar.convert(signed, dtype))
        kept = ~np.signbit(signed) if codes is table.positive else np.signbit(signed)
        np.testing.assert_array_equal(codes[places][kept], expected[kept])
