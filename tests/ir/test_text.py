"""The text form: exact round trips, and errors that point at the place."""

from __future__ import annotations

import contextlib
import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from burnish import ir
from burnish.ir.errors import ParseError
from burnish.ir.locations import Location, Source

FLOATS = ["f64", "f32", "f16", "bf16", "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz"]
OTHERS = ["f8e8m0", "f4e2m1", "i64", "i32", "i8", "i4", "i2", "u64", "u8", "u4", "u2", "bool"]


def single(value: ir.Constant | np.ndarray, **options) -> ir.Module:
    module = ir.Module("m")
    _, builder = ir.build_function(module, "main", {}, ["y"])
    builder.ret(builder.constant(value, **options))
    return module


def round_trip(module: ir.Module) -> ir.Module:
    text = str(module)
    again = ir.parse(text)
    assert str(again) == text
    assert again == module
    return again


@pytest.mark.parametrize("name", FLOATS + OTHERS)
@given(data=st.data())
def test_constants_of_every_type_round_trip_bit_by_bit(name, data):
    dtype = ir.DType.parse(name)
    count = data.draw(st.integers(0, 20))
    if dtype.bits < 8:
        codes = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
        array = np.array(codes, np.int8).astype(dtype.numpy)
    elif dtype is ir.DType.BOOL:
        array = data.draw(hnp.arrays(np.bool_, count))
    else:
        raw = data.draw(hnp.arrays(np.uint8, count * dtype.bytes))
        array = raw.view(dtype.numpy)
    again = round_trip(single(array))
    (constant,) = again.constants()
    assert constant.array.tobytes() == array.tobytes()


def test_large_constants_are_named_by_digest_and_found_again():
    array = np.arange(100, dtype=np.float32)
    module = single(array)
    text = str(module)
    assert "blob<f32[100]" in text
    assert round_trip(module).constants()[0].array is module.constants()[0].array
    digest = module.constants()[0].digest
    embedded = ir.to_text(module, embed=True)
    del module
    gc.collect()
    unresolved = ir.parse(text)
    with pytest.raises(ir.Error, match=r"not at hand"):
        _ = unresolved.constants()[0].array
    assert str(unresolved) == text
    np.testing.assert_array_equal(ir.parse(embedded).constants()[0].array, array)
    np.testing.assert_array_equal(ir.parse(text, {digest: array}).constants()[0].array, array)


def test_splats_of_any_size_are_printed_short():
    module = single(np.full((64, 64), -0.0, np.float32))
    assert "splat<f32[64, 64], -0.0>" in str(module)
    assert np.signbit(round_trip(module).constants()[0].array).all()


HOSTILE = ['a"b', "line\nbreak", "*/", "int", "x" * 10_000, "π", "\u2028", "", "0", "%", "a b"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_round_trip(name):
    module = ir.Module(name, symbols={name: (1, 4)}, metadata={name: name})
    type_ = ir.tensor("f32", ir.symbol(name), 2 * ir.symbol(name) + 1)
    function, builder = ir.build_function(module, "main", {name: type_}, [name])
    builder.location = Location((Source(name, name), Source(name)))
    builder.ret(function.args[0])
    again = round_trip(module)
    assert again.main.arg_names == (name,)
    assert again.main.result_names == (name,)


def test_types_with_every_facet_round_trip():
    types = [
        ir.tensor("f32"),
        ir.tensor("bool", 0, 1),
        ir.TensorType((1, 3, 8, 8), ir.DType.F32, ir.Layout((0, 2, 3, 1))),
        ir.TensorType((1, 16, 8, 8), ir.DType.F32, ir.Layout((0, 1, 2, 3), ((1, 8),))),
        ir.tensor("i8", 4).with_encoding(ir.Quantized((0.1,), (-3,))),
        ir.tensor("u8", 2, 2).with_encoding(ir.Quantized((0.1, 1e-30), (0, 255), 1)),
        ir.tensor("i4", 2, 4).with_encoding(
            ir.Quantized((1.0, 2.0, 3.0, 4.0), (0,) * 4, 1, 2, ir.DType.F16)
        ),
        ir.tensor("f32", 8, 8).with_encoding(ir.Sparse("block", (1, 4), 12)),
        ir.tensor("f32", ir.symbol("N") * 2 + 3, ir.symbol("N") // 2),
    ]
    module = ir.Module("m")
    arguments = {f"a{i}": t for i, t in enumerate(types)}
    function, builder = ir.build_function(module, "main", arguments, list(arguments))
    builder.ret(*function.args)
    assert [v.type for v in round_trip(module).main.args] == types


def test_regions_round_trip_and_see_their_own_arguments_only():
    text = """module "m" {
  func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
    %0 = core.group(%x) region(%a: tensor<f32[4]>) {
      %1 = math.neg(%a) : tensor<f32[4]> loc("n": "Neg")
      core.yield(%1)
    } : tensor<f32[4]>
    core.return(%0)
  }
}
"""
    module = ir.parse(text)
    assert str(module) == text
    ir.verify(module)
    with pytest.raises(ParseError, match="%x is not defined here"):
        ir.parse(text.replace("math.neg(%a)", "math.neg(%x)"))


ERRORS = {
    "unknown op": ("  %0 = math.nge(%x)", "there is no op math.nge", "did you mean math.neg"),
    "unknown value": ("  %0 = math.neg(%z)", "%z is not defined", ""),
    "wrong type": (
        "  %0 = math.neg(%x) : tensor<f32[5]>",
        "declared as",
        "inferred: tensor<f32[4]>",
    ),
    "bad attribute": ("  %0 = math.neg(%x) {a = 1}", "no attribute a", ""),
    "defined twice": ("  %0 = math.neg(%x)\n  %0 = math.neg(%x)", "%0 is defined twice", ""),
    "bad dtype": ("  %0 = math.neg(%x) : tensor<f33[4]>", "unknown element type f33", "known"),
    "result count": ("  %0, %1 = math.neg(%x)", "has 1 results, 2 are named", ""),
    "syntax": ("  %0 = math.neg(%x", "unexpected", "expected one of"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_line_and_column(case):
    line, message, help_ = ERRORS[case]
    text = (
        'module "m" {\nfunc @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {\n'
        + line
        + "\n  core.return(%x)\n}\n}\n"
    )
    with pytest.raises(ParseError) as caught:
        ir.parse(text)
    assert message in str(caught.value)
    assert help_ in str(caught.value)
    assert caught.value.line >= 3
    assert caught.value.column >= 1


@given(st.text(max_size=60))
def test_any_text_parses_or_raises_a_parse_error(text):
    with contextlib.suppress(ParseError):
        ir.parse(text)


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "\x0c?", "module\r\u2028\n", " \n\t"])
def test_text_of_nothing_but_space_is_a_parse_error(text):
    """A single line break was once an IndexError."""
    with pytest.raises(ParseError):
        ir.parse(text)
