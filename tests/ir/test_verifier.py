"""The verifier: each invariant, broken on purpose, is found and named."""

from __future__ import annotations

import numpy as np
import pytest

from burnish import ir
from burnish.ir.errors import VerifyError

TEXT = """module "m" {
  func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
    %a = math.neg(%x) loc("first": "Neg")
    %b = math.exp(%a) loc("second": "Exp")
    core.return(%b)
  }
}
"""


@pytest.fixture
def module() -> ir.Module:
    return ir.parse(TEXT)


def findings(module: ir.Module) -> str:
    with pytest.raises(VerifyError) as caught:
        ir.verify(module)
    return str(caught.value)


def test_a_good_module_passes(module):
    ir.verify(module)


def test_use_before_definition(module):
    first, second, _ = module.main.body
    module.main.body._unlink(first)
    module.main.body._insert(first, second.next)
    text = findings(module)
    assert "not defined before its use" in text
    assert "math.exp" in text


def test_missing_terminator(module):
    module.main.body._unlink(module.main.body.last)
    assert "does not end in core.return" in findings(module)


def test_wrong_result_type(module):
    first, _, _ = module.main.body
    first.result.type = ir.tensor("f32", 5)
    assert "not the inferred tensor<f32[4]>" in findings(module)


def test_lost_use(module):
    first, _, _ = module.main.body
    first.result._uses.clear()
    assert "does not know of this use" in findings(module)


def test_bad_facets():
    module = ir.Module("m")
    quantized = ir.tensor("i8", 4).with_encoding(ir.Quantized((1.0, 2.0), (0, 0), 0))
    function, builder = ir.build_function(module, "main", {"x": quantized}, ["y"])
    builder.ret(function.args[0])
    assert "2 scales for axis 0 of size 4" in findings(module)


def test_signature(module):
    module.main.result_names = ("a", "b")
    assert "2 result names for 1 results" in findings(module)


def test_ranges_of_symbols(module):
    module.symbols["N"] = (5, 2)
    assert "empty or negative range 5..2" in findings(module)


def test_all_findings_are_collected_up_to_a_cap():
    module = ir.Module("m")
    function, builder = ir.build_function(module, "main", {"x": ir.tensor("f32", 4)}, ["y"])
    value = function.args[0]
    for _ in range(50):
        value = builder("math.neg", value)
    builder.ret(value)
    for index, op in enumerate(module.main.body):
        for result in op.results:
            result.type = ir.tensor("f32", 5 + index)
    with pytest.raises(VerifyError) as caught:
        ir.verify(module)
    assert len(caught.value.findings) == 20


def test_constants_shared_between_copies():
    module = ir.Module("m")
    _, builder = ir.build_function(module, "main", {}, ["y"])
    data = np.zeros(1000, np.float32)
    builder.ret(builder.constant(data))
    copy = module.copy()
    assert copy == module
    assert copy.constants()[0] is module.constants()[0]


@pytest.mark.parametrize(
    ("encoding", "kept"),
    [
        ("sparse(unstructured, kept = {})", 3),
        ("sparse(block, 1, 2, kept = {})", 2),
        ("sparse(block, 2, kept = {})", 2),
        ("sparse(block, 4, 3, kept = {})", 1),
        ("sparse(channel, 0, kept = {})", 2),
        ("sparse(channel, 1, kept = {})", 2),
    ],
)
def test_promises_about_zeros_are_checked_on_the_data(encoding, kept):
    text = """module "m" {{
      func @main() -> ("y": tensor<f32[3, 3], {0}>) {{
        %w = core.constant() {{
          value = dense<f32[3, 3], [1.0, -0.0, 0.0, 0.0, 0.0, 0.0, 2.0, nan, 0.0]>,
          encoding = [{0}]
        }}
        core.return(%w)
      }}
    }}"""
    promised = ir.parse(text.format(encoding.format(kept)))
    ir.verify(promised)
    assert str(ir.parse(str(promised))) == str(promised)
    broken = findings(ir.parse(text.format(encoding.format(kept - 1))))
    assert f"{kept} parts hold other numbers than zero" in broken
